//! Identity providers that others wrote, through a real browser: what they sign and encrypt, we have no part in.

use harness::{Browser, Caller, Nanoidp, SimpleSamlPhp, TestApp, eventually};
use serde_json::{Value, json};

/// A key of ours, and a connection to whom this metadata describes: its people get accounts, its engineers are analysts.
async fn connect(admin: &Caller, metadata: &str) -> Value {
    admin.post("/saml/keys", json!({})).await.created();
    let body = json!({
        "name": "Example Company",
        "metadata_xml": metadata,
        "domains": ["idp.example"],
        "jit_provisioning": true,
        "default_role": "reader",
        "group_mapping": [{ "directory_group": "engineering", "role": "analyst" }],
    });
    admin.post("/saml/connections", body).await.created()
}

/// Sends a browser to sign in, and gives the provider's page a name and a password.
async fn sign_in(browser: &Browser, connection: &Value, button: &str) {
    let address = connection["service_provider"]["sign_in_url"].as_str().expect("an address");
    browser.open(address).await;
    browser.until_it_says("Password").await;
    browser.fill("Username", "ann").await;
    browser.fill("Password", "annpass").await;
    browser.press(button).await;
}

/// The newest of the events.
async fn last_event(admin: &Caller) -> Value {
    admin.get("/saml/events").await.ok()["results"][0].clone()
}

/// What the service provider says of itself.
async fn metadata(app: &TestApp, connection: &Value) -> String {
    let address = connection["service_provider"]["metadata_url"].as_str().expect("an address");
    app.anonymous().get(address).await.text
}

#[tokio::test]
async fn ann_signs_in_through_nanoidp_and_is_where_the_directory_says() {
    let (app, provider) = (TestApp::start().await, Nanoidp::start().await);
    let admin = app.organization("acme").administrator().await;
    let connection = connect(&admin, &provider.metadata().await).await;
    let browser = Browser::start().await;
    sign_in(&browser, &connection, "Sign In").await;
    browser.until_it_says("ann@idp.example").await;
    assert_eq!(browser.address().await.path(), "/");
    assert!(browser.text().await.contains("Analyst"), "{}", browser.text().await);
    browser.screenshot("single-sign-on-home").await;
    let event = last_event(&admin).await;
    assert_eq!((&event["kind"], &event["outcome"]), (&json!("sign_in"), &json!("accepted")), "{event}");
    let fingerprint = &connection["certificate_details"][0]["fingerprint"];
    assert_eq!(&event["fingerprint"], fingerprint, "{event}");
    browser.close().await;
    app.finish().await;
}

#[tokio::test]
async fn simplesamlphp_may_sign_the_assertion_the_response_or_both_and_encrypt() {
    let (app, provider) = (TestApp::start().await, SimpleSamlPhp::start().await);
    let admin = app.organization("acme").administrator().await;
    let connection = connect(&admin, &provider.metadata().await).await;
    let metadata = metadata(&app, &connection).await;
    let browser = Browser::start().await;
    // It knows AES-CBC only.
    let path = format!("/saml/connections/{}", connection["id"].as_str().expect("an id"));
    admin.patch(&path, json!({ "allow_cbc": true })).await.ok();
    for (assertion, response, encrypted) in
        [(true, false, false), (false, true, false), (true, true, false), (true, false, true), (true, true, true)]
    {
        let what = format!("assertion signed: {assertion}, response signed: {response}, encrypted: {encrypted}");
        provider.trust(&metadata, &options(assertion, response, encrypted));
        sign_in(&browser, &connection, "Login").await;
        browser.until_it_says("ann@idp.example").await;
        let event = last_event(&admin).await;
        assert_eq!(event["outcome"], "accepted", "{what}: {event}\n{}", provider.log());
        browser.press("Sign out").await;
        browser.until_it_says("signed out").await;
    }
    // Else it might not have heeded what it was told.
    provider.trust(&metadata, &options(false, false, false));
    sign_in(&browser, &connection, "Login").await;
    browser.until_it_says("was not accepted").await;
    browser.screenshot("single-sign-on-refused").await;
    let event = last_event(&admin).await;
    assert_eq!((&event["outcome"], &event["reason"]), (&json!("refused"), &json!("not_signed")), "{event}");

    // He is signed in there, so that it asks him nothing.
    admin.patch(&path, json!({ "allow_cbc": false })).await.ok();
    provider.trust(&metadata, &options(true, false, true));
    browser.open(connection["service_provider"]["sign_in_url"].as_str().expect("an address")).await;
    browser.until_it_says("was not accepted").await;
    let reason = last_event(&admin).await["reason"].clone();
    assert_eq!(reason, json!("cbc_not_allowed"), "it was encrypted, then");
    browser.close().await;
    app.finish().await;
}

/// Of SimpleSAMLphp, for us. It verifies what we sign.
fn options(assertion: bool, response: bool, encrypted: bool) -> Value {
    json!({
        "saml20.sign.assertion": assertion,
        "saml20.sign.response": response,
        "assertion.encryption": encrypted,
        // Our metadata asks for a persistent one first, which it would have to be taught.
        "NameIDFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
        "validate.authnrequest": true,
        "validate.logout": true,
        "attributes": ["mail", "givenName", "sn", "groups"],
    })
}

#[tokio::test]
async fn who_signs_out_at_one_end_is_signed_out_at_the_other() {
    let (app, provider) = (TestApp::start().await, SimpleSamlPhp::start().await);
    let admin = app.organization("acme").administrator().await;
    let connection = connect(&admin, &provider.metadata().await).await;
    provider.trust(&metadata(&app, &connection).await, &options(true, false, false));
    let browser = Browser::start().await;

    sign_in(&browser, &connection, "Login").await;
    browser.until_it_says("ann@idp.example").await;
    browser.press("Sign out").await;
    browser.until_it_says("signed out").await;
    assert_eq!(browser.address().await.path(), "/sign-in");
    assert!(!browser.text().await.contains("may not have"), "everywhere: {}", browser.text().await);
    let sessions = "select count(*) from sessions where saml_connection_id is not null";
    assert_eq!(app.database().value(sessions).await, json!(0));

    // There he must show again who he is, for his session there has ended as well: `sign_in` waits for that page.
    sign_in(&browser, &connection, "Login").await;
    browser.until_it_says("ann@idp.example").await;
    assert_eq!(app.database().value(sessions).await, json!(1));
    browser.open(&provider.logout_url(&format!("{}/sign-in", app.url()))).await;
    eventually("the session to end", || async { (app.database().value(sessions).await == json!(0)).then_some(()) })
        .await;
    browser.open(app.url()).await;
    assert_eq!(browser.address().await.path(), "/sign-in", "nobody is signed in here any more");
    let event = last_event(&admin).await;
    assert_eq!((&event["kind"], &event["outcome"]), (&json!("logout"), &json!("accepted")), "{event}");
    browser.close().await;
    app.finish().await;
}

#[tokio::test]
async fn a_provider_that_logs_out_by_forms_is_told_by_one_and_tells_by_one() {
    let (app, provider) = (TestApp::start().await, SimpleSamlPhp::start_with_logout_by_form().await);
    let admin = app.organization("acme").administrator().await;
    let connection = connect(&admin, &provider.metadata().await).await;
    assert_eq!(connection["slo_binding"], "post", "{connection}");
    // So it sends its own to us: of both ways that our metadata has, it would take the other.
    let by_form = json!([{
        "Binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        "Location": connection["service_provider"]["slo_url"],
    }]);
    let mut told = options(true, false, false);
    told["SingleLogoutService"] = by_form;
    provider.trust(&metadata(&app, &connection).await, &told);
    let browser = Browser::start().await;

    sign_in(&browser, &connection, "Login").await;
    browser.until_it_says("ann@idp.example").await;
    browser.press("Sign out").await;
    browser.until_it_says("One step").await;
    browser.press("Continue").await;
    browser.until_it_says("You are signed out.").await;
    assert_eq!(browser.address().await.path(), "/sign-in");
    let sessions = "select count(*) from sessions where saml_connection_id is not null";
    assert_eq!(app.database().value(sessions).await, json!(0));

    sign_in(&browser, &connection, "Login").await;
    browser.until_it_says("ann@idp.example").await;
    browser.open(&provider.logout_url(&format!("{}/sign-in", app.url()))).await;
    browser.until_it_says("One step").await;
    assert_eq!(app.database().value(sessions).await, json!(0), "ended before it is told so");
    browser.press("Continue").await;
    browser.until_it_says("E-mail").await;
    assert_eq!(browser.address().await.path(), "/sign-in", "where it was asked to lead: {}", provider.log());
    let event = last_event(&admin).await;
    assert_eq!((&event["kind"], &event["outcome"]), (&json!("logout"), &json!("accepted")), "{event}");
    browser.close().await;
    app.finish().await;
}
