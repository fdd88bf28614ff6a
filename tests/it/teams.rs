//! Teams: people who work together.

use harness::{Caller, TestApp, minutes};
use serde_json::{Value, json};

const NOBODY: &str = "01a20142-b4b6-7e53-9117-9e8a179185ee";

fn path(team: &Value) -> String {
    format!("/teams/{}", team["id"].as_str().expect("an id"))
}

async fn user(admin: &Caller, email: &str) -> Value {
    admin.post("/users", json!({ "email": email })).await.created()["id"].clone()
}

/// A domain whose manager sees his own people only, and a team there with one of them, `dora`, and one whom he does not see,
/// `hidden`, in every part.
struct Mixed {
    app: TestApp,
    admin: Caller,
    manager: Caller,
    dora: Value,
    hidden: Value,
    team: Value,
}

impl Mixed {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let admin = app.organization("acme").administrator().await;
        let domain = admin.folder("Domain", None).await;
        let manager = admin.member_at("manager@example.com", "domain_manager", &domain).await;
        let dora = json!(admin.member_at("dora@example.com", "reader", &domain).await.id);
        let hidden = user(&admin, "hidden@example.com").await;
        let body = json!({
            "name": "Mixed", "folder": domain, "leader": hidden, "deputies": [dora, hidden], "members": [dora, hidden],
        });
        let team = admin.post("/teams", body).await.created();
        Self { app, admin, manager, dora, hidden, team }
    }

    fn path(&self) -> String {
        path(&self.team)
    }

    /// Leader, deputies and members, as they are.
    async fn people(&self) -> (Value, Vec<Value>, Vec<Value>) {
        let team = self.admin.get(&format!("{}/object", self.path())).await.ok();
        let list = |field: &str| team[field].as_array().expect("a list").clone();
        (team["leader"].clone(), list("deputies"), list("members"))
    }
}

#[tokio::test]
async fn a_team_is_made_read_changed_and_deleted() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (eve, bob) = (user(&admin, "eve@example.com").await, user(&admin, "bob@example.com").await);
    let body = json!({
        "name": "Incidents", "description": "They are called first.", "team_email": "Incidents@example.com",
        "leader": eve, "deputies": [bob], "members": [eve, bob, bob],
    });
    let made = admin.post("/teams", body).await.created();
    let object = admin.get(&format!("{}/object", path(&made))).await.ok();
    assert_eq!(object, made);
    assert_eq!((&made["leader"], &made["deputies"]), (&eve, &json!([bob])));
    assert_eq!(made["members"].as_array().map(Vec::len), Some(2), "each once");
    let read = admin.get(&path(&made)).await.ok();
    assert_eq!(read["leader"], json!({ "id": eve, "str": "eve@example.com" }));
    assert_eq!(read["folder"]["str"], "Global");
    assert_eq!(admin.get("/teams").await.ok()["results"], json!([read]));

    let patch = json!({ "leader": null, "team_email": null, "name": "Night shift", "members": [bob] });
    let changed = admin.patch(&path(&made), patch).await.ok();
    assert_eq!((&changed["leader"], &changed["team_email"]), (&Value::Null, &Value::Null));
    assert_eq!((&changed["members"], &changed["deputies"]), (&json!([bob]), &json!([bob])));
    assert_eq!(changed["description"], "They are called first.");
    let replaced = admin.put(&path(&made), json!({ "name": "Day shift" })).await.ok();
    assert_eq!((&replaced["members"], &replaced["deputies"]), (&json!([]), &json!([])));
    assert_eq!((&replaced["description"], &replaced["folder"]), (&Value::Null, &made["folder"]));

    admin.delete(&path(&made)).await.no_content();
    admin.get(&path(&made)).await.problem(404, "not_found");
    let actions = admin.get("/audit-events?object_type=team").await.ok();
    let actions: Vec<_> = actions["results"].as_array().expect("a list").iter().map(|e| e["action"].clone()).collect();
    assert_eq!(actions, ["team.deleted", "team.changed", "team.changed", "team.created"]);
    app.finish().await;
}

#[tokio::test]
async fn a_lost_update_is_refused() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let eve = user(&admin, "eve@example.com").await;
    let made = admin.post("/teams", json!({ "name": "One", "members": [eve] })).await.created();
    let tag = admin.get(&path(&made)).await.header("etag").to_owned();
    // Also where it lost someone by his own deletion.
    admin.delete(&format!("/users/{}", eve.as_str().expect("an id"))).await.no_content();
    let patch = || admin.patch(&path(&made), json!({ "name": "Two" }));
    patch().header("if-match", &tag).await.problem(412, "precondition_failed");
    let answer = admin.get(&path(&made)).await;
    assert_eq!(answer.json()["members"], json!([]));
    patch().header("if-match", answer.header("etag")).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn each_bad_field_is_refused_by_itself() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let too_many: Vec<Value> = (0..1_001).map(|_| json!(NOBODY)).collect();
    for (field, value, code) in [
        ("name", json!(" "), "required"),
        ("name", json!("x".repeat(201)), "too_long"),
        ("description", json!("x".repeat(4_001)), "too_long"),
        ("team_email", json!("nobody"), "invalid_email"),
        ("team_email", json!(format!("{}@example.com", "a".repeat(250))), "too_long"),
        ("folder", json!(NOBODY), "not_found"),
        ("leader", json!(NOBODY), "not_found"),
        ("deputies", json!([NOBODY]), "not_found"),
        ("members", json!([NOBODY]), "not_found"),
        ("deputies", json!(too_many), "too_many"),
        ("members", json!(too_many), "too_many"),
        ("leader", json!("me"), "invalid_type"),
        ("rights", json!([]), "unknown_field"),
    ] {
        let mut body = json!({ "name": "One" });
        body[field] = value;
        admin.post("/teams", body).await.invalid(field, code);
    }
    assert_eq!(admin.get("/teams").await.ok()["count"], 0);
    app.finish().await;
}

#[tokio::test]
async fn a_name_is_unique_in_its_folder_whatever_its_case() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let folder = admin.folder("Other", None).await;
    admin.post("/teams", json!({ "name": "Blue" })).await.created();
    let other = admin.post("/teams", json!({ "name": "bLUE", "folder": folder })).await.created();
    admin.post("/teams", json!({ "name": "BLUE" })).await.problem(409, "name_taken");
    let root = admin.get("/iam/current-user").await.ok()["root_folder_id"].clone();
    admin.patch(&path(&other), json!({ "folder": root })).await.problem(409, "name_taken");
    admin.patch(&path(&other), json!({ "folder": root, "name": "Red" })).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_team_gives_nobody_a_right() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let domain = admin.folder("Domain", None).await;
    let eve = admin.member_at("eve@example.com", "reader", &domain).await;
    let before = eve.get("/iam/current-user").await.ok();
    let made = admin.post("/teams", json!({ "name": "One", "leader": eve.id, "members": [eve.id] })).await.created();
    assert_eq!(eve.get("/iam/current-user").await.ok(), before);
    eve.get(&path(&made)).await.problem(404, "not_found");
    app.finish().await;
}

// --- whom the caller does not see

#[tokio::test]
async fn people_that_the_caller_does_not_see_are_not_shown() {
    let mixed = Mixed::start().await;
    let read = mixed.manager.get(&mixed.path()).await.ok();
    assert_eq!(read["leader"], json!({}));
    let dora = json!([{ "id": mixed.dora, "str": "dora@example.com" }]);
    assert_eq!((&read["deputies"], &read["members"]), (&dora, &dora));
    let object = mixed.manager.get(&format!("{}/object", mixed.path())).await.ok();
    assert_eq!((&object["leader"], &object["members"]), (&json!({}), &json!([mixed.dora])));
    let of = |user: &Value| format!("/teams?user={}", user.as_str().expect("an id"));
    assert_eq!(mixed.manager.get(&of(&mixed.dora)).await.ok()["count"], 1);
    assert_eq!(mixed.manager.get(&of(&mixed.hidden)).await.ok()["count"], 0, "who is hidden is in no team");
    assert_eq!(mixed.admin.get(&of(&mixed.hidden)).await.ok()["count"], 1);
    mixed.app.finish().await;
}

#[tokio::test]
async fn people_that_the_caller_does_not_see_stay_whatever_he_sends() {
    let mixed = Mixed::start().await;
    let (both, alone) = (2, [mixed.hidden.clone()]);
    // What he read, sent back.
    let put = json!({ "name": "Mixed", "deputies": [mixed.dora], "members": [mixed.dora] });
    mixed.manager.put(&mixed.path(), put).await.ok();
    let (leader, deputies, members) = mixed.people().await;
    assert_eq!((leader, deputies.len(), members.len()), (mixed.hidden.clone(), both, both));
    // Without those he sees.
    mixed.manager.put(&mixed.path(), json!({ "name": "Mixed" })).await.ok();
    assert_eq!(mixed.people().await, (mixed.hidden.clone(), alone.to_vec(), alone.to_vec()));
    mixed.manager.patch(&mixed.path(), json!({ "members": [mixed.dora], "deputies": null })).await.ok();
    let (_, deputies, members) = mixed.people().await;
    assert_eq!((deputies, members.len()), (alone.to_vec(), both));
    // He can't name them, neither to put them in nor to take them out.
    for action in ["change_m2m", "add_m2m", "remove_m2m"] {
        let batch = json!({ "action": action, "ids": [mixed.team["id"]], "field": "members", "value": mixed.hidden });
        mixed.manager.post("/teams/batch-action", batch).await.invalid("members", "not_found");
    }
    mixed.manager.patch(&mixed.path(), json!({ "leader": mixed.hidden })).await.invalid("leader", "not_found");
    assert_eq!(mixed.people().await.2.len(), both);
    // A leader is there to be replaced, and taken away by who says so.
    mixed.manager.patch(&mixed.path(), json!({ "leader": null })).await.ok();
    assert_eq!(mixed.people().await.0, Value::Null);
    mixed.app.finish().await;
}

#[tokio::test]
async fn a_team_is_seen_and_changed_where_its_folder_is_ones_own() {
    let mixed = Mixed::start().await;
    let (admin, manager) = (&mixed.admin, &mixed.manager);
    let elsewhere = admin.post("/teams", json!({ "name": "Elsewhere" })).await.created();
    let list = manager.get("/teams").await.ok();
    assert_eq!((&list["count"], &list["results"][0]["id"]), (&json!(1), &mixed.team["id"]));
    manager.get(&path(&elsewhere)).await.problem(404, "not_found");
    manager.get(&format!("{}/cascade-info", path(&elsewhere))).await.problem(404, "not_found");
    manager.patch(&path(&elsewhere), json!({ "name": "Mine" })).await.problem(404, "not_found");
    manager.delete(&path(&elsewhere)).await.problem(404, "not_found");
    manager.post("/teams", json!({ "name": "At the root" })).await.problem(403, "permission_denied");
    let reader = admin.member("reader@example.com", "reader").await;
    reader.get(&path(&elsewhere)).await.ok();
    reader.patch(&path(&elsewhere), json!({ "name": "Mine" })).await.problem(403, "permission_denied");
    mixed.app.finish().await;
}

// --- many at once

#[tokio::test]
async fn lists_of_many_teams_are_edited_at_once() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (eve, bob) = (user(&admin, "eve@example.com").await, user(&admin, "bob@example.com").await);
    let one = admin.post("/teams", json!({ "name": "One", "members": [eve] })).await.created();
    let two = admin.post("/teams", json!({ "name": "Two" })).await.created();
    let ids = [&one["id"], &two["id"], &json!(NOBODY)];
    let batch = async |action: &str, field: &str, value: &Value| {
        let body = json!({ "action": action, "ids": ids, "field": field, "value": value });
        let outcome = admin.post("/teams/batch-action", body).await.ok();
        assert_eq!(outcome["succeeded"].as_array().map(Vec::len), Some(2), "{outcome}");
        assert_eq!(outcome["failed"][0]["code"], "not_found");
        let list = admin.get("/teams?ordering=name").await.ok()["results"].clone();
        let ids =
            |team: &Value| team[field].as_array().map(|list| list.iter().map(|r| r["id"].clone()).collect::<Vec<_>>());
        (ids(&list[0]), ids(&list[1]), list)
    };
    let (first, second, _) = batch("add_m2m", "members", &json!([bob])).await;
    assert_eq!((first.map(|list| list.len()), second), (Some(2), Some(vec![bob.clone()])));
    let (first, second, _) = batch("remove_m2m", "members", &bob).await;
    assert_eq!((first, second), (Some(vec![eve.clone()]), Some(vec![])));
    let (first, second, _) = batch("change_m2m", "deputies", &json!([eve, bob])).await;
    assert_eq!((first.map(|list| list.len()), second.map(|list| list.len())), (Some(2), Some(2)));
    let (.., list) = batch("change_field", "leader", &bob).await;
    assert_eq!((&list[0]["leader"]["id"], &list[1]["leader"]["id"]), (&bob, &bob));
    let (.., list) = batch("change_field", "team_email", &json!("all@example.com")).await;
    assert_eq!(list[1]["team_email"], "all@example.com");
    let folder = admin.folder("Other", None).await;
    let (.., list) = batch("change_folder", "folder", &folder).await;
    assert_eq!(list[0]["folder"]["id"], folder);
    batch("delete", "", &Value::Null).await;
    assert_eq!(admin.get("/teams").await.ok()["count"], 0);
    app.finish().await;
}

#[tokio::test]
async fn a_team_that_is_full_takes_nobody_and_spoils_no_batch() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = user(&admin, "bob@example.com").await;
    let full = admin.post("/teams", json!({ "name": "Full" })).await.created();
    let other = admin.post("/teams", json!({ "name": "Other" })).await.created();
    let id = full["id"].as_str().expect("an id");
    app.database()
        .execute(&format!(
            "insert into users (organization_id, id, number, username, email, username_key, email_key, date_joined, updated_at)
             select organization_id, gen_random_uuid(), 100 + n, 'u' || n || '@example.com', 'u' || n || '@example.com',
                 'u' || n || '@example.com', 'u' || n || '@example.com', now(), now()
             from organizations, generate_series(1, 1000) n;
             insert into team_people select organization_id, '{id}', 'member', id from users where number > 100"
        ))
        .await;
    let batch = json!({ "action": "add_m2m", "ids": [full["id"], other["id"]], "field": "members", "value": bob });
    let outcome = admin.post("/teams/batch-action", batch).await.ok();
    assert_eq!((&outcome["failed"][0]["code"], &outcome["failed"][0]["id"]), (&json!("team_full"), &full["id"]));
    assert_eq!(outcome["succeeded"][0]["id"], other["id"]);
    app.finish().await;
}

// --- what goes with what

#[tokio::test]
async fn a_preview_says_what_the_delete_then_does() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let eve = user(&admin, "eve@example.com").await;
    let made = admin.post("/teams", json!({ "name": "One", "leader": eve })).await.created();
    let body = json!({ "invitee_identifier": "bob@example.com", "role": "reader", "teams": [made["id"]] });
    let invitation = admin.post("/invitations", body).await.created();
    let preview = admin.get(&format!("{}/cascade-info", path(&made))).await.ok();
    assert_eq!(preview["deleted"]["count"], 0);
    assert_eq!(preview["affected"]["related_objects"][0]["id"], invitation["uuid"]);
    assert_eq!(preview["affected"]["count"], 1);
    let of_eve = admin.get(&format!("/users/{}/cascade-info", eve.as_str().expect("an id"))).await.ok();
    assert_eq!(of_eve["affected"]["related_objects"][0]["id"], made["id"]);
    admin.delete(&path(&made)).await.no_content();
    let left = admin.get(&format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"))).await.ok();
    assert_eq!(left["teams"], json!([]));
    app.finish().await;
}

// --- invitations

#[tokio::test]
async fn who_accepts_joins_the_teams_that_are_there_still() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let one = admin.post("/teams", json!({ "name": "One" })).await.created();
    let gone = admin.post("/teams", json!({ "name": "Gone" })).await.created();
    let teams = json!([one["id"], gone["id"]]);
    let body = json!({ "invitee_identifier": "bob@example.com", "role": "reader", "teams": teams });
    let invitation = admin.post("/invitations", body).await.created();
    assert_eq!(invitation["teams"].as_array().map(Vec::len), Some(2));
    let tag = admin.get(&path(&one)).await.header("etag").to_owned();
    admin.delete(&path(&gone)).await.no_content();
    let link = app.link_of(&admin, &invitation).await;
    let session = app.anonymous().accept(&link).await.created();
    let bob = app.anonymous().signed_in("acme", &session).await;
    let answer = admin.get(&path(&one)).await;
    assert_eq!(answer.json()["members"][0]["id"], json!(bob.id));
    assert_ne!(answer.header("etag"), tag);
    app.finish().await;
}

#[tokio::test]
async fn one_invites_to_teams_that_are_ones_own_to_change() {
    let mixed = Mixed::start().await;
    let (admin, manager) = (&mixed.admin, &mixed.manager);
    let elsewhere = admin.post("/teams", json!({ "name": "Elsewhere" })).await.created();
    let invite = |email: &str, team: &Value| {
        let folder = &mixed.team["folder"];
        let body = json!({ "invitee_identifier": email, "role": "reader", "folder": folder, "teams": [team] });
        manager.post("/invitations", body)
    };
    invite("bob@example.com", &elsewhere["id"]).await.invalid("teams", "not_found");
    invite("bob@example.com", &json!(NOBODY)).await.invalid("teams", "not_found");
    let made = invite("bob@example.com", &mixed.team["id"]).await.created();
    // He may look at it, and no more.
    let group = admin.group("reader").await;
    let batch = json!({ "action": "add_m2m", "ids": [manager.id], "field": "user_groups", "value": group });
    admin.post("/users/batch-action", batch).await.ok();
    invite("eve@example.com", &elsewhere["id"]).await.problem(403, "cannot_grant");
    let rows = json!([{ "invitee_identifier": "eve@example.com", "role": "reader", "teams": [elsewhere["id"]] }]);
    let batch = manager.post("/invitations/batch", rows).await.ok();
    assert_eq!(batch["results"][0]["problem"]["code"], "cannot_grant");
    // A team that was moved away from him is not his to send anyone to again.
    let root = admin.get("/iam/current-user").await.ok()["root_folder_id"].clone();
    admin.patch(&mixed.path(), json!({ "folder": root })).await.ok();
    mixed.app.clock.advance(minutes(2));
    let resend = format!("/invitations/{}/resend", made["uuid"].as_str().expect("an id"));
    manager.post(&resend, json!({})).await.problem(403, "cannot_grant");
    admin.post(&resend, json!({})).await.ok();
    mixed.app.finish().await;
}
