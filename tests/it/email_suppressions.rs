//! Addresses that are never mailed.

use harness::{Caller, Stage, TestApp, eventually, minutes};
use reqwest::Method;
use serde_json::{Value, json};

async fn suppress(admin: &Caller, address: &str) -> Value {
    admin.post("/email-suppressions", json!({ "address": address })).await.created()
}

fn path(suppression: &Value) -> String {
    format!("/email-suppressions/{}", suppression["id"].as_str().expect("an id"))
}

async fn addresses(caller: &Caller, query: &str) -> Vec<String> {
    let page = caller.get(&format!("/email-suppressions?{query}")).await.ok();
    let rows = page["results"].as_array().expect("results");
    rows.iter().map(|row| row["address"].as_str().expect("an address").to_owned()).collect()
}

#[tokio::test]
async fn an_address_on_the_list_can_be_read_and_taken_off_and_the_log_says_who_did() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let body = json!({ "address": " Bob@Example.com ", "detail": "He asked us to stop." });
    let answer = admin.post("/email-suppressions", body).await;
    let tag = answer.header("etag").to_owned();
    let made = answer.created();
    for (field, value) in [
        ("address", json!("Bob@Example.com")),
        ("reason", json!("manual")),
        ("detail", json!("He asked us to stop.")),
        ("created_by", json!(admin.id)),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let read = admin.get(&path(&made)).await;
    assert_eq!(read.header("etag"), tag);
    assert_eq!(read.ok(), made);
    admin.delete(&path(&made)).await.no_content();
    admin.get(&path(&made)).await.problem(404, "not_found");
    admin.delete(&path(&made)).await.problem(404, "not_found");
    for action in ["email_suppression.created", "email_suppression.deleted"] {
        let events = admin.get(&format!("/audit-events?action={action}")).await.ok();
        let event = &events["results"][0];
        assert_eq!((&events["count"], &event["object_name"]), (&json!(1), &json!("Bob@Example.com")));
        assert_eq!((&event["object_id"], &event["actor_id"]), (&made["id"], &json!(admin.id)));
    }
    app.finish().await;
}

#[tokio::test]
async fn an_address_is_on_the_list_once_whatever_its_spelling() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    suppress(&admin, "bob@Bücher.example").await;
    for spelling in
        ["bob@bücher.example", "BOB@BÜCHER.EXAMPLE", "bob@xn--bcher-kva.example", "Bob@XN--BCHER-KVA.Example"]
    {
        let again = admin.post("/email-suppressions", json!({ "address": spelling })).await;
        again.problem(409, "already_suppressed");
    }
    suppress(&admin, "bob@bucher.example").await;
    assert_eq!(addresses(&admin, "").await.len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn of_several_who_suppress_an_address_at_once_one_does_and_a_key_repeats_its_answer() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let create = |address: &str| admin.post("/email-suppressions", json!({ "address": address }));
    let answers = futures_util::future::join_all((0..8).map(|_| async { create("bob@example.com").await })).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    for answer in refused {
        answer.problem(409, "already_suppressed");
    }
    let keyed = |address: &str| create(address).header("Idempotency-Key", "key-1");
    let first = keyed("eve@example.com").await.created();
    assert_eq!(keyed("eve@example.com").await.created(), first);
    keyed("other@example.com").await.problem(409, "idempotency_key_reused");
    assert_eq!(addresses(&admin, "").await.len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn the_list_is_searched_ordered_and_narrowed_by_reason() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for address in ["b@example.com", "A@example.com", "c@bücher.example"] {
        suppress(&admin, address).await;
    }
    app.database().execute("update email_suppressions set reason = 'bounced' where address = 'b@example.com'").await;
    let (a, b, c) = ("A@example.com", "b@example.com", "c@bücher.example");
    for (query, expected) in [
        ("", &[c, a, b][..]),
        ("ordering=created_at", &[b, a, c]),
        ("ordering=address", &[a, b, c]),
        ("ordering=-reason", &[c, a, b]),
        ("reason=bounced", &[b]),
        ("reason=complained", &[]),
        ("search=BÜCHER", &[c]),
        ("search=xn--bcher", &[c]),
        ("search=example.com&limit=1", &[a]),
    ] {
        assert_eq!(addresses(&admin, query).await, expected, "{query}");
    }
    admin.get("/email-suppressions?reason=nonsense").await.problem(400, "invalid_parameter");
    admin.get("/email-suppressions?ordering=detail").await.invalid("ordering", "unknown_ordering");
    app.finish().await;
}

#[tokio::test]
async fn each_bad_field_is_refused_by_itself() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let create = |body: Value| admin.post("/email-suppressions", body);
    create(json!({ "address": "bob" })).await.invalid("address", "invalid_email");
    create(json!({})).await.invalid("address", "required");
    create(json!({ "address": "b@example.com", "detail": "x".repeat(501) })).await.invalid("detail", "too_long");
    create(json!({ "address": "b@example.com", "detail": "two\nlines" })).await.invalid("detail", "invalid");
    create(json!({ "address": "b@example.com", "note": "x" })).await.invalid("note", "unknown_field");
    assert_eq!(addresses(&admin, "").await.len(), 0);
    // What was read can be sent back; the reason is not the caller's to choose.
    let body =
        json!({ "address": "b@example.com", "detail": "ü".repeat(500), "reason": "bounced", "created_by": null });
    assert_eq!(create(body).await.created()["reason"], "manual");
    app.finish().await;
}

#[tokio::test]
async fn administrators_keep_the_list_auditors_read_it_and_nobody_else_does() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let made = suppress(&admin, "bob@example.com").await;
    let another = admin.member("another@example.com", "administrator").await;
    let auditor = admin.member("auditor@example.com", "auditor").await;
    let manager = admin.member("manager@example.com", "domain_manager").await;
    auditor.get("/email-suppressions").await.ok();
    auditor.get(&path(&made)).await.ok();
    manager.get("/email-suppressions").await.problem(403, "permission_denied");
    for caller in [&auditor, &manager] {
        let body = json!({ "address": "eve@example.com" });
        caller.post("/email-suppressions", body).await.problem(403, "permission_denied");
        caller.delete(&path(&made)).await.problem(403, "permission_denied");
    }
    another.delete(&path(&made)).await.no_content();
    app.finish().await;
}

#[tokio::test]
async fn nothing_is_mailed_to_a_suppressed_address_and_the_answer_says_so() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let suppression = suppress(&admin, "bob@BÜCHER.example").await;
    let made = admin.invite("Bob@xn--bcher-kva.example", "reader").await;
    let delivery = &made["delivery"];
    assert_eq!((&delivery["status"], &delivery["attempts"]), (&json!("suppressed"), &json!(0)));
    app.settle().await;

    let suppressed = admin.get("/emails?status=suppressed").await.ok();
    let retry = format!("/emails/{}/retry", suppressed["results"][0]["id"].as_str().expect("an id"));
    admin.call(Method::POST, &retry).await.problem(409, "address_suppressed");
    let resend = format!("/invitations/{}/resend", made["uuid"].as_str().expect("an id"));
    assert_eq!(admin.call(Method::POST, &resend).await.ok()["delivery"]["status"], "suppressed");
    app.settle().await;
    assert_eq!(app.mailbox().all().len(), 0);

    admin.delete(&path(&suppression)).await.no_content();
    let newest = admin.get("/emails?status=suppressed&ordering=-created_at").await.ok();
    let retry = format!("/emails/{}/retry", newest["results"][0]["id"].as_str().expect("an id"));
    admin.call(Method::POST, &retry).await.accepted();
    let mail = app.mailbox().last_to("Bob@xn--bcher-kva.example").await;
    app.anonymous().preview(&mail.link()).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_mail_that_waits_when_its_address_is_suppressed_is_not_sent() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().answer_next(Stage::Recipient, 2, "451 4.3.0 Not now");
    let made = [admin.invite("bob@example.com", "reader").await, admin.invite("anna@BÜCHER.example", "reader").await];
    let until = async |status: &str| {
        for made in &made {
            eventually(&format!("the delivery to be {status}"), || async {
                let read = admin.get(&format!("/invitations/{}", made["uuid"].as_str().expect("an id"))).await.ok();
                (read["delivery"]["status"] == status).then_some(())
            })
            .await;
        }
    };
    until("deferred").await;
    suppress(&admin, "BOB@example.com").await;
    suppress(&admin, "anna@xn--bcher-kva.example").await;
    app.clock.advance(minutes(20));
    until("suppressed").await;
    app.settle().await;
    assert_eq!(app.mailbox().all().len(), 0);
    app.finish().await;
}

#[tokio::test]
async fn one_organizations_list_is_nothing_to_another() {
    let app = TestApp::start().await;
    let acme = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let theirs = suppress(&acme, "bob@example.com").await;
    globex.get(&path(&theirs)).await.problem(404, "not_found");
    globex.delete(&path(&theirs)).await.problem(404, "not_found");
    assert_eq!(addresses(&globex, "").await.len(), 0);
    globex.invite("bob@example.com", "reader").await;
    app.mailbox().last_to("bob@example.com").await;
    suppress(&globex, "bob@example.com").await;
    app.finish().await;
}
