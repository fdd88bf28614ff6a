//! Actors: users and teams, for whatever points at "someone".

use harness::TestApp;
use serde_json::{Value, json};

fn names(list: &Value) -> Vec<&str> {
    list["results"].as_array().expect("a list").iter().filter_map(|actor| actor["str"].as_str()).collect()
}

#[tokio::test]
async fn an_actor_is_a_user_or_a_team() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let user = json!({ "email": "bob@example.com", "first_name": "Bob", "last_name": "Builder" });
    let user = admin.post("/users", user).await.created();
    let team = admin.post("/teams", json!({ "name": "Bakers", "team_email": "bread@example.com" })).await.created();
    for (object, kind, name) in [(&user, "user", "Bob Builder"), (&team, "team", "Bakers")] {
        let id = object["id"].as_str().expect("an id");
        let answer = admin.get(&format!("/actors/{id}")).await;
        assert!(!answer.header("etag").is_empty());
        let shown = json!({ "id": id, "str": name, "type": kind, "specific": { "id": id, "str": name } });
        assert_eq!(answer.ok(), shown);
        let stored = admin.get(&format!("/actors/{id}/object")).await.ok();
        assert_eq!(stored, json!({ "id": id, "type": kind, "specific": id }));
        assert_eq!(admin.get(&format!("/actors?search={}", &name[..4])).await.ok()["results"], json!([shown]));
        let preview = admin.get(&format!("/actors/{id}/cascade-info")).await.ok();
        assert_eq!(preview, admin.get(&format!("/{kind}s/{id}/cascade-info")).await.ok());
    }
    let me = admin.get("/iam/current-user").await.ok();
    admin.get(&format!("/actors/{}", me["actor_id"].as_str().expect("an id"))).await.ok();
    // Who has no name is called by his address, and all are found by theirs.
    let list = admin.get("/actors").await.ok();
    assert_eq!(names(&list), ["admin@acme.example", "Bakers", "Bob Builder"]);
    assert_eq!(names(&admin.get("/actors?search=BREAD@").await.ok()), ["Bakers"]);
    assert_eq!(names(&admin.get("/actors?ordering=-name").await.ok())[0], "Bob Builder");
    assert_eq!(names(&admin.get("/actors?ordering=type").await.ok())[0], "Bakers");
    admin.get("/actors/01a20142-b4b6-7e53-9117-9e8a179185ee").await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn an_actor_is_seen_where_the_user_or_team_is() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let domain = admin.folder("Domain", None).await;
    let manager = admin.member_at("manager@example.com", "domain_manager", &domain).await;
    let inside = admin.post("/teams", json!({ "name": "Inside", "folder": domain })).await.created();
    let outside = admin.post("/teams", json!({ "name": "Outside" })).await.created();
    let list = manager.get("/actors").await.ok();
    assert_eq!((&list["count"], names(&list)), (&json!(2), vec!["Inside", "manager@example.com"]));
    let path = |team: &Value| format!("/actors/{}", team["id"].as_str().expect("an id"));
    manager.get(&path(&inside)).await.ok();
    for path in [path(&outside), format!("/actors/{}", admin.id)] {
        for view in ["", "/object", "/cascade-info"] {
            manager.get(&format!("{path}{view}")).await.problem(404, "not_found");
        }
    }
    // One permission of the two shows one kind; without either there is nothing to ask for.
    let without = |permission: &str| {
        format!(
            "update roles set permissions = array_remove(permissions, '{permission}') where name = 'domain_manager'"
        )
    };
    app.database().execute(&without("view_user")).await;
    assert_eq!(names(&manager.get("/actors").await.ok()), ["Inside"]);
    app.database().execute(&without("view_team")).await;
    for path in ["/actors".to_owned(), path(&inside)] {
        manager.get(&path).await.problem(403, "permission_denied");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_preview_is_for_those_who_may_delete() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let team = admin.post("/teams", json!({ "name": "One" })).await.created();
    let reader = admin.member("reader@example.com", "reader").await;
    let path = |id: &str| format!("/actors/{id}/cascade-info");
    reader.get(&path(team["id"].as_str().expect("an id"))).await.problem(403, "permission_denied");
    reader.get(&path(&admin.id.to_string())).await.problem(403, "permission_denied");
    admin.get(&path(&admin.id.to_string())).await.problem(409, "cannot_change_oneself");
    app.finish().await;
}
