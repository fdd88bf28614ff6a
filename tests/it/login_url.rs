//! Where someone signs in who knows no more than his address, and what strangers learn by asking: nothing.

use harness::{Browser, Caller, IdentityProvider, NameServer, TestApp, hours};
use serde_json::{Value, json};

use crate::email_domains::{path, proven};

async fn find(app: &TestApp, email: &str) -> String {
    let found = app.anonymous().post("/v1/login-url", json!({ "email": email })).await.ok();
    assert_eq!(found.as_object().expect("an object").len(), 1, "{found}");
    found["params"].as_str().expect("params").to_owned()
}

async fn lists(app: &TestApp) -> Vec<Value> {
    app.settle().await;
    app.database()
        .rows(
            "select o.slug, e.to_address, e.status from email_messages e join organizations o using (organization_id)
               where kind = 'login_url' order by e.id",
        )
        .await
}

#[tokio::test]
async fn every_address_of_a_proven_domain_leads_to_its_organization_known_or_not() {
    let server = NameServer::start().await;
    let app = TestApp::start_asking(&server).await;
    let admin = app.organization("Acme").administrator().await;
    assert_eq!(find(&app, "admin@acme.example").await, "manual=true");
    let proof = proven(&server, &admin, "acme.example").await;
    for email in ["admin@acme.example", "nobody@acme.example", "Nobody+1@ACME.example"] {
        let hint: String = url::form_urlencoded::byte_serialize(email.as_bytes()).collect();
        assert_eq!(find(&app, email).await, format!("organization=Acme&login_hint={hint}"));
    }
    assert_eq!(find(&app, "nobody@mail.acme.example").await, "manual=true", "a domain below is another one");
    // With a connection that has the domain, or where single sign-on is demanded, it goes on there.
    let provider = IdentityProvider::new("idp", &app.clock);
    let connected = provider.connect(&admin, json!({ "domains": ["acme.example"] })).await;
    assert_eq!(find(&app, "x@acme.example").await, "organization=Acme&login_hint=x%40acme.example&sso=true");
    admin.patch(&format!("/saml/connections/{}", connected.id), json!({ "is_active": false })).await.ok();
    assert_eq!(find(&app, "x@acme.example").await, "organization=Acme&login_hint=x%40acme.example");
    admin.delete(&path(&proof)).await.no_content();
    assert_eq!(find(&app, "x@acme.example").await, "manual=true");
    proven(&server, &admin, "acme.example").await;
    app.database().execute("update organizations set deleted_at = now() where slug = 'Acme'").await;
    assert_eq!(find(&app, "x@acme.example").await, "manual=true", "a deleted organization has no sign-in");
    app.finish().await;
}

#[tokio::test]
async fn whoever_has_accounts_is_mailed_where_and_nobody_else() {
    let app = TestApp::start().await;
    app.organization("platform").administrator().await;
    let mut bobs = Vec::new();
    for (slug, name) in [("zeta", "Zeta <b>"), ("acme", "Acme Robotics"), ("gone", "Gone"), ("former", "Former")] {
        let admin = app.organization_named(slug, name).administrator().await;
        bobs.push(admin.member("Bob@Example.com", "reader").await);
        if slug == "former" {
            admin.patch(&format!("/users/{}", bobs[3].id), json!({ "is_active": false })).await.ok();
        }
    }
    app.database().execute("update organizations set deleted_at = now() where slug = 'gone'").await;
    bobs[0].patch("/user-preferences", json!({ "lang": "de" })).await.ok();
    app.settle().await;
    app.mailbox().read_all();
    for email in ["nobody@example.com", "bob@example.com", "BOB@example.com"] {
        assert_eq!(find(&app, email).await, "manual=true", "{email}");
    }
    let mail = app.mailbox().last_to("Bob@Example.com").await;
    assert_eq!(mail.subject(), "Wo Sie sich anmelden können");
    let links: Vec<String> = mail.links().iter().map(|link| link.0.to_string()).collect();
    let place = |slug: &str| format!("{}/sign-in?organization={slug}", app.url());
    assert_eq!(links[..2], [place("acme"), place("zeta")], "{}", mail.text());
    assert!(mail.html().contains("Zeta &lt;b&gt;") && mail.html().contains("Acme Robotics"), "{}", mail.html());
    for absent in ["Gone", "Former", "nobody"] {
        assert!(!mail.raw().contains(absent) && !mail.html().contains(absent), "{absent} in {}", mail.text());
    }
    assert!(mail.text().contains("Tenantry") && mail.header("Reply-To").is_none(), "it looks like no organization's");
    // Recorded where the address has been known for longest, by what tells nothing of the others.
    let row = |slug| json!({ "slug": slug, "to_address": "Bob@Example.com", "status": "sent" });
    assert_eq!(lists(&app).await, [row("zeta"), row("zeta")]);
    let left = app.database().rows("select * from login_url_requests").await;
    assert_eq!(left.len(), 0, "{left:?}");
    app.finish().await;
}

#[tokio::test]
async fn a_mailbox_gets_five_lists_an_hour_and_an_organization_that_may_not_mail_it_gives_way() {
    let app = TestApp::start().await;
    let first = app.organization("first").administrator().await;
    let second = app.organization("second").administrator().await;
    first.member("bob@example.com", "reader").await;
    second.member("bob@example.com", "reader").await;
    first.post("/email-suppressions", json!({ "address": "Bob@EXAMPLE.com" })).await.created();
    for _ in 0..7 {
        assert_eq!(find(&app, "bob@example.com").await, "manual=true", "the answer tells nothing of mails");
        app.settle().await;
    }
    let mailed = lists(&app).await;
    assert!(
        mailed.len() == 5 && mailed.iter().all(|row| row["slug"] == "second" && row["status"] == "sent"),
        "{mailed:?}"
    );
    assert_eq!(second.get("/audit-events?action=login_url.requested").await.ok()["count"], 5);
    assert_eq!(first.get("/audit-events?action=login_url.requested").await.ok()["count"], 0);
    app.clock.advance(hours(1));
    find(&app, "bob@example.com").await;
    assert_eq!(lists(&app).await.len(), 6);
    app.finish().await;
}

#[tokio::test]
async fn an_account_is_found_only_where_its_organization_lets_strangers_know_of_it() {
    let app = TestApp::start().await;
    let acme = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let bob = acme.member("bob@example.com", "reader").await;
    globex.member("carol@example.com", "reader").await;
    acme.patch("/settings", json!({ "login_discovery": "nonsense" })).await.invalid("login_discovery", "invalid_type");
    acme.patch("/settings", json!({ "login_discovery": null })).await.invalid("login_discovery", "required");
    acme.patch("/settings", json!({ "login_discovery": "account" })).await.ok();
    let log = acme.get("/audit-events?action=settings.changed").await.ok();
    let changes = &log["results"][0]["details"]["changes"];
    assert_eq!(changes, &json!({ "login_discovery": { "from": "domain", "to": "account" } }));

    let found = "organization=acme&login_hint=bob%40example.com";
    assert_eq!(find(&app, "bob@example.com").await, found);
    for other in ["carol@example.com", "nobody@example.com"] {
        assert_eq!(find(&app, other).await, "manual=true", "{other}");
    }
    // In two, he gets the list, whatever they say.
    let twin = globex.member("bob@example.com", "reader").await;
    assert_eq!(find(&app, "bob@example.com").await, "manual=true");
    globex.patch(&format!("/users/{}", twin.id), json!({ "is_active": false })).await.ok();
    assert_eq!(find(&app, "bob@example.com").await, found);
    acme.patch(&format!("/users/{}", bob.id), json!({ "is_active": false })).await.ok();
    assert_eq!(find(&app, "bob@example.com").await, "manual=true");
    assert_eq!(lists(&app).await.len(), 2, "to Carol, and to Bob while he was in two");
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_address_is_refused_and_a_thousand_addresses_are_limited() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    for wrong in ["", "bob", "bob@", "a b@example.com", "a@b\r\nBcc: x@y.z"] {
        let refused = app.anonymous().post("/v1/login-url", json!({ "email": wrong })).await;
        assert_eq!(refused.problem(400, "validation_failed")["errors"][0]["field"], "email", "{wrong:?}");
    }
    app.anonymous()
        .post("/v1/login-url", json!({ "email": "a@b.example", "organization": "acme" }))
        .await
        .invalid("organization", "unknown_field");
    let ask = |n: u32| {
        let app = &app;
        async move { app.anonymous().post("/v1/login-url", json!({ "email": format!("u{n}@example.com") })).await }
    };
    let mut answered = 0;
    for tens in 0..100 {
        for answer in futures_util::future::join_all((0..10).map(|n| ask(tens * 10 + n))).await {
            if answer.status == 200 {
                answered += 1;
            } else {
                assert!(!answer.header("retry-after").is_empty(), "{}", answer.whole());
                answer.problem(429, "too_many_attempts");
            }
        }
    }
    assert!((60..100).contains(&answered), "{answered} of a thousand were answered");
    app.finish().await;
}

#[tokio::test]
async fn the_page_asks_for_the_address_and_leads_on_or_tells_of_a_mail_alike() {
    let server = NameServer::start().await;
    let app = TestApp::start_asking(&server).await;
    let admin = app.organization("acme").administrator().await;
    admin.member("bob@elsewhere.example", "reader").await;
    proven(&server, &admin, "acme.example").await;
    let page = format!("{}/sign-in", app.url());
    let send = async |email: &str| {
        let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("email", email).finish();
        let call = app.anonymous().call(reqwest::Method::POST, &page);
        call.body("application/x-www-form-urlencoded", form).header("origin", app.url()).await
    };
    for email in ["admin@acme.example", "nobody@acme.example"] {
        let (answer, hint) = (send(email).await, email.replace('@', "%40"));
        let wanted = format!("/sign-in/password?organization=acme&login_hint={hint}");
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, wanted.as_str()));
    }
    for email in ["bob@elsewhere.example", "nobody@elsewhere.example"] {
        let answer = send(email).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/sign-in/sent"), "{email}");
    }
    assert_eq!(send("bob").await.status, 400);
    app.mailbox().last_to("bob@elsewhere.example").await;
    look_at_pages(&app, &admin).await;
    app.finish().await;
}

/// In a browser, in each language.
async fn look_at_pages(app: &TestApp, admin: &Caller) {
    let browser = Browser::start().await;
    let page = |path: &str| format!("{}{path}", app.url());
    for (language, address, next, wrong, sent) in [
        ("en", "E-mail", "Continue", "not an e-mail address", "Look into your mailbox"),
        ("de", "E-Mail", "Weiter", "keine E-Mail-Adresse", "Sehen Sie in Ihr Postfach"),
        ("fr", "mail", "Continuer", "pas une adresse e-mail", "Consultez votre messagerie"),
    ] {
        browser.speak(language).await;
        browser.open(&page("/sign-in?notice=signed_out")).await;
        look(&browser, &format!("sign-in-find-{language}")).await;
        browser.fill(address, "bob").await;
        browser.press(next).await;
        browser.until_it_says(wrong).await;
        look(&browser, &format!("sign-in-find-wrong-{language}")).await;
        browser.fill(address, "nobody@elsewhere.example").await;
        browser.press(next).await;
        browser.until_it_says(sent).await;
        assert_eq!(browser.address().await.path(), "/sign-in/sent");
        look(&browser, &format!("sign-in-sent-{language}")).await;
    }
    browser.speak("en").await;
    browser.open(&page("/sign-in")).await;
    browser.fill("E-mail", &admin.email).await;
    browser.press("Continue").await;
    browser.until_it_says("Password").await;
    assert_eq!(browser.address().await.path(), "/sign-in/password");
    browser.open(&page("/sign-in?manual=true")).await;
    browser.fill("Organization", "acme").await;
    browser.close().await;
}

async fn look(browser: &Browser, name: &str) {
    assert!(browser.content_width().await <= 390, "a phone need not scroll sideways: {name}");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        browser.screenshot_of_all(&format!("{name}-{scheme}")).await;
    }
    browser.prefer("light").await;
}
