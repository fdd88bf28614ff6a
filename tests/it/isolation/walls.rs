//! The second wall: the database alone.

use harness::{Database, TestApp};
use serde_json::json;

use super::{MARK, Two};

/// Tables with an organization that are not one organization's own, and why.
const DIRECTORY: &[(&str, &str)] = &[
    ("organizations", "operators see the directory, so its policy has a second branch"),
    (
        "proven_email_domains",
        "a domain is proven for one organization at a time, so its key is the domain alone; rows are walled off",
    ),
    ("organization_slugs", "a sign-in looks slugs up before it knows an organization; only a named function reads it"),
];

/// Tables that are of no organization, and why.
const OF_ALL: &[(&str, &str)] = &[
    ("_sqlx_migrations", "which migrations have run; the application can't even read it"),
    (
        "schedules",
        "one row for what recurs: names, times, counts and ids, which say nothing about who is in an organization",
    ),
];

/// Foreign keys without an index of their own, and why: what they refer to does not go, or few rows refer.
const NOT_INDEXED: &[(&str, &str)] = &[
    ("invitations_email_fkey", "a mail goes with its organization only"),
    ("saml_connections_group_fkey", "an organization has few connections"),
    ("saml_requests_connection_fkey", "a connection goes seldom, and a request lives for minutes"),
];

#[tokio::test]
async fn every_tenant_table_is_walled_off_and_its_keys_begin_with_the_organization() {
    let database = Database::create().await;
    let is_directory = |table: &str| DIRECTORY.iter().any(|(name, _)| *name == table);
    let tables = database.tenant_tables().await;
    assert!(tables.len() >= 15, "{tables:?}");
    for table in &tables {
        let row = &database.rows(&format!("select relrowsecurity as on, relforcerowsecurity as forced from pg_class where oid = '{table}'::regclass")).await[0];
        assert!(
            table == "organization_slugs" || row["on"] == true && row["forced"] == true,
            "{table} has no forced row-level security"
        );
        if is_directory(table) {
            continue;
        }
        let policies = database
            .rows(&format!(
                "select policyname, roles::text, cmd, qual, with_check from pg_policies where tablename = '{table}'"
            ))
            .await;
        let condition = "(organization_id = current_organization_id())";
        for policy in &policies {
            let is_ours = policy["roles"] == "{tenantry_across}";
            assert!(
                is_ours || policy["qual"] == condition && policy["with_check"] == condition && policy["cmd"] == "ALL",
                "{table}: {policy}"
            );
        }
        assert!(policies.iter().any(|policy| policy["policyname"] == "tenant"), "{table} has no policy");
        let keys = database
            .rows(&format!(
                "select conname as name, contype as kind,
                     (select attname from pg_attribute where attrelid = conrelid and attnum = conkey[1]) as first,
                     (select attname from pg_attribute where attrelid = confrelid and attnum = confkey[1]) as referenced
                 from pg_constraint where conrelid = '{table}'::regclass and contype in ('p', 'u', 'f')"
            ))
            .await;
        for key in &keys {
            assert_eq!(key["first"], "organization_id", "{table}: {key}");
            assert!(key["kind"] != "f" || key["referenced"] == "organization_id", "{table}: {key}");
        }
        assert!(keys.iter().any(|key| key["kind"] == "p"), "{table} has no primary key");
        let unique = database
            .rows(&format!(
                "select indexrelid::regclass::text as name,
                     (select attname from pg_attribute where attrelid = indrelid and attnum = indkey[0]) as first
                 from pg_index where indrelid = '{table}'::regclass and indisunique"
            ))
            .await;
        for index in &unique {
            assert_eq!(index["first"], "organization_id", "{table}: {index}");
        }
    }
    // And no table escapes by lacking the column.
    let others = database
        .rows(
            "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'm', 'v')
             and not exists (select from pg_attribute where attrelid = pg_class.oid and attname = 'organization_id')
             order by relname collate \"C\"",
        )
        .await;
    let others: Vec<_> = others.iter().filter_map(|row| row["name"].as_str()).collect();
    let mut named: Vec<_> = OF_ALL.iter().map(|(name, _)| *name).collect();
    named.sort_unstable();
    assert_eq!(others, named, "tables without an organization are named here, with a reason");
}

/// Else Postgres reads all of the organization's rows whenever one that they may refer to is deleted.
#[tokio::test]
async fn every_foreign_key_is_found_by_an_index() {
    let database = Database::create().await;
    let keys = database
        .rows(
            "select c.conname as name, exists (select from pg_index i where i.indrelid = c.conrelid
                 and (c.conkey <@ (i.indkey::int2[])[0:cardinality(c.conkey) - 1])
                 and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) ~ '^\\(\\w+ IS NOT NULL\\)$')) as is_indexed
             from pg_constraint c where c.contype = 'f' and c.confrelid <> 'organizations'::regclass",
        )
        .await;
    assert!(keys.len() >= 40, "{}", keys.len());
    for key in &keys {
        let is_known = NOT_INDEXED.iter().any(|(name, _)| key["name"] == *name);
        assert_eq!(key["is_indexed"] == false, is_known, "{key}");
    }
}

#[tokio::test]
async fn the_application_owns_nothing_and_can_get_round_nothing() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    let database = app.database();
    let role = &database
        .rows_for_application(
            "select r.rolsuper, r.rolbypassrls, r.rolcreatedb, r.rolcreaterole, r.rolreplication,
                 (select count(*) from pg_class where relowner = r.oid) as tables,
                 (select count(*) from pg_proc where proowner = r.oid) as functions,
                 has_schema_privilege('public', 'create') as creates,
                 array(select b.rolname from pg_auth_members m join pg_roles b on b.oid = m.roleid where m.member = r.oid) as member_of
             from pg_roles r where r.rolname = current_user",
        )
        .await[0];
    for may in ["rolsuper", "rolbypassrls", "rolcreatedb", "rolcreaterole", "rolreplication", "creates"] {
        assert_eq!(role[may], false, "{may}");
    }
    assert_eq!(
        (&role["tables"], &role["functions"], &role["member_of"]),
        (&json!(0), &json!(0), &json!(["tenantry_app"]))
    );
    for forbidden in [
        "alter table users disable row level security",
        "drop table users",
        "create table mine ()",
        "set role tenantry_across",
        "set session_replication_role = replica",
        "truncate users",
    ] {
        assert_eq!(database.as_application(forbidden).await, Err("42501".into()), "{forbidden}");
    }
    app.finish().await;
}

#[tokio::test]
async fn without_a_tenant_the_application_sees_no_rows() {
    let two = Two::start().await;
    let database = two.app.database();
    for table in database.tenant_tables().await {
        if table == "organization_slugs" {
            assert_eq!(database.as_application("select * from organization_slugs").await, Err("42501".into()));
            continue;
        }
        let seen = &database.rows_for_application(&format!("select count(*) as n from {table}")).await[0];
        assert_eq!(seen["n"], 0, "{table}");
    }
    two.app.finish().await;
}

#[tokio::test]
async fn with_one_tenant_the_application_neither_sees_nor_writes_rows_of_another() {
    let two = Two::start().await;
    let database = two.app.database();
    let id = async |slug: &str| {
        database
            .value(&format!("select organization_id::text from organization_slugs where slug_key = '{slug}'"))
            .await
            .as_str()
            .expect("an id")
            .to_owned()
    };
    let (mine, theirs) = (id("attacker").await, id(MARK).await);
    let before = two.digest().await;
    for table in database.tenant_tables().await {
        if table == "organization_slugs" {
            continue;
        }
        // One command string is one transaction, so the setting holds for what follows.
        let begin = format!("set local tenantry.organization_id = '{mine}'");
        let look = format!(
            "begin; {begin}; do $$ begin if exists (select from {table} where organization_id = '{theirs}') then raise 'seen'; end if; end $$; commit"
        );
        assert_eq!(database.as_application(&look).await, Ok(()), "{table}");
        let give = format!(
            "begin; {begin}; do $$ begin update {table} set organization_id = '{theirs}'; if found then raise 'given'; end if; end $$; commit"
        );
        let given = database.as_application(&give).await;
        assert!(given.is_ok() || given == Err("42501".into()), "{table}: rows can be given away: {given:?}");
        let destroy = format!("begin; {begin}; delete from {table} where organization_id = '{theirs}'; commit");
        let _ = database.as_application(&destroy).await;
    }
    assert_eq!(two.digest().await, before);
    two.app.finish().await;
}

#[tokio::test]
async fn the_application_can_neither_change_nor_remove_what_the_audit_log_says() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    let database = app.database();
    let begin = "begin; select set_config('tenantry.organization_id', (select organization_id::text from find_organization('acme')), true)";
    for forbidden in ["update audit_events set action = 'x'", "delete from audit_events", "truncate audit_events"] {
        assert_eq!(
            database.as_application(&format!("{begin}; {forbidden}; commit")).await,
            Err("42501".into()),
            "{forbidden}"
        );
    }
    app.finish().await;
}
