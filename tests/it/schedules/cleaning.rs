//! What is cleaned away, and what stays.

use harness::{TestApp, days, hours, minutes};
use serde_json::{Value, json};
use tenantry_shared::schedules::Schedule;

async fn count(app: &TestApp, table: &str) -> Value {
    app.database().value(&format!("select count(*) from {table}")).await
}

#[tokio::test]
async fn dead_sessions_are_deleted_in_batches_and_live_ones_stay() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.database()
        .execute(&format!(
            "insert into sessions (organization_id, id, user_id, token_digest, created_at, expires_at)
             select organization_id, gen_random_uuid(), id, sha256(n::text::bytea), now(), now() - interval '1 minute'
             from users, generate_series(1, 2500) n where id = '{}'",
            admin.id
        ))
        .await;
    let tally = app.run_schedule(Schedule::PurgeDeadSessions).await;
    assert_eq!((tally.objects, tally.organizations), (2_500, 1));
    admin.get("/iam/current-user").await.ok();
    app.clock.advance(hours(13));
    let fresh = admin.again().await;
    assert_eq!(app.run_schedule(Schedule::PurgeDeadSessions).await.objects, 1);
    fresh.get("/iam/current-user").await.ok();
    assert_eq!(count(&app, "sessions").await, 1);
    app.finish().await;
}

#[tokio::test]
async fn an_idempotency_key_is_forgotten_after_a_day_and_not_before() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = json!({ "email": "bob@example.com" });
    let made = admin.post("/users", bob.clone()).header("idempotency-key", "once").await.created();
    app.clock.advance(hours(24) - minutes(1));
    let admin = admin.again().await;
    assert_eq!(app.run_schedule(Schedule::PurgeIdempotencyKeys).await.objects, 0);
    let again = admin.post("/users", bob.clone()).header("idempotency-key", "once").await.created();
    assert_eq!(again, made);
    app.clock.advance(minutes(2));
    assert_eq!(app.run_schedule(Schedule::PurgeIdempotencyKeys).await.objects, 1);
    assert_eq!(count(&app, "idempotency_keys").await, 0);
    admin.post("/users", bob).header("idempotency-key", "once").await.problem(409, "already_member");
    app.finish().await;
}

#[tokio::test]
async fn links_to_a_password_are_deleted_a_month_after_their_end_and_their_mails_stay() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let ask = || async {
        app.anonymous().under("acme").post("/iam/password-reset", json!({ "email": admin.email })).await.accepted();
        app.mailbox().last_to(&admin.email).await
    };
    ask().await;
    // Supersedes the first one.
    ask().await;
    app.settle().await;
    let purge = async || app.run_schedule(Schedule::PurgePasswordResets).await.objects;
    app.clock.advance(days(30) - hours(1));
    assert_eq!(purge().await, 0);
    app.clock.advance(hours(1) + minutes(30));
    assert_eq!(purge().await, 1, "the one that was superseded before it was over");
    app.clock.advance(hours(1));
    assert_eq!((purge().await, purge().await), (1, 0));
    assert_eq!(count(&app, "password_resets").await, 0);
    let admin = admin.again().await;
    assert_eq!(admin.get("/emails?kind=password_reset").await.ok()["count"], 2);
    app.finish().await;
}
