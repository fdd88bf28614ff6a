//! What each user likes.

use harness::TestApp;
use serde_json::{Value, json};

const PATH: &str = "/user-preferences";

#[tokio::test]
async fn preferences_are_merged_and_are_ones_own() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let reader = admin.member("reader@example.com", "reader").await;
    assert_eq!(reader.get(PATH).await.ok(), json!({}));
    reader.patch(PATH, json!({ "lang": "de", "ui": { "theme": "dark", "dense": true }, "mine": [1, 2] })).await.ok();
    let merged =
        reader.patch(PATH, json!({ "ui": { "dense": null }, "mine": [3], "date_format": "DD.MM." })).await.ok();
    let expected = json!({ "lang": "de", "ui": { "theme": "dark" }, "mine": [3], "date_format": "DD.MM." });
    assert_eq!(merged, expected);
    assert_eq!(reader.get(PATH).await.ok(), expected);
    assert_eq!(reader.get("/iam/current-user").await.ok()["preferences"], expected);
    assert_eq!(admin.get(PATH).await.ok(), json!({}));
    app.finish().await;
}

#[tokio::test]
async fn a_lost_update_of_preferences_is_refused_and_a_change_of_the_user_is_none() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let tag = admin.get(PATH).await.header("etag").to_owned();
    let theme = |theme: &str| admin.patch(PATH, json!({ "ui": { "theme": theme } })).header("if-match", &tag);
    admin.patch(&format!("/users/{}", admin.id), json!({ "first_name": "Ada" })).await.ok();
    let changed = theme("dark").await;
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(admin.get(PATH).await.header("etag"), changed.header("etag"));
    theme("light").await.problem(412, "precondition_failed");
    let user_tag = admin.get(&format!("/users/{}", admin.id)).await.header("etag").to_owned();
    admin.patch(PATH, json!({ "ui": { "theme": "light" } })).await.ok();
    assert_eq!(admin.get(&format!("/users/{}", admin.id)).await.header("etag"), user_tag);
    app.finish().await;
}

#[tokio::test]
async fn two_changes_at_once_are_both_kept() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let changes = (0..10).map(|n| {
        let admin = admin.clone();
        let key = format!("key{n}");
        tokio::spawn(async move { admin.patch(PATH, json!({ key: n })).await.ok() })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.expect("it ends");
    }
    let kept = admin.get(PATH).await.ok();
    assert_eq!(kept.as_object().map(serde_json::Map::len), Some(10), "{kept}");
    app.finish().await;
}

#[tokio::test]
async fn bad_preferences_are_refused() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let half = "x".repeat(9 * 1024);
    admin.patch(PATH, json!({ "one": half })).await.ok();
    for (patch, field, code) in [
        (json!({ "two": half }), "preferences", "too_long"),
        (json!({ "lang": "tlh" }), "lang", "invalid_locale"),
        (json!({ "lang": 1 }), "lang", "invalid_locale"),
        (json!({ "date_format": {} }), "date_format", "invalid"),
        (json!({ "ui": "dark" }), "ui", "invalid"),
        (json!({ "ui": { "theme": 1 } }), "ui", "invalid"),
    ] {
        admin.patch(PATH, patch).await.invalid(field, code);
    }
    for body in [json!([]), json!("text"), Value::Null, json!({ "nul": "\0" })] {
        let answer = admin.patch(PATH, body).await;
        assert_eq!(answer.status, 400, "{}", answer.whole());
    }
    admin.patch(PATH, json!({ "lang": null, "one": null, "two": half })).await.ok();
    assert_eq!(admin.get(PATH).await.ok(), json!({ "two": half }));
    app.finish().await;
}

#[tokio::test]
async fn a_change_of_preferences_is_audited_without_them_and_only_if_it_is_one() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for _ in 0..2 {
        admin.patch(PATH, json!({ "lang": "fr" })).await.ok();
    }
    let events = admin.get("/audit-events?action=user.preferences_changed").await.ok();
    assert_eq!((&events["count"], &events["results"][0]["details"]), (&json!(1), &json!({})));
    app.finish().await;
}

#[tokio::test]
async fn numbers_of_ones_own_come_back_as_they_were_sent() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let numbers =
        json!({ "largest": f64::MAX, "near it": 1.797_693_134_862_315_5e308, "odd": 9.99e299, "least": 5e-324 });
    assert_eq!(admin.patch(PATH, numbers.clone()).await.ok(), numbers);
    assert_eq!(admin.get(PATH).await.ok(), numbers);
    let me = format!("/users/{}", admin.id);
    assert_eq!(admin.patch(&me, json!({ "profile": numbers })).await.ok()["profile"], numbers);
    assert_eq!(admin.get(&me).await.ok()["profile"], numbers);
    app.finish().await;
}
