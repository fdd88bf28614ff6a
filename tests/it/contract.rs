//! What the document promises about every operation. `./dev check --api` asks whether answers keep it; here is what it does
//! not ask.

use harness::{EMAIL_EVENTS_SECRET, Processes, TestApp, Which, run_to_end};
use reqwest::Method;
use serde_json::{Value, json};

use crate::frame::{OPEN, document, operations};

/// Paths of ours that are not in the document.
const OTHERS: &[&str] = &[
    "/",
    "/sign-in",
    "/sign-in/password",
    "/sign-in/with-token",
    "/sign-in/with-token/continue",
    "/sign-in/code",
    "/sign-in/sent",
    "/sign-out",
    "/invitations/accept",
    "/invitations/decline",
    "/invitations/declined",
    "/password-reset",
    "/password-reset/sent",
    "/password-reset/confirm",
    "/password-change",
    "/second-factor",
    "/v1/saml/acme/metadata",
    "/v1/saml/acme/login",
    "/v1/saml/acme/acs",
    "/v1/saml/acme/slo",
    "/reminders/stop",
    "/reminders/stopped",
    "/assets/app.css",
    "/assets/logos/acme.png",
    "/livez",
    "/readyz",
    "/openapi.json",
    "/docs",
];

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::start().await;
    let document = document();
    let documented = document["paths"].as_object().expect("paths").keys();
    let paths = documented.map(|path| path.replace("{organization_slug}", "acme").replace(['{', '}'], ""));
    for path in paths.chain(OTHERS.iter().map(|path| (*path).to_owned())) {
        let url = format!("{}{path}", app.url());
        let lost = app.anonymous().call(Method::TRACE, &url).await;
        assert_eq!(lost.status, 405, "{}", lost.whole());
        let allowed: Vec<&str> = lost.header("allow").split(", ").collect();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let answer = app.anonymous().call(method.parse().expect("a method"), &url).await;
            assert_eq!(answer.status != 405, allowed.contains(&method), "{method} {path}: {allowed:?}");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn a_list_can_be_ordered_by_all_that_the_document_names() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let document = document();
    for (_, path, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let mut orderings = parameters.filter(|parameter| parameter["name"] == "ordering");
        let Some(ordering) = orderings.next() else { continue };
        let orders: Vec<&str> =
            ordering["schema"]["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert!(orders.len() > 1, "{path}: its description says \"Ordered by `a` or `b`.\"");
        let url = format!("{}{}", app.url(), path.replace("{organization_slug}", "acme"));
        for order in orders {
            admin.get(&format!("{url}?ordering={order}")).await.ok();
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn a_report_is_signed_by_the_document_s_own_lines() {
    let document = document();
    let description = document["paths"]["/v1/email-events"]["post"]["description"].as_str().expect("a description");
    let lines = description.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("shell lines");
    let mut tenantry = Processes::start().await;
    tenantry.set("EMAIL_EVENTS_SECRET", EMAIL_EVENTS_SECRET);
    tenantry.terminate(Which::Api).await;
    tenantry.start_one(Which::Api).await;
    tenantry.administrator_of("acme").await.invite("bob@example.com", "reader").await;
    let mail = tenantry.mailbox().last_to("bob@example.com").await;
    tenantry.settle().await;
    let message_id = mail.header("Message-ID").expect("a Message-ID");
    let event = |id: &str| json!({ "message_id": id, "event": "delivered", "at": "2026-01-01T00:00:00Z" });
    let report = json!([event(&message_id), event("<another@example.com>")]);
    std::fs::write(tenantry.folder().join("body.json"), report.to_string()).expect("a file");
    let script = format!("cd '{}'\n{lines}", tenantry.folder().display());
    let environment = [("TENANTRY_URL", tenantry.url()), ("EMAIL_EVENTS_SECRET", EMAIL_EVENTS_SECRET)];
    let (code, said) = run_to_end("bash", &["-eu", "-o", "pipefail", "-c", &script], &environment).await;
    assert!(code == Some(0) && said.contains(r#"{"recorded":1,"unknown":1}"#), "{code:?}: {said}");
}

#[test]
fn an_operation_has_only_the_problems_that_it_can_have() {
    for (method, path, operation) in operations(&document()) {
        let id = operation["operationId"].as_str().expect("an id");
        let has = |status: &str| operation["responses"][status].is_object();
        let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
        let takes = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
        assert_eq!(has("412"), takes("If-Match"), "{id}: 412 is for If-Match");
        assert_eq!(has("415"), operation["requestBody"].is_object(), "{id}: 415 is for bodies");
        // A sign-in is refused so to someone whose password was right.
        assert_eq!(has("403"), !OPEN.contains(&id) || id == "iam_login", "{id}: 403 is for those who are known");
        assert!(has("401") || OPEN.contains(&id), "{id}: 401 is for strangers");
        assert!(has("409") || method == Method::GET, "{id}: what changes something may meet a conflict");
        assert!(has("404") || !path.contains('{'), "{id}: not everything is there");
        for (status, response) in operation["responses"].as_object().expect("responses") {
            assert!(response["headers"]["X-Request-Id"].is_object(), "{id} {status}");
        }
    }
}

#[test]
fn a_request_is_closed_and_an_answer_shows_every_field() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["InvitationIn"]["additionalProperties"], json!(false));
    assert_eq!(schemas["Invitation"]["additionalProperties"], Value::Null, "a later release may show more");
    let message = &schemas["Invitation"]["properties"]["message"];
    assert_eq!(message["nullable"], json!(true));
    for name in ["Invitation", "User", "Email", "UserList"] {
        let schema = &schemas[name];
        let shown = schema["properties"].as_object().expect("properties").len();
        assert_eq!(schema["required"].as_array().map(Vec::len), Some(shown), "{name}");
    }
    // In a PATCH null clears, where something can be cleared.
    let patch = &schemas["UserPatchIn"]["properties"];
    assert_eq!((&patch["observation"]["nullable"], &patch["email"]["nullable"]), (&json!(true), &Value::Null));
}

/// A generator of clients makes a type of each schema that has a name, and invents a name for what has none.
#[test]
fn what_a_client_calls_by_a_name_has_one() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        let is_plain = name.starts_with(char::is_uppercase) && name.chars().all(char::is_alphanumeric);
        assert!(is_plain && !name.ends_with("Out"), "{name}: a name for programs that don't know ours");
        assert!(schema["title"].is_null() || schema["title"] == name.as_str(), "{name}: {}", schema["title"]);
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let words = [&property["enum"], &property["items"]["enum"]];
            let is_choice = words.iter().any(|words| words[0].is_string() && !words[1].is_null());
            assert!(!is_choice, "{name}.{field}: an enumeration without a name");
            let parts = property["allOf"].as_array().map_or(1, Vec::len);
            assert_eq!(parts, 1, "{name}.{field}: a mixture, where a reference is meant");
            assert!(property["default"].is_null(), "{name}.{field}: clients would send it, or demand it");
        }
    }
}
