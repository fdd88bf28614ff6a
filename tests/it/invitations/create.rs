//! Inviting, and looking at invitations.

use harness::{Caller, TestApp, days, seconds};
use serde_json::{Value, json};

use super::path;

const NOBODYS: &str = "01a20142-b4b6-7e53-9117-9e8a179185ee";

async fn addresses(caller: &Caller, query: &str) -> Vec<String> {
    let page = caller.get(&format!("/invitations?{query}")).await.ok();
    let results = page["results"].as_array().expect("results");
    results.iter().map(|i| i["invitee_identifier"].as_str().expect("an address").to_owned()).collect()
}

#[tokio::test]
async fn an_invitation_says_all_that_there_is_to_know() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let group = admin.group("auditor").await;
    let body = json!({
        "invitee_identifier": "Bob@Example.com", "role": "analyst", "user_groups": [group], "locale": "de",
        "message": "Hello Bob,\nsee you.", "valid_for": 7200,
    });
    let now = app.clock.now();
    let made = admin.post("/invitations", body).await.created();
    for (field, value) in [
        ("invitee_identifier", json!("Bob@Example.com")),
        ("role", json!("analyst")),
        ("user_groups", json!([group])),
        ("locale", json!("de")),
        ("message", json!("Hello Bob,\nsee you.")),
        ("status", json!("pending")),
        ("resent_count", json!(0)),
        ("invited_by", json!(admin.id)),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let me = admin.get("/iam/current-user").await.ok();
    assert_eq!(made["folder"], me["root_folder_id"], "the root, if not given");
    let time =
        |field: &str| made[field].as_str().expect("a time").parse::<chrono::DateTime<chrono::Utc>>().expect("RFC 3339");
    assert!(time("sent_at") - now < seconds(30));
    assert_eq!(time("valid_until") - time("sent_at"), seconds(7200));
    assert!(made["delivery"]["status"].is_string() && made["delivery"]["attempts"].is_number(), "{made}");
    let read = admin.get(&path(&made)).await.ok();
    for field in ["uuid", "invitee_identifier", "valid_until", "sent_at", "invited_by"] {
        assert_eq!(read[field], made[field], "{field}");
    }
    app.finish().await;
}

#[tokio::test]
async fn an_invitation_is_valid_for_seven_days_or_what_the_organization_sets() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let valid_for = |made: &Value| {
        let time = |field: &str| {
            made[field].as_str().expect("a time").parse::<chrono::DateTime<chrono::Utc>>().expect("RFC 3339")
        };
        time("valid_until") - time("sent_at")
    };
    assert_eq!(valid_for(&admin.invite("bob@example.com", "reader").await), days(7));
    app.database().execute("update organizations set invitation_validity = 86400").await;
    assert_eq!(valid_for(&admin.invite("eve@example.com", "reader").await), days(1));
    app.finish().await;
}

#[tokio::test]
async fn each_bad_field_is_refused_by_itself() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({ "invitee_identifier": "bob@example.com", "role": "reader" });
        body[field] = value;
        body
    };
    for (field, value, code) in [
        ("invitee_identifier", json!(""), "required"),
        ("invitee_identifier", json!("bob"), "invalid_email"),
        ("invitee_identifier", json!("bob@"), "invalid_email"),
        ("invitee_identifier", json!("bob@localhost"), "invalid_email"),
        ("invitee_identifier", json!("a b@example.com"), "invalid_email"),
        ("invitee_identifier", json!("bob@example.com\r\nBcc: eve@example.com"), "invalid_email"),
        ("invitee_identifier", json!("bob@example.com,eve@example.com"), "invalid_email"),
        ("invitee_identifier", json!(format!("{}@example.com", "a".repeat(250))), "too_long"),
        ("role", json!("king"), "unknown_role"),
        ("role", json!("Reader"), "unknown_role"),
        ("valid_for", json!(3599), "out_of_range"),
        ("valid_for", json!(7_776_001), "out_of_range"),
        ("valid_for", json!(-1), "out_of_range"),
        ("valid_for", json!(i64::MAX), "out_of_range"),
        ("message", json!("x".repeat(1001)), "too_long"),
        ("message", json!("a bell: \u{7}"), "invalid"),
        ("locale", json!("nonsense!"), "invalid_locale"),
        ("folder", json!(NOBODYS), "not_found"),
        ("user_groups", json!([NOBODYS]), "not_found"),
        ("user_groups", json!(vec![NOBODYS; 101]), "too_many"),
    ] {
        admin.post("/invitations", with(field, value)).await.invalid(field, code);
    }
    let neither = json!({ "invitee_identifier": "bob@example.com" });
    admin.post("/invitations", neither).await.invalid("role", "role_or_groups_required");
    assert_eq!(admin.get("/invitations").await.ok()["count"], 0, "nothing was made");
    app.settle().await;
    assert_eq!(app.mailbox().all().len(), 0, "nothing was mailed");

    let on_the_edge = json!({ "invitee_identifier": "bob@example.com", "role": "reader", "valid_for": 3600, "message": "ü".repeat(1000) });
    admin.post("/invitations", on_the_edge).await.created();
    let on_the_other = json!({ "invitee_identifier": "eve@example.com", "role": "reader", "valid_for": 7_776_000 });
    admin.post("/invitations", on_the_other).await.created();
    app.finish().await;
}

#[tokio::test]
async fn groups_alone_are_enough() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body = json!({ "invitee_identifier": "bob@example.com", "user_groups": [admin.group("auditor").await, admin.group("reader").await] });
    let made = admin.post("/invitations", body).await.created();
    assert_eq!(made["role"], Value::Null);
    let link = app.link_of(&admin, &made).await;
    let session = app.anonymous().accept(&link).await.created();
    let bob = app.anonymous().signed_in("acme", &session).await;
    assert_eq!(bob.get("/iam/current-user").await.ok()["roles"], json!(["auditor", "reader"]));
    app.finish().await;
}

#[tokio::test]
async fn every_builtin_role_can_be_invited_to() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for role in ["administrator", "domain_manager", "analyst", "approver", "auditor", "reader"] {
        let member = admin.member(&format!("{role}@example.com"), role).await;
        assert_eq!(member.get("/iam/current-user").await.ok()["roles"], json!([role]));
    }
    app.finish().await;
}

#[tokio::test]
async fn an_address_has_one_open_invitation_whatever_its_case() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let other = admin.member("other@example.com", "administrator").await;
    let first = admin.invite("Bob@Example.com", "reader").await;
    for (caller, address) in [(&admin, "Bob@Example.com"), (&admin, "bob@example.COM"), (&other, "BOB@EXAMPLE.COM")] {
        let body = json!({ "invitee_identifier": address, "role": "auditor" });
        caller.post("/invitations", body).await.problem(409, "invitation_open");
    }
    assert_eq!(admin.get(&path(&first)).await.ok()["role"], "reader");
    app.finish().await;
}

#[tokio::test]
async fn of_two_who_invite_an_address_at_once_one_gets_409() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let invite = || {
        admin.post("/invitations", json!({ "invitee_identifier": "bob@example.com", "role": "reader" })).into_future()
    };
    let answers = futures_util::future::join_all([invite(), invite(), invite()]).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    for answer in refused {
        answer.problem(409, "invitation_open");
    }
    app.settle().await;
    assert_eq!(app.mailbox().count_to("bob@example.com"), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_member_can_not_be_invited_whatever_the_case_of_his_address() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.post("/users", json!({ "email": "Bob@Example.com" })).await.created();
    let body = json!({ "invitee_identifier": "bOB@example.com", "role": "reader" });
    admin.post("/invitations", body).await.problem(409, "already_member");
    app.finish().await;
}

#[tokio::test]
async fn one_invites_only_to_what_one_holds() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let manager = admin.member("manager@example.com", "domain_manager").await;
    let invite = |body: Value| {
        let mut body = body;
        body["invitee_identifier"] = json!("bob@example.com");
        manager.post("/invitations", body)
    };
    invite(json!({ "role": "administrator" })).await.problem(403, "cannot_grant");
    invite(json!({ "role": "auditor" })).await.problem(403, "cannot_grant");
    invite(json!({ "user_groups": [admin.group("administrator").await] })).await.problem(403, "cannot_grant");
    invite(json!({ "role": "reader", "user_groups": [admin.group("auditor").await] }))
        .await
        .problem(403, "cannot_grant");
    assert_eq!(admin.get("/invitations?status=pending").await.ok()["count"], 0);
    invite(json!({ "role": "domain_manager" })).await.created();
    app.finish().await;
}

#[tokio::test]
async fn who_may_not_invite_may_not_look_either_and_an_auditor_may_only_look() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = admin.invite("bob@example.com", "reader").await;
    let reader = admin.member("reader@example.com", "reader").await;
    let auditor = admin.member("auditor@example.com", "auditor").await;
    let body = json!({ "invitee_identifier": "eve@example.com", "role": "reader" });
    for caller in [&reader, &auditor] {
        caller.post("/invitations", body.clone()).await.problem(403, "permission_denied");
        caller.post("/invitations/batch", json!([body])).await.problem(403, "permission_denied");
        caller.post("/invitations/resend", json!({ "status": "pending" })).await.problem(403, "permission_denied");
        caller.post(&path(&made), json!({})).await.problem(403, "permission_denied");
        caller.post(&format!("{}/resend", path(&made)), json!({})).await.problem(403, "permission_denied");
        caller.delete(&path(&made)).await.problem(403, "permission_denied");
    }
    reader.get("/invitations").await.problem(403, "permission_denied");
    reader.get(&path(&made)).await.problem(403, "permission_denied");
    auditor.get("/invitations").await.ok();
    auditor.get(&path(&made)).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn the_list_is_newest_first_and_filters_narrow_it() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let expired = json!({ "invitee_identifier": "expired@example.com", "role": "reader", "valid_for": 3600 });
    admin.post("/invitations", expired).await.created();
    app.clock.advance(seconds(3601));
    let revoked = admin.invite("revoked@example.com", "reader").await;
    admin.delete(&path(&revoked)).await.no_content();
    let declined = admin.invite("declined@example.com", "auditor").await;
    app.anonymous().decline(&app.link_of(&admin, &declined).await).await.no_content();
    admin.member("accepted@example.com", "reader").await;
    admin.invite("Pending_1@example.com", "auditor").await;
    let all = [
        "Pending_1@example.com",
        "accepted@example.com",
        "declined@example.com",
        "revoked@example.com",
        "expired@example.com",
    ];
    assert_eq!(addresses(&admin, "").await, all);
    for (query, expected) in [
        ("status=pending", &all[0..1]),
        ("status=accepted", &all[1..2]),
        ("status=declined", &all[2..3]),
        ("status=revoked", &all[3..4]),
        ("status=expired", &all[4..5]),
        ("role=auditor", &[all[0], all[2]][..]),
        ("role=auditor&status=declined", &all[2..3]),
        ("role=king", &[]),
        ("search=PENDING_", &all[0..1]),
        ("search=example.com&limit=2", &all[0..2]),
        ("ordering=created_at&limit=1", &all[4..5]),
        ("ordering=invitee_identifier&limit=1", &all[1..2]),
    ] {
        assert_eq!(addresses(&admin, query).await, expected, "{query}");
    }
    admin.get("/invitations?status=nonsense").await.problem(400, "invalid_parameter");
    app.finish().await;
}

#[tokio::test]
async fn the_mail_goes_to_the_address_as_typed_and_says_who_and_what() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    admin.patch(&format!("/users/{}", admin.id), json!({ "first_name": "Alice", "last_name": "Liddell" })).await.ok();
    let body =
        json!({ "invitee_identifier": "Bob.Builder@Example.COM", "role": "reader", "message": "Glad to have you <b>" });
    admin.post("/invitations", body).await.created();
    let mail = app.mailbox().last_to("Bob.Builder@Example.COM").await;
    assert!(mail.subject().contains("Alice Liddell") && mail.subject().contains("acme"), "{}", mail.subject());
    let (text, html) = (mail.text(), mail.html());
    assert!(text.contains("Glad to have you <b>"), "{text}");
    assert!(html.contains("Glad to have you &lt;b&gt;") && !html.contains("you <b>"), "{html}");
    assert_eq!(mail.link().0.path(), "/invitations/accept");
    assert!(mail.link().0.as_str().starts_with(app.url()));
    let decline =
        mail.links().into_iter().find(|link| link.0.path() == "/invitations/decline").expect("a link to decline");
    assert_eq!(decline.token(), mail.link().token());
    assert!(html.contains(mail.link().0.as_str()) || html.contains(&mail.link().0.as_str().replace('&', "&amp;")));
    assert_eq!(mail.header("Auto-Submitted").as_deref(), Some("auto-generated"));
    app.finish().await;
}

#[tokio::test]
async fn the_mail_speaks_the_language_asked_for() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let mut subjects = std::collections::BTreeSet::new();
    for locale in ["en", "de", "fr"] {
        let address = format!("{locale}@example.com");
        admin
            .post("/invitations", json!({ "invitee_identifier": address, "role": "reader", "locale": locale }))
            .await
            .created();
        subjects.insert(app.mailbox().last_to(&address).await.subject());
    }
    assert_eq!(subjects.len(), 3, "{subjects:?}");
    app.finish().await;
}

#[tokio::test]
async fn addresses_of_all_scripts_are_mailed() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for address in ["ü.müller@example.com", "δοκιμή@example.com"] {
        admin.invite(address, "reader").await;
        let mail = app.mailbox().last_to(address).await;
        assert!(mail.link().token().len() > 40);
    }
    // A domain of another script travels as ASCII to servers that need it.
    let made = admin.invite("bob@bücher.example", "reader").await;
    assert_eq!(made["invitee_identifier"], "bob@bücher.example");
    app.settle().await;
    let arrived = app.mailbox().count_to("bob@bücher.example") + app.mailbox().count_to("bob@xn--bcher-kva.example");
    assert_eq!(arrived, 1);
    app.finish().await;
}

#[tokio::test]
async fn a_team_that_is_not_there_is_refused() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body = json!({ "invitee_identifier": "bob@example.com", "role": "reader", "teams": [admin.id] });
    admin.post("/invitations", body).await.invalid("teams", "not_found");
    let body = json!({ "invitee_identifier": "bob@example.com", "role": "reader", "teams": [] });
    admin.post("/invitations", body).await.created();
    app.finish().await;
}
