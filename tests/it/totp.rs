//! The second factor: set up, demanded, lost, removed.

use harness::{Authenticator, Caller, PASSWORD, Processes, TestApp, Which, minutes, seconds};
use reqwest::Method;
use serde_json::{Value, json};

use crate::frame::{OPEN, SIGNED, document, operations};

fn remove(caller: &Caller, code: &str) -> harness::Call {
    caller.delete("/iam/totp").json(json!({ "code": code }))
}

fn confirm(caller: &Caller, code: &str) -> harness::Call {
    caller.post("/iam/totp", json!({ "code": code, "password": PASSWORD }))
}

/// Signs the administrator of acme in with a code.
fn with_code(caller: &Caller, code: &str) -> harness::Call {
    caller.sign_in_with_code("acme", "admin@acme.example", PASSWORD, code)
}

#[tokio::test]
async fn a_second_factor_is_set_up_in_two_steps_and_demanded_from_then_on() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let off = json!({ "is_enabled": false, "is_pending": false, "confirmed_at": null, "recovery_codes_left": 0 });
    assert_eq!(admin.get("/iam/totp").await.ok(), off);
    admin.post("/iam/totp", json!({ "code": "123456" })).await.problem(409, "totp_not_begun");

    let first = admin.post("/iam/totp", json!({})).await.created();
    let begun = admin.post("/iam/totp", json!({})).await.created();
    assert_ne!(first["secret"], begun["secret"], "a second one takes the place of one that was not confirmed");
    let (secret, url) = (begun["secret"].as_str().expect("a secret"), begun["otpauth_url"].as_str().expect("a URL"));
    assert!(secret.len() == 32 && url.starts_with("otpauth://totp/acme:admin%40acme.example?"), "{begun}");
    assert!(url.contains(&format!("secret={secret}")) && url.contains("issuer=acme"), "{begun}");
    assert_eq!(admin.get("/iam/totp").await.ok()["is_pending"], true);
    app.anonymous().sign_in("acme", &admin.email, PASSWORD).await.ok();

    let phone = Authenticator::of(&begun, &app.clock);
    let replaced = Authenticator::of(&first, &app.clock);
    confirm(&admin, &replaced.code()).await.invalid("code", "invalid_code");
    let answer = confirm(&admin, &phone.code()).await.ok();
    let codes = answer["recovery_codes"].as_array().expect("codes");
    assert!(codes.len() == 10 && codes.iter().all(|code| code.as_str().is_some_and(|code| code.len() == 27)));
    let on = admin.get("/iam/totp").await.ok();
    assert_eq!((&on["is_enabled"], &on["recovery_codes_left"]), (&json!(true), &json!(10)));
    assert!(on["confirmed_at"].is_string());
    admin.post("/iam/totp", json!({})).await.problem(409, "totp_already_enabled");
    assert_eq!(admin.get("/iam/current-user").await.ok()["has_mfa_enabled"], true);
    assert_eq!(admin.get("/users").await.ok()["results"][0]["has_mfa_enabled"], true);

    let stranger = app.anonymous();
    stranger.sign_in("acme", &admin.email, PASSWORD).await.problem(401, "mfa_required");
    stranger.sign_in("acme", &admin.email, "a wrong password").await.problem(401, "invalid_credentials");
    with_code(&stranger, " ").await.problem(401, "mfa_required");
    with_code(&stranger, "12345").await.problem(401, "invalid_code");
    let refused = admin.get("/audit-events?action=session.refused").await.ok();
    let reasons = refused["results"].as_array().into_iter().flatten().map(|event| &event["details"]["reason"]);
    assert!(reasons.eq([&json!("wrong_password"), &json!("wrong_code")].into_iter().rev()), "{refused}");
    app.clock.advance(seconds(30));
    let code = phone.code();
    let wrong = stranger.sign_in_with_code("acme", &admin.email, "a wrong password", &code).await;
    wrong.problem(401, "invalid_credentials");
    with_code(&stranger, &format!(" {} {} ", &code[..3], &code[3..])).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_code_is_taken_once_also_when_it_comes_twice_at_the_same_time() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (phone, recovery) = admin.enroll(&app.clock).await;
    let stranger = app.anonymous();
    for code in [phone.code(), recovery[0].clone()] {
        let all = futures_util::future::join_all((0..4).map(|_| async { with_code(&stranger, &code).await })).await;
        let taken = all.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(taken, 1, "{code}");
        for refused in all.into_iter().filter(|answer| answer.status != 200) {
            refused.problem(401, "invalid_code");
        }
        app.clock.advance(minutes(1));
    }
    app.finish().await;
}

#[tokio::test]
async fn a_code_that_was_taken_is_refused_by_another_process_too() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (phone, _) = admin.enroll(&app.clock).await;
    let (elsewhere, _running) = app.another_api().await;
    let (now, next) = (phone.code(), phone.code_in(1));
    with_code(&app.anonymous(), &now).await.ok();
    with_code(&elsewhere, &now).await.problem(401, "invalid_code");
    with_code(&elsewhere, &next).await.ok();
    with_code(&app.anonymous(), &next).await.problem(401, "invalid_code");
    with_code(&app.anonymous(), &now).await.problem(401, "invalid_code");
    app.finish().await;
}

#[tokio::test]
async fn a_code_that_was_taken_is_refused_after_a_restart() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    let (phone, _) = admin.enroll(&tenantry_shared::clock::Clock::default()).await;
    let code = phone.code();
    with_code(&tenantry.anonymous(), &code).await.ok();
    tenantry.kill(Which::Api).await;
    tenantry.start_one(Which::Api).await;
    with_code(&tenantry.anonymous(), &code).await.problem(401, "invalid_code");
}

#[tokio::test]
async fn codes_of_one_step_before_and_after_are_taken_and_no_others() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (phone, _) = admin.enroll(&app.clock).await;
    let stranger = app.anonymous();
    app.clock.advance(minutes(5));
    for steps in [-2, 2] {
        with_code(&stranger, &phone.code_in(steps)).await.problem(401, "invalid_code");
    }
    for steps in [-1, 0, 1] {
        with_code(&stranger, &phone.code_in(steps)).await.ok();
    }
    // What is older than the last one is not taken any more, though its time is not over.
    with_code(&stranger, &phone.code()).await.problem(401, "invalid_code");
    app.finish().await;
}

#[tokio::test]
async fn guessing_is_slowed_down_for_a_minute_at_most_and_never_for_recovery_codes() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (phone, recovery) = admin.enroll(&app.clock).await;
    let stranger = app.anonymous();
    let wrong = if phone.code() == "000000" { "000001" } else { "000000" };
    let again = || async {
        for _ in 0..5 {
            with_code(&stranger, wrong).await.problem(401, "invalid_code");
        }
        let slowed = with_code(&stranger, wrong).await;
        let wait: i64 = slowed.header("retry-after").parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
        slowed.problem(429, "too_many_codes");
    };
    again().await;
    with_code(&stranger, &phone.code()).await.problem(429, "too_many_codes");
    remove(&admin, &phone.code()).await.problem(429, "too_many_codes");
    // To try while one must wait makes the wait no longer.
    app.clock.advance(seconds(61));
    with_code(&stranger, wrong).await.problem(401, "invalid_code");
    with_code(&stranger, wrong).await.problem(429, "too_many_codes");
    app.clock.advance(seconds(61));
    with_code(&stranger, &phone.code()).await.ok();
    // A right one wipes the slate clean.
    again().await;
    with_code(&stranger, &recovery[0]).await.ok();
    with_code(&stranger, wrong).await.problem(401, "invalid_code");
    app.finish().await;
}

#[tokio::test]
async fn guesses_at_the_same_time_are_all_counted() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (phone, _) = admin.enroll(&app.clock).await;
    let stranger = app.anonymous();
    let wrong = if phone.code() == "000000" { "000001" } else { "000000" };
    let all = futures_util::future::join_all((0..12).map(|_| async { with_code(&stranger, wrong).await })).await;
    let looked_at = all.iter().filter(|answer| answer.status == 401).count();
    let slowed = all.iter().filter(|answer| answer.status == 429).count();
    assert_eq!((looked_at, slowed), (5, 7));
    app.finish().await;
}

#[tokio::test]
async fn recovery_codes_work_once_each_and_a_new_set_kills_the_old_one() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (phone, old) = admin.enroll(&app.clock).await;
    let stranger = app.anonymous();
    with_code(&stranger, &old[0]).await.ok();
    with_code(&stranger, &old[0]).await.problem(401, "invalid_code");
    with_code(&stranger, &old[1].to_uppercase().replace('-', " ")).await.ok();
    assert_eq!(admin.get("/iam/totp").await.ok()["recovery_codes_left"], 8);

    let renew = |code: &str| admin.post("/iam/totp/recovery-codes", json!({ "code": code }));
    renew("not a code").await.invalid("code", "invalid_code");
    let new = renew(&phone.code()).await.ok();
    assert_eq!(admin.get("/iam/totp").await.ok()["recovery_codes_left"], 10);
    with_code(&stranger, &old[2]).await.problem(401, "invalid_code");
    let new = new["recovery_codes"][9].as_str().expect("a code");
    with_code(&stranger, new).await.ok();
    // One's own are nobody else's.
    let bob = admin.member("bob@example.com", "reader").await;
    let (_, his) = bob.enroll(&app.clock).await;
    with_code(&stranger, &his[0]).await.problem(401, "invalid_code");
    app.finish().await;
}

#[tokio::test]
async fn a_second_factor_is_switched_off_with_a_code_only() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    remove(&admin, "123456").await.problem(409, "totp_not_enabled");
    let (phone, recovery) = admin.enroll(&app.clock).await;
    let _ = admin.delete("/iam/totp").await.any_problem();
    remove(&admin, "123456").await.invalid("code", "invalid_code");
    remove(&admin, &phone.code()).await.no_content();
    app.anonymous().sign_in("acme", &admin.email, PASSWORD).await.ok();
    assert_eq!(admin.get("/iam/current-user").await.ok()["has_mfa_enabled"], false);
    admin.enroll(&app.clock).await;
    with_code(&app.anonymous(), &recovery[0]).await.problem(401, "invalid_code");
    app.finish().await;
}

#[tokio::test]
async fn switching_on_ends_sessions_that_were_begun_with_less() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let other = admin.again().await;
    admin.enroll(&app.clock).await;
    admin.get("/iam/current-user").await.ok();
    other.get("/iam/current-user").await.problem(401, "not_authenticated");
    app.finish().await;
}

#[tokio::test]
async fn a_stolen_session_can_t_switch_a_second_factor_on() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let token = admin.post("/iam/auth-tokens", json!({ "name": "backups" })).await.created();
    let program = admin.with_authorization(token["token"].as_str().map(|token| format!("Bearer {token}")).as_deref());
    program.get("/iam/current-user").await.ok();
    let phone = Authenticator::of(&admin.post("/iam/totp", json!({})).await.created(), &app.clock);
    admin.post("/iam/totp", json!({ "code": phone.code() })).await.invalid("password", "required");
    let guess = |password: &str| admin.post("/iam/totp", json!({ "code": phone.code(), "password": password }));
    for _ in 0..10 {
        guess("not his password").await.invalid("password", "wrong_password");
    }
    guess(PASSWORD).await.problem(429, "too_many_attempts");
    app.clock.advance(minutes(60));
    guess(PASSWORD).await.ok();

    // Its owner hears of it, and what was begun with less ends.
    program.get("/iam/current-user").await.problem(401, "not_authenticated");
    app.settle().await;
    let told = app.mailbox().last_to(&admin.email).await;
    assert!(told.subject().contains("second factor is on"), "{}", told.subject());
    app.finish().await;
}

#[tokio::test]
async fn whoever_has_no_password_switches_a_second_factor_on_without_one() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.database().execute("update users set is_local = false, password_hash = null").await;
    let phone = Authenticator::of(&admin.post("/iam/totp", json!({})).await.created(), &app.clock);
    admin.post("/iam/totp", json!({ "code": phone.code() })).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_session_that_ends_just_now_changes_no_credential() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let mut people = Vec::new();
    for name in ["ann", "ben", "cid", "dan", "eva", "fay"] {
        people.push(admin.member(&format!("{name}@example.com"), "reader").await);
    }
    let [ann, ben, cid, dan, eva, fay] = &people[..] else { panic!("six people") };
    let pending = Authenticator::of(&ben.post("/iam/totp", json!({})).await.created(), &app.clock);
    let (of_cid, _) = cid.enroll(&app.clock).await;
    let (of_dan, _) = dan.enroll(&app.clock).await;
    let new = "zebras knit lemon ladders";
    let change = json!({ "old_password": PASSWORD, "new_password": new, "confirm_new_password": new });
    let changes: [(&Caller, Method, &str, Value); 6] = [
        (ann, Method::POST, "/iam/totp", json!({})),
        (ben, Method::POST, "/iam/totp", json!({ "code": pending.code(), "password": PASSWORD })),
        (cid, Method::POST, "/iam/totp/recovery-codes", json!({ "code": of_cid.code() })),
        (dan, Method::DELETE, "/iam/totp", json!({ "code": of_dan.code() })),
        (eva, Method::POST, "/iam/change-password", change),
        (fay, Method::POST, "/iam/auth-tokens", json!({ "name": "backups" })),
    ];
    for (caller, method, path, body) in changes {
        let end = format!(
            "with ended as (delete from sessions where user_id = '{0}'), locked as (select from users where id = '{0}' for update)
             select from locked",
            caller.id
        );
        let held = app.database().hold(&end).await;
        let (answer, ()) = tokio::join!(async { caller.call(method, path).json(body).await }, async {
            app.database().until_someone_waits().await;
            held.release().await;
        });
        answer.problem(401, "not_authenticated");
    }
    app.finish().await;
}

#[tokio::test]
async fn the_second_step_on_the_page_makes_a_client_familiar_and_asks_again_after_a_wait() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (phone, recovery) = admin.enroll(&app.clock).await;
    let stranger = app.anonymous();
    let send = |path: &str, cookie: &str, form: String| {
        let call = stranger.call(Method::POST, &format!("{}{path}", app.url())).header("origin", app.url());
        call.header("cookie", cookie).body("application/x-www-form-urlencoded", form)
    };
    let fail = async || {
        for _ in 0..9 {
            stranger.sign_in("acme", &admin.email, "not his password").await.problem(401, "invalid_credentials");
        }
    };
    fail().await;
    let form = format!("organization=acme&username={}&password={PASSWORD}", admin.email).replace(' ', "+");
    let first = send("/sign-in/password", "", form).await;
    let cookie = first.header("set-cookie").split(';').next().expect("a ticket").to_owned();
    for _ in 0..5 {
        assert_eq!(send("/sign-in/code", &cookie, "code=12345".to_owned()).await.status, 401);
    }
    let slowed = send("/sign-in/code", &cookie, format!("code={}", phone.code())).await;
    assert!(slowed.status == 429 && !slowed.header("retry-after").is_empty(), "{}", slowed.whole());
    assert!(slowed.text.contains("id=\"sign-in-code\""), "the form is there to try again: {}", slowed.text);
    let done = send("/sign-in/code", &cookie, format!("code={}", recovery[0])).await;
    assert_eq!((done.status.as_u16(), done.header("location")), (303, "/"), "{}", done.whole());
    fail().await;
    app.finish().await;
}

#[tokio::test]
async fn a_new_password_through_a_mailed_link_leaves_the_second_factor() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (phone, _) = admin.enroll(&app.clock).await;
    app.settle().await;
    app.mailbox().read_all();
    let stranger = app.anonymous().under("acme");
    stranger.post("/iam/password-reset", json!({ "email": admin.email })).await.accepted();
    let token = app.mailbox().last_to(&admin.email).await.link().token();
    let new = "zebras knit lemon ladders";
    let body = json!({ "token": token, "new_password": new, "confirm_new_password": new });
    stranger.post("/iam/password-reset/confirm", body).await.no_content();
    stranger.sign_in("acme", &admin.email, new).await.problem(401, "mfa_required");
    stranger.sign_in_with_code("acme", &admin.email, new, &phone.code()).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn an_administrator_removes_the_second_factor_of_someone_who_has_lost_it() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "administrator").await;
    let eve = admin.member("eve@example.com", "reader").await;
    let path = |caller: &Caller| format!("/users/{}/totp", caller.id);
    admin.delete(&path(&bob)).await.problem(409, "totp_not_enabled");
    bob.enroll(&app.clock).await;
    admin.enroll(&app.clock).await;
    eve.delete(&path(&bob)).await.problem(403, "permission_denied");
    bob.delete(&path(&admin)).await.problem(403, "outranked");
    admin.delete(&path(&admin)).await.problem(409, "cannot_change_oneself");
    let other = app.organization("other").administrator().await;
    other.delete(&path(&bob)).await.problem(404, "not_found");

    admin.delete(&path(&bob)).await.no_content();
    bob.get("/iam/current-user").await.problem(401, "not_authenticated");
    app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.ok();
    app.settle().await;
    let told = app.mailbox().last_to("bob@example.com").await;
    assert!(told.subject().contains("second factor"), "{}", told.subject());
    let events = admin.get("/audit-events?action=totp.reset").await.ok();
    assert_eq!((&events["count"], &events["results"][0]["object_name"]), (&json!(1), &json!("bob@example.com")));
    app.finish().await;
}

#[tokio::test]
async fn where_a_second_factor_is_demanded_one_sets_it_up_and_does_nothing_else_before() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    admin.enroll(&app.clock).await;
    app.database().execute("update organizations set mfa_required = true where slug = 'acme'").await;
    // From one request to the next, also with sessions that had begun.
    admin.get("/iam/current-user").await.ok();
    bob.get("/iam/current-user").await.problem(403, "mfa_enrollment_required");
    let session = app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.ok();
    let bearer = format!("Bearer {}", session["token"].as_str().expect("a token"));
    let bob = bob.with_authorization(Some(&bearer));
    let id = bob.id.to_string();
    let free = ["iam_totp", "iam_set_up_totp", "iam_logout"];
    for (method, path, operation) in operations(&document()) {
        let name = operation["operationId"].as_str().unwrap_or_default();
        if OPEN.contains(&name) || SIGNED.contains(&name) || free.contains(&name) {
            continue;
        }
        let path = path.replace("{organization_slug}", "acme");
        let path: String = path.split(['{', '}']).enumerate().map(|(n, s)| if n % 2 == 0 { s } else { &id }).collect();
        bob.call(method, &path).await.problem(403, "mfa_enrollment_required");
    }
    assert_eq!(bob.get("/iam/totp").await.ok()["is_enabled"], false);
    let (phone, _) = bob.enroll(&app.clock).await;
    bob.get("/iam/current-user").await.ok();
    remove(&bob, &phone.code()).await.problem(409, "second_factor_demanded");

    // Whoever lost his sets up another one.
    admin.delete(&format!("/users/{id}/totp")).await.no_content();
    let session = app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.ok();
    let bob = bob.with_authorization(session["token"].as_str().map(|token| format!("Bearer {token}")).as_deref());
    bob.get("/users").await.problem(403, "mfa_enrollment_required");
    bob.call(Method::POST, "/iam/logout").await.no_content();
    bob.get("/iam/totp").await.problem(401, "not_authenticated");
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_code_is_refused_whatever_it_is() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.post("/iam/totp", json!({})).await.created();
    for code in ["", " ", "12345", "1234567", "+12345", "-12345", "１２３４５６", "0x1234", &"9".repeat(100_000)]
    {
        let answer = confirm(&admin, code).await;
        assert!(answer.status == 400 || answer.status == 429, "{}", answer.whole());
        app.clock.advance(minutes(2));
    }
    for body in [json!({ "code": 123_456 }), json!({ "code": ["123456"] }), json!({ "secret": "x" }), json!([])] {
        let _ = admin.post("/iam/totp", body).await.any_problem();
    }
    admin.post("/iam/totp", json!({ "code": Value::Null })).await.created();
    app.finish().await;
}
