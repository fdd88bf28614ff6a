//! Groups: people who are given roles together.

use harness::{Caller, TestApp};
use serde_json::{Value, json};

use crate::roles::{folder, id, nobody, role, root};

fn path(group: &Value) -> String {
    format!("/user-groups/{}", id(group))
}

async fn make(admin: &Caller, name: &str, folder: &str) -> Value {
    admin.post("/user-groups", json!({ "name": name, "folder": folder })).await.created()
}

async fn names(caller: &Caller, path: &str) -> Vec<String> {
    let list = caller.get(path).await.ok();
    let names = list["results"].as_array().expect("a list").iter().filter_map(|group| group["name"].as_str());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_group_is_made_read_changed_and_deleted() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let (domain, other) = (folder(&admin, "Domain", &root).await, folder(&admin, "Other", &root).await);
    let body = json!({
        "name": " Night shift ", "description": "Called first.", "folder": domain, "is_published": true, "builtin": true,
    });
    let made = admin.post("/user-groups", body).await.created();
    let object = json!({
        "id": made["id"], "name": "Night shift", "description": "Called first.", "folder": domain, "is_published": true,
        "builtin": false, "created_at": made["created_at"], "updated_at": made["updated_at"],
    });
    assert_eq!(made, object, "what is read-only is ignored");
    assert_eq!(admin.get(&format!("{}/object", path(&made))).await.ok(), object);
    let read = admin.get(&path(&made)).await.ok();
    assert_eq!(read["folder"], json!({ "id": domain, "str": "Domain" }));
    assert_eq!(read["path"], json!([{ "id": root, "str": "Global" }, { "id": domain, "str": "Domain" }]));
    assert_eq!(read["localization_dict"], Value::Null, "its name is its own");
    for field in ["id", "name", "description", "is_published", "builtin", "created_at", "updated_at"] {
        assert_eq!(read[field], object[field], "{field}");
    }

    let moved = json!({ "description": null, "is_published": false, "folder": other });
    let changed = admin.patch(&path(&made), moved).await.ok();
    assert_eq!((&changed["description"], &changed["is_published"]), (&Value::Null, &json!(false)));
    assert_eq!((&changed["name"], &changed["folder"]), (&json!("Night shift"), &json!(other)));
    let replaced = admin.put(&path(&made), json!({ "name": "Day shift", "description": "By day." })).await.ok();
    assert_eq!((&replaced["name"], &replaced["description"]), (&json!("Day shift"), &json!("By day.")));
    assert_eq!((&replaced["folder"], &replaced["created_at"]), (&json!(other), &made["created_at"]));

    admin.delete(&path(&made)).await.no_content();
    admin.get(&path(&made)).await.problem(404, "not_found");
    let log = admin.get("/audit-events?object_type=user_group").await.ok();
    let actions: Vec<_> = log["results"].as_array().expect("a list").iter().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["user_group.deleted", "user_group.changed", "user_group.changed", "user_group.created"]);
    app.finish().await;
}

#[tokio::test]
async fn a_groups_members_hold_what_is_assigned_to_it_and_lose_it_when_it_goes() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let group = make(&admin, "Desk", &root).await;
    let bob = nobody(&admin, "bob@example.com").await;
    let desk = role(&admin, "Desk", &["view_team"]).await;
    let body = json!({ "name": "Desk", "user_group": group["id"], "role": desk, "perimeter_folders": [root] });
    let given = admin.post("/role-assignments", body).await.created();
    bob.get("/teams").await.problem(403, "permission_denied");
    let user = format!("/users/{}", bob.id);
    let joined = admin.patch(&user, json!({ "user_groups": [group["id"]] })).await.ok();
    assert_eq!((&joined["user_groups"], &joined["roles"]), (&json!([group["id"]]), &json!(["Desk"])));
    assert_eq!(admin.get(&user).await.ok()["user_groups"], json!([{ "id": group["id"], "str": "Desk" }]));
    bob.get("/teams").await.ok();

    let preview = admin.get(&format!("{}/cascade-info", path(&group))).await.ok();
    let named = |part: &str| (preview[part]["count"].clone(), preview[part]["related_objects"][0]["id"].clone());
    assert_eq!(named("deleted"), (json!(1), given["id"].clone()));
    assert_eq!(named("affected"), (json!(1), json!(bob.id)));
    admin.delete(&path(&group)).await.no_content();
    admin.get(&format!("/role-assignments/{}", id(&given))).await.problem(404, "not_found");
    assert_eq!(admin.get(&user).await.ok()["user_groups"], json!([]));
    bob.get("/teams").await.problem(403, "permission_denied");
    app.finish().await;
}

#[tokio::test]
async fn a_built_in_group_says_which_role_it_gives_and_stays_as_it_is() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let readers = format!("/user-groups/{}", admin.group("reader").await);
    let read = admin.get(&readers).await.ok();
    assert_eq!(
        (&read["builtin"], &read["localization_dict"]),
        (&json!(true), &json!({ "role": "reader", "folder": "Global" }))
    );
    admin.patch(&readers, json!({ "name": "x" })).await.problem(409, "builtin");
    admin.put(&readers, json!({ "name": "x" })).await.problem(409, "builtin");
    admin.get(&format!("{readers}/cascade-info")).await.problem(409, "builtin");
    admin.delete(&readers).await.problem(409, "builtin");
    assert_eq!(admin.get(&readers).await.ok(), read);
    app.finish().await;
}

#[tokio::test]
async fn each_bad_field_is_refused_by_itself() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    make(&admin, "Night shift", &root(&admin).await).await;
    let before = admin.get("/user-groups").await.ok()["count"].clone();
    for (field, value, code) in [
        ("name", json!(" "), "required"),
        ("name", json!("x".repeat(201)), "too_long"),
        ("description", json!("x".repeat(4_001)), "too_long"),
        ("folder", json!("01a20142-b4b6-7e53-9117-9e8a179185ee"), "not_found"),
        ("is_published", json!("yes"), "invalid_type"),
        ("members", json!([]), "unknown_field"),
    ] {
        let mut body = json!({ "name": "One" });
        body[field] = value;
        admin.post("/user-groups", body).await.invalid(field, code);
    }
    admin.post("/user-groups", json!({ "name": "NIGHT SHIFT" })).await.problem(409, "name_taken");
    assert_eq!(admin.get("/user-groups").await.ok()["count"], before);
    let longest = json!({ "name": "x".repeat(200), "description": "x".repeat(4_000) });
    admin.post("/user-groups", longest).await.created();
    app.finish().await;
}

#[tokio::test]
async fn filters_narrow_the_list_whether_ids_are_separated_by_commas_or_a_parameter_is_repeated() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let (one, two) = (folder(&admin, "One", &root).await, folder(&admin, "Two", &root).await);
    let (blue, red) = (make(&admin, "Blue", &one).await, make(&admin, "Red", &two).await);
    let (blue, red) = (id(&blue), id(&red));
    for (query, expected) in [
        (format!("id={blue}"), vec!["Blue"]),
        (format!("id={blue},{red}"), vec!["Blue", "Red"]),
        (format!("id={blue}&id={red}&ordering=-name"), vec!["Red", "Blue"]),
        (format!("folder={two}&search=red"), vec!["Red"]),
        (format!("folder={one}&folder={two}&search=e"), vec!["Blue", "Red"]),
        (format!("folder={one},{two}&search=e"), vec!["Blue", "Red"]),
    ] {
        let found = names(&admin, &format!("/user-groups?{query}")).await;
        let own: Vec<&str> = found.iter().map(String::as_str).filter(|name| ["Blue", "Red"].contains(name)).collect();
        assert_eq!(own, expected, "{query}");
    }
    let first = admin.get(&format!("/user-groups?id={blue}&id={red}&limit=1")).await.ok();
    let next = first["next"].as_str().expect("another page").split_once("/v1/").expect("an address").1.to_owned();
    assert_eq!(names(&admin, &format!("/v1/{next}")).await, ["Red"], "the way on keeps both");
    admin.get(&format!("/user-groups?id={blue}&id=nonsense")).await.invalid("id", "invalid");
    app.finish().await;
}

#[tokio::test]
async fn a_batch_changes_moves_and_deletes_groups() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let domain = folder(&admin, "Domain", &root).await;
    let (blue, red) = (make(&admin, "Blue", &root).await, make(&admin, "Red", &root).await);
    let readers = admin.group("reader").await;
    let batch = async |mut body: Value| {
        body["ids"] = json!([blue["id"], readers, red["id"]]);
        admin.post("/user-groups/batch-action", body).await.ok()
    };
    for body in [
        json!({ "action": "change_field", "field": "description", "value": "Together." }),
        json!({ "action": "change_folder", "value": domain }),
    ] {
        let done = batch(body).await;
        let named = |group: &Value| json!({ "id": group["id"], "name": group["name"] });
        assert_eq!(done["succeeded"], json!([named(&blue), named(&red)]));
        assert_eq!((&done["failed"][0]["id"], &done["failed"][0]["code"]), (&json!(readers), &json!("builtin")));
    }
    let changed = admin.get(&format!("{}/object", path(&red))).await.ok();
    assert_eq!((&changed["description"], &changed["folder"]), (&json!("Together."), &json!(domain)));
    assert_eq!(batch(json!({ "action": "delete" })).await["succeeded"].as_array().map(Vec::len), Some(2));
    admin.get(&path(&blue)).await.problem(404, "not_found");
    let unknown = json!({ "action": "change_m2m", "ids": [], "field": "members", "value": [] });
    admin.post("/user-groups/batch-action", unknown).await.invalid("field", "unknown_field");
    app.finish().await;
}

#[tokio::test]
async fn the_list_has_another_name() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let reader = admin.member("rita@example.com", "reader").await;
    make(&admin, "Night shift", &root(&admin).await).await;
    let list = reader.get("/user-groups").await.ok();
    assert_eq!(reader.get("/groups").await.ok(), list);
    assert_eq!(list["count"], 7, "one of each built-in role, and another");
    let page = reader.get("/groups?page=2&page_size=5").await.ok();
    assert_eq!(
        (&page["count"], &page["results"]),
        (&json!(7), &json!(list["results"].as_array().expect("a list")[5..]))
    );
    assert!(page["previous"].as_str().is_some_and(|url| url.contains("/groups?")), "{page}");
    assert_eq!(names(&reader, "/groups?search=night").await, ["Night shift"]);
    nobody(&admin, "bob@example.com").await.get("/groups").await.problem(403, "permission_denied");
    app.finish().await;
}
