//! The first wall: every operation, asked by whoever has no business there.

use harness::{PASSWORD, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

use super::{MARK, Two, body, fill, send, tenant_operations};
use crate::frame::{OPEN, SIGNED, document, operations};

#[tokio::test]
async fn a_credential_of_another_organization_finds_nothing() {
    let two = Two::start().await;
    let document = document();
    let before = two.digest().await;
    let intruder = two.attacker.under(MARK);
    for (method, path, operation) in tenant_operations(&document) {
        let body = body(&document, &operation, &two);
        for id in std::iter::once(None).chain(two.ids.values().map(|id| Some(id.as_str()))) {
            let Some(path) = fill(&path, id) else { continue };
            send(&intruder, &method, &path, body.as_ref()).await.problem(404, "not_found");
            // Just as for an organization that is not there.
            let nowhere = two.attacker.under("nowhere");
            send(&nowhere, &method, &path, body.as_ref()).await.problem(404, "not_found");
        }
    }
    assert_eq!(two.digest().await, before, "the victim's rows are as they were");
    two.app.finish().await;
}

#[tokio::test]
async fn ids_of_another_organization_find_nothing_under_ones_own_slug() {
    let two = Two::start().await;
    let document = document();
    let before = two.digest().await;
    for (method, path, operation) in tenant_operations(&document) {
        let body = body(&document, &operation, &two);
        for id in two.ids.values() {
            let Some(path) = fill(&path, Some(id)) else { continue };
            let answer = send(&two.attacker, &method, &path, body.as_ref()).await;
            assert!(answer.status == 404 || answer.status == 400 && body.is_some(), "{}", answer.whole());
            assert!(!answer.text.to_lowercase().contains(MARK), "{}", answer.whole());
        }
        // Ids in the body alone.
        let (Some(path), Some(body)) = (fill(&path, None), body) else { continue };
        if two.ids.values().any(|id| body.to_string().contains(id.as_str())) {
            let answer = send(&two.attacker, &method, &path, Some(&body)).await;
            let all = |list: &str, refused: &dyn Fn(&Value) -> bool| {
                answer.json()[list].as_array().is_some_and(|rows| !rows.is_empty() && rows.iter().all(refused))
            };
            let rows_refused = all("results", &|row| row["status"] == 400)
                || answer.json()["succeeded"] == json!([]) && all("failed", &|row| row["code"] == "not_found");
            assert!(answer.status == 400 || rows_refused, "{}", answer.whole());
            assert!(!answer.text.to_lowercase().contains(MARK), "{}", answer.whole());
        }
    }
    assert_eq!(two.digest().await, before, "the victim's rows are as they were");
    two.app.finish().await;
}

#[tokio::test]
async fn lists_show_nothing_of_another_organization_whatever_the_filter() {
    let two = Two::start().await;
    let document = document();
    let before = two.digest().await;
    let mut tried = 0;
    for (method, path, operation) in operations(&document) {
        if method != Method::GET || OPEN.contains(&operation["operationId"].as_str().unwrap_or_default()) {
            continue;
        }
        let path = path.replace("{organization_slug}", "attacker");
        if path.contains('{') {
            continue;
        }
        let answer = send(&two.attacker, &method, &path, None).await;
        let leads_elsewhere = operation["operationId"] == "go_to_portal";
        assert_eq!(answer.status, if leads_elsewhere { 303 } else { 200 }, "{}", answer.whole());
        assert!(!answer.text.to_lowercase().contains(MARK), "{}", answer.whole());
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "query") {
            let name = parameter["name"].as_str().expect("a name");
            for value in two.ids.values().map(String::as_str).chain([MARK]) {
                let answer = send(&two.attacker, &method, &format!("{path}?{name}={value}"), None).await;
                // 404: whose list was asked for is not there.
                assert!([200, 400, 404].contains(&answer.status.as_u16()), "{}", answer.whole());
                // The links of a list repeat its filters.
                let mut json = answer.json();
                json["next"] = Value::Null;
                json["previous"] = Value::Null;
                assert!(!json["results"].to_string().to_lowercase().contains(MARK), "{}", answer.whole());
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "filters were tried");
    assert_eq!(two.digest().await, before, "the victim's rows are as they were");
    two.app.finish().await;
}

#[tokio::test]
async fn without_a_live_credential_every_door_is_closed() {
    let two = Two::start().await;
    let document = document();
    let signed_out = two.victim.again().await;
    signed_out.call(Method::POST, "/iam/logout").await.no_content();
    let before = two.digest().await;
    let live = two.victim.token().to_owned();
    let flipped: String = live.chars().rev().collect();
    let credentials = [
        None,
        Some(format!("Bearer {}", signed_out.token())),
        Some("Bearer".to_owned()),
        Some("Bearer nonsense".to_owned()),
        Some(format!("Bearer {}", &live[..live.len() - 1])),
        Some(format!("Bearer {flipped}")),
        Some(format!("Basic {live}")),
        Some(live.clone()),
        Some(format!("Bearer tnt_s_{}", "1".repeat(72))),
        Some(format!("Bearer {}{}", "x".repeat(6_000), live)),
    ];
    for (method, path, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        if OPEN.contains(&id) || SIGNED.contains(&id) {
            continue;
        }
        let path = path.replace("{organization_slug}", MARK);
        let path: String = path
            .split('{')
            .enumerate()
            .map(|(n, part)| {
                if n == 0 {
                    part.to_owned()
                } else {
                    format!("{}{}", two.id("users"), part.split_once('}').map_or("", |(_, rest)| rest))
                }
            })
            .collect();
        for credential in &credentials {
            let caller = two.victim.with_authorization(credential.as_deref());
            send(&caller, &method, &path, None).await.problem(401, "not_authenticated");
        }
    }
    assert_eq!(two.digest().await, before, "the victim's rows are as they were");
    two.app.finish().await;
}

/// What operators may do to any organization.
const OF_OPERATORS: &[&str] = &[
    "get_organization",
    "replace_organization",
    "change_organization",
    "delete_organization",
    "restore_organization",
    "get_usage",
    "set_usage_limit",
    "list_email_domains",
    "create_email_domain",
    "get_email_domain",
    "delete_email_domain",
    "verify_email_domain",
];

#[tokio::test]
async fn an_operator_sees_the_directory_and_nothing_below_it() {
    let two = Two::start().await;
    let operator = two.app.organization("platform").administrator().await.under(MARK);
    let document = document();
    let before = two.digest().await;
    operator.get("").await.ok();
    for (method, path, operation) in tenant_operations(&document) {
        if OF_OPERATORS.contains(&operation["operationId"].as_str().unwrap_or_default()) {
            continue;
        }
        let body = body(&document, &operation, &two);
        for id in std::iter::once(None).chain(two.ids.values().map(|id| Some(id.as_str()))) {
            let Some(path) = fill(&path, id) else { continue };
            send(&operator, &method, &path, body.as_ref()).await.problem(404, "not_found");
        }
    }
    assert_eq!(two.digest().await, before, "the victim's rows are as they were");
    two.app.finish().await;
}

#[tokio::test]
async fn one_address_in_two_organizations_is_two_people() {
    let app = TestApp::start().await;
    let acme = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let here = acme.member("bob@example.com", "reader").await;
    let there = globex.member("bob@example.com", "administrator").await;
    assert_ne!(here.id, there.id);
    acme.delete(&format!("/users/{}", here.id)).await.no_content();
    here.get("/iam/current-user").await.problem(401, "not_authenticated");
    there.get("/iam/current-user").await.ok();
    app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.problem(401, "invalid_credentials");
    app.anonymous().sign_in("globex", "bob@example.com", PASSWORD).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_slug_is_taken_whatever_its_case() {
    let app = TestApp::start().await;
    let admin = app.organization("AcMe").administrator().await;
    admin.under("acme").get("/users").await.ok();
    admin.under("ACME").get("/users").await.ok();
    assert_eq!(admin.under("acme").get("").await.ok()["slug"], "AcMe");
    app.anonymous().sign_in("aCmE", &admin.email, PASSWORD).await.ok();
    app.finish().await;
}
