//! A hundred thousand users, as many assignments, ten thousand folders: what the hot operations read of them.

mod organization;
mod plans;

use harness::{Call, Caller, PASSWORD, TestApp};
use serde_json::{Value, json};

use organization::{Kind, World, folder, group, made, user};
use plans::Plans;

/// Operations that look at more than they answer, each with its reason.
const LOOKS_FURTHER: [(&str, &str); 2] = [
    (
        "small GET /actors?cursor=&limit=20",
        "users and teams are walked in one order, and each is asked whether it is seen",
    ),
    ("big GET /actors?cursor=&limit=20", "the same"),
];

/// The tables that grow with an organization.
const LARGE: [&str; 15] = [
    "users",
    "folders",
    "folder_descendants",
    "user_groups",
    "user_group_members",
    "roles",
    "role_assignments",
    "role_assignment_folders",
    "teams",
    "team_people",
    "invitations",
    "email_messages",
    "email_suppressions",
    "sessions",
    "audit_events",
];

/// A request, and how many objects it answers or changes.
struct Operation {
    name: String,
    call: Call,
    objects: Option<u64>,
}

fn operation(name: impl Into<String>, objects: u64, call: Call) -> Operation {
    Operation { name: name.into(), call, objects: Some(objects) }
}

/// It answers a page of a list.
fn list(who: &str, caller: &Caller, path: &str) -> Operation {
    Operation { name: format!("{who} GET {path}"), call: caller.get(path), objects: None }
}

const LISTS: [&str; 9] =
    ["folders", "user-groups", "roles", "role-assignments", "teams", "users", "actors", "invitations", "emails"];

/// All lists, by cursor and filtered by what an index knows.
fn lists(who: &str, caller: &Caller) -> Vec<Operation> {
    let (folder, user, group) = (folder(9_900), user(9), group(9));
    let mut operations: Vec<Operation> =
        LISTS.iter().map(|path| list(who, caller, &format!("/{path}?cursor=&limit=20"))).collect();
    for filter in [
        format!("folders?cursor=&id={folder}"),
        format!("folders?cursor=&parent_folder={folder}"),
        format!("user-groups?cursor=&id={group}"),
        format!("user-groups?cursor=&folder={folder}"),
        format!("roles?cursor=&folder={folder}"),
        format!("role-assignments?cursor=&folder={folder}"),
        format!("role-assignments?cursor=&user={user}"),
        format!("role-assignments?cursor=&user_group={group}"),
        format!("teams?cursor=&folder={folder}"),
        format!("role-assignments?cursor=&perimeter_folders={folder}"),
        format!("users?cursor=&id={user}"),
        format!("users?cursor=&user_groups={group}"),
    ] {
        operations.push(list(who, caller, &format!("/{filter}")));
    }
    operations
}

/// What one sees of one object, and changes of few.
fn single(admin: &Caller) -> Vec<Operation> {
    let fifty: Vec<String> = (200..250).map(user).collect();
    let checks: Vec<Value> = (0..100)
        .map(|n| json!({ "user": user(300 + n), "permission": "view_user", "folder": folder(n + 1) }))
        .collect();
    let (small, folder, user, group, role) = (folder(9_950), folder(9_901), user(77), group(9), made(Kind::Role, 3));
    let login = json!({ "username": admin.email, "password": PASSWORD });
    let given = json!({ "name": "new", "user": user, "role": role, "perimeter_folders": [folder], "folder": folder });
    let mut operations = Vec::new();
    for (path, id) in [("folders", &folder), ("user-groups", &group), ("users", &user)] {
        operations.push(operation(format!("GET /{path}/{{id}}"), 1, admin.get(&format!("/{path}/{id}"))));
        operations.push(operation(format!("GET /{path}/{{id}}/object"), 1, admin.get(&format!("/{path}/{id}/object"))));
        let objects = if path == "user-groups" { 120 } else { 30 };
        let path = format!("/{path}/{id}/cascade-info");
        operations.push(operation(format!("GET {path}"), objects, admin.get(&path)));
    }
    operations.extend([
        operation("PATCH a user", 1, admin.patch(&format!("/users/{user}"), json!({ "first_name": "Bob" }))),
        operation("PATCH his groups", 3, admin.patch(&format!("/users/{user}"), json!({ "user_groups": [group] }))),
        operation("POST a folder", 6, admin.post("/folders", json!({ "name": "new", "parent_folder": folder }))),
        operation("POST a group", 1, admin.post("/user-groups", json!({ "name": "new", "folder": folder }))),
        operation("POST an assignment", 1, admin.post("/role-assignments", given)),
        operation("ask 100 questions", 100, admin.post("/permissions/check", json!({ "checks": checks }))),
        operation("GET /iam/current-user", 1, admin.get("/iam/current-user")),
        operation("log in", 1, admin.post("/iam/login", login)),
        operation(
            "change 50 users",
            50,
            admin.post(
                "/users/batch-action",
                json!({ "action": "change_field", "ids": fifty, "field": "is_active", "value": false }),
            ),
        ),
        operation("DELETE a user", 20, admin.delete(&format!("/users/{}", self::user(501)))),
        operation("DELETE a role", 40, admin.delete(&format!("/roles/{}", made(Kind::Role, 4)))),
        operation("DELETE a small folder", 60, admin.delete(&format!("/folders/{small}"))),
    ]);
    operations
}

/// Runs it and says what it read beyond what it needed.
async fn judge(plans: &Plans, Operation { name, call, objects }: Operation) -> Option<String> {
    let (answer, work) = plans.of(call).await;
    assert!(answer.status.is_success(), "{name}: {}", answer.whole());
    let objects = objects.unwrap_or_else(|| answer.json()["results"].as_array().map_or(0, Vec::len) as u64);
    let bound = 50 * objects + 1_000;
    let most = work.most(&LARGE);
    println!("{name:<64} {:>4} statements {:>7} pages {most:?}", work.statements, work.pages);
    let is_known = LOOKS_FURTHER.iter().any(|(known, _)| *known == name);
    (most.1 > bound && !is_known).then(|| format!("{name}: {:?}, at most {bound} rows of a table", work.rows))
}

#[tokio::test]
async fn no_operation_reads_a_table_it_need_not() {
    let mut app = TestApp::start().await;
    app.stop_worker().await;
    let world = World::make(&app).await;
    let plans = Plans::listen(app.database()).await;
    let mut operations = lists("admin", &world.admin);
    operations.extend(lists("small", &world.small));
    operations.extend(lists("big", &world.big));
    operations.extend(single(&world.admin));
    let mut bad = Vec::new();
    for operation in operations {
        bad.extend(judge(&plans, operation).await);
    }
    number_of_statements_does_not_grow(&plans, &world).await;
    deep_pages_cost_what_the_first_does(&app, &plans, &world).await;
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    app.finish().await;
}

async fn number_of_statements_does_not_grow(plans: &Plans, world: &World) {
    for path in LISTS {
        for position in ["", "&cursor="] {
            let mut statements = [0; 2];
            for (counted, limit) in statements.iter_mut().zip([10, 200]) {
                let (answer, work) = plans.of(world.admin.get(&format!("/{path}?limit={limit}{position}"))).await;
                answer.ok();
                *counted = work.statements;
            }
            assert!(statements[0] > 0, "its plans were heard");
            assert_eq!(statements[0], statements[1], "{path}{position}: as many statements for 200 as for 10");
        }
    }
}

/// Each over new connections, whose first plans must not be others than their later ones.
async fn deep_pages_cost_what_the_first_does(app: &TestApp, plans: &Plans, world: &World) {
    for path in LISTS {
        let mut next = format!("/{path}?cursor=&limit=200");
        for page in 1..=4 {
            app.database().disconnect_others().await;
            let (answer, work) = plans.of(world.admin.get(&next)).await;
            // A team has 33 people.
            let bound = if path == "teams" { 15_000 } else { 3_000 };
            let most = work.most(&LARGE);
            assert!(most.1 <= bound, "{path}, page {page}: {most:?}, at most {bound}");
            let Some(page) = answer.ok()["next"].as_str().map(str::to_owned) else { break };
            next = page;
        }
    }
}
