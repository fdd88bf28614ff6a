//! Groups of the company's directory, and what they lead to here.

use harness::{Said, Tab, TestApp};
use serde_json::json;

use super::{acme, is_in};

#[tokio::test]
async fn whoever_signs_in_joins_what_his_groups_lead_to_and_leaves_the_rest_of_it() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let own = admin.post("/user-groups", json!({ "name": "Night shift" })).await.created()["id"].clone();
    let other = admin.post("/user-groups", json!({ "name": "By hand" })).await.created()["id"].clone();
    let mapping = json!([
        { "directory_group": "Auditors", "role": "auditor" },
        { "directory_group": "Everybody", "role": "reader" },
        { "directory_group": "Night", "user_group": own },
        { "directory_group": "Late", "user_group": own },
    ]);
    admin.patch(&format!("/saml/connections/{}", company.id), json!({ "group_mapping": mapping })).await.ok();
    let tab = Tab::new(app.anonymous());
    let with = |groups: &[&str]| Said::of("bob@example.com").with("groups", groups);
    let groups_of = async |tab: &Tab| {
        let me = tab.caller("acme").await.get("/iam/current-user").await.ok();
        let mut names: Vec<String> = me["user_groups"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|group| group["str"].as_str().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        names
    };
    is_in(&tab.sign_in(&company, &with(&["Everybody", "Late", "unknown"])).await, "/");
    assert_eq!(groups_of(&tab).await, ["Night shift", "reader"]);
    let bob = tab.caller("acme").await;
    let path = format!("/users/{}", bob.id);
    let reader = admin.group("reader").await;
    admin.patch(&path, json!({ "user_groups": [reader, own, other] })).await.ok();
    is_in(&tab.sign_in(&company, &with(&["Everybody", "Night"])).await, "/");
    assert_eq!(groups_of(&tab).await, ["By hand", "Night shift", "reader"], "nothing has changed");
    is_in(&tab.sign_in(&company, &with(&["auditors", "Auditors"])).await, "/");
    assert_eq!(groups_of(&tab).await, ["By hand", "auditor"], "what is not mapped is not the directory's");
    let changed = admin.get(&format!("/audit-events?action=user.changed&object={}", bob.id)).await.ok();
    assert_eq!(changed["results"][0]["details"]["by"], "identity provider", "{changed}");
    is_in(&tab.sign_in(&company, &Said::of("bob@example.com")).await, "/");
    assert_eq!(groups_of(&tab).await, ["By hand"]);
    app.finish().await;
}

#[tokio::test]
async fn the_directory_does_not_take_the_last_administrator_away() {
    let app = TestApp::start().await;
    let (admin, company) = acme(&app, json!({ "jit_provisioning": true })).await;
    let mapping = json!([{ "directory_group": "Admins", "role": "administrator" }]);
    admin.patch(&format!("/saml/connections/{}", company.id), json!({ "group_mapping": mapping })).await.ok();
    let tab = Tab::new(app.anonymous());
    let with = |groups: &[&str]| Said::of("bob@example.com").with("groups", groups);
    is_in(&tab.sign_in(&company, &with(&["Admins"])).await, "/");
    let bob = tab.caller("acme").await;
    assert_eq!(bob.get("/iam/current-user").await.ok()["is_admin"], true);
    // He is the only one left: the superuser is no member of that group any more.
    let (reader, administrator) = (admin.group("reader").await, admin.group("administrator").await);
    bob.patch(&format!("/users/{}", bob.id), json!({ "first_name": "Bob" })).await.ok();
    let out =
        format!("delete from user_group_members where user_id = '{}' and user_group_id = '{administrator}'", admin.id);
    app.database().execute(&out).await;
    is_in(&tab.sign_in(&company, &with(&["none"])).await, "/");
    assert_eq!(tab.caller("acme").await.get("/iam/current-user").await.ok()["is_admin"], true, "he stays");
    // As soon as there is another one, the directory's word counts.
    admin.patch(&format!("/users/{}", admin.id), json!({ "user_groups": [administrator, reader] })).await.ok();
    is_in(&tab.sign_in(&company, &with(&["none"])).await, "/");
    assert_eq!(tab.caller("acme").await.get("/iam/current-user").await.ok()["is_admin"], false);
    app.finish().await;
}
