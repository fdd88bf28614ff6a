//! Who may do what where, as the product beside us asks.

use std::collections::BTreeSet;

use harness::{Caller, TestApp, days};
use serde_json::{Value, json};

use crate::roles::{assign, folder, holder, id, nobody, role, root};

async fn ask(caller: &Caller, checks: Value) -> Vec<Value> {
    let answer = caller.post("/permissions/check", json!({ "checks": checks })).await.ok();
    answer["results"].as_array().expect("results").clone()
}

#[tokio::test]
async fn every_permission_is_explained() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let all = nobody(&admin, "bob@example.com").await.get("/permissions").await.ok();
    let mut seen = BTreeSet::new();
    for permission in all["results"].as_array().expect("results") {
        let text = |field: &str| permission[field].as_str().expect("a text").to_owned();
        assert!(text("description").ends_with('.') && text("name") != text("codename"), "{permission}");
        assert!(seen.insert(text("codename")) && seen.insert(text("name")), "{permission} is there once");
    }
    assert_eq!(all["count"].as_u64(), Some(seen.len() as u64 / 2));
    let made = admin
        .post(
            "/roles",
            json!({ "name": "all", "permissions": all["results"].as_array().expect("results")
        .iter().map(|permission| permission["codename"].clone()).collect::<Vec<_>>() }),
        )
        .await
        .created();
    assert_eq!(made["permissions"].as_array().map(Vec::len), Some(seen.len() / 2));
    app.finish().await;
}

#[tokio::test]
async fn a_check_answers_in_order_and_says_why() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let domain = folder(&admin, "Domain", &root).await;
    let below = folder(&admin, "Below", &domain).await;
    let bob = nobody(&admin, "bob@example.com").await;
    let sees = role(&admin, "sees", &["view_folder", "view_team"]).await;
    let deep = assign(&admin, &bob, &sees, &[&domain], true).await;
    let here = assign(&admin, &bob, &sees, &[&domain], false).await;
    let group = id(&admin.post("/user-groups", json!({ "name": "G" })).await.created());
    let body = json!({ "name": "g", "user_group": group, "role": sees, "perimeter_folders": [below] });
    let through = id(&admin.post("/role-assignments", body).await.created());
    admin.patch(&format!("/users/{}", bob.id), json!({ "user_groups": [group] })).await.ok();
    let mut both = [deep.clone(), here];
    both.sort();
    let mut below_reasons = [deep, through];
    below_reasons.sort();
    let expected = [
        json!({ "allowed": true, "reason": both }),
        json!({ "allowed": true, "reason": below_reasons }),
        json!({ "allowed": false, "reason": [] }),
        json!({ "allowed": false, "reason": [] }),
    ];
    let questions = |user: Value| {
        let ask = |permission: &str, folder: Option<&str>| json!({ "user": user, "permission": permission, "folder": folder });
        json!([
            ask("view_team", Some(&domain)),
            ask("view_team", Some(&below)),
            ask("view_user", Some(&domain)),
            ask("view_team", None)
        ])
    };
    assert_eq!(ask(&bob, questions(Value::Null)).await, expected);
    assert_eq!(ask(&admin, questions(json!(bob.id))).await, expected);
    let superuser =
        ask(&admin, json!([{ "permission": "change_usage" }, { "permission": "view_team", "folder": below }])).await;
    assert_eq!(superuser, vec![json!({ "allowed": true, "reason": [] }); 2]);
    assert_eq!(ask(&bob, json!([])).await, Vec::<Value>::new());
    app.finish().await;
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_named() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let other = app.organization("other").administrator().await;
    let bob = nobody(&admin, "bob@example.com").await;
    let good = json!({ "permission": "view_user" });
    let fails = async |caller: &Caller, wrong: Value, field: &str, code: &str| {
        let checks = json!({ "checks": [good, good, wrong] });
        caller.post("/permissions/check", checks).await.invalid(&format!("checks[2].{field}"), code);
    };
    fails(&admin, json!({ "permission": "fly" }), "permission", "unknown_permission").await;
    fails(&admin, json!({ "permission": "view_user", "user": other.id }), "user", "not_found").await;
    fails(&admin, json!({ "permission": "view_user", "folder": root(&other).await }), "folder", "not_found").await;
    fails(&bob, json!({ "permission": "view_user", "user": admin.id }), "user", "not_found").await;
    fails(&bob, json!({ "permission": "view_user", "folder": root(&admin).await }), "folder", "not_found").await;
    assert_eq!(ask(&bob, json!([{ "permission": "view_user", "user": bob.id }])).await.len(), 1, "himself he sees");
    assert_eq!(ask(&admin, json!(vec![good.clone(); 100])).await.len(), 100);
    let many = json!({ "checks": vec![good.clone(); 101] });
    admin.post("/permissions/check", many).await.invalid("checks", "too_many");
    admin.post("/permissions/check", json!({})).await.invalid("checks", "required");
    for wrong in [json!([1]), json!([{}]), json!([{ "permission": "view_user", "x": 1 }]), json!([{ "permission": 1 }])]
    {
        assert_eq!(admin.post("/permissions/check", json!({ "checks": wrong })).await.status, 400, "{wrong}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_reason_that_one_may_not_see_is_left_out() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let domain = folder(&admin, "Domain", &root).await;
    let (bob, sees) = (nobody(&admin, "bob@example.com").await, role(&admin, "sees", &["view_team"]).await);
    let hidden = assign(&admin, &bob, &sees, &[&domain], true).await;
    let all = ["view_folder", "view_user", "view_role_assignment"];
    let manager = holder(&admin, "manager@example.com", &all, &domain).await;
    let question = json!([{ "user": bob.id, "permission": "view_team", "folder": domain }]);
    assert_eq!(ask(&manager, question.clone()).await, [json!({ "allowed": true, "reason": [] })]);
    let body = json!({ "name": "x", "user": bob.id, "role": sees, "folder": domain, "perimeter_folders": [domain] });
    let shown = id(&admin.post("/role-assignments", body).await.created());
    assert_eq!(ask(&manager, question.clone()).await, [json!({ "allowed": true, "reason": [shown] })]);
    let own = ask(&bob, json!([{ "permission": "view_team" }])).await;
    assert_eq!(own, [json!({ "allowed": false, "reason": [] })], "over the root he holds nothing");
    let seen = ask(&admin, question).await;
    let mut both = [hidden, shown];
    both.sort();
    assert_eq!(seen[0]["reason"], json!(both));
    app.finish().await;
}

#[tokio::test]
async fn whoever_is_inactive_or_expired_may_nothing() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let home = root(&admin).await;
    let bob = holder(&admin, "bob@example.com", &["view_team"], &home).await;
    let path = format!("/users/{}", bob.id);
    let may = async || ask(&admin, json!([{ "user": bob.id, "permission": "view_team" }])).await[0]["allowed"].clone();
    assert_eq!(may().await, true);
    admin.patch(&path, json!({ "is_active": false })).await.ok();
    assert_eq!(may().await, false);
    admin.patch(&path, json!({ "is_active": true })).await.ok();
    let today = app.clock.now().date_naive();
    for (last_day, expected) in [(today, true), (today - days(1), false)] {
        admin.patch(&path, json!({ "expiry_date": last_day.to_string() })).await.ok();
        assert_eq!(may().await, expected, "{last_day}");
    }
    admin.patch(&path, json!({ "expiry_date": null, "is_superuser": true, "is_active": false })).await.ok();
    assert_eq!(may().await, false, "not even a superuser");
    app.finish().await;
}

#[tokio::test]
async fn what_is_about_the_whole_organization_counts_where_it_is_held_over_the_root() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let domain = folder(&admin, "Domain", &root).await;
    let below = holder(&admin, "below@example.com", &["view_audit_log", "view_folder"], &domain).await;
    let above = nobody(&admin, "above@example.com").await;
    let role = role(&admin, "here", &["view_audit_log"]).await;
    assign(&admin, &above, &role, &[&root], false).await;
    for (who, may) in [(&below, false), (&above, true)] {
        let asked = ask(&admin, json!([{ "user": who.id, "permission": "view_audit_log", "folder": domain }])).await;
        assert_eq!(asked[0]["allowed"], may, "{}", who.email);
        assert_eq!(who.get("/audit-events").await.status == 200, may, "{}", who.email);
    }
    app.finish().await;
}
