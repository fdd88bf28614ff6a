"""Asks Postgres' planner which parts of the twin each statement goes to, and fails if one goes to several for no known reason.

    statements.py PSQL PLANS QUERIES

PLANS is the folder in which auto_explain wrote, as JSON, what the tests executed; QUERIES is .sqlx. The database `twin` has the
tables of twin.py.
"""

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from known import FUNCTIONS, STATEMENTS

APPLICATION = "tenantry_test_app"
ORGANIZATION = "018f0000-0000-7000-8000-000000000000"
PART = re.compile(r'"(?:Relation Name)": "\w+__(\d)"')
CONDITIONS = ("Index Cond", "Filter", "Recheck Cond")
FUNCTION = re.compile(r'SQL function "(\w+)"|PL/pgSQL function (\w+)\(')
# A function with a setting of its own is not drawn into the statement that calls it: so that is judged by its own text.
OPAQUE = """do $do$ declare f record; begin
    for f in select oid::regprocedure as name from pg_proc
        where pronamespace = 'public'::regnamespace and prokind = 'f' and prosrc ~ 'current_organization_id' loop
        execute format('alter function %s set work_mem = %L', f.name, current_setting('work_mem'));
    end loop;
end $do$;"""
# What is not joined by an index shows no condition.
ONE_BY_ONE = "set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off; set enable_material = off;"
# Not planned.
COMMAND = re.compile(r"(savepoint|release|rollback|begin|commit|set|lock)\b", re.IGNORECASE)


class Run(NamedTuple):
    """A statement that tests executed: by whom, inside which function, in which parts at most."""

    user: str
    function: str | None
    text: str


# --- plans


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def scans(plan: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The scans of parts that are executed: all, where the plan is none of an execution."""
    for node in nodes(plan):
        part = re.search(r"__(\d)$", node.get("Relation Name", ""))
        if part and node["Node Type"] != "ModifyTable" and node.get("Actual Loops", 1) > 0:
            yield int(part[1]), node


def is_correlated(node: dict[str, Any]) -> bool:
    """Whether it asks for the organization of another row of the statement: one part for each, found while it runs."""
    return any(re.search(r"\borganization_id = ", node.get(condition, "")) for condition in CONDITIONS)


# --- what the tests executed


def executed(folder: Path) -> dict[Run, set[int]]:
    """Each statement with the parts that one execution of it went to, at most."""
    runs: dict[Run, set[int]] = {}
    for file in sorted(folder.glob("*.json")):
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                entry = json.loads(line)
                message = entry["message"]
                if "plan:\n" not in message[:100] or not entry.get("dbname", "").startswith("tenantry_test_"):
                    continue
                plan = json.loads(message.split("plan:\n", 1)[1])
                function = FUNCTION.search(entry.get("context", ""))
                run = Run(entry["user"], function and (function[1] or function[2]), plan["Query Text"].strip())
                parts = {part for part, _ in scans(plan["Plan"])} if len(set(PART.findall(message))) > 1 else set()
                if len(parts) >= len(runs.get(run, ())):
                    runs[run] = parts
    return runs


# --- what its own text says


def explained(psql: str, texts: Iterable[str]) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """The generic plan of each text for a superuser, whom no policy helps; in words, if there is none."""
    script = [OPAQUE, ONE_BY_ONE, "set plan_cache_mode = force_generic_plan;"]
    texts = list(texts)
    for number, text in enumerate(texts):
        script.append(f"\\echo @@ {number}\nprepare q as\n{text}\n;")
        # Each id is the organization's: which parameter of the statement that is, the plan says.
        script.append(
            "select format('explain (format json) execute q%s', '(' || string_agg(case t::text"
            f" when 'uuid' then '''{ORGANIZATION}''' when 'uuid[]' then '''{{{ORGANIZATION}}}''' else 'null' end, ',')"
            " || ')') from pg_prepared_statements p left join unnest(p.parameter_types) t on true where p.name = 'q'"
            " group by p.name\n\\gexec\ndeallocate q;"
        )
    out = subprocess.run(
        [psql, "-XqAt", "-d", "twin"], input="\n".join(script), capture_output=True, text=True, check=True
    )
    for answer in out.stdout.split("@@ ")[1:]:
        number, _, plan = answer.partition("\n")
        yield texts[int(number)], json.loads(plan)[0]["Plan"] if plan.startswith("[") else out.stderr[:2000]


def judge(plan: dict[str, Any]) -> str:
    found = list(scans(plan))
    if len({part for part, _ in found}) <= 1:
        return "own"
    everywhere = defaultdict(set)
    for part, node in found:
        everywhere[node["Relation Name"].rsplit("__", 1)[0], node.get("Alias", "").rsplit("_", 1)[0]].add(part)
    several = {name for (name, _), parts in everywhere.items() if len(parts) > 1}
    of_several = [node for _, node in found if node["Relation Name"].rsplit("__", 1)[0] in several]
    return "correlated" if all(map(is_correlated, of_several)) else "across"


# --- the summary


def known(text: str) -> str | None:
    flat = " ".join(text.split())
    return next((reason for part, reason in STATEMENTS.items() if part in flat), None)


def show(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 400 else flat[:400] + " …"


def catalogue(psql: str) -> None:
    count = """
        select format('%s tables distributed, %s reference or local: %s', count(*) filter (where relkind = 'p'),
                count(*) filter (where relkind = 'r'), string_agg(relname, ', ' order by relname) filter (where relkind = 'r'))
            from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
        union all select format('%s primary keys and unique indexes of distributed tables, all with organization_id', count(*))
            from pg_index i join pg_class c on c.oid = i.indrelid where c.relkind = 'p' and i.indisunique
        union all select format('%s foreign keys between them, %s with organization_id on both sides', count(*), count(*) filter (where
                (select attname from pg_attribute where attrelid = k.conrelid and attnum = k.conkey[1]) = 'organization_id'
                and (select attname from pg_attribute where attrelid = k.confrelid and attnum = k.confkey[1]) = 'organization_id'))
            from pg_constraint k join pg_class c on c.oid = k.conrelid and c.relkind = 'p' and not c.relispartition
            join pg_class r on r.oid = k.confrelid and r.relkind = 'p' and not r.relispartition
            where k.contype = 'f' and k.conparentid = 0"""
    print(subprocess.run([psql, "-XqAt", "-d", "twin", "-c", count], capture_output=True, text=True, check=True).stdout, end="")


def main() -> int:
    psql, plans, queries = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    static = {json.loads(file.read_text())["query"].strip() for file in queries.glob("*.json")}
    runs = executed(plans)
    by_application = {run: parts for run, parts in runs.items() if run.user == APPLICATION}
    # Not what functions or foreign keys execute: that can be asked for by no client.
    # What has a semicolon is several statements, which only tests send.
    dynamic = {
        run.text
        for run in by_application
        if run.function is None and "OPERATOR(pg_catalog" not in run.text and ";" not in run.text
    } - static

    wrong: list[str] = []
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for run, parts in by_application.items():
        if len(parts) > 1:
            where = f"function {run.function}" if run.function else "the application"
            reason = FUNCTIONS.get(run.function or "") or known(run.text)
            if reason:
                reasons[where][reason] += 1
            else:
                wrong.append(f"{where} went to parts {sorted(parts)}: {show(run.text)}")

    verdicts: Counter[str] = Counter()
    correlated = []
    for text, plan in explained(psql, sorted(static | dynamic)):
        if isinstance(plan, str):
            verdicts["command" if COMMAND.match(text) else "unplanned"] += 1
            if not COMMAND.match(text):
                wrong.append(f"Postgres does not plan this in the twin: {show(text)}")
            continue
        verdict = judge(plan)
        if verdict == "across" and (reason := known(text)):
            verdict = "known"
            reasons["by its text"][reason] += 1
        elif verdict == "across" or (verdict == "correlated" and text in static):
            wrong.append(f"its own text does not name the organization for each table: {show(text)}")
        verdicts[verdict] += 1
        if verdict == "correlated":
            correlated.append(text)

    catalogue(psql)
    seen = {run.text for run in by_application}
    print(f"{len(static)} statements in .sqlx, {len(static & seen)} of them executed by the tests; {len(dynamic)} others executed")
    print(f"    {verdicts['own']} go to one node by their own text, which names the organization for each table")
    print(f"    {verdicts['correlated']} name it for one table, and look up rows of another by that row's organization")
    print(f"    {verdicts['command']} are commands of a transaction, {verdicts['known']} go across")
    inside = {run for run in by_application if run.function}
    print(f"{len(inside)} statements inside functions and triggers: {', '.join(sorted({run.function or '' for run in inside}))}")
    print("Across organizations go:")
    for where, of in sorted(reasons.items()):
        for reason, times in of.items():
            print(f"    {where}: {reason} ({times})")
    if "--all" in sys.argv:
        for text in correlated:
            print("correlated:", show(text))
    for line in wrong:
        print("WRONG", line)
    print(f"{len(wrong)} that should not go to several nodes" if wrong else "Nothing else leaves its organization's node.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
