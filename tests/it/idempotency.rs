//! A request that is sent again with its key happens once.

use harness::{Answer, Caller, TestApp, hours, minutes};
use serde_json::{Value, json};

fn invite(caller: &Caller, key: &str, email: &str) -> harness::Call {
    caller.post("/invitations", json!({ "invitee_identifier": email, "role": "reader" })).header("Idempotency-Key", key)
}

async fn count(app: &TestApp, table: &str) -> Value {
    app.database().value(&format!("select count(*) from {table}")).await
}

#[tokio::test]
async fn the_same_key_and_body_give_the_first_answer_and_happen_once() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let first = invite(&admin, "key-1", "bob@example.com").await;
    let again = invite(&admin, "key-1", "bob@example.com").await;
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(again.created(), first.created());
    app.settle().await;
    assert_eq!(count(&app, "invitations").await, 1);
    assert_eq!(app.mailbox().count_to("bob@example.com"), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_replay_is_the_first_answer_also_when_the_object_has_changed_since() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let first = invite(&admin, "key-1", "bob@example.com").await.created();
    admin.delete(&format!("/invitations/{}", first["uuid"].as_str().expect("an id"))).await.no_content();
    assert_eq!(invite(&admin, "key-1", "bob@example.com").await.created(), first);
    app.finish().await;
}

#[tokio::test]
async fn the_order_of_members_and_white_space_make_no_other_body() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let send = |body: &str| {
        admin.post("/invitations", json!({})).body("application/json", body).header("Idempotency-Key", "key-1")
    };
    let first = send(r#"{"invitee_identifier":"bob@example.com","role":"reader"}"#).await.created();
    let again = send("{ \"role\": \"reader\",\n \"invitee_identifier\": \"bob@example.com\" }").await.created();
    assert_eq!(again, first);
    app.finish().await;
}

#[tokio::test]
async fn of_ten_at_the_same_time_one_happens_and_all_get_its_answer() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let answers: Vec<Answer> =
        futures_util::future::join_all((0..10).map(|_| invite(&admin, "key-1", "bob@example.com").into_future())).await;
    let bodies: Vec<Value> = answers.into_iter().map(Answer::created).collect();
    assert!(bodies.iter().all(|body| body == &bodies[0]), "{bodies:#?}");
    assert_eq!(count(&app, "invitations").await, 1);
    app.settle().await;
    assert_eq!(app.mailbox().count_to("bob@example.com"), 1);
    app.finish().await;
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    invite(&admin, "key-1", "bob@example.com").await.created();
    invite(&admin, "key-1", "eve@example.com").await.problem(409, "idempotency_key_reused");
    let longer = json!({ "invitee_identifier": "bob@example.com", "role": "reader", "message": "Hello" });
    admin.post("/invitations", longer).header("Idempotency-Key", "key-1").await.problem(409, "idempotency_key_reused");
    assert_eq!(count(&app, "invitations").await, 1);
    app.finish().await;
}

#[tokio::test]
async fn failures_are_not_remembered() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let first = invite(&admin, "other", "bob@example.com").await.created();
    invite(&admin, "key-1", "bob@example.com").await.problem(409, "invitation_open");
    invite(&admin, "key-2", "nonsense").await.invalid("invitee_identifier", "invalid_email");
    admin.delete(&format!("/invitations/{}", first["uuid"].as_str().expect("an id"))).await.no_content();
    invite(&admin, "key-1", "bob@example.com").await.created();
    invite(&admin, "key-2", "eve@example.com").await.created();
    app.finish().await;
}

#[tokio::test]
async fn keys_belong_to_a_user() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let other = admin.member("other@example.com", "administrator").await;
    let mine = invite(&admin, "key-1", "bob@example.com").await.created();
    let theirs = invite(&other, "key-1", "eve@example.com").await.created();
    assert_ne!(mine["uuid"], theirs["uuid"]);
    app.finish().await;
}

#[tokio::test]
async fn keys_belong_to_an_organization() {
    let app = TestApp::start().await;
    let acme = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    invite(&acme, "key-1", "bob@example.com").await.created();
    invite(&globex, "key-1", "eve@example.com").await.created();
    app.finish().await;
}

#[tokio::test]
async fn keys_belong_to_an_operation() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    invite(&admin, "key-1", "bob@example.com").await.created();
    admin.post("/users", json!({ "email": "eve@example.com" })).header("Idempotency-Key", "key-1").await.created();
    app.finish().await;
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let first = invite(&admin, "key-1", "bob@example.com").await.created();
    app.clock.advance(hours(24) - minutes(1));
    let admin = admin.again().await;
    assert_eq!(invite(&admin, "key-1", "bob@example.com").await.created(), first);
    app.clock.advance(minutes(2));
    invite(&admin, "key-1", "bob@example.com").await.problem(409, "invitation_open");
    invite(&admin, "key-1", "eve@example.com").await.created();
    app.finish().await;
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for key in ["", "two words", &"x".repeat(256)] {
        invite(&admin, key, "bob@example.com").await.invalid("Idempotency-Key", "invalid_idempotency_key");
    }
    assert_eq!(count(&app, "invitations").await, 0);
    invite(&admin, &"x".repeat(255), "bob@example.com").await.created();
    app.finish().await;
}

#[tokio::test]
async fn every_operation_that_creates_or_sends_takes_a_key() {
    let app = TestApp::start().await;
    let admin = app.organization("platform").administrator().await;
    let row = json!([{ "invitee_identifier": "bob@example.com", "role": "reader" }]);
    let twice = async |path: &str, body: Value| {
        let send = || admin.post(path, body.clone()).header("Idempotency-Key", "key-1");
        let (first, again) = (send().await, send().await);
        assert!(first.status.is_success(), "{}", first.whole());
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
        first.json()
    };
    twice("/users", json!({ "email": "ann@example.com" })).await;
    let batch = twice("/invitations/batch", row).await;
    twice("/v1/orgs", json!({ "name": "Acme", "slug": "acme", "admin_email": "admin@example.com" })).await;
    twice("/invitations/resend", json!({ "status": "pending" })).await;
    app.settle().await;
    app.clock.advance(minutes(2));
    let id = batch["results"][0]["invitation"]["uuid"].as_str().expect("an id");
    // Once by the job above, once now.
    assert_eq!(twice(&format!("/invitations/{id}/resend"), json!({})).await["resent_count"], 2);
    assert_eq!(count(&app, "jobs").await, 1);

    app.smtp().answer_next(harness::Stage::Recipient, 1, "550 5.1.1 No such user");
    admin.post("/users", json!({ "email": "gone@example.com" })).await.created();
    app.settle().await;
    let failed =
        admin.get("/emails?status=failed").await.ok()["results"][0]["id"].as_str().expect("a failed mail").to_owned();
    twice(&format!("/emails/{failed}/retry"), json!({})).await;
    app.settle().await;
    assert_eq!(app.mailbox().count_to("gone@example.com"), 1);
    app.finish().await;
}
