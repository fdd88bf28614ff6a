//! `tenantry-api check` and `tenantry-worker check`: a line for each setting and dependency, and what to do.

use harness::{Database, Processes, Which, run_to_end};
use tokio::net::TcpListener;

/// Must never be printed.
const PASSWORD: &str = "secret-word";

/// Checks with some variables changed; an empty one is taken away.
async fn check(tenantry: &Processes, which: Which, changes: &[(&str, &str)]) -> (i32, String) {
    let mut environment = tenantry.environment(which);
    environment.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let changes = changes.iter().filter(|(_, value)| !value.is_empty());
    environment.extend(changes.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (code, said) = run_to_end(which.path(), &["check"], &environment).await;
    assert!(!said.contains(PASSWORD) && !said.contains("panicked"), "{said}");
    for (name, value) in environment.iter().filter(|(name, _)| matches!(*name, "SECRET_KEY" | "DATABASE_APP_URL")) {
        assert!(!said.contains(value), "{name} is printed:\n{said}");
    }
    (code.expect("it ends by itself"), said)
}

#[track_caller]
fn assert_bad(found: &(i32, String), lines: &[&str]) {
    let (code, said) = found;
    for words in lines {
        let told = said.lines().any(|line| line.starts_with("BAD ") && line.contains(words));
        assert!(*code == 1 && told, "exit code {code}, wanted BAD and {words:?} in:\n{said}");
    }
    let bad = said.lines().filter(|line| line.starts_with("BAD ")).count();
    assert_eq!(bad, lines.len(), "other things are said to be bad:\n{said}");
}

#[tokio::test]
async fn all_that_is_well_is_said_item_by_item() {
    let tenantry = Processes::start().await;
    let login = tenantry.smtp().url().replace("smtp://", &format!("smtp://someone:{PASSWORD}@"));
    for (which, items) in [
        (Which::Api, vec!["SECRET_KEY", "PUBLIC_URL", "LISTEN_ADDR", "Postgres", "Redis"]),
        (Which::Worker, vec!["SECRET_KEY", "MAIL_FROM", "METRICS_ADDR", "Postgres", "Redis", "SMTP"]),
    ] {
        let (code, said) = check(&tenantry, which, &[("SMTP_URL", &login)]).await;
        assert_eq!(code, 0, "{said}");
        for item in items {
            let line = format!("ok   {item}");
            assert!(said.lines().any(|l| l == line || l.starts_with(&format!("{line}:"))), "no {line:?} in:\n{said}");
        }
        assert!(said.lines().all(|line| line.starts_with("ok   ")), "{said}");
    }
    let talk = tenantry.smtp().transcript();
    for word in ["EHLO", "AUTH", "NOOP", "QUIT"] {
        assert!(talk.iter().any(|line| line.starts_with(word)), "no {word} in {talk:?}");
    }
    assert!(tenantry.mailbox().all().is_empty(), "a check sends no mail");
}

#[tokio::test]
async fn of_a_setting_that_may_be_left_out_it_is_said_what_comes_of_that() {
    let tenantry = Processes::start().await;
    let left_out = [
        "EMAIL_EVENTS_SECRET: not set: no delivery events are taken",
        "OTEL_EXPORTER_OTLP_ENDPOINT: not set: no traces",
    ];
    let (_, said) =
        check(&tenantry, Which::Api, &left_out.map(|line| (line.split(':').next().unwrap_or_default(), ""))).await;
    for words in left_out {
        assert!(said.lines().any(|line| line == format!("ok   {words}")), "no {words:?} in:\n{said}");
    }
    let set = [
        ("EMAIL_EVENTS_SECRET", "secret-word, long enough to sign with"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
    ];
    let (code, said) = check(&tenantry, Which::Api, &set).await;
    assert_eq!(code, 0, "{said}");
    for (name, _) in set {
        assert!(said.lines().any(|line| line == format!("ok   {name}")), "no {name:?} in:\n{said}");
    }
}

#[tokio::test]
async fn every_setting_that_is_wrong_is_named_and_none_is_printed() {
    let tenantry = Processes::start().await;
    let shared = [
        ("DATABASE_APP_URL", "mysql://someone:secret-word@localhost/x"),
        ("REDIS_URL", ""),
        ("SECRET_KEY", PASSWORD),
        ("PUBLIC_URL", "http://someone:secret-word@accounts.example.com"),
        ("LOG", "tenantry_api=loud"),
        ("METRICS_ADDR", "203.0.113.1:9090"),
    ];
    let wrong = [
        "DATABASE_APP_URL is not a Postgres URL",
        "REDIS_URL is not set",
        "SECRET_KEY is shorter than 32",
        "PUBLIC_URL must be https",
        "LOG=tenantry_api=loud",
        "METRICS_ADDR=203.0.113.1:9090 can't be used",
    ];
    let api = check(
        &tenantry,
        Which::Api,
        &[&shared[..], &[("PLATFORM_SLUG", "a b"), ("EMAIL_EVENTS_SECRET", PASSWORD)]].concat(),
    )
    .await;
    let own = ["PLATFORM_SLUG is not a slug", "EMAIL_EVENTS_SECRET is shorter than 32"];
    assert_bad(&api, &[&wrong[..], &own].concat());
    let own = [("MAIL_FROM", ""), ("SMTP_URL", "ftp://someone:secret-word@localhost")];
    let worker = check(&tenantry, Which::Worker, &[&shared[..], &own].concat()).await;
    assert_bad(&worker, &[&wrong[..], &["MAIL_FROM is not set", "SMTP_URL: the SMTP URL must begin with"]].concat());

    let missing = [("SECRET_KEY", ""), ("SECRET_KEY_FILE", "/nowhere/secret_key"), ("PUBLIC_URL", "")];
    let missing = check(&tenantry, Which::Api, &missing).await;
    assert_bad(&missing, &["SECRET_KEY_FILE=/nowhere/secret_key can't be read", "PUBLIC_URL is not set"]);
}

#[tokio::test]
async fn what_clap_refuses_is_a_usage_error() {
    let tenantry = Processes::start().await;
    let (code, said) = check(&tenantry, Which::Api, &[("LISTEN_ADDR", "here")]).await;
    assert!(code == 2 && said.contains("LISTEN_ADDR"), "{code}: {said}");
}

#[tokio::test]
async fn a_dependency_that_is_down_is_named() {
    let mut tenantry = Processes::start().await;
    tenantry.smtp().refuse_connections();
    tenantry.redis.kill().await;
    let nobody = format!("postgres://someone:{PASSWORD}@127.0.0.1:1/x");
    let found = check(&tenantry, Which::Worker, &[("DATABASE_APP_URL", &nobody)]).await;
    assert_bad(&found, &["Postgres does not answer: ", "Redis: ", "SMTP: connecting"]);
}

#[tokio::test]
async fn a_dependency_that_takes_the_call_and_says_nothing_is_not_waited_for() {
    let tenantry = Processes::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = silent.local_addr().expect("an address").port();
    // `run_to_end` is the judge: it waits a minute.
    let url = |scheme: &str| format!("{scheme}://someone:{PASSWORD}@127.0.0.1:{port}");
    let changes = [("DATABASE_APP_URL", &*url("postgres")), ("REDIS_URL", &*url("redis")), ("SMTP_URL", &*url("smtp"))];
    let found = check(&tenantry, Which::Worker, &changes).await;
    assert_bad(&found, &["Postgres does not answer within", "where REDIS_URL says?", "SMTP: the server does not"]);
}

#[tokio::test]
async fn a_wrong_password_is_told_from_a_server_that_is_away() {
    let tenantry = Processes::start().await;
    let wrong = tenantry.database().app_url().replace("not%20a%20secret", PASSWORD);
    let found = check(&tenantry, Which::Api, &[("DATABASE_APP_URL", &wrong)]).await;
    assert_bad(&found, &["password authentication failed"]);

    let redis = tenantry.redis.url();
    configure(&redis, &["requirepass", PASSWORD]).await;
    let found = check(&tenantry, Which::Api, &[]).await;
    assert_bad(&found, &["Is the password in REDIS_URL right?"]);
    let right = redis.replace("redis://", &format!("redis://:{PASSWORD}@"));
    assert_eq!(check(&tenantry, Which::Api, &[("REDIS_URL", &right)]).await.0, 0);

    tenantry.smtp().refuse_logins();
    let login = tenantry.smtp().url().replace("smtp://", &format!("smtp://someone:{PASSWORD}@"));
    let found = check(&tenantry, Which::Worker, &[("REDIS_URL", &right), ("SMTP_URL", &login)]).await;
    assert_bad(&found, &["SMTP: 535 5.7.8 Wrong user or password"]);
}

#[tokio::test]
async fn a_role_that_row_level_security_does_not_hold_is_refused() {
    let tenantry = Processes::start().await;
    let owner = tenantry.database().owner_url();
    let found = check(&tenantry, Which::Api, &[("DATABASE_APP_URL", &owner)]).await;
    assert_bad(&found, &["which row-level security does not hold"]);
}

#[tokio::test]
async fn a_schema_that_is_behind_must_be_migrated_and_one_that_is_ahead_need_not() {
    let tenantry = Processes::start().await;
    let empty = Database::create_empty().await;
    let found = check(&tenantry, Which::Api, &[("DATABASE_APP_URL", &empty.app_url())]).await;
    assert_bad(&found, &["The database has no tables yet: run `tenantry-api migrate`"]);

    let ahead = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                 values (99991231000000, 'later', true, '', 0)";
    tenantry.database().execute(ahead).await;
    let (code, said) = check(&tenantry, Which::Api, &[]).await;
    assert!(code == 0 && said.contains("a later release's schema"), "{said}");
    assert_eq!(tenantry.anonymous().get("/readyz").await.ok()["status"], "ok");

    let last = "delete from _sqlx_migrations where version = (
                    select max(version) from _sqlx_migrations where description <> 'later')";
    tenantry.database().execute(last).await;
    let found = check(&tenantry, Which::Api, &[]).await;
    assert_bad(&found, &["The database lacks migration 2026"]);
    let answer = tenantry.anonymous().get("/readyz").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["postgres"]), (503, &"behind".into()));

    // As a release before this one left it: there is nothing yet to ask for versions.
    tenantry.database().execute("drop function schema_versions()").await;
    assert_bad(&check(&tenantry, Which::Api, &[]).await, &["run `tenantry-api migrate`"]);
}

#[tokio::test]
async fn a_redis_that_can_t_be_written_to_is_bad_and_one_that_forgets_is_a_warning() {
    let tenantry = Processes::start().await;
    let redis = tenantry.redis.url();
    configure(&redis, &["maxmemory-policy", "allkeys-lru"]).await;
    let (code, said) = check(&tenantry, Which::Api, &[]).await;
    assert!(code == 0 && said.contains("WARN Redis: maxmemory-policy is allkeys-lru"), "{code}: {said}");

    let client = redis::Client::open(redis).expect("our own URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let replica = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(1).query_async::<()>(&mut connection).await;
    replica.expect("it becomes a replica");
    assert_bad(&check(&tenantry, Which::Api, &[]).await, &["It is a replica"]);
}

async fn configure(redis: &str, setting: &[&str]) {
    let client = redis::Client::open(redis).expect("our own URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let done = redis::cmd("CONFIG").arg("SET").arg(setting).query_async::<()>(&mut connection).await;
    done.expect("Redis takes the setting");
}
