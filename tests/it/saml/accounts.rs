//! Whom an assertion lets in: known, taken over, invited, new, or nobody.

use harness::{PASSWORD, Said, Tab, TestApp, days};
use serde_json::{Value, json};

use super::{acme, is_in, refused};

#[tokio::test]
async fn an_account_is_taken_over_only_where_its_domain_is_bound_to_the_connection() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let bob = admin.member("Bob@Example.com", "reader").await;
    let tab = Tab::new(app.anonymous());
    let answer = tab.sign_in(&company, &Said::of("bob@example.com")).await;
    refused(&admin, &answer, "sso_no_account", "domain_not_bound").await;

    let path = format!("/saml/connections/{}", company.id);
    admin.patch(&path, json!({ "domains": ["example.com"] })).await.ok();
    is_in(&tab.sign_in(&company, &Said::of("bob@example.com")).await, "/");
    assert_eq!(tab.caller("acme").await.id, bob.id, "the account that was there");
    let me = bob.get("/iam/current-user").await.ok();
    assert_eq!((&me["is_sso"], &me["is_local"]), (&json!(true), &json!(true)), "his password still works");
    app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.ok();
    let connected = admin.get("/audit-events?action=user.connected").await.ok();
    assert_eq!(connected["results"][0]["object_id"], bob.id.to_string());

    // Known by his name from now on, whatever his address becomes.
    admin.patch(&format!("/users/{}", bob.id), json!({ "email": "robert@elsewhere.example" })).await.ok();
    is_in(&tab.sign_in(&company, &Said::of_name("id of bob@example.com")).await, "/");
    assert_eq!(tab.caller("acme").await.id, bob.id);
    app.finish().await;
}

#[tokio::test]
async fn an_address_that_went_to_someone_else_is_no_way_to_an_account() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "domains": ["example.com"], "jit_provisioning": true })).await;
    let tab = Tab::new(app.anonymous());
    is_in(&tab.sign_in(&company, &Said::of("bob@example.com")).await, "/");
    let another = Said::of_name("another bob").with("mail", &["bob@example.com"]);
    let answer = tab.sign_in(&company, &another).await;
    refused(&admin, &answer, "sso_no_account", "other_name_id").await;
    app.finish().await;
}

#[tokio::test]
async fn who_decides_about_providers_is_not_taken_over_by_one() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "domains": ["acme.example", "example.com"] })).await;
    admin.member("second@example.com", "administrator").await;
    let tab = Tab::new(app.anonymous());
    for email in [admin.email.as_str(), "second@example.com"] {
        let answer = tab.sign_in(&company, &Said::of(email)).await;
        refused(&admin, &answer, "sso_no_account", "privileged_account").await;
    }
    app.finish().await;
}

#[tokio::test]
async fn who_is_unknown_gets_an_account_only_where_the_connection_makes_some() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "domains": ["example.com"] })).await;
    let tab = Tab::new(app.anonymous());
    let answer = tab.sign_in(&company, &Said::of("new@example.com")).await;
    refused(&admin, &answer, "sso_no_account", "no_account").await;
    let path = format!("/saml/connections/{}", company.id);
    admin.patch(&path, json!({ "jit_provisioning": true, "default_role": "reader" })).await.ok();
    let none = tab.sign_in(&company, &Said::of_name("0815")).await;
    refused(&admin, &none, "sso_no_account", "no_email").await;
    is_in(&tab.sign_in(&company, &Said::of("new@example.com")).await, "/");
    let me = tab.caller("acme").await.get("/iam/current-user").await.ok();
    assert_eq!((&me["roles"], &me["is_email_verified"]), (&json!(["reader"]), &json!(true)));
    // From outside of the domains that the organization vouches for.
    is_in(&tab.sign_in(&company, &Said::of("guest@elsewhere.example")).await, "/");
    assert_eq!(tab.caller("acme").await.get("/iam/current-user").await.ok()["is_email_verified"], false);
    app.finish().await;
}

#[tokio::test]
async fn an_address_of_another_connections_domain_is_refused() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let other = harness::IdentityProvider::new("other", &app.clock);
    other.connect(&admin, json!({ "name": "Other", "domains": ["other.example"] })).await;
    let answer = Tab::new(app.anonymous()).sign_in(&company, &Said::of("bob@other.example")).await;
    refused(&admin, &answer, "sso_no_account", "domain_of_another_connection").await;
    app.finish().await;
}

#[tokio::test]
async fn who_arrives_with_an_invitation_has_accepted_it() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "domains": ["example.com"] })).await;
    let invitation = admin.invite("Bob@example.com", "auditor").await;
    let tab = Tab::new(app.anonymous());
    is_in(&tab.sign_in(&company, &Said::of("bob@example.com")).await, "/");
    let bob = tab.caller("acme").await;
    assert_eq!(bob.get("/iam/current-user").await.ok()["roles"], json!(["auditor"]));
    let path = format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"));
    assert_eq!(admin.get(&path).await.ok()["status"], "accepted");
    assert!(app.mailbox().last_to(&admin.email).await.text().contains("accepted"), "the inviter is told");

    // Not by an address that any colleague could have himself called by, also where accounts are made.
    let invited = admin.invite("eve@elsewhere.example", "administrator").await;
    for jit_provisioning in [false, true] {
        let path = format!("/saml/connections/{}", company.id);
        admin.patch(&path, json!({ "jit_provisioning": jit_provisioning })).await.ok();
        let answer = tab.sign_in(&company, &Said::of("eve@elsewhere.example")).await;
        refused(&admin, &answer, "sso_no_account", "invitation_by_link").await;
    }
    let path = format!("/invitations/{}", invited["uuid"].as_str().expect("an id"));
    assert_eq!(admin.get(&path).await.ok()["status"], "pending");
    app.finish().await;
}

#[tokio::test]
async fn whose_account_has_ended_is_not_let_in() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "domains": ["example.com"], "jit_provisioning": true })).await;
    let tab = Tab::new(app.anonymous());
    is_in(&tab.sign_in(&company, &Said::of("bob@example.com")).await, "/");
    let bob = tab.caller("acme").await;
    let path = format!("/users/{}", bob.id);
    let yesterday = app.clock.now().date_naive() - days(1);
    for (change, reason) in [
        (json!({ "is_active": false }), "inactive"),
        (json!({ "is_active": true, "expiry_date": yesterday }), "expired"),
    ] {
        admin.patch(&path, change).await.ok();
        let answer = tab.sign_in(&company, &Said::of("bob@example.com")).await;
        refused(&admin, &answer, "sso_account_ended", reason).await;
        bob.get("/iam/current-user").await.problem(401, "not_authenticated");
    }
    admin.patch(&path, json!({ "expiry_date": Value::Null })).await.ok();
    is_in(&tab.sign_in(&company, &Said::of("bob@example.com")).await, "/");
    app.finish().await;
}

#[tokio::test]
async fn a_name_that_changes_each_time_is_refused_with_words_on_what_to_change() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let transient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient".to_owned();
    let said = Said { name_id_format: transient, ..Said::of("bob@example.com") };
    let answer = Tab::new(app.anonymous()).sign_in(&company, &said).await;
    refused(&admin, &answer, "sso_refused", "transient_name_id").await;
    app.finish().await;
}

#[tokio::test]
async fn who_shows_his_second_factor_at_the_company_needs_none_here() {
    let app = TestApp::start().await;
    let (_, company) = acme(&app, json!({ "jit_provisioning": true, "default_role": "reader" })).await;
    app.database().execute("update organizations set mfa_required = true where slug = 'acme'").await;
    let tab = Tab::new(app.anonymous());
    is_in(&tab.sign_in(&company, &Said::of("bob@example.com")).await, "/");
    let bob = tab.caller("acme").await;
    let token = bob.post("/iam/auth-tokens", json!({ "name": "a program" })).await.created();
    let program = bob.with_authorization(Some(&format!("Bearer {}", token["token"].as_str().expect("a token"))));
    program.get("/iam/current-user").await.ok();
    // A session that came of that one is no less.
    let handed = bob.call(reqwest::Method::POST, "/iam/session-token").await.ok();
    let fields = [("token", handed["token"].as_str().expect("a token"))];
    let other = Tab::new(app.anonymous());
    other.post(&format!("{}/sign-in/with-token/continue", app.url()), &fields, app.url()).await;
    other.caller("acme").await.get("/iam/current-user").await.ok();
    app.finish().await;
}
