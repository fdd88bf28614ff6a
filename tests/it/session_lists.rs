//! One's own sessions: which there are, and an end to one of them.

use std::collections::BTreeSet;

use harness::{Caller, PASSWORD, TestApp, hours, minutes, seconds};
use serde_json::{Value, json};

fn results(list: &Value) -> Vec<Value> {
    list["results"].as_array().cloned().unwrap_or_default()
}

async fn lives(caller: &Caller) -> bool {
    caller.get("/iam/current-user").await.status == 200
}

async fn sign_in_with(caller: &Caller, user_agent: &str) -> Caller {
    let call = caller.with_authorization(None).sign_in("acme", &caller.email, PASSWORD);
    caller.signed_in("acme", &call.header("user-agent", user_agent).await.ok()).await
}

#[tokio::test]
async fn sessions_tell_where_they_began_and_when_they_were_last_used() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    app.clock.advance(seconds(1));
    let phone = sign_in_with(&bob, "A Phone/1.0").await;
    let list = bob.get("/iam/sessions").await.ok();
    let sessions = results(&list);
    assert_eq!((sessions.len(), &list["count"]), (2, &json!(2)), "nobody else's: {list}");
    assert_eq!(
        (&sessions[0]["user_agent"], &sessions[0]["client_address"]),
        (&json!("A Phone/1.0"), &json!("127.0.0.1"))
    );
    assert_eq!((&sessions[0]["is_current"], &sessions[1]["is_current"]), (&json!(false), &json!(true)));
    assert_eq!(results(&phone.get("/iam/sessions").await.ok())[0]["is_current"], true);
    for field in ["id", "created", "expiry", "last_seen_at"] {
        assert!(sessions[0][field].is_string(), "{field}: {list}");
    }
    assert_eq!(results(&bob.get("/iam/sessions?search=phone").await.ok()).len(), 1);

    let seen = sessions[0]["last_seen_at"].clone();
    app.clock.advance(seconds(30));
    assert!(lives(&phone).await);
    let of_phone = async || results(&bob.get("/iam/sessions?search=phone").await.ok())[0]["last_seen_at"].clone();
    assert_eq!(of_phone().await, seen, "known to the minute");
    app.clock.advance(minutes(1));
    assert!(lives(&phone).await);
    assert_ne!(of_phone().await, seen);
    app.clock.advance(hours(13));
    assert_eq!(results(&bob.again().await.get("/iam/sessions").await.ok()).len(), 1, "those that live");
    app.finish().await;
}

#[tokio::test]
async fn one_ends_ones_own_sessions_and_nobody_elses() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let id_of = async |caller: &Caller| {
        let sessions = results(&caller.get("/iam/sessions").await.ok());
        let own = sessions.into_iter().find(|session| session["is_current"] == true).expect("the present one");
        format!("/iam/sessions/{}", own["id"].as_str().expect("an id"))
    };
    let phone = bob.again().await;
    admin.delete(&id_of(&bob).await).await.problem(404, "not_found");
    bob.delete(&id_of(&admin).await).await.problem(404, "not_found");
    let of_phone = id_of(&phone).await;
    bob.delete(&of_phone).await.no_content();
    assert!(!lives(&phone).await && lives(&bob).await && lives(&admin).await);
    bob.delete(&of_phone).await.problem(404, "not_found");
    bob.delete(&id_of(&bob).await).await.no_content();
    assert!(!lives(&bob).await);
    app.finish().await;
}

/// Gives someone so many sessions, each a second older than the one before.
async fn give(app: &TestApp, caller: &Caller, prefix: &str, count: u32, oldest_seconds: u32) {
    app.database()
        .execute(&format!(
            "insert into sessions (organization_id, id, user_id, token_digest, created_at, expires_at, user_agent)
             select organization_id, gen_random_uuid(), id, sha256(('{prefix}' || n)::bytea),
                 now() - make_interval(secs => {oldest_seconds} - n), now() + interval '1 hour', '{prefix}' || n
             from users, generate_series(1, {count}) n where id = '{}'",
            caller.id
        ))
        .await;
}

#[tokio::test]
async fn a_cursor_walks_sessions_without_a_gap_or_a_double_while_others_begin() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    give(&app, &bob, "old", 1_000, 2_000).await;
    give(&app, &admin, "hers", 50, 1_500).await;
    for ordering in ["-created", "created", "expiry", "-last_seen_at"] {
        let (mut seen, mut url) = (Vec::new(), Some(format!("/iam/sessions?cursor=&limit=90&ordering={ordering}")));
        let mut round = 0;
        while let Some(at) = url {
            let page = bob.get(&at).await.ok();
            assert_eq!(page["count"], Value::Null);
            let agents =
                results(&page).into_iter().map(|session| session["user_agent"].as_str().unwrap_or("").to_owned());
            seen.extend(agents);
            url = page["next"].as_str().map(str::to_owned);
            // Before what was seen, in the midst of it, and after.
            for oldest in [4_000, 1_500, 10] {
                give(&app, &bob, &format!("new{ordering}{round}at{oldest}n"), 4, oldest).await;
            }
            round += 1;
            assert!(round < 100, "the walk ends");
        }
        let distinct: BTreeSet<&String> = seen.iter().collect();
        let old = seen.iter().filter(|agent| agent.starts_with("old")).count();
        assert_eq!((old, distinct.len()), (1_000, seen.len()), "{ordering}");
        assert!(!seen.iter().any(|agent| agent.starts_with("hers")));
        app.database().execute("delete from sessions where user_agent like 'new%'").await;
    }
    app.finish().await;
}
