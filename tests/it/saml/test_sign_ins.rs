//! Test sign-ins.

use harness::{Caller, Connected, Message, Said, Tab, TestApp, minutes};
use serde_json::{Value, json};

use super::{acme, last_event};

/// Begins a test in a browser: what is asked of the identity provider.
async fn begin(admin: &Caller, company: &Connected, tab: &Tab) -> Message {
    let path = format!("/saml/connections/{}/test", company.id);
    let begun = admin.post(&path, json!({})).await.created();
    let answer = tab.open(begun["url"].as_str().expect("an address")).await;
    assert_eq!(answer.status, 302, "{}", answer.whole());
    let again = tab.open(begun["url"].as_str().expect("an address")).await;
    assert_eq!(again.status, 404, "an address is good once: {}", again.whole());
    Message::of_address(answer.header("location"))
}

async fn result(admin: &Caller, company: &Connected) -> Value {
    admin.get(&format!("/saml/connections/{}/test", company.id)).await.ok()
}

#[tokio::test]
async fn a_test_shows_what_the_assertion_said_and_signs_nobody_in() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "is_active": false, "jit_provisioning": true })).await;
    admin.get(&format!("/saml/connections/{}/test", company.id)).await.problem(404, "not_found");
    let tab = Tab::new(app.anonymous());
    let asked = begin(&admin, &company, &tab).await;
    assert_eq!(result(&admin, &company).await["status"], "pending");
    let said = Said::of("bob@example.com").with("Department", &["Sales <b>"]).with("groups", &["a", "b"]);
    let page = tab.bring(&company, &company.response(&said, Some(&asked.id)), &asked.relay_state).await;
    assert_eq!(page.status, 200, "{}", page.whole());
    assert!(page.text.contains("id of bob@example.com") && page.text.contains("Sales &lt;b&gt;"), "{}", page.text);
    assert!(!tab.cookies().contains("tenantry="), "nobody is signed in");
    let users = admin.get("/users").await.ok();
    assert_eq!(users["count"], 1, "nobody was made: {users}");

    let result = result(&admin, &company).await;
    assert_eq!(
        (&result["status"], &result["said"]["email"]),
        (&json!("passed"), &json!("bob@example.com")),
        "{result}"
    );
    assert_eq!(
        (&result["said"]["groups"], &result["said"]["account"]),
        (&json!(["a", "b"]), &json!("bob@example.com"))
    );
    let connection = admin.get(&format!("/saml/connections/{}", company.id)).await.ok();
    assert!(connection["tested_at"].is_string(), "{connection}");
    let event = last_event(&admin).await;
    assert_eq!((&event["kind"], &event["outcome"]), (&json!("test"), &json!("accepted")));
    assert!(!event.to_string().contains("bob@"), "nothing of what was said: {event}");
    let again = tab.bring(&company, &company.response(&said, Some(&asked.id)), &asked.relay_state).await;
    assert_eq!(again.status, 403, "{}", again.whole());
    app.finish().await;
}

#[tokio::test]
async fn a_test_says_which_check_failed() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({})).await;
    let tab = Tab::new(app.anonymous());
    let other = company.spoken_for_by(company.provider.with_another_key());
    let asked = begin(&admin, &company, &tab).await;
    let page =
        tab.bring(&company, &other.response(&Said::of("bob@example.com"), Some(&asked.id)), &asked.relay_state).await;
    assert_eq!(page.status, 200, "{}", page.whole());
    let failed = result(&admin, &company).await;
    assert_eq!((&failed["status"], &failed["said"]), (&json!("failed"), &Value::Null), "{failed}");
    let reason = failed["reason"].as_str().expect("a reason");
    assert!(page.text.contains(reason) && last_event(&admin).await["reason"] == reason, "{}", page.text);

    // Nor has it passed with names by which nobody can be known again.
    let transient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient".to_owned();
    let said = Said { name_id_format: transient, ..Said::of("bob@example.com") };
    let asked = begin(&admin, &company, &tab).await;
    tab.bring(&company, &company.response(&said, Some(&asked.id)), &asked.relay_state).await;
    assert_eq!(result(&admin, &company).await["reason"], "transient_name_id");
    let connection = admin.get(&format!("/saml/connections/{}", company.id)).await.ok();
    assert_eq!(connection["tested_at"], Value::Null);

    // What can't even be read is known to be of this test by what came back with it.
    let asked = begin(&admin, &company, &tab).await;
    let page = tab.bring(&company, "bm90IFhNTA==", &asked.relay_state).await;
    assert_eq!((page.status.as_u16(), result(&admin, &company).await["status"].clone()), (200, json!("failed")));
    let connection = admin.get(&format!("/saml/connections/{}", company.id)).await.ok();
    assert_eq!(connection["tested_at"], Value::Null);
    begin(&admin, &company, &tab).await;
    app.clock.advance(minutes(21));
    assert_eq!(result(&admin, &company).await["status"], "expired");
    app.finish().await;
}

#[tokio::test]
async fn a_test_tells_why_its_person_would_not_be_let_in() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({})).await;
    let tab = Tab::new(app.anonymous());
    let asked = begin(&admin, &company, &tab).await;
    tab.bring(&company, &company.response(&Said::of("bob@example.com"), Some(&asked.id)), &asked.relay_state).await;
    let result = result(&admin, &company).await;
    assert_eq!(
        (&result["status"], &result["said"]["no_account_reason"]),
        (&json!("passed"), &json!("no_account")),
        "{result}"
    );
    admin
        .member("bob@example.com", "reader")
        .await
        .post(&format!("/saml/connections/{}/test", company.id), json!({}))
        .await
        .problem(403, "permission_denied");
    app.finish().await;
}
