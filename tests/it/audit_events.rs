//! The audit log: who did what to what.

use harness::{PASSWORD, TestApp};
use serde_json::{Value, json};

#[tokio::test]
async fn every_change_leaves_an_event_with_its_actor_and_no_secret() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let invitation = admin.invite("bob@example.com", "reader").await;
    let link = app.link_of(&admin, &invitation).await;
    let session = app.anonymous().accept(&link).await.created();
    let bob = app.anonymous().signed_in("acme", &session).await;
    admin.patch(&format!("/users/{}", bob.id), json!({ "observation": "a note" })).await.ok();
    bob.post("/iam/revoke-sessions", json!({})).await.ok();
    bob.post("/iam/logout", json!({})).await.no_content();
    admin.delete(&format!("/users/{}", bob.id)).await.no_content();
    let revoked = admin.invite("carol@example.com", "reader").await;
    admin.delete(&format!("/invitations/{}", revoked["uuid"].as_str().expect("an id"))).await.no_content();

    let events = admin.get("/audit-events?limit=200").await.ok();
    let events = events["results"].as_array().expect("a list").clone();
    let find = |action: &str, object: &str| {
        let found = events.iter().find(|event| event["action"] == action && event["object_name"] == object);
        found.unwrap_or_else(|| panic!("no {action} of {object} in {events:#?}")).clone()
    };
    assert_eq!(find("invitation.created", "bob@example.com")["actor_name"], "admin@acme.example");
    assert_eq!(find("invitation.accepted", "bob@example.com")["actor_id"], json!(bob.id));
    let created = find("user.created", "bob@example.com");
    assert_eq!(created["object_id"], json!(bob.id));
    assert_eq!(find("user.changed", "bob@example.com")["details"]["fields"], json!(["observation"]));
    let entered = find("session.created", "bob@example.com");
    assert_eq!((&entered["actor_id"], &entered["details"]), (&json!(bob.id), &json!({ "by": "invitation" })));
    assert_eq!(find("session.ended", "bob@example.com")["actor_id"], json!(bob.id));
    assert_eq!(find("user.deleted", "bob@example.com")["actor_id"], json!(admin.id));
    assert_eq!(find("invitation.revoked", "carol@example.com")["actor_id"], json!(admin.id));
    let signed_in = find("session.created", "admin@acme.example");
    assert!(signed_in["client_address"].is_string() && signed_in["request_id"].is_string(), "{signed_in}");
    assert!(
        signed_in["credential"].as_str().is_some_and(|credential| credential.starts_with("session:")),
        "{signed_in}"
    );

    let all = Value::Array(events.clone()).to_string();
    for secret in [PASSWORD, admin.token(), bob.token(), &link.token(), "argon2"] {
        assert!(!all.contains(secret), "a secret is in the log");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_change_that_fails_leaves_no_event() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let count = async || admin.get("/audit-events?limit=1").await.ok()["count"].clone();
    let before = count().await;
    admin.delete(&format!("/users/{}", admin.id)).await.problem(409, "last_superuser");
    admin
        .post("/invitations", json!({ "invitee_identifier": "admin@acme.example", "role": "reader" }))
        .await
        .problem(409, "already_member");
    assert_eq!(count().await, before);
    app.finish().await;
}

#[tokio::test]
async fn events_are_filtered_and_only_auditors_and_administrators_read_them() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let reader = admin.member("reader@example.com", "reader").await;
    let auditor = admin.member("auditor@example.com", "auditor").await;
    reader.get("/audit-events").await.problem(403, "permission_denied");
    let list = auditor.get(&format!("/audit-events?action=invitation.accepted&actor_id={}", reader.id)).await.ok();
    assert_eq!((list["count"].as_i64(), &list["results"][0]["object_name"]), (Some(1), &json!("reader@example.com")));
    let later = auditor.get("/audit-events?since=2999-01-01T00:00:00Z").await.ok();
    assert_eq!(later["count"], 0);
    let earlier = auditor.get("/audit-events?until=2000-01-01T00:00:00Z&object_type=user").await.ok();
    assert_eq!(earlier["count"], 0);
    app.finish().await;
}
