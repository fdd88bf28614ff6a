//! Named sets of permissions.

use harness::{Caller, TestApp};
use serde_json::{Value, json};

/// The id of something that was made.
pub(crate) fn id(made: &Value) -> String {
    made["id"].as_str().expect("an id").to_owned()
}

/// The organization's root folder.
pub(crate) async fn root(caller: &Caller) -> String {
    caller.get("/iam/current-user").await.ok()["root_folder_id"].as_str().expect("an id").to_owned()
}

/// A folder below another.
pub(crate) async fn folder(admin: &Caller, name: &str, parent: &str) -> String {
    id(&admin.post("/folders", json!({ "name": name, "parent_folder": parent })).await.created())
}

/// A role at the root, published: whoever may look at roles sees it.
pub(crate) async fn role(admin: &Caller, name: &str, permissions: &[&str]) -> String {
    let body = json!({ "name": name, "permissions": permissions, "is_published": true });
    id(&admin.post("/roles", body).await.created())
}

/// A role given to a user.
pub(crate) async fn assign(admin: &Caller, user: &Caller, role: &str, folders: &[&str], is_recursive: bool) -> String {
    let body = json!({
        "name": "given", "user": user.id, "role": role, "perimeter_folders": folders, "is_recursive": is_recursive,
    });
    id(&admin.post("/role-assignments", body).await.created())
}

/// Someone who is signed in and holds nothing.
pub(crate) async fn nobody(admin: &Caller, email: &str) -> Caller {
    let user = admin.member(email, "reader").await;
    admin.patch(&format!("/users/{}", user.id), json!({ "user_groups": [] })).await.ok();
    user
}

/// Someone who holds these permissions over a folder and below it.
pub(crate) async fn holder(admin: &Caller, email: &str, permissions: &[&str], folder: &str) -> Caller {
    let user = nobody(admin, email).await;
    let role = role(admin, email, permissions).await;
    assign(admin, &user, &role, &[folder], true).await;
    user
}

#[tokio::test]
async fn a_role_is_made_read_changed_and_deleted() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let body = json!({ "name": " Reception ", "description": "Front desk", "permissions": ["view_user", "add_user", "view_user"] });
    let made = admin.post("/roles", body).await.created();
    let path = format!("/roles/{}", id(&made));
    assert_eq!(made["permissions"], json!(["view_user", "add_user"]), "each once");
    assert_eq!((&made["name"], &made["folder"], &made["builtin"]), (&json!("Reception"), &json!(root), &json!(false)));
    let read = admin.get(&path).await.ok();
    assert_eq!(read["folder"], json!({ "id": root, "str": "Global" }));
    assert_eq!(admin.get(&format!("{path}/object")).await.ok(), made);
    admin.post("/roles", json!({ "name": "RECEPTION", "permissions": [] })).await.problem(409, "name_taken");
    let found = admin.get("/roles?permission=add_user&search=front").await.ok();
    assert_eq!((&found["count"], &found["results"][0]["id"]), (&json!(1), &made["id"]));
    let patched = admin.patch(&path, json!({ "permissions": ["view_folder"], "description": null })).await.ok();
    assert_eq!((&patched["permissions"], &patched["description"]), (&json!(["view_folder"]), &Value::Null));
    let put = admin.put(&path, json!({ "name": "Desk", "permissions": ["view_role"] })).await.ok();
    assert_eq!(
        (&put["name"], &put["permissions"], &put["folder"]),
        (&json!("Desk"), &json!(["view_role"]), &json!(root))
    );
    assert_eq!(admin.get(&format!("{path}/cascade-info")).await.ok()["deleted"]["count"], 0);
    admin.delete(&path).await.no_content();
    admin.get(&path).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn a_permission_that_is_not_there_is_refused() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for wrong in ["", "fly", "VIEW_USER"] {
        let body = json!({ "name": "x", "permissions": ["view_user", wrong] });
        admin.post("/roles", body).await.invalid("permissions", "unknown_permission");
    }
    admin.post("/roles", json!({ "name": "x" })).await.invalid("permissions", "required");
    admin
        .post("/roles", json!({ "name": "x", "permissions": "view_user" }))
        .await
        .invalid("permissions", "invalid_type");
    let made = role(&admin, "x", &["view_user"]).await;
    let batch = json!({ "action": "add_m2m", "ids": [made], "field": "permissions", "value": "fly" });
    admin.post("/roles/batch-action", batch).await.invalid("permissions", "unknown_permission");
    app.finish().await;
}

#[tokio::test]
async fn a_built_in_role_stays_as_it_is() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let roles = admin.get("/roles").await.ok();
    assert_eq!(roles["count"], 6);
    for role in roles["results"].as_array().expect("a list") {
        assert_eq!((&role["builtin"], &role["is_published"]), (&json!(true), &json!(true)));
        let path = format!("/roles/{}", id(role));
        admin.patch(&path, json!({ "permissions": [] })).await.problem(409, "builtin");
        admin.put(&path, json!({ "name": "x", "permissions": [] })).await.problem(409, "builtin");
        admin.get(&format!("{path}/cascade-info")).await.problem(409, "builtin");
        admin.delete(&path).await.problem(409, "builtin");
        let batch =
            json!({ "action": "remove_m2m", "ids": [id(role)], "field": "permissions", "value": ["view_user"] });
        let done = admin.post("/roles/batch-action", batch).await.ok();
        assert_eq!((&done["succeeded"], &done["failed"][0]["code"]), (&json!([]), &json!("builtin")));
    }
    assert_eq!(admin.get("/roles").await.ok(), roles);
    app.finish().await;
}

#[tokio::test]
async fn a_batch_adds_and_takes_permissions() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let one = role(&admin, "one", &["view_user"]).await;
    let two = role(&admin, "two", &["view_team", "view_folder"]).await;
    let permissions = async || {
        let mut found = Vec::new();
        for role in [&one, &two] {
            found.push(admin.get(&format!("/roles/{role}")).await.ok()["permissions"].clone());
        }
        found
    };
    for (action, value, expected) in [
        (
            "add_m2m",
            json!(["view_role"]),
            [json!(["view_user", "view_role"]), json!(["view_folder", "view_role", "view_team"])],
        ),
        ("remove_m2m", json!("view_user"), [json!(["view_role"]), json!(["view_folder", "view_role", "view_team"])]),
        ("change_m2m", json!([]), [json!([]), json!([])]),
    ] {
        let batch = json!({ "action": action, "ids": [one, two], "field": "permissions", "value": value });
        let done = admin.post("/roles/batch-action", batch).await.ok();
        assert_eq!(done["succeeded"].as_array().map(Vec::len), Some(2), "{done}");
        assert_eq!(permissions().await, expected, "{action}");
    }
    app.finish().await;
}

#[tokio::test]
async fn nobody_makes_a_role_of_what_he_does_not_hold() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (root, reads) = (root(&admin).await, ["view_folder", "view_role", "add_role", "change_role", "view_user"]);
    let domain = folder(&admin, "Domain", &root).await;
    let below = folder(&admin, "Below", &domain).await;
    let bob = holder(&admin, "bob@example.com", &reads, &domain).await;
    let body =
        |folder: &str, permissions: &[&str]| json!({ "name": "new", "folder": folder, "permissions": permissions });
    let made = bob.post("/roles", body(&below, &["view_user"])).await.created();
    bob.post("/roles", body(&domain, &["view_user", "delete_user"])).await.problem(403, "cannot_grant");
    bob.post("/roles", json!({ "name": "new", "permissions": [] })).await.problem(403, "permission_denied");
    bob.post("/roles", body(&root, &["view_user"])).await.invalid("folder", "not_found");
    let path = format!("/roles/{}", id(&made));
    bob.patch(&path, json!({ "permissions": ["view_user", "delete_user"] })).await.problem(403, "cannot_grant");
    bob.patch(&path, json!({ "permissions": ["view_user", "view_folder"] })).await.ok();
    // What he may add to, but not hold below: a role of a folder alone.
    let carol = nobody(&admin, "carol@example.com").await;
    let here = role(&admin, "here", &reads).await;
    assign(&admin, &carol, &here, &[&domain], false).await;
    carol.post("/roles", body(&domain, &["view_user"])).await.problem(403, "cannot_grant");
    app.finish().await;
}

#[tokio::test]
async fn what_is_added_to_a_role_is_held_wherever_it_was_given() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let (mine, other) = (folder(&admin, "Mine", &root).await, folder(&admin, "Other", &root).await);
    let all = ["view_folder", "view_role", "change_role", "view_team", "view_user"];
    let bob = holder(&admin, "bob@example.com", &all, &mine).await;
    let carol = nobody(&admin, "carol@example.com").await;
    let body = json!({ "name": "shared", "folder": mine, "permissions": ["view_user"] });
    let shared = id(&admin.post("/roles", body).await.created());
    let path = format!("/roles/{shared}");
    let given = assign(&admin, &carol, &shared, &[&mine, &other], false).await;
    bob.patch(&path, json!({ "permissions": ["view_user", "view_team"] })).await.problem(403, "cannot_grant");
    bob.patch(&path, json!({ "permissions": [] })).await.ok();
    admin.patch(&format!("/role-assignments/{given}"), json!({ "perimeter_folders": [mine] })).await.ok();
    bob.patch(&path, json!({ "permissions": ["view_user", "view_team"] })).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn nobody_takes_a_right_from_himself_by_changing_his_role() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let all = ["view_folder", "view_role", "change_role", "delete_role", "view_user"];
    let bob = holder(&admin, "bob@example.com", &all, &root(&admin).await).await;
    let found = admin.get("/roles?search=bob").await.ok();
    let path = format!("/roles/{}", id(&found["results"][0]));
    bob.patch(&path, json!({ "permissions": ["view_role", "change_role"] }))
        .await
        .problem(409, "cannot_change_oneself");
    bob.delete(&path).await.problem(409, "cannot_change_oneself");
    bob.get("/users").await.ok();
    admin.patch(&path, json!({ "permissions": ["view_role", "change_role"] })).await.ok();
    bob.get("/users").await.problem(403, "permission_denied");
    app.finish().await;
}
