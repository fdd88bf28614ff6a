//! The pages of signing in: the address first, then the password or the company. Pictures are below `target/screenshots/`.

use harness::{Browser, IdentityProvider, Message, PASSWORD, Said, Tab, TestApp};
use serde_json::json;

use super::acme;

#[tokio::test]
async fn the_address_decides_how_one_signs_in_whether_there_is_an_account_or_not() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "domains": ["example.com"] })).await;
    admin.member("bob@example.com", "reader").await;
    let tab = Tab::new(app.anonymous());
    let sign_in = format!("{}/sign-in", app.url());
    let next = async |slug: &str, email: &str| {
        let answer = tab.post(&sign_in, &[("organization", slug), ("username", email)], app.url()).await;
        let lead =
            answer.text.split_once("0;url=").map(|(_, rest)| rest.split('"').next().unwrap_or_default().to_owned());
        let (status, location) = (answer.status.as_u16(), answer.header("location").to_owned());
        lead.map_or((status, location), |lead| (status, lead.replace("&#x2f;", "/")))
    };
    let login = format!("/v1/saml/acme/login?connection={}", company.id);
    for email in ["bob@example.com", "nobody@example.com", "Bob@EXAMPLE.com"] {
        assert_eq!(next("acme", email).await, (200, login.clone()), "{email}");
    }
    for (slug, email) in [("acme", "bob@elsewhere.example"), ("nowhere", "bob@example.com"), ("acme", "bob")] {
        let (status, location) = next(slug, email).await;
        assert!(status == 303 && location.starts_with("/sign-in/password?organization="), "{slug} {email}: {location}");
    }
    // Where it is demanded, all go there.
    app.database()
        .execute("update organizations set sso_required_from = now() - interval '1 day' where slug = 'acme'")
        .await;
    assert_eq!(next("acme", "bob@elsewhere.example").await, (200, login));
    let other = IdentityProvider::new("other", &app.clock).connect(&admin, json!({ "name": "Other" })).await;
    let page = tab.post(&sign_in, &[("organization", "acme"), ("username", "bob@elsewhere.example")], app.url()).await;
    assert!(page.status == 200 && page.text.contains(&company.id) && page.text.contains(&other.id), "{}", page.whole());
    app.finish().await;
}

#[tokio::test]
async fn the_pages_of_signing_in_look_right_on_a_phone() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "name": "Acme Entra ID" })).await;
    let tab = Tab::new(app.anonymous());
    let page = |path: &str| format!("{}{path}", app.url());
    let browser = Browser::start().await;
    browser.open(&page("/sign-in?manual=true")).await;
    look(&browser, "sign-in-address").await;
    browser.fill("Organization", "acme").await;
    browser.fill("E-mail", &admin.email).await;
    browser.press("Continue").await;
    browser.until_it_says("Or with your company account").await;
    assert_eq!(browser.address().await.path(), "/sign-in/password");
    look(&browser, "sign-in-password").await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Sign in").await;
    browser.until_it_says("You are signed in at").await;

    IdentityProvider::new("other", &app.clock).connect(&admin, json!({ "name": "Acme Okta for partners" })).await;
    browser.open(&page("/sign-in?organization=acme&login_hint=bob@example.com")).await;
    browser.until_it_says("How do you sign in?").await;
    look(&browser, "sign-in-choose").await;

    let patch = json!({ "sso_binding": "post", "sso_url": "http://127.0.0.1:9/sso", "domains": ["example.com"] });
    admin.patch(&format!("/saml/connections/{}", company.id), patch).await.ok();
    browser.open(&page(&format!("/v1/saml/acme/login?connection={}", company.id))).await;
    browser.until_it_says("One step").await;
    look(&browser, "company-post").await;
    browser.open(&page("/v1/saml/acme/login?return_to=//evil.example")).await;
    browser.until_it_says("could not read").await;

    let refused = tab.post(&company.address("acs"), &[("SAMLResponse", "?")], "null").await;
    show(&browser, &app, &refused.text, "company-refused").await;
    let asked = {
        let begun = admin.post(&format!("/saml/connections/{}/test", company.id), json!({})).await.created();
        let answer = tab.open(begun["url"].as_str().expect("an address")).await;
        Message::of_form(&answer.text)
    };
    let said = Said::of("bob@example.com").with("groups", &["Sales", "Everybody"]).with("givenName", &["Bob"]);
    let tested = tab.bring(&company, &company.response(&said, Some(&asked.id)), &asked.relay_state).await;
    show(&browser, &app, &tested.text, "company-test").await;
    browser.close().await;
    app.finish().await;
}

#[tokio::test]
async fn the_pages_of_company_accounts_fit_a_phone_in_every_language() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "name": "Acme Entra ID" })).await;
    let other = IdentityProvider::new("other", &app.clock);
    let other =
        other.connect(&admin, json!({ "name": "Okta for partners and suppliers", "sso_binding": "post" })).await;
    let page = |path: &str| format!("{}{path}", app.url());
    let link = app.link_of(&admin, &admin.invite("bob@example.com", "reader").await).await;
    let browser = Browser::start().await;
    browser.open(&page("/sign-in/password?organization=acme")).await;
    browser.fill("E-mail", &admin.email).await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Sign in").await;
    browser.until_it_says("Connect Acme Entra ID").await;
    let me = format!("(select id from users where email = '{}')", admin.email);
    let known = format!(
        "insert into saml_identities (organization_id, connection_id, name_id, user_id, created_at, last_used_at)
         select organization_id, id, 'me', {me}, now(), now() from saml_connections where id = '{}'",
        company.id
    );
    app.database().execute(&known).await;
    for language in ["en", "de", "fr"] {
        let look = async |name: &str| {
            assert!(browser.content_width().await <= 390, "a phone need not scroll sideways: {name} in {language}");
            browser.screenshot_of_all(&format!("{name}-{language}")).await;
            browser.screenshot_on_a_desk(&format!("{name}-{language}-desk")).await;
        };
        browser.speak(language).await;
        for (path, name) in [
            ("/?notice=connected", "home-companies"),
            ("/sign-in", "sign-in-address"),
            ("/sign-in?organization=acme&login_hint=eve@example.com", "sign-in-choose"),
            (&format!("/v1/saml/acme/login?connection={}", other.id), "company-post"),
        ] {
            browser.open(&page(path)).await;
            look(name).await;
        }
        browser.open(&page(&format!("/invitations/accept?token={}", link.token()))).await;
        look("accept-or-by-company").await;
        let acs = serde_json::to_string(&company.address("acs")).expect("text");
        let post = "form.method = 'post'; document.body.append(form); form.submit();";
        browser.run(&format!("const form = document.createElement('form'); form.action = {acs}; {post}")).await;
        browser.until_it_says("sso_refused").await;
        look("company-refused").await;
    }
    app.database()
        .execute("update organizations set sso_required_from = now() - interval '1 day' where slug = 'acme'")
        .await;
    for language in ["en", "de", "fr"] {
        browser.speak(language).await;
        browser.open(&page(&format!("/invitations/accept?token={}", link.token()))).await;
        assert!(!browser.has("#password").await && browser.has("#by-company").await, "{}", browser.source().await);
        browser.screenshot_of_all(&format!("accept-by-company-{language}")).await;
        browser.open(&page("/")).await;
        assert!(browser.content_width().await <= 390, "a phone need not scroll sideways: {language}");
        browser.screenshot_of_all(&format!("home-only-way-{language}")).await;
    }
    browser.close().await;
    app.finish().await;
}

/// A page that a form led to, with its own style.
async fn show(browser: &Browser, app: &TestApp, html: &str, name: &str) {
    browser.open(&format!("{}/sign-in", app.url())).await;
    let html = serde_json::to_string(html).expect("text");
    browser.run(&format!("document.open(); document.write({html}); document.close();")).await;
    browser.until_it_says("").await;
    harness::eventually("the style", || async {
        let sheets = browser
            .run("return document.styleSheets.length && getComputedStyle(document.querySelector('.card')).borderRadius")
            .await;
        (sheets.as_str() == Some("16px")).then_some(())
    })
    .await;
    look(browser, name).await;
}

async fn look(browser: &Browser, name: &str) {
    assert!(browser.content_width().await <= 390, "a phone need not scroll sideways: {name}");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        browser.screenshot_of_all(&format!("{name}-{scheme}")).await;
    }
    browser.prefer("light").await;
}
