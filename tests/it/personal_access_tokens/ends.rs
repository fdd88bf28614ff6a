//! What ends a token. What was killed stays dead.

use harness::{Caller, PASSWORD, TestApp, days};
use serde_json::json;
use tenantry_shared::schedules::Schedule;

use super::{lives, logout_all, make, path, with};

const NEW_PASSWORD: &str = "several unrelated zebras juggle";

async fn bob_with_token(admin: &Caller) -> (Caller, Caller) {
    let bob = admin.member("bob@example.com", "reader").await;
    let token = with(&bob, &make(&bob, "x").await);
    assert!(lives(&token).await);
    (bob, token)
}

#[tokio::test]
async fn a_deleted_token_is_dead_at_once() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = make(&admin, "x").await;
    admin.delete(&path(&made)).await.no_content();
    assert!(!lives(&with(&admin, &made)).await);
    admin.delete(&path(&made)).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn logging_out_everywhere_ends_tokens_and_logging_out_does_not() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (bob, token) = bob_with_token(&admin).await;
    let others = with(&admin, &make(&admin, "x").await);
    let again = bob.again().await;
    again.call(reqwest::Method::POST, "/iam/revoke-sessions").await.ok();
    again.call(reqwest::Method::POST, "/iam/logout").await.no_content();
    assert!(lives(&token).await);
    logout_all(&bob.again().await).await;
    assert!(!lives(&token).await);
    assert!(lives(&others).await, "nobody else's");
    app.finish().await;
}

#[tokio::test]
async fn a_password_reset_ends_sessions_and_tokens() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (bob, token) = bob_with_token(&admin).await;
    app.settle().await;
    app.mailbox().read_all();
    let stranger = app.anonymous().under("acme");
    stranger.post("/iam/password-reset", json!({ "email": "bob@example.com" })).await.accepted();
    let link = app.mailbox().last_to("bob@example.com").await.link();
    assert!(lives(&token).await, "to ask for one ends nothing");
    let body = json!({ "token": link.token(), "new_password": NEW_PASSWORD, "confirm_new_password": NEW_PASSWORD });
    stranger.post("/iam/password-reset/confirm", body).await.no_content();
    assert!(!lives(&token).await && !lives(&bob).await);
    app.finish().await;
}

#[tokio::test]
async fn a_new_password_ends_tokens_when_asked() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (bob, token) = bob_with_token(&admin).await;
    let change = |old: &str, new: &str, revoke: bool| {
        let body =
            json!({ "old_password": old, "new_password": new, "confirm_new_password": new, "revoke_tokens": revoke });
        bob.post("/iam/change-password", body).into_future()
    };
    change(PASSWORD, NEW_PASSWORD, false).await.no_content();
    assert!(lives(&token).await);
    change(NEW_PASSWORD, PASSWORD, true).await.no_content();
    assert!(!lives(&token).await);
    assert!(lives(&bob).await, "the session that changed it goes on");
    app.finish().await;
}

#[tokio::test]
async fn deactivation_ends_tokens_and_they_stay_dead() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (bob, token) = bob_with_token(&admin).await;
    for body in [json!({ "is_active": false }), json!({ "is_active": true })] {
        admin.patch(&format!("/users/{}", bob.id), body).await.ok();
        assert!(!lives(&token).await);
    }
    app.finish().await;
}

#[tokio::test]
async fn an_expiry_date_ends_tokens_and_they_stay_dead() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (bob, token) = bob_with_token(&admin).await;
    let user = format!("/users/{}", bob.id);
    let today = app.clock.now().date_naive();
    admin.patch(&user, json!({ "expiry_date": today })).await.ok();
    assert!(lives(&token).await, "its last day");
    app.clock.advance(days(1));
    assert!(!lives(&token).await, "with nobody doing anything");
    assert_eq!(app.run_schedule(Schedule::EndExpiredAccounts).await.objects, 1);
    assert_eq!(app.database().value("select count(*) from personal_access_tokens").await, 0);
    admin.again().await.patch(&user, json!({ "expiry_date": null })).await.ok();
    assert!(!lives(&token).await, "what was killed stays dead");
    app.finish().await;
}

#[tokio::test]
async fn a_deleted_user_or_organization_takes_its_tokens_along() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (bob, token) = bob_with_token(&admin).await;
    admin.delete(&format!("/users/{}", bob.id)).await.no_content();
    assert!(!lives(&token).await);
    let own = with(&admin, &make(&admin, "x").await);
    assert!(lives(&own).await);
    app.database().execute("update organizations set deleted_at = now()").await;
    assert!(!lives(&own).await);
    app.finish().await;
}

#[tokio::test]
async fn tokens_whose_time_is_over_are_cleaned_away_with_dead_sessions() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.post("/iam/auth-tokens", json!({ "name": "short", "expiry": 1 })).await.created();
    let long = with(&admin, &make(&admin, "long").await);
    admin.call(reqwest::Method::POST, "/iam/session-token").await.ok();
    assert_eq!(app.run_schedule(Schedule::PurgeDeadSessions).await.objects, 0);
    app.clock.advance(days(2));
    // The session, which takes its session token along, and the token.
    assert_eq!(app.run_schedule(Schedule::PurgeDeadSessions).await.objects, 2);
    let left = app.database().rows("select name from personal_access_tokens").await;
    assert_eq!(left, [json!({ "name": "long" })]);
    assert_eq!(app.database().value("select count(*) from session_tokens").await, 0);
    assert!(lives(&long).await);
    app.finish().await;
}
