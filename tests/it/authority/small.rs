//! Names, batches, invitations, filters, jobs.

use serde_json::{Value, json};

use super::{World, count, group, path};
use crate::roles::{assign, folder, holder, id, nobody, role};

#[tokio::test]
async fn the_name_of_a_built_in_role_is_taken_everywhere() {
    let world = World::start().await;
    for name in ["administrator", "Domain_Manager", " READER "] {
        let body = json!({ "name": name, "folder": world.home, "permissions": [] });
        world.admin.post("/roles", body).await.problem(409, "name_taken");
    }
    let made = role(&world.admin, "Desk", &[]).await;
    world.admin.patch(&format!("/roles/{made}"), json!({ "name": "Auditor" })).await.problem(409, "name_taken");
    world.app.finish().await;
}

#[tokio::test]
async fn a_batch_outlives_objects_that_would_become_too_large() {
    let world = World::start().await;
    let (full, free) = (nobody(&world.admin, "full@example.com").await, nobody(&world.admin, "free@example.com").await);
    let large = json!({ "profile": { "a": "x".repeat(10_000) } });
    world.admin.patch(&path(&full), large).await.ok();
    let more = json!({ "profile": { "b": "y".repeat(10_000) } });
    world.admin.patch(&path(&full), more.clone()).await.problem(409, "profile_too_large");
    world
        .admin
        .patch(&path(&free), json!({ "profile": { "b": "y".repeat(20_000) } }))
        .await
        .invalid("profile", "too_long");
    let sql = format!(
        "with made as (insert into user_groups (organization_id, id, folder_id, name, created_at)
             select organization_id, gen_random_uuid(), '{}', 'group ' || n, now()
             from folders cross join generate_series(1, 100) n where id = '{}' returning organization_id, id)
         insert into user_group_members (organization_id, user_group_id, user_id) select organization_id, id, '{}' from made",
        world.away, world.away, full.id
    );
    world.app.database().execute(&sql).await;
    let another = group(&world.admin, "Another", &world.home).await;
    let batch = json!({ "action": "add_m2m", "ids": [full.id, free.id], "field": "user_groups", "value": [another] });
    let answer = world.admin.post("/users/batch-action", batch).await.ok();
    assert_eq!(answer["failed"][0]["code"], "too_many_groups", "{answer}");
    assert_eq!(answer["succeeded"][0]["id"], json!(free.id), "{answer}");
    world.app.finish().await;
}

#[tokio::test]
async fn built_in_roles_are_seen_also_where_an_older_release_made_them() {
    let world = World::start().await;
    world.app.database().execute("update roles set is_published = false where builtin").await;
    let list = world.manager.get("/roles?search=domain_manager").await.ok();
    assert_eq!(count(&list), 1, "{list}");
    world.app.finish().await;
}

#[tokio::test]
async fn an_invitation_into_a_group_needs_the_right_to_invite_where_the_group_is() {
    let world = World::start().await;
    let inviter = holder(&world.admin, "inviter@example.com", &["invite_user", "view_invitation"], &world.home).await;
    let sees = role(&world.admin, "sees", &["view_user_group", "view_folder"]).await;
    assign(&world.admin, &inviter, &sees, &[&world.root], true).await;
    let (near, far) = (group(&world.admin, "Near", &world.home).await, group(&world.admin, "Far", &world.away).await);
    // A group without rights: nothing is given but a place among the people there.
    let body = |groups: Value| json!({ "invitee_identifier": "new@example.com", "user_groups": groups });
    let both = body(json!([near, far]));
    inviter.post("/invitations", both.clone()).await.problem(403, "permission_denied");
    let batch = inviter.post("/invitations/batch", json!([both])).await.ok();
    assert_eq!(batch["results"][0]["status"], 403, "{batch}");
    let made = world.admin.post("/invitations", both).await.created();
    let resend = format!("/invitations/{}/resend", made["uuid"].as_str().expect("an id"));
    inviter.post(&resend, json!({})).await.problem(403, "cannot_grant");
    world.admin.delete(resend.trim_end_matches("/resend")).await.no_content();
    inviter.post("/invitations", body(json!([near]))).await.created();
    world.app.finish().await;
}

#[tokio::test]
async fn a_filter_tells_nothing_of_what_is_hidden() {
    let world = World::start().await;
    let bob = world.tied("bob@example.com", &[&world.home]).await;
    let far = id(&world.admin.post("/user-groups", json!({ "name": "Far", "folder": world.away })).await.created());
    let approvers = world.admin.group("approver").await;
    world.admin.patch(&path(&bob), json!({ "user_groups": [far, approvers] })).await.ok();
    let asker = holder(&world.admin, "asker@example.com", &["view_user"], &world.home).await;
    assert_eq!(count(&asker.get("/users?search=bob").await.ok()), 1);
    for filter in [format!("user_groups={far}"), "is_approver=true".to_owned(), "is_approver=false".to_owned()] {
        assert_eq!(count(&asker.get(&format!("/users?{filter}")).await.ok()), 0, "{filter}");
        assert_ne!(count(&world.admin.get(&format!("/users?{filter}")).await.ok()), 0, "{filter}");
    }
    let below = folder(&world.admin, "Below", &world.home).await;
    let sees = ["view_folder", "view_user_group", "view_role", "view_team"];
    let seer = holder(&world.admin, "seer@example.com", &sees, &below).await;
    for list in [format!("/folders?parent_folder={}", world.home), format!("/roles?folder={}", world.root)] {
        assert_eq!(count(&seer.get(&list).await.ok()), 0, "{list}");
        assert_ne!(count(&world.admin.get(&list).await.ok()), 0, "{list}");
    }
    world.app.finish().await;
}

#[tokio::test]
async fn a_job_is_its_makers_to_watch() {
    let world = World::start().await;
    let inviter = holder(&world.admin, "inviter@example.com", &["invite_user"], &world.home).await;
    let job = async |by: &harness::Caller| {
        let job = by.post("/invitations/resend", json!({ "status": "pending" })).await.accepted();
        format!("/jobs/{}", job["id"].as_str().expect("an id"))
    };
    let (his, admins) = (job(&inviter).await, job(&world.admin).await);
    inviter.get(&his).await.ok();
    inviter.get(&admins).await.problem(404, "not_found");
    world.admin.get(&his).await.ok();
    world.app.finish().await;
}

#[tokio::test]
async fn answers_to_questions_are_each_in_its_place() {
    let world = World::start().await;
    let bob = world.tied("bob@example.com", &[&world.home]).await;
    let ask = |user: &harness::Caller, folder: &str| json!({ "user": user.id, "permission": "view_folder", "folder": folder });
    let checks = [
        ask(&bob, &world.away),
        ask(&bob, &world.home),
        ask(&world.admin, &world.away),
        ask(&bob, &world.root),
        ask(&bob, &world.home),
    ];
    let answer = world.admin.post("/permissions/check", json!({ "checks": checks })).await.ok();
    let allowed: Vec<_> =
        answer["results"].as_array().expect("a list").iter().map(|r| r["allowed"].as_bool()).collect();
    assert_eq!(allowed, [Some(false), Some(true), Some(true), Some(false), Some(true)]);
    world.app.finish().await;
}
