//! What an organization decides for all of its people.

use harness::{Answer, TestApp, days, hours};
use serde_json::{Value, json};

fn tag(answer: &Answer) -> String {
    answer.header("etag").to_owned()
}

#[tokio::test]
async fn settings_have_defaults_and_stay_as_they_were_set() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let defaults = json!({
        "invitation_validity": 604_800, "token_max_days": 365, "password_min_length": 15, "mfa_required": false,
        "set_password_enabled": true, "locale": "en", "sso_required": false, "sso_required_from": null,
        "login_discovery": "domain", "branding": { "name": null, "color": null, "logo": null, "reply_to": null },
    });
    assert_eq!(admin.get("/settings").await.ok(), defaults);
    admin.patch("/settings", json!({ "mfa_required": true })).await.problem(409, "second_factor_first");
    admin.enroll(&app.clock).await;
    let changed = json!({
        "invitation_validity": 3_600, "token_max_days": 30, "password_min_length": 20, "mfa_required": true,
        "set_password_enabled": false, "locale": "de-AT", "sso_required": false, "sso_required_from": null,
        "login_discovery": "account",
        "branding": { "name": "Acme!", "color": "#0b6e4f", "logo": null, "reply_to": "help@acme.example" },
    });
    assert_eq!(admin.patch("/settings", changed.clone()).await.ok(), changed);
    assert_eq!(admin.get("/settings").await.ok(), changed);
    let one = admin.patch("/settings", json!({ "locale": "fr" })).await.ok();
    assert_eq!((&one["locale"], &one["token_max_days"]), (&json!("fr"), &json!(30)));
    assert_eq!(globex.get("/settings").await.ok(), defaults, "another organization's are its own");
    let log = admin.get("/audit-events?action=settings.changed").await.ok();
    assert_eq!(log["count"], 2);
    assert_eq!(log["results"][0]["details"]["changes"], json!({ "locale": { "from": "de-AT", "to": "fr" } }));
    app.finish().await;
}

#[tokio::test]
async fn settings_out_of_range_are_refused_by_name_and_change_nothing() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let before = admin.get("/settings").await.ok();
    for (field, wrong) in
        [("invitation_validity", [3_599, 7_776_001]), ("token_max_days", [0, 3_651]), ("password_min_length", [7, 129])]
    {
        for value in wrong.into_iter().chain([-1, i64::from(i32::MAX)]) {
            admin.patch("/settings", json!({ field: value, "locale": "de" })).await.invalid(field, "out_of_range");
        }
        admin.patch("/settings", json!({ field: null })).await.invalid(field, "required");
        admin.patch("/settings", json!({ field: "many" })).await.invalid(field, "invalid_type");
        let huge = admin.patch("/settings", json!({ field: 10_000_000_000_i64 })).await;
        assert_eq!(huge.status, 400, "{}", huge.whole());
    }
    for wrong in ["", "english please", "e", &"en-".repeat(40)] {
        admin.patch("/settings", json!({ "locale": wrong })).await.invalid("locale", "invalid_locale");
    }
    admin.patch("/settings", json!({ "mfa_required": null })).await.invalid("mfa_required", "required");
    admin.patch("/settings", json!({ "mfa_required": "yes" })).await.invalid("mfa_required", "invalid_type");
    admin.patch("/settings", json!({ "colour": "red" })).await.invalid("colour", "unknown_field");
    assert_eq!(admin.get("/settings").await.ok(), before);
    app.finish().await;
}

#[tokio::test]
async fn settings_are_for_whoever_may_change_the_organization() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for role in ["reader", "auditor", "domain_manager"] {
        let member = admin.member(&format!("{role}@example.com"), role).await;
        member.get("/settings").await.problem(403, "permission_denied");
        member.patch("/settings", json!({ "locale": "de" })).await.problem(403, "permission_denied");
    }
    let second = admin.member("second@example.com", "administrator").await;
    second.patch("/settings", json!({ "locale": "de" })).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn passwords_are_shorter_than_fifteen_only_where_a_second_factor_is_demanded() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.enroll(&app.clock).await;
    let set = |body: Value| admin.patch("/settings", body).into_future();
    set(json!({ "password_min_length": 14 })).await.problem(409, "short_passwords_need_mfa");
    set(json!({ "password_min_length": 8, "mfa_required": true })).await.ok();
    set(json!({ "mfa_required": false })).await.problem(409, "short_passwords_need_mfa");
    set(json!({ "mfa_required": false, "password_min_length": 14 })).await.problem(409, "short_passwords_need_mfa");
    assert_eq!(admin.get("/settings").await.ok()["password_min_length"], 8);
    set(json!({ "mfa_required": false, "password_min_length": 15 })).await.ok();

    set(json!({ "password_min_length": 15, "mfa_required": true })).await.ok();
    let both = [json!({ "password_min_length": 8 }), json!({ "mfa_required": false })];
    let answers = futures_util::future::join_all(both.map(set)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "one of two at once");
    let broken = "update organizations set password_min_length = 8, mfa_required = false";
    let slug = "set tenantry.organization_id to '%'";
    let id = app.database().value("select organization_id::text from organizations").await;
    let slug = slug.replace('%', id.as_str().expect("an id"));
    assert_eq!(app.database().as_application(&format!("{slug}; {broken}")).await, Err("23514".to_owned()));
    app.finish().await;
}

#[tokio::test]
async fn the_length_of_passwords_holds_for_the_next_one() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    admin.enroll(&app.clock).await;
    bob.enroll(&app.clock).await;
    admin.patch("/settings", json!({ "password_min_length": 40 })).await.ok();
    let change = |new: &str| {
        let body = json!({ "old_password": harness::PASSWORD, "new_password": new, "confirm_new_password": new });
        bob.post("/iam/change-password", body).into_future()
    };
    change("several unrelated zebras juggle").await.invalid("new_password", "password_too_short");
    admin.patch("/settings", json!({ "password_min_length": 8, "mfa_required": true })).await.ok();
    change("zq7 Vexl#9Tuw").await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn a_lower_cap_moves_the_end_of_tokens_that_would_live_longer() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let make = async |caller: &harness::Caller, days: i32| {
        let made =
            caller.post("/iam/auth-tokens", json!({ "name": format!("{days}"), "expiry": days })).await.created();
        caller.with_authorization(Some(&format!("Bearer {}", made["token"].as_str().expect("a token"))))
    };
    let (old, elsewhere) = (make(&admin, 300).await, make(&globex, 300).await);
    app.clock.advance(days(10));
    let admin = admin.again().await;
    let (long, short) = (make(&admin, 300).await, make(&admin, 3).await);
    admin.patch("/settings", json!({ "token_max_days": 5 })).await.ok();
    old.get("/iam/current-user").await.problem(401, "not_authenticated");
    long.get("/iam/current-user").await.ok();
    short.get("/iam/current-user").await.ok();
    elsewhere.get("/iam/current-user").await.ok();
    let log = admin.get("/audit-events?action=settings.changed").await.ok();
    assert_eq!(log["results"][0]["details"]["shortened_tokens"], 2);
    app.clock.advance(days(3) + hours(1));
    short.get("/iam/current-user").await.problem(401, "not_authenticated");
    long.get("/iam/current-user").await.ok();
    app.clock.advance(days(2));
    long.get("/iam/current-user").await.problem(401, "not_authenticated");
    admin.again().await.patch("/settings", json!({ "token_max_days": 365 })).await.ok();
    long.get("/iam/current-user").await.problem(401, "not_authenticated");
    app.finish().await;
}

#[tokio::test]
async fn a_token_that_is_made_while_the_cap_is_lowered_keeps_to_it() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let held = app.database().hold("select id from users for update").await;
    let make = tokio::spawn(admin.post("/iam/auth-tokens", json!({ "name": "x", "expiry": 300 })).into_future());
    app.database().until_someone_waits().await;
    let lower = tokio::spawn(admin.patch("/settings", json!({ "token_max_days": 5 })).into_future());
    held.release().await;
    let (made, lowered) = (make.await.expect("an answer"), lower.await.expect("an answer"));
    assert!(
        (made.status == 201 || made.status == 400) && lowered.status == 200,
        "{}\n{}",
        made.whole(),
        lowered.whole()
    );
    let over = "select id from personal_access_tokens where expires_at > created_at + interval '5 days'";
    assert_eq!(app.database().rows(over).await, Vec::<Value>::new());
    app.finish().await;
}

#[tokio::test]
async fn settings_that_changed_since_they_were_read_are_not_overwritten() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let read = tag(&admin.get("/settings").await);
    let same = admin.patch("/settings", json!({ "locale": "en" })).await;
    assert_eq!(tag(&same), read, "what changes nothing changes no tag");
    let write = |days: i32| {
        let call = admin.patch("/settings", json!({ "token_max_days": days })).header("if-match", &read);
        call.into_future()
    };
    let answers = futures_util::future::join_all([10, 20, 40, 50].map(write)).await;
    let done: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(done.len(), 1);
    assert_ne!(tag(done[0]), read);
    assert_eq!(admin.get("/settings").await.ok(), done[0].json());
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.problem(412, "precondition_failed");
    }
    app.finish().await;
}

#[tokio::test]
async fn each_member_of_the_branding_is_set_and_cleared_by_itself() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let set =
        async |branding: Value| admin.patch("/settings", json!({ "branding": branding })).await.ok()["branding"].take();
    let of = |name: Value, color: Value, reply_to: Value| json!({ "name": name, "color": color, "logo": null, "reply_to": reply_to });
    let all = json!({ "name": " Acme! ", "color": "#0B6E4F", "reply_to": "Help@b\u{fc}cher.example" });
    let whole = of(json!("Acme!"), json!("#0b6e4f"), json!("Help@b\u{fc}cher.example"));
    assert_eq!(set(all).await, whole);
    assert_eq!(set(json!({})).await, whole);
    assert_eq!(set(json!({ "color": null })).await, of(whole["name"].clone(), Value::Null, whole["reply_to"].clone()));
    // What was read can be sent back, the logo's address too.
    assert_eq!(set(whole.clone()).await, whole);
    let mut elsewhere = whole.clone();
    elsewhere["logo"] = json!("https://elsewhere.example/logo.svg");
    assert_eq!(set(elsewhere).await, whole);
    assert_eq!(set(Value::Null).await, of(Value::Null, Value::Null, Value::Null));
    let log = admin.get("/audit-events?action=settings.changed&ordering=at").await.ok();
    let changes = json!({ "branding.color": { "from": "#0b6e4f", "to": null } });
    assert_eq!(log["results"][1]["details"]["changes"], changes);
    app.finish().await;
}

#[tokio::test]
async fn a_branding_that_would_do_harm_is_refused_by_name() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let before = admin.get("/settings").await.ok();
    let long = "x".repeat(201);
    for (field, wrong, code) in [
        ("name", json!(" "), "required"),
        ("name", json!(long), "too_long"),
        ("name", json!("Acme\r\nBcc: eve@example.com"), "invalid"),
        ("name", json!(7), "invalid_type"),
        ("color", json!("red"), "invalid_color"),
        ("color", json!("#fff"), "invalid_color"),
        ("color", json!("#123456;}"), "invalid_color"),
        ("reply_to", json!("nobody"), "invalid_email"),
        ("reply_to", json!(""), "required"),
        ("reply_to", json!("a@b.example, c@d.example"), "invalid_email"),
        ("reply_to", json!("Help <a@b.example>"), "invalid_email"),
        ("reply_to", json!("a@b.example\r\nBcc: eve@example.com"), "invalid_email"),
        ("reply_to", json!("\u{fc}@b.example"), "invalid_email"),
        ("colour", json!("#123456"), "unknown_field"),
    ] {
        let body = json!({ "locale": "de", "branding": { field: wrong } });
        admin.patch("/settings", body).await.invalid(&format!("branding.{field}"), code);
    }
    admin.patch("/settings", json!({ "branding": "Acme" })).await.invalid("branding", "invalid_type");
    assert_eq!(admin.get("/settings").await.ok(), before);
    app.finish().await;
}

#[tokio::test]
async fn mails_bear_the_name_an_organization_gives_itself_and_answers_go_where_it_says() {
    let app = TestApp::start().await;
    let admin = app.organization_named("acme", "Acme Robotics Ltd").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let branding = json!({ "name": "Acme <b>", "reply_to": "help@b\u{fc}cher.example" });
    admin.patch("/settings", json!({ "branding": branding })).await.ok();
    admin.invite("bob@example.com", "reader").await;
    let mail = app.mailbox().last_to("bob@example.com").await;
    assert_eq!(mail.header("Reply-To").as_deref(), Some("help@xn--bcher-kva.example"));
    assert!(mail.subject().contains("Acme <b>") && mail.html().contains("Acme &lt;b&gt;"), "{}", mail.raw());
    assert!(!mail.raw().contains("Robotics"), "{}", mail.raw());
    globex.invite("ann@example.com", "reader").await;
    assert_eq!(app.mailbox().last_to("ann@example.com").await.header("Reply-To"), None);
    admin.patch("/settings", json!({ "branding": null })).await.ok();
    admin.invite("joe@example.com", "reader").await;
    let mail = app.mailbox().last_to("joe@example.com").await;
    assert!(mail.header("Reply-To").is_none() && mail.subject().contains("Acme Robotics Ltd"), "{}", mail.raw());
    app.finish().await;
}
