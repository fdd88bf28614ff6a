//! When a credential was last used: known to the minute, and cheap.

use harness::{TestApp, minutes, seconds};
use serde_json::{Value, json};

use super::{lives, make, with};

/// Counts each time that a row of a table is written.
async fn count_writes(app: &TestApp, table: &str) {
    app.database()
        .execute(&format!(
            "create table {table}_writes (id uuid);
             create function note_{table}() returns trigger language plpgsql security definer as $$
             begin insert into public.{table}_writes values (new.id); return new; end $$;
             create trigger note after update on {table} for each row execute function note_{table}()"
        ))
        .await;
}

async fn writes(app: &TestApp, table: &str) -> Value {
    app.database().value(&format!("select count(*) from {table}_writes")).await
}

#[tokio::test]
async fn a_hundred_requests_at_once_note_the_use_of_a_token_once_a_minute() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let token = with(&admin, &make(&admin, "x").await);
    count_writes(&app, "personal_access_tokens").await;
    let last_used = async || admin.get("/iam/auth-tokens").await.ok()["results"][0]["last_used_at"].clone();
    assert_eq!(last_used().await, Value::Null);
    for minute in 1..=3 {
        let requests = (0..100).map(|_| token.get("/iam/current-user").into_future());
        for answer in futures_util::future::join_all(requests).await {
            answer.ok();
        }
        assert_eq!(writes(&app, "personal_access_tokens").await, json!(minute));
        app.clock.advance(seconds(61));
    }
    assert!(last_used().await.is_string());
    app.finish().await;
}

#[tokio::test]
async fn a_hundred_requests_at_once_note_the_use_of_a_session_once_a_minute() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    count_writes(&app, "sessions").await;
    app.clock.advance(seconds(61));
    let requests = (0..100).map(|_| admin.get("/iam/current-user").into_future());
    for answer in futures_util::future::join_all(requests).await {
        answer.ok();
    }
    assert_eq!(writes(&app, "sessions").await, 1);
    app.finish().await;
}

#[tokio::test]
async fn a_request_does_not_wait_to_note_the_use_of_its_credential() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let token = with(&admin, &make(&admin, "x").await);
    app.clock.advance(minutes(2));
    let held = app.database().hold("select id from personal_access_tokens for update").await;
    // It would wait until the test ends.
    assert!(lives(&token).await);
    held.release().await;
    app.finish().await;
}

#[tokio::test]
async fn a_use_that_can_not_be_noted_is_answered_all_the_same() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let token = with(&admin, &make(&admin, "x").await);
    app.database()
        .execute(
            "create function refuse() returns trigger language plpgsql as $$ begin raise 'no room left'; end $$;
             create trigger refuse before update on personal_access_tokens for each row execute function refuse();
             create trigger refuse before update on sessions for each row execute function refuse()",
        )
        .await;
    app.clock.advance(minutes(2));
    assert!(lives(&token).await && lives(&admin).await);
    app.finish().await;
}
