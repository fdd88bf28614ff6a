//! Making tokens.

use chrono::{DateTime, Utc};
use harness::{TestApp, days, hours};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{lives, make, with};

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("not a time: {value}"))
}

#[tokio::test]
async fn a_token_is_shown_once_and_calls_for_its_owner() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = make(&admin, " nightly export ").await;
    let token = made["token"].as_str().expect("a token");
    assert!(token.starts_with("tnt_p_") && token.len() >= 70, "{made}");
    assert_eq!((made.as_object().map(|fields| fields.len()), &made["name"]), (Some(4), &json!("nightly export")));
    let me = with(&admin, &made).get("/iam/current-user").await.ok();
    assert_eq!(me["email"], json!(admin.email));

    let list = admin.get("/iam/auth-tokens").await;
    assert!(!list.text.contains(token), "{}", list.whole());
    let list = list.ok();
    let listed = &list["results"][0];
    assert_eq!((&list["count"], &listed["id"], &listed["name"]), (&json!(1), &made["id"], &json!("nightly export")));
    let digest: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
    let shown = listed["digest"].as_str().expect("a digest");
    assert!(shown.len() == 16 && digest.starts_with(shown), "{shown} {digest}");
    assert_eq!((time(&listed["expiry"]), &listed["permissions"]), (time(&made["expiry"]), &Value::Null));
    app.finish().await;
}

#[tokio::test]
async fn a_token_lives_as_long_as_asked_within_what_the_organization_allows() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let ask = |expiry: Value| admin.post("/iam/auth-tokens", json!({ "name": "x", "expiry": expiry })).into_future();
    for (asked, lasts) in [(Value::Null, 30), (json!(1), 1), (json!(365), 365)] {
        let expiry = time(&ask(asked).await.created()["expiry"]);
        let off = (expiry - app.clock.now() - days(lasts)).abs();
        assert!(off < hours(1), "{lasts} days: {expiry}");
    }
    for wrong in [0, -1, 366, i32::MAX] {
        ask(json!(wrong)).await.invalid("expiry", "out_of_range");
    }
    ask(json!("30")).await.invalid("expiry", "invalid_type");
    admin.patch("/settings", json!({ "token_max_days": 7 })).await.ok();
    let expiry = time(&ask(Value::Null).await.created()["expiry"]);
    assert!((expiry - app.clock.now() - days(7)).abs() < hours(1), "the usual 30 days give way: {expiry}");
    ask(json!(8)).await.invalid("expiry", "out_of_range");

    let short = with(&admin, &ask(json!(1)).await.created());
    app.clock.advance(hours(23));
    assert!(lives(&short).await);
    app.clock.advance(hours(2));
    assert!(!lives(&short).await);
    app.finish().await;
}

#[tokio::test]
async fn a_name_is_one_line_of_text() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let name = |name: &str| admin.post("/iam/auth-tokens", json!({ "name": name })).into_future();
    name("").await.invalid("name", "required");
    name("   ").await.invalid("name", "required");
    name(&"x".repeat(201)).await.invalid("name", "too_long");
    name("two\nlines").await.invalid("name", "invalid");
    admin.post("/iam/auth-tokens", json!({})).await.invalid("name", "required");
    admin.post("/iam/auth-tokens", json!({ "name": 7 })).await.invalid("name", "invalid_type");
    name(&"ü".repeat(200)).await.created();
    name("same").await.created();
    name("same").await.created();
    assert_eq!(admin.get("/iam/auth-tokens").await.ok()["count"], 3);
    app.finish().await;
}

/// Gives someone so many tokens, which end so many days from now.
async fn give(app: &TestApp, user: uuid::Uuid, count: u32, days: i32) {
    app.database()
        .execute(&format!(
            "insert into personal_access_tokens (organization_id, id, user_id, name, token_digest, created_at, expires_at)
             select organization_id, gen_random_uuid(), id, 'old ' || n, sha256((n || ':{days}')::bytea),
                 now() - interval '10 days', now() + interval '{days} days'
             from users, generate_series(1, {count}) n where id = '{user}'"
        ))
        .await;
}

#[tokio::test]
async fn a_user_has_fifty_live_tokens_at_most_also_when_requests_race() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    give(&app, admin.id, 48, 5).await;
    give(&app, admin.id, 10, -1).await;
    let ask = || admin.post("/iam/auth-tokens", json!({ "name": "one more" })).into_future();
    let answers = futures_util::future::join_all((0..8).map(|_| ask())).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 2, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "too_many_tokens");
    }
    let list = admin.get("/iam/auth-tokens?limit=200").await.ok();
    assert_eq!(list["count"], 50, "those that are over are not shown and don't count");
    make(&bob, "each has his own").await;
    let first = list["results"][0]["id"].as_str().expect("an id").to_owned();
    admin.delete(&format!("/iam/auth-tokens/{first}")).await.no_content();
    ask().await.created();
    app.finish().await;
}

#[tokio::test]
async fn a_third_party_user_has_no_tokens_and_loses_those_he_had() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let token = with(&bob, &make(&bob, "while he was one of us").await);
    let path = format!("/users/{}", bob.id);
    admin.patch(&path, json!({ "is_third_party": true })).await.ok();
    assert!(!lives(&token).await);
    assert!(lives(&bob).await, "his session goes on");
    bob.post("/iam/auth-tokens", json!({ "name": "x" })).await.problem(403, "third_party_user");
    admin.patch(&path, json!({ "is_third_party": false })).await.ok();
    assert!(!lives(&token).await, "what was killed stays dead");
    make(&bob, "again one of us").await;
    app.finish().await;
}

#[tokio::test]
async fn a_repeated_request_makes_one_token_and_never_shows_it_again() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let ask = |name: &str| {
        let call = admin.post("/iam/auth-tokens", json!({ "name": name })).header("idempotency-key", "once");
        call.into_future()
    };
    let answers = futures_util::future::join_all((0..4).map(|_| ask("x"))).await;
    let made: Vec<Value> = answers.iter().filter(|answer| answer.status == 201).map(|a| a.json()).collect();
    assert_eq!(made.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    for answer in answers.into_iter().filter(|answer| answer.status != 201).chain([ask("x").await]) {
        let problem = answer.problem(409, "secret_already_shown");
        assert_eq!(problem["id"], made[0]["id"]);
    }
    assert_eq!(ask("y").await.problem(409, "idempotency_key_reused")["id"], Value::Null);
    assert_eq!(admin.get("/iam/auth-tokens").await.ok()["count"], 1);
    let kept = app.database().rows("select * from idempotency_keys").await;
    assert!(!Value::from(kept).to_string().contains("tnt_p_"));
    app.finish().await;
}

#[tokio::test]
async fn a_token_that_is_being_made_does_not_survive_the_end_of_all() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    for body in [json!({ "is_active": false }), Value::Null] {
        let bob = if body.is_null() { bob.again().await } else { bob.clone() };
        let held = app.database().hold(&format!("select id from users where id = '{}' for update", bob.id)).await;
        let make = tokio::spawn(bob.post("/iam/auth-tokens", json!({ "name": "late" })).into_future());
        app.database().until_someone_waits().await;
        let end = match body.is_null() {
            true => tokio::spawn(bob.call(Method::POST, "/iam/logoutall").into_future()),
            false => tokio::spawn(admin.patch(&format!("/users/{}", bob.id), body).into_future()),
        };
        held.release().await;
        let (made, ended) = (make.await.expect("an answer"), end.await.expect("an answer"));
        assert!(ended.status.is_success(), "{}", ended.whole());
        assert!(made.status == 201 || made.status == 401, "{}", made.whole());
        admin.patch(&format!("/users/{}", bob.id), json!({ "is_active": true })).await.ok();
        let left = app.database().rows("select name from personal_access_tokens").await;
        assert!(left.is_empty(), "{left:?}");
    }
    app.finish().await;
}

#[tokio::test]
async fn what_is_done_with_tokens_is_in_the_audit_log_without_them() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = make(&admin, "nightly export").await;
    let id = made["id"].as_str().expect("an id");
    let token = with(&admin, &made);
    token.post("/users", json!({ "email": "bob@example.com" })).await.created();
    admin.delete(&super::path(&made)).await.no_content();
    let log = admin.get("/audit-events?object_type=personal_access_token").await;
    assert!(!log.text.contains("tnt_p_"), "{}", log.whole());
    let events = log.ok()["results"].clone();
    let actions: Vec<_> = events.as_array().into_iter().flatten().map(|event| event["action"].clone()).collect();
    assert_eq!(actions, ["personal_access_token.deleted", "personal_access_token.created"]);
    assert_eq!((&events[1]["object_id"], &events[1]["object_name"]), (&json!(id), &json!("nightly export")));
    let user = admin.get("/audit-events?action=user.created").await.ok();
    assert_eq!(user["results"][0]["credential"], json!(format!("token:{id}")), "{user}");
    app.finish().await;
}
