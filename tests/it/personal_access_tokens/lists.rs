//! Looking at tokens: one's own, and others' by whoever manages them.

use harness::TestApp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{lives, make, make_scoped, path, with};

fn names(list: &Value) -> Vec<&str> {
    list["results"].as_array().into_iter().flatten().filter_map(|token| token["name"].as_str()).collect()
}

#[tokio::test]
async fn tokens_are_listed_newest_first_and_found_by_name() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    for name in ["beta", "Alpha", "gamma"] {
        make(&admin, name).await;
        app.clock.advance(harness::seconds(1));
    }
    make(&bob, "his").await;
    assert_eq!(names(&admin.get("/iam/auth-tokens").await.ok()), ["gamma", "Alpha", "beta"]);
    assert_eq!(names(&admin.get("/iam/auth-tokens?ordering=name").await.ok()), ["Alpha", "beta", "gamma"]);
    assert_eq!(names(&admin.get("/iam/auth-tokens?ordering=-created&limit=1").await.ok()), ["gamma"]);
    assert_eq!(names(&admin.get("/iam/auth-tokens?search=ALPH").await.ok()), ["Alpha"]);
    assert_eq!(names(&admin.get("/iam/auth-tokens?search=%25").await.ok()), Vec::<&str>::new());
    assert_eq!(names(&bob.get("/iam/auth-tokens").await.ok()), ["his"]);
    app.finish().await;
}

#[tokio::test]
async fn a_cursor_walks_tokens_without_a_gap_or_a_double_while_others_are_made() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for ordering in ["-created", "created", "name"] {
        for n in 0..20 {
            make(&admin, &format!("old {n:02}")).await;
        }
        let (mut seen, mut url) = (Vec::new(), Some(format!("/iam/auth-tokens?cursor=&limit=3&ordering={ordering}")));
        let mut made = 0;
        while let Some(at) = url {
            let page = admin.get(&at).await.ok();
            seen.extend(names(&page).into_iter().map(str::to_owned));
            url = page["next"].as_str().map(str::to_owned);
            // Before what was seen, in the midst of it, and after; no more than one can have.
            let names: &[&str] = if made < 24 { &["aaa new", "old 10 new", "zzz new"] } else { &[] };
            for name in names {
                make(&admin, &format!("{name} {made}")).await;
                made += 1;
            }
        }
        let old: Vec<&String> = seen.iter().filter(|name| !name.contains("new")).collect();
        let mut distinct = seen.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((old.len(), distinct.len()), (20, seen.len()), "{ordering}: {seen:?}");
        app.database().execute("delete from personal_access_tokens").await;
    }
    app.finish().await;
}

#[tokio::test]
async fn whoever_manages_tokens_lists_and_ends_others() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let made = make(&bob, "his").await;
    let of_bob = format!("/iam/auth-tokens?user={}", bob.id);
    assert_eq!(names(&admin.get(&of_bob).await.ok()), ["his"]);
    assert_eq!(names(&bob.get(&of_bob).await.ok()), ["his"], "one's own, by one's own id");
    admin.delete(&path(&made)).await.no_content();
    assert!(!lives(&with(&bob, &made)).await);
    let event = admin.get("/audit-events?action=personal_access_token.deleted").await.ok();
    let expected = (json!(admin.email), json!(bob.id));
    assert_eq!((event["results"][0]["actor_name"].clone(), event["results"][0]["details"]["user"].clone()), expected);

    let made = make(&bob, "again").await;
    let manager = make_scoped(&admin, &["manage_tokens"]).await;
    assert_eq!(names(&manager.get(&of_bob).await.ok()), ["again"]);
    manager.delete(&path(&made)).await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn others_tokens_are_not_there_for_whoever_does_not_manage_them() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let globex = app.organization("globex").administrator().await;
    let (made, elsewhere) = (make(&admin, "hers").await, make(&globex, "elsewhere").await);
    for user in [admin.id, globex.id, Uuid::nil()] {
        bob.get(&format!("/iam/auth-tokens?user={user}")).await.problem(403, "permission_denied");
    }
    for user in [globex.id, Uuid::nil()] {
        admin.get(&format!("/iam/auth-tokens?user={user}")).await.problem(404, "not_found");
    }
    for (caller, token) in
        [(&bob, &made), (&admin, &elsewhere), (&make_scoped(&admin, &["view_user"]).await, &elsewhere)]
    {
        caller.delete(&path(token)).await.problem(404, "not_found");
    }
    assert!(lives(&with(&admin, &made)).await && lives(&with(&globex, &elsewhere)).await);
    app.finish().await;
}
