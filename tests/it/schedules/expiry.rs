//! `notify_expiring_accounts` and `end_expired_accounts`

use chrono::{NaiveDate, NaiveTime};
use harness::{Caller, PASSWORD, TestApp, days, eventually, hours, minutes};
use serde_json::{Value, json};
use tenantry_shared::schedules::Schedule;

/// A Tenantry where it is noon: days are counted, and none must begin while a test runs.
async fn start_at_noon() -> TestApp {
    let app = TestApp::start().await;
    let now = app.clock.now();
    let noon = (now.date_naive() + days(1)).and_time(NaiveTime::MIN).and_utc() + hours(12);
    app.clock.advance(noon - now);
    app
}

fn today(app: &TestApp) -> NaiveDate {
    app.clock.now().date_naive()
}

async fn notify(app: &TestApp) -> i64 {
    app.run_schedule(Schedule::NotifyExpiringAccounts).await.objects
}

/// Makes a user whose account has an end, and puts the mail about his password aside.
async fn limited_user(app: &TestApp, admin: &Caller, email: &str, last_day: NaiveDate) -> Value {
    let user = admin.post("/users", json!({ "email": email, "expiry_date": last_day })).await.created();
    app.mailbox().last_to(email).await;
    user
}

fn path(user: &Value) -> String {
    format!("/users/{}", user["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn people_are_told_seven_days_and_one_day_before_their_account_ends_each_once() {
    let app = start_at_noon().await;
    let admin = app.organization("acme").administrator().await;
    let bob = limited_user(&app, &admin, "bob@example.com", today(&app) + days(10)).await;
    let gone = limited_user(&app, &admin, "gone@example.com", today(&app) + days(10)).await;
    admin.patch(&path(&gone), json!({ "is_active": false })).await.ok();

    let mut told = Vec::new();
    for days_left in (0..=9).rev() {
        app.clock.advance(days(1));
        let first = notify(&app).await;
        assert_eq!(notify(&app).await, 0, "once");
        if first > 0 {
            told.push((days_left, first));
            let mail = app.mailbox().last_to("bob@example.com").await;
            let day = (today(&app) + days(days_left)).format("%-d %B %Y").to_string();
            for text in [mail.subject(), mail.text()] {
                // The spaces in a date don't break.
                let words: Vec<&str> = text.split_whitespace().collect();
                assert!(words.join(" ").contains(&day), "{day}:\n{text}");
            }
            assert!(mail.header("List-Unsubscribe").is_none());
        }
    }
    assert_eq!(told, [(7, 1), (1, 1)]);
    app.clock.advance(days(1));
    assert_eq!(notify(&app).await, 0, "it is over");

    // A new date begins anew.
    let admin = admin.again().await;
    admin.patch(&path(&bob), json!({ "expiry_date": today(&app) + days(3) })).await.ok();
    assert_eq!((notify(&app).await, notify(&app).await), (1, 0), "the notice of seven days comes late, and once");
    app.mailbox().last_to("bob@example.com").await;
    app.finish().await;
}

#[tokio::test]
async fn a_notice_overtaken_by_a_longer_account_is_not_sent() {
    let app = start_at_noon().await;
    let admin = app.organization("acme").administrator().await;
    let bob = limited_user(&app, &admin, "bob@example.com", today(&app) + days(5)).await;
    app.smtp().refuse_connections();
    assert_eq!(notify(&app).await, 1);
    let until = async |status: &str| {
        eventually(&format!("the notice to be {status}"), || async {
            let list = admin.get("/emails?kind=account_expiring").await.ok();
            (list["results"][0]["status"] == status).then_some(())
        })
        .await;
    };
    until("deferred").await;
    admin.patch(&path(&bob), json!({ "expiry_date": null })).await.ok();
    app.smtp().accept_connections();
    app.clock.advance(minutes(1));
    until("canceled").await;
    assert_eq!(app.mailbox().count_to("bob@example.com"), 1);
    app.finish().await;
}

#[tokio::test]
async fn an_account_that_is_over_loses_its_sessions_and_the_log_says_so_once() {
    let app = start_at_noon().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let me = format!("/users/{}", bob.id);
    admin.patch(&me, json!({ "expiry_date": today(&app) })).await.ok();
    app.clock.advance(hours(11));
    let bob = bob.again().await;
    bob.get("/iam/current-user").await.ok();
    let end = async || app.run_schedule(Schedule::EndExpiredAccounts).await.objects;
    assert_eq!(end().await, 0, "the last day works");

    app.clock.advance(hours(2));
    let sessions = format!("select id from sessions where user_id = '{}'", bob.id);
    bob.get("/iam/current-user").await.problem(401, "not_authenticated");
    assert!(!app.database().rows(&sessions).await.is_empty(), "access has ended by rule, the rows are there");
    assert_eq!((end().await, end().await), (1, 0));
    assert!(app.database().rows(&sessions).await.is_empty());
    let admin = admin.again().await;
    let events = admin.get("/audit-events?action=user.expired").await.ok();
    assert_eq!((&events["count"], &events["results"][0]["object_name"]), (&json!(1), &json!("bob@example.com")));

    // He comes back, his old sessions don't.
    admin.patch(&me, json!({ "expiry_date": null })).await.ok();
    bob.get("/iam/current-user").await.problem(401, "not_authenticated");
    app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.ok();
    app.finish().await;
}
