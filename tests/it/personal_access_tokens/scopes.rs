//! What a token can't be used for.

use harness::{PASSWORD, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

use super::{lives, make, make_scoped, path, with};

#[tokio::test]
async fn a_scope_limits_a_token_to_what_it_names() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let token = make_scoped(&admin, &["view_user", "view_user"]).await;
    token.get("/users").await.ok();
    token.post("/users", json!({ "email": "bob@example.com" })).await.problem(403, "permission_denied");
    token.get("/invitations").await.problem(403, "permission_denied");
    token.get("/audit-events").await.problem(403, "permission_denied");
    token.get("/settings").await.problem(403, "permission_denied");
    let me = token.get("/iam/current-user").await.ok();
    assert_eq!((&me["permissions"], &me["is_admin"]), (&json!(["view_user"]), &json!(false)));
    let listed = admin.get("/iam/auth-tokens").await.ok();
    assert_eq!(listed["results"][0]["permissions"], json!(["view_user"]));

    let settings = make_scoped(&admin, &["change_organization"]).await;
    settings.patch("/settings", json!({ "locale": "de" })).await.ok();
    settings.get("/users").await.problem(403, "permission_denied");
    app.finish().await;
}

#[tokio::test]
async fn an_empty_scope_is_good_for_asking_who_one_is() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let token = make_scoped(&admin, &[]).await;
    let me = token.get("/iam/current-user").await.ok();
    assert_eq!((&me["email"], &me["permissions"]), (&json!(admin.email), &json!([])));
    token.get("/users").await.problem(403, "permission_denied");
    app.finish().await;
}

#[tokio::test]
async fn a_scope_names_permissions_that_there_are() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for wrong in ["fly", "", "VIEW_USER", "view_user "] {
        let body = json!({ "name": "x", "permissions": ["view_user", wrong] });
        admin.post("/iam/auth-tokens", body).await.invalid("permissions", "unknown_permission");
    }
    for wrong in [json!("view_user"), json!([7])] {
        let answer = admin.post("/iam/auth-tokens", json!({ "name": "x", "permissions": wrong })).await;
        assert_eq!(answer.status, 400, "{}", answer.whole());
    }
    assert_eq!(admin.get("/iam/auth-tokens").await.ok()["count"], 0);
    app.finish().await;
}

#[tokio::test]
async fn a_token_does_what_its_owner_may_now_and_no_more() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "administrator").await;
    let (whole, scoped) = (with(&bob, &make(&bob, "all").await), make_scoped(&bob, &["view_audit_log"]).await);
    whole.get("/audit-events").await.ok();
    scoped.get("/audit-events").await.ok();
    let reader = admin.group("reader").await;
    admin.patch(&format!("/users/{}", bob.id), json!({ "user_groups": [reader] })).await.ok();
    whole.get("/audit-events").await.problem(403, "permission_denied");
    scoped.get("/audit-events").await.problem(403, "permission_denied");
    whole.get("/users").await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_token_makes_and_ends_no_credentials_but_itself() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (made, other) = (make(&admin, "one").await, make(&admin, "other").await);
    let token = with(&admin, &made);
    let session = admin.get("/iam/sessions").await.ok()["results"][0]["id"].clone();
    let password = json!({ "old_password": PASSWORD, "new_password": "several unrelated zebras juggle", "confirm_new_password": "several unrelated zebras juggle" });
    for (method, path, body) in [
        (Method::POST, "/iam/auth-tokens".to_owned(), json!({ "name": "x" })),
        (Method::GET, "/iam/auth-tokens".to_owned(), Value::Null),
        (Method::DELETE, path(&other), Value::Null),
        (Method::GET, "/iam/sessions".to_owned(), Value::Null),
        (Method::DELETE, format!("/iam/sessions/{}", session.as_str().expect("an id")), Value::Null),
        (Method::POST, "/iam/session-token".to_owned(), Value::Null),
        (Method::POST, "/iam/logout".to_owned(), Value::Null),
        (Method::POST, "/iam/logoutall".to_owned(), Value::Null),
        (Method::POST, "/iam/revoke-sessions".to_owned(), Value::Null),
        (Method::POST, "/iam/change-password".to_owned(), password),
    ] {
        let call = token.call(method, &path);
        let call = if body.is_null() { call } else { call.json(body) };
        call.await.problem(403, "session_required");
    }
    assert!(lives(&admin).await && lives(&token).await);
    token.delete(&path(&made)).await.no_content();
    assert!(!lives(&token).await, "it ended itself");
    assert!(lives(&with(&admin, &other)).await);
    app.finish().await;
}

#[tokio::test]
async fn a_token_in_a_browsers_cookie_is_nobody() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = make(&admin, "x").await;
    let home = |token: &str| {
        let call = app.anonymous().get(&format!("{}/", app.url()));
        call.header("cookie", &format!("tenantry={token}")).into_future()
    };
    assert_eq!(home(admin.token()).await.status, 200);
    let answer = home(made["token"].as_str().expect("a token")).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/sign-in"));
    app.finish().await;
}

#[tokio::test]
async fn an_operator_with_a_scoped_token_is_none() {
    let app = TestApp::start().await;
    let operator = app.organization("platform").administrator().await;
    app.organization("acme").administrator().await;
    let all = tenantry_shared::access::Permission::ALL.iter().map(|permission| permission.codename());
    let scoped = make_scoped(&operator, &all.collect::<Vec<_>>()).await;
    let whole = with(&operator, &make(&operator, "all").await);
    let slugs = async |caller: &harness::Caller| caller.get("/v1/orgs").await.ok()["count"].clone();
    assert_eq!((slugs(&whole).await, slugs(&scoped).await), (json!(2), json!(1)));
    scoped.get("/v1/orgs/acme").await.problem(404, "not_found");
    whole.get("/v1/orgs/acme").await.ok();
    let new = json!({ "name": "Globex", "slug": "globex", "admin_email": "hank@globex.example" });
    let refused = scoped.post("/v1/orgs", new.clone()).await;
    assert_eq!(refused.status, 403, "{}", refused.whole());
    whole.post("/v1/orgs", new).await.created();
    app.finish().await;
}
