//! What people write must not become a header of a mail, nor deceive its reader: looked at in the mails that the server got.

use harness::{Caller, Mail, TestApp};
use serde_json::{Value, json};

/// Every header line of a mail as it went over the wire, unfolded.
fn headers(mail: &Mail) -> Vec<String> {
    let raw = mail.raw();
    let (head, _) = raw.split_once("\r\n\r\n").expect("a header and a body");
    head.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n").map(str::to_owned).collect()
}

/// No header but ours, nothing but ASCII, no line or encoded word longer than mail systems take (RFC 5322, RFC 2047).
#[track_caller]
fn is_clean(mail: &Mail) {
    let names: Vec<String> =
        headers(mail).iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect();
    let expected = [
        "From",
        "To",
        "Subject",
        "Message-ID",
        "Date",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "MIME-Version",
        "Content-Type",
    ];
    assert_eq!(names, expected, "{}", mail.raw());
    assert!(mail.raw().is_ascii() && mail.raw().lines().all(|line| line.len() <= 998), "{}", mail.raw());
    assert!(mail.raw().split_whitespace().filter(|word| word.starts_with("=?")).all(|word| word.len() <= 75));
    assert_eq!(mail.recipients.len(), 1);
}

async fn named(app: &TestApp, slug: &str, name: &str) -> (Mail, Caller) {
    let operator = app.organization("platform").administrator().await;
    let body = json!({ "name": name, "slug": slug, "admin_email": "ann@example.com" });
    operator.post("/v1/orgs", body).await.created();
    let mail = app.mailbox().last_to("ann@example.com").await;
    let session = app.anonymous().accept(&mail.link()).await.created();
    let ann = app.anonymous().signed_in(slug, &session).await;
    (mail, ann)
}

#[tokio::test]
async fn line_breaks_and_nul_are_refused_wherever_a_header_is_made_of_the_text() {
    let app = TestApp::start().await;
    let operator = app.organization("platform").administrator().await;
    let admin = app.organization("acme").administrator().await;
    let me = format!("/users/{}", admin.id);
    let link = app.link_of(&admin, &admin.invite("bob@example.com", "reader").await).await;
    app.mailbox().last_to("bob@example.com").await;
    let mails = app.mailbox().all().len();
    for slip in ["x\r\nBcc: eve@example.com", "x\nBcc: eve@example.com", "x\rBcc: eve@example.com", "x\0"] {
        let refused = |body: &Value, answer: harness::Answer| {
            assert_eq!(answer.status, 400, "{body}:\n{}", answer.whole());
        };
        let organization = json!({ "name": slip, "slug": "new", "admin_email": "ann@example.com" });
        refused(&organization, operator.post("/v1/orgs", organization.clone()).await);
        let body = json!({ "first_name": slip });
        refused(&body, admin.patch(&me, body.clone()).await);
        let body = json!({ "last_name": slip });
        refused(&body, admin.patch(&me, body.clone()).await);
        let password = harness::PASSWORD;
        let body = json!({ "token": link.token(), "first_name": slip, "password": password });
        refused(&body, app.anonymous().post("/v1/invitations/accept", body.clone()).await);
        for field in ["invitee_identifier", "locale", "role"] {
            let mut body = json!({ "invitee_identifier": "eve@example.com", "role": "reader" });
            body[field] = json!(slip);
            refused(&body, admin.post("/invitations", body.clone()).await);
        }
        let body = json!({ "address": slip });
        refused(&body, admin.post("/email-suppressions", body.clone()).await);
    }
    app.settle().await;
    assert_eq!(app.mailbox().all().len(), mails, "nothing was mailed");
    app.finish().await;
}

#[tokio::test]
async fn lines_of_a_message_stay_in_the_body() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let message = "Hi\r\nBcc: eve@example.com\r\n\r\n.\r\nMAIL FROM:<eve@example.com>\r\nSubject: Other";
    let body = json!({ "invitee_identifier": "bob@example.com", "role": "reader", "message": message });
    admin.post("/invitations", body).await.created();
    let mail = app.mailbox().last_to("bob@example.com").await;
    is_clean(&mail);
    assert!(mail.text().contains("> Bcc: eve@example.com"), "{}", mail.text());
    app.settle().await;
    assert_eq!(app.mailbox().all().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn the_longest_name_of_the_widest_letters_is_encoded_in_words_of_the_right_length() {
    let app = TestApp::start().await;
    let (mail, ann) = named(&app, "wide", &"𝔘".repeat(200)).await;
    is_clean(&mail);
    assert!(mail.subject().contains("𝔘𝔘𝔘") && mail.subject().chars().count() <= 150, "{}", mail.subject());
    assert_eq!(mail.header("From").as_deref(), Some("Tenantry <accounts@tenantry.test>"));

    let wide = "𝔄".repeat(150);
    ann.patch(&format!("/users/{}", ann.id), json!({ "first_name": wide, "last_name": wide })).await.ok();
    ann.invite("bob@example.com", "reader").await;
    let mail = app.mailbox().last_to("bob@example.com").await;
    is_clean(&mail);
    assert!(mail.subject().starts_with("𝔄𝔄𝔄") && mail.subject().contains("𝔘𝔘"), "{}", mail.subject());
    app.finish().await;
}

#[tokio::test]
async fn what_turns_the_reading_direction_or_has_no_width_is_left_out() {
    let app = TestApp::start().await;
    let (mail, ann) = named(&app, "acme", "Ac\u{202e}me\u{200b} \u{2066}Corp\u{feff}").await;
    is_clean(&mail);
    assert_eq!(mail.subject(), "You are invited to join Acme Corp");
    let name = json!({ "first_name": "Ali\u{202d}ce\u{2060}", "last_name": "\u{2069}Lid\u{202c}dell" });
    ann.patch(&format!("/users/{}", ann.id), name).await.ok();
    ann.invite("bob@example.com", "reader").await;
    let mail = app.mailbox().last_to("bob@example.com").await;
    is_clean(&mail);
    assert_eq!(mail.subject(), "Alice Liddell invites you to join Acme Corp");
    for part in [mail.text(), mail.html()] {
        let tricks = ['\u{202d}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{200b}', '\u{2060}', '\u{feff}'];
        assert!(!part.contains(tricks), "{part}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_domain_that_only_looks_like_another_is_mailed_and_shown_for_what_it_is() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    // A Cyrillic a.
    let invitation = admin.invite("bob@p\u{430}ypal.example", "reader").await;
    let mail = app.mailbox().last_to("bob@xn--pypal-4ve.example").await;
    app.anonymous().decline(&mail.link()).await.no_content();
    let told = app.mailbox().last_to(&admin.email).await;
    is_clean(&told);
    assert_eq!(told.subject(), "bob@xn--pypal-4ve.example has declined your invitation");
    for part in [told.text(), told.html()] {
        assert!(part.contains("bob@xn--pypal-4ve.example") && !part.contains('\u{430}'), "{part}");
    }
    assert_eq!(invitation["invitee_identifier"], "bob@p\u{430}ypal.example", "as typed");

    let mail = {
        admin.invite("eve@g\u{3bf}ogle.example", "reader").await;
        app.mailbox().last_to("eve@xn--gogle-rce.example").await
    };
    app.anonymous().accept(&mail.link()).await.created();
    let told = app.mailbox().last_to(&admin.email).await;
    assert!(told.subject().starts_with("eve@xn--"), "{}", told.subject());

    // One script alone is nobody's mask.
    admin.invite("ida@bücher.example", "reader").await;
    let mail = app.mailbox().last_to("ida@xn--bcher-kva.example").await;
    app.anonymous().decline(&mail.link()).await.no_content();
    let told = app.mailbox().last_to(&admin.email).await;
    assert_eq!(told.subject(), "ida@bücher.example has declined your invitation");
    app.finish().await;
}
