//! Single logout, begun at either end.

use harness::{Message, Said, Tab, TestApp, attribute, minutes};
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
    let (_, rest) = page.text.split_once("0;url=").expect("a page that leads there");
    let address = rest.split('"').next().unwrap_or_default().replace("&amp;", "&").replace("&#x2f;", "/");
    let told = Message::of_address(&address);
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
