//! Who the caller is, for a tenant and a client; and the enterprise that the tenant is bound to.

use harness::{PASSWORD, TestApp};
use serde_json::{Value, json};

#[tokio::test]
async fn user_info_tells_who_one_is_and_which_enterprise_the_organization_is_bound_to() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let rita = admin.member("rita@acme.example", "reader").await;
    let info = rita.get("/user-info").header("X-Tenant", "ACME").await.ok();
    let number = admin.get(&format!("/users/{}", rita.id)).await.ok()["number"].clone();
    assert_eq!((&info["id"], &info["uuid"]), (&number, &json!(rita.id)));
    assert_eq!((&info["emm"], &info["has_emm"]), (&Value::Null, &json!(false)));
    assert_eq!((&info["is_email_verified"], &info["is_staff"]), (&json!(true), &json!(false)));
    assert!(info.get("token").is_none() && info.get("password").is_none(), "{info}");

    let binding = json!({ "id": "LC03", "name": "Acme Enterprise", "data": { "region": "eu" } });
    let put = admin.put("/enterprise-binding", binding.clone()).await;
    let tag = put.header("etag").to_owned();
    assert_eq!(put.ok(), binding);
    let info = rita.get("/user-info").await.ok();
    assert_eq!((&info["emm"], &info["has_emm"]), (&binding, &json!(true)));
    rita.get("/enterprise-binding").await.problem(403, "permission_denied");
    rita.put("/enterprise-binding", binding.clone()).await.problem(403, "permission_denied");

    assert_eq!(admin.get("/enterprise-binding").await.header("etag"), tag);
    let other = json!({ "id": "LC04", "name": "Other" });
    let changed = admin.put("/enterprise-binding", other.clone()).header("If-Match", &tag).await.ok();
    assert_eq!(changed["data"], json!({}));
    admin.put("/enterprise-binding", other).header("If-Match", &tag).await.problem(412, "precondition_failed");
    admin.delete("/enterprise-binding").header("If-Match", &tag).await.problem(412, "precondition_failed");
    admin.delete("/enterprise-binding").await.no_content();
    admin.delete("/enterprise-binding").await.problem(404, "not_found");
    admin.get("/enterprise-binding").await.problem(404, "not_found");
    assert_eq!(rita.get("/user-info").await.ok()["has_emm"], false);
    assert_eq!(admin.get("/audit-events?object_type=enterprise_binding").await.ok()["count"], 3);
    app.finish().await;
}

#[tokio::test]
async fn a_binding_has_limits() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let put = |field: &str, value: Value| {
        let mut body = json!({ "id": "LC03", "name": "Acme", "data": {} });
        body[field] = value;
        admin.put("/enterprise-binding", body)
    };
    put("id", json!("")).await.invalid("id", "required");
    put("id", json!("x".repeat(201))).await.invalid("id", "too_long");
    put("id", json!("a\nb")).await.invalid("id", "invalid");
    put("name", json!(" ")).await.invalid("name", "required");
    put("data", json!([])).await.invalid("data", "invalid");
    put("data", json!({ "x": "y".repeat(4 * 1024) })).await.invalid("data", "too_long");
    put("data", json!({ "x": "y".repeat(4 * 1024 - 8) })).await.ok();
    put("surprise", json!(1)).await.invalid("surprise", "unknown_field");
    app.finish().await;
}

#[tokio::test]
async fn a_tenant_in_a_header_is_the_one_in_the_path_everywhere() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.organization("other").administrator().await;
    for path in ["/user-info", "/users", "", "/iam/current-user"] {
        admin.get(path).header("X-Tenant", "acme").await.ok();
        admin.get(path).header("X-Tenant", "other").await.invalid("X-Tenant", "other_tenant");
        admin.get(path).header("X-Tenant", "").await.invalid("X-Tenant", "other_tenant");
    }
    let before = admin.get("/users").await.ok()["count"].clone();
    let body = json!({ "email": "bob@acme.example" });
    admin.post("/users", body).header("X-Tenant", "other").await.invalid("X-Tenant", "other_tenant");
    assert_eq!(admin.get("/users").await.ok()["count"], before, "nothing happened");
    admin.get("/v1/orgs").header("X-Tenant", "other").await.ok();
    app.finish().await;
}

#[tokio::test]
async fn the_client_is_kept_with_the_session_and_the_audit_event() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let session = app.anonymous().sign_in("acme", &admin.email, PASSWORD).header("X-Client-Id", "kiosk-7").await.ok();
    let kiosk = app.anonymous().signed_in("acme", &session).await;
    let kept = app.database().rows("select client_id from sessions where client_id is not null").await;
    assert_eq!(kept, [json!({ "client_id": "kiosk-7" })]);
    assert_eq!(kiosk.get("/user-info").header("X-Client-Id", "kiosk-7").await.ok()["email"], json!(admin.email));
    kiosk.patch("", json!({ "name": "Acme Ltd." })).header("X-Client-Id", "kiosk-8").await.ok();
    let log = admin.get("/audit-events?limit=2").await.ok();
    let clients: Vec<&Value> = log["results"].as_array().into_iter().flatten().map(|e| &e["client_id"]).collect();
    assert_eq!(clients, ["kiosk-8", "kiosk-7"]);
    app.finish().await;
}

#[tokio::test]
async fn the_portal_is_where_the_organization_says() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.organization("other").administrator().await;
    let answer = admin.get("/portal").await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), admin.get("").await.ok()["account_portal_url"]);
    let page = app.anonymous().get(answer.header("location")).await;
    assert_eq!(page.status, 200);
    admin.under("other").get("/portal").await.problem(404, "not_found");
    admin.with_authorization(None).get("/portal").await.problem(401, "not_authenticated");
    app.finish().await;
}
