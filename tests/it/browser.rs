//! The pages, in a real browser the size of a phone. Pictures of them are below `target/screenshots/`.

use harness::{Authenticator, Browser, PASSWORD, TestApp, minutes};
use serde_json::json;

#[tokio::test]
async fn an_invitee_follows_the_link_chooses_a_password_and_is_in() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body =
        json!({ "invitee_identifier": "bob@example.com", "role": "reader", "message": "Glad to have <b>you</b>." });
    admin.post("/invitations", body).await.created();
    let link = app.mailbox().last_to("bob@example.com").await.link();
    let browser = Browser::start().await;

    browser.open(link.0.as_str()).await;
    browser.until_it_says("acme").await;
    assert!(
        browser.address().await.query().is_none(),
        "the token has left the address bar: {}",
        browser.address().await
    );
    assert!(browser.text().await.contains("Glad to have <b>you</b>."), "{}", browser.text().await);
    assert!(browser.content_width().await <= 390, "a phone need not scroll sideways");
    browser.screenshot("accept").await;

    // What is wrong stands by its field, and what was typed stays.
    browser.fill("First name", "Bob").await;
    browser.fill("password", "passwordpassword").await;
    browser.press("Accept").await;
    browser.until_it_says("most common").await;
    browser.screenshot("accept-refused").await;
    browser.fill("password", PASSWORD).await;
    browser.press("Accept").await;
    browser.until_it_says("bob@example.com").await;
    assert_eq!(browser.address().await.path(), "/");
    assert!(
        browser.text().await.contains("Bob") && browser.text().await.contains("Reader"),
        "{}",
        browser.text().await
    );
    browser.screenshot("home").await;
    app.mailbox().last_to("admin@acme.example").await;

    browser.press("Sign out").await;
    browser.until_it_says("signed out").await;
    browser.open(link.0.as_str()).await;
    browser.until_it_says("accepted").await;
    browser.screenshot("accepted-already").await;
    browser.close().await;
    app.finish().await;
}

#[tokio::test]
async fn a_user_signs_in_and_gets_a_new_password_through_the_pages() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    let browser = Browser::start().await;

    browser.open(&format!("{}/", app.url())).await;
    assert_eq!(browser.address().await.path(), "/sign-in");
    browser.open(&format!("{}/sign-in?organization=acme&login_hint=admin@acme.example", app.url())).await;
    browser.screenshot("sign-in").await;
    browser.fill("Password", "not his password").await;
    browser.press("Sign in").await;
    browser.until_it_says("wrong").await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Sign in").await;
    browser.until_it_says("admin@acme.example").await;
    browser.press("Sign out").await;
    browser.until_it_says("signed out").await;

    browser.open(&format!("{}/password-reset?organization=acme", app.url())).await;
    browser.fill("mail", "admin@acme.example").await;
    browser.screenshot("password-reset").await;
    browser.press("link").await;
    let link = app.mailbox().last_to("admin@acme.example").await.link();
    browser.open(link.0.as_str()).await;
    assert!(browser.address().await.query().is_none());
    browser.fill("New password", "several unrelated zebras juggle").await;
    browser.fill("once more", "several unrelated zebras juggle").await;
    browser.screenshot("password-reset-confirm").await;
    browser.press("Save").await;
    browser.until_it_says("Sign in").await;
    app.anonymous().sign_in("acme", "admin@acme.example", "several unrelated zebras juggle").await.ok();
    browser.close().await;
    app.finish().await;
}

#[tokio::test]
async fn an_invitee_declines_and_following_a_link_alone_decides_nothing() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let invitation = admin.invite("bob@example.com", "reader").await;
    let mail = app.mailbox().last_to("bob@example.com").await;
    let decline =
        mail.links().into_iter().find(|link| link.0.path() == "/invitations/decline").expect("a way to decline");
    let browser = Browser::start().await;
    let path = format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"));

    browser.open(decline.0.as_str()).await;
    browser.until_it_says("acme").await;
    browser.screenshot("decline").await;
    assert_eq!(admin.get(&path).await.ok()["status"], "pending");
    browser.press("Decline").await;
    browser.until_it_says("declined").await;
    assert_eq!(admin.get(&path).await.ok()["status"], "declined");
    app.mailbox().last_to("admin@acme.example").await;
    browser.close().await;
    app.finish().await;
}

#[tokio::test]
async fn a_form_sent_by_another_site_is_refused() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let invitation = admin.invite("bob@example.com", "reader").await;
    let token = app.link_of(&admin, &invitation).await.token();
    let send = |origin: &str, site: Option<&str>| {
        let form = format!("token={token}");
        let url = format!("{}/invitations/decline", app.url());
        let call = app.anonymous().call(reqwest::Method::POST, &url).body("application/x-www-form-urlencoded", form);
        let call = if origin.is_empty() { call } else { call.header("origin", origin) };
        match site {
            Some(site) => call.header("sec-fetch-site", site),
            None => call,
        }
    };
    for (origin, site) in
        [("https://evil.example", None), ("null", None), ("", Some("cross-site")), ("", Some("same-site")), ("", None)]
    {
        assert_eq!(send(origin, site).await.status, 403, "{origin} {site:?}");
    }
    assert_eq!(app.anonymous().preview(&harness::Link::of_token(&token)).await.status, 200);
    assert!(send(app.url(), Some("same-origin")).await.status.is_redirection());
    app.finish().await;
}

#[tokio::test]
async fn pages_allow_no_script_no_framing_and_nothing_from_elsewhere() {
    let app = TestApp::start().await;
    let page = app.anonymous().get(&format!("{}/sign-in", app.url())).await;
    let policy = page.header("content-security-policy").to_owned();
    for directive in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    assert!(
        !page.text.contains("<script") && !page.text.contains("style=") && !page.text.contains("http://"),
        "{}",
        page.text
    );
    let lost = app.anonymous().get(&format!("{}/nowhere", app.url())).header("accept", "text/html").await;
    assert_eq!((lost.status.as_u16(), lost.header("content-type")), (404, "text/html; charset=utf-8"));
    app.finish().await;
}

#[tokio::test]
async fn whoever_has_a_second_factor_signs_in_in_two_steps() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (phone, _) = admin.enroll(&app.clock).await;
    let browser = Browser::start().await;
    let sign_in = format!("{}/sign-in?organization=acme&login_hint=admin@acme.example", app.url());
    let first_step = async || {
        browser.open(&sign_in).await;
        browser.fill("Password", PASSWORD).await;
        browser.press("Sign in").await;
    };

    browser.open(&format!("{}/sign-in/code", app.url())).await;
    assert_eq!(browser.address().await.path(), "/sign-in", "the second step needs the first");
    first_step().await;
    browser.until_it_says("One more step").await;
    assert_eq!(browser.address().await.path(), "/sign-in/code");
    assert!(!browser.source().await.contains(PASSWORD), "the password is not carried along");
    assert!(browser.content_width().await <= 390, "a phone need not scroll sideways");
    browser.screenshot("sign-in-code").await;
    browser.open(&format!("{}/", app.url())).await;
    assert_eq!(browser.address().await.path(), "/sign-in", "half a sign-in is none");
    browser.open(&format!("{}/sign-in/code", app.url())).await;
    browser.fill("Code", "12345").await;
    browser.press("Sign in").await;
    browser.until_it_says("This code is wrong").await;
    browser.screenshot("sign-in-code-refused").await;
    browser.fill("Code", &phone.code()).await;
    browser.press("Sign in").await;
    browser.until_it_says("admin@acme.example").await;
    browser.screenshot("home-with-second-factor").await;

    first_step().await;
    browser.until_it_says("One more step").await;
    app.clock.advance(minutes(5));
    browser.fill("Code", &phone.code()).await;
    browser.press("Sign in").await;
    browser.until_it_says("took too long").await;
    assert_eq!(browser.address().await.path(), "/sign-in");
    browser.close().await;
    app.finish().await;
}

#[tokio::test]
async fn password_fields_are_masked_and_help_password_managers() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let invitation = admin.invite("bob@example.com", "reader").await;
    let accept = app.link_of(&admin, &invitation).await.token();
    app.anonymous().under("acme").post("/iam/password-reset", json!({ "email": admin.email })).await.accepted();
    let reset = app.mailbox().last_to(&admin.email).await.link().token();
    for (path, cookie, wanted) in [
        ("/sign-in/password", String::new(), "current-password"),
        ("/invitations/accept", format!("tenantry-invitation={accept}"), "new-password"),
        ("/password-reset/confirm", format!("tenantry-password-reset={reset}"), "new-password"),
    ] {
        let page = app.anonymous().get(&format!("{}{path}", app.url())).header("cookie", &cookie).await;
        let inputs = page.text.split("<input").skip(1).filter_map(|rest| rest.split('>').next());
        let fields: Vec<&str> = inputs.filter(|input| input.contains("password\"")).collect();
        assert!(!fields.is_empty(), "{}", page.whole());
        for field in fields {
            assert!(
                field.contains("type=\"password\"") && field.contains(&format!("autocomplete=\"{wanted}\"")),
                "{field}"
            );
            assert!(!field.contains("maxlength") && !field.contains("onpaste"), "nothing is cut or refused: {field}");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn whoever_was_given_a_password_chooses_another_one_before_he_gets_in() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let given = "an administrator knows this lemur";
    let body = json!({ "user": bob.id, "new_password": given, "confirm_new_password": given });
    admin.post("/iam/set-password", body).await.ok();
    let browser = Browser::start().await;
    browser.open(&format!("{}/sign-in?organization=acme&login_hint=bob@example.com", app.url())).await;
    browser.fill("Password", given).await;
    browser.press("Sign in").await;
    browser.until_it_says("that only you know").await;
    assert_eq!(browser.address().await.path(), "/password-change");
    browser.screenshot("password-change").await;
    let choose = async |password: &str| {
        browser.fill("New password", password).await;
        browser.fill("once more", password).await;
        browser.press("Save").await;
    };
    choose(given).await;
    browser.until_it_says("This is the present password").await;
    browser.screenshot("password-change-refused").await;
    choose("several unrelated zebras juggle").await;
    browser.until_it_says("new password is saved").await;
    browser.fill("Password", "several unrelated zebras juggle").await;
    browser.press("Sign in").await;
    browser.until_it_says("bob@example.com").await;
    assert_eq!(browser.address().await.path(), "/");
    browser.open(&format!("{}/password-change", app.url())).await;
    assert_eq!(browser.address().await.path(), "/sign-in", "once");
    browser.close().await;
    app.finish().await;
}

#[tokio::test]
async fn where_a_second_factor_is_demanded_the_pages_lead_to_one() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    app.database().execute("update organizations set mfa_required = true where slug = 'acme'").await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/sign-in?organization=acme&login_hint=admin@acme.example", app.url())).await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Sign in").await;
    browser.until_it_says("demands a second factor").await;
    assert_eq!(browser.address().await.path(), "/second-factor");
    browser.screenshot("second-factor").await;
    browser.press("Set up").await;
    browser.until_it_says("Scan this picture").await;
    assert!(browser.content_width().await <= 390, "a phone need not scroll sideways");
    browser.screenshot_of_all("second-factor-scan").await;
    let secret = browser.run("return document.querySelector('#secret').textContent").await;
    let phone = Authenticator::of_secret(secret.as_str().expect("a secret"), &app.clock);
    browser.fill("Code", &phone.code()).await;
    browser.fill("Password", "not his password").await;
    browser.press("Switch on").await;
    browser.until_it_says("This is not your password").await;
    browser.fill("Code", "12345").await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Switch on").await;
    browser.until_it_says("This code is wrong").await;
    browser.screenshot("second-factor-refused").await;
    browser.fill("Code", &phone.code()).await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Switch on").await;
    browser.until_it_says("recovery codes").await;
    browser.prefer("dark").await;
    browser.screenshot_of_all("second-factor-codes").await;
    browser.follow("kept them").await;
    browser.until_it_says("admin@acme.example").await;
    browser.follow("Second factor").await;
    browser.until_it_says("Recovery codes left: 10").await;
    browser.screenshot("second-factor-on").await;
    browser.close().await;
    app.finish().await;
}

#[tokio::test]
async fn signing_in_anew_in_a_browser_ends_the_session_before() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let sign_in = |cookie: String| {
        let form = format!("organization=acme&username={}&password={PASSWORD}", admin.email);
        let call = app.anonymous().call(reqwest::Method::POST, &format!("{}/sign-in/password", app.url()));
        call.body("application/x-www-form-urlencoded", form).header("origin", app.url()).header("cookie", &cookie)
    };
    let token = |answer: &harness::Answer| {
        let cookie = answer.header("set-cookie").split(';').next().and_then(|cookie| cookie.split_once('='));
        cookie.unwrap_or_else(|| panic!("a cookie: {}", answer.whole())).1.to_owned()
    };
    let bearer = |token: &str| admin.with_authorization(Some(&format!("Bearer {token}")));
    let first = token(&sign_in(String::new()).await);
    bearer(&first).get("/iam/current-user").await.ok();
    let second = token(&sign_in(format!("tenantry={first}")).await);
    assert_ne!(first, second);
    bearer(&first).get("/iam/current-user").await.problem(401, "not_authenticated");
    bearer(&second).get("/iam/current-user").await.ok();
    app.finish().await;
}
