//! `remind_invitees`

use harness::{Caller, Stage, TestApp, days, eventually, hours, minutes};
use serde_json::{Value, json};
use tenantry_shared::schedules::Schedule;

async fn remind(app: &TestApp) -> i64 {
    app.run_schedule(Schedule::RemindInvitees).await.objects
}

async fn invite_for(admin: &Caller, email: &str, valid_for: chrono::TimeDelta) -> Value {
    let body = json!({ "invitee_identifier": email, "role": "reader", "valid_for": valid_for.num_seconds() });
    admin.post("/invitations", body).await.created()
}

fn path(invitation: &Value) -> String {
    format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"))
}

async fn until_the_reminder_is(admin: &Caller, email: &str, status: &str) {
    eventually(&format!("the reminder to be {status}"), || async {
        let list = admin.get(&format!("/emails?kind=invitation_reminder&search={email}")).await.ok();
        (list["results"][0]["status"] == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_invitee_is_reminded_once_two_days_before_the_end_with_the_same_link() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let invitation = admin.invite("Bob@example.com", "reader").await;
    let link = app.mailbox().last_to("Bob@example.com").await.link();
    app.settle().await;
    let delivery = admin.get(&path(&invitation)).await.ok()["delivery"].clone();
    app.clock.advance(days(5) - hours(1));
    assert_eq!(remind(&app).await, 0, "more than two days are left");
    app.clock.advance(hours(2));
    assert_eq!(remind(&app).await, 1);

    let reminder = app.mailbox().last_to("Bob@example.com").await;
    assert_eq!(reminder.subject(), "Your invitation to acme ends soon");
    assert_eq!(reminder.link(), link);
    let admin = admin.again().await;
    let event = admin.get("/audit-events?action=invitation.reminded").await.ok();
    assert_eq!((&event["count"], &event["results"][0]["actor_name"]), (&json!(1), &json!("worker")));
    app.settle().await;
    assert_eq!(admin.get(&path(&invitation)).await.ok()["delivery"], delivery, "that of the invitation's own mail");
    app.clock.advance(hours(6));
    assert_eq!(remind(&app).await, 0, "once");
    app.anonymous().accept(&reminder.link()).await.created();
    app.finish().await;
}

#[tokio::test]
async fn an_invitation_that_was_resent_is_recalled_anew() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let invitation = admin.invite("bob@example.com", "reader").await;
    app.settle().await;
    app.clock.advance(days(6));
    assert_eq!(remind(&app).await, 1);
    let admin = admin.again().await;
    admin.post(&format!("{}/resend", path(&invitation)), json!({})).await.ok();
    app.settle().await;
    assert_eq!(remind(&app).await, 0, "it has seven days again");
    app.mailbox().read_all();
    app.clock.advance(days(6));
    assert_eq!(remind(&app).await, 1);
    let link = app.mailbox().last_to("bob@example.com").await.link();
    app.anonymous().accept(&link).await.created();
    app.finish().await;
}

#[tokio::test]
async fn nobody_is_reminded_of_what_is_decided_never_arrived_or_was_short() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let revoked = admin.invite("revoked@example.com", "reader").await;
    admin.delete(&path(&revoked)).await.no_content();
    let declined = admin.invite("declined@example.com", "reader").await;
    app.anonymous().decline(&app.link_of(&admin, &declined).await).await.no_content();
    admin.member("accepted@example.com", "reader").await;
    invite_for(&admin, "expired@example.com", days(4)).await;
    app.settle().await;
    app.smtp().answer_next(Stage::Recipient, 1, "550 5.1.1 No such mailbox here");
    admin.invite("failed@example.com", "reader").await;
    app.settle().await;
    app.clock.advance(days(5) + hours(1));
    assert_eq!(remind(&app).await, 0);

    let admin = admin.again().await;
    invite_for(&admin, "short@example.com", days(4) - hours(1)).await;
    invite_for(&admin, "long@example.com", days(4)).await;
    app.settle().await;
    app.mailbox().read_all();
    app.clock.advance(days(2) + hours(1));
    assert_eq!(remind(&app).await, 1);
    app.mailbox().last_to("long@example.com").await;
    app.finish().await;
}

#[tokio::test]
async fn a_reminder_that_was_overtaken_is_not_sent() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let revoked = admin.invite("revoked@example.com", "reader").await;
    let resent = admin.invite("resent@example.com", "reader").await;
    app.settle().await;
    app.clock.advance(days(6));
    app.smtp().refuse_connections();
    assert_eq!(remind(&app).await, 2);
    let admin = admin.again().await;
    for email in ["revoked@example.com", "resent@example.com"] {
        until_the_reminder_is(&admin, email, "deferred").await;
    }
    admin.delete(&path(&revoked)).await.no_content();
    admin.post(&format!("{}/resend", path(&resent)), json!({})).await.ok();
    app.smtp().accept_connections();
    app.clock.advance(minutes(1));
    for email in ["revoked@example.com", "resent@example.com"] {
        until_the_reminder_is(&admin, email, "canceled").await;
    }
    app.settle().await;
    assert_eq!(app.mailbox().count_to("revoked@example.com"), 1);
    assert_eq!(app.mailbox().count_to("resent@example.com"), 2, "the invitation, twice");
    app.finish().await;
}
