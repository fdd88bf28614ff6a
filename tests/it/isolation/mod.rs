//! Organizations never meet. What is walked here is the OpenAPI document: an operation is covered the day it is born.

mod distribution;
mod doors;
mod walls;

use std::collections::BTreeMap;

use harness::{Caller, Database, PASSWORD, TestApp};
use image::ImageFormat;
use reqwest::Method;
use serde_json::{Value, json};

use crate::frame::{OPEN, operations};
use crate::logos::picture;
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
        victim.call(Method::PUT, "/settings/logo").body("image/png", logo()).await.ok();
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
    let (kind, media) = content.iter().next().expect("a body has a type");
    if kind.starts_with("image/") {
        return Some(json!(kind));
    }
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

fn logo() -> Vec<u8> {
    picture(32, 32, ImageFormat::Png)
}

async fn send(caller: &Caller, method: &Method, path: &str, body: Option<&Value>) -> harness::Answer {
    let call = caller.call(method.clone(), path);
    let answer = match body {
        // A body that is no JSON stands for a picture of this type.
        Some(Value::String(kind)) => call.body(kind, logo()).await,
        Some(body) => call.json(body.clone()).await,
        None => call.await,
    };
    assert!(!answer.status.is_server_error(), "{}", answer.whole());
    answer
}
