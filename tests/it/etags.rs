//! Lost updates are prevented: whoever says what he read can't overwrite what he did not.

use harness::{Answer, Caller, TestApp};
use serde_json::{Value, json};

async fn bob(admin: &Caller) -> (String, String) {
    let made = admin.post("/users", json!({ "email": "bob@example.com", "first_name": "Bob" })).await;
    let tag = made.header("etag").to_owned();
    let path = format!("/users/{}", made.created()["id"].as_str().expect("an id"));
    (path, tag)
}

fn tag(answer: &Answer) -> String {
    let tag = answer.header("etag").to_owned();
    assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "a strong tag: {tag:?}\n{}", answer.whole());
    tag
}

#[tokio::test]
async fn an_object_carries_a_tag_that_changes_when_it_does_and_only_then() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (path, made) = bob(&admin).await;
    let read = tag(&admin.get(&path).await);
    assert_eq!(read, made, "as it was made");
    assert_eq!(tag(&admin.get(&path).await), read, "reading changes nothing");
    let changed = tag(&admin.patch(&path, json!({ "first_name": "Robert" })).await);
    assert_ne!(changed, read);
    assert_eq!(tag(&admin.get(&path).await), changed);
    app.finish().await;
}

#[tokio::test]
async fn of_two_who_read_the_same_the_second_to_write_gets_412() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (path, read) = bob(&admin).await;
    admin.patch(&path, json!({ "first_name": "Robert" })).header("If-Match", &read).await.ok();
    admin
        .patch(&path, json!({ "last_name": "Builder" }))
        .header("If-Match", &read)
        .await
        .problem(412, "precondition_failed");
    admin
        .put(&path, json!({ "email": "other@example.com" }))
        .header("If-Match", &read)
        .await
        .problem(412, "precondition_failed");
    admin.delete(&path).header("If-Match", &read).await.problem(412, "precondition_failed");
    let now = admin.get(&path).await;
    let (newest, now) = (tag(&now), now.ok());
    assert_eq!(
        (&now["first_name"], &now["last_name"], &now["email"]),
        (&json!("Robert"), &json!(""), &json!("bob@example.com"))
    );
    admin.put(&path, json!({ "email": "other@example.com" })).header("If-Match", &newest).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn of_two_who_write_at_once_one_gets_412() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (path, read) = bob(&admin).await;
    let write = |name: &str| admin.patch(&path, json!({ "first_name": name })).header("If-Match", &read).into_future();
    let answers = futures_util::future::join_all(["A", "B", "C", "D"].map(write)).await;
    let done: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(done.len(), 1, "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
    assert_eq!(admin.get(&path).await.ok()["first_name"], done[0].json()["first_name"]);
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.problem(412, "precondition_failed");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_tag_that_was_never_given_out_matches_nothing() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (path, read) = bob(&admin).await;
    for nonsense in [
        "nonsense",
        "\"nonsense\"",
        "\"\"",
        "",
        "\"999\"",
        "\"-1\"",
        "\"99999999999999999999999\"",
        &format!("W/{read}"),
    ] {
        let answer = admin.patch(&path, json!({ "first_name": "X" })).header("If-Match", nonsense).await;
        answer.problem(412, "precondition_failed");
        admin.delete(&path).header("If-Match", nonsense).await.problem(412, "precondition_failed");
    }
    assert_eq!(admin.get(&path).await.ok()["first_name"], "Bob");
    app.finish().await;
}

#[tokio::test]
async fn a_star_matches_whatever_is_there() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (path, _) = bob(&admin).await;
    admin.patch(&path, json!({ "first_name": "A" })).header("If-Match", "*").await.ok();
    admin.patch(&path, json!({ "first_name": "B" })).header("If-Match", "*").await.ok();
    admin.delete(&path).header("If-Match", "*").await.no_content();
    admin.delete(&path).header("If-Match", "*").await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn other_single_objects_carry_tags_too() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.post("/invitations", json!({ "invitee_identifier": "eve@example.com", "role": "reader" })).await;
    let first = tag(&made);
    let path = format!("/invitations/{}", made.created()["uuid"].as_str().expect("an id"));
    assert_eq!(tag(&admin.get(&path).await), first);
    admin.delete(&path).await.no_content();
    assert_ne!(tag(&admin.get(&path).await), first);
    app.settle().await;
    let emails = admin.get("/emails").await.ok();
    let email =
        emails["results"].as_array().and_then(|all| all.first()).map_or(Value::Null, |email| email["id"].clone());
    tag(&admin.get(&format!("/emails/{}", email.as_str().expect("a mail"))).await);
    tag(&admin.get("").await);
    app.finish().await;
}

#[tokio::test]
async fn an_invitation_that_has_changed_is_not_revoked_by_whoever_saw_it_before() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.post("/invitations", json!({ "invitee_identifier": "bob@example.com", "role": "reader" })).await;
    let before = tag(&made);
    let path = format!("/invitations/{}", made.created()["uuid"].as_str().expect("an id"));
    admin.post(&format!("{path}/resend"), json!({})).await.ok();
    admin.delete(&path).header("If-Match", &before).await.problem(412, "precondition_failed");
    let now = tag(&admin.get(&path).await);
    admin.delete(&path).header("If-Match", &now).await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn a_suppression_that_has_changed_is_not_taken_off_by_whoever_saw_it_before() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.invite("bob@example.com", "reader").await;
    let message_id = app.mailbox().last_to("bob@example.com").await.header("Message-ID").expect("a Message-ID");
    app.settle().await;
    let event = |what: &str, at: &str| json!([{ "message_id": message_id, "event": what, "at": at }]);
    app.report(&event("bounced", "2026-11-22T12:00:00+00:00")).await.ok();
    let list = admin.get("/email-suppressions").await.ok();
    let path = format!("/email-suppressions/{}", list["results"][0]["id"].as_str().expect("an id"));
    let before = tag(&admin.get(&path).await);
    app.report(&event("complained", "2026-11-22T13:00:00+00:00")).await.ok();
    admin.delete(&path).header("If-Match", &before).await.problem(412, "precondition_failed");
    let now = admin.get(&path).await;
    assert_eq!(now.json()["reason"], "complained");
    admin.delete(&path).header("If-Match", &tag(&now)).await.no_content();
    app.finish().await;
}
