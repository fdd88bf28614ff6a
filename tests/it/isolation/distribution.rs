//! What a Postgres distributed by `organization_id` would stumble over, beyond the keys that `walls` looks at. docs/scaling.md names
//! it all, and tells what to do about it. `./dev distribution` looks at the statements.

use harness::{Database, repository};

#[tokio::test]
async fn what_a_distributed_postgres_would_stumble_over_is_named_in_the_document() {
    let database = Database::create().await;
    let document = std::fs::read_to_string(repository("docs/scaling.md")).expect("the document");
    let named = [
        (
            "triggers",
            "select distinct p.proname as name from pg_trigger t join pg_proc p on p.oid = t.tgfoid where not t.tgisinternal",
        ),
        (
            "functions that read the organization from a setting, not from their arguments",
            "select proname as name from pg_proc where pronamespace = 'public'::regnamespace
             and prokind = 'f' and prosrc ~ 'current_organization_id\\(\\)'",
        ),
        (
            "functions that look across organizations",
            "select proname as name from pg_proc where proowner = 'tenantry_across'::regrole",
        ),
        (
            "tables that are not distributed, and whatever else has a key without the organization",
            "select relname as name from pg_class c where relnamespace = 'public'::regnamespace and relkind = 'r'
             and not exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                 where i.indrelid = c.oid and i.indisprimary and a.attname = 'organization_id')",
        ),
        (
            "foreign keys of what is not distributed",
            "select conname as name from pg_constraint k where contype = 'f' and connamespace = 'public'::regnamespace
             and not exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                 where i.indrelid = k.conrelid and i.indisprimary and a.attname = 'organization_id')",
        ),
        (
            "foreign keys that clear a column, which Citus refuses",
            "select conname as name from pg_constraint where contype = 'f' and confdeltype in ('n', 'd')",
        ),
    ];
    for (what, select) in named {
        let rows = database.rows(select).await;
        assert!(!rows.is_empty(), "{what}: the look-up finds nothing any more");
        for row in rows {
            let name = row["name"].as_str().expect("a name");
            assert!(document.contains(&format!("`{name}`")), "docs/scaling.md does not name `{name}` ({what})");
        }
    }
    let absent = [
        (
            "a sequence counts for all nodes",
            "select relname as name from pg_class where relkind = 'S' and relnamespace = 'public'::regnamespace",
        ),
        (
            "a view is no table",
            "select relname as name from pg_class where relkind in ('v', 'm') and relnamespace = 'public'::regnamespace",
        ),
        ("an exclusion constraint looks at one node", "select conname as name from pg_constraint where contype = 'x'"),
    ];
    for (why, select) in absent {
        let rows = database.rows(select).await;
        assert!(rows.is_empty(), "{why}: {rows:?}");
    }
}
