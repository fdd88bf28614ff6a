//! Passwords set by an administrator, and the one that follows.

use harness::{Call, Caller, PASSWORD, TestApp, minutes, seconds};
use serde_json::{Value, json};

use crate::roles::{holder, root};

const SET: &str = "an administrator knows this lemur";
const OTHER: &str = "several unrelated zebras juggle";

fn set(caller: &Caller, user: impl std::fmt::Display, password: &str) -> Call {
    let body = json!({ "user": user.to_string(), "new_password": password, "confirm_new_password": password });
    caller.post("/iam/set-password", body)
}

/// Signs in with the password that was set, and answers the token to change it.
async fn change_token(app: &TestApp, email: &str, password: &str) -> String {
    let answer = app.anonymous().sign_in("acme", email, password).await.problem(403, "password_change_required");
    answer["change_token"].as_str().expect("a token").to_owned()
}

/// An administrator; Bob, whose password he has set; and the token to change it.
async fn set_for_bob(app: &TestApp) -> (Caller, Caller, String) {
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    set(&admin, bob.id, SET).await.ok();
    let token = change_token(app, "bob@example.com", SET).await;
    (admin, bob, token)
}

fn change(caller: &Caller, token: &str, password: &str) -> Call {
    let body = json!({ "change_token": token, "new_password": password, "confirm_new_password": password });
    caller.post("/iam/change-password", body)
}

#[tokio::test]
async fn a_password_that_was_set_ends_sessions_and_leads_to_one_of_ones_own() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let stranger = app.anonymous().under("acme");
    app.settle().await;
    app.mailbox().read_all();
    stranger.post("/iam/password-reset", json!({ "email": "bob@example.com" })).await.accepted();
    let link = app.mailbox().last_to("bob@example.com").await.link().token();

    assert_eq!(set(&admin, bob.id, SET).await.ok(), json!({ "user": bob.id }));
    bob.get("/iam/current-user").await.problem(401, "not_authenticated");
    app.settle().await;
    let told = app.mailbox().last_to("bob@example.com").await;
    assert!(told.subject().contains("administrator"), "{}", told.subject());
    let late = json!({ "token": link, "new_password": OTHER, "confirm_new_password": OTHER });
    stranger.post("/iam/password-reset/confirm", late).await.problem(409, "link_superseded");
    stranger.sign_in("acme", "bob@example.com", PASSWORD).await.problem(401, "invalid_credentials");

    let (token, another) =
        (change_token(&app, "bob@example.com", SET).await, change_token(&app, "bob@example.com", SET).await);
    stranger.with_authorization(Some(&format!("Bearer {token}"))).get("/users").await.problem(401, "not_authenticated");
    change(&stranger, &token, SET).await.invalid("new_password", "password_unchanged");
    change(&stranger, &token, "too short").await.invalid("new_password", "password_too_short");
    let differing = json!({ "change_token": token, "new_password": OTHER, "confirm_new_password": SET });
    stranger.post("/iam/change-password", differing).await.invalid("confirm_new_password", "passwords_differ");
    change(&stranger, &token, OTHER).await.no_content();
    for used in [token, another] {
        change(&stranger, &used, PASSWORD).await.problem(401, "sign_in_again");
    }
    let session = stranger.sign_in("acme", "bob@example.com", OTHER).await.ok();
    bob.signed_in("acme", &session).await;
    stranger.sign_in("acme", "bob@example.com", SET).await.problem(401, "invalid_credentials");
    let events = admin.get("/audit-events?object_type=user&search=password").await.ok();
    let actions: Vec<&str> =
        events["results"].as_array().into_iter().flatten().filter_map(|e| e["action"].as_str()).collect();
    assert!(actions.contains(&"password.set") && actions.contains(&"password.changed"), "{actions:?}");
    app.finish().await;
}

#[tokio::test]
async fn a_change_token_is_good_for_ten_minutes_its_organization_and_unchanged() {
    let app = TestApp::start().await;
    let (admin, bob, token) = set_for_bob(&app).await;
    app.organization("other").administrator().await;
    let stranger = app.anonymous().under("acme");
    change(&stranger.under("other"), &token, OTHER).await.problem(401, "sign_in_again");
    change(&stranger.under("nowhere"), &token, OTHER).await.problem(401, "sign_in_again");
    for bad in ["", "x", &token[1..], &token.to_lowercase(), &"A".repeat(100_000)] {
        change(&stranger, bad, OTHER).await.problem(401, "sign_in_again");
    }
    change(&admin, &token, OTHER).await.invalid("change_token", "invalid");
    let without = json!({ "old_password": SET, "new_password": OTHER, "confirm_new_password": OTHER });
    stranger.post("/iam/change-password", without).await.problem(401, "not_authenticated");
    app.clock.advance(minutes(10));
    change(&stranger, &token, OTHER).await.problem(401, "sign_in_again");

    // Another password that is set kills it, too, and so does a deactivation.
    let token = change_token(&app, "bob@example.com", SET).await;
    set(&admin, bob.id, OTHER).await.ok();
    change(&stranger, &token, PASSWORD).await.problem(401, "sign_in_again");
    let token = change_token(&app, "bob@example.com", OTHER).await;
    admin.patch(&format!("/users/{}", bob.id), json!({ "is_active": false })).await.ok();
    change(&stranger, &token, PASSWORD).await.problem(401, "sign_in_again");
    app.finish().await;
}

#[tokio::test]
async fn a_change_token_stays_dead_when_its_account_was_closed_and_opened_again() {
    let app = TestApp::start().await;
    let (admin, bob, token) = set_for_bob(&app).await;
    for is_active in [false, true] {
        admin.patch(&format!("/users/{}", bob.id), json!({ "is_active": is_active })).await.ok();
    }
    let stranger = app.anonymous().under("acme");
    change(&stranger, &token, OTHER).await.problem(401, "sign_in_again");
    let token = change_token(&app, "bob@example.com", SET).await;
    change(&stranger, &token, OTHER).await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn a_made_up_change_token_waits_for_nobody_and_many_of_them_are_slowed_down() {
    let app = TestApp::start().await;
    let (_, _, token) = set_for_bob(&app).await;
    let stranger = app.anonymous().under("acme");
    let other = if &token[60..61] == "A" { "B" } else { "A" };
    let forged = format!("{}{other}{}", &token[..60], &token[61..]);
    // Who is meant is not believed: his row is not asked for.
    let held = app.database().hold("select from users for update").await;
    change(&stranger, &forged, OTHER).await.problem(401, "sign_in_again");
    held.release().await;
    let mut refused = 1;
    while change(&stranger, &forged, OTHER).await.status == 401 {
        refused += 1;
        assert!(refused < 100, "they are limited");
    }
    change(&stranger, "x", OTHER).await.problem(429, "too_many_attempts");
    change(&stranger, &token, OTHER).await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn of_two_who_use_one_change_token_one_wins() {
    let app = TestApp::start().await;
    let (_, _, token) = set_for_bob(&app).await;
    let stranger = app.anonymous().under("acme");
    let (one, two) = tokio::join!(async { change(&stranger, &token, OTHER).await }, async {
        change(&stranger, &token, PASSWORD).await
    });
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 401], "{} {}", one.whole(), two.whole());
    app.finish().await;
}

#[tokio::test]
async fn nobody_sets_the_password_of_himself_or_of_who_holds_more() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "administrator").await;
    let eve = admin.member("eve@example.com", "reader").await;
    set(&eve, bob.id, SET).await.problem(403, "permission_denied");
    set(&bob, admin.id, SET).await.problem(403, "outranked");
    set(&bob, bob.id, SET).await.problem(409, "cannot_change_oneself");
    set(&app.organization("other").administrator().await, bob.id, SET).await.invalid("user", "not_found");
    set(&bob, eve.id, "too short").await.invalid("new_password", "password_too_short");
    set(&bob, eve.id, "xq eve@example.com zebras 7").await.invalid("new_password", "password_guessable");
    app.database().execute("update users set is_local = false where email = 'eve@example.com'").await;
    set(&bob, eve.id, SET).await.problem(409, "no_local_login");
    app.database().execute("update organizations set set_password_enabled = false where slug = 'acme'").await;
    set(&admin, bob.id, SET).await.problem(409, "set_password_disabled");
    eve.get("/iam/current-user").await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_password_in_the_body_of_a_user_is_one_that_was_set() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let stranger = app.anonymous().under("acme");
    let body = json!({ "email": "bob@example.com", "password": SET });
    let make = || admin.post("/users", body.clone()).header("Idempotency-Key", "key-of-bob");
    let made = make().await;
    assert!(!made.text.contains("password") && !made.text.contains(SET), "{}", made.text);
    let made = made.created();
    assert_eq!(make().await.created(), made, "asked again, it happens once");
    app.settle().await;
    let told = app.mailbox().last_to("bob@example.com").await;
    assert!(told.subject().contains("administrator"), "{}", told.subject());
    assert_eq!(app.mailbox().count_to("bob@example.com"), 1, "and no welcome");
    let token = change_token(&app, "bob@example.com", SET).await;
    change(&stranger, &token, OTHER).await.no_content();

    let path = format!("/users/{}", made["id"].as_str().expect("an id"));
    let session = stranger.sign_in("acme", "bob@example.com", OTHER).await.ok();
    let bob = stranger.signed_in("acme", &session).await;
    let whole = json!({ "email": "bob@example.com", "last_name": "Builder" });
    admin.put(&path, whole.clone()).await.ok();
    bob.get("/iam/current-user").await.ok();
    let mut with_password = whole;
    with_password["password"] = json!(SET);
    admin.put(&path, with_password).await.ok();
    bob.get("/iam/current-user").await.problem(401, "not_authenticated");
    change_token(&app, "bob@example.com", SET).await;
    let changed = admin.patch(&path, json!({ "first_name": "Bob", "password": PASSWORD })).await.ok();
    assert_eq!(changed["full_name"], "Bob Builder");
    change_token(&app, "bob@example.com", PASSWORD).await;
    assert_eq!(admin.get("/audit-events?action=password.set").await.ok()["count"], 3);
    app.finish().await;
}

#[tokio::test]
async fn a_password_in_the_body_of_a_user_is_refused_wherever_setting_it_is() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let clerk =
        holder(&admin, "clerk@example.com", &["view_user", "add_user", "change_user"], &root(&admin).await).await;
    let bob = admin.member("bob@example.com", "reader").await;
    let (his, new) = (format!("/users/{}", bob.id), json!({ "email": "new@example.com", "password": SET }));
    let give = |by: &Caller, password: Value| by.patch(&his, json!({ "last_name": "B.", "password": password }));
    clerk.post("/users", new.clone()).await.problem(403, "permission_denied");
    give(&clerk, json!(SET)).await.problem(403, "permission_denied");
    let mine = json!({ "password": SET });
    admin.patch(&format!("/users/{}", admin.id), mine.clone()).await.problem(409, "cannot_change_oneself");
    admin.patch("/users/01a20142-b4b6-7e53-9117-9e8a179185ee", mine).await.problem(404, "not_found");
    for (password, code) in [
        (json!("too short"), "password_too_short"),
        (json!("xq bob@example.com zebras 7"), "password_guessable"),
        (Value::Null, "required"),
        (json!(5), "invalid_type"),
    ] {
        give(&admin, password).await.invalid("password", code);
    }
    let bad = json!({ "email": "new@example.com", "password": "xq new@example.com zebras 7" });
    admin.post("/users", bad).await.invalid("password", "password_guessable");
    let many = json!({ "action": "change_field", "ids": [bob.id], "field": "password", "value": SET });
    admin.post("/users/batch-action", many).await.invalid("field", "unknown_field");
    app.database().execute("update organizations set set_password_enabled = false where slug = 'acme'").await;
    admin.post("/users", new).await.problem(409, "set_password_disabled");
    give(&admin, json!(SET)).await.problem(409, "set_password_disabled");
    assert_eq!(admin.get("/users?email=new@example.com").await.ok()["count"], 0, "nobody was made");
    assert_eq!(bob.get("/iam/current-user").await.ok()["last_name"], "", "and nothing was changed");
    app.finish().await;
}

#[tokio::test]
async fn a_change_token_is_given_to_nobody_without_the_second_factor() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let (phone, _) = bob.enroll(&app.clock).await;
    set(&admin, bob.id, SET).await.ok();
    let stranger = app.anonymous().under("acme");
    stranger.sign_in("acme", "bob@example.com", SET).await.problem(401, "mfa_required");
    stranger.sign_in_with_code("acme", "bob@example.com", SET, "no code").await.problem(401, "invalid_code");
    let code = phone.code();
    let answer = stranger.sign_in_with_code("acme", "bob@example.com", SET, &code).await;
    let answer = answer.problem(403, "password_change_required");
    change(&stranger, answer["change_token"].as_str().expect("a token"), OTHER).await.no_content();
    stranger.sign_in_with_code("acme", "bob@example.com", OTHER, &code).await.problem(401, "invalid_code");
    app.clock.advance(seconds(30));
    stranger.sign_in_with_code("acme", "bob@example.com", OTHER, &phone.code()).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_password_that_is_too_short_by_now_is_changed_at_the_next_sign_in_unless_there_is_a_second_factor() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.member("bob@example.com", "reader").await;
    let (phone, _) = admin.enroll(&app.clock).await;
    let longer = PASSWORD.chars().count() + 1;
    admin.patch("/settings", json!({ "password_min_length": longer })).await.ok();
    let stranger = app.anonymous().under("acme");
    stranger.sign_in_with_code("acme", &admin.email, PASSWORD, &phone.code()).await.ok();
    let token = change_token(&app, "bob@example.com", PASSWORD).await;
    change(&stranger, &token, PASSWORD).await.invalid("new_password", "password_too_short");
    let long = "several unrelated zebras juggle lemon ladders at noon";
    change(&stranger, &token, long).await.no_content();
    stranger.sign_in("acme", "bob@example.com", long).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn every_way_to_a_password_goes_by_the_organizations_length() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let short = ["xq7 lemur", "kz9 tapir", "wv4 okapi", "hq3 quokka"];
    let stranger = app.anonymous().under("acme");
    let invitation = admin.invite("bob@example.com", "reader").await;
    let link = app.link_of(&admin, &invitation).await.token();
    let accept =
        |password: &str| stranger.post("/v1/invitations/accept", json!({ "token": link, "password": password }));
    accept(short[0]).await.invalid("password", "password_too_short");

    // Only together: a short password is never all there is.
    let shorten = "update organizations set password_min_length = 8";
    let tenant = "select set_config('tenantry.organization_id', (select organization_id::text from find_organization('acme')), true)";
    let alone = app.database().as_application(&format!("begin; {tenant}; {shorten}; commit")).await;
    assert_eq!(alone, Err("23514".into()), "a check constraint holds it");
    app.database().execute(&format!("{shorten}, mfa_required = true where slug = 'acme'")).await;
    accept(short[0]).await.created();
    let sign_in = |password: &str| stranger.sign_in("acme", "bob@example.com", password);
    sign_in(short[0]).await.ok();

    app.settle().await;
    app.mailbox().read_all();
    stranger.post("/iam/password-reset", json!({ "email": "bob@example.com" })).await.accepted();
    let token = app.mailbox().last_to("bob@example.com").await.link().token();
    let reset = |password: &str| {
        let body = json!({ "token": token, "new_password": password, "confirm_new_password": password });
        stranger.post("/iam/password-reset/confirm", body)
    };
    reset("xq7 lem").await.invalid("new_password", "password_too_short");
    reset(short[1]).await.no_content();
    let session = sign_in(short[1]).await.ok();
    let bob = stranger.with_authorization(session["token"].as_str().map(|t| format!("Bearer {t}")).as_deref());
    bob.enroll_with(short[1], &app.clock).await;
    let body = json!({ "old_password": short[1], "new_password": short[2], "confirm_new_password": short[2] });
    bob.post("/iam/change-password", body).await.no_content();

    admin.enroll(&app.clock).await;
    let me: Value = bob.get("/iam/current-user").await.ok();
    set(&admin, me["id"].as_str().expect("an id"), short[3]).await.ok();
    app.finish().await;
}
