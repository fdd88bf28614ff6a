//! Sending again, and taking back before it was sent.

use harness::{Caller, TestApp, days, minutes, seconds};
use serde_json::{Value, json};

use super::path;

async fn resend(caller: &Caller, invitation: &Value) -> harness::Answer {
    caller.post(&format!("{}/resend", path(invitation)), json!({})).await
}

#[tokio::test]
async fn a_resend_gives_new_validity_and_counts() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body = json!({ "invitee_identifier": "bob@example.com", "role": "reader", "valid_for": 86400 });
    let made = admin.post("/invitations", body).await.created();
    app.settle().await;
    app.clock.advance(minutes(10));
    let resent = resend(&admin, &made).await.ok();
    let time = |of: &Value, field: &str| {
        of[field].as_str().expect("a time").parse::<chrono::DateTime<chrono::Utc>>().expect("RFC 3339")
    };
    assert_eq!(resent["resent_count"], 1);
    assert!(time(&resent, "sent_at") - time(&made, "sent_at") >= minutes(10));
    assert_eq!(time(&resent, "valid_until") - time(&resent, "sent_at"), seconds(86400));
    app.settle().await;
    app.clock.advance(minutes(10));
    let again = admin.post(&path(&made), json!({})).await.ok();
    assert_eq!(again["resent_count"], 2, "the invitation's own address resends as well");
    app.settle().await;
    assert_eq!(app.mailbox().count_to("bob@example.com"), 3);
    app.finish().await;
}

#[tokio::test]
async fn what_is_sent_along_with_a_resend_is_not_looked_at() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    let other = json!({ "invitee_identifier": "eve@example.com", "role": "administrator" });
    for (body, count) in [(json!([made]), 1), (other, 2)] {
        app.settle().await;
        app.clock.advance(minutes(2));
        let resent = admin.post(&path(&made), body).await.ok();
        assert_eq!((&resent["invitee_identifier"], &resent["role"]), (&json!("bob@example.com"), &json!("reader")));
        assert_eq!(resent["resent_count"], count);
    }
    app.settle().await;
    app.clock.advance(minutes(2));
    admin.call(reqwest::Method::POST, &path(&made)).await.ok();
    app.settle().await;
    assert_eq!((app.mailbox().count_to("bob@example.com"), app.mailbox().count_to("eve@example.com")), (4, 0));
    app.finish().await;
}

#[tokio::test]
async fn an_invitation_is_resent_once_a_minute_at_most() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    resend(&admin, &made).await.ok();
    let answer = resend(&admin, &made).await;
    let wait: i64 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    answer.problem(429, "resend_too_soon");
    app.clock.advance(seconds(wait));
    resend(&admin, &made).await.ok();
    admin.post(&path(&made), json!({})).await.problem(429, "resend_too_soon");
    app.finish().await;
}

#[tokio::test]
async fn an_invitation_is_resent_ten_times_a_day_at_most() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    // Begin a day, so that none ends meanwhile; and look only after all of its hours are over.
    let now = app.clock.now();
    let tomorrow = (now.date_naive() + days(1)).and_time(chrono::NaiveTime::MIN).and_utc();
    app.clock.advance(tomorrow - now + seconds(1));
    let admin = admin.again().await;
    let made = admin.invite("bob@example.com", "reader").await;
    for n in 1..=10 {
        app.clock.advance(minutes(2));
        assert_eq!(resend(&admin, &made).await.ok()["resent_count"], n);
    }
    app.clock.advance(minutes(2));
    let answer = resend(&admin, &made).await;
    let wait: i64 = answer.header("retry-after").parse().expect("seconds");
    answer.problem(429, "resend_limit");
    assert!(wait > 60 * 60 * 20, "until tomorrow: {wait}");
    app.clock.advance(seconds(wait));
    let admin = admin.again().await;
    assert_eq!(resend(&admin, &made).await.ok()["resent_count"], 11);
    app.finish().await;
}

#[tokio::test]
async fn an_expired_invitation_comes_to_life_by_a_resend() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    app.mailbox().last_to("bob@example.com").await;
    app.clock.advance(days(8));
    let admin = admin.again().await;
    assert_eq!(resend(&admin, &made).await.ok()["status"], "pending");
    let link = app.mailbox().last_to("bob@example.com").await.link();
    app.anonymous().accept(&link).await.created();
    app.finish().await;
}

#[tokio::test]
async fn a_closed_invitation_can_not_be_resent() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let revoked = admin.invite("revoked@example.com", "reader").await;
    admin.delete(&path(&revoked)).await.no_content();
    let declined = admin.invite("declined@example.com", "reader").await;
    app.anonymous().decline(&app.link_of(&admin, &declined).await).await.no_content();
    let accepted = admin.invite("accepted@example.com", "reader").await;
    app.anonymous().accept(&app.link_of(&admin, &accepted).await).await.created();
    app.clock.advance(minutes(2));
    resend(&admin, &revoked).await.problem(409, "invitation_revoked");
    resend(&admin, &declined).await.problem(409, "invitation_declined");
    resend(&admin, &accepted).await.problem(409, "invitation_accepted");
    app.clock.advance(days(8));
    let admin = admin.again().await;
    let replaced = admin.invite("replaced@example.com", "reader").await;
    app.clock.advance(days(8));
    let admin = admin.again().await;
    admin.invite("replaced@example.com", "reader").await;
    resend(&admin, &replaced).await.problem(409, "invitation_expired");
    app.finish().await;
}

#[tokio::test]
async fn one_resends_only_what_one_might_have_sent() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let manager = admin.member("manager@example.com", "domain_manager").await;
    let above = admin.invite("above@example.com", "administrator").await;
    let below = admin.invite("below@example.com", "reader").await;
    resend(&manager, &above).await.problem(403, "cannot_grant");
    resend(&manager, &below).await.ok();
    assert_eq!(admin.get(&path(&above)).await.ok()["resent_count"], 0);
    app.finish().await;
}

#[tokio::test]
async fn an_invitation_that_is_not_there_can_be_neither_resent_nor_revoked() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let nobodys = json!({ "uuid": "01a20142-b4b6-7e53-9117-9e8a179185ee" });
    admin.get(&path(&nobodys)).await.problem(404, "not_found");
    resend(&admin, &nobodys).await.problem(404, "not_found");
    admin.delete(&path(&nobodys)).await.problem(404, "not_found");
    app.finish().await;
}

/// A Tenantry whose mail server is away until it is let in.
async fn with_mail_held_back() -> (TestApp, Caller) {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().refuse_connections();
    (app, admin)
}

#[tokio::test]
async fn a_mail_not_yet_sent_is_not_sent_once_the_invitation_is_revoked() {
    let (app, admin) = with_mail_held_back().await;
    let made = admin.invite("bob@example.com", "reader").await;
    admin.delete(&path(&made)).await.no_content();
    app.smtp().accept_connections();
    admin.invite("eve@example.com", "reader").await;
    app.mailbox().last_to("eve@example.com").await;
    app.settle().await;
    assert_eq!(app.mailbox().count_to("bob@example.com"), 0);
    let email = admin.get(&format!("/emails?invitation={}", made["uuid"].as_str().expect("an id"))).await.ok();
    assert_eq!(email["results"][0]["status"], "canceled");
    app.finish().await;
}

#[tokio::test]
async fn a_mail_overtaken_by_a_resend_is_not_sent() {
    let (app, admin) = with_mail_held_back().await;
    let made = admin.invite("bob@example.com", "reader").await;
    app.clock.advance(minutes(2));
    resend(&admin, &made).await.ok();
    app.smtp().accept_connections();
    app.clock.advance(minutes(2));
    let link = app.mailbox().last_to("bob@example.com").await.link();
    app.settle().await;
    assert_eq!(app.mailbox().count_to("bob@example.com"), 1);
    app.anonymous().accept(&link).await.created();
    app.finish().await;
}

// --- many at once

async fn finished(app: &TestApp, caller: &Caller, job: &Value) -> Value {
    app.settle().await;
    let job = caller.get(&format!("/jobs/{}", job["id"].as_str().expect("an id"))).await.ok();
    assert_eq!(job["status"], "finished", "{job}");
    job
}

#[tokio::test]
async fn all_pending_ones_are_resent_by_one_job_that_tells_how_far_it_is() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let rows: Vec<Value> =
        (0..60).map(|n| json!({ "invitee_identifier": format!("u{n}@example.com"), "role": "reader" })).collect();
    admin.post("/invitations/batch", json!(rows)).await.ok();
    let revoked = admin.get("/invitations?search=u59@").await.ok()["results"][0].clone();
    admin.delete(&path(&revoked)).await.no_content();
    app.settle().await;
    app.clock.advance(minutes(5));
    let job = admin.post("/invitations/resend", json!({ "status": "pending" })).await.accepted();
    admin.invite("late@example.com", "reader").await;
    let job = finished(&app, &admin, &job).await;
    assert_eq!((&job["total"], &job["done"], &job["failed"]), (&json!(59), &json!(59), &json!(0)));
    for n in [0, 30, 58] {
        assert_eq!(app.mailbox().count_to(&format!("u{n}@example.com")), 2, "u{n}");
    }
    assert!(app.mailbox().count_to("u59@example.com") <= 1, "it was revoked");
    assert_eq!(app.mailbox().count_to("late@example.com"), 1, "it was invited after the job was asked for");
    let resent = admin.get("/invitations?search=u0@").await.ok();
    assert_eq!(resent["results"][0]["resent_count"], 1);
    app.finish().await;
}

#[tokio::test]
async fn one_resent_less_than_a_minute_ago_counts_as_failed() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.invite("old@example.com", "reader").await;
    app.clock.advance(minutes(5));
    let new = admin.invite("new@example.com", "reader").await;
    resend(&admin, &new).await.ok();
    let job = admin.post("/invitations/resend", json!({ "status": "pending" })).await.accepted();
    let job = finished(&app, &admin, &job).await;
    assert_eq!((&job["total"], &job["done"], &job["failed"]), (&json!(2), &json!(1), &json!(1)));
    app.finish().await;
}

#[tokio::test]
async fn only_those_sent_long_ago_are_resent_if_so_asked() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.invite("old@example.com", "reader").await;
    app.settle().await;
    app.clock.advance(minutes(90));
    admin.invite("new@example.com", "reader").await;
    app.settle().await;
    app.clock.advance(minutes(5));
    let body = json!({ "status": "pending", "older_than": 3600 });
    let job = admin.post("/invitations/resend", body).await.accepted();
    let job = finished(&app, &admin, &job).await;
    assert_eq!((&job["total"], &job["done"]), (&json!(1), &json!(1)));
    assert_eq!(app.mailbox().count_to("old@example.com"), 2);
    assert_eq!(app.mailbox().count_to("new@example.com"), 1);
    app.finish().await;
}

#[tokio::test]
async fn only_pending_ones_can_be_resent_in_bulk() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for status in ["accepted", "declined", "revoked", "expired"] {
        admin.post("/invitations/resend", json!({ "status": status })).await.invalid("status", "not_resendable");
    }
    for seconds in [-1, 7_776_001] {
        let body = json!({ "status": "pending", "older_than": seconds });
        admin.post("/invitations/resend", body).await.invalid("older_than", "out_of_range");
    }
    let answer = admin.post("/invitations/resend", json!({})).await;
    assert_eq!(answer.status, 400, "{}", answer.whole());
    assert_eq!(app.database().value("select count(*) from jobs").await, 0);
    app.finish().await;
}

#[tokio::test]
async fn a_job_over_nothing_finishes() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let job = admin.post("/invitations/resend", json!({ "status": "pending" })).await.accepted();
    let job = finished(&app, &admin, &job).await;
    assert_eq!((&job["total"], &job["done"], &job["failed"]), (&json!(0), &json!(0), &json!(0)));
    let reader = admin.member("reader@example.com", "reader").await;
    reader.get(&format!("/jobs/{}", job["id"].as_str().expect("an id"))).await.problem(403, "permission_denied");
    app.finish().await;
}
