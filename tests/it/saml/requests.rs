//! An answer counts once, for the request, the connection and the browser that it belongs to.

use harness::{IdentityProvider, Said, Tab, TestApp, attribute, hours, minutes, seconds};
use serde_json::json;

use super::{acme, is_in, is_page, last_event, refused};

#[tokio::test]
async fn whoever_comes_from_his_company_is_in_where_he_wanted_to_be() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let tab = Tab::new(app.anonymous());
    let login = format!("login?connection={}&return_to=/second-factor%3Fa%3Db", company.id);
    let answer = tab.open(&company.address(&login)).await;
    let asked = harness::Message::of_address(answer.header("location"));
    assert!(asked.url.as_str().starts_with("https://idp.example/sso?"), "{}", asked.url);
    assert!(asked.url.query_pairs().any(|(name, _)| name == "Signature"), "signed: {}", asked.url);
    assert_eq!(attribute(&asked.xml, "AssertionConsumerServiceURL"), company.address("acs"));
    assert_eq!(attribute(&asked.xml, "Destination"), "https://idp.example/sso");
    assert!(!asked.relay_state.contains("second"), "an opaque key: {}", asked.relay_state);

    let said = Said::of("bob@example.com").with("givenName", &["Bob"]).with("sn", &["Builder"]);
    let answer = tab.bring(&company, &company.response(&said, Some(&asked.id)), &asked.relay_state).await;
    is_in(&answer, "/second-factor?a=b");
    let bob = tab.caller("acme").await;
    let me = bob.get("/iam/current-user").await.ok();
    assert_eq!((&me["email"], &me["full_name"]), (&json!("bob@example.com"), &json!("Bob Builder")));
    assert_eq!((&me["is_sso"], &me["is_local"]), (&json!(true), &json!(false)));

    let event = last_event(&admin).await;
    assert_eq!((&event["outcome"], &event["kind"]), (&json!("accepted"), &json!("sign_in")));
    assert_eq!(event["assertion_id"], said.assertion_id);
    let audit = admin.get("/audit-events?action=session.created").await.ok()["results"][0].clone();
    assert_eq!(
        (&audit["actor_name"], &audit["details"]["assertion_id"]),
        (&json!("bob@example.com"), &json!(said.assertion_id))
    );
    assert_eq!(audit["details"]["issuer"], company.provider.entity_id);
    assert_eq!(audit["details"]["certificate"], event["fingerprint"]);
    app.finish().await;
}

#[tokio::test]
async fn an_assertion_is_good_once() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true, "idp_initiated": true })).await;
    let tab = Tab::new(app.anonymous());
    let (asked, said) = (tab.ask(&company).await, Said::of("bob@example.com"));
    let response = company.response(&said, Some(&asked.id));
    is_in(&tab.bring(&company, &response, &asked.relay_state).await, "/");
    let again = tab.bring(&company, &response, &asked.relay_state).await;
    refused(&admin, &again, "sso_again", "unknown_request").await;
    // The same assertion in answer to another request, or to none, would be another message; its id is known all the same.
    let unasked = Said { assertion_id: said.assertion_id, ..Said::of("bob@example.com") };
    let replayed = tab.bring(&company, &company.response(&unasked, None), "").await;
    refused(&admin, &replayed, "sso_again", "replayed").await;
    app.finish().await;
}

#[tokio::test]
async fn an_answer_is_taken_from_the_browser_that_was_sent_to_ask() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let (victim, attacker) = (Tab::new(app.anonymous()), Tab::new(app.anonymous()));
    let asked = attacker.ask(&company).await;
    let response = company.response(&Said::of("eve@example.com"), Some(&asked.id));
    let without = victim.bring(&company, &response, &asked.relay_state).await;
    refused(&admin, &without, "sso_again", "other_browser").await;
    victim.ask(&company).await;
    let other = victim.bring(&company, &response, &asked.relay_state).await;
    refused(&admin, &other, "sso_again", "other_browser").await;
    let state = attacker.bring(&company, &response, "another").await;
    refused(&admin, &state, "sso_again", "wrong_relay_state").await;
    is_in(&attacker.bring(&company, &response, &asked.relay_state).await, "/");
    app.finish().await;
}

#[tokio::test]
async fn two_tabs_sign_in_side_by_side_and_a_browser_keeps_twenty_at_most() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let tab = Tab::new(app.anonymous());
    let (first, second) = (tab.ask(&company).await, tab.ask(&company).await);
    for asked in [&second, &first] {
        let response = company.response(&Said::of("bob@example.com"), Some(&asked.id));
        is_in(&tab.bring(&company, &response, &asked.relay_state).await, "/");
    }
    let oldest = tab.ask(&company).await;
    for _ in 0..20 {
        app.clock.advance(seconds(1));
        tab.ask(&company).await;
    }
    let open = app.database().rows("select count(*) as open from saml_requests").await;
    assert_eq!(open[0]["open"], 20);
    let response = company.response(&Said::of("bob@example.com"), Some(&oldest.id));
    let late = tab.bring(&company, &response, &oldest.relay_state).await;
    refused(&admin, &late, "sso_again", "unknown_request").await;
    app.finish().await;
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_refused() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let tab = Tab::new(app.anonymous());
    let asked = tab.ask(&company).await;
    app.clock.advance(minutes(21));
    let response = company.response(&Said::of("bob@example.com"), Some(&asked.id));
    let late = tab.bring(&company, &response, &asked.relay_state).await;
    refused(&admin, &late, "sso_again", "request_expired").await;
    app.finish().await;
}

#[tokio::test]
async fn what_one_connection_or_organization_says_counts_for_no_other() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let other = IdentityProvider::new("other", &app.clock).with_another_key();
    let other = other.connect(&admin, json!({ "name": "Other", "jit_provisioning": true })).await;
    let globex = app.organization("globex").administrator().await;
    let theirs = company.provider.connect(&globex, json!({ "jit_provisioning": true })).await;
    let tab = Tab::new(app.anonymous());

    let asked = tab.ask(&company).await;
    let answer =
        tab.bring(&company, &other.response(&Said::of("bob@example.com"), Some(&asked.id)), &asked.relay_state).await;
    is_page(&answer, "sso_refused");
    // The same provider speaks for both organizations; what it says to one is not for the other.
    let asked = tab.ask(&theirs).await;
    let response = theirs.response(&Said::of("bob@example.com"), Some(&asked.id));
    let answer = tab.bring(&company, &response, &asked.relay_state).await;
    refused(&admin, &answer, "sso_again", "unknown_request").await;
    is_in(&tab.bring(&theirs, &response, &asked.relay_state).await, "/");

    admin.patch(&format!("/saml/connections/{}", company.id), json!({ "is_active": false })).await.ok();
    let login = tab.open(&company.address(&format!("login?connection={}", company.id))).await;
    assert_eq!(login.status, 404, "{}", login.whole());
    let elsewhere = tab.open(&company.address(&format!("login?connection={}", theirs.id))).await;
    assert_eq!(elsewhere.status, 404, "another organization's connection");
    app.finish().await;
}

#[tokio::test]
async fn nobody_comes_unasked_unless_that_is_switched_on() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let tab = Tab::new(app.anonymous());
    let unasked = company.response(&Said::of("bob@example.com"), None);
    let answer = tab.bring(&company, &unasked, "https://evil.example/").await;
    refused(&admin, &answer, "sso_refused", "unsolicited").await;
    admin.patch(&format!("/saml/connections/{}", company.id), json!({ "idp_initiated": true })).await.ok();
    // Whatever it gives as RelayState: it leads nowhere else.
    is_in(&tab.bring(&company, &unasked, "https://evil.example/").await, "/");
    let stranger = company.spoken_for_by(IdentityProvider::new("stranger", &app.clock));
    let answer = tab.bring(&stranger, &stranger.response(&Said::of("bob@example.com"), None), "").await;
    refused(&admin, &answer, "sso_refused", "unknown_issuer").await;
    app.finish().await;
}

#[tokio::test]
async fn only_a_path_of_ours_is_returned_to() {
    let app = TestApp::start().await;
    let (_, company) = acme(&app, json!({})).await;
    let tab = Tab::new(app.anonymous());
    for path in
        ["https://evil.example/", "//evil.example", "/%5Cevil.example", "javascript:alert(1)", "evil", "/%0d%0aX:y"]
    {
        let answer = tab.open(&company.address(&format!("login?connection={}&return_to={path}", company.id))).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.whole());
    }
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_answer_is_refused_and_written_down() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "idp_initiated": true })).await;
    let tab = Tab::new(app.anonymous());
    let acs = company.address("acs");
    let good = company.response(&Said::of("bob@example.com"), None);
    for fields in [
        vec![],
        vec![("SAMLResponse", "")],
        vec![("SAMLResponse", "???")],
        vec![("SAMLResponse", good.as_str()), ("SAMLResponse", good.as_str())],
    ] {
        let answer = tab.post(&acs, &fields, "null").await;
        is_page(&answer, "sso_refused");
        assert_eq!(last_event(&admin).await["request_id"], answer.header("x-request-id"), "{fields:?}");
    }
    let get = tab.open(&acs).await;
    assert_eq!((get.status.as_u16(), get.header("allow")), (405, "POST"), "{}", get.whole());
    let program = app.anonymous().call(reqwest::Method::POST, &acs).body("application/x-www-form-urlencoded", "").await;
    program.problem(403, "sso_refused");
    app.finish().await;
}

#[tokio::test]
async fn a_session_ends_when_the_one_at_the_company_does() {
    let app = TestApp::start().await;
    let (_, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let tab = Tab::new(app.anonymous());
    let said = Said { session_ends: Some(app.clock.now() + hours(2)), ..Said::of("bob@example.com") };
    is_in(&tab.sign_in(&company, &said).await, "/");
    let bob = tab.caller("acme").await;
    app.clock.advance(hours(2) - minutes(1));
    bob.get("/iam/current-user").await.ok();
    app.clock.advance(minutes(2));
    bob.get("/iam/current-user").await.problem(401, "not_authenticated");
    app.finish().await;
}

#[tokio::test]
async fn metadata_says_who_we_are_and_where() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let metadata = format!("{}/v1/saml/acme/metadata", app.url());
    app.anonymous().get(&metadata).await.problem(404, "not_found");
    app.anonymous().get(&format!("{}/v1/saml/nowhere/metadata", app.url())).await.problem(404, "not_found");
    let key = admin.post("/saml/keys", json!({ "key_size": 2048 })).await.created();
    let answer = app.anonymous().get(&metadata).await;
    assert_eq!(answer.header("content-type"), "application/samlmetadata+xml");
    for part in [format!("entityID=\"{metadata}\""), format!("{}/v1/saml/acme/acs", app.url()), "Signature".into()] {
        assert!(answer.text.contains(&part), "{part} in {}", answer.text);
    }
    let body = |pem: &str| pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let text: String = answer.text.split_whitespace().collect();
    assert!(text.contains(&body(key["cert"].as_str().expect("PEM"))), "{text}");
    let next = admin.post("/saml/keys", json!({ "key_size": 2048 })).await.created();
    let both: String = app.anonymous().get(&metadata).await.text.split_whitespace().collect();
    for key in [&key, &next] {
        assert!(both.contains(&body(key["cert"].as_str().expect("PEM"))), "the next key beside the present one");
    }
    app.finish().await;
}
