//! The server key: what comes of a wrong one, and how another one takes its place.

use harness::{Caller, Processes, Which, run_to_end};
use reqwest::Method;
use serde_json::{Value, json};
use tenantry_shared::clock::Clock;

const NEW: &str = "another key for tests only: fedcba9876543210fedcba9876543210";
const OTHER: &str = "a third key for tests only: 00112233445566778899aabbccddeeff";

async fn command(tenantry: &Processes, arguments: &[&str], changes: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut environment = tenantry.environment(Which::Api);
    environment.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    environment.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (code, said) = run_to_end(Which::Api.path(), arguments, &environment).await;
    for (_, value) in changes {
        assert!(!said.contains(value), "a key is printed:\n{said}");
    }
    (code, said)
}

fn key_of(tenantry: &Processes) -> String {
    let environment = tenantry.environment(Which::Api);
    environment.into_iter().find(|(name, _)| name == "SECRET_KEY").expect("a key").1
}

async fn restart_with(tenantry: &mut Processes, changes: &[(&str, &str)]) {
    for (name, value) in changes {
        tenantry.set(name, value);
    }
    tenantry.terminate(Which::Api).await;
    tenantry.start_one(Which::Api).await;
}

/// Everything that is stored sealed.
async fn sealed(tenantry: &Processes) -> Vec<Value> {
    let rows =
        "select sealed::text, key_id from totp_secrets union all select sealed::text, key_id from saml_keys order by 1";
    tenantry.database().rows(rows).await
}

async fn readable(admin: &Caller) -> Vec<Value> {
    let keys = admin.get("/saml/keys").await.ok();
    keys["results"].as_array().expect("keys").iter().map(|key| key["is_readable"].clone()).collect()
}

#[tokio::test]
async fn a_wrong_key_is_an_error_that_a_person_understands_and_overwrites_nothing() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    let right = key_of(&tenantry);
    for _ in 0..2 {
        admin.post("/saml/keys", json!({ "key_size": 2048 })).await.created();
    }
    let next = admin.get("/saml/keys").await.ok()["results"][0]["id"].as_str().expect("an id").to_owned();
    let heidi = admin.member("heidi@example.com", "reader").await;
    let (phone, recovery_codes) = heidi.enroll(&Clock::default()).await;
    let before = sealed(&tenantry).await;

    let (code, said) = command(&tenantry, &["check"], &[]).await;
    assert!(code == Some(0) && said.contains("ok   Stored secrets: SECRET_KEY opens them"), "{said}");
    let (code, said) = command(&tenantry, &["check"], &[("SECRET_KEY", OTHER)]).await;
    let told = said.lines().any(|line| line.starts_with("BAD  Stored secrets: 3 stored secrets"));
    assert!(code == Some(1) && told && said.contains("PREVIOUS_SECRET_KEY"), "{said}");
    let (code, said) = command(&tenantry, &["rotate-secret-key"], &[("SECRET_KEY", OTHER)]).await;
    assert!(code == Some(1) && said.contains("encrypted with another SECRET_KEY"), "{said}");

    restart_with(&mut tenantry, &[("SECRET_KEY", OTHER)]).await;
    let log = tenantry.log_reader(Which::Api);
    harness::eventually("the API to say so", || async {
        log().contains("encrypted with another SECRET_KEY").then_some(())
    })
    .await;
    assert_eq!(readable(&admin).await, [json!(false), json!(false)]);
    let activate = admin.call(Method::POST, &format!("/saml/keys/{next}/activate")).await;
    let problem = activate.problem(409, "saml_key_unreadable");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("server key")), "{problem}");
    let stranger = tenantry.anonymous().under("acme");
    let refused = stranger.sign_in_with_code("acme", "heidi@example.com", harness::PASSWORD, &phone.code()).await;
    let problem = refused.problem(409, "second_factor_unreadable");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("recovery code")), "{problem}");
    stranger.sign_in_with_code("acme", "heidi@example.com", harness::PASSWORD, &recovery_codes[0]).await.ok();
    assert_eq!(sealed(&tenantry).await, before, "nothing was overwritten");
    let wrong_codes = tenantry.database().value("select max(wrong_codes) from totp_secrets").await;
    assert_eq!(wrong_codes, 0, "nor was it counted against her");

    restart_with(&mut tenantry, &[("SECRET_KEY", &right)]).await;
    assert_eq!(readable(&admin).await, [json!(true), json!(true)]);
    admin.call(Method::POST, &format!("/saml/keys/{next}/activate")).await.ok();
}

#[tokio::test]
async fn another_key_takes_the_place_of_the_one_before_without_a_gap() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    let globex = tenantry.administrator_of("globex").await;
    let old = key_of(&tenantry);
    let heidis = admin.member("heidi@example.com", "reader").await.enroll(&Clock::default()).await.0;
    let ivans = admin.member("ivan@example.com", "reader").await.enroll(&Clock::default()).await.0;
    for someone in [&admin, &globex] {
        someone.post("/saml/keys", json!({ "key_size": 2048 })).await.created();
    }
    let before = sealed(&tenantry).await;

    restart_with(&mut tenantry, &[("SECRET_KEY", NEW), ("PREVIOUS_SECRET_KEY", &old)]).await;
    assert_eq!(readable(&admin).await, [json!(true)]);
    let sign_in = async |tenantry: &Processes, who: &str, code: &str| {
        let stranger = tenantry.anonymous().under("acme");
        stranger.sign_in_with_code("acme", who, harness::PASSWORD, code).await.ok();
    };
    sign_in(&tenantry, "heidi@example.com", &heidis.code()).await;
    assert_eq!(sealed(&tenantry).await, before);

    let (code, said) = command(&tenantry, &["rotate-secret-key"], &[]).await;
    assert!(code == Some(0) && said.contains("Encrypted 4 secrets of 2 organizations"), "{said}");
    let after = sealed(&tenantry).await;
    assert!(after.len() == 4 && after.iter().all(|row| !before.contains(row)), "each is sealed anew");
    let (code, said) = command(&tenantry, &["rotate-secret-key"], &[]).await;
    assert!(code == Some(0) && said.contains("Encrypted 0 secrets of 0 organizations"), "{said}");
    let log = admin.get("/audit-events?action=organization.secrets_resealed").await.ok();
    assert_eq!(log["results"][0]["details"], json!({ "totp_secrets": 2, "saml_keys": 1 }));

    restart_with(&mut tenantry, &[("PREVIOUS_SECRET_KEY", "")]).await;
    assert_eq!(readable(&globex).await, [json!(true)]);
    let (code, said) = command(&tenantry, &["check"], &[]).await;
    assert!(code == Some(0) && said.contains("ok   Stored secrets"), "{said}");
    sign_in(&tenantry, "ivan@example.com", &ivans.code()).await;
    let wrong = [("SECRET_KEY", old.as_str())];
    let (code, _) = command(&tenantry, &["check"], &wrong).await;
    assert_eq!(code, Some(1), "the one before is good for nothing any more");
}
