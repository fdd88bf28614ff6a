//! What one who manages a folder can't reach from there.

use harness::{Answer, Caller};
use serde_json::json;

use super::{World, group, path};
use crate::roles::{assign, folder, id, nobody, role};

async fn every_change(by: &Caller, user: &Caller) -> [Answer; 3] {
    let password = json!({ "user": user.id, "new_password": "several unrelated zebras juggle", "confirm_new_password": "several unrelated zebras juggle" });
    [
        by.patch(&path(user), json!({ "email": "thief@example.com" })).await,
        by.post("/iam/set-password", password).await,
        by.delete(&path(user)).await,
    ]
}

#[tokio::test]
async fn someone_who_is_tied_elsewhere_too_is_not_his_to_change() {
    let world = World::start().await;
    let shared = world.tied("shared@example.com", &[&world.home, &world.away]).await;
    world.manager.get(&path(&shared)).await.ok();
    for answer in every_change(&world.manager, &shared).await {
        answer.problem(403, "permission_denied");
    }
    let tokens = format!("/iam/auth-tokens?user={}", shared.id);
    world.manager.get(&tokens).await.problem(403, "permission_denied");
    // A group counts as a role does: first the one at home, then one elsewhere.
    let grouped = world.tied("grouped@example.com", &[&world.home]).await;
    let (near, far) = (group(&world.admin, "Near", &world.home).await, group(&world.admin, "Far", &world.away).await);
    world.admin.patch(&path(&grouped), json!({ "user_groups": [near] })).await.ok();
    world.manager.patch(&path(&grouped), json!({ "observation": "ours" })).await.ok();
    world.admin.patch(&path(&grouped), json!({ "user_groups": [near, far] })).await.ok();
    world.manager.patch(&path(&grouped), json!({ "observation": "ours" })).await.problem(403, "permission_denied");
    let own = world.tied("own@example.com", &[&world.home]).await;
    world.manager.get(&format!("/iam/auth-tokens?user={}", own.id)).await.ok();
    world.manager.delete(&path(&own)).await.no_content();
    world.admin.patch(&path(&shared), json!({ "observation": "root may" })).await.ok();
    world.app.finish().await;
}

#[tokio::test]
async fn nobody_is_drafted_into_a_domain() {
    let world = World::start().await;
    let free = nobody(&world.admin, "free@example.com").await;
    let away = world.tied("away@example.com", &[&world.away]).await;
    let near = world.tied("near@example.com", &[&world.home]).await;
    // He may see all people, and change those of his domain.
    let sees = role(&world.admin, "sees", &["view_user"]).await;
    assign(&world.admin, &world.manager, &sees, &[&world.root], true).await;
    let reads = role(&world.admin, "reads", &["view_folder"]).await;
    let body = |user: &Caller| json!({ "name": "x", "folder": world.home, "user": user.id, "role": reads, "perimeter_folders": [world.home] });
    for user in [&free, &away] {
        world.manager.post("/role-assignments", body(user)).await.problem(403, "permission_denied");
    }
    let made = world.manager.post("/role-assignments", body(&near)).await.created();
    let given = format!("/role-assignments/{}", id(&made));
    for user in [&free, &away] {
        world.manager.patch(&given, json!({ "user": user.id })).await.problem(403, "permission_denied");
        for answer in every_change(&world.manager, user).await {
            answer.problem(403, "permission_denied");
        }
    }
    let near_group = group(&world.admin, "Near", &world.home).await;
    world.manager.patch(&path(&free), json!({ "user_groups": [near_group] })).await.problem(403, "permission_denied");
    world.admin.post("/role-assignments", body(&free)).await.created();
    world.manager.patch(&path(&free), json!({ "observation": "ours now" })).await.ok();
    world.app.finish().await;
}

#[tokio::test]
async fn what_is_moved_away_could_be_deleted_there() {
    let world = World::start().await;
    let mover = nobody(&world.admin, "mover@example.com").await;
    let everywhere = [
        "view_folder",
        "view_user_group",
        "view_team",
        "view_role",
        "view_role_assignment",
        "change_user_group",
        "change_team",
        "change_role",
        "change_role_assignment",
    ];
    let home = ["add_user_group", "add_team", "add_role", "add_role_assignment"];
    let (everywhere, home) = (role(&world.admin, "E", &everywhere).await, role(&world.admin, "H", &home).await);
    assign(&world.admin, &mover, &everywhere, &[&world.root], true).await;
    assign(&world.admin, &mover, &home, &[&world.home], true).await;
    let empty = role(&world.admin, "Empty", &[]).await;
    let made = |path: &'static str, more: serde_json::Value| {
        let mut body = json!({ "name": "thing", "folder": world.away });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        world.admin.post(path, body)
    };
    let given = json!({ "user": mover.id, "role": empty, "perimeter_folders": [world.home] });
    let mut things = Vec::new();
    for (path, more) in [
        ("/user-groups", json!({})),
        ("/teams", json!({})),
        ("/roles", json!({ "permissions": [] })),
        ("/role-assignments", given),
    ] {
        things.push(format!("{path}/{}", id(&made(path, more).await.created())));
    }
    for thing in &things {
        mover.patch(thing, json!({ "folder": world.home })).await.problem(403, "permission_denied");
    }
    let deletes = ["delete_user_group", "delete_team", "delete_role", "delete_role_assignment"];
    let deletes = role(&world.admin, "D", &deletes).await;
    assign(&world.admin, &mover, &deletes, &[&world.away], true).await;
    for thing in &things {
        assert_eq!(mover.patch(thing, json!({ "folder": world.home })).await.ok()["folder"], json!(world.home));
    }
    world.app.finish().await;
}

#[tokio::test]
async fn a_domain_manager_moves_a_folder_where_nobody_gains_what_he_does_not_hold() {
    let world = World::start().await;
    let home = json!(world.home);
    let manager = world.admin.member_at("domains@example.com", "domain_manager", &home).await;
    let (a, b) = (folder(&world.admin, "A", &world.home).await, folder(&world.admin, "B", &world.home).await);
    let f = folder(&world.admin, "f", &a).await;
    let there = json!({ "parent_folder": b });
    assert_eq!(manager.patch(&format!("/folders/{f}"), there.clone()).await.ok()["parent_folder"], json!(b));
    // Someone was invited to a role at B that allows what the manager does not hold.
    let g = folder(&world.admin, "g", &a).await;
    let body = json!({ "invitee_identifier": "auditor@example.com", "role": "auditor", "folder": b });
    let invitation = world.admin.post("/invitations", body).await.created();
    manager.patch(&format!("/folders/{g}"), there.clone()).await.problem(403, "cannot_grant");
    let revoked = format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"));
    world.admin.delete(&revoked).await.no_content();
    manager.patch(&format!("/folders/{g}"), there).await.ok();
    world.app.finish().await;
}

#[tokio::test]
async fn a_right_over_a_folder_alone_is_gained_over_what_is_moved_into_it() {
    let world = World::start().await;
    let (a, b) = (folder(&world.admin, "A", &world.home).await, folder(&world.admin, "B", &world.home).await);
    let f = folder(&world.admin, "f", &a).await;
    let moves = role(&world.admin, "moves", &["view_folder", "add_folder", "change_folder"]).await;
    let mover = nobody(&world.admin, "mover@example.com").await;
    assign(&world.admin, &mover, &moves, &[&world.home], true).await;
    let bob = nobody(&world.admin, "bob@example.com").await;
    let deletes = role(&world.admin, "deletes", &["delete_folder"]).await;
    assign(&world.admin, &bob, &deletes, &[&b], false).await;
    mover.patch(&format!("/folders/{f}"), json!({ "parent_folder": b })).await.problem(403, "cannot_grant");
    assign(&world.admin, &mover, &deletes, &[&world.home], true).await;
    mover.patch(&format!("/folders/{f}"), json!({ "parent_folder": b })).await.ok();
    world.app.finish().await;
}
