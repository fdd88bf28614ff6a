//! Asking for no more reminders: by the page, and by the button of a mail program.

use harness::{Browser, Call, Caller, Link, Mail, PASSWORD, TestApp, days, eventually, minutes};
use reqwest::Method;
use serde_json::{Value, json};
use tenantry_shared::schedules::Schedule;

async fn remind(app: &TestApp) -> i64 {
    app.run_schedule(Schedule::RemindInvitees).await.objects
}

/// Invites and waits until it ends soon; answers the invitation, and the reminder.
async fn reminder_to(app: &TestApp, admin: &Caller, email: &str) -> (Value, Mail) {
    let invitation = admin.invite(email, "reader").await;
    app.settle().await;
    app.mailbox().read_all();
    app.clock.advance(days(6));
    assert_eq!(remind(app).await, 1);
    (invitation, app.mailbox().last_to(email).await)
}

fn stop_link(mail: &Mail) -> Link {
    mail.links().into_iter().find(|link| link.0.path() == "/reminders/stop").expect("a way to stop reminders")
}

/// As a mail provider's server does it: to the address in the header, with nothing but the body of RFC 8058.
fn one_click(app: &TestApp, address: &str) -> Call {
    let body = "List-Unsubscribe=One-Click";
    app.anonymous().call(Method::POST, address).body("application/x-www-form-urlencoded", body)
}

async fn opt_outs(app: &TestApp) -> Vec<Value> {
    app.database().rows("select email_key from email_opt_outs").await
}

#[tokio::test]
async fn one_click_in_a_mail_program_stops_reminders_and_nothing_else() {
    let app = TestApp::start().await;
    let acme = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let (invitation, reminder) = reminder_to(&app, &acme, "Bob@Example.com").await;
    let header = reminder.header("List-Unsubscribe").expect("a header");
    let address = header.strip_prefix('<').and_then(|text| text.strip_suffix('>')).expect("an address");
    assert_eq!(address, stop_link(&reminder).0.as_str());
    assert_eq!(reminder.header("List-Unsubscribe-Post").as_deref(), Some("List-Unsubscribe=One-Click"));

    for _ in 0..2 {
        let answer = one_click(&app, address).await;
        assert!(answer.status == 200 && !answer.headers.contains_key("set-cookie"), "{}", answer.whole());
    }
    let parts = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    let answer = one_click(&app, address).body("multipart/form-data; boundary=x", parts).await;
    assert_eq!(answer.status, 200, "{}", answer.whole());
    assert_eq!(opt_outs(&app).await, [json!({ "email_key": "bob@example.com" })]);
    let acme = acme.again().await;
    let events = acme.get("/audit-events?action=reminders.stopped").await.ok();
    assert_eq!((&events["count"], &events["results"][0]["actor_name"]), (&json!(1), &json!("anonymous")));

    // However the address is written, in this organization alone, and only for reminders.
    acme.delete(&format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"))).await.no_content();
    acme.invite("BOB@example.com", "reader").await;
    globex.again().await.invite("bob@example.com", "reader").await;
    app.mailbox().last_to("BOB@example.com").await;
    app.settle().await;
    app.mailbox().read_all();
    app.clock.advance(days(6));
    assert_eq!(remind(&app).await, 1);
    assert!(app.mailbox().last_to("bob@example.com").await.subject().contains("globex"));
    acme.again().await.post("/users", json!({ "email": "bob@example.com" })).await.created();
    app.mailbox().last_to("bob@example.com").await;
    app.finish().await;
}

#[tokio::test]
async fn a_link_that_stops_reminders_stays_good_and_is_good_for_nothing_else() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (_, reminder) = reminder_to(&app, &admin, "bob@example.com").await;
    let (accept, stop) = (reminder.link(), stop_link(&reminder));
    app.anonymous().accept(&stop).await.problem(404, "link_dead");
    app.anonymous().decline(&stop).await.problem(404, "link_dead");
    let body = json!({ "token": stop.token(), "new_password": PASSWORD, "confirm_new_password": PASSWORD });
    app.anonymous().under("acme").post("/iam/password-reset/confirm", body).await.problem(404, "link_dead");
    for token in [accept.token(), "nonsense".to_owned(), String::new()] {
        let address = format!("{}/reminders/stop?token={token}", app.url());
        assert_eq!(one_click(&app, &address).await.status, 404, "{token}");
    }
    let wordless = one_click(&app, stop.0.as_str()).body("application/x-www-form-urlencoded", "").await;
    assert_eq!(wordless.status, 400);
    let followed = app.anonymous().get(stop.0.as_str()).await;
    assert_eq!((followed.status.as_u16(), followed.header("location")), (303, "/reminders/stop"));
    assert!(opt_outs(&app).await.is_empty(), "following a link decides nothing");

    app.anonymous().decline(&accept).await.no_content();
    app.clock.advance(days(400));
    assert_eq!(one_click(&app, stop.0.as_str()).await.status, 200);
    assert_eq!(opt_outs(&app).await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_reminder_that_waits_is_not_sent_to_someone_who_wants_none() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (invitation, reminder) = reminder_to(&app, &admin, "bob@example.com").await;
    let admin = admin.again().await;
    let resend = format!("/invitations/{}/resend", invitation["uuid"].as_str().expect("an id"));
    admin.post(&resend, json!({})).await.ok();
    app.settle().await;
    app.clock.advance(days(6));
    app.smtp().refuse_connections();
    assert_eq!(remind(&app).await, 1);
    let admin = admin.again().await;
    let until = async |status: &str| {
        eventually(&format!("the second reminder to be {status}"), || async {
            let list = admin.get("/emails?kind=invitation_reminder").await.ok();
            (list["results"][0]["status"] == status).then_some(())
        })
        .await;
    };
    until("deferred").await;
    assert_eq!(one_click(&app, stop_link(&reminder).0.as_str()).await.status, 200);
    app.smtp().accept_connections();
    app.clock.advance(minutes(1));
    until("canceled").await;
    app.finish().await;
}

#[tokio::test]
async fn the_page_of_the_link_stops_reminders_at_the_press_of_a_button() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let (_, reminder) = reminder_to(&app, &admin, "bob@example.com").await;
    let browser = Browser::start().await;
    browser.open(stop_link(&reminder).0.as_str()).await;
    browser.until_it_says("bob@example.com").await;
    assert!(browser.address().await.query().is_none(), "the token has left the address bar");
    assert!(browser.content_width().await <= 390, "a phone need not scroll sideways");
    browser.screenshot("reminders-stop").await;
    assert!(opt_outs(&app).await.is_empty());
    browser.press("Stop reminders").await;
    browser.until_it_says("no more reminders").await;
    browser.screenshot("reminders-stopped").await;
    assert_eq!(opt_outs(&app).await, [json!({ "email_key": "bob@example.com" })]);
    browser.close().await;

    // Another site can't press it.
    let form = format!("token={}", stop_link(&reminder).token());
    let url = format!("{}/reminders/stop", app.url());
    let call = app.anonymous().call(Method::POST, &url).body("application/x-www-form-urlencoded", form);
    assert_eq!(call.header("origin", "https://evil.example").await.status, 403);
    app.finish().await;
}
