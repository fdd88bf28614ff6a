//! Passwords: forgotten, reset, changed, and what a good one is.

use harness::{Caller, PASSWORD, TestApp, days, hours, minutes, seconds};
use serde_json::{Value, json};

const OTHER: &str = "several unrelated zebras juggle";

fn confirmation(token: &str, password: &str) -> Value {
    json!({ "token": token, "new_password": password, "confirm_new_password": password })
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_through_a_mailed_link_once() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let stranger = app.anonymous().under("acme");
    stranger.post("/iam/password-reset", json!({ "email": "ADMIN@acme.example" })).await.accepted();
    let token = app.mailbox().last_to("admin@acme.example").await.link().token();

    stranger.post("/iam/password-reset/confirm", confirmation(&token, OTHER)).await.no_content();

    admin.get("/iam/current-user").await.problem(401, "not_authenticated");
    stranger.sign_in("acme", &admin.email, PASSWORD).await.problem(401, "invalid_credentials");
    stranger.sign_in("acme", &admin.email, OTHER).await.ok();
    stranger.post("/iam/password-reset/confirm", confirmation(&token, PASSWORD)).await.problem(409, "link_used");
    let told = app.mailbox().last_to("admin@acme.example").await;
    assert!(told.subject().to_lowercase().contains("password"), "{}", told.subject());
    app.finish().await;
}

#[tokio::test]
async fn asking_for_a_reset_tells_nobody_who_is_there() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    let ask =
        |slug: &str, email: &str| app.anonymous().under(slug).post("/iam/password-reset", json!({ "email": email }));
    let known = ask("acme", "admin@acme.example").await;
    let unknown = ask("acme", "nobody@acme.example").await;
    let nowhere = ask("nowhere", "admin@acme.example").await;
    assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
    assert_eq!((known.status, &known.text), (nowhere.status, &nowhere.text));
    known.accepted();
    ask("acme", "not an address").await.invalid("email", "invalid_email");
    ask("acme", "").await.invalid("email", "required");
    app.mailbox().last_to("admin@acme.example").await;
    app.settle().await;
    assert_eq!(app.mailbox().all().len(), 1, "strangers are not mailed");
    app.finish().await;
}

#[tokio::test]
async fn a_reset_link_is_good_for_an_hour() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    let stranger = app.anonymous().under("acme");
    stranger.post("/iam/password-reset", json!({ "email": "admin@acme.example" })).await.accepted();
    let token = app.mailbox().last_to("admin@acme.example").await.link().token();
    app.clock.advance(hours(1) + seconds(1));
    stranger.post("/iam/password-reset/confirm", confirmation(&token, OTHER)).await.problem(409, "link_expired");
    stranger.sign_in("acme", "admin@acme.example", PASSWORD).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_newer_reset_link_makes_the_older_one_dead() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    let stranger = app.anonymous().under("acme");
    let ask = async || {
        stranger.post("/iam/password-reset", json!({ "email": "admin@acme.example" })).await.accepted();
        app.mailbox().last_to("admin@acme.example").await.link().token()
    };
    let (older, newer) = (ask().await, ask().await);
    stranger.post("/iam/password-reset/confirm", confirmation(&older, OTHER)).await.problem(409, "link_superseded");
    stranger.post("/iam/password-reset/confirm", confirmation(&newer, OTHER)).await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn a_reset_link_is_dead_under_another_slug_and_when_it_was_changed() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    let other = app.organization("other").administrator().await;
    let stranger = app.anonymous().under("acme");
    stranger.post("/iam/password-reset", json!({ "email": "admin@acme.example" })).await.accepted();
    let token = app.mailbox().last_to("admin@acme.example").await.link().token();
    let invitation = other.invite("bob@example.com", "reader").await;
    let of_another_kind = app.link_of(&other, &invitation).await.token();

    let elsewhere = app.anonymous().under("other");
    elsewhere.post("/iam/password-reset/confirm", confirmation(&token, OTHER)).await.problem(404, "link_dead");
    let half = &token[..token.len() / 2];
    for bad in ["", "x", half, of_another_kind.as_str(), &"A".repeat(100_000)] {
        stranger.post("/iam/password-reset/confirm", confirmation(bad, OTHER)).await.problem(404, "link_dead");
    }
    stranger.post("/iam/password-reset/confirm", confirmation(&token, OTHER)).await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn a_reset_link_of_whoever_may_not_sign_in_any_more_is_dead() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let stranger = app.anonymous().under("acme");
    app.settle().await;
    app.mailbox().read_all();
    stranger.post("/iam/password-reset", json!({ "email": bob.email })).await.accepted();
    let token = app.mailbox().last_to("bob@example.com").await.link().token();
    for (ended, undone) in
        [("is_local = false", "is_local = true"), ("expiry_date = '2020-01-01'", "expiry_date = null")]
    {
        let update = |what| format!("update users set {what} where email = 'bob@example.com'");
        app.database().execute(&update(ended)).await;
        stranger.post("/iam/password-reset/confirm", confirmation(&token, OTHER)).await.problem(404, "link_dead");
        app.database().execute(&update(undone)).await;
    }
    stranger.post("/iam/password-reset/confirm", confirmation(&token, OTHER)).await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn nobody_s_mailbox_is_flooded_with_resets() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    let stranger = app.anonymous().under("acme");
    for _ in 0..8 {
        stranger.post("/iam/password-reset", json!({ "email": "admin@acme.example" })).await.accepted();
    }
    app.settle().await;
    assert!(app.mailbox().count_to("admin@acme.example") <= 5);
    app.clock.advance(minutes(61));
    let before = app.mailbox().count_to("admin@acme.example");
    stranger.post("/iam/password-reset", json!({ "email": "admin@acme.example" })).await.accepted();
    app.settle().await;
    assert_eq!(app.mailbox().count_to("admin@acme.example"), before + 1);
    app.finish().await;
}

#[tokio::test]
async fn each_rule_for_a_new_password_refuses_by_itself() {
    let app = TestApp::start().await;
    app.organization("acme").administrator().await;
    let stranger = app.anonymous().under("acme");
    stranger.post("/iam/password-reset", json!({ "email": "admin@acme.example" })).await.accepted();
    let token = app.mailbox().last_to("admin@acme.example").await.link().token();
    let long = "zebra Quilt 7 ".repeat(10);
    for (password, code) in [
        ("", "password_too_short"),
        ("zebra quilt 7x", "password_too_short"),
        (long.as_str(), "password_too_long"),
        ("passwordpassword", "password_common"),
        ("kkkkkkkkkkkkkkkkkkk", "password_guessable"),
        ("xq admin@acme.example zebra", "password_guessable"),
    ] {
        let answer = stranger.post("/iam/password-reset/confirm", confirmation(&token, password)).await;
        answer.invalid("new_password", code);
    }
    let differing = json!({ "token": token, "new_password": OTHER, "confirm_new_password": PASSWORD });
    let answer = stranger.post("/iam/password-reset/confirm", differing).await;
    answer.invalid("confirm_new_password", "passwords_differ");
    stranger.post("/iam/password-reset/confirm", confirmation(&token, OTHER)).await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn one_changes_one_s_own_password_and_other_sessions_end() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let elsewhere = admin.again().await;
    let change = |old: &str, new: &str| {
        let body = json!({ "old_password": old, "new_password": new, "confirm_new_password": new });
        admin.post("/iam/change-password", body)
    };
    change("not my password at all", OTHER).await.invalid("old_password", "wrong_password");
    change(PASSWORD, "too short").await.invalid("new_password", "password_too_short");
    elsewhere.get("/iam/current-user").await.ok();
    change(PASSWORD, OTHER).await.no_content();
    elsewhere.get("/iam/current-user").await.problem(401, "not_authenticated");
    admin.get("/iam/current-user").await.ok();
    app.anonymous().sign_in("acme", &admin.email, PASSWORD).await.problem(401, "invalid_credentials");
    app.anonymous().sign_in("acme", &admin.email, OTHER).await.ok();
    app.mailbox().last_to(&admin.email).await;
    app.finish().await;
}

async fn with_password(password: &str) -> (TestApp, Caller) {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body = json!({ "old_password": PASSWORD, "new_password": password, "confirm_new_password": password });
    admin.post("/iam/change-password", body).await.no_content();
    (app, admin)
}

#[tokio::test]
async fn a_password_is_compared_whole_and_in_its_case() {
    let long = "Three zebras juggle, each behind its own curtain; nobody asks what a hippopotamus might think of it all, quietly, in November 7.";
    assert_eq!(long.chars().count(), 128, "as long as one may be");
    let (app, admin) = with_password(long).await;
    let try_it = |password: &str| app.anonymous().sign_in("acme", &admin.email, password);
    let others = [long.to_lowercase(), long[..127].to_owned(), format!("{long} "), format!("{}!", &long[..127])];
    for other in others {
        try_it(&other).await.problem(401, "invalid_credentials");
    }
    try_it(long).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_password_does_not_age() {
    let (app, admin) = with_password(OTHER).await;
    app.clock.advance(days(1_000));
    let session = app.anonymous().sign_in("acme", &admin.email, OTHER).await.ok();
    admin.signed_in("acme", &session).await.get("/iam/current-user").await.ok();
    app.finish().await;
}
