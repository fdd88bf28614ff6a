//! Single sign-on that is demanded of everybody: what it takes, whom it locks out, and the ways out.

use harness::{Caller, Processes, TestApp, Which, days, run_to_end};
use serde_json::{Value, json};

use crate::saml_connections::{connect, identity, path};

/// As if a test sign-in had passed.
async fn pass_test(app: &TestApp) {
    app.database().execute("update saml_connections set tested_at = now() where is_active").await;
}

async fn demand(admin: &Caller, body: Value) -> harness::Answer {
    admin.patch("/settings", body).await
}

#[tokio::test]
async fn it_is_demanded_only_where_a_connection_has_passed_a_test() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    demand(&admin, json!({ "sso_required": true })).await.problem(409, "no_tested_connection");
    let connection = connect(&admin, json!({})).await;
    let later = json!({ "sso_required_from": app.clock.now() + days(30) });
    demand(&admin, later).await.problem(409, "no_tested_connection");
    pass_test(&app).await;
    admin.patch(&path(&connection), json!({ "is_active": false })).await.ok();
    demand(&admin, json!({ "sso_required": true })).await.problem(409, "no_tested_connection");
    admin.patch(&path(&connection), json!({ "is_active": true })).await.ok();
    let settings = demand(&admin, json!({ "sso_required": true })).await.ok();
    assert_eq!(settings["sso_required"], true);
    let log = admin.get("/audit-events?action=settings.changed").await.ok();
    let change = &log["results"][0]["details"]["changes"]["sso_required_from"];
    assert_eq!(change["from"], Value::Null);
    assert_ne!(change["to"], Value::Null);
    app.finish().await;
}

#[tokio::test]
async fn it_can_be_dated_into_the_future_moved_and_taken_back() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    connect(&admin, json!({})).await;
    pass_test(&app).await;
    let from = "2098-01-01T08:00:00+00:00";
    let settings = demand(&admin, json!({ "sso_required_from": from })).await.ok();
    assert_eq!((&settings["sso_required"], &settings["sso_required_from"]), (&json!(true), &json!(from)));
    assert_eq!(demand(&admin, settings.clone()).await.ok(), settings, "what was read can be sent back");
    let same = demand(&admin, json!({ "sso_required": true })).await.ok();
    assert_eq!(same["sso_required_from"], from, "it is demanded already");
    let contradiction = json!({ "sso_required": false, "sso_required_from": from });
    demand(&admin, contradiction).await.invalid("sso_required_from", "contradiction");
    demand(&admin, json!({ "sso_required_from": null })).await.ok();
    demand(&admin, json!({ "sso_required_from": from })).await.ok();
    let off = demand(&admin, json!({ "sso_required": false })).await.ok();
    assert_eq!((&off["sso_required"], &off["sso_required_from"]), (&json!(false), &Value::Null));
    app.finish().await;
}

#[tokio::test]
async fn the_last_tested_connection_stays_while_it_is_demanded() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let one = connect(&admin, json!({})).await;
    let two = connect(&admin, json!({ "entity_id": "https://two.example.com" })).await;
    pass_test(&app).await;
    demand(&admin, json!({ "sso_required_from": "2098-01-01T00:00:00Z" })).await.ok();
    admin.delete(&path(&two)).await.no_content();
    admin.delete(&path(&one)).await.problem(409, "sso_is_required");
    admin.patch(&path(&one), json!({ "is_active": false })).await.problem(409, "sso_is_required");
    assert_eq!(admin.get(&path(&one)).await.ok()["is_active"], true, "nothing happened");
    // What is broken can be mended.
    admin.patch(&path(&one), json!({ "sso_url": "https://new.example.com/sso" })).await.ok();
    // It has to be tested anew now, and is the only way in all the same.
    admin.delete(&path(&one)).await.problem(409, "sso_is_required");
    admin.patch(&path(&one), json!({ "is_active": false })).await.problem(409, "sso_is_required");
    demand(&admin, json!({ "sso_required": false })).await.ok();
    admin.delete(&path(&one)).await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn a_preview_says_who_would_be_locked_out() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let known = admin.member("known@other.example", "reader").await;
    let kept = admin.member("kept@other.example", "reader").await;
    admin.member("expected@bound.example", "reader").await;
    let lost = admin.member("lost@other.example", "reader").await;
    let gone = admin.member("gone@other.example", "reader").await;
    admin.patch(&format!("/users/{}", kept.id), json!({ "keep_local_login": true })).await.ok();
    admin.patch(&format!("/users/{}", gone.id), json!({ "is_active": false })).await.ok();
    let connection = connect(&admin, json!({ "domains": ["bound.example"] })).await;
    app.database().execute(&identity(&connection, "n", &known.id.to_string())).await;
    let preview = admin.get("/settings/sso-preview").await.ok();
    for (field, value) in [
        ("has_tested_connection", json!(false)),
        ("people", json!(5)),
        ("known", json!(1)),
        ("keep_local_login", json!(1)),
        ("expected", json!(1)),
        ("locked_out", json!(2)),
        ("includes_you", json!(true)),
    ] {
        assert_eq!(preview[field], value, "{field}: {preview}");
    }
    let people = preview["locked_out_people"].as_array().expect("people");
    let ids: Vec<_> = people.iter().map(|person| person["id"].clone()).collect();
    assert_eq!(ids, [json!(admin.id), json!(lost.id)]);
    admin.patch(&path(&connection), json!({ "is_active": false })).await.ok();
    assert_eq!(admin.get("/settings/sso-preview").await.ok()["locked_out"], 4, "a connection that is off knows nobody");
    known.get("/settings/sso-preview").await.problem(403, "permission_denied");
    app.finish().await;
}

#[tokio::test]
async fn whoever_runs_the_service_can_let_people_in_again() {
    let tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    connect(&admin, json!({})).await;
    tenantry.database().execute("update saml_connections set tested_at = now()").await;
    admin.patch("/settings", json!({ "sso_required_from": "2098-01-01T00:00:00Z" })).await.ok();
    let environment = tenantry.environment(Which::Api);
    let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let run = async |slug: &str| run_to_end(Which::Api.path(), &["release-sso", slug], &environment).await;
    let (code, said) = run("ACME").await;
    assert!(code == Some(0) && said.contains("is not required in ACME any more"), "{said}");
    assert_eq!(admin.get("/settings").await.ok()["sso_required"], false);
    let log = admin.get("/audit-events?action=settings.changed").await.ok();
    assert_eq!(log["results"][0]["actor_name"], "tenantry-api");
    let (code, said) = run("acme").await;
    assert!(code == Some(0) && said.contains("nothing was changed"), "{said}");
    let (code, said) = run("nowhere").await;
    assert!(code == Some(2) && said.contains("There is no organization nowhere."), "{said}");
}
