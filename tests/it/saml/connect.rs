//! Connecting one's company account from within, and disconnecting it.

use futures_util::future::join_all;
use harness::{Answer, Caller, Connected, Message, PASSWORD, Said, Tab, TestApp};
use serde_json::{Value, json};

use super::{acme, is_in, last_event, refused};

const CONNECTED: &str = "/?notice=connected";

/// A browser in which someone has signed in with his password.
async fn browser_of(app: &TestApp, someone: &Caller) -> Tab {
    let tab = Tab::new(app.anonymous());
    sign_in(app, &tab, someone).await;
    tab
}

async fn sign_in(app: &TestApp, tab: &Tab, someone: &Caller) {
    let fields = [("organization", "acme"), ("username", someone.email.as_str()), ("password", PASSWORD)];
    is_in(&tab.post(&format!("{}/sign-in/password", app.url()), &fields, app.url()).await, "/");
}

async fn press(app: &TestApp, tab: &Tab, what: &str, company: &Connected) -> Answer {
    tab.post(&format!("{}/company-accounts/{what}", app.url()), &[("connection", &company.id)], app.url()).await
}

/// Begins to connect: what is asked of the identity provider.
async fn begin(app: &TestApp, tab: &Tab, company: &Connected) -> Message {
    let page = press(app, tab, "connect", company).await;
    assert_eq!(page.status, 200, "{}", page.whole());
    Message::of_lead(&page.text)
}

async fn finish(tab: &Tab, company: &Connected, said: &Said, asked: &Message) -> Answer {
    tab.bring(company, &company.response(said, Some(&asked.id)), &asked.relay_state).await
}

async fn connect(app: &TestApp, tab: &Tab, company: &Connected, said: &Said) -> Answer {
    let asked = begin(app, tab, company).await;
    finish(tab, company, said, &asked).await
}

#[track_caller]
fn leads_to(answer: &Answer, path: &str) {
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, path), "{}", answer.whole());
}

async fn identities(app: &TestApp) -> Vec<Value> {
    app.database().rows("select user_id, name_id from saml_identities").await
}

#[tokio::test]
async fn an_administrator_connects_his_company_account_himself_and_is_known_by_it_from_then_on() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true, "domains": ["acme.example"] })).await;
    let tab = browser_of(&app, &admin).await;
    let before = tab.caller("acme").await;
    let preview = admin.get("/settings/sso-preview").await.ok();
    assert_eq!((&preview["locked_out"], &preview["includes_you"]), (&json!(1), &json!(true)), "{preview}");

    let asked = begin(&app, &tab, &company).await;
    assert!(asked.xml.contains("ForceAuthn=\"true\""), "he shows there that it is his: {}", asked.xml);
    // His company need not call him as he is called here: the session says whom it is about.
    let said = Said::of("someone@else.example");
    let answer = finish(&tab, &company, &said, &asked).await;
    leads_to(&answer, CONNECTED);
    assert_eq!(answer.header("set-cookie"), "", "he stays signed in");
    before.get("/iam/current-user").await.ok();
    let page = tab.open(&format!("{}{CONNECTED}", app.url())).await;
    assert!(page.text.contains("is connected") && page.text.contains("Disconnect Company"), "{}", page.text);
    assert_eq!(admin.get("/users").await.ok()["count"], 1, "nobody was made");
    let event = last_event(&admin).await;
    assert_eq!((&event["kind"], &event["outcome"]), (&json!("connect"), &json!("accepted")), "{event}");
    assert_eq!(event["user"], admin.id.to_string());
    let audit = admin.get("/audit-events?action=user.connected").await.ok()["results"][0].clone();
    assert_eq!((&audit["object_id"], &audit["details"]["assertion_id"]), (&json!(admin.id), &json!(said.assertion_id)));
    let preview = admin.get("/settings/sso-preview").await.ok();
    assert_eq!((&preview["locked_out"], &preview["known"]), (&json!(0), &json!(1)), "{preview}");

    let tab = Tab::new(app.anonymous());
    is_in(&tab.sign_in(&company, &Said::of("someone@else.example")).await, "/");
    assert_eq!(tab.caller("acme").await.id, admin.id);
    app.finish().await;
}

#[tokio::test]
async fn an_identity_is_one_users_and_a_user_has_one_at_each_company() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    is_in(&Tab::new(app.anonymous()).sign_in(&company, &Said::of("bob@example.com")).await, "/");
    let tab = browser_of(&app, &admin).await;
    let answer = connect(&app, &tab, &company, &Said::of("bob@example.com")).await;
    refused(&admin, &answer, "sso_identity_taken", "identity_of_another_user").await;
    assert_eq!(last_event(&admin).await["kind"], "connect");

    leads_to(&connect(&app, &tab, &company, &Said::of("me@example.com")).await, CONNECTED);
    let answer = connect(&app, &tab, &company, &Said::of("another@example.com")).await;
    refused(&admin, &answer, "sso_other_account", "user_has_another_identity").await;
    leads_to(&connect(&app, &tab, &company, &Said::of("me@example.com")).await, CONNECTED);
    let transient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient".to_owned();
    let said = Said { name_id_format: transient, ..Said::of("me@example.com") };
    refused(&admin, &connect(&app, &tab, &company, &said).await, "sso_refused", "transient_name_id").await;
    assert_eq!(identities(&app).await.len(), 2);
    let connected = admin.get("/audit-events?action=user.connected").await.ok();
    assert_eq!(connected["count"], 1, "what was connected already is no event");
    app.finish().await;
}

#[tokio::test]
async fn an_answer_counts_in_the_browser_and_while_the_session_lives_that_asked() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let (bob, eve) = (admin.member("bob@example.com", "reader").await, admin.member("eve@example.com", "reader").await);
    let said = || Said::of("bob@company.example");
    let (his, hers) = (browser_of(&app, &bob).await, browser_of(&app, &eve).await);

    // What Eve began, so that Bob's answer would connect Bob's company account to hers.
    let (asked, state) = (begin(&app, &hers, &company).await, begin(&app, &his, &company).await.relay_state);
    refused(&admin, &finish(&his, &company, &said(), &asked).await, "sso_again", "other_browser").await;
    let forged = his.bring(&company, &company.response(&said(), Some(&asked.id)), &state).await;
    refused(&admin, &forged, "sso_again", "other_browser").await;
    let own = begin(&app, &his, &company).await;
    for forged in [asked.relay_state.as_str(), state.as_str(), "", "/company-accounts/connect"] {
        let answer = his.bring(&company, &company.response(&said(), Some(&own.id)), forged).await;
        refused(&admin, &answer, "sso_again", "wrong_relay_state").await;
    }

    // In one browser after each other.
    sign_in(&app, &his, &eve).await;
    refused(&admin, &finish(&his, &company, &said(), &own).await, "sso_again", "session_ended").await;
    let his = browser_of(&app, &bob).await;
    let own = begin(&app, &his, &company).await;
    // The form of the company's site does not bring the session's cookie, so that Bob's session goes on.
    let elsewhere = his.from_elsewhere();
    is_in(&elsewhere.sign_in(&company, &Said::of("carol@example.com")).await, "/");
    refused(&admin, &finish(&elsewhere, &company, &said(), &own).await, "sso_again", "unknown_request").await;

    let own = begin(&app, &his, &company).await;
    his.post(&format!("{}/sign-out", app.url()), &[], app.url()).await;
    refused(&admin, &finish(&his, &company, &said(), &own).await, "sso_again", "session_ended").await;
    let own = begin(&app, &hers, &company).await;
    admin.patch(&format!("/users/{}", eve.id), json!({ "is_active": false })).await.ok();
    refused(&admin, &finish(&hers, &company, &said(), &own).await, "sso_account_ended", "inactive").await;
    assert_eq!(identities(&app).await.len(), 1, "Carol's");
    app.finish().await;
}

#[tokio::test]
async fn an_identity_that_many_connect_at_the_same_moment_goes_to_one() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({})).await;
    let mut asked = Vec::new();
    for n in 0..4 {
        let someone = admin.member(&format!("person{n}@example.com"), "reader").await;
        let tab = browser_of(&app, &someone).await;
        let message = begin(&app, &tab, &company).await;
        asked.push((tab, message));
    }
    let finish_all = async |said: &(dyn Fn(usize) -> Said + Sync), asked: &[(Tab, Message)]| {
        let all = asked.iter().enumerate().map(|(n, (tab, message))| {
            let said = said(n);
            let company = &company;
            async move { finish(tab, company, &said, message).await }
        });
        join_all(all).await.iter().filter(|answer| answer.status == 303).count()
    };
    assert_eq!(finish_all(&|_| Said::of("one@example.com"), &asked).await, 1);
    assert_eq!(identities(&app).await.len(), 1);

    // And of many identities that one connects, he gets one.
    let tab = browser_of(&app, &admin).await;
    let mut tabs = Vec::new();
    for _ in 0..4 {
        tabs.push((tab.clone(), begin(&app, &tab, &company).await));
    }
    assert_eq!(finish_all(&|n| Said::of(&format!("name{n}@example.com")), &tabs).await, 1);
    assert_eq!(identities(&app).await.len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn whoever_has_another_way_in_disconnects_and_ends_what_began_there() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({})).await;
    let bob = admin.member("bob@example.com", "reader").await;
    let tab = browser_of(&app, &bob).await;
    let said = || Said::of("bob@company.example");
    leads_to(&connect(&app, &tab, &company, &said()).await, CONNECTED);
    let there = Tab::new(app.anonymous());
    is_in(&there.sign_in(&company, &said()).await, "/");
    let there = there.caller("acme").await;

    for _ in 0..2 {
        leads_to(&press(&app, &tab, "disconnect", &company).await, "/?notice=disconnected");
    }
    assert!(identities(&app).await.is_empty());
    there.get("/iam/current-user").await.problem(401, "not_authenticated");
    tab.caller("acme").await.get("/iam/current-user").await.ok();
    let audit = admin.get("/audit-events?action=user.disconnected").await.ok();
    assert_eq!((&audit["count"], &audit["results"][0]["details"]["sessions"]), (&json!(1), &json!(1)), "{audit}");
    assert_eq!(audit["results"][0]["object_id"], bob.id.to_string());
    let answer = Tab::new(app.anonymous()).sign_in(&company, &said()).await;
    refused(&admin, &answer, "sso_no_account", "no_account").await;
    app.finish().await;
}

#[tokio::test]
async fn the_only_way_in_stays_connected() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let home = format!("{}/", app.url());
    // Made by the provider: there is no password.
    let made = Tab::new(app.anonymous());
    is_in(&made.sign_in(&company, &Said::of("carol@example.com")).await, "/");
    let bob = admin.member("bob@example.com", "reader").await;
    let tab = browser_of(&app, &bob).await;
    leads_to(&connect(&app, &tab, &company, &Said::of("bob@company.example")).await, CONNECTED);
    app.database()
        .execute("update organizations set sso_required_from = now() - interval '1 day' where slug = 'acme'")
        .await;
    for tab in [&made, &tab] {
        let page = tab.open(&home).await;
        assert!(page.text.contains("your only way in") && !page.text.contains("Disconnect"), "{}", page.text);
        let answer = press(&app, tab, "disconnect", &company).await;
        assert!(answer.status == 409 && answer.text.contains("your only way in"), "{}", answer.whole());
    }
    assert_eq!(identities(&app).await.len(), 2);
    admin.patch(&format!("/users/{}", bob.id), json!({ "keep_local_login": true })).await.ok();
    assert!(tab.open(&home).await.text.contains("Disconnect Company"));
    leads_to(&press(&app, &tab, "disconnect", &company).await, "/?notice=disconnected");
    assert_eq!(identities(&app).await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn connecting_is_begun_by_a_page_of_ours_and_with_a_connection_that_is_on() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({})).await;
    let globex = app.organization("globex").administrator().await;
    let theirs = company.provider.connect(&globex, json!({})).await;
    let tab = browser_of(&app, &admin).await;
    for what in ["connect", "disconnect"] {
        let address = format!("{}/company-accounts/{what}", app.url());
        let fields = [("connection", company.id.as_str())];
        is_cross_site(&tab.post(&address, &fields, "https://evil.example").await);
        is_cross_site(&tab.post(&address, &fields, "null").await);
        leads_to(&Tab::new(app.anonymous()).post(&address, &fields, app.url()).await, "/");
        assert_eq!(tab.open(&address).await.header("allow"), "POST");
        for wrong in ["", "x", "' or true --"] {
            let answer = tab.post(&address, &[("connection", wrong)], app.url()).await;
            assert_eq!(answer.status, 404, "{wrong:?}: {}", answer.whole());
        }
    }
    assert_eq!(press(&app, &tab, "connect", &theirs).await.status, 404, "another organization's");
    admin.patch(&format!("/saml/connections/{}", company.id), json!({ "is_active": false })).await.ok();
    assert_eq!(press(&app, &tab, "connect", &company).await.status, 404, "it is off");
    assert!(!tab.open(&format!("{}/", app.url())).await.text.contains("Connect Company"));
    app.finish().await;
}

#[track_caller]
fn is_cross_site(answer: &Answer) {
    assert_eq!(answer.status, 403, "{}", answer.whole());
    assert!(answer.text.contains("This form did not come from here"), "{}", answer.text);
}
