//! Claims of e-mail domains are looked at again each day.

use harness::{Caller, NameServer, TestApp, days};
use serde_json::{Value, json};
use tenantry_shared::schedules::Schedule;

use crate::email_domains::{claim, path, proven, publish};

async fn look(app: &TestApp) -> i64 {
    let asked = app.run_schedule(Schedule::LookUpEmailDomains).await.objects;
    app.settle().await;
    asked
}

async fn state(admin: &Caller, claim: &Value) -> Value {
    // Days pass, and sessions with them.
    admin.again().await.get(&path(claim)).await.ok()
}

#[tokio::test]
async fn a_claim_whose_record_is_there_becomes_proven_and_one_whose_record_is_not_says_why() {
    let server = NameServer::start().await;
    let app = TestApp::start_asking(&server).await;
    let admin = app.organization("acme").administrator().await;
    let (there, missing) = (claim(&admin, "there.example").await, claim(&admin, "missing.example").await);
    publish(&server, &there).await;
    assert_eq!(look(&app).await, 2);
    let found = state(&admin, &there).await;
    assert_eq!((&found["status"], &found["verified_by"]), (&json!("verified"), &json!("dns")));
    assert!(found["check_error"].is_null() && !found["checked_at"].is_null(), "{found}");
    let lost = state(&admin, &missing).await;
    assert!(
        lost["status"] == "pending" && lost["check_error"].as_str().is_some_and(|e| e.contains("NXDOMAIN")),
        "{lost}"
    );
    let event = &admin.get("/audit-events?action=email_domain.verified").await.ok()["results"][0];
    assert_eq!(event["actor_name"], "worker");

    // Another organization's record is as good, and too late.
    let globex = app.organization("globex").administrator().await;
    let late = claim(&globex, "there.example").await;
    publish(&server, &late).await;
    look(&app).await;
    let late = state(&globex, &late).await;
    assert!(
        late["status"] == "pending" && late["check_error"].as_str().is_some_and(|e| e.contains("another")),
        "{late}"
    );
    app.finish().await;
}

#[tokio::test]
async fn a_proof_whose_record_is_gone_for_a_week_is_none_and_a_day_of_absence_is_forgiven() {
    let server = NameServer::start().await;
    let app = TestApp::start_asking(&server).await;
    let admin = app.organization("acme").administrator().await;
    let proof = proven(&server, &admin, "acme.example").await;
    let txt_name = proof["txt_name"].as_str().expect("a name");
    server.remove_txt(txt_name).await;
    look(&app).await;
    let missing = state(&admin, &proof).await;
    assert!(missing["status"] == "verified" && !missing["missing_since"].is_null(), "{missing}");
    publish(&server, &proof).await;
    app.clock.advance(days(6));
    look(&app).await;
    let back = state(&admin, &proof).await;
    assert!(back["missing_since"].is_null() && back["check_error"].is_null(), "{back}");

    server.remove_txt(txt_name).await;
    for day in 0..7 {
        look(&app).await;
        assert_eq!(state(&admin, &proof).await["status"], "verified", "day {day}");
        app.clock.advance(days(1));
    }
    look(&app).await;
    let lapsed = state(&admin, &proof).await;
    assert!(lapsed["status"] == "pending" && lapsed["verified_at"].is_null(), "{lapsed}");
    let log = admin.again().await.get("/audit-events?action=email_domain.lapsed").await.ok();
    assert_eq!((&log["count"], &log["results"][0]["object_name"]), (&json!(1), &json!("acme.example")));
    app.finish().await;
}

#[tokio::test]
async fn silence_takes_no_proof_away_and_an_operators_word_is_not_looked_up() {
    let server = NameServer::start().await;
    let app = TestApp::start_asking(&server).await;
    let admin = app.organization("acme").administrator().await;
    let operator = app.organization("platform").administrator().await;
    let proof = proven(&server, &admin, "acme.example").await;
    let word = claim(&admin, "word.example").await;
    operator.under("acme").call(reqwest::Method::POST, &format!("{}/verify", path(&word))).await.ok();
    server.stop().await;
    assert_eq!(look(&app).await, 1);
    app.clock.advance(days(30));
    look(&app).await;
    let proof = state(&admin, &proof).await;
    assert!(proof["status"] == "verified" && proof["missing_since"].is_null(), "{proof}");
    assert!(proof["check_error"].as_str().is_some_and(|error| error.contains("no answer")), "{proof}");
    assert_eq!(state(&admin, &word).await["status"], "verified");
    app.finish().await;
}
