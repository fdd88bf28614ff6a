//! Mails, and how their delivery stands.

use harness::{Caller, Stage, TestApp, eventually, hours, minutes};
use serde_json::Value;

async fn email_about(admin: &Caller, invitation: &Value) -> Value {
    let id = invitation["uuid"].as_str().expect("an id");
    let list = admin.get(&format!("/emails?invitation={id}&kind=invitation")).await.ok();
    list["results"][0].clone()
}

async fn until(admin: &Caller, invitation: &Value, status: &str) -> Value {
    eventually(&format!("the mail to be {status}"), || async {
        let email = email_about(admin, invitation).await;
        (email["status"] == status).then_some(email)
    })
    .await
}

#[tokio::test]
async fn a_mail_the_server_takes_is_sent() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let invitation = admin.invite("Bob@Example.com", "reader").await;
    assert_eq!(invitation["delivery"]["status"], "queued");
    let mail = app.mailbox().last_to("Bob@Example.com").await;
    let email = until(&admin, &invitation, "sent").await;
    assert_eq!((&email["to"], &email["attempts"]), (&"Bob@Example.com".into(), &1.into()));
    assert!(email["sent_at"].is_string() && email["last_error"].is_null(), "{email}");
    let id = email["id"].as_str().expect("an id");
    assert!(mail.header("Message-ID").is_some_and(|header| header.starts_with(&format!("<{id}."))));
    assert_eq!(mail.header("Auto-Submitted").as_deref(), Some("auto-generated"));
    let one = admin.get(&format!("/emails/{id}")).await.ok();
    assert_eq!(one, email);
    let read = admin.get(&format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"))).await.ok();
    assert_eq!((&read["delivery"]["status"], &read["delivery"]["attempts"]), (&"sent".into(), &1.into()));
    app.finish().await;
}

#[tokio::test]
async fn a_mail_the_server_puts_off_is_deferred_with_its_words_and_sent_later() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().answer_next(Stage::Recipient, 1, "451 4.3.0 The mail room is closed");
    let invitation = admin.invite("bob@example.com", "reader").await;
    let email = until(&admin, &invitation, "deferred").await;
    assert!(email["last_error"].as_str().is_some_and(|words| words.contains("The mail room is closed")), "{email}");
    app.mailbox().last_to("bob@example.com").await;
    let email = until(&admin, &invitation, "sent").await;
    assert_eq!(email["attempts"], 2);
    app.finish().await;
}

#[tokio::test]
async fn a_mail_the_server_refuses_has_failed_and_can_be_retried() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().answer_next(Stage::Recipient, 1, "550 5.1.1 No such mailbox here");
    let invitation = admin.invite("bob@example.com", "reader").await;
    let email = until(&admin, &invitation, "failed").await;
    assert!(email["last_error"].as_str().is_some_and(|words| words.contains("No such mailbox here")), "{email}");
    app.settle().await;
    assert_eq!(app.mailbox().count_to("bob@example.com"), 0);

    let retry = format!("/emails/{}/retry", email["id"].as_str().expect("an id"));
    admin.call(reqwest::Method::POST, &retry).await.accepted();
    app.mailbox().last_to("bob@example.com").await;
    until(&admin, &invitation, "sent").await;
    admin.call(reqwest::Method::POST, &retry).await.problem(409, "email_not_retryable");
    app.finish().await;
}

#[tokio::test]
async fn a_mail_that_waits_for_its_next_attempt_can_be_sent_now() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().answer_next(Stage::Recipient, 1, "451 4.3.0 Come back later");
    let invitation = admin.invite("bob@example.com", "reader").await;
    let email = until(&admin, &invitation, "deferred").await;
    app.database().execute("update outbox set due_at = due_at + interval '1 hour'").await;
    let retry = format!("/emails/{}/retry", email["id"].as_str().expect("an id"));
    admin.call(reqwest::Method::POST, &retry).await.accepted();
    app.mailbox().last_to("bob@example.com").await;
    until(&admin, &invitation, "sent").await;
    app.finish().await;
}

#[tokio::test]
async fn a_mail_nobody_takes_is_given_up_after_a_day() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().answer_next(Stage::Recipient, 1, "451 4.3.0 Not now");
    let invitation = admin.invite("bob@example.com", "reader").await;
    until(&admin, &invitation, "deferred").await;
    app.smtp().answer_next(Stage::Recipient, 1, "451 4.3.0 Not now either");
    app.clock.advance(hours(25));
    let admin = admin.again().await;
    let email = until(&admin, &invitation, "failed").await;
    assert_eq!(email["attempts"], 2);
    app.finish().await;
}

#[tokio::test]
async fn mails_are_seen_by_those_who_may_and_retried_by_administrators() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let reader = admin.member("reader@example.com", "reader").await;
    let auditor = admin.member("auditor@example.com", "auditor").await;
    reader.get("/emails").await.problem(403, "permission_denied");
    let list = auditor.get("/emails?limit=1").await.ok();
    let id = list["results"][0]["id"].as_str().expect("an id").to_owned();
    auditor.call(reqwest::Method::POST, &format!("/emails/{id}/retry")).await.problem(403, "permission_denied");
    app.finish().await;
}

#[tokio::test]
async fn a_mail_speaks_the_language_it_was_asked_for() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for (locale, word) in [("de-AT", "Einladung annehmen"), ("fr", "Accepter l"), ("tlh", "Accept the invitation")] {
        let address = format!("{}@example.com", locale.to_lowercase());
        let body = serde_json::json!({ "invitee_identifier": address, "role": "reader", "locale": locale });
        admin.post("/invitations", body).await.created();
        let mail = app.mailbox().last_to(&address).await;
        assert!(mail.html().contains(word), "{locale}:\n{}", mail.text());
    }
    app.finish().await;
}

#[tokio::test]
async fn a_mail_of_a_newer_release_waits_for_a_newer_worker() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    // The worker finds it when it is due again.
    app.smtp().answer_next(Stage::Recipient, 1, "450 4.2.1 Busy");
    let invitation = admin.invite("bob@example.com", "reader").await;
    until(&admin, &invitation, "deferred").await;
    app.database().execute("update email_messages set kind = 'of_a_newer_release'").await;
    app.clock.advance(minutes(1));
    let row = eventually("the worker to put it off", || async {
        let now = app.clock.now().to_rfc3339();
        // One that was pushed and not taken yet has a later `due_at`, too.
        let put_off =
            format!("select claim, takes, parked_at from outbox where due_at > '{now}' and pushed_at is null");
        app.database().rows(&put_off).await.pop()
    })
    .await;
    assert!(row["takes"] == 0 && row["claim"].is_null() && row["parked_at"].is_null(), "{row}");

    app.database().execute("update email_messages set kind = 'invitation'").await;
    app.clock.advance(minutes(1));
    until(&admin, &invitation, "sent").await;
    app.finish().await;
}
