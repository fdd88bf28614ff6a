//! What a mailed link is worth: everything while it is good, and a reason when it no longer is.

use harness::{Link, PASSWORD, TestApp, days, minutes};
use serde_json::{Value, json};

use super::path;

/// That a link does nothing, and says why, whatever one tries with it.
async fn is_dead(app: &TestApp, link: &Link, status: u16, code: &str) {
    app.anonymous().preview(link).await.problem(status, code);
    app.anonymous().accept(link).await.problem(status, code);
    app.anonymous().decline(link).await.problem(status, code);
}

#[tokio::test]
async fn a_preview_shows_what_the_invitee_must_know_and_changes_nothing() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.patch(&format!("/users/{}", admin.id), json!({ "first_name": "Alice", "last_name": "Liddell" })).await.ok();
    let body = json!({ "invitee_identifier": "Bob@example.com", "role": "reader", "message": "Hello" });
    admin.post("/invitations", body).await.created();
    let link = app.mailbox().last_to("Bob@example.com").await.link();
    app.settle().await;
    let made = admin.get("/invitations").await.ok()["results"][0].clone();
    let rows = async || {
        app.database().rows("select i::text from invitations i union all select a::text from audit_events a").await
    };
    let before = rows().await;
    for _ in 0..3 {
        let preview = app.anonymous().preview(&link).await.ok();
        assert_eq!(
            preview,
            json!({
                "organization_name": "acme", "organization": "acme", "inviter": "Alice Liddell", "role": "reader",
                "invitee_identifier": "Bob@example.com", "message": "Hello", "valid_until": made["valid_until"],
                "sso_required": false,
            })
        );
    }
    assert_eq!(rows().await, before);
    app.finish().await;
}

#[tokio::test]
async fn an_expired_invitation_cannot_be_accepted_and_its_address_can_be_invited_again() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let first = admin.invite("bob@example.com", "reader").await;
    let link = app.mailbox().last_to("bob@example.com").await.link();
    app.clock.advance(days(7) - minutes(1));
    app.anonymous().preview(&link).await.ok();
    app.clock.advance(minutes(2));
    is_dead(&app, &link, 409, "invitation_expired").await;
    let admin = admin.again().await;
    assert_eq!(admin.get(&path(&first)).await.ok()["status"], "expired", "without a job that must have run");
    admin.invite("bob@example.com", "auditor").await;
    is_dead(&app, &link, 409, "invitation_expired").await;
    let fresh = app.mailbox().last_to("bob@example.com").await.link();
    app.anonymous().accept(&fresh).await.created();
    assert_eq!(admin.get(&path(&first)).await.ok()["status"], "expired");
    app.finish().await;
}

#[tokio::test]
async fn a_revoked_invitation_has_a_dead_link() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    let link = app.mailbox().last_to("bob@example.com").await.link();
    admin.delete(&path(&made)).await.no_content();
    is_dead(&app, &link, 409, "invitation_revoked").await;
    assert_eq!(admin.get(&path(&made)).await.ok()["status"], "revoked");
    admin.delete(&path(&made)).await.no_content();
    admin.invite("bob@example.com", "reader").await;
    is_dead(&app, &link, 409, "invitation_revoked").await;
    app.finish().await;
}

#[tokio::test]
async fn an_accepted_invitation_has_a_dead_link_and_can_not_be_revoked() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    let link = app.mailbox().last_to("bob@example.com").await.link();
    app.anonymous().accept(&link).await.created();
    is_dead(&app, &link, 409, "invitation_accepted").await;
    admin.delete(&path(&made)).await.problem(409, "invitation_accepted");
    assert_eq!(admin.get(&path(&made)).await.ok()["status"], "accepted");
    app.clock.advance(days(30));
    app.anonymous().preview(&link).await.problem(409, "invitation_accepted");
    app.finish().await;
}

#[tokio::test]
async fn a_declined_invitation_has_a_dead_link_and_can_not_be_revoked() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    let link = app.mailbox().last_to("bob@example.com").await.link();
    app.anonymous().decline(&link).await.no_content();
    is_dead(&app, &link, 409, "invitation_declined").await;
    admin.delete(&path(&made)).await.problem(409, "invitation_declined");
    assert_eq!(admin.get(&path(&made)).await.ok()["status"], "declined");
    app.finish().await;
}

#[tokio::test]
async fn a_resent_invitation_has_a_new_link_and_the_old_one_is_superseded() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    let old = app.mailbox().last_to("bob@example.com").await.link();
    app.clock.advance(minutes(2));
    admin.post(&format!("{}/resend", path(&made)), json!({})).await.ok();
    is_dead(&app, &old, 409, "invitation_superseded").await;
    let new = app.mailbox().last_to("bob@example.com").await.link();
    assert_ne!(old, new);
    app.anonymous().accept(&new).await.created();
    is_dead(&app, &old, 409, "invitation_accepted").await;
    app.finish().await;
}

#[tokio::test]
async fn a_link_that_is_not_ours_is_dead_and_says_no_more() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    let good = app.mailbox().last_to("bob@example.com").await.link().token();
    admin.post("/users", json!({ "email": "eve@example.com" })).await.created();
    let for_a_password = app.mailbox().last_to("eve@example.com").await.link().token();
    let uuid = made["uuid"].as_str().expect("an id");
    let mut changed = good.clone().into_bytes();
    changed[30] = if changed[30] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("ASCII");
    for token in [
        &changed,
        &good[1..],
        &good[..good.len() - 1],
        &format!("{good}A"),
        "nonsense",
        uuid,
        "é",
        &for_a_password,
        &"A".repeat(5_000),
    ] {
        let link = Link::of_token(token);
        app.anonymous()
            .get(&format!("/v1/invitations/preview?{}", link.0.query().expect("a token")))
            .await
            .problem(404, "link_dead");
        app.anonymous().accept(&link).await.problem(404, "link_dead");
        app.anonymous().decline(&link).await.problem(404, "link_dead");
    }
    app.anonymous().get("/v1/invitations/preview").await.problem(400, "invalid_parameter");
    app.anonymous().get("/v1/invitations/preview?token=").await.problem(404, "link_dead");
    assert_eq!(admin.get(&path(&made)).await.ok()["status"], "pending");
    app.finish().await;
}

#[tokio::test]
async fn a_link_of_an_invitation_sets_no_password() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.invite("bob@example.com", "reader").await;
    let token = app.mailbox().last_to("bob@example.com").await.link().token();
    let body = json!({ "token": token, "new_password": PASSWORD, "confirm_new_password": PASSWORD });
    app.anonymous().under("acme").post("/iam/password-reset/confirm", body).await.problem(404, "link_dead");
    app.finish().await;
}

#[tokio::test]
async fn declining_tells_the_inviter_and_makes_nobody() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.invite("bob@example.com", "reader").await;
    let link = app.mailbox().last_to("bob@example.com").await.link();
    app.anonymous().decline(&link).await.no_content();
    let mail = app.mailbox().last_to(&admin.email).await;
    assert!(mail.text().contains("bob@example.com"), "{}", mail.text());
    assert_eq!(admin.get("/users").await.ok()["count"], 1);
    let events = admin.get("/audit-events?action=invitation.declined").await.ok();
    assert_eq!((&events["count"], &events["results"][0]["actor_id"]), (&json!(1), &Value::Null));
    admin.invite("bob@example.com", "reader").await;
    app.finish().await;
}
