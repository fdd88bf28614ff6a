//! What is one's own.

use harness::{Caller, TestApp};
use serde_json::{Value, json};

use super::{World, path};
use crate::roles::nobody;

async fn token(of: &Caller, permissions: Option<&[&str]>) -> Caller {
    let mut body = json!({ "name": "x" });
    if let Some(permissions) = permissions {
        body["permissions"] = json!(permissions);
    }
    let made = of.post("/iam/auth-tokens", body).await.created();
    of.with_authorization(Some(&format!("Bearer {}", made["token"].as_str().expect("a token"))))
}

#[tokio::test]
async fn a_token_does_not_give_its_owner_another_address() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let own = path(&admin);
    let (whole, scoped) = (token(&admin, None).await, token(&admin, Some(&["view_user", "change_user"])).await);
    for caller in [&whole, &scoped] {
        for change in
            [json!({ "email": "thief@example.com" }), json!({ "profile": { "x": 1 } }), json!({ "user_groups": [] })]
        {
            caller.patch(&own, change).await.problem(403, "session_required");
        }
    }
    assert_eq!(admin.get(&own).await.ok()["email"], json!(admin.email));
    // In a batch he is one among others.
    let batch = json!({ "action": "change_field", "ids": [admin.id], "field": "is_third_party", "value": true });
    let answer = whole.post("/users/batch-action", batch).await.ok();
    assert_eq!(answer["failed"][0]["code"], "session_required", "{answer}");
    admin.patch(&own, json!({ "email": "new@example.com" })).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_token_with_a_scope_writes_nothing_of_its_owners_own() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let own = path(&admin);
    let (whole, scoped) = (token(&admin, None).await, token(&admin, Some(&["view_user"])).await);
    scoped.patch(&own, json!({ "first_name": "Eve" })).await.problem(403, "session_required");
    scoped.patch("/user-preferences", json!({ "lang": "de" })).await.problem(403, "session_required");
    scoped.get("/user-preferences").await.ok();
    whole.patch(&own, json!({ "first_name": "Ann" })).await.ok();
    whole.patch("/user-preferences", json!({ "lang": "de" })).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn nobody_lifts_the_limits_of_his_own_account() {
    let world = World::start().await;
    let own = path(&world.manager);
    for change in [
        json!({ "expiry_date": "2999-01-01" }),
        json!({ "is_third_party": true }),
        json!({ "keep_local_login": true }),
        json!({ "is_active": false }),
    ] {
        world.manager.patch(&own, change).await.problem(409, "cannot_change_oneself");
    }
    world.manager.patch(&own, json!({ "observation": "x", "is_active": true })).await.ok();
    world.admin.patch(&path(&world.admin), json!({ "keep_local_login": true })).await.ok();
    world.app.finish().await;
}

#[tokio::test]
async fn whoever_was_deactivated_while_he_waited_does_nothing_any_more() {
    let world = World::start().await;
    let bob = world.tied("bob@example.com", &[&world.home]).await;
    for end in ["is_active = false", "expiry_date = current_date - 2"] {
        let held = world.app.database().hold("select from organizations for no key update").await;
        let (manager, path) = (world.manager.clone(), path(&bob));
        let change = tokio::spawn(async move { manager.patch(&path, json!({ "observation": "late" })).await });
        world.app.database().until_someone_waits().await;
        let sql = format!("update users set {end} where id = '{}'", world.manager.id);
        world.app.database().execute(&sql).await;
        held.release().await;
        let answer = change.await.expect("it ends");
        assert!(answer.status == 403 || answer.status == 404, "{}", answer.whole());
        let sql = format!("update users set is_active = true, expiry_date = null where id = '{}'", world.manager.id);
        world.app.database().execute(&sql).await;
    }
    assert_eq!(world.admin.get(&path(&bob)).await.ok()["observation"], Value::Null);
    nobody(&world.admin, "carl@example.com").await;
    world.app.finish().await;
}
