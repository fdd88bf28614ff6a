//! No secret at rest: what a thief finds in a dump of Postgres and Redis, and in the logs.

use std::collections::BTreeSet;

use base64::Engine;
use harness::{
    Caller, Link, PASSWORD, Processes, Stage, Which, days, eventually, redis_keys_and_values, required, run_to_end,
};
use reqwest::Method;
use serde_json::json;
use tenantry_shared::clock::Clock;
use tenantry_worker::mail::Mail;

const NEW_PASSWORD: &str = "several unrelated zebras juggle";
const SET_PASSWORD: &str = "an administrator knows this lemur";
const WRONG_PASSWORD: &str = "a wrong password of his";
const BOB: &str = "Bob.Builder@example.com";

/// The link in the mail of a new invitation.
async fn link_of_invited(tenantry: &Processes, admin: &Caller, email: &str) -> Link {
    admin.invite(email, "reader").await;
    tenantry.mailbox().last_to(email).await.link()
}

/// What people do: invites, welcomes and resets, so that their links were out there. Answers what nobody else may know.
async fn use_links(tenantry: &Processes, admin: &Caller) -> Vec<String> {
    let stranger = tenantry.anonymous().under("acme");
    let accept = link_of_invited(tenantry, admin, BOB).await;
    let session = stranger.accept(&accept).await.created();
    let decline = link_of_invited(tenantry, admin, "carol@example.com").await;
    stranger.decline(&decline).await.no_content();
    // The answers to these are kept for whoever asks again.
    let dave = json!({ "email": "dave@example.com" });
    admin.post("/users", dave).header("Idempotency-Key", "key-of-dave").await.created();
    let welcome = tenantry.mailbox().last_to("dave@example.com").await.link();
    let body = json!({ "token": welcome.token(), "new_password": NEW_PASSWORD, "confirm_new_password": NEW_PASSWORD });
    stranger.post("/iam/password-reset/confirm", body).await.no_content();
    stranger.post("/iam/password-reset", json!({ "email": BOB })).await.accepted();
    let reset = tenantry.mailbox().last_to(BOB).await.link();

    // A link of a mail is opened as a page, too, and a wrong password is tried.
    stranger.get(&format!("{}/password-reset/confirm?token={}", tenantry.url(), reset.token())).await;
    stranger.preview(&accept).await.problem(409, "invitation_accepted");
    stranger.sign_in("acme", BOB, WRONG_PASSWORD).await.problem(401, "invalid_credentials");
    let session = session["token"].as_str().expect("a token").to_owned();
    let mut secrets = use_tokens(tenantry, admin).await;
    secrets.extend([
        accept.token(),
        session,
        decline.token(),
        welcome.token(),
        reset.token(),
        WRONG_PASSWORD.to_owned(),
    ]);
    secrets
}

/// What programs do: a personal access token calls, and a session goes into a browser.
async fn use_tokens(tenantry: &Processes, admin: &Caller) -> Vec<String> {
    let body = json!({ "name": "nightly export", "permissions": ["view_user"] });
    let made = admin.post("/iam/auth-tokens", body).header("Idempotency-Key", "key-of-token").await.created();
    let personal = made["token"].as_str().expect("a token").to_owned();
    admin.with_authorization(Some(&format!("Bearer {personal}"))).get("/users").await.ok();
    let hand_over = async |key: &str| {
        let call = admin.call(Method::POST, "/iam/session-token").header("Idempotency-Key", key);
        call.await.ok()["token"].as_str().expect("a token").to_owned()
    };
    let (opened, used) = (hand_over("key-of-opened").await, hand_over("key-of-used").await);
    let stranger = tenantry.anonymous();
    stranger.get(&format!("{}/sign-in/with-token?token={opened}", tenantry.url())).await;
    let go_on = stranger.call(Method::POST, &format!("{}/sign-in/with-token/continue", tenantry.url()));
    let go_on = go_on.body("application/x-www-form-urlencoded", format!("token={used}"));
    let answer = go_on.header("sec-fetch-site", "same-origin").await;
    let cookie = answer.header("set-cookie").split(['=', ';']).nth(1).expect("a cookie").to_owned();
    assert!(cookie.starts_with("tnt_s_"), "{}", answer.whole());
    vec![personal, opened, used, cookie]
}

/// Second factors, and a password that an administrator sets and that gives way to another one.
async fn use_second_factors(tenantry: &Processes, admin: &Caller) -> Vec<String> {
    let heidi = admin.member("heidi@example.com", "reader").await;
    let pending = admin.post("/iam/totp", json!({})).await.created();
    let (phone, codes) = heidi.enroll(&Clock::default()).await;
    let stranger = tenantry.anonymous().under("acme");
    let form = format!("organization=acme&username=heidi%40example.com&password={PASSWORD}").replace(' ', "+");
    let page =
        stranger.post(&format!("{}/sign-in/password", tenantry.url()), json!({})).header("origin", tenantry.url());
    let page = page.body("application/x-www-form-urlencoded", form).await;
    let cookie = page.header("set-cookie").split(['=', ';']).nth(1).expect("a ticket").to_owned();
    assert!(cookie.len() > 60 && page.header("location") == "/sign-in/code", "{}", page.whole());
    stranger.sign_in_with_code("acme", "heidi@example.com", PASSWORD, &phone.code()).await.ok();
    let set = json!({ "user": heidi.id, "new_password": SET_PASSWORD, "confirm_new_password": SET_PASSWORD });
    admin.post("/iam/set-password", set).await.ok();
    let given = json!({ "email": "judy@example.com", "password": SET_PASSWORD });
    admin.post("/users", given).header("Idempotency-Key", "key-of-judy").await.created();
    let answer = stranger.sign_in_with_code("acme", "heidi@example.com", SET_PASSWORD, &codes[0]).await;
    let token = answer.problem(403, "password_change_required")["change_token"].as_str().expect("a token").to_owned();
    let change = json!({ "change_token": token, "new_password": NEW_PASSWORD, "confirm_new_password": NEW_PASSWORD });
    stranger.post("/iam/change-password", change).await.no_content();
    let in_use = admin.member("ivan@example.com", "reader").await.enroll(&Clock::default()).await;
    admin.delete(&format!("/users/{}/totp", heidi.id)).await.no_content();
    let mut secrets = vec![cookie, token, SET_PASSWORD.to_owned()];
    for secret in [pending["secret"].as_str().unwrap_or_default().to_owned(), phone.secret(), in_use.0.secret()] {
        // As bytes too, in the form in which Postgres writes them.
        let bytes: String = secret_bytes(&secret).iter().map(|byte| format!("{byte:02x}")).collect();
        secrets.extend([bytes, secret]);
    }
    let codes = codes.into_iter().chain(in_use.1);
    secrets.extend(codes.flat_map(|code| [code.replace('-', ""), code.to_uppercase(), code]));
    tenantry.settle().await;
    secrets
}

fn secret_bytes(base32: &str) -> Vec<u8> {
    totp_rs::Secret::try_from_base32(base32).expect("base32").as_bytes().to_vec()
}

/// What happens by itself: a bounce, a reminder, and a word about an account that ends.
async fn let_time_pass(tenantry: &Processes, admin: &Caller) -> Vec<String> {
    let stranger = tenantry.anonymous().under("acme");
    tenantry.smtp().answer_next(Stage::Recipient, 1, "550 5.1.1 No such user here");
    admin.invite("nobody@example.com", "reader").await;
    tenantry.mailbox().last_to(&admin.email).await;
    let last_day = Clock::default().now().date_naive() + days(5);
    admin.post("/users", json!({ "email": "frank@example.com", "expiry_date": last_day })).await.created();
    admin.post("/saml/keys", json!({ "key_size": 2048 })).await.created();
    tenantry.database().execute("update saml_keys set not_after = now() + interval '5 days'").await;
    let (code, said) = tenantry.by_hand(&["schedule", "run", "notify_expiring_certificates"]).await;
    assert!(code == Some(0) && said.contains("1 objects"), "{said}");
    let mut secrets = vec![tenantry.mailbox().last_to("frank@example.com").await.link().token()];
    let (code, said) = tenantry.by_hand(&["schedule", "run", "notify_expiring_accounts"]).await;
    assert!(code == Some(0) && said.contains("1 objects"), "{said}");
    // Who is made where single sign-on is demanded is welcomed otherwise.
    tenantry.database().execute("update organizations set sso_required_from = now() where slug = 'acme'").await;
    admin.post("/users", json!({ "email": "greta@example.com" })).await.created();
    let welcome = tenantry.mailbox().last_to("greta@example.com").await;
    assert!(
        welcome.links().iter().all(|link| link.0.query_pairs().all(|(name, _)| name != "token")),
        "no secret in it"
    );
    tenantry.database().execute("update organizations set sso_required_from = null where slug = 'acme'").await;
    let whoever = tenantry.anonymous();
    whoever.post("/v1/login-url", json!({ "email": "greta@example.com" })).await.ok();
    tenantry.mailbox().last_to("greta@example.com").await;
    admin.invite("erin@example.com", "reader").await;
    tenantry.settle().await;
    tenantry.mailbox().read_all();
    let ends_soon =
        "update invitations set valid_until = now() + interval '1 day' where email_key = 'erin@example.com'";
    tenantry.database().execute(ends_soon).await;
    let (code, said) = tenantry.by_hand(&["schedule", "run", "remind_invitees"]).await;
    assert!(code == Some(0) && said.contains("1 objects"), "{said}");
    let reminder = tenantry.mailbox().last_to("erin@example.com").await;
    for link in reminder.links().into_iter().filter(|link| link.0.query().is_some()) {
        stranger.get(link.0.as_str()).await;
        secrets.push(link.token());
        if link.0.path() == "/reminders/stop" {
            let one_click = stranger.post(link.0.as_str(), json!({}));
            let body = "List-Unsubscribe=One-Click";
            assert_eq!(one_click.body("application/x-www-form-urlencoded", body).await.status, 200);
        }
    }
    tenantry.settle().await;
    secrets
}

/// Of a key of 2,048 bits, in the form in which Postgres writes bytes.
fn modulus(certificate: &str) -> String {
    let base64: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(base64).expect("base64");
    let hex: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
    // An INTEGER of 257 bytes, the first of them 0.
    let begin = hex.find("0282010100").expect("an RSA key") + 10;
    hex[begin..begin + 512].to_owned()
}

/// What anyone finds in a core who looks for the environment: it stands there in the clear.
async fn environment_of(pid: u32) -> String {
    let (code, shown) = run_to_end("ps", &["eww", "-o", "command=", "-p", &pid.to_string()], &[]).await;
    assert_eq!(code, Some(0), "{shown}");
    shown
}

async fn dump(tenantry: &Processes) -> (String, String) {
    let program = format!("{}/pg_dump", required("TEST_POSTGRES_BIN"));
    let (code, postgres) = run_to_end(program, &["--inserts", "--dbname", &tenantry.database().owner_url()], &[]).await;
    assert_eq!(code, Some(0), "{postgres}");
    (postgres, redis_keys_and_values(&tenantry.redis.url()).await)
}

/// Dumps both while mails are on their way: written down and handed to Redis, and not taken from there. Answers the
/// dumps, and the links of these mails, which are sent afterwards.
async fn dump_under_way(tenantry: &mut Processes, admin: &Caller) -> ((String, String), Vec<String>) {
    tenantry.terminate(Which::Worker).await;
    let invitation = json!({ "invitee_identifier": "grace@example.com", "role": "reader" });
    admin.post("/invitations", invitation).header("Idempotency-Key", "key-of-grace").await.created();
    tenantry.anonymous().under("acme").post("/iam/password-reset", json!({ "email": BOB })).await.accepted();
    let pushed = || async {
        let rows = tenantry.database().rows("select id from outbox where pushed_at is not null").await;
        (rows.len() == 2).then_some(rows)
    };
    let pushed = eventually("two jobs to be handed to Redis", pushed).await;
    let ids: Vec<&str> = pushed.iter().filter_map(|row| row["id"].as_str()).collect();
    let in_redis = || async {
        let redis = redis_keys_and_values(&tenantry.redis.url()).await;
        ids.iter().all(|id| redis.contains(id)).then_some(())
    };
    eventually("both to be in Redis", in_redis).await;
    let dumps = dump(tenantry).await;
    tenantry.start_one(Which::Worker).await;
    let mut secrets = Vec::new();
    for address in ["grace@example.com", BOB] {
        secrets.push(tenantry.mailbox().last_to(address).await.link().token());
    }
    tenantry.settle().await;
    (dumps, secrets)
}

#[tokio::test]
async fn dumps_and_logs_hold_no_token_link_password_session_or_seed() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    let mut secrets = vec![PASSWORD.to_owned(), NEW_PASSWORD.to_owned(), admin.token().to_owned()];
    secrets.extend(use_links(&tenantry, &admin).await);
    secrets.extend(use_second_factors(&tenantry, &admin).await);
    secrets.extend(let_time_pass(&tenantry, &admin).await);
    let ((postgres_under_way, redis_under_way), links) = dump_under_way(&mut tenantry, &admin).await;
    secrets.extend(links);
    let kinds = tenantry.database().rows("select distinct kind from email_messages").await;
    let kinds: BTreeSet<&str> = kinds.iter().filter_map(|row| row["kind"].as_str()).collect();
    // Which of the two welcomes someone gets is seen when it is sent.
    let expected = Mail::samples().into_iter().map(|mail| mail.name()).filter(|name| *name != "welcome_to_sign_in");
    assert_eq!(kinds, expected.collect(), "every kind of mail was sent");

    let (postgres, redis) = dump(&tenantry).await;
    for dump in [&postgres, &postgres_under_way] {
        for held in [BOB, "key-of-dave", "key-of-grace"] {
            assert!(dump.contains(held), "the dump holds {held}");
        }
    }
    let certificate = admin.get("/saml/certificate").await.text;
    let modulus = modulus(&certificate);
    // A private key has it, too.
    assert_eq!(postgres.matches(&modulus).count(), 1, "it is in the certificate, and in nothing else");
    assert!(redis.contains("epoch"), "the dump of Redis holds something: {redis}");
    let logs = format!("{}{}", tenantry.log(Which::Api), tenantry.log(Which::Worker));
    assert!(logs.contains("iam_password_reset_confirm") && logs.contains("B***@e***.com"), "{logs}");

    let mut environment = String::new();
    for which in [Which::Api, Which::Worker] {
        environment += &environment_of(tenantry.pid(which)).await;
    }
    assert!(environment.contains("SECRET_KEY="), "it is what the processes began with: {environment}");
    for (place, text) in [("the logs", &logs), ("the environment", &environment)] {
        assert!(!text.contains(&modulus), "{place} holds a private key");
    }

    let places = [
        ("the environment", &environment),
        ("Postgres", &postgres),
        ("Redis", &redis),
        ("Postgres with mail under way", &postgres_under_way),
        ("Redis with mail under way", &redis_under_way),
        ("the logs", &logs),
    ];
    for secret in &secrets {
        for (place, text) in places {
            assert!(!text.contains("PRIVATE KEY"), "{place} holds a private key");
            assert!(!text.contains(secret.as_str()), "{place} holds the secret {secret}");
            // Nor the part of a token that proves something, without what stands around it.
            let end = &secret[secret.len().saturating_sub(30)..];
            assert!(!text.contains(end), "{place} holds the end of the secret {secret}");
        }
    }
    for address in [BOB, "bob.builder@example.com", "carol@example.com", "admin@acme.example"] {
        assert!(!logs.contains(address), "the logs hold the address {address}");
    }
}
