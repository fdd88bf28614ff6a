//! Single logout, begun at either end.

use harness::{IdentityProvider, Message, Said, Tab, TestApp, attribute, minutes};
use serde_json::json;

use super::{acme, is_in, is_page, last_event};

#[tokio::test]
async fn whoever_signs_out_here_is_signed_out_at_his_company_too() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let tab = Tab::new(app.anonymous());
    let said = Said::of("bob@example.com");
    is_in(&tab.sign_in(&company, &said).await, "/");
    let bob = tab.caller("acme").await;
    let page = tab.post(&format!("{}/sign-out", app.url()), &[], app.url()).await;
    assert_eq!(page.status, 200, "{}", page.whole());
    bob.get("/iam/current-user").await.problem(401, "not_authenticated");
    let told = Message::of_lead(&page.text);
    assert!(told.url.as_str().starts_with("https://idp.example/slo?"), "{}", told.url);
    assert!(told.url.query_pairs().any(|(name, _)| name == "Signature"), "signed");
    assert_eq!(attribute(&told.xml, "Destination"), "https://idp.example/slo");
    assert!(told.xml.contains(&said.name_id) && told.xml.contains(&said.session_index), "{}", told.xml);

    let answer = format!("{}?{}", company.address("slo"), company.logout_answer(&told.id, &told.relay_state));
    let stranger = Tab::new(app.anonymous());
    is_page(&stranger.open(&answer).await, "sso_logout_refused");
    let back = tab.open(&answer).await;
    assert_eq!(back.status, 303, "{}", back.whole());
    assert_eq!(back.header("location"), "/sign-in?organization=acme&notice=signed_out");
    is_page(&tab.open(&answer).await, "sso_logout_refused");
    assert_eq!(last_event(&admin).await["reason"], "unknown_request");
    app.finish().await;
}

#[tokio::test]
async fn a_sign_out_at_the_company_ends_exactly_the_sessions_of_that_name() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let sign_in = async |email: &str| {
        let (tab, said) = (Tab::new(app.anonymous()), Said::of(email));
        is_in(&tab.sign_in(&company, &said).await, "/");
        (tab.caller("acme").await, said)
    };
    let (first, said) = sign_in("bob@example.com").await;
    let (second, _) = sign_in("bob@example.com").await;
    let (eve, _) = sign_in("eve@example.com").await;
    let slo = company.address("slo");
    let tab = Tab::new(app.anonymous());

    let query = company.logout_query(&said.name_id, &[&said.session_index]);
    let answer = tab.open(&format!("{slo}?{query}")).await;
    assert_eq!(answer.status, 302, "{}", answer.whole());
    let told = Message::of_address(answer.header("location"));
    assert_eq!(attribute(&told.xml, "Destination"), "https://idp.example/slo");
    assert!(told.xml.contains("status:Success") && told.relay_state == "their-state", "{}", told.xml);
    assert!(told.url.query_pairs().any(|(name, _)| name == "Signature"), "signed");
    first.get("/iam/current-user").await.problem(401, "not_authenticated");
    second.get("/iam/current-user").await.ok();

    is_page(&tab.open(&format!("{slo}?{query}")).await, "sso_logout_refused");
    assert_eq!(last_event(&admin).await["reason"], "replayed");
    let all = company.logout_query(&said.name_id, &[]);
    assert_eq!(tab.open(&format!("{slo}?{all}")).await.status, 302);
    second.get("/iam/current-user").await.problem(401, "not_authenticated");
    eve.get("/iam/current-user").await.ok();
    let audit = admin.get("/audit-events?action=sessions.ended").await.ok();
    assert_eq!((&audit["count"], &audit["results"][0]["object_name"]), (&json!(2), &json!("bob@example.com")));
    app.finish().await;
}

#[tokio::test]
async fn a_sign_out_that_is_not_signed_or_too_old_ends_nothing() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let (tab, said) = (Tab::new(app.anonymous()), Said::of("bob@example.com"));
    is_in(&tab.sign_in(&company, &said).await, "/");
    let bob = tab.caller("acme").await;
    let slo = company.address("slo");
    let query = company.logout_query(&said.name_id, &[]);
    let unsigned = query.split("&SigAlg=").next().expect("a query").to_owned();
    let other = company.spoken_for_by(company.provider.with_another_key());
    for query in [unsigned, other.logout_query(&said.name_id, &[]), query.replace("their-state", "another-state")] {
        is_page(&tab.open(&format!("{slo}?{query}")).await, "sso_logout_refused");
        let event = last_event(&admin).await;
        assert_eq!((&event["kind"], &event["outcome"]), (&json!("logout"), &json!("refused")), "{event}");
    }
    app.clock.advance(minutes(10));
    is_page(&tab.open(&format!("{slo}?{query}")).await, "sso_logout_refused");
    bob.get("/iam/current-user").await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_provider_that_wants_forms_is_told_of_a_sign_out_by_one_and_answers_by_one() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let company = IdentityProvider::new("idp", &app.clock).connect_with_logout_by_form(&admin).await;
    let tab = Tab::new(app.anonymous());
    let said = Said::of("bob@example.com");
    is_in(&tab.sign_in(&company, &said).await, "/");
    let bob = tab.caller("acme").await;
    let page = tab.post(&format!("{}/sign-out", app.url()), &[], app.url()).await;
    assert_eq!(page.status, 200, "{}", page.whole());
    bob.get("/iam/current-user").await.problem(401, "not_authenticated");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("form-action https: http:") && !policy.contains("script-src"), "{policy}");
    let told = Message::of_form(&page.text);
    assert_eq!(told.url.as_str(), "https://idp.example/slo");
    assert!(told.xml.contains(&said.name_id) && told.xml.contains(&said.session_index), "{}", told.xml);
    assert!(told.xml.contains("SignatureValue"), "signed: {}", told.xml);

    let slo = company.address("slo");
    let answer = company.logout_answer_form(&told.id);
    let bring = async |tab: &Tab, answer: &str, state: &str| {
        tab.post(&slo, &[("SAMLResponse", answer), ("RelayState", state)], "null").await
    };
    is_page(&bring(&Tab::new(app.anonymous()), &answer, &told.relay_state).await, "sso_logout_refused");
    is_page(&bring(&tab, &answer, "another").await, "sso_logout_refused");
    let foreign = company.spoken_for_by(company.provider.with_another_key()).logout_answer_form(&told.id);
    is_page(&bring(&tab, &foreign, &told.relay_state).await, "sso_logout_refused");
    assert_eq!(last_event(&admin).await["reason"], "invalid_signature");
    let back = bring(&tab, &answer, &told.relay_state).await;
    let location = "/sign-in?organization=acme&notice=signed_out";
    assert_eq!((back.status.as_u16(), back.header("location")), (303, location), "{}", back.whole());
    is_page(&bring(&tab, &answer, &told.relay_state).await, "sso_logout_refused");
    app.finish().await;
}

#[tokio::test]
async fn a_sign_out_at_a_company_that_comes_by_a_form_is_answered_by_one() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let company = IdentityProvider::new("idp", &app.clock).connect_with_logout_by_form(&admin).await;
    let (tab, said) = (Tab::new(app.anonymous()), Said::of("bob@example.com"));
    is_in(&tab.sign_in(&company, &said).await, "/");
    let bob = tab.caller("acme").await;
    let slo = company.address("slo");
    // A sign-out that the provider begins may come in any browser, and from its own site.
    let elsewhere = Tab::new(app.anonymous());
    let bring = async |message: &str| {
        elsewhere.post(&slo, &[("SAMLRequest", message), ("RelayState", "their-state")], "null").await
    };
    let other = company.spoken_for_by(company.provider.with_another_key());
    for (message, reason) in [
        (other.logout_form(&said.name_id, &[]), "invalid_signature"),
        (company.logout_query(&said.name_id, &[]), "bad_encoding"),
        (company.response(&said, None), "unexpected_message"),
    ] {
        is_page(&bring(&message).await, "sso_logout_refused");
        assert_eq!(last_event(&admin).await["reason"], reason);
    }
    bob.get("/iam/current-user").await.ok();

    let message = company.logout_form(&said.name_id, &[&said.session_index]);
    let page = bring(&message).await;
    assert_eq!(page.status, 200, "{}", page.whole());
    let told = Message::of_form(&page.text);
    assert_eq!((told.url.as_str(), told.relay_state.as_str()), ("https://idp.example/slo", "their-state"));
    assert!(told.xml.contains("status:Success") && told.xml.contains("SignatureValue"), "{}", told.xml);
    bob.get("/iam/current-user").await.problem(401, "not_authenticated");
    is_page(&bring(&message).await, "sso_logout_refused");
    assert_eq!(last_event(&admin).await["reason"], "replayed");
    app.finish().await;
}
