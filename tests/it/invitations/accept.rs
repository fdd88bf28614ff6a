//! Accepting.

use harness::{Answer, PASSWORD, TestApp};
use serde_json::{Value, json};

use super::path;

#[tokio::test]
async fn whoever_accepts_is_a_user_with_the_invited_role_and_signed_in() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body = json!({ "invitee_identifier": "Bob@Example.com", "role": "analyst", "user_groups": [admin.group("auditor").await] });
    let made = admin.post("/invitations", body).await.created();
    let link = app.mailbox().last_to("Bob@Example.com").await.link();
    let accept = json!({ "token": link.token(), "first_name": " Bob ", "last_name": "Builder", "password": PASSWORD });
    let session = app.anonymous().post("/v1/invitations/accept", accept).await.created();
    assert_eq!(session["organization"], "acme");
    assert!(session["token"].as_str().expect("a token").starts_with("tnt_s_") && session["expiry"].is_string());
    let bob = app.anonymous().signed_in("acme", &session).await;
    let me = bob.get("/iam/current-user").await.ok();
    for (field, value) in [
        ("email", json!("Bob@Example.com")),
        ("full_name", json!("Bob Builder")),
        ("is_email_verified", json!(true)),
        ("is_superuser", json!(false)),
        ("roles", json!(["analyst", "auditor"])),
    ] {
        assert_eq!(me[field], value, "{field}");
    }
    app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.ok();
    app.settle().await;
    let read = admin.get(&path(&made)).await.ok();
    assert_eq!((&read["status"], &read["delivery"]["status"]), (&json!("accepted"), &json!("sent")));
    app.finish().await;
}

#[tokio::test]
async fn the_inviter_is_told() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let manager = admin.member("manager@example.com", "domain_manager").await;
    app.settle().await;
    app.mailbox().read_all();
    manager.invite("bob@example.com", "reader").await;
    let link = app.mailbox().last_to("bob@example.com").await.link();
    let accept = json!({ "token": link.token(), "first_name": "Bob", "last_name": "Builder", "password": PASSWORD });
    app.anonymous().post("/v1/invitations/accept", accept).await.created();
    let mail = app.mailbox().last_to("manager@example.com").await;
    assert!(mail.text().contains("Bob Builder"), "{}", mail.text());
    app.finish().await;
}

#[tokio::test]
async fn names_may_be_left_out() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let me = bob.get("/iam/current-user").await.ok();
    assert_eq!((&me["first_name"], &me["full_name"]), (&json!(""), &json!("")));
    app.finish().await;
}

#[tokio::test]
async fn a_bad_password_or_name_is_refused_and_the_link_stays_good() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.invite("bob.builder@example.com", "reader").await;
    let link = app.mailbox().last_to("bob.builder@example.com").await.link();
    let accept = |password: &str, first_name: &str| {
        let body = json!({ "token": link.token(), "password": password, "first_name": first_name });
        app.anonymous().post("/v1/invitations/accept", body)
    };
    accept("short &3 kzqXp", "").await.invalid("password", "password_too_short");
    accept(&"xK9 ".repeat(33), "").await.invalid("password", "password_too_long");
    accept("passwordpassword", "").await.invalid("password", "password_common");
    accept("xq BOB.BUILDER lurking zebras 7", "").await.invalid("password", "password_guessable");
    accept("lurking zebras acme xylophone 7", "").await.invalid("password", "password_guessable");
    accept(PASSWORD, &"x".repeat(151)).await.invalid("first_name", "too_long");
    accept(PASSWORD, "two\nlines").await.invalid("first_name", "invalid");
    assert_eq!(admin.get("/users").await.ok()["count"], 1);
    accept("Fünf grüne Äpfel fallen leise", "").await.created();
    app.finish().await;
}

#[tokio::test]
async fn of_several_who_accept_at_once_exactly_one_is_in() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    let link = app.link_of(&admin, &made).await;
    let anonymous = app.anonymous();
    let answers: Vec<Answer> =
        futures_util::future::join_all((0..4).map(|_| anonymous.accept(&link).into_future())).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(accepted.len(), 1);
    for answer in refused {
        answer.problem(409, "invitation_accepted");
    }
    assert_eq!(admin.get("/users").await.ok()["count"], 2);
    app.settle().await;
    assert_eq!(app.mailbox().count_to(&admin.email), 1, "the inviter is told once");
    app.finish().await;
}

#[tokio::test]
async fn of_one_who_accepts_and_one_who_revokes_at_once_one_wins() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    let link = app.link_of(&admin, &made).await;
    let (accepted, revoked) = futures_util::future::join(
        app.anonymous().accept(&link).into_future(),
        admin.delete(&path(&made)).into_future(),
    )
    .await;
    let status = admin.get(&path(&made)).await.ok()["status"].clone();
    let users = admin.get("/users").await.ok()["count"].clone();
    if accepted.status == 201 {
        revoked.problem(409, "invitation_accepted");
        assert_eq!((status, users), (json!("accepted"), json!(2)));
    } else {
        accepted.problem(409, "invitation_revoked");
        revoked.no_content();
        assert_eq!((status, users), (json!("revoked"), json!(1)));
    }
    app.finish().await;
}

#[tokio::test]
async fn someone_who_became_a_member_meanwhile_can_not_accept() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    let link = app.link_of(&admin, &made).await;
    admin.post("/users", json!({ "email": "BOB@example.com" })).await.created();
    app.anonymous().accept(&link).await.problem(409, "already_member");
    app.finish().await;
}

#[tokio::test]
async fn an_inviter_who_is_gone_is_not_told_and_harms_nothing() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let manager = admin.member("manager@example.com", "domain_manager").await;
    app.settle().await;
    let before = app.mailbox().count_to("manager@example.com");
    let made = manager.invite("bob@example.com", "reader").await;
    admin.delete(&format!("/users/{}", manager.id)).await.no_content();
    let link = app.link_of(&admin, &made).await;
    assert_eq!(app.anonymous().preview(&link).await.ok()["inviter"], Value::Null);
    app.anonymous().accept(&link).await.created();
    app.settle().await;
    assert_eq!(app.mailbox().count_to("manager@example.com"), before);
    app.finish().await;
}

#[tokio::test]
async fn someone_who_is_signed_in_elsewhere_accepts_as_the_invitee() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let other = app.organization("globex").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    let link = app.link_of(&admin, &made).await;
    let session = other.accept(&link).await.created();
    let bob = app.anonymous().signed_in("acme", &session).await;
    assert_eq!(bob.email, "bob@example.com");
    app.finish().await;
}
