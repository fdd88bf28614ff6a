//! The program of `tests/saml/` makes messages with another implementation of XML signatures than ours, and breaks them.

use std::io::Write;
use std::time::Duration;

use harness::{PASSWORD, Processes, Which, repository, required, run_within};
use serde_json::Value;

/// The program signs in as each.
const ADMINISTRATORS: i64 = 2;

#[tokio::test]
async fn every_known_attack_is_refused_for_its_own_reason() {
    let mut tenantry = Processes::start().await;
    bear_with_failures(&mut tenantry).await;
    let acme = tenantry.administrator_of("acme").await;
    let rival = tenantry.administrator_of("rival").await;
    let before = count_sign_ins(&tenantry).await;
    let pid = tenantry.pid(Which::Api).to_string();
    let environment = [
        ("TENANTRY_URL", tenantry.url()),
        ("TENANTRY_API_PID", &pid),
        ("DEMO_ORGANIZATION", acme.slug()),
        ("DEMO_ADMIN_EMAIL", &acme.email),
        ("DEMO_ADMIN_PASSWORD", PASSWORD),
        ("TENANTRY_PLATFORM_SLUG", rival.slug()),
        ("TENANTRY_PLATFORM_ADMIN_EMAIL", &rival.email),
        ("TENANTRY_PLATFORM_ADMIN_PASSWORD", PASSWORD),
    ];
    let program = repository("tests/saml/attack.py").display().to_string();
    let patience = Duration::from_secs(1200);
    let (code, table) = run_within(patience, required("TEST_SAML_PYTHON"), &[&program], &environment).await;
    // Past the test runner, which keeps what a test prints that passes.
    let _ = std::io::stderr().write_all(table.as_bytes());
    assert_eq!(code, Some(0), "an attack came through, or was refused for another reason: see the table");

    let summary: Value = serde_json::from_str(table.lines().last().unwrap_or_default()).expect("a last line of JSON");
    let made = count_sign_ins(&tenantry).await - before - ADMINISTRATORS;
    assert_eq!(Some(made), summary["sign_ins"].as_i64(), "no session but those of honest messages");
}

/// All sessions that there ever were.
async fn count_sign_ins(tenantry: &Processes) -> i64 {
    let select = "select count(*) from audit_events where action = 'session.created'";
    tenantry.database().value(select).await.as_i64().expect("a number")
}

/// Nearly all that is asked fails, from one address: limits would only hide what stands behind them.
async fn bear_with_failures(tenantry: &mut Processes) {
    let limits =
        ["CLIENT", "ACCOUNT_AND_CLIENT", "COMPANY_SIGN_INS", "COMPANY_MESSAGES", "WRONG_LINKS", "REFUSALS_NOTED"];
    for name in limits.map(|name| format!("LIMIT_{name}")) {
        tenantry.set(&name, "1000000/1");
    }
    tenantry.terminate(Which::Api).await;
    tenantry.start_one(Which::Api).await;
}
