//! Personal access tokens: made, limited, used, ended.

mod ends;
mod lists;
mod makes;
mod scopes;
mod uses;

use harness::Caller;
use reqwest::Method;
use serde_json::{Value, json};

/// Makes a token and answers it.
async fn make(caller: &Caller, name: &str) -> Value {
    caller.post("/iam/auth-tokens", json!({ "name": name })).await.created()
}

/// Makes one that may be used for these only.
async fn make_scoped(caller: &Caller, permissions: &[&str]) -> Caller {
    let body = json!({ "name": "scoped", "permissions": permissions });
    with(caller, &caller.post("/iam/auth-tokens", body).await.created())
}

/// The same person, calling with this token.
fn with(caller: &Caller, made: &Value) -> Caller {
    let token = made["token"].as_str().expect("a token");
    caller.with_authorization(Some(&format!("Bearer {token}")))
}

fn path(made: &Value) -> String {
    format!("/iam/auth-tokens/{}", made["id"].as_str().expect("an id"))
}

async fn lives(caller: &Caller) -> bool {
    let answer = caller.get("/iam/current-user").await;
    if answer.status != 200 {
        answer.problem(401, "not_authenticated");
        return false;
    }
    true
}

async fn logout_all(caller: &Caller) {
    caller.call(Method::POST, "/iam/logoutall").await.no_content();
}
