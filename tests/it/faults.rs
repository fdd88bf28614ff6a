//! What dies at the wrong moment, and the mail that arrives all the same. Real processes, killed.

use std::time::Duration;

use harness::{Caller, Processes, Stage, Which, eventually};
use serde_json::Value;

async fn delivery(admin: &Caller, invitation: &Value) -> Value {
    let path = format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"));
    admin.get(&path).await.ok()["delivery"].clone()
}

async fn until_sent(admin: &Caller, invitation: &Value) -> Value {
    eventually("the delivery to be sent", || async {
        let delivery = delivery(admin, invitation).await;
        (delivery["status"] == "sent").then_some(delivery)
    })
    .await
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_a_send_loses_no_mail() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    tenantry.smtp().hang_at_next_message();
    let invitation = admin.invite("bob@example.com", "reader").await;
    tenantry.smtp().until_a_message_hangs().await;
    assert_eq!(delivery(&admin, &invitation).await["status"], "sending");

    tenantry.kill(Which::Worker).await;
    tenantry.start_one(Which::Worker).await;

    // Its lease must run out first.
    let mail = tenantry.mailbox().last_to_within(Duration::from_secs(30), "bob@example.com").await;
    tenantry.anonymous().accept(&mail.link()).await.created();
    until_sent(&admin, &invitation).await;
    assert_eq!(tenantry.mailbox().count_to("bob@example.com"), 1);
}

#[tokio::test]
async fn an_api_killed_right_after_its_commit_loses_no_mail() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    // Without Redis, nothing can have been pushed when the answer is there.
    tenantry.redis.kill().await;
    let invitation = admin.invite("bob@example.com", "reader").await;
    tenantry.kill(Which::Api).await;
    tenantry.redis.restart_empty().await;
    tenantry.start_one(Which::Api).await;
    tenantry.mailbox().last_to_within(Duration::from_secs(30), "bob@example.com").await;
    until_sent(&admin, &invitation).await;
    assert_eq!(tenantry.mailbox().count_to("bob@example.com"), 1);
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_loses_no_mail() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    // With no worker, what was pushed stays in Redis.
    tenantry.kill(Which::Worker).await;
    let mut invitations = Vec::new();
    for n in 0..5 {
        invitations.push(admin.invite(&format!("bob{n}@example.com"), "reader").await);
    }
    eventually("the jobs to be pushed", || async {
        let rows = tenantry.database().rows("select id from outbox where pushed_at is not null").await;
        (rows.len() == 5).then_some(())
    })
    .await;

    tenantry.redis.restart_empty().await;
    tenantry.start_one(Which::Worker).await;

    for (n, invitation) in invitations.iter().enumerate() {
        tenantry.mailbox().last_to_within(Duration::from_secs(30), &format!("bob{n}@example.com")).await;
        until_sent(&admin, invitation).await;
    }
    tenantry.settle().await;
    assert_eq!(tenantry.mailbox().all().len(), 5);
}

#[tokio::test]
async fn while_redis_is_down_people_are_invited_and_their_mail_goes_out_when_it_is_back() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    tenantry.redis.kill().await;
    let ready = tenantry.anonymous().get("/readyz").await.ok();
    assert_eq!(
        (&ready["status"], &ready["redis"], &ready["postgres"]),
        (&"degraded".into(), &"down".into(), &"ok".into())
    );
    let invitation = admin.invite("bob@example.com", "reader").await;
    assert_eq!(delivery(&admin, &invitation).await["status"], "queued");
    tenantry.redis.restart_empty().await;
    tenantry.mailbox().last_to_within(Duration::from_secs(30), "bob@example.com").await;
    until_sent(&admin, &invitation).await;
}

#[tokio::test]
async fn a_server_that_says_451_twice_gets_the_mail_the_third_time() {
    let tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    tenantry.smtp().answer_next(Stage::Message, 2, "451 4.7.1 Greylisted, try again");
    let invitation = admin.invite("bob@example.com", "reader").await;
    let deferred = eventually("the delivery to be deferred", || async {
        let delivery = delivery(&admin, &invitation).await;
        (delivery["status"] == "deferred").then_some(delivery)
    })
    .await;
    assert!(deferred["last_error"].as_str().is_some_and(|words| words.contains("Greylisted")), "{deferred}");
    tenantry.mailbox().last_to_within(Duration::from_secs(30), "bob@example.com").await;
    let sent = until_sent(&admin, &invitation).await;
    assert_eq!((sent["attempts"].as_i64(), sent["last_error"].is_null()), (Some(3), true), "{sent}");
}

#[tokio::test]
async fn a_mail_server_that_refuses_connections_delays_mail_and_loses_none() {
    let tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    tenantry.smtp().refuse_connections();
    let invitation = admin.invite("bob@example.com", "reader").await;
    eventually("the delivery to be deferred", || async {
        (delivery(&admin, &invitation).await["status"] == "deferred").then_some(())
    })
    .await;
    tenantry.smtp().accept_connections();
    tenantry.mailbox().last_to_within(Duration::from_secs(30), "bob@example.com").await;
    until_sent(&admin, &invitation).await;
}

#[tokio::test]
async fn a_connection_dropped_before_the_250_means_another_try() {
    let tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    tenantry.smtp().close_before_next_250();
    let invitation = admin.invite("bob@example.com", "reader").await;
    tenantry.mailbox().last_to_within(Duration::from_secs(30), "bob@example.com").await;
    let sent = until_sent(&admin, &invitation).await;
    assert_eq!(sent["attempts"], 2);
}

#[tokio::test]
async fn both_processes_stop_in_good_order_and_no_mail_is_lost_or_doubled() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    let mut invitations = Vec::new();
    for n in 0..20 {
        invitations.push(admin.invite(&format!("bob{n}@example.com"), "reader").await);
        if n == 10 {
            tenantry.terminate(Which::Worker).await;
        }
    }
    tenantry.start_one(Which::Worker).await;
    tenantry.settle().await;
    for (n, invitation) in invitations.iter().enumerate() {
        until_sent(&admin, invitation).await;
        assert_eq!(tenantry.mailbox().count_to(&format!("bob{n}@example.com")), 1);
    }
    tenantry.terminate(Which::Api).await;
    tenantry.terminate(Which::Worker).await;
}
