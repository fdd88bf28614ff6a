//! Who holds which role where.

use std::sync::Arc;

use harness::{Answer, Caller, Database, Processes, TestApp};
use serde_json::{Value, json};

use crate::roles::{assign, folder, holder, id, nobody, role, root};

/// The id of a built-in role.
async fn builtin(admin: &Caller, name: &str) -> String {
    id(&admin.get(&format!("/roles?search={name}")).await.ok()["results"][0])
}

/// Someone who holds the built-in role `administrator` over everything, by an assignment of his own.
async fn administrator(admin: &Caller, email: &str) -> (Caller, String) {
    let user = nobody(admin, email).await;
    let role = builtin(admin, "administrator").await;
    let given = assign(admin, &user, &role, &[&root(admin).await], true).await;
    (user, format!("/role-assignments/{given}"))
}

#[tokio::test]
async fn an_assignment_is_made_read_changed_and_deleted() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let (one, two) = (folder(&admin, "One", &root).await, folder(&admin, "Two", &root).await);
    let (bob, desk) = (nobody(&admin, "bob@example.com").await, role(&admin, "Desk", &["view_user"]).await);
    let body = json!({ "name": "Bob's", "user": bob.id, "role": desk, "perimeter_folders": [two, one, two] });
    let made = admin.post("/role-assignments", body).await.created();
    let path = format!("/role-assignments/{}", id(&made));
    let mut both = [one.clone(), two.clone()];
    both.sort();
    assert_eq!(
        (&made["folder"], &made["is_recursive"], &made["user_group"], &made["perimeter_folders"]),
        (&json!(root), &json!(false), &Value::Null, &json!(both))
    );
    assert_eq!(admin.get(&format!("{path}/object")).await.ok(), made);
    let read = admin.get(&path).await.ok();
    assert_eq!(read["role"], json!({ "id": desk, "str": "Desk" }));
    assert_eq!((&read["user"]["id"], read["perimeter_folders"].as_array().map(Vec::len)), (&json!(bob.id), Some(2)));
    for filter in [
        format!("user={}", bob.id),
        format!("role={desk}"),
        format!("perimeter_folders={one}&search=bob"),
        format!("folder={root}&search=bob"),
        format!("id={}", id(&made)),
    ] {
        let found = admin.get(&format!("/role-assignments?{filter}")).await.ok();
        assert_eq!((&found["count"], &found["results"][0]), (&json!(1), &read), "{filter}");
    }
    let group = admin.group("reader").await;
    let patched = admin.patch(&path, json!({ "user": null, "user_group": group, "is_recursive": true })).await.ok();
    assert_eq!((&patched["user"], &patched["user_group"]), (&Value::Null, &json!(group)));
    let found = admin.get(&format!("/role-assignments?user_group={group}&ordering=-created_at")).await.ok();
    assert_eq!((&found["count"], &found["results"][0]["id"]), (&json!(2), &made["id"]));
    let put = json!({ "name": "New", "user": bob.id, "role": desk, "perimeter_folders": [one] });
    let put = admin.put(&path, put).await.ok();
    assert_eq!(
        (&put["is_recursive"], &put["user_group"], &put["perimeter_folders"]),
        (&json!(false), &Value::Null, &json!([one]))
    );
    admin.put(&path, put).await.ok();
    admin.delete(&path).await.no_content();
    admin.get(&path).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn an_assignment_names_one_holder_and_what_is_there() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let other = app.organization("other").administrator().await;
    let (home, group) = (root(&admin).await, admin.group("reader").await);
    let desk = role(&admin, "Desk", &["view_user"]).await;
    let good = json!({ "name": "x", "user": admin.id, "role": desk, "perimeter_folders": [home] });
    let make = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        admin.post("/role-assignments", body)
    };
    make("user", Value::Null).await.invalid("user", "one_holder");
    make("user_group", json!(group)).await.invalid("user", "one_holder");
    make("perimeter_folders", json!([])).await.invalid("perimeter_folders", "required");
    make("perimeter_folders", json!(vec![home.clone(); 1_001])).await.invalid("perimeter_folders", "too_many");
    make("name", json!("n".repeat(201))).await.invalid("name", "too_long");
    make("name", json!(" ")).await.invalid("name", "required");
    let strange = root(&other).await;
    make("perimeter_folders", json!([home, strange])).await.invalid("perimeter_folders", "not_found");
    make("folder", json!(strange)).await.invalid("folder", "not_found");
    make("role", json!(role(&other, "x", &[]).await)).await.invalid("role", "not_found");
    make("user", json!(other.id)).await.invalid("user", "not_found");
    let made = make("name", json!("x")).await.created();
    let path = format!("/role-assignments/{}", id(&made));
    admin.patch(&path, json!({ "user_group": group })).await.invalid("user", "one_holder");
    admin.patch(&path, json!({ "user": null })).await.invalid("user", "one_holder");
    admin.patch(&path, json!({ "perimeter_folders": [] })).await.invalid("perimeter_folders", "required");
    assert_eq!(admin.get(&format!("{path}/object")).await.ok(), made);
    app.finish().await;
}

#[tokio::test]
async fn a_built_in_assignment_stays_as_it_is() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let all = admin.get("/role-assignments").await.ok();
    let path = format!("/role-assignments/{}", id(&all["results"][0]));
    assert_eq!(all["results"][0]["builtin"], true);
    admin.patch(&path, json!({ "name": "x" })).await.problem(409, "builtin");
    admin.get(&format!("{path}/cascade-info")).await.problem(409, "builtin");
    admin.delete(&path).await.problem(409, "builtin");
    app.finish().await;
}

#[tokio::test]
async fn nobody_gives_a_role_that_allows_more_than_he_may() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let (mine, other) = (folder(&admin, "Mine", &root).await, folder(&admin, "Other", &root).await);
    let all = [
        "view_folder",
        "view_role",
        "view_user",
        "view_role_assignment",
        "add_role_assignment",
        "change_role_assignment",
    ];
    let bob = holder(&admin, "bob@example.com", &all, &mine).await;
    let (small, large) = (role(&admin, "small", &["view_user"]).await, role(&admin, "large", &["delete_user"]).await);
    let body = |role: &str, folder: &str| json!({ "name": "x", "user": bob.id, "role": role, "folder": mine, "perimeter_folders": [folder], "is_recursive": true });
    let made = bob.post("/role-assignments", body(&small, &mine)).await.created();
    bob.post("/role-assignments", body(&large, &mine)).await.problem(403, "cannot_grant");
    bob.post("/role-assignments", body(&small, &other)).await.invalid("perimeter_folders", "not_found");
    let reader = role(&admin, "sees folders", &["view_folder"]).await;
    assign(&admin, &bob, &reader, &[&other], true).await;
    bob.post("/role-assignments", body(&small, &other)).await.problem(403, "cannot_grant");
    let path = format!("/role-assignments/{}", id(&made));
    bob.patch(&path, json!({ "role": large })).await.problem(403, "cannot_grant");
    bob.patch(&path, json!({ "perimeter_folders": [mine, other] })).await.problem(403, "cannot_grant");
    bob.patch(&path, json!({ "folder": other })).await.problem(403, "permission_denied");
    bob.patch(&path, json!({ "name": "y", "description": "z" })).await.ok();
    let batch = json!({ "action": "add_m2m", "ids": [id(&made)], "field": "perimeter_folders", "value": other });
    let done = bob.post("/role-assignments/batch-action", batch).await.ok();
    assert_eq!(done["failed"][0]["code"], "cannot_grant", "{done}");
    // Held in one folder alone, it is not given for what is below.
    let carol = nobody(&admin, "carol@example.com").await;
    let here = role(&admin, "here", &all).await;
    assign(&admin, &carol, &here, &[&mine], false).await;
    let mut body = body(&small, &mine);
    body["user"] = json!(carol.id);
    carol.post("/role-assignments", body.clone()).await.problem(403, "cannot_grant");
    body["is_recursive"] = json!(false);
    carol.post("/role-assignments", body).await.created();
    app.finish().await;
}

#[tokio::test]
async fn who_sees_an_assignment_is_not_told_what_it_names_beyond_that() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let (mine, other) = (folder(&admin, "Mine", &root).await, folder(&admin, "Hidden place", &root).await);
    let body = json!({ "name": "Hidden role", "folder": other, "permissions": ["view_user"] });
    let hidden = id(&admin.post("/roles", body).await.created());
    let secret = admin.post("/users", json!({ "email": "hidden@example.com" })).await.created();
    let body = json!({
        "name": "x", "user": secret["id"], "role": hidden, "folder": mine, "perimeter_folders": [other], "is_recursive": true,
    });
    let path = format!("/role-assignments/{}", id(&admin.post("/role-assignments", body).await.created()));
    let manager = nobody(&admin, "manager@example.com").await;
    let managers = admin.get(&format!("/user-groups?folder={mine}&search=domain_manager")).await.ok();
    let groups = json!({ "user_groups": [id(&managers["results"][0])] });
    admin.patch(&format!("/users/{}", manager.id), groups).await.ok();

    let read = manager.get(&path).await.ok();
    assert_eq!((&read["user"], &read["user_group"], &read["role"]), (&json!({}), &Value::Null, &json!({})));
    assert_eq!((&read["folder"]["id"], &read["perimeter_folders"]), (&json!(mine), &json!([])));
    let stored = manager.get(&format!("{path}/object")).await.ok();
    assert_eq!((&stored["user"], &stored["role"], &stored["perimeter_folders"]), (&json!({}), &json!({}), &json!([])));
    let listed = manager.get("/role-assignments?search=x").await.ok();
    assert_eq!((&listed["count"], &listed["results"][0]), (&json!(1), &read));
    for filter in [format!("role={hidden}"), format!("user={}", id(&secret)), format!("perimeter_folders={other}")] {
        assert_eq!(manager.get(&format!("/role-assignments?{filter}")).await.ok()["count"], 0, "{filter}");
        assert_eq!(admin.get(&format!("/role-assignments?{filter}&search=x")).await.ok()["count"], 1, "{filter}");
    }
    // What he does not see stays in the perimeter when he says what he wants in it.
    manager.patch(&path, json!({ "perimeter_folders": [mine] })).await.problem(403, "cannot_grant");
    manager.patch(&path, json!({ "name": "y" })).await.ok();
    let after = admin.get(&format!("{path}/object")).await.ok();
    assert_eq!((&after["role"], &after["perimeter_folders"]), (&json!(hidden), &json!([other])));
    app.finish().await;
}

#[tokio::test]
async fn a_batch_that_would_empty_one_perimeter_spoils_no_other() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let (one, two) = (folder(&admin, "One", &root).await, folder(&admin, "Two", &root).await);
    let desk = role(&admin, "Desk", &["view_user"]).await;
    let narrow = assign(&admin, &admin, &desk, &[&one], false).await;
    let wide = assign(&admin, &admin, &desk, &[&one, &two], false).await;
    let batch = json!({ "action": "remove_m2m", "ids": [narrow, wide], "field": "perimeter_folders", "value": [one] });
    let bob = administrator(&admin, "bob@example.com").await.0;
    let done = bob.post("/role-assignments/batch-action", batch).await.ok();
    assert_eq!((&done["failed"][0]["id"], &done["failed"][0]["code"]), (&json!(narrow), &json!("perimeter_empty")));
    assert_eq!(done["succeeded"], json!([{ "id": wide, "name": "given" }]));
    let left = admin.get(&format!("/role-assignments/{wide}/object")).await.ok();
    assert_eq!(left["perimeter_folders"], json!([two]));
    app.finish().await;
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn of_two_who_take_the_last_administrators_roles_at_once_one_fails() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (bob, of_bob) = administrator(&admin, "bob@example.com").await;
    let (_, of_carol) = administrator(&admin, "carol@example.com").await;
    // A superuser, and no administrator any more.
    let before = app.database().value("select count(*) from user_group_members").await;
    app.database().execute(&format!("delete from user_group_members where user_id = '{}'", admin.id)).await;
    assert_ne!(app.database().value("select count(*) from user_group_members").await, before);
    let answers =
        futures_util::future::join_all([&of_bob, &of_carol].map(|path| admin.delete(path).into_future())).await;
    assert_eq!(statuses(&answers), [204, 409]);
    answers.into_iter().find(|answer| answer.status == 409).expect("one").problem(409, "last_administrator");
    let last = if admin.get(&of_bob).await.status == 200 { of_bob } else { of_carol };
    admin.patch(&last, json!({ "is_recursive": false })).await.problem(409, "last_administrator");
    admin.patch(&last, json!({ "user": bob.id })).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn of_two_administrators_who_turn_each_other_out_one_stays() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for round in 0..3 {
        let (bob, of_bob) = administrator(&admin, &format!("bob{round}@example.com")).await;
        let (carol, of_carol) = administrator(&admin, &format!("carol{round}@example.com")).await;
        bob.delete(&of_bob).await.problem(409, "cannot_change_oneself");
        let calls = [bob.delete(&of_carol).into_future(), carol.delete(&of_bob).into_future()];
        let answers = futures_util::future::join_all(calls).await;
        let done = answers.iter().filter(|answer| answer.status == 204).count();
        assert_eq!(done, 1, "{:?}", statuses(&answers));
        let left = [admin.get(&of_bob).await, admin.get(&of_carol).await];
        assert_eq!(statuses(&left), [200, 404]);
    }
    app.finish().await;
}

#[tokio::test]
async fn a_recursive_role_reaches_the_sixty_fourth_level_and_another_only_its_folder() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let mut way = vec![root(&admin).await];
    for level in 2..=64 {
        way.push(folder(&admin, &format!("Level {level}"), &way[way.len() - 1]).await);
    }
    let too_deep = json!({ "name": "Level 65", "parent_folder": way[63] });
    admin.post("/folders", too_deep).await.problem(409, "too_deep");
    let sees = role(&admin, "sees", &["view_folder", "view_user_group"]).await;
    let (deep, here) = (nobody(&admin, "deep@example.com").await, nobody(&admin, "here@example.com").await);
    assign(&admin, &deep, &sees, &[&way[1]], true).await;
    assign(&admin, &here, &sees, &[&way[1]], false).await;
    deep.get(&format!("/folders/{}", way[63])).await.ok();
    here.get(&format!("/folders/{}", way[63])).await.problem(404, "not_found");
    deep.get(&format!("/folders/{}", way[0])).await.problem(404, "not_found");
    for (who, folder, groups) in [(&deep, &way[63], 6), (&deep, &way[0], 0), (&here, &way[1], 6), (&here, &way[2], 0)] {
        assert_eq!(who.get(&format!("/user-groups?folder={folder}")).await.ok()["count"], groups, "{}", who.email);
    }
    assert_eq!(deep.get("/folders").await.ok()["count"], 63);
    let check = json!({ "checks": [{ "permission": "view_user_group", "folder": way[63] }] });
    assert_eq!(deep.post("/permissions/check", check).await.ok()["results"][0]["allowed"], true);
    app.finish().await;
}

#[tokio::test]
async fn a_role_that_is_taken_away_is_gone_for_the_next_request_in_every_process() {
    let database = Arc::new(Database::create().await);
    let (one, two) = (Processes::start_on(Arc::clone(&database)).await, Processes::start_on(database).await);
    let admin = one.administrator_of("acme").await;
    let bob = nobody(&admin, "bob@example.com").await;
    let there = two.anonymous().under("acme").with_authorization(Some(&format!("Bearer {}", bob.token())));
    let (home, sees) = (root(&admin).await, role(&admin, "sees", &["view_user"]).await);
    let check = json!({ "checks": [{ "permission": "view_user" }] });
    for _ in 0..3 {
        let given = assign(&admin, &bob, &sees, &[&home], true).await;
        for caller in [&bob, &there] {
            caller.get("/users").await.ok();
            let answer = caller.post("/permissions/check", check.clone()).await.ok();
            assert_eq!(answer["results"], json!([{ "allowed": true, "reason": [given] }]));
        }
        admin.delete(&format!("/role-assignments/{given}")).await.no_content();
        for caller in [&there, &bob] {
            caller.get("/users").await.problem(403, "permission_denied");
            let answer = caller.post("/permissions/check", check.clone()).await.ok();
            assert_eq!(answer["results"], json!([{ "allowed": false, "reason": [] }]));
        }
    }
}
