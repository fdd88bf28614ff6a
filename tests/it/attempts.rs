//! How often a stranger may fail, and that nobody is shut out by it.

use clap::Parser;
use futures_util::future::join_all;
use harness::{
    Answer, Call, Caller, IdentityProvider, Link, PASSWORD, Processes, Said, Tab, TestApp, Which,
    redis_keys_and_values, required, seconds,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::json;
use tenantry_shared::access::Origin;
use tenantry_shared::clock::Clock;
use tenantry_shared::config::{CommonConfig, RedisConfig};
use tenantry_shared::error::{Error, Kind};
use tenantry_shared::limits::{Limiter, LimitsConfig};

const WRONG: &str = "a wrong password of his";
/// Where the tests' client addresses come from.
const BEHIND_PROXY: (&str, &str) = ("trusted-proxies", "127.0.0.1");
/// However busy the machine is, Redis counts: what comes of one that does not answer has a test of its own.
const PATIENT: (&str, &str) = ("limit-patience-ms", "5000");

fn sign_in_from(anyone: &Caller, address: &str, username: &str, password: &str) -> Call {
    anyone.sign_in("acme", username, password).header("x-forwarded-for", address)
}

/// A 429 that asks for a wait of a minute at most: how long.
#[track_caller]
fn must_wait(answer: &Answer) -> i64 {
    answer.clone().problem(429, "too_many_attempts");
    let wait = answer.header("retry-after").parse().unwrap_or_else(|_| panic!("seconds:\n{}", answer.whole()));
    assert!((1..=60).contains(&wait), "a minute at most:\n{}", answer.whole());
    wait
}

#[tokio::test]
async fn after_ten_failures_one_waits_a_minute_at_most_and_then_gets_in() {
    let app = TestApp::start_with(&[PATIENT]).await;
    let admin = app.organization("acme").administrator().await;
    let anyone = app.anonymous();
    for _ in 0..10 {
        anyone.sign_in("acme", &admin.email, WRONG).await.problem(401, "invalid_credentials");
    }
    // Nor is the right one looked at, however the name is written.
    let wait = must_wait(&anyone.sign_in("ACME", " Admin@Acme.example ", PASSWORD).await);
    app.clock.advance(seconds(wait));
    anyone.sign_in("acme", &admin.email, PASSWORD).await.ok();
    for _ in 0..10 {
        anyone.sign_in("acme", &admin.email, WRONG).await.problem(401, "invalid_credentials");
    }
    must_wait(&anyone.sign_in("acme", &admin.email, WRONG).await);
    app.finish().await;
}

#[tokio::test]
async fn the_limits_are_the_same_for_who_is_there_and_who_is_not() {
    let app = TestApp::start_with(&[PATIENT, ("limit-account-and-client", "3/60")]).await;
    app.organization("acme").administrator().await;
    let mut said = Vec::new();
    for (slug, username) in
        [("acme", "admin@acme.example"), ("acme", "nobody@acme.example"), ("nowhere", "admin@acme.example")]
    {
        for _ in 0..3 {
            app.anonymous().sign_in(slug, username, WRONG).await.problem(401, "invalid_credentials");
        }
        let refused = app.anonymous().sign_in(slug, username, WRONG).await;
        must_wait(&refused);
        said.push(refused.json()["detail"].clone());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    app.finish().await;
}

#[tokio::test]
async fn attempts_at_the_same_time_are_all_counted() {
    let app = TestApp::start_with(&[PATIENT]).await;
    let admin = app.organization("acme").administrator().await;
    let answers = join_all((0..40).map(|_| app.anonymous().sign_in("acme", &admin.email, WRONG).into_future())).await;
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(refused, 30, "ten of forty were looked at");
    app.finish().await;
}

#[tokio::test]
async fn who_signs_in_again_and_again_is_never_asked_to_wait() {
    let app = TestApp::start_with(&[PATIENT, ("limit-account-and-client", "2/60"), ("limit-client", "2/60")]).await;
    let admin = app.organization("acme").administrator().await;
    for _ in 0..6 {
        admin.again().await;
    }
    app.finish().await;
}

#[tokio::test]
async fn an_attack_from_many_addresses_delays_the_owner_by_a_minute_at_most_and_not_where_he_was_before() {
    let app = TestApp::start_with(&[PATIENT, BEHIND_PROXY, ("limit-account", "5/1800")]).await;
    let admin = app.organization("acme").administrator().await;
    let anyone = app.anonymous();
    sign_in_from(&anyone, "198.51.100.1", &admin.email, PASSWORD).await.ok();
    let attack = async |round: usize| {
        let mut looked_at = 0;
        for n in 0..20 {
            let answer = sign_in_from(&anyone, &format!("203.0.113.{n}"), &admin.email, WRONG).await;
            looked_at += usize::from(answer.status == 401);
        }
        assert!(looked_at <= if round == 0 { 5 } else { 20 }, "{looked_at} in round {round}");
    };
    attack(0).await;
    // At home he notices nothing; elsewhere he waits once.
    sign_in_from(&anyone, "198.51.100.1", &admin.email, PASSWORD).await.ok();
    let wait = must_wait(&sign_in_from(&anyone, "198.51.100.2", &admin.email, PASSWORD).await);
    for second in 1..=wait {
        app.clock.advance(seconds(1));
        if second % 20 == 0 {
            attack(1).await;
        }
    }
    sign_in_from(&anyone, "198.51.100.2", &admin.email, PASSWORD).await.ok();
    // From then on he is at home there, too.
    sign_in_from(&anyone, "198.51.100.2", &admin.email, PASSWORD).await.ok();
    must_wait(&sign_in_from(&anyone, "198.51.100.3", &admin.email, PASSWORD).await);
    app.finish().await;
}

#[tokio::test]
async fn a_client_may_fail_so_often_whatever_the_accounts() {
    let app = TestApp::start_with(&[PATIENT, BEHIND_PROXY, ("limit-client", "4/30")]).await;
    app.organization("acme").administrator().await;
    let anyone = app.anonymous();
    for (here, beside, elsewhere) in
        [("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"), ("2001:db8:0:1::1", "2001:db8:0:1:2::2", "2001:db8:0:2::1")]
    {
        for n in 0..4 {
            let name = format!("someone{n}@acme.example");
            sign_in_from(&anyone, here, &name, WRONG).await.problem(401, "invalid_credentials");
        }
        must_wait(&sign_in_from(&anyone, here, "admin@acme.example", PASSWORD).await);
        must_wait(&sign_in_from(&anyone, beside, "admin@acme.example", PASSWORD).await);
        sign_in_from(&anyone, elsewhere, "admin@acme.example", PASSWORD).await.ok();
    }
    app.finish().await;
}

#[tokio::test]
async fn a_header_from_someone_who_is_no_proxy_of_ours_makes_no_other_client_of_him() {
    let app = TestApp::start_with(&[PATIENT, ("limit-client", "3/30")]).await;
    app.organization("acme").administrator().await;
    let anyone = app.anonymous();
    for n in 0..3 {
        let address = format!("203.0.113.{n}");
        sign_in_from(&anyone, &address, "nobody", WRONG).await.problem(401, "invalid_credentials");
    }
    must_wait(&sign_in_from(&anyone, "203.0.113.9", "nobody", WRONG).await);
    app.finish().await;
}

#[tokio::test]
async fn a_client_asks_for_so_many_new_passwords_and_others_are_not_kept_from_it() {
    let app = TestApp::start_with(&[PATIENT, BEHIND_PROXY, ("limit-password-resets", "3/20")]).await;
    app.organization("acme").administrator().await;
    let stranger = app.anonymous().under("acme");
    let ask = |address: &str, email: &str| {
        stranger.post("/iam/password-reset", json!({ "email": email })).header("x-forwarded-for", address)
    };
    for email in ["admin@acme.example", "nobody@acme.example", "admin@acme.example"] {
        ask("192.0.2.1", email).await.accepted();
    }
    must_wait(&ask("192.0.2.1", "admin@acme.example").await);
    must_wait(&ask("192.0.2.1", "nobody@acme.example").await);
    ask("192.0.2.2", "admin@acme.example").await.accepted();
    app.finish().await;
}

#[tokio::test]
async fn links_that_are_none_are_limited_and_a_good_one_never() {
    let app = TestApp::start_with(&[PATIENT, ("limit-wrong-links", "3/5")]).await;
    let admin = app.organization("acme").administrator().await;
    let invitation = admin.invite("bob@example.com", "reader").await;
    let good = app.link_of(&admin, &invitation).await;
    let (anyone, bad) = (app.anonymous(), Link::of_token("none-of-ours"));
    anyone.preview(&bad).await.problem(404, "link_dead");
    anyone.decline(&bad).await.problem(404, "link_dead");
    anyone.accept(&bad).await.problem(404, "link_dead");
    must_wait(&anyone.preview(&bad).await);
    let body = json!({ "token": "none", "new_password": PASSWORD, "confirm_new_password": PASSWORD });
    must_wait(&anyone.post("/v1/orgs/acme/iam/password-reset/confirm", body).await);
    anyone.preview(&good).await.ok();
    anyone.accept(&good).await.created();
    app.finish().await;
}

#[tokio::test]
async fn messages_that_are_no_identity_providers_are_limited_and_good_ones_never() {
    let limits = [PATIENT, ("limit-company-messages", "3/5"), ("limit-company-sign-ins", "10/5")];
    let app = TestApp::start_with(&limits).await;
    let admin = app.organization("acme").administrator().await;
    let company = IdentityProvider::new("idp", &app.clock).connect(&admin, json!({ "jit_provisioning": true })).await;
    let sign_in = async || Tab::new(app.anonymous()).sign_in(&company, &Said::of("bob@example.com")).await;
    for _ in 0..4 {
        assert_eq!(sign_in().await.status, 303);
    }
    let (anyone, acs) = (app.anonymous(), format!("{}/v1/saml/acme/acs", app.url()));
    let post = async || {
        let call = anyone.call(Method::POST, &acs).body("application/x-www-form-urlencoded", "SAMLResponse=PHg%2B");
        call.header("accept", "application/json").await
    };
    for _ in 0..3 {
        post().await.problem(403, "sso_refused");
    }
    must_wait(&post().await);
    must_wait(&anyone.get(&format!("{}/v1/saml/acme/slo?SAMLRequest=x", app.url())).await);
    // As often as a sign-in is begun, ours are read.
    let metadata = async || anyone.get(&format!("{}/v1/saml/acme/metadata", app.url())).await;
    for _ in 0..10 {
        assert_eq!(metadata().await.status, 200);
    }
    must_wait(&metadata().await);
    app.finish().await;
}

#[tokio::test]
async fn who_is_signed_in_guesses_at_the_old_password_only_so_often() {
    let app = TestApp::start_with(&[PATIENT, ("limit-own-secrets", "2/60")]).await;
    let admin = app.organization("acme").administrator().await;
    let change = |old: &str| {
        let new = "several unrelated zebras juggle";
        let body = json!({ "old_password": old, "new_password": new, "confirm_new_password": new });
        admin.post("/iam/change-password", body)
    };
    change(WRONG).await.invalid("old_password", "wrong_password");
    change(WRONG).await.invalid("old_password", "wrong_password");
    let wait = must_wait(&change(PASSWORD).await);
    app.clock.advance(seconds(wait));
    change(PASSWORD).await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn pages_say_in_words_how_long_to_wait() {
    let app =
        TestApp::start_with(&[PATIENT, ("limit-account-and-client", "1/60"), ("limit-password-resets", "1/60")]).await;
    app.organization("acme").administrator().await;
    let send = |path: &str, form: &str, language: &str| {
        let call = app.anonymous().call(reqwest::Method::POST, &format!("{}{path}", app.url()));
        call.body("application/x-www-form-urlencoded", form.to_owned())
            .header("origin", app.url())
            .header("accept-language", language)
    };
    let forms = [
        ("/sign-in/password", "organization=acme&username=bob&password=x"),
        ("/password-reset", "organization=acme&email=bob@example.com"),
    ];
    for (path, form) in forms {
        send(path, form, "en").await;
        for (language, words) in
            [("en", "Too many attempts"), ("de", "Zu viele Versuche"), ("fr", "Trop de tentatives")]
        {
            let page = send(path, form, language).await;
            let wait = page.header("retry-after").to_owned();
            assert_eq!(page.status, 429, "{}", page.whole());
            assert!(page.text.contains(words) && page.text.contains(&format!(" {wait} ")), "{}", page.whole());
            assert!(page.text.contains("value=\"acme\""), "what was typed stays: {}", page.whole());
        }
    }
    app.settle().await;
    app.finish().await;
}

#[tokio::test]
async fn limits_hold_over_a_restart_and_redis_keeps_nobody_s_name() {
    let mut tenantry = Processes::start().await;
    tenantry.set("LIMIT_PATIENCE_MS", PATIENT.1);
    tenantry.kill(Which::Api).await;
    tenantry.start_one(Which::Api).await;
    let admin = tenantry.administrator_of("acme").await;
    for _ in 0..10 {
        tenantry.anonymous().sign_in("acme", &admin.email, WRONG).await.problem(401, "invalid_credentials");
    }
    // What one process has counted, another knows.
    tenantry.kill(Which::Api).await;
    tenantry.start_one(Which::Api).await;
    must_wait(&tenantry.anonymous().sign_in("acme", &admin.email, PASSWORD).await);

    let held = redis_keys_and_values(&tenantry.redis.url()).await;
    assert!(held.contains(":limit:"), "{held}");
    for secret in ["admin", "acme", "127.0.0.1", WRONG] {
        assert!(!held.contains(secret), "Redis holds {secret}: {held}");
    }
    let client = redis::Client::open(tenantry.redis.url()).expect("our own URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    for key in held.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key) {
        let expires_in: i64 = redis::cmd("TTL").arg(key).query_async(&mut connection).await.expect("a time");
        assert!(!key.contains(":limit:") || expires_in > 0, "{key} stays for ever");
    }
}

#[tokio::test]
async fn without_redis_people_sign_in_and_guessing_is_limited_all_the_same() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    tenantry.redis.kill().await;
    for _ in 0..3 {
        admin.again().await;
    }
    let anyone = tenantry.anonymous();
    for _ in 0..10 {
        anyone.sign_in("acme", "bob", WRONG).await.problem(401, "invalid_credentials");
    }
    must_wait(&anyone.sign_in("acme", "bob", WRONG).await);
    admin.again().await;
    let said = tenantry.log(Which::Api).matches("each process counts failed sign-ins for itself").count();
    assert_eq!(said, 1, "{}", tenantry.log(Which::Api));

    tenantry.redis.restart_empty().await;
    harness::eventually("sign-ins to be counted in Redis again", || async {
        anyone.sign_in("acme", "carol", WRONG).await;
        redis_keys_and_values(&tenantry.redis.url()).await.contains(":limit:").then_some(())
    })
    .await;
}

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    limits: LimitsConfig,
    #[command(flatten)]
    redis: RedisConfig,
    #[command(flatten)]
    common: CommonConfig,
}

fn limiter(redis: &str, namespace: &str, clock: &Clock) -> Limiter {
    let key = "a key for tests only: 0123456789abcdef0123456789abcdef";
    let settings = Settings::parse_from([
        "test",
        "--redis-url",
        redis,
        "--redis-namespace",
        namespace,
        "--secret-key",
        key,
        "--limit-account-and-client",
        "3/40",
        "--limit-client",
        "6/7",
        "--limit-account",
        "4/300",
        "--limit-patience-ms",
        "5000",
    ]);
    let key = settings.common.secret_key().expect("a key");
    Limiter::new(&settings.limits, &settings.redis, &key, clock.clone()).expect("a limiter")
}

/// How long this attempt has to wait, if it has to.
async fn attempt(limiter: &Limiter, username: &str, client: &str, outcome: u8) -> Option<u64> {
    let origin = Origin { client_address: Some(client.to_owned()), ..Origin::default() };
    match limiter.sign_in("acme", username, &origin).await {
        Err(Error::Refused(refusal)) => match refusal.kind {
            Kind::TooOften(seconds) => Some(seconds),
            other => panic!("{other:?}"),
        },
        Err(error) => panic!("{error}"),
        Ok(attempt) => {
            match outcome {
                0 => attempt.succeeded().await,
                1 => attempt.forget().await,
                _ => drop(attempt),
            }
            None
        }
    }
}

#[tokio::test]
async fn redis_and_a_process_by_itself_decide_alike() {
    let (clock, mut random) = (Clock::default(), StdRng::seed_from_u64(11));
    let shared = limiter(&required("TEST_REDIS_URL"), &format!("alike-{}", std::process::id()), &clock);
    // Nobody listens there.
    let alone = limiter("redis://127.0.0.1:1", "alike", &clock);
    let mut waits = 0;
    for step in 0..600 {
        clock.advance(seconds(random.random_range(0..15)));
        if random.random_ratio(1, 60) {
            clock.advance(seconds(900));
        }
        let (username, client) = (["ann", "bob"][random.random_range(0..2)], random.random_range(1..5));
        // Most are wrong.
        let (client, outcome) = (format!("192.0.2.{client}"), random.random_range(0..12));
        let both =
            (attempt(&shared, username, &client, outcome).await, attempt(&alone, username, &client, outcome).await);
        assert_eq!(both.0, both.1, "attempt {step}, by {client} at {username}");
        waits += usize::from(both.0.is_some());
    }
    assert!((100..500).contains(&waits), "some wait, some don't: {waits}");
}
