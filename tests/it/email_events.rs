//! Delivery events: what the mail system reports, and what it leaves behind.

use harness::{Caller, EMAIL_EVENTS_SECRET, Stage, TestApp, eventually, hours, minutes, seconds, signature};
use reqwest::Method;
use serde_json::{Value, json};

async fn email_of(admin: &Caller, invitation: &Value) -> Value {
    let id = invitation["uuid"].as_str().expect("an id");
    admin.get(&format!("/emails?invitation={id}&kind=invitation")).await.ok()["results"][0].clone()
}

/// Invites, and waits until the mail is out. Answers the invitation and the mail's Message-ID.
async fn sent(app: &TestApp, admin: &Caller, address: &str) -> (Value, String) {
    let invitation = admin.invite(address, "reader").await;
    let mail = app.mailbox().last_to(address).await;
    app.settle().await;
    (invitation, mail.header("Message-ID").expect("a Message-ID"))
}

fn event(message_id: &str, what: &str, at: &str) -> Value {
    json!({ "message_id": message_id, "event": what, "at": at, "detail": format!("550 5.1.1 {what} at {at}") })
}

const NOON: &str = "2026-11-22T12:00:00+00:00";
const ONE: &str = "2026-11-22T13:00:00+00:00";

async fn count(app: &TestApp, table: &str) -> Value {
    app.database().value(&format!("select count(*) from {table}")).await
}

#[tokio::test]
async fn a_bounce_shows_at_the_mail_and_the_invitation_and_suppresses_the_address() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (invitation, message_id) = sent(&app, &admin, "Bob@example.com").await;
    let detail = "smtp; 550 5.1.1\r\n <bob@example.com>: no such\tuser";
    let report = json!([{ "message_id": message_id, "event": "bounced", "at": NOON, "detail": detail }]);
    assert_eq!(app.report(&report).await.ok(), json!({ "recorded": 1, "unknown": 0 }));

    let words = "smtp; 550 5.1.1 <bob@example.com>: no such user";
    let email = email_of(&admin, &invitation).await;
    assert_eq!((&email["status"], &email["last_error"]), (&json!("bounced"), &json!(words)));
    let path = format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"));
    let delivery = admin.get(&path).await.ok()["delivery"].clone();
    assert_eq!((&delivery["status"], &delivery["last_error"]), (&json!("bounced"), &json!(words)));
    assert!(delivery["sent_at"].is_string() && delivery["delivered_at"].is_null(), "{delivery}");
    assert_eq!(admin.get("/emails?status=bounced").await.ok()["count"], 1);

    let list = admin.get("/email-suppressions").await.ok();
    let suppression = &list["results"][0];
    for (field, value) in [
        ("address", json!("Bob@example.com")),
        ("reason", json!("bounced")),
        ("detail", json!(words)),
        ("created_by", Value::Null),
    ] {
        assert_eq!(suppression[field], value, "{field}");
    }
    for action in ["email.bounced", "email_suppression.created"] {
        let events = admin.get(&format!("/audit-events?action={action}")).await.ok();
        assert_eq!(
            (&events["count"], &events["results"][0]["actor_name"]),
            (&json!(1), &json!("email-events")),
            "{action}"
        );
    }
    let again = admin.call(Method::POST, &format!("{path}/resend")).await.ok();
    assert_eq!(again["delivery"]["status"], "suppressed");
    app.settle().await;
    assert_eq!(app.mailbox().count_to("Bob@example.com"), 1);
    app.finish().await;
}

#[tokio::test]
async fn what_was_delivered_says_when_and_stays_sent() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (invitation, message_id) = sent(&app, &admin, "bob@example.com").await;
    // Some mail systems leave the brackets out.
    let bare = message_id.trim_matches(['<', '>']);
    app.report(&json!([event(bare, "delivered", NOON)])).await.ok();
    let email = email_of(&admin, &invitation).await;
    assert_eq!((&email["status"], &email["delivered_at"]), (&json!("sent"), &json!(NOON)));
    let path = format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"));
    assert_eq!(admin.get(&path).await.ok()["delivery"]["delivered_at"], NOON);
    assert_eq!(count(&app, "email_suppressions").await, 0);
    app.finish().await;
}

#[tokio::test]
async fn a_complaint_is_shown_to_administrators_and_the_inviter_is_not_told() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (invitation, message_id) = sent(&app, &admin, "bob@example.com").await;
    app.report(&json!([{ "message_id": message_id, "event": "complained", "at": NOON }])).await.ok();
    let email = email_of(&admin, &invitation).await;
    assert_eq!((&email["status"], &email["last_error"]), (&json!("complained"), &Value::Null));
    assert_eq!(admin.get("/email-suppressions?reason=complained").await.ok()["count"], 1);
    app.settle().await;
    assert_eq!(app.mailbox().count_to(&admin.email), 0);
    app.finish().await;
}

#[tokio::test]
async fn of_a_mail_that_bounced_and_was_complained_of_the_inviter_learns_the_bounce_alone() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (_, message_id) = sent(&app, &admin, "bob@example.com").await;
    let both = json!([event(&message_id, "complained", NOON), event(&message_id, "bounced", NOON)]);
    app.report(&both).await.ok();
    let told = app.mailbox().last_to(&admin.email).await;
    assert!(told.subject().contains("could not be delivered"), "{}", told.subject());
    assert!(!told.text().contains("complained") && !told.text().contains("550"), "{}", told.text());
    app.finish().await;
}

#[tokio::test]
async fn the_order_and_the_number_of_reports_make_no_difference() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let mut left = Vec::new();
    for (n, order) in orders.iter().enumerate() {
        let address = format!("bob{n}@example.com");
        let (invitation, message_id) = sent(&app, &admin, &address).await;
        let events = [
            event(&message_id, "delivered", NOON),
            event(&message_id, "bounced", ONE),
            event(&message_id, "complained", ONE),
        ];
        // Once each in this order; then all together, twice.
        for which in order {
            app.report(&json!([events[*which]])).await.ok();
        }
        let all: Vec<&Value> = events.iter().chain(&events).collect();
        let before = count(&app, "audit_events").await;
        assert_eq!(app.report(&json!(all)).await.ok(), json!({ "recorded": 6, "unknown": 0 }));
        assert_eq!(count(&app, "audit_events").await, before, "a repeated report changes nothing");
        let email = email_of(&admin, &invitation).await;
        let list = admin.get(&format!("/email-suppressions?search={address}")).await.ok();
        let suppression = &list["results"][0];
        left.push(json!([
            email["status"],
            email["last_error"],
            email["delivered_at"],
            suppression["reason"],
            suppression["detail"]
        ]));
    }
    app.settle().await;
    let detail = format!("550 5.1.1 complained at {ONE}");
    assert_eq!(left, vec![json!(["complained", detail, NOON, "complained", detail]); 6]);
    assert_eq!(app.mailbox().count_to(&admin.email), 6, "each bounce was told once");
    app.finish().await;
}

#[tokio::test]
async fn reports_at_the_same_time_are_recorded_once() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (_, one) = sent(&app, &admin, "bob@example.com").await;
    let (_, two) = sent(&app, &admin, "eve@example.com").await;
    let forth = json!([event(&one, "bounced", NOON), event(&two, "bounced", NOON), event(&one, "complained", NOON)]);
    let back = json!([event(&two, "complained", NOON), event(&two, "bounced", NOON), event(&one, "bounced", NOON)]);
    let send = async |body: &Value| app.report(body).await.ok();
    let reports = (0..8).map(|n| send(if n % 2 == 0 { &forth } else { &back }));
    for answer in futures_util::future::join_all(reports).await {
        assert_eq!(answer["recorded"], 3);
    }
    app.settle().await;
    assert_eq!(app.mailbox().count_to(&admin.email), 2, "one notice a mail");
    assert_eq!(count(&app, "email_suppressions").await, 2);
    for action in ["email.bounced", "email.complained"] {
        assert_eq!(admin.get(&format!("/audit-events?action={action}")).await.ok()["count"], 2, "{action}");
    }
    app.finish().await;
}

#[tokio::test]
async fn after_a_retry_an_old_report_counts_no_more_and_a_new_one_does() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for what in ["bounced", "complained"] {
        let (invitation, message_id) = sent(&app, &admin, &format!("{what}@example.com")).await;
        app.report(&json!([event(&message_id, what, NOON)])).await.ok();
        let list = admin.get("/email-suppressions").await.ok();
        let retry = format!("/emails/{}/retry", email_of(&admin, &invitation).await["id"].as_str().expect("an id"));
        admin.call(Method::POST, &retry).await.problem(409, "address_suppressed");
        let on_list = list["results"][0]["id"].as_str().expect("an id");
        admin.delete(&format!("/email-suppressions/{on_list}")).await.no_content();
        admin.call(Method::POST, &retry).await.accepted();
        let mail = app.mailbox().last_to(&format!("{what}@example.com")).await;
        assert_eq!(mail.header("Message-ID"), Some(message_id.clone()), "it is the same mail");
        app.settle().await;

        app.report(&json!([event(&message_id, what, NOON)])).await.ok();
        assert_eq!(email_of(&admin, &invitation).await["status"], "sent");
        assert_eq!(admin.get("/email-suppressions").await.ok()["count"], 0);
        app.report(&json!([event(&message_id, what, ONE)])).await.ok();
        assert_eq!(email_of(&admin, &invitation).await["status"], what);
        let list = admin.get("/email-suppressions").await.ok();
        let on_list = list["results"][0]["id"].as_str().expect("an id");
        admin.delete(&format!("/email-suppressions/{on_list}")).await.no_content();
    }
    app.settle().await;
    assert_eq!(app.mailbox().count_to(&admin.email), 1, "of a mail that bounces again, the inviter knows");
    app.finish().await;
}

#[tokio::test]
async fn a_report_that_is_faster_than_our_record_stands() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().hang_at_next_message();
    let invitation = admin.invite("bob@example.com", "reader").await;
    app.smtp().until_a_message_hangs().await;
    let email = email_of(&admin, &invitation).await;
    let organization = app.database().value("select organization_id from invitations").await;
    let message_id = format!("<{}.{}@x>", email["id"].as_str().expect("an id"), organization.as_str().expect("an id"));
    app.report(&json!([event(&message_id, "bounced", NOON)])).await.ok();
    app.smtp().refuse_connections();
    app.smtp().accept_connections();
    app.settle().await;
    let email = email_of(&admin, &invitation).await;
    assert_eq!((&email["status"], &email["attempts"]), (&json!("bounced"), &json!(1)));
    assert_eq!(app.mailbox().count_to("bob@example.com"), 0, "it is not sent again");
    app.finish().await;
}

#[tokio::test]
async fn mails_that_are_not_ours_are_counted_and_nothing_else() {
    let app = TestApp::start().await;
    let acme = app.organization("acme").administrator().await;
    app.organization("globex").administrator().await;
    let (_, message_id) = sent(&app, &acme, "bob@example.com").await;
    let globex = app.database().value("select organization_id from organizations where slug = 'globex'").await;
    let id = message_id[1..37].to_owned();
    let before = count(&app, "audit_events").await;
    let strangers: Vec<Value> = [
        "",
        "<>",
        "CAF=abc@mail.example.com",
        "<00000000-0000-7000-8000-000000000000.00000000-0000-7000-8000-000000000000@x>",
        &format!("<{id}@127.0.0.1>"),
        &format!("<{id}.{}@127.0.0.1>", globex.as_str().expect("an id")),
        &format!("<{id}.' or 1=1 --@x>"),
        &"x".repeat(100_000),
    ]
    .iter()
    .map(|message_id| event(message_id, "bounced", NOON))
    .collect();
    assert_eq!(app.report(&json!(strangers)).await.ok(), json!({ "recorded": 0, "unknown": 8 }));
    let mixed = json!([strangers[2], event(&message_id, "delivered", NOON)]);
    assert_eq!(count(&app, "audit_events").await, before);
    assert_eq!(app.report(&mixed).await.ok(), json!({ "recorded": 1, "unknown": 1 }));
    app.finish().await;
}

#[tokio::test]
async fn only_a_good_signature_of_now_over_these_bytes_is_taken() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (invitation, message_id) = sent(&app, &admin, "bob@example.com").await;
    let body = json!([event(&message_id, "bounced", NOON)]).to_string();
    let now = app.clock.now().timestamp();
    let good = signature(EMAIL_EVENTS_SECRET, now, &body);
    let signed = |at: i64| format!("t={at},v1={}", signature(EMAIL_EVENTS_SECRET, at, &body));
    let send = |header: &str, body: &str| {
        let call = app.anonymous().call(Method::POST, "/v1/email-events").body("application/json", body.to_owned());
        if header.is_empty() { call } else { call.header("X-Tenantry-Signature", header) }
    };
    for header in [
        "",
        "nonsense",
        &format!("v1={good}"),
        &format!("t={now}"),
        &format!("t={now},v1="),
        &format!("t={now},v0={good}"),
        &format!("t={},v1={good}", now + 1),
        &format!("t={now},v1={}", signature("another secret of sufficient length", now, &body)),
        &format!("t={now},v1={}", signature(EMAIL_EVENTS_SECRET, now, "")),
        &signed(now - 330),
        &signed(now + 330),
    ] {
        send(header, &body).await.problem(401, "signature_invalid");
    }
    // It is looked at before anything else is.
    for other in [format!("{body} "), "nonsense".to_owned(), String::new()] {
        send(&signed(now), &other).await.problem(401, "signature_invalid");
    }
    admin.post("/v1/email-events", json!([])).await.problem(401, "signature_invalid");
    assert_eq!(email_of(&admin, &invitation).await["status"], "sent");

    send(&format!("t={now},v1={},v1={good}", "0".repeat(64)), &body).await.ok();
    assert_eq!(email_of(&admin, &invitation).await["status"], "bounced");
    send(&signed(now - 270), &body).await.ok();
    send(&signed(now + 270), &body).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn where_no_secret_is_set_there_is_nothing() {
    let app = TestApp::start_with(&[]).await;
    app.report(&json!([])).await.problem(404, "not_found");
    app.anonymous().post("/v1/email-events", json!([])).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn a_bad_event_is_named_and_spoils_the_request() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (invitation, message_id) = sent(&app, &admin, "bob@example.com").await;
    let good = event(&message_id, "bounced", NOON);
    let with = |field: &str, value: Value| {
        let mut bad = good.clone();
        bad[field] = value;
        json!([good, bad])
    };
    app.report(&with("what", json!("x"))).await.invalid("1.what", "unknown_field");
    app.report(&with("message_id", Value::Null)).await.invalid("1.message_id", "required");
    app.report(&with("event", json!("opened"))).await.invalid("1.event", "invalid_type");
    let tomorrow = app.clock.now() + hours(24) + minutes(1);
    app.report(&with("at", json!(tomorrow.to_rfc3339()))).await.invalid("1.at", "in_the_future");
    for body in [json!([]), json!({}), json!(vec![good.clone(); 1001]), Value::Null] {
        app.report(&body).await.invalid("body", "out_of_range");
    }
    for bad in [with("at", json!("noon")), with("detail", json!("\0")), json!([good, 1])] {
        let problem = app.report(&bad).await.problem(400, "malformed_body");
        assert_eq!(problem["errors"][0]["field"], "1", "{problem}");
    }
    let text = app.report(&json!([good])).header("content-type", "text/plain").await;
    text.problem(415, "unsupported_media_type");
    assert_eq!(email_of(&admin, &invitation).await["status"], "sent", "nothing was recorded");
    assert_eq!(app.report(&json!(vec![good; 1000])).await.ok()["recorded"], 1000);
    app.finish().await;
}

// --- the inviter

#[tokio::test]
async fn the_inviter_is_told_of_a_bounce_in_his_language_with_the_servers_words() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for (locale, subject) in [
        ("en", "Your invitation to bob0@example.com could not be delivered"),
        ("de", "Ihre Einladung an bob1@example.com konnte nicht zugestellt werden"),
        ("fr", "Votre invitation à bob2@example.com n’a pas pu être remise"),
    ] {
        app.database().execute(&format!("update organizations set locale = '{locale}'")).await;
        let address = subject.split(' ').find(|word| word.contains('@')).expect("an address");
        let (_, message_id) = sent(&app, &admin, address).await;
        let detail = "550 <script>alert(1)</script>\u{202e} & no such user";
        app.report(&json!([{ "message_id": message_id, "event": "bounced", "at": NOON, "detail": detail }])).await.ok();
        let told = app.mailbox().last_to(&admin.email).await;
        assert_eq!(told.subject(), subject);
        assert!(told.text().contains("> 550 <script>alert(1)</script> & no such user"), "{}", told.text());
        assert!(told.html().contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; no such user"), "{}", told.html());
        assert!(!told.html().contains("<script"), "{}", told.html());
        assert_eq!(told.links(), [], "it asks for no click");
    }
    app.finish().await;
}

#[tokio::test]
async fn the_inviter_is_told_when_the_server_refuses_the_mail_or_takes_it_not_for_a_day() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    app.smtp().answer_next(Stage::Recipient, 1, "550 5.1.1 No such mailbox here");
    let invitation = admin.invite("bob@example.com", "reader").await;
    let told = app.mailbox().last_to(&admin.email).await;
    assert!(told.text().contains("No such mailbox here"), "{}", told.text());
    // Of the same mail he hears no more.
    app.smtp().answer_next(Stage::Recipient, 1, "550 5.1.1 Still not");
    let retry = format!("/emails/{}/retry", email_of(&admin, &invitation).await["id"].as_str().expect("an id"));
    app.settle().await;
    admin.call(Method::POST, &retry).await.accepted();
    app.settle().await;
    assert_eq!(email_of(&admin, &invitation).await["last_error"], "550 5.1.1 Still not");
    assert_eq!(app.mailbox().count_to(&admin.email), 1);

    app.smtp().answer_next(Stage::Recipient, 1, "451 4.3.0 Not now");
    let waiting = admin.invite("eve@example.com", "reader").await;
    eventually("the mail to be deferred", || async {
        (email_of(&admin, &waiting).await["status"] == "deferred").then_some(())
    })
    .await;
    app.smtp().answer_next(Stage::Recipient, 1, "451 4.3.0 Not today either");
    app.clock.advance(hours(24) + seconds(30));
    let told = app.mailbox().last_to(&admin.email).await;
    assert!(told.subject().contains("eve@example.com") && told.text().contains("Not today either"), "{}", told.text());
    app.finish().await;
}

#[tokio::test]
async fn nobody_is_told_of_what_is_closed_or_when_the_inviter_is_gone() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (accepted, one) = sent(&app, &admin, "bob@example.com").await;
    app.anonymous().accept(&app.link_of(&admin, &accepted).await).await.created();
    app.mailbox().last_to(&admin.email).await;
    let (revoked, two) = sent(&app, &admin, "eve@example.com").await;
    admin.delete(&format!("/invitations/{}", revoked["uuid"].as_str().expect("an id"))).await.no_content();
    let other = admin.member("other@example.com", "administrator").await;
    let (_, three) = sent(&app, &other, "ida@example.com").await;
    admin.patch(&format!("/users/{}", other.id), json!({ "is_active": false })).await.ok();
    let gone = admin.member("gone@example.com", "administrator").await;
    let (_, four) = sent(&app, &gone, "ann@example.com").await;
    admin.delete(&format!("/users/{}", gone.id)).await.no_content();
    app.settle().await;
    let before = app.mailbox().all().len();
    let all: Vec<Value> = [&one, &two, &three, &four].map(|id| event(id, "bounced", NOON)).to_vec();
    assert_eq!(app.report(&json!(all)).await.ok()["recorded"], 4);
    app.settle().await;
    assert_eq!(app.mailbox().all().len(), before);
    assert_eq!(count(&app, "email_suppressions").await, 4, "the addresses are on the list all the same");
    app.finish().await;
}
