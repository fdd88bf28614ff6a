"""Reads a dump of the schema, writes its twin: each table with an organization_id is cut into parts by a hash of it.

    pg_dump … | python twin.py >twin.sql

A part stands for a node of a distributed Postgres. Postgres refuses the twin a primary key or a unique index without
organization_id, as Citus would; and the plan of a statement names the parts it goes to.
"""

import re
import sys

PARTS = 8

# Small, read far more often than written, and looked for by what is not an organization: a copy on every node.
REFERENCE = {"organization_slugs", "proven_email_domains"}

# Where the schema of a database that was just migrated is taken out, for this one to be put in.
BEGIN = """\
drop schema public cascade;
create schema public;
alter schema public owner to pg_database_owner;
grant usage on schema public to public;
"""

# What refuses in a part is named as on a node of Citus: as the whole table's, with a number behind.
NAME_PARTS = """\
do $$
declare
    part record;
begin
    for part in
        select i.inhrelid::regclass as index, left(whole.relname, 60) || '_' || substring(t.relname from '__(\\d)$') as name
        from pg_inherits i join pg_class whole on whole.oid = i.inhparent and whole.relkind = 'I'
        join pg_index x on x.indexrelid = i.inhrelid join pg_class t on t.oid = x.indrelid
    loop
        execute format('alter index %s rename to %I', part.index, part.name);
    end loop;
end $$;
"""


def cut(table: re.Match[str]) -> str:
    whole, name, columns = table[0], table[1], table[2]
    if name in REFERENCE or not re.search(r"^ *organization_id uuid NOT NULL", columns, re.MULTILINE):
        return whole
    parts = (
        f"CREATE TABLE public.{name}__{part} PARTITION OF public.{name}"
        f" FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part});"
        for part in range(PARTS)
    )
    return "\n".join([whole[:-1] + " PARTITION BY HASH (organization_id);", *parts])


def main() -> None:
    dump = sys.stdin.read()
    # What only psql understands; the tests' harness has none.
    dump = re.sub(r"^\\(un)?restrict .*\n", "", dump, flags=re.MULTILINE)
    dump = re.sub(r"^CREATE TABLE public\.(\w+) \(\n(.*?)\n\);", cut, dump, flags=re.MULTILINE | re.DOTALL)
    # A key of the whole table is one of each part.
    sys.stdout.write(BEGIN + dump.replace("ALTER TABLE ONLY public.", "ALTER TABLE public.") + NAME_PARTS)


if __name__ == "__main__":
    main()
