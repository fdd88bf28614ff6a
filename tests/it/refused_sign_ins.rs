//! What administrators read of those who could not sign in.

use harness::{Caller, PASSWORD, TestApp};
use serde_json::{Value, json};

const WRONG: &str = "a wrong password of his";

async fn refusals(reader: &Caller) -> Vec<Value> {
    let list = reader.get("/audit-events?action=session.refused&limit=200").await.ok();
    list["results"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_refused_sign_in_is_audited_with_its_reason_and_without_what_was_typed() {
    let app = TestApp::start_with(&[("trusted-proxies", "127.0.0.1")]).await;
    let operator = app.organization("platform").administrator().await;
    let admin = app.organization("acme").administrator().await;
    let mut people = Vec::new();
    for name in ["wrong", "inactive", "expired", "foreign"] {
        people.push(admin.member(&format!("{name}@acme.example"), "reader").await);
    }
    admin.patch(&format!("/users/{}", people[1].id), json!({ "is_active": false })).await.ok();
    let yesterday = app.clock.now().date_naive() - harness::days(1);
    admin.patch(&format!("/users/{}", people[2].id), json!({ "expiry_date": yesterday })).await.ok();
    // As single sign-on will leave them.
    app.database().execute("update users set is_local = false where email_key = 'foreign@acme.example'").await;
    let new = admin.post("/users", json!({ "email": "new@acme.example" })).await.created();

    let wanted = [
        ("wrong@acme.example", WRONG, "wrong_password", Some(json!(people[0].id))),
        ("inactive@acme.example", PASSWORD, "inactive", Some(json!(people[1].id))),
        ("expired@acme.example", PASSWORD, "expired", Some(json!(people[2].id))),
        ("foreign@acme.example", PASSWORD, "not_local", Some(json!(people[3].id))),
        ("new@acme.example", PASSWORD, "no_password", Some(new["id"].clone())),
        ("my secret, typed into the wrong field", PASSWORD, "unknown_user", None),
    ];
    for (username, password, ..) in &wanted {
        let call = app.anonymous().sign_in("acme", username, password).header("x-forwarded-for", "192.0.2.77");
        call.await.problem(401, "invalid_credentials");
    }
    app.anonymous().sign_in("nowhere", "my secret", PASSWORD).await.problem(401, "invalid_credentials");

    let mut events = refusals(&admin).await;
    events.reverse();
    let seen: Vec<_> = events.iter().map(|event| event["details"]["reason"].as_str()).collect();
    assert_eq!(seen, wanted.iter().map(|(_, _, reason, _)| Some(*reason)).collect::<Vec<_>>());
    for (event, (username, _, _, id)) in events.iter().zip(&wanted) {
        assert_eq!(event["client_address"], "192.0.2.77", "{event}");
        assert_eq!(event["object_id"], id.clone().unwrap_or_default(), "{event}");
        assert_eq!(event["object_name"], id.as_ref().map(|_| json!(username)).unwrap_or_default(), "{event}");
        assert!(!event.to_string().contains("secret") && !event.to_string().contains(PASSWORD), "{event}");
    }
    // What was meant for nobody, operators see.
    let events = refusals(&operator).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["details"], json!({ "reason": "unknown_organization" }));
    assert!(!events[0].to_string().contains("secret") && !events[0].to_string().contains("nowhere"), "{events:?}");
    app.settle().await;
    app.finish().await;
}

#[tokio::test]
async fn whoever_guesses_can_t_fill_the_audit_log() {
    let app = TestApp::start_with(&[
        ("limit-patience-ms", "5000"),
        ("limit-refusals-noted", "4/3600"),
        ("limit-account-and-client", "3/60"),
    ])
    .await;
    let admin = app.organization("acme").administrator().await;
    for _ in 0..10 {
        app.anonymous().sign_in("acme", &admin.email, WRONG).await;
    }
    assert_eq!(refusals(&admin).await.len(), 3, "what the limits refuse is not written");
    for n in 0..10 {
        app.anonymous().sign_in("acme", &format!("nobody{n}"), WRONG).await.problem(401, "invalid_credentials");
    }
    assert_eq!(refusals(&admin).await.len(), 4);
    app.finish().await;
}

#[tokio::test]
async fn what_is_noted_of_slugs_that_are_nobodys_counts_with_all_others() {
    let app = TestApp::start_with(&[("limit-refusals-noted", "2/3600")]).await;
    let operator = app.organization("platform").administrator().await;
    let admin = app.organization("acme").administrator().await;
    for n in 0..3 {
        app.anonymous()
            .sign_in(&format!("nowhere{n}"), "admin@acme.example", WRONG)
            .await
            .problem(401, "invalid_credentials");
    }
    app.anonymous().sign_in("acme", &admin.email, WRONG).await.problem(401, "invalid_credentials");
    assert_eq!((refusals(&operator).await.len(), refusals(&admin).await.len()), (2, 0), "one is as another");
    app.finish().await;
}
