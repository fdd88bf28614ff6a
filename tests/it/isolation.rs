//! Organizations never meet. What is walked here is the OpenAPI document: an operation is covered the day it is born.

use std::collections::BTreeMap;

use harness::{Caller, Database, PASSWORD, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::frame::{OPEN, SIGNED, document, operations};
use crate::saml_connections::connect;

/// Stands in everything that the victim owns, and must stand in no answer to anyone else.
pub(crate) const MARK: &str = "zebraworks";

/// Two organizations with objects of every kind, and what the walks need of them.
pub(crate) struct Two {
    pub(crate) app: TestApp,
    attacker: Caller,
    pub(crate) victim: Caller,
    /// An id of each kind of object that the victim has, by the name of its table.
    ids: BTreeMap<String, String>,
}

impl Two {
    pub(crate) async fn start() -> Self {
        let app = TestApp::start().await;
        let victim = app.organization(MARK).administrator().await;
        let attacker = app.organization("attacker").administrator().await;
        victim.post("/users", json!({ "email": format!("user@{MARK}.example"), "first_name": MARK })).await.created();
        victim.member(&format!("member@{MARK}.example"), "reader").await;
        victim.invite(&format!("open@{MARK}.example"), "reader").await;
        victim.post("/teams", json!({ "name": MARK, "members": [victim.id] })).await.created();
        app.anonymous()
            .under(MARK)
            .post("/iam/password-reset", json!({ "email": format!("user@{MARK}.example") }))
            .await
            .accepted();
        victim.post("/invitations/resend", json!({ "status": "pending" })).await.accepted();
        victim.post("/email-suppressions", json!({ "address": format!("never@{MARK}.example") })).await.created();
        victim.post("/email-domains", json!({ "domain": format!("{MARK}.example") })).await.created();
        victim.post("/iam/auth-tokens", json!({ "name": MARK })).await.created();
        victim.call(Method::POST, "/iam/session-token").await.ok();
        for someone in [&victim, &attacker] {
            someone.post("/saml/keys", json!({ "common_name": "sso", "key_size": 2048 })).await.created();
        }
        for (someone, name) in [(&victim, MARK), (&attacker, "attacker")] {
            someone.put("/enterprise-binding", json!({ "id": name, "name": name })).await.ok();
            someone.patch("/analysts/current", json!({ "consent_given": true })).await.ok();
            someone.post("/usage/increment", json!({})).await.ok();
        }
        victim.post("/saml/keys", json!({ "common_name": MARK, "key_size": 2048 })).await.created();
        connect(&victim, json!({ "name": MARK, "domains": [format!("{MARK}.example")] })).await;
        app.settle().await;
        let ids = ids_of(app.database(), MARK).await;
        for table in [
            "users",
            "invitations",
            "email_messages",
            "email_suppressions",
            "email_domains",
            "jobs",
            "user_groups",
            "teams",
            "folders",
            "sessions",
            "personal_access_tokens",
            "saml_connections",
            "saml_keys",
            "session_tokens",
            "audit_events",
        ] {
            assert!(ids.contains_key(table), "the victim has {table}");
        }
        Self { app, attacker, victim, ids }
    }

    fn id(&self, table: &str) -> &str {
        &self.ids[table]
    }

    /// A digest of every row that the victim owns.
    pub(crate) async fn digest(&self) -> BTreeMap<String, Value> {
        self.digest_of(MARK).await
    }

    /// A digest of every row that an organization owns.
    pub(crate) async fn digest_of(&self, slug: &str) -> BTreeMap<String, Value> {
        let database = self.app.database();
        let mut digests = BTreeMap::new();
        for table in database.tenant_tables().await {
            let select = format!(
                "select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) || ' ' || count(*) as digest
                 from {table} t where organization_id =
                     (select organization_id from organization_slugs where slug_key = '{slug}')"
            );
            digests.insert(table, database.value(&select).await);
        }
        digests
    }
}

async fn ids_of(database: &Database, slug: &str) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for table in database.tenant_tables().await {
        let columns =
            format!("select attname as name from pg_attribute where attrelid = '{table}'::regclass and attname = 'id'");
        if database.rows(&columns).await.is_empty() {
            continue;
        }
        let select = format!(
            "select id from {table} where organization_id =
                 (select organization_id from organization_slugs where slug_key = '{slug}') order by id desc limit 1"
        );
        if let Some(row) = database.rows(&select).await.first() {
            ids.insert(table, row["id"].as_str().expect("an id").to_owned());
        }
    }
    ids
}

/// A value for a schema of the document. Ids are those of another organization; what else a field takes goes by its name.
fn example(document: &Value, schema: &Value, name: &str, two: &Two) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.trim_start_matches("#/").split('/').fold(document, |at, part| &at[part]);
        return example(document, target, name, two);
    }
    if let Some(parts) =
        schema["allOf"].as_array().or_else(|| schema["oneOf"].as_array()).or_else(|| schema["anyOf"].as_array())
    {
        return example(document, &parts[0], name, two);
    }
    if let Some(values) = schema["enum"].as_array() {
        return values[0].clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(|(name, schema)| (name.clone(), example(document, schema, name, two))).collect()
        }
        Some("array") => json!([example(document, &schema["items"], name, two)]),
        Some("boolean") => json!(true),
        Some("integer" | "number") => json!(if name == "valid_for" { 3_600 } else { 1 }),
        Some("string") => match (schema["format"].as_str(), name) {
            (Some("uuid"), "folder") => json!(two.id("folders")),
            (Some("uuid"), "user_groups") => json!(two.id("user_groups")),
            (Some("uuid"), "teams") => json!(two.id("teams")),
            (Some("uuid"), _) => json!(two.id("users")),
            (Some(format), _) if format.contains("time") => json!("2099-01-01T00:00:00Z"),
            (Some(format), _) if format.contains("date") => json!("2099-01-01"),
            (_, "email" | "invitee_identifier" | "admin_email" | "username") => json!("somebody@example.com"),
            (_, "role") => json!("reader"),
            (_, "locale") => json!("en"),
            _ => json!(PASSWORD),
        },
        // Anything: a JSON object is, most of the time.
        _ => json!({}),
    }
}

fn body(document: &Value, operation: &Value, two: &Two) -> Option<Value> {
    let content = operation["requestBody"]["content"].as_object()?;
    let (_, media) = content.iter().next().expect("a body has a type");
    let mut body = example(document, &media["schema"], "body", two);
    if operation["operationId"] == "create_invitations" {
        body = json!([{ "invitee_identifier": "somebody@example.com", "user_groups": [two.id("user_groups")] }]);
    }
    Some(body)
}

/// The path with its parameters filled in, ids with this one. None if it takes no id and one was to be tried.
fn fill(path: &str, id: Option<&str>) -> Option<String> {
    let path = path.strip_prefix("/v1/orgs/{organization_slug}").expect("a path below an organization");
    let takes_an_id = path.contains('{');
    match id {
        None if takes_an_id => None,
        None => Some(path.to_owned()),
        Some(_) if !takes_an_id => None,
        Some(id) => Some(
            path.split('{')
                .enumerate()
                .map(|(n, part)| {
                    if n == 0 {
                        part.to_owned()
                    } else {
                        format!("{id}{}", part.split_once('}').map_or("", |(_, rest)| rest))
                    }
                })
                .collect(),
        ),
    }
}

/// Operations below an organization that need a credential: method, path, operation.
fn tenant_operations(document: &Value) -> Vec<(Method, String, Value)> {
    let all = operations(document).into_iter().filter(|(_, path, operation)| {
        path.starts_with("/v1/orgs/{organization_slug}")
            && !OPEN.contains(&operation["operationId"].as_str().unwrap_or_default())
    });
    let all: Vec<_> = all.collect();
    assert!(all.len() >= 20, "the walk has somewhere to go");
    all
}

async fn send(caller: &Caller, method: &Method, path: &str, body: Option<&Value>) -> harness::Answer {
    let call = caller.call(method.clone(), path);
    let answer = match body {
        Some(body) => call.json(body.clone()).await,
        None => call.await,
    };
    assert!(!answer.status.is_server_error(), "{}", answer.whole());
    answer
}

#[tokio::test]
async fn a_credential_of_another_organization_finds_nothing() {
    let two = Two::start().await;
    let document = document();
    let before = two.digest().await;
    let intruder = two.attacker.under(MARK);
    for (method, path, operation) in tenant_operations(&document) {
        let body = body(&document, &operation, &two);
        for id in std::iter::once(None).chain(two.ids.values().map(|id| Some(id.as_str()))) {
            let Some(path) = fill(&path, id) else { continue };
            send(&intruder, &method, &path, body.as_ref()).await.problem(404, "not_found");
            // Just as for an organization that is not there.
            let nowhere = two.attacker.under("nowhere");
            send(&nowhere, &method, &path, body.as_ref()).await.problem(404, "not_found");
        }
    }
    assert_eq!(two.digest().await, before, "the victim's rows are as they were");
    two.app.finish().await;
}

#[tokio::test]
async fn ids_of_another_organization_find_nothing_under_ones_own_slug() {
    let two = Two::start().await;
    let document = document();
    let before = two.digest().await;
    for (method, path, operation) in tenant_operations(&document) {
        let body = body(&document, &operation, &two);
        for id in two.ids.values() {
            let Some(path) = fill(&path, Some(id)) else { continue };
            let answer = send(&two.attacker, &method, &path, body.as_ref()).await;
            assert!(answer.status == 404 || answer.status == 400 && body.is_some(), "{}", answer.whole());
            assert!(!answer.text.to_lowercase().contains(MARK), "{}", answer.whole());
        }
        // Ids in the body alone.
        let (Some(path), Some(body)) = (fill(&path, None), body) else { continue };
        if two.ids.values().any(|id| body.to_string().contains(id.as_str())) {
            let answer = send(&two.attacker, &method, &path, Some(&body)).await;
            let all = |list: &str, refused: &dyn Fn(&Value) -> bool| {
                answer.json()[list].as_array().is_some_and(|rows| !rows.is_empty() && rows.iter().all(refused))
            };
            let rows_refused = all("results", &|row| row["status"] == 400)
                || answer.json()["succeeded"] == json!([]) && all("failed", &|row| row["code"] == "not_found");
            assert!(answer.status == 400 || rows_refused, "{}", answer.whole());
            assert!(!answer.text.to_lowercase().contains(MARK), "{}", answer.whole());
        }
    }
    assert_eq!(two.digest().await, before, "the victim's rows are as they were");
    two.app.finish().await;
}

#[tokio::test]
async fn lists_show_nothing_of_another_organization_whatever_the_filter() {
    let two = Two::start().await;
    let document = document();
    let before = two.digest().await;
    let mut tried = 0;
    for (method, path, operation) in operations(&document) {
        if method != Method::GET || OPEN.contains(&operation["operationId"].as_str().unwrap_or_default()) {
            continue;
        }
        let path = path.replace("{organization_slug}", "attacker");
        if path.contains('{') {
            continue;
        }
        let answer = send(&two.attacker, &method, &path, None).await;
        let leads_elsewhere = operation["operationId"] == "go_to_portal";
        assert_eq!(answer.status, if leads_elsewhere { 303 } else { 200 }, "{}", answer.whole());
        assert!(!answer.text.to_lowercase().contains(MARK), "{}", answer.whole());
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "query") {
            let name = parameter["name"].as_str().expect("a name");
            for value in two.ids.values().map(String::as_str).chain([MARK]) {
                let answer = send(&two.attacker, &method, &format!("{path}?{name}={value}"), None).await;
                // 404: whose list was asked for is not there.
                assert!([200, 400, 404].contains(&answer.status.as_u16()), "{}", answer.whole());
                // The links of a list repeat its filters.
                let mut json = answer.json();
                json["next"] = Value::Null;
                json["previous"] = Value::Null;
                assert!(!json["results"].to_string().to_lowercase().contains(MARK), "{}", answer.whole());
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "filters were tried");
    assert_eq!(two.digest().await, before, "the victim's rows are as they were");
    two.app.finish().await;
}

#[tokio::test]
async fn without_a_live_credential_every_door_is_closed() {
    let two = Two::start().await;
    let document = document();
    let signed_out = two.victim.again().await;
    signed_out.call(Method::POST, "/iam/logout").await.no_content();
    let before = two.digest().await;
    let live = two.victim.token().to_owned();
    let flipped: String = live.chars().rev().collect();
    let credentials = [
        None,
        Some(format!("Bearer {}", signed_out.token())),
        Some("Bearer".to_owned()),
        Some("Bearer nonsense".to_owned()),
        Some(format!("Bearer {}", &live[..live.len() - 1])),
        Some(format!("Bearer {flipped}")),
        Some(format!("Basic {live}")),
        Some(live.clone()),
        Some(format!("Bearer tnt_s_{}", "1".repeat(72))),
        Some(format!("Bearer {}{}", "x".repeat(6_000), live)),
    ];
    for (method, path, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        if OPEN.contains(&id) || SIGNED.contains(&id) {
            continue;
        }
        let path = path.replace("{organization_slug}", MARK);
        let path: String = path
            .split('{')
            .enumerate()
            .map(|(n, part)| {
                if n == 0 {
                    part.to_owned()
                } else {
                    format!("{}{}", two.id("users"), part.split_once('}').map_or("", |(_, rest)| rest))
                }
            })
            .collect();
        for credential in &credentials {
            let caller = two.victim.with_authorization(credential.as_deref());
            send(&caller, &method, &path, None).await.problem(401, "not_authenticated");
        }
    }
    assert_eq!(two.digest().await, before, "the victim's rows are as they were");
    two.app.finish().await;
}

/// What operators may do to any organization.
const OF_OPERATORS: &[&str] = &[
    "get_organization",
    "replace_organization",
    "change_organization",
    "delete_organization",
    "restore_organization",
    "get_usage",
    "set_usage_limit",
    "list_email_domains",
    "create_email_domain",
    "get_email_domain",
    "delete_email_domain",
    "verify_email_domain",
];

#[tokio::test]
async fn an_operator_sees_the_directory_and_nothing_below_it() {
    let two = Two::start().await;
    let operator = two.app.organization("platform").administrator().await.under(MARK);
    let document = document();
    let before = two.digest().await;
    operator.get("").await.ok();
    for (method, path, operation) in tenant_operations(&document) {
        if OF_OPERATORS.contains(&operation["operationId"].as_str().unwrap_or_default()) {
            continue;
        }
        let body = body(&document, &operation, &two);
        for id in std::iter::once(None).chain(two.ids.values().map(|id| Some(id.as_str()))) {
            let Some(path) = fill(&path, id) else { continue };
            send(&operator, &method, &path, body.as_ref()).await.problem(404, "not_found");
        }
    }
    assert_eq!(two.digest().await, before, "the victim's rows are as they were");
    two.app.finish().await;
}

#[tokio::test]
async fn one_address_in_two_organizations_is_two_people() {
    let app = TestApp::start().await;
    let acme = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let here = acme.member("bob@example.com", "reader").await;
    let there = globex.member("bob@example.com", "administrator").await;
    assert_ne!(here.id, there.id);
    acme.delete(&format!("/users/{}", here.id)).await.no_content();
    here.get("/iam/current-user").await.problem(401, "not_authenticated");
    there.get("/iam/current-user").await.ok();
    app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.problem(401, "invalid_credentials");
    app.anonymous().sign_in("globex", "bob@example.com", PASSWORD).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_slug_is_taken_whatever_its_case() {
    let app = TestApp::start().await;
    let admin = app.organization("AcMe").administrator().await;
    admin.under("acme").get("/users").await.ok();
    admin.under("ACME").get("/users").await.ok();
    assert_eq!(admin.under("acme").get("").await.ok()["slug"], "AcMe");
    app.anonymous().sign_in("aCmE", &admin.email, PASSWORD).await.ok();
    app.finish().await;
}

// --- the second wall: the database alone

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
