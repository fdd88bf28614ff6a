//! Single sign-on through a company's identity provider.

mod accounts;
mod attacks;
mod company_pages;
mod connect;
mod enforced;
mod group_mapping;
mod invited;
mod logout;
mod providers;
mod requests;
mod test_sign_ins;
mod together;
mod walkthrough;

use harness::{Answer, Caller, Connected, IdentityProvider, TestApp};
use serde_json::{Value, json};

/// An organization whose connection makes accounts, and its administrator.
async fn acme(app: &TestApp, settings: Value) -> (Caller, Connected) {
    let admin = app.organization("acme").administrator().await;
    let connected = IdentityProvider::new("idp", &app.clock).connect(&admin, settings).await;
    (admin, connected)
}

/// The last attempt, as administrators see it.
async fn last_event(admin: &Caller) -> Value {
    admin.get("/saml/events").await.ok()["results"][0].clone()
}

/// A refusal: little for the person, the reason for the administrator, who finds it by the id on the page.
#[track_caller]
fn is_page(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 403, "{}", answer.whole());
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{}", answer.whole());
    assert!(answer.text.contains(code), "{code}:\n{}", answer.whole());
    assert!(answer.text.contains(answer.header("x-request-id")), "{}", answer.whole());
}

async fn refused(admin: &Caller, answer: &Answer, code: &str, reason: &str) {
    is_page(answer, code);
    let event = last_event(admin).await;
    assert_eq!((&event["outcome"], &event["reason"]), (&json!("refused"), &json!(reason)), "{event}");
    assert_eq!(event["request_id"], answer.header("x-request-id"), "{event}");
    assert!(!answer.text.contains(event["detail"].as_str().expect("words")), "the browser learns little");
}

/// In: a session, and on to where he wanted to be.
#[track_caller]
fn is_in(answer: &Answer, path: &str) {
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, path), "{}", answer.whole());
    assert!(answer.header("set-cookie").starts_with("tenantry="), "{}", answer.whole());
}
