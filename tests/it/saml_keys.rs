//! An organization's own keys as a service provider.

use futures_util::future::join_all;
use harness::{Caller, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

/// A small key: it is made soonest.
async fn make(admin: &Caller) -> Value {
    admin.post("/saml/keys", json!({ "key_size": 2048 })).await.created()
}

async fn states(admin: &Caller) -> Vec<(Value, Value)> {
    let keys = admin.get("/saml/keys?ordering=created_at").await.ok();
    let keys = keys["results"].as_array().expect("results");
    keys.iter().map(|key| (key["id"].clone(), key["state"].clone())).collect()
}

fn path(key: &Value) -> String {
    format!("/saml/keys/{}", key["id"].as_str().expect("an id"))
}

async fn activate(admin: &Caller, key: &Value) -> harness::Answer {
    admin.call(Method::POST, &format!("{}/activate", path(key))).await
}

#[tokio::test]
async fn the_first_key_is_active_at_once_and_its_certificate_can_be_downloaded() {
    let app = TestApp::start().await;
    let admin = app.organization("Acme").administrator().await;
    admin.get("/saml/certificate").await.problem(404, "not_found");
    let made = admin.post("/saml/keys", json!({ "common_name": "Acme SAML", "days": 365 })).await.created();
    assert_eq!(made["state"], "active");
    let list = admin.get("/saml/keys").await.ok();
    let key = &list["results"][0];
    for field in ["id", "cert", "fingerprint", "not_after", "state"] {
        assert_eq!(key[field], made[field], "{field}");
    }
    assert_eq!((&list["count"], &key["is_readable"]), (&json!(1), &json!(true)));
    let answer = admin.get("/saml/certificate").await;
    assert_eq!(answer.header("content-type"), "application/x-pem-file");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"Acme-saml.pem\"");
    assert_eq!(json!(answer.text), made["cert"]);
    assert!(
        answer.text.starts_with("-----BEGIN CERTIFICATE-----\n")
            && answer.text.ends_with("-----END CERTIFICATE-----\n")
    );
    let log = admin.get("/audit-events?action=saml_key.created").await.ok();
    assert_eq!((&log["count"], &log["results"][0]["object_id"]), (&json!(1), &made["id"]));
    app.finish().await;
}

#[tokio::test]
async fn a_second_key_is_the_next_until_it_takes_the_place_of_the_first() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (first, second) = (make(&admin).await, make(&admin).await);
    let state = |key: &Value, state: &str| (key["id"].clone(), json!(state));
    assert_eq!(states(&admin).await, [state(&first, "active"), state(&second, "next")]);
    admin.post("/saml/keys", json!({})).await.problem(409, "next_key_exists");
    activate(&admin, &first).await.problem(409, "key_not_next");
    admin.delete(&path(&first)).await.problem(409, "key_in_use");

    assert_eq!(activate(&admin, &second).await.ok()["state"], "active");
    assert_eq!(states(&admin).await, [state(&first, "previous"), state(&second, "active")]);
    let of = |key: &Value| format!("/saml/certificate?id={}", key["id"].as_str().expect("an id"));
    assert_eq!(json!(admin.get("/saml/certificate").await.text), second["cert"]);
    assert_eq!(json!(admin.get(&of(&first)).await.text), first["cert"]);
    activate(&admin, &second).await.problem(409, "key_not_next");
    activate(&admin, &first).await.problem(409, "key_not_next");

    let third = make(&admin).await;
    activate(&admin, &third).await.ok();
    assert_eq!(states(&admin).await, [state(&second, "previous"), state(&third, "active")], "the oldest is gone");
    admin.delete(&path(&second)).await.no_content();
    let fourth = make(&admin).await;
    admin.delete(&path(&fourth)).await.no_content();
    admin.delete(&path(&third)).await.no_content();
    assert_eq!(states(&admin).await, []);
    admin.delete(&path(&third)).await.problem(404, "not_found");
    let log = admin.get("/audit-events?object_type=saml_key").await.ok();
    let actions: Vec<_> = log["results"].as_array().expect("results").iter().map(|e| e["action"].clone()).collect();
    assert_eq!(actions.iter().filter(|action| **action == "saml_key.activated").count(), 2);
    assert_eq!(actions.iter().filter(|action| **action == "saml_key.deleted").count(), 3);
    app.finish().await;
}

#[tokio::test]
async fn a_key_that_could_not_be_made_is_refused_field_by_field() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let make = |body: Value| admin.post("/saml/keys", body);
    for (field, code, wrong) in [
        ("common_name", "required", json!("  ")),
        ("common_name", "too_long", json!("x".repeat(65))),
        ("common_name", "invalid", json!("two\nlines")),
        ("common_name", "invalid_type", json!(7)),
        ("days", "out_of_range", json!(364)),
        ("days", "out_of_range", json!(3_651)),
        ("days", "out_of_range", json!(i64::MAX)),
        ("days", "out_of_range", json!(-1)),
        ("key_size", "out_of_range", json!(1_024)),
        ("key_size", "out_of_range", json!(3_000)),
        ("key_size", "out_of_range", json!(16_384)),
        ("private_key", "unknown_field", json!("mine")),
    ] {
        make(json!({ field: wrong })).await.invalid(field, code);
    }
    assert_eq!(states(&admin).await, []);
    let name = "Zürich, Société & Söhne <SAML> 🦓";
    make(json!({ "common_name": name, "key_size": 2048, "days": 3_650 })).await.created();
    app.finish().await;
}

#[tokio::test]
async fn of_keys_that_are_made_at_once_one_is_active_and_one_is_next_and_a_repeated_request_makes_none() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let once = || {
        let call = admin.post("/saml/keys", json!({ "key_size": 2048 })).header("Idempotency-Key", "one");
        call.into_future()
    };
    let (one, again) = tokio::join!(once(), once());
    assert_eq!(one.created(), again.created());
    let answers = join_all((0..4).map(|_| admin.post("/saml/keys", json!({ "key_size": 2048 })).into_future())).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 3));
    for answer in refused {
        answer.problem(409, "next_key_exists");
    }
    let states: Vec<_> = states(&admin).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["active", "next"]);
    app.finish().await;
}

#[tokio::test]
async fn keys_are_for_those_who_manage_single_sign_on_and_of_one_organization() {
    let app = TestApp::start().await;
    let acme = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let key = make(&acme).await;
    for role in ["reader", "auditor", "domain_manager"] {
        let member = acme.member(&format!("{role}@example.com"), role).await;
        member.get("/saml/keys").await.problem(403, "permission_denied");
        member.get("/saml/certificate").await.problem(403, "permission_denied");
        member.post("/saml/keys", json!({})).await.problem(403, "permission_denied");
        activate(&member, &key).await.problem(403, "permission_denied");
        member.delete(&path(&key)).await.problem(403, "permission_denied");
    }
    let second = acme.member("second@example.com", "administrator").await;
    make(&second).await;
    assert_eq!(states(&globex).await, []);
    activate(&globex, &key).await.problem(404, "not_found");
    globex.delete(&path(&key)).await.problem(404, "not_found");
    let certificate = format!("/saml/certificate?id={}", key["id"].as_str().expect("an id"));
    globex.get(&certificate).await.problem(404, "not_found");
    make(&globex).await;
    assert_eq!(states(&globex).await.len(), 1);
    app.finish().await;
}
