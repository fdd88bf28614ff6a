//! Usage: what is counted is exact, and never more than the limit.

use harness::{Answer, Caller, TestApp, days};
use reqwest::StatusCode;
use serde_json::{Value, json};

async fn count(caller: &Caller, amount: u64) -> Answer {
    caller.post("/usage/increment", json!({ "usage": amount })).await
}

fn shown(limit: i64, usage: i64, is_overridden: bool) -> Value {
    let remaining = (limit - usage).max(0);
    json!({ "limit": limit, "usage": usage, "remaining": remaining, "overriden": is_overridden, "overridden": is_overridden })
}

/// As a client does whom a busy server tells to come again: with the same key, until it has an answer.
async fn count_once(caller: Caller, key: String) -> i64 {
    loop {
        let answer = caller.post("/usage/increment", json!({ "usage": 3 })).header("Idempotency-Key", &key).await;
        if answer.status != StatusCode::SERVICE_UNAVAILABLE {
            return answer.ok()["usage"].as_i64().expect("a number");
        }
    }
}

#[tokio::test]
async fn a_hundred_increments_at_once_with_repeated_keys_stay_exact() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    // Forty keys, most of them twice or more.
    let running: Vec<_> =
        (0..100).map(|n| (n % 40, tokio::spawn(count_once(admin.clone(), format!("key-{}", n % 40))))).collect();
    let mut answers = vec![Vec::new(); 40];
    for (key, answer) in running {
        answers[key].push(answer.await.expect("an answer"));
    }
    let mut sums = Vec::new();
    for of_key in answers {
        assert!(of_key.iter().all(|sum| *sum == of_key[0]), "the same key gets the same answer: {of_key:?}");
        sums.push(of_key[0]);
    }
    sums.sort_unstable();
    assert_eq!(sums, (1..=40).map(|n| 3 * n).collect::<Vec<i64>>(), "each was counted once, one after the other");
    assert_eq!(admin.get("/usage").await.ok(), shown(100_000, 120, false));
    assert_eq!(admin.get("/audit-events?action=usage.incremented").await.ok()["count"], 40);
    app.finish().await;
}

#[tokio::test]
async fn past_the_limit_nothing_is_counted_also_by_many_at_once() {
    let app = TestApp::start_with(&[("usage-limit", "10")]).await;
    let admin = app.organization("acme").administrator().await;
    assert_eq!(admin.get("/usage").await.ok(), shown(10, 0, false));
    count(&admin, 11).await.problem(409, "quota_exceeded");
    assert_eq!(count(&admin, 7).await.ok(), shown(10, 7, false));
    count(&admin, 4).await.problem(409, "quota_exceeded");
    let (one, two, three) = tokio::join!(count(&admin, 2), count(&admin, 2), count(&admin, 2));
    let counted = [&one, &two, &three].iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(counted, 1);
    // A refusal is not remembered.
    let call = || admin.post("/usage/increment", json!({ "usage": 2 })).header("Idempotency-Key", "again");
    call().await.problem(409, "quota_exceeded");
    app.database().execute("update usage_counters set usage = 5").await;
    assert_eq!(call().await.ok(), shown(10, 7, false));
    assert_eq!(admin.post("/usage/increment", json!({})).await.ok(), shown(10, 8, false), "one, if not said");
    app.finish().await;
}

#[tokio::test]
async fn a_month_begins_with_nothing_used() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    count(&admin, 5).await.ok();
    app.clock.advance(days(32));
    let admin = admin.again().await;
    assert_eq!(admin.get("/usage").await.ok(), shown(100_000, 0, false));
    assert_eq!(count(&admin, 2).await.ok()["usage"], 2);
    assert_eq!(app.database().value("select count(*) from usage_counters").await, 2);
    app.finish().await;
}

#[tokio::test]
async fn operators_set_the_limit_and_see_every_organizations_usage() {
    let app = TestApp::start().await;
    let operator = app.organization("platform").administrator().await;
    let admin = app.organization("acme").administrator().await;
    app.organization("other").administrator().await;
    count(&admin, 5).await.ok();
    let of = |slug: &str| operator.under(slug);
    let limit = |value: Value| of("ACME").put("/usage/limit", json!({ "limit": value }));
    assert_eq!(limit(json!(6)).await.ok(), shown(6, 5, true));
    count(&admin, 2).await.problem(409, "quota_exceeded");
    assert_eq!(limit(json!(2)).await.ok(), shown(2, 5, true), "what was used stays used");
    assert_eq!(limit(json!(0)).await.ok()["limit"], 0);
    assert_eq!(limit(Value::Null).await.ok(), shown(100_000, 5, false));
    assert_eq!(of("acme").get("/usage").await.ok(), shown(100_000, 5, false));
    limit(json!(-1)).await.invalid("limit", "out_of_range");
    limit(json!("many")).await.invalid("limit", "invalid_type");

    of("acme").post("/usage/increment", json!({})).await.problem(404, "not_found");
    of("nowhere").get("/usage").await.problem(404, "not_found");
    admin.put("/usage/limit", json!({ "limit": 9 })).await.problem(403, "operators_only");
    admin.under("other").put("/usage/limit", json!({ "limit": 9 })).await.problem(404, "not_found");
    admin.under("other").get("/usage").await.problem(404, "not_found");
    for log in [&admin, &operator] {
        assert_eq!(log.get("/audit-events?action=usage_limit.changed").await.ok()["count"], 4);
    }
    app.finish().await;
}

#[tokio::test]
async fn who_may_not_change_usage_neither_counts_nor_sees_it() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let reader = admin.member("rita@acme.example", "reader").await;
    reader.get("/usage").await.problem(403, "permission_denied");
    count(&reader, 1).await.problem(403, "permission_denied");
    let scoped = json!({ "name": "product", "permissions": ["change_usage"] });
    let token = admin.post("/iam/auth-tokens", scoped).await.created();
    let product = admin.with_authorization(Some(&format!("Bearer {}", token["token"].as_str().expect("a token"))));
    assert_eq!(count(&product, 2).await.ok()["usage"], 2);
    for wrong in [json!(0), json!(-1), json!(1_000_000_001)] {
        admin.post("/usage/increment", json!({ "usage": wrong })).await.invalid("usage", "out_of_range");
    }
    app.finish().await;
}
