//! The production shape on one host: a compose file that no test can start here, held against what the binaries take.

use std::collections::BTreeSet;

use harness::{Which, repository, run_to_end};
use serde_json::Value;

/// Every environment name that a command's help mentions.
async fn accepted(which: Which, subcommand: &str) -> BTreeSet<String> {
    let (code, help) = run_to_end(which.path(), &[subcommand, "--help"], &[]).await;
    assert_eq!(code, Some(0), "{help}");
    let names = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_compose_file_sets_only_what_the_binaries_take() {
    let text = std::fs::read_to_string(repository("docker-compose.yml")).expect("a compose file");
    let compose: Value = serde_saphyr::from_str(&text).expect("YAML");
    let services = compose["services"].as_object().expect("services");
    for needed in ["postgres", "redis", "migrate", "api", "worker", "mailbox"] {
        assert!(services.contains_key(needed), "there is no {needed}");
    }
    for (service, which, subcommand) in
        [("migrate", Which::Api, "migrate"), ("api", Which::Api, "serve"), ("worker", Which::Worker, "run")]
    {
        let accepted = accepted(which, subcommand).await;
        assert!(accepted.contains("DATABASE_APP_URL"), "{accepted:?}");
        let set = services[service]["environment"].as_object().expect("an environment");
        assert!(!set.is_empty());
        for name in set.keys() {
            assert!(accepted.contains(name), "{service} sets {name}, which {subcommand} does not take: {accepted:?}");
        }
    }
    for service in ["postgres", "redis", "api"] {
        assert!(services[service]["healthcheck"].is_object(), "{service} has no health check");
    }
    for (name, secret) in compose["secrets"].as_object().expect("secrets") {
        assert!(secret["file"].is_string(), "the secret {name} is not a file");
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_one_line_that_a_person_understands() {
    let good = [
        ("DATABASE_APP_URL", "postgres://app:secret-word@127.0.0.1:1/x"),
        ("REDIS_URL", "redis://:secret-word@127.0.0.1:1"),
        ("SECRET_KEY", "0123456789abcdef0123456789abcdef"),
        ("PUBLIC_URL", "http://127.0.0.1:1"),
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("METRICS_ADDR", "127.0.0.1:0"),
        ("SMTP_URL", "smtp://127.0.0.1:1"),
        ("MAIL_FROM", "a@example.com"),
    ];
    for (which, subcommand, name, value, words) in [
        (Which::Api, "serve", "DATABASE_APP_URL", "", "DATABASE_APP_URL is not set"),
        (
            Which::Api,
            "serve",
            "DATABASE_APP_URL",
            "mysql://u:secret-word@h/x",
            "DATABASE_APP_URL is not a Postgres URL",
        ),
        (Which::Api, "serve", "REDIS_URL", "http://:secret-word@h", "REDIS_URL is not a Redis URL"),
        (Which::Api, "serve", "SECRET_KEY", "secret-word", "shorter than 32 characters"),
        (Which::Api, "serve", "PUBLIC_URL", "http://accounts.example.com", "must be https"),
        (Which::Api, "serve", "PUBLIC_URL", "https://accounts.example.com/here", "no path"),
        (
            Which::Api,
            "serve",
            "EMAIL_EVENTS_SECRET",
            "secret-word",
            "EMAIL_EVENTS_SECRET is shorter than 32 characters",
        ),
        (Which::Api, "serve", "LISTEN_ADDR", "203.0.113.1:80", "LISTEN_ADDR"),
        (Which::Worker, "run", "SMTP_URL", "ftp://u:secret-word@h", "SMTP_URL"),
        (Which::Worker, "run", "MAIL_FROM", "nobody", "MAIL_FROM"),
    ] {
        let mut environment = good.to_vec();
        environment.retain(|(other, _)| *other != name);
        if !value.is_empty() {
            environment.push((name, value));
        }
        let (code, said) = run_to_end(which.path(), &[subcommand], &environment).await;
        assert!(code == Some(2) && said.contains(words), "{name}={value}: {code:?}\n{said}");
        assert!(!said.contains("secret-word") && !said.contains("panicked"), "{name}={value}:\n{said}");
    }
}
