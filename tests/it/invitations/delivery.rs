//! How the mail of an invitation stands.

use std::time::Duration;

use harness::{Caller, Stage, TestApp, eventually, hours, minutes};
use serde_json::{Value, json};

use super::path;

async fn until(caller: &Caller, invitation: &Value, status: &str) -> Value {
    eventually(&format!("delivery {status}"), || async {
        let delivery = caller.get(&path(invitation)).await.ok()["delivery"].clone();
        (delivery["status"] == status).then_some(delivery)
    })
    .await
}

#[tokio::test]
async fn a_mail_that_was_taken_is_sent() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    assert_eq!(made["delivery"]["status"], "queued");
    let delivery = until(&admin, &made, "sent").await;
    assert_eq!((&delivery["attempts"], &delivery["last_error"]), (&json!(1), &Value::Null));
    assert!(delivery["sent_at"].is_string());
    app.finish().await;
}

#[tokio::test]
async fn a_mail_under_way_is_sending() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().hang_at_next_message();
    let made = admin.invite("bob@example.com", "reader").await;
    app.smtp().until_a_message_hangs().await;
    let delivery = admin.get(&path(&made)).await.ok()["delivery"].clone();
    assert_eq!((&delivery["status"], &delivery["sent_at"]), (&json!("sending"), &Value::Null));
    app.smtp().refuse_connections();
    app.smtp().accept_connections();
    until(&admin, &made, "deferred").await;
    app.clock.advance(minutes(1));
    until(&admin, &made, "sent").await;
    app.finish().await;
}

#[tokio::test]
async fn a_server_that_says_not_now_is_asked_again_and_its_words_are_shown() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for (stage, address) in [(Stage::Recipient, "a@example.com"), (Stage::Message, "b@example.com")] {
        app.smtp().answer_next(stage, 2, "451 4.3.0 The mailbox is being moved");
        let made = admin.invite(address, "reader").await;
        let delivery = until(&admin, &made, "deferred").await;
        let words = delivery["last_error"].as_str().expect("words");
        assert!(words.contains("451") && words.contains("The mailbox is being moved"), "{words}");
        app.clock.advance(minutes(1));
        let again = || async {
            let delivery = admin.get(&path(&made)).await.ok()["delivery"].clone();
            (delivery["attempts"] == 2).then_some(())
        };
        eventually("the second attempt", again).await;
        app.clock.advance(minutes(1));
        let delivery = until(&admin, &made, "sent").await;
        assert_eq!((&delivery["attempts"], &delivery["last_error"]), (&json!(3), &Value::Null));
        assert_eq!(app.mailbox().count_to(address), 1);
    }
    app.finish().await;
}

#[tokio::test]
async fn the_first_retry_comes_within_five_seconds_by_itself() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().answer_next(Stage::Recipient, 1, "451 4.3.0 Not now");
    let asked = std::time::Instant::now();
    admin.invite("bob@example.com", "reader").await;
    app.mailbox().last_to("bob@example.com").await;
    assert!(asked.elapsed() < std::time::Duration::from_secs(8), "{:?}", asked.elapsed());
    app.finish().await;
}

#[tokio::test]
async fn a_server_that_says_never_ends_it_and_its_words_are_shown() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().answer_next(Stage::Recipient, 1, "550 5.1.1 No such user here");
    let made = admin.invite("bob@example.com", "reader").await;
    let delivery = until(&admin, &made, "failed").await;
    let words = delivery["last_error"].as_str().expect("words");
    assert!(words.contains("550") && words.contains("No such user here"), "{words}");
    assert_eq!((&delivery["attempts"], &delivery["sent_at"]), (&json!(1), &Value::Null));
    assert_eq!(admin.get(&path(&made)).await.ok()["status"], "pending", "its link would be good");
    app.finish().await;
}

#[tokio::test]
async fn a_connection_that_drops_before_the_answer_is_tried_again() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().close_before_next_250();
    let made = admin.invite("bob@example.com", "reader").await;
    until(&admin, &made, "deferred").await;
    app.clock.advance(minutes(1));
    until(&admin, &made, "sent").await;
    assert_eq!(app.mailbox().count_to("bob@example.com"), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_connection_that_drops_after_the_answer_is_no_trouble() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for n in 0..3 {
        app.smtp().close_after_next_250();
        let made = admin.invite(&format!("u{n}@example.com"), "reader").await;
        let delivery = until(&admin, &made, "sent").await;
        assert_eq!(delivery["attempts"], 1);
    }
    assert_eq!(app.mailbox().all().len(), 3);
    app.finish().await;
}

#[tokio::test]
async fn a_server_that_is_away_loses_nothing() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().refuse_connections();
    let made = admin.invite("bob@example.com", "reader").await;
    until(&admin, &made, "deferred").await;
    app.clock.advance(hours(1));
    until(&admin, &made, "deferred").await;
    app.smtp().accept_connections();
    app.clock.advance(hours(1));
    until(&admin, &made, "sent").await;
    assert_eq!(app.mailbox().count_to("bob@example.com"), 1);
    app.finish().await;
}

#[tokio::test]
async fn after_a_day_of_not_now_it_is_given_up() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().answer_next(Stage::Recipient, 2, "451 4.3.0 Not now");
    let made = admin.invite("bob@example.com", "reader").await;
    until(&admin, &made, "deferred").await;
    app.clock.advance(hours(25));
    let admin = admin.again().await;
    let delivery = until(&admin, &made, "failed").await;
    assert_eq!(delivery["attempts"], 2);
    app.finish().await;
}

#[tokio::test]
async fn a_mail_sent_again_is_the_same_message() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.invite("bob@example.com", "reader").await;
    let first = app.mailbox().last_to("bob@example.com").await;
    app.settle().await;
    // As after a crash between the server's 250 and our record of it.
    app.database().execute("update email_messages set status = 'failed', sent_at = null").await;
    let email = admin.get("/emails").await.ok()["results"][0]["id"].as_str().expect("an id").to_owned();
    admin.post(&format!("/emails/{email}/retry"), json!({})).await.accepted();
    let second = app.mailbox().last_to("bob@example.com").await;
    let id = first.header("Message-ID").expect("an id");
    assert!(id.contains(&email), "{id}");
    assert_eq!(second.header("Message-ID"), Some(id));
    assert_eq!(second.link(), first.link());
    app.finish().await;
}

#[tokio::test]
async fn what_is_revoked_while_its_mail_waits_for_a_connection_is_not_mailed() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().slow_down(Duration::from_secs(3));
    let rows: Vec<Value> =
        (0..8).map(|n| json!({ "invitee_identifier": format!("bob{n}@example.com"), "role": "reader" })).collect();
    admin.post("/invitations/batch", rows.into()).await.ok();
    // A worker has taken all of them, and three have a connection.
    eventually("all to be taken", || async {
        let taken = app.database().rows("select id from outbox where claim is not null").await;
        (taken.len() == 8).then_some(())
    })
    .await;
    for row in app.database().rows("select id from invitations").await {
        let id = row["id"].as_str().expect("an id");
        admin.delete(&format!("/invitations/{id}")).await.no_content();
    }
    app.settle().await;
    assert_eq!(app.mailbox().all().len(), 3, "those that were being sent");
    app.finish().await;
}
