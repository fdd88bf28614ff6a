//! Signing in and out, and who one is.

use harness::{Caller, PASSWORD, TestApp, days, hours, minutes};
use reqwest::Method;
use serde_json::{Value, json};

/// The body of a refusal, without what differs from request to request.
async fn refusal(app: &TestApp, slug: &str, username: &str, password: &str) -> Value {
    let mut problem = app.anonymous().sign_in(slug, username, password).await.problem(401, "invalid_credentials");
    problem["request_id"] = Value::Null;
    problem
}

async fn logout(caller: &Caller) {
    caller.call(Method::POST, "/iam/logout").await.no_content();
}

async fn is_signed_in(caller: &Caller) -> bool {
    let answer = caller.get("/iam/current-user").await;
    if answer.status != 200 {
        answer.problem(401, "not_authenticated");
        return false;
    }
    true
}

#[tokio::test]
async fn a_sign_in_gives_a_token_and_its_end() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let session = app.anonymous().sign_in("acme", &admin.email, PASSWORD).await.ok();
    assert!(session["token"].as_str().expect("a token").starts_with("tnt_s_"));
    let expiry: chrono::DateTime<chrono::Utc> = session["expiry"].as_str().expect("a time").parse().expect("RFC 3339");
    let lasts = expiry - app.clock.now();
    assert!(lasts <= hours(12) && lasts > hours(12) - minutes(1), "{lasts}");
    assert_eq!(session.as_object().expect("an object").len(), 2, "{session}");
    app.finish().await;
}

/// Its connection may end just when Postgres has done what it was asked: then it is asked again.
#[tokio::test]
async fn a_sign_in_that_is_asked_twice_happens_once() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let database = app.database();
    database.disconnect_others().await;
    app.anonymous().sign_in("acme", &admin.email, PASSWORD).await.ok();
    let begun = "select (select count(*) from sessions) as sessions, \
                 (select count(*) from audit_events where action = 'session.created') as events";
    let count = async || database.rows(begun).await.remove(0);
    let before = count().await;
    let ask = async |hash: &str| {
        let sql = format!(
            "select sign_in(organization_id, id, {hash}, 99, now(), now() + interval '1 hour', \
             '018f0000-0000-7000-8000-000000000001', sha256('token'), null, null, null, null, \
             '018f0000-0000-7000-8000-000000000002') from users"
        );
        database.value(&sql).await
    };
    assert_eq!(ask("password_hash || 'x'").await, false, "another password by now");
    assert_eq!(count().await, before);
    assert_eq!(ask("password_hash").await, true);
    assert_eq!(ask("password_hash").await, true);
    let one_more = |what: &str| before[what].as_i64().map(|count| count + 1);
    let after = count().await;
    assert_eq!((after["sessions"].as_i64(), after["events"].as_i64()), (one_more("sessions"), one_more("events")));
    app.finish().await;
}

#[tokio::test]
async fn whatever_is_wrong_with_a_sign_in_the_answer_is_the_same() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let path = format!("/users/{}", bob.id);
    let wrong_password = refusal(&app, "acme", "bob@example.com", "not his password at all").await;
    assert_eq!(refusal(&app, "nowhere", "bob@example.com", PASSWORD).await, wrong_password, "unknown organization");
    assert_eq!(refusal(&app, "acme", "eve@example.com", PASSWORD).await, wrong_password, "unknown user");
    assert_eq!(refusal(&app, "acme", "", "").await, wrong_password, "nothing");
    assert_eq!(
        refusal(&app, "acme", "bob@example.com", &"x".repeat(100_000)).await,
        wrong_password,
        "a very long password"
    );

    admin.post("/users", json!({ "email": "new@example.com" })).await.created();
    assert_eq!(refusal(&app, "acme", "new@example.com", PASSWORD).await, wrong_password, "no password yet");

    admin.patch(&path, json!({ "is_active": false })).await.ok();
    assert_eq!(refusal(&app, "acme", "bob@example.com", PASSWORD).await, wrong_password, "inactive");
    admin.patch(&path, json!({ "is_active": true, "expiry_date": "2020-01-01" })).await.ok();
    assert_eq!(refusal(&app, "acme", "bob@example.com", PASSWORD).await, wrong_password, "expired");
    admin.patch(&path, json!({ "expiry_date": null })).await.ok();
    app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.ok();

    app.database().execute("update users set is_local = false where email = 'bob@example.com'").await;
    assert_eq!(refusal(&app, "acme", "bob@example.com", PASSWORD).await, wrong_password, "not local");
    app.finish().await;
}

#[tokio::test]
async fn an_address_or_a_user_name_signs_in_whatever_its_case() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("Bob@Example.com", "reader").await;
    admin.patch(&format!("/users/{}", bob.id), json!({ "username": "Bobby" })).await.ok();
    for name in ["bob@example.com", "BOB@EXAMPLE.COM", "bobby", "BOBBY", " bobby "] {
        app.anonymous().sign_in("acme", name, PASSWORD).await.ok();
    }
    app.finish().await;
}

#[tokio::test]
async fn bearer_and_token_are_both_taken() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let token = admin.token().to_owned();
    for authorization in
        [format!("Bearer {token}"), format!("Token {token}"), format!("bearer {token}"), format!("TOKEN  {token}")]
    {
        assert!(is_signed_in(&admin.with_authorization(Some(&authorization))).await, "{authorization}");
    }
    app.finish().await;
}

#[tokio::test]
async fn logging_out_ends_this_session_and_no_other() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let other = admin.again().await;
    logout(&admin).await;
    assert!(!is_signed_in(&admin).await);
    assert!(is_signed_in(&other).await);
    admin.call(Method::POST, "/iam/logout").await.problem(401, "not_authenticated");
    app.finish().await;
}

#[tokio::test]
async fn logging_out_everywhere_ends_ones_own_sessions_and_nobody_elses() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let again = bob.again().await;
    bob.call(Method::POST, "/iam/logoutall").await.no_content();
    assert!(!is_signed_in(&bob).await && !is_signed_in(&again).await);
    assert!(is_signed_in(&admin).await);
    app.finish().await;
}

#[tokio::test]
async fn revoking_sessions_ends_all_but_this_one_and_counts_them() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (one, two) = (admin.again().await, admin.again().await);
    assert_eq!(admin.call(Method::POST, "/iam/revoke-sessions").await.ok(), json!({ "revoked_sessions": 2 }));
    assert!(is_signed_in(&admin).await);
    assert!(!is_signed_in(&one).await && !is_signed_in(&two).await);
    assert_eq!(admin.call(Method::POST, "/iam/revoke-sessions").await.ok(), json!({ "revoked_sessions": 0 }));
    app.finish().await;
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_however_busy_it_is() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.clock.advance(hours(12) - minutes(1));
    assert!(is_signed_in(&admin).await);
    app.clock.advance(minutes(2));
    assert!(!is_signed_in(&admin).await);
    app.finish().await;
}

#[tokio::test]
async fn deactivation_kills_sessions_at_once_and_they_stay_dead() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let path = format!("/users/{}", bob.id);
    admin.patch(&path, json!({ "is_active": false })).await.ok();
    assert!(!is_signed_in(&bob).await);
    admin.patch(&path, json!({ "is_active": true })).await.ok();
    assert!(!is_signed_in(&bob).await, "what was killed stays dead");
    assert!(is_signed_in(&bob.again().await).await);
    app.finish().await;
}

#[tokio::test]
async fn a_past_expiry_date_ends_access_at_once_and_what_it_killed_stays_dead() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let path = format!("/users/{}", bob.id);
    let today = app.clock.now().date_naive();
    admin.patch(&path, json!({ "expiry_date": today })).await.ok();
    assert!(is_signed_in(&bob).await, "the expiry date is the last day that works");
    admin.patch(&path, json!({ "expiry_date": today - days(1) })).await.ok();
    assert!(!is_signed_in(&bob).await);
    admin.patch(&path, json!({ "expiry_date": null })).await.ok();
    assert!(!is_signed_in(&bob).await, "what was killed stays dead");
    app.finish().await;
}

#[tokio::test]
async fn an_expiry_date_that_arrives_ends_access_without_anyone_doing_anything() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let today = app.clock.now().date_naive();
    admin.patch(&format!("/users/{}", bob.id), json!({ "expiry_date": today })).await.ok();
    // To one minute past midnight, where a session from this moment would live on.
    let midnight = (today + days(1)).and_hms_opt(0, 1, 0).expect("a time").and_utc();
    app.clock.advance(midnight - app.clock.now() - hours(1));
    let late = app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await;
    let late = bob.signed_in("acme", &late.ok()).await;
    app.clock.advance(hours(1));
    assert!(!is_signed_in(&late).await);
    app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.problem(401, "invalid_credentials");
    app.finish().await;
}

#[tokio::test]
async fn deletion_kills_sessions_at_once() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    admin.delete(&format!("/users/{}", bob.id)).await.no_content();
    assert!(!is_signed_in(&bob).await);
    app.finish().await;
}

#[tokio::test]
async fn what_one_may_do_is_asked_anew_with_every_request() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "administrator").await;
    bob.get("/audit-events").await.ok();
    let reader = admin.group("reader").await;
    admin.patch(&format!("/users/{}", bob.id), json!({ "user_groups": [reader] })).await.ok();
    bob.get("/audit-events").await.problem(403, "permission_denied");
    assert_eq!(bob.get("/iam/current-user").await.ok()["is_admin"], false);
    app.finish().await;
}

#[tokio::test]
async fn current_user_says_who_where_and_what_he_may() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("Bob@example.com", "reader").await;
    bob.patch(&format!("/users/{}", bob.id), json!({ "first_name": "Bob", "last_name": "Builder" })).await.ok();
    let me = bob.get("/iam/current-user").await.ok();
    for (field, value) in [
        ("email", json!("Bob@example.com")),
        ("username", json!("Bob@example.com")),
        ("first_name", json!("Bob")),
        ("full_name", json!("Bob Builder")),
        ("is_active", json!(true)),
        ("is_superuser", json!(false)),
        ("is_admin", json!(false)),
        ("is_staff", json!(false)),
        ("is_local", json!(true)),
        ("is_sso", json!(false)),
        ("is_email_verified", json!(true)),
        ("has_mfa_enabled", json!(false)),
        ("roles", json!(["reader"])),
        ("preferences", json!({})),
        ("profile", json!({})),
        ("expiry_date", Value::Null),
    ] {
        assert_eq!(me[field], value, "{field} in {me}");
    }
    assert_eq!(me["actor_id"], me["id"]);
    assert_eq!(me["uuid"], me["id"]);
    assert!(me["last_login"].is_string(), "accepting signed him in: {me}");
    assert_eq!(me["organization"]["slug"], "acme");
    assert_eq!(me["organization"]["name"], "acme");
    assert_eq!(me["user_groups"][0]["str"], "reader");
    let permissions: Vec<_> = me["permissions"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(permissions.contains(&"view_user") && !permissions.contains(&"add_user"), "{permissions:?}");
    let root = me["root_folder_id"].as_str().expect("an id");
    assert_eq!(me["domain_permissions"], json!({ root: permissions }), "by folder where granted");

    let me = admin.get("/iam/current-user").await.ok();
    assert_eq!((&me["is_superuser"], &me["is_admin"], &me["number"]), (&json!(true), &json!(true), &json!(1)));
    assert!(me["permissions"].as_array().is_some_and(|all| all.len() > permissions.len()));
    app.finish().await;
}

#[tokio::test]
async fn staff_is_whoever_belongs_to_the_platform_organization() {
    let app = TestApp::start().await;
    let operator = app.organization("platform").administrator().await;
    let reader = operator.member("reader@example.com", "reader").await;
    assert_eq!(operator.get("/iam/current-user").await.ok()["is_staff"], true);
    assert_eq!(reader.get("/iam/current-user").await.ok()["is_staff"], true);
    app.finish().await;
}

#[tokio::test]
async fn a_sign_in_leaves_its_time_and_nothing_of_the_password() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let before = admin.get("/iam/current-user").await.ok()["last_login"].clone();
    app.clock.advance(minutes(5));
    let again = admin.again().await;
    let me = again.get("/iam/current-user").await;
    assert_ne!(me.json()["last_login"], before);
    assert!(!me.text.contains("argon2") && !me.text.contains("password_hash"), "{}", me.text);
    let stored = app.database().rows("select token_digest, t::text as everything from sessions t").await;
    assert!(stored.iter().all(|row| !row.to_string().contains(again.token())));
    app.finish().await;
}

#[tokio::test]
async fn a_slug_that_is_not_ascii_is_nobodys() {
    let app = TestApp::start().await;
    let admin = app.organization("kilo").administrator().await;
    // The sign of kelvins, whose small letter is a k.
    app.anonymous().sign_in("\u{212a}ilo", &admin.email, PASSWORD).await.problem(401, "invalid_credentials");
    app.anonymous().sign_in("KILO", &admin.email, PASSWORD).await.ok();
    app.finish().await;
}
