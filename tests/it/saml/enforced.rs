//! Where single sign-on is demanded.

use harness::{PASSWORD, Said, Tab, TestApp, days};
use serde_json::{Value, json};

use super::{acme, is_in};

/// Demands it from a time on, past all questions that administrators are asked before.
async fn demand(app: &TestApp, since: &str) {
    let sql = format!("update organizations set sso_required_from = {since} where slug = 'acme'");
    app.database().execute(&sql).await;
}

#[tokio::test]
async fn a_password_is_no_way_in_but_for_those_who_are_excepted() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "domains": ["example.com"] })).await;
    let bob = admin.member("bob@example.com", "reader").await;
    admin.patch(&format!("/users/{}", admin.id), json!({ "keep_local_login": true })).await.ok();
    let mut wrong =
        app.anonymous().sign_in("acme", "bob@example.com", "wrong").await.problem(401, "invalid_credentials");
    demand(&app, &format!("'{}'", app.clock.now() + days(1))).await;
    app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.ok();

    app.clock.advance(days(1));
    let mut refused =
        app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.problem(401, "invalid_credentials");
    for answer in [&mut wrong, &mut refused] {
        answer["request_id"] = Value::Null;
    }
    assert_eq!(refused, wrong, "one answer for all that can be wrong");
    let admin = admin.again().await;
    let event = admin.get("/audit-events?action=session.refused").await.ok()["results"][0].clone();
    assert_eq!(event["details"]["reason"], "sso_required");
    let tab = Tab::new(app.anonymous());
    is_in(&tab.sign_in(&company, &Said::of("bob@example.com")).await, "/");

    // Nor does anyone get one.
    let set = json!({ "user": bob.id, "new_password": PASSWORD, "confirm_new_password": PASSWORD });
    admin.post("/iam/set-password", set).await.problem(409, "no_local_login");
    app.settle().await;
    app.mailbox().read_all();
    let before = app.mailbox().count_to("bob@example.com");
    app.anonymous().under("acme").post("/iam/password-reset", json!({ "email": "bob@example.com" })).await.accepted();
    app.anonymous().under("acme").post("/iam/password-reset", json!({ "email": admin.email })).await.accepted();
    app.mailbox().last_to(&admin.email).await;
    app.settle().await;
    assert_eq!(app.mailbox().count_to("bob@example.com"), before);
    app.finish().await;
}

#[tokio::test]
async fn a_link_that_was_mailed_before_chooses_no_password_any_more() {
    let app = TestApp::start().await;
    let (admin, _) = acme(&app, json!({})).await;
    admin.member("bob@example.com", "reader").await;
    app.anonymous().under("acme").post("/iam/password-reset", json!({ "email": "bob@example.com" })).await.accepted();
    let link = app.mailbox().last_to("bob@example.com").await.link();
    demand(&app, "now() - interval '1 day'").await;
    let new = "several unrelated zebras juggle";
    let body = json!({ "token": link.token(), "new_password": new, "confirm_new_password": new });
    app.anonymous().under("acme").post("/iam/password-reset/confirm", body).await.problem(404, "link_dead");
    app.finish().await;
}

#[tokio::test]
async fn an_invitee_is_sent_to_his_company_and_signing_in_there_accepts() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "domains": ["example.com"] })).await;
    let invitation = admin.invite("bob@example.com", "reader").await;
    let link = app.link_of(&admin, &invitation).await;
    demand(&app, "now() - interval '1 day'").await;
    assert_eq!(app.anonymous().preview(&link).await.ok()["sso_required"], true);
    let answer = app.anonymous().post("/v1/invitations/accept", json!({ "token": link.token() })).await.ok();
    let wanted = format!("{}/invitations/accept?token={}", app.url(), link.token());
    assert_eq!(answer, json!({ "sign_in_url": wanted, "organization": "acme" }));
    // Where his domain leads there, the sign-in does as well.
    let tab = Tab::new(app.anonymous());
    let sign_in = format!("{}/sign-in?organization=acme&login_hint=bob%40example.com", app.url());
    let page = tab.open(&sign_in).await;
    assert!(page.text.contains(&format!("login?connection={}", company.id)), "{}", page.text);
    is_in(&tab.sign_in(&company, &Said::of("bob@example.com")).await, "/");
    assert_eq!(tab.caller("acme").await.get("/iam/current-user").await.ok()["roles"], json!(["reader"]));
    app.finish().await;
}

#[tokio::test]
async fn a_welcome_leads_to_the_sign_in() {
    let app = TestApp::start().await;
    let (admin, _) = acme(&app, json!({})).await;
    demand(&app, "now() - interval '1 day'").await;
    admin.post("/users", json!({ "email": "new@example.com" })).await.created();
    let mail = app.mailbox().last_to("new@example.com").await;
    assert_eq!(mail.links()[0].0.as_str(), format!("{}/sign-in?organization=acme", app.url()));
    assert!(mail.text().contains("company account"), "{}", mail.text());
    app.finish().await;
}
