//! From a program's session into a browser: a token for once, and a person who is asked first.

use harness::{Answer, Browser, Caller, TestApp, minutes, seconds};
use reqwest::Method;
use serde_json::{Value, json};

const PAGE: &str = "/sign-in/with-token";

async fn token_of(caller: &Caller) -> String {
    let answer = caller.call(Method::POST, "/iam/session-token").await.ok();
    assert_eq!(answer.as_object().map(|fields| fields.len()), Some(1), "{answer}");
    answer["token"].as_str().expect("a token").to_owned()
}

/// Presses the button of the page, or does as if.
async fn go_on(app: &TestApp, token: &str) -> Answer {
    send(app, &format!("{PAGE}/continue"), token, "same-origin").await
}

async fn send(app: &TestApp, path: &str, token: &str, site: &str) -> Answer {
    let call = app.anonymous().call(Method::POST, &format!("{}{path}", app.url()));
    let call = call.body("application/x-www-form-urlencoded", format!("token={token}"));
    call.header("sec-fetch-site", site).header("accept", "text/html").await
}

/// The page that asks, as a browser sees it that was led there with this token.
async fn page_for(app: &TestApp, token: &str) -> Answer {
    let page = app.anonymous().get(&format!("{}{PAGE}", app.url()));
    page.header("cookie", &format!("tenantry-session-token={token}")).await
}

/// The session in the cookie of an answer.
fn session_in(answer: &Answer) -> String {
    let cookies = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    let session =
        cookies.filter_map(|cookie| cookie.strip_prefix("tenantry=")).find(|cookie| cookie.starts_with("tnt_s_"));
    let session = session.unwrap_or_else(|| panic!("no session: {}", answer.whole()));
    session.split(';').next().unwrap_or_default().to_owned()
}

fn signs_nobody_in(answer: &Answer) {
    let mut cookies = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    assert!(!cookies.any(|cookie| cookie.contains("tnt_s_")), "{}", answer.whole());
}

#[tokio::test]
async fn a_session_token_becomes_a_session_of_the_browsers_own() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.clock.advance(minutes(90));
    let token = token_of(&admin).await;
    assert!(token.starts_with("tnt_b_"), "{token}");
    let answer = go_on(&app, &token).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"), "{}", answer.whole());
    let browser = admin.with_authorization(Some(&format!("Bearer {}", session_in(&answer))));
    assert_ne!(browser.token(), admin.token());
    let sessions = admin.get("/iam/sessions").await.ok()["results"].clone();
    assert_eq!(sessions.as_array().map(Vec::len), Some(2));
    assert_eq!(sessions[0]["expiry"], sessions[1]["expiry"], "it ends when the other would: {sessions}");
    let log = admin.get("/audit-events?action=session.created").await.ok();
    assert_eq!(log["results"][0]["details"], json!({ "by": "session_token" }));

    admin.call(Method::POST, "/iam/logout").await.no_content();
    browser.get("/iam/current-user").await.ok();
    browser.call(Method::POST, "/iam/logoutall").await.no_content();
    browser.get("/iam/current-user").await.problem(401, "not_authenticated");
    app.finish().await;
}

#[tokio::test]
async fn a_session_token_is_good_once_also_when_two_come_at_once() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let token = token_of(&admin).await;
    let answers = futures_util::future::join_all((0..8).map(|_| go_on(&app, &token))).await;
    let done = answers.iter().filter(|answer| answer.status == 303).count();
    assert_eq!(done, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    for answer in answers.iter().filter(|answer| answer.status != 303) {
        assert_eq!(answer.status, 404, "{}", answer.whole());
        signs_nobody_in(answer);
    }
    assert_eq!(admin.get("/iam/sessions").await.ok()["count"], 2);
    app.finish().await;
}

#[tokio::test]
async fn a_session_token_dies_after_a_minute_and_with_its_session_and_its_owner() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let token = token_of(&admin).await;
    app.clock.advance(seconds(59));
    assert_eq!(page_for(&app, &token).await.status, 200);
    app.clock.advance(seconds(2));
    assert_eq!(page_for(&app, &token).await.status, 404);
    assert_eq!(go_on(&app, &token).await.status, 404);

    let other = bob.again().await;
    let token = token_of(&other).await;
    other.call(Method::POST, "/iam/logout").await.no_content();
    assert_eq!(go_on(&app, &token).await.status, 404, "signed out");
    let token = token_of(&bob).await;
    admin.patch(&format!("/users/{}", bob.id), json!({ "is_active": false })).await.ok();
    assert_eq!(go_on(&app, &token).await.status, 404, "deactivated");
    app.finish().await;
}

#[tokio::test]
async fn a_session_token_opens_nothing_but_its_page_and_no_other_token_opens_that() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let token = token_of(&admin).await;
    let bearer = admin.with_authorization(Some(&format!("Bearer {token}")));
    bearer.get("/iam/current-user").await.problem(401, "not_authenticated");
    let personal = admin.post("/iam/auth-tokens", json!({ "name": "x" })).await.created();
    for wrong in
        [admin.token(), personal["token"].as_str().expect("a token"), "", "nonsense", &token[..token.len() - 1]]
    {
        let answer = go_on(&app, wrong).await;
        assert_eq!(answer.status, 404, "{}", answer.whole());
        signs_nobody_in(&answer);
    }
    assert_eq!(go_on(&app, &token).await.status, 303);
    app.finish().await;
}

#[tokio::test]
async fn no_other_site_signs_a_browser_in_without_asking() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let token = token_of(&admin).await;
    for site in ["cross-site", "same-site"] {
        assert_eq!(send(&app, &format!("{PAGE}/continue"), &token, site).await.status, 403, "{site}");
        let led = send(&app, PAGE, &token, site).await;
        assert_eq!((led.status.as_u16(), led.header("location")), (303, PAGE), "{}", led.whole());
        signs_nobody_in(&led);
    }
    let shown = page_for(&app, &token).await;
    assert_eq!(shown.status, 200, "{}", shown.whole());
    assert!(shown.text.contains("admin@acme.example") && shown.text.contains("Continue as"), "{}", shown.whole());
    assert!(shown.header("content-security-policy").contains("frame-ancestors 'none'"));
    signs_nobody_in(&shown);
    assert_eq!(admin.get("/iam/sessions").await.ok()["count"], 1);
    app.finish().await;
}

#[tokio::test]
async fn a_token_in_a_link_leaves_the_address_at_once() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let token = token_of(&admin).await;
    let link = app.anonymous().get(&format!("{}{PAGE}?token={token}", app.url())).await;
    assert_eq!((link.status.as_u16(), link.header("location")), (303, PAGE), "{}", link.whole());
    assert_eq!((link.header("referrer-policy"), link.header("cache-control")), ("no-referrer", "no-store"));
    signs_nobody_in(&link);
    let stored = app.database().rows("select t::text from session_tokens t").await;
    assert!(!Value::from(stored).to_string().contains(&token[6..]), "only its digest is stored");
    app.finish().await;
}

#[tokio::test]
async fn a_repeated_request_for_a_session_token_shows_none() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let ask = || admin.call(Method::POST, "/iam/session-token").header("idempotency-key", "once").into_future();
    ask().await.ok();
    assert!(ask().await.problem(409, "secret_already_shown")["id"].is_string());
    assert_eq!(app.database().value("select count(*) from session_tokens").await, 1);
    app.finish().await;
}

#[tokio::test]
async fn a_person_is_asked_by_name_before_a_browser_goes_on_as_him() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    bob.patch(&format!("/users/{}", bob.id), json!({ "first_name": "Bob", "last_name": "Builder" })).await.ok();
    let browser = Browser::start().await;

    browser.open(&format!("{}{PAGE}?token={}", app.url(), token_of(&bob).await)).await;
    browser.until_it_says("Continue as Bob Builder").await;
    assert!(browser.address().await.query().is_none(), "{}", browser.address().await);
    assert!(browser.text().await.contains("bob@example.com"), "{}", browser.text().await);
    assert!(browser.content_width().await <= 390, "a phone need not scroll sideways");
    browser.screenshot("sign-in-with-token").await;
    browser.press("Continue as").await;
    browser.until_it_says("Sign out").await;
    assert_eq!(browser.address().await.path(), "/");

    // Another site's form, while someone is signed in here.
    let token = token_of(&admin).await;
    let form = format!(
        "data:text/html,<form method=post action='{}{PAGE}'><input type=hidden name=token value='{token}'><button>Go on</button></form>",
        app.url()
    );
    browser.open(&form).await;
    browser.press("Go on").await;
    browser.until_it_says("Continue as admin@acme.example").await;
    assert!(browser.address().await.query().is_none(), "{}", browser.address().await);
    assert!(browser.text().await.contains("signed in here as bob@example.com"), "{}", browser.text().await);
    browser.screenshot("sign-in-with-token-as-another").await;
    browser.open(&format!("{}/", app.url())).await;
    browser.until_it_says("bob@example.com").await;

    browser.open(&format!("{}{PAGE}?token={token}", app.url())).await;
    browser.until_it_says("Continue as admin@acme.example").await;
    browser.press("Continue as").await;
    browser.until_it_says("admin@acme.example").await;
    assert_eq!(bob.get("/iam/sessions").await.ok()["count"], 1, "the session that was there has ended");
    browser.open(&format!("{}{PAGE}?token={token}", app.url())).await;
    browser.until_it_says("This sign-in is over").await;
    browser.screenshot("sign-in-with-token-over").await;
    browser.close().await;
    app.finish().await;
}
