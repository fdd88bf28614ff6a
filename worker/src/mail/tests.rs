//! Every mail in every language, and what must not get into one.

use chrono::{DateTime, Utc};
use insta::{assert_snapshot, with_settings};

use super::*;

fn context(locale: &str) -> Context {
    Context {
        locale: locale.to_owned(),
        branding: Branding { name: "Acme Robotics".to_owned(), ..Branding::default() },
        public_url: "https://accounts.example.com/".to_owned(),
    }
}

fn rendered(mail: impl Into<Mail>, context: &Context) -> Rendered {
    render(&mail.into(), context).expect("rendered")
}

fn date() -> DateTime<Utc> {
    "2026-11-22T09:30:00Z".parse().expect("a time")
}

fn message_to(recipient: &str, rendered: Rendered) -> Result<Message, MessageError> {
    let from = sender("Tenantry <accounts@example.com>").expect("a sender");
    message(rendered, &from, recipient, Some("help@acme.example"), "<0192.1@accounts.example.com>", date())
}

/// The header as it goes over the wire, unfolded.
fn headers(message: &Message) -> Vec<String> {
    let wire = String::from_utf8(message.formatted()).expect("UTF-8");
    let (head, _) = wire.split_once("\r\n\r\n").expect("a header and a body");
    head.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n").map(str::to_owned).collect()
}

#[test]
fn every_mail_reads_well_in_every_language() {
    for locale in ["en", "de", "fr"] {
        for mail in Mail::samples() {
            let Rendered { subject, text, html, .. } = rendered(mail.clone(), &context(locale));
            with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
                assert_snapshot!(
                    format!("{}.{locale}", mail.name()),
                    format!("{subject}\n\n{text}\n{html}")
                );
            });
        }
    }
}

#[test]
fn a_document_says_its_language_direction_and_title() {
    for (locale, language) in [("de-AT", "de"), ("fr", "fr"), ("xx", "en")] {
        let mail = rendered(WelcomeMail::sample(), &context(locale));
        assert!(mail.html.contains(&format!(r#"<html lang="{language}" dir="ltr">"#)), "{locale}");
        assert!(mail.html.contains(&format!("<title>{}</title>", mail.subject)), "{locale}");
    }
}

#[test]
fn every_link_is_in_both_parts_to_click_and_to_copy() {
    let sample = InvitationMail::sample();
    let mail = rendered(sample.clone(), &context("en"));
    for link in [&sample.accept_link, &sample.decline_link] {
        assert!(mail.text.lines().any(|line| line == link));
        assert!(mail.html.contains(&format!(r#"href="{link}""#)));
    }
    assert!(mail.html.contains(&format!(">{}</a>", sample.accept_link)));
}

#[test]
fn what_is_not_known_is_left_out() {
    let mail = InvitationMail { inviter: None, role: None, message: None, ..InvitationMail::sample() };
    let mail = rendered(mail, &context("en"));
    assert_eq!(mail.subject, "You are invited to join Acme Robotics");
    for part in [&mail.text, &mail.html] {
        assert!(!part.contains("writes:") && !part.contains("Your role") && !part.contains("None"), "{part}");
    }
    let mail = rendered(WelcomeMail { first_name: String::new(), ..WelcomeMail::sample() }, &context("en"));
    assert!(mail.text.starts_with("Hello,\n"));
    let mail = InvitationAcceptedMail { invitee_name: String::new(), ..InvitationAcceptedMail::sample() };
    assert_eq!(rendered(mail, &context("en")).subject, "bob@example.com has joined Acme Robotics");
}

#[test]
fn markup_in_names_and_messages_is_text() {
    let mail = InvitationMail {
        organization: "Acme <b>".to_owned(),
        inviter: Some("<script>alert('x')</script>".to_owned()),
        message: Some("<img src=x>\n{{ brand }} & \"co\"".to_owned()),
        ..InvitationMail::sample()
    };
    let mut context = context("en");
    context.branding.name = "<i>".to_owned();
    let mail = rendered(mail, &context);
    assert_eq!(mail.subject, "<script>alert('x')</script> invites you to join Acme <b>");
    assert!(mail.text.contains("> <img src=x>\n> {{ brand }} & \"co\"\n"));
    assert!(mail.html.contains("<strong>Acme &lt;b&gt;</strong>"));
    assert!(mail.html.contains("&lt;img src=x&gt;<br>\n{{ brand }} &amp; &quot;co&quot;"));
    for markup in ["<b>", "<i>", "<script", "<img"] {
        assert!(!mail.html.contains(markup), "{markup}");
    }
}

#[test]
fn the_branding_colours_the_button_and_shows_the_logo() {
    let mut context = context("en");
    context.branding.color = Some("#FFD400".to_owned());
    let url = "https://accounts.example.com/assets/logos/acme.png?a=1&b=2".to_owned();
    context.branding.logo = Some(Logo { url, width: 240, height: 48, is_sign: false });
    let html = rendered(WelcomeMail::sample(), &context).html;
    assert!(html.contains("background-color:#ffd400") && html.contains("color:#000000"));
    assert!(html.contains(r#"<img class="logo" src="https://accounts.example.com/assets/logos/acme.png?a=1&amp;b=2" alt="Acme Robotics" width="240" height="48""#));
}

#[test]
fn no_header_can_be_slipped_in() {
    let slip = "Acme\r\nBcc: x@y";
    let mail = InvitationMail { organization: slip.to_owned(), ..InvitationMail::sample() };
    let mail = rendered(mail, &context("en"));
    assert_eq!(mail.subject, "Alice Liddell invites you to join Acme Bcc: x@y");

    // Even where the text was not made by us.
    let mail = Rendered { subject: slip.to_owned(), ..mail };
    let from = Mailbox::new(Some(slip.to_owned()), "accounts@example.com".parse().expect("an address"));
    let id = "<0192.1@accounts.example.com>";
    let message_of = |to, reply_to, id| message(mail.clone(), &from, to, Some(reply_to), id, date());
    let built = message_of("bob@example.com", "a@b.example\r\nBcc: x@y", id).expect("a message");
    let names: Vec<_> = headers(&built).iter().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect();
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
    assert_eq!(names, expected);

    for to in ["bob@example.com\r\nBcc: x@y", "bob@example.com, eve@example.com", "bob@example.com> SIZE=1", "bob"] {
        let error = message_of(to, "", id).expect_err(to);
        assert!(matches!(error, MessageError::Recipient(_)), "{to}");
    }
    for id in ["<a@b>\r\nBcc: x@y", "a@b", "<a b@c>", "<>", "<a@b@c>"] {
        assert!(matches!(message_of("bob@example.com", "", id), Err(MessageError::MessageId)), "{id}");
    }
}

#[test]
fn the_envelope_and_headers_are_as_asked() {
    let message = message_to("bob@example.com", rendered(WelcomeMail::sample(), &context("de"))).expect("a message");
    let headers = headers(&message);
    for expected in [
        "From: Tenantry <accounts@example.com>",
        "To: bob@example.com",
        "Reply-To: help@acme.example",
        "Subject: Ihr Konto bei Acme Robotics",
        "Message-ID: <0192.1@accounts.example.com>",
        "Date: Sun, 22 Nov 2026 09:30:00 +0000",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
    ] {
        assert!(headers.iter().any(|header| header == expected), "{expected} not in {headers:?}");
    }
    let wire = String::from_utf8(message.formatted()).expect("UTF-8");
    assert!(wire.is_ascii() && wire.lines().all(|line| line.len() <= 998));
    assert!(wire.contains("multipart/alternative") && wire.contains("text/plain; charset=utf-8"));
}

#[test]
fn only_a_reminder_can_be_unsubscribed_from_and_in_one_click() {
    for mail in Mail::samples() {
        let message = message_to("bob@example.com", rendered(mail.clone(), &context("fr"))).expect("a message");
        let headers = headers(&message);
        let of_lists: Vec<_> = headers.iter().filter(|header| header.starts_with("List-")).collect();
        let Mail::InvitationReminder(reminder) = mail else {
            assert!(of_lists.is_empty(), "{}: {of_lists:?}", mail.name());
            continue;
        };
        let expected = [
            format!("List-Unsubscribe: <{}>", reminder.stop_link),
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click".into(),
        ];
        assert_eq!(of_lists, expected.each_ref());
    }
}

#[test]
fn an_address_goes_out_as_most_servers_can_take_it() {
    let to = |recipient| {
        let message = message_to(recipient, rendered(WelcomeMail::sample(), &context("en"))).expect("a message");
        let header = headers(&message).into_iter().find(|header| header.starts_with("To: ")).expect("a To");
        assert_eq!(header, format!("To: {}", message.envelope().to()[0]));
        header
    };
    assert_eq!(to("Bob.Builder+x@Example.COM"), "To: Bob.Builder+x@Example.COM");
    assert_eq!(to("bob@bücher.example"), "To: bob@xn--bcher-kva.example");
    assert_eq!(to("ü@bücher.example"), "To: ü@bücher.example");
}

#[test]
fn a_sender_everyone_can_get_mail_from_is_demanded() {
    assert_eq!(sender("Büro <a@bücher.example>").expect("a sender").email.to_string(), "a@xn--bcher-kva.example");
    assert!(matches!(sender("ü@example.com"), Err(SenderError::NotAscii)));
    assert!(matches!(sender("nobody"), Err(SenderError::Address(_))));
}
