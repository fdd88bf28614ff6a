//! The people of an organization.

use harness::{Caller, PASSWORD, TestApp, days};
use serde_json::{Value, json};

fn path(user: &Value) -> String {
    format!("/users/{}", user["id"].as_str().expect("an id"))
}

async fn make(admin: &Caller, email: &str) -> Value {
    admin.post("/users", json!({ "email": email })).await.created()
}

/// A second superuser beside the first.
async fn second_superuser(admin: &Caller) -> Caller {
    let second = admin.member("second@example.com", "administrator").await;
    admin.patch(&format!("/users/{}", second.id), json!({ "is_superuser": true })).await.ok();
    second
}

// --- creating

#[tokio::test]
async fn a_new_user_is_mailed_a_link_that_sets_his_password() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.post("/users", json!({ "email": "Bob@Example.com", "first_name": "Bob" })).await.created();
    assert_eq!(
        (&made["email"], &made["username"], &made["is_email_verified"]),
        (&json!("Bob@Example.com"), &json!("Bob@Example.com"), &json!(false))
    );
    let mail = app.mailbox().last_to("Bob@Example.com").await;
    let link = mail.link();
    assert_eq!(link.0.path(), "/password-reset/confirm");
    assert!(mail.text().contains("Bob") && mail.text().contains("acme"), "{}", mail.text());
    app.clock.advance(days(6));
    let body = json!({ "token": link.token(), "new_password": PASSWORD, "confirm_new_password": PASSWORD });
    app.anonymous().under("acme").post("/iam/password-reset/confirm", body).await.no_content();
    let session = app.anonymous().sign_in("acme", "bob@example.com", PASSWORD).await.ok();
    let bob = app.anonymous().signed_in("acme", &session).await;
    assert_eq!(bob.get("/iam/current-user").await.ok()["is_email_verified"], true);
    app.finish().await;
}

#[tokio::test]
async fn the_link_of_a_welcome_is_good_for_seven_days() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    make(&admin, "bob@example.com").await;
    let link = app.mailbox().last_to("bob@example.com").await.link();
    app.clock.advance(days(7));
    let body = json!({ "token": link.token(), "new_password": PASSWORD, "confirm_new_password": PASSWORD });
    app.anonymous().under("acme").post("/iam/password-reset/confirm", body).await.problem(409, "link_expired");
    app.finish().await;
}

#[tokio::test]
async fn a_user_made_inactive_gets_no_mail() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.post("/users", json!({ "email": "bob@example.com", "is_active": false })).await.created();
    app.settle().await;
    assert_eq!(app.mailbox().count_to("bob@example.com"), 0);
    app.finish().await;
}

#[tokio::test]
async fn all_that_can_be_set_is_set() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body = json!({
        "email": "bob@example.com", "username": "bobby", "first_name": "Bob", "last_name": "Builder", "is_superuser": true,
        "keep_local_login": true, "is_third_party": true, "observation": "A note.\nIn two lines.", "expiry_date": "2099-12-31",
        "profile": { "team": { "colour": "red" } }, "user_groups": [admin.group("auditor").await],
    });
    let made = admin.post("/users", body.clone()).await.created();
    for (field, value) in body.as_object().expect("an object") {
        if field != "user_groups" {
            assert_eq!(&made[field], value, "{field}");
        }
    }
    assert_eq!((&made["number"], &made["roles"]), (&json!(2), &json!(["auditor"])));
    assert_eq!(admin.get(&format!("{}/object", path(&made))).await.ok(), made);
    app.finish().await;
}

#[tokio::test]
async fn an_address_is_unique_whatever_its_case() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = make(&admin, "Bob@Example.com").await;
    admin
        .post("/users", json!({ "email": "bOB@eXAMPLE.COM", "username": "other" }))
        .await
        .problem(409, "already_member");
    let eve = make(&admin, "eve@example.com").await;
    admin.patch(&path(&eve), json!({ "email": "BOB@example.com" })).await.problem(409, "already_member");
    admin.patch(&path(&bob), json!({ "email": "BOB@EXAMPLE.com" })).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_user_name_is_unique_whatever_its_case() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.post("/users", json!({ "email": "bob@example.com", "username": "Bobby" })).await.created();
    admin
        .post("/users", json!({ "email": "bob2@example.com", "username": "bOBBY" }))
        .await
        .problem(409, "username_taken");
    app.finish().await;
}

#[tokio::test]
async fn each_bad_field_is_refused_by_itself() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({ "email": "bob@example.com", "username": "bob" });
        body[field] = value;
        body
    };
    let too_much = json!({ "text": "x".repeat(16 * 1024) });
    for (field, value, code) in [
        ("email", json!(""), "required"),
        ("email", json!("bob"), "invalid_email"),
        ("email", json!("bob@localhost"), "invalid_email"),
        ("email", json!("a@example.com\r\nBcc: b@example.com"), "invalid_email"),
        ("email", json!("Bob <bob@example.com>"), "invalid_email"),
        ("email", json!(format!("{}@example.com", "a".repeat(250))), "too_long"),
        ("username", json!(""), "invalid"),
        ("username", json!("two words"), "invalid"),
        ("username", json!("x".repeat(255)), "invalid"),
        ("first_name", json!("x".repeat(151)), "too_long"),
        ("last_name", json!("x".repeat(151)), "too_long"),
        ("first_name", json!("two\nlines"), "invalid"),
        ("observation", json!("x".repeat(4001)), "too_long"),
        ("profile", json!([]), "invalid"),
        ("profile", json!("text"), "invalid"),
        ("profile", too_much, "too_long"),
        ("user_groups", json!(["01a20142-b4b6-7e53-9117-9e8a179185ee"]), "not_found"),
    ] {
        admin.post("/users", with(field, value)).await.invalid(field, code);
    }
    assert_eq!(admin.get("/users").await.ok()["count"], 1, "nothing was made");
    let longest = json!({ "email": "bob@example.com", "first_name": "x".repeat(150), "last_name": "ü".repeat(150), "observation": "x".repeat(4000) });
    admin.post("/users", longest).await.created();
    app.finish().await;
}

#[tokio::test]
async fn several_bad_fields_are_told_at_once() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body = json!({ "email": "bob", "username": "two words", "first_name": "x".repeat(151) });
    let problem = admin.post("/users", body).await.problem(400, "validation_failed");
    let fields: Vec<_> = problem["errors"].as_array().expect("a list").iter().map(|e| e["field"].clone()).collect();
    assert_eq!(fields, ["email", "first_name", "username"]);
    app.finish().await;
}

// --- rights

#[tokio::test]
async fn a_reader_reads_and_changes_his_own_names_and_nothing_else() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "reader").await;
    let other = make(&admin, "eve@example.com").await;
    let me = format!("/users/{}", bob.id);
    bob.get("/users").await.ok();
    bob.get(&path(&other)).await.ok();
    let changed = bob.patch(&me, json!({ "first_name": "Robert", "last_name": "B." })).await.ok();
    assert_eq!(changed["full_name"], "Robert B.");
    let before = bob.get(&me).await.ok();
    for (field, value) in [
        ("email", json!("other@example.com")),
        ("username", json!("other")),
        ("is_active", json!(false)),
        ("is_superuser", json!(true)),
        ("keep_local_login", json!(true)),
        ("is_third_party", json!(true)),
        ("observation", json!("x")),
        ("expiry_date", json!("2099-01-01")),
        ("profile", json!({ "a": 1 })),
        ("user_groups", json!([admin.group("administrator").await])),
    ] {
        bob.patch(&me, json!({ field: value.clone() })).await.problem(403, "permission_denied");
        bob.patch(&me, json!({ "first_name": "X", field: value })).await.problem(403, "permission_denied");
    }
    bob.put(&me, json!({ "email": "bob@example.com", "first_name": "X" })).await.problem(403, "permission_denied");
    bob.patch(&path(&other), json!({ "first_name": "X" })).await.problem(403, "permission_denied");
    bob.delete(&path(&other)).await.problem(403, "permission_denied");
    bob.post("/users", json!({ "email": "new@example.com" })).await.problem(403, "permission_denied");
    assert_eq!(bob.get(&me).await.ok(), before);
    app.finish().await;
}

#[tokio::test]
async fn only_a_superuser_makes_or_unmakes_superusers() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let administrator = admin.member("bob@example.com", "administrator").await;
    let eve = make(&admin, "eve@example.com").await;
    administrator.patch(&path(&eve), json!({ "is_superuser": true })).await.problem(403, "superuser_only");
    administrator
        .post("/users", json!({ "email": "x@example.com", "is_superuser": true }))
        .await
        .problem(403, "superuser_only");
    administrator
        .patch(&format!("/users/{}", administrator.id), json!({ "is_superuser": true }))
        .await
        .problem(403, "superuser_only");
    let made = admin.patch(&path(&eve), json!({ "is_superuser": true })).await.ok();
    assert_eq!(made["is_superuser"], true);
    administrator.patch(&path(&eve), json!({ "is_superuser": false })).await.problem(403, "outranked");
    admin.patch(&path(&eve), json!({ "is_superuser": false })).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn nobody_grants_what_he_does_not_hold() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let manager = admin.member("manager@example.com", "domain_manager").await;
    let (administrators, readers) = (admin.group("administrator").await, admin.group("reader").await);
    let eve = make(&admin, "eve@example.com").await;
    manager
        .post("/users", json!({ "email": "x@example.com", "user_groups": [administrators] }))
        .await
        .problem(403, "cannot_grant");
    manager.patch(&path(&eve), json!({ "user_groups": [administrators] })).await.problem(403, "cannot_grant");
    let me = format!("/users/{}", manager.id);
    manager.patch(&me, json!({ "user_groups": [administrators] })).await.problem(403, "cannot_grant");
    manager
        .patch(&path(&eve), json!({ "user_groups": [admin.group("auditor").await] }))
        .await
        .problem(403, "cannot_grant");
    assert_eq!(manager.get(&path(&eve)).await.ok()["roles"], json!([]));
    let granted = manager.patch(&path(&eve), json!({ "user_groups": [readers] })).await.ok();
    assert_eq!(granted["roles"], json!(["reader"]));
    app.finish().await;
}

#[tokio::test]
async fn whoever_holds_more_can_not_be_changed_from_below() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let manager = admin.member("manager@example.com", "domain_manager").await;
    let auditor = admin.member("auditor@example.com", "auditor").await;
    for above in [admin.id, auditor.id] {
        let path = format!("/users/{above}");
        manager.patch(&path, json!({ "email": "mine@example.com" })).await.problem(403, "outranked");
        manager.patch(&path, json!({ "first_name": "X" })).await.problem(403, "outranked");
        manager.delete(&path).await.problem(403, "outranked");
    }
    let reader = admin.member("reader@example.com", "reader").await;
    manager.patch(&format!("/users/{}", reader.id), json!({ "first_name": "X" })).await.ok();
    manager.delete(&format!("/users/{}", reader.id)).await.no_content();
    app.finish().await;
}

// --- the last superuser, and oneself

#[tokio::test]
async fn the_last_superuser_stays() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let me = format!("/users/{}", admin.id);
    let before = admin.get(&me).await.ok();
    admin.patch(&me, json!({ "is_active": false })).await.problem(409, "last_superuser");
    admin.patch(&me, json!({ "is_superuser": false })).await.problem(409, "last_superuser");
    admin.patch(&me, json!({ "expiry_date": "2020-01-01" })).await.problem(409, "last_superuser");
    admin.patch(&me, json!({ "expiry_date": "2099-01-01" })).await.problem(409, "last_superuser");
    admin.put(&me, json!({ "email": admin.email })).await.problem(409, "last_superuser");
    admin.delete(&me).await.problem(409, "last_superuser");
    assert_eq!(admin.get(&me).await.ok(), before);
    app.finish().await;
}

#[tokio::test]
async fn a_superuser_who_is_inactive_or_will_expire_is_not_another_one() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let second = second_superuser(&admin).await;
    let (first_path, second_path) = (format!("/users/{}", admin.id), format!("/users/{}", second.id));
    admin.patch(&second_path, json!({ "expiry_date": "2099-01-01" })).await.ok();
    second.patch(&first_path, json!({ "is_superuser": false })).await.problem(409, "last_superuser");
    second.delete(&first_path).await.problem(409, "last_superuser");
    admin.patch(&second_path, json!({ "expiry_date": null })).await.ok();
    second.patch(&first_path, json!({ "is_superuser": false })).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn nobody_deletes_deactivates_demotes_or_expires_himself() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    second_superuser(&admin).await;
    let me = format!("/users/{}", admin.id);
    admin.patch(&me, json!({ "is_active": false })).await.problem(409, "cannot_change_oneself");
    admin.patch(&me, json!({ "is_superuser": false })).await.problem(409, "cannot_change_oneself");
    admin.patch(&me, json!({ "expiry_date": "2020-01-01" })).await.problem(409, "cannot_change_oneself");
    admin.delete(&me).await.problem(409, "cannot_change_oneself");
    let manager = admin.member("manager@example.com", "domain_manager").await;
    manager.delete(&format!("/users/{}", manager.id)).await.problem(409, "cannot_change_oneself");
    manager
        .patch(&format!("/users/{}", manager.id), json!({ "is_active": false }))
        .await
        .problem(409, "cannot_change_oneself");
    app.finish().await;
}

#[tokio::test]
async fn of_two_superusers_who_demote_each_other_at_once_one_remains() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let second = second_superuser(&admin).await;
    let (first_path, second_path) = (format!("/users/{}", admin.id), format!("/users/{}", second.id));
    for body in [json!({ "is_superuser": false }), json!({ "is_active": false })] {
        let answers = futures_util::future::join(
            admin.patch(&second_path, body.clone()).into_future(),
            second.patch(&first_path, body.clone()).into_future(),
        )
        .await;
        let answers = [answers.0, answers.1];
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 1, "{}\n\n{}", answers[0].whole(), answers[1].whole());
        let refused = answers.iter().find(|answer| answer.status != 200).expect("one");
        assert!([401, 403, 409].contains(&refused.status.as_u16()), "{}", refused.whole());
        let left = app.database().value("select count(*) from users where is_superuser and is_active").await;
        assert_eq!(left, 1);
        app.database().execute("update users set is_superuser = true, is_active = true").await;
        // Whoever was deactivated has lost his session: sign both in again.
        for caller in [&admin, &second] {
            app.anonymous().sign_in("acme", &caller.email, PASSWORD).await.ok();
        }
        if body["is_active"] == false {
            break;
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn of_two_superusers_who_delete_each_other_at_once_one_remains() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let second = second_superuser(&admin).await;
    let (one, other) = futures_util::future::join(
        admin.delete(&format!("/users/{}", second.id)).into_future(),
        second.delete(&format!("/users/{}", admin.id)).into_future(),
    )
    .await;
    let done = [&one, &other].into_iter().filter(|answer| answer.status == 204).count();
    assert_eq!(done, 1, "{}\n\n{}", one.whole(), other.whole());
    assert_eq!(app.database().value("select count(*) from users where is_superuser").await, 1);
    app.finish().await;
}

// --- changing

#[tokio::test]
async fn patch_changes_what_is_present_and_null_clears() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body = json!({
        "email": "bob@example.com", "first_name": "Bob", "observation": "A note", "expiry_date": "2099-01-01",
        "profile": { "keep": 1, "drop": 2, "deep": { "a": 1, "b": 2 } },
    });
    let bob = admin.post("/users", body).await.created();
    let path = path(&bob);
    let same = admin.patch(&path, json!({})).await.ok();
    for field in ["first_name", "observation", "expiry_date", "profile", "email"] {
        assert_eq!(same[field], bob[field], "{field}");
    }
    let cleared = admin.patch(&path, json!({ "observation": null })).await.ok();
    assert_eq!((&cleared["observation"], &cleared["expiry_date"]), (&Value::Null, &json!("2099-01-01")));
    let cleared = admin.patch(&path, json!({ "expiry_date": null, "first_name": null })).await.ok();
    assert_eq!((&cleared["expiry_date"], &cleared["first_name"]), (&Value::Null, &json!("")));
    let merged = admin
        .patch(&path, json!({ "profile": { "drop": null, "new": [1], "deep": { "a": null, "c": 3 } } }))
        .await
        .ok();
    assert_eq!(merged["profile"], json!({ "keep": 1, "new": [1], "deep": { "b": 2, "c": 3 } }));
    let emptied = admin.patch(&path, json!({ "profile": null })).await.ok();
    assert_eq!(emptied["profile"], json!({}));
    for field in ["email", "username", "is_active", "is_superuser", "keep_local_login", "is_third_party"] {
        admin.patch(&path, json!({ field: null })).await.invalid(field, "required");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_profile_can_not_be_merged_past_its_limit() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let half = "x".repeat(9_000);
    let bob = admin.post("/users", json!({ "email": "bob@example.com", "profile": { "a": half } })).await.created();
    admin.patch(&path(&bob), json!({ "profile": { "b": half } })).await.problem(409, "profile_too_large");
    assert_eq!(admin.get(&path(&bob)).await.ok()["profile"], json!({ "a": half }));
    app.finish().await;
}

#[tokio::test]
async fn put_replaces_and_what_is_not_given_goes_back_to_its_default() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body = json!({
        "email": "bob@example.com", "username": "bobby", "first_name": "Bob", "observation": "A note", "is_third_party": true,
        "expiry_date": "2099-01-01", "profile": { "a": 1 }, "user_groups": [admin.group("reader").await],
    });
    let bob = admin.post("/users", body).await.created();
    let replaced = admin.put(&path(&bob), json!({ "email": "bob@example.com", "last_name": "Builder" })).await.ok();
    for (field, value) in [
        ("username", json!("bob@example.com")),
        ("first_name", json!("")),
        ("last_name", json!("Builder")),
        ("observation", Value::Null),
        ("is_third_party", json!(false)),
        ("is_active", json!(true)),
        ("expiry_date", Value::Null),
        ("profile", json!({})),
        ("user_groups", json!([])),
        ("number", bob["number"].clone()),
        ("date_joined", bob["date_joined"].clone()),
    ] {
        assert_eq!(replaced[field], value, "{field}");
    }
    let answer = admin.put(&path(&bob), json!({ "first_name": "Bob" })).await;
    assert_eq!(answer.status, 400, "the address is needed:\n{}", answer.whole());
    app.finish().await;
}

#[tokio::test]
async fn a_new_address_is_not_verified_and_links_to_the_old_one_are_dead() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = make(&admin, "bob@example.com").await;
    let link = app.mailbox().last_to("bob@example.com").await.link();
    app.database().execute("update users set is_email_verified = true where email = 'bob@example.com'").await;
    let moved = admin.patch(&path(&bob), json!({ "email": "robert@example.com" })).await.ok();
    assert_eq!((&moved["is_email_verified"], &moved["username"]), (&json!(false), &json!("robert@example.com")));
    let body = json!({ "token": link.token(), "new_password": PASSWORD, "confirm_new_password": PASSWORD });
    app.anonymous().under("acme").post("/iam/password-reset/confirm", body).await.problem(409, "link_superseded");
    app.finish().await;
}

// --- deleting

#[tokio::test]
async fn a_deleted_user_is_gone_and_his_address_free() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let bob = admin.member("bob@example.com", "administrator").await;
    let invited = bob.invite("eve@example.com", "reader").await;
    admin.delete(&format!("/users/{}", bob.id)).await.no_content();
    admin.get(&format!("/users/{}", bob.id)).await.problem(404, "not_found");
    admin.delete(&format!("/users/{}", bob.id)).await.problem(404, "not_found");
    let orphan = admin.get(&format!("/invitations/{}", invited["uuid"].as_str().expect("an id"))).await.ok();
    assert_eq!(orphan["invited_by"], Value::Null);
    let again = make(&admin, "bob@example.com").await;
    assert_ne!(again["number"], json!(2), "numbers are not given out again");
    app.finish().await;
}

// --- lists

#[tokio::test]
async fn filters_narrow_the_list() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (approvers, readers) = (admin.group("approver").await, admin.group("reader").await);
    let ann = admin
        .post(
            "/users",
            json!({ "email": "Ann@example.com", "first_name": "Ann", "last_name": "Lee", "user_groups": [approvers] }),
        )
        .await
        .created();
    let ben = admin.post("/users", json!({ "email": "ben@example.com", "first_name": "Ben", "is_third_party": true, "user_groups": [readers] })).await.created();
    let cat = admin
        .post("/users", json!({ "email": "cat@example.com", "keep_local_login": true, "expiry_date": "2099-01-01" }))
        .await
        .created();
    let dan = admin.post("/users", json!({ "email": "dan@example.com", "is_active": false })).await.created();
    let id = |user: &Value| user["id"].as_str().expect("an id").to_owned();
    for (query, expected) in [
        ("exclude_current=true".to_owned(), vec!["Ann", "ben", "cat", "dan"]),
        ("email=ANN@example.com".into(), vec!["Ann"]),
        ("first_name=ann".into(), vec!["Ann"]),
        ("last_name=LEE".into(), vec!["Ann"]),
        (format!("id={},{}", id(&ann), id(&dan)), vec!["Ann", "dan"]),
        ("is_active=false".into(), vec!["dan"]),
        ("is_active=true&exclude_current=true".into(), vec!["Ann", "ben", "cat"]),
        ("is_approver=true".into(), vec!["Ann"]),
        ("is_approver=false&exclude_current=true".into(), vec!["ben", "cat", "dan"]),
        ("is_third_party=true".into(), vec!["ben"]),
        ("keep_local_login=true".into(), vec!["cat"]),
        ("expiry_date=2099-01-01".into(), vec!["cat"]),
        (format!("user_groups={approvers}"), vec!["Ann"]),
        (format!("user_groups={approvers},{readers}"), vec!["Ann", "ben"]),
        ("search=LEE".into(), vec!["Ann"]),
        ("search=ben@".into(), vec!["ben"]),
        ("is_third_party=true&is_active=false".into(), vec![]),
    ] {
        let page = admin.get(&format!("/users?{query}")).await.ok();
        let found: Vec<_> = page["results"]
            .as_array()
            .expect("results")
            .iter()
            .filter_map(|u| u["email"].as_str()?.split_once('@'))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(found, expected, "{query}");
        assert_eq!(page["count"], expected.len(), "{query}");
    }
    let _ = (ben, cat);
    for (query, field) in [("id=nonsense", "id"), ("user_groups=1", "user_groups")] {
        admin.get(&format!("/users?{query}")).await.invalid(field, "invalid");
    }
    for query in ["is_active=maybe", "expiry_date=soon"] {
        admin.get(&format!("/users?{query}")).await.problem(400, "invalid_parameter");
    }
    app.finish().await;
}
