//! How every mail looks: on a phone, by day and by night, and as plain text. Pictures are below `target/screenshots/mails/`.

use harness::{Browser, TestApp, repository};
use serde_json::json;
use tenantry_worker::mail::{
    AccountExpiringMail, Branding, CertificateExpiringMail, Context, InvitationAcceptedMail, InvitationBouncedMail,
    InvitationDeclinedMail, InvitationMail, InvitationReminderMail, LoginUrlMail, Mail, PasswordChangedMail,
    PasswordResetMail, PasswordSetMail, Place, Rendered, SecondFactorEnabledMail, SecondFactorRemovedMail, WelcomeMail,
    WelcomeToSignInMail, render,
};

const LANGUAGES: [&str; 3] = ["en", "de", "fr"];
const PUBLIC_URL: &str = "https://accounts.example.com/";
/// A name of 200 characters, the most that an organization has.
const LONG: &str = "Gesellschaft für wissenschaftliche Datenverarbeitung und Donaudampfschifffahrtselektrizitätenhauptbetriebswerk\
    bauunterbeamtenversicherung mit beschränkter Haftung und Compagnie Kommanditgesellschaften";

fn letter(mail: &Mail, locale: &str, brand: &str) -> Rendered {
    let branding = Branding { name: brand.to_owned(), ..Branding::default() };
    let context = Context { locale: locale.to_owned(), branding, public_url: PUBLIC_URL.to_owned() };
    render(mail, &context).expect("a mail")
}

/// A mail in which everybody and everything is named so.
fn naming(mail: Mail, name: &str) -> Mail {
    let (organization, first_name, invitee_name) = (name.to_owned(), name.to_owned(), name.to_owned());
    let (inviter, role, inviter_first_name) = (Some(name.to_owned()), Some(name.to_owned()), name.to_owned());
    match mail {
        Mail::Invitation(mail) => InvitationMail { organization, inviter, role, ..mail }.into(),
        Mail::Welcome(mail) => WelcomeMail { organization, first_name, ..mail }.into(),
        Mail::WelcomeToSignIn(mail) => WelcomeToSignInMail { organization, first_name, ..mail }.into(),
        Mail::PasswordReset(mail) => PasswordResetMail { organization, first_name, ..mail }.into(),
        Mail::PasswordChanged(mail) => PasswordChangedMail { organization, first_name, ..mail }.into(),
        Mail::InvitationAccepted(mail) => {
            InvitationAcceptedMail { organization, inviter_first_name, invitee_name, ..mail }.into()
        }
        Mail::InvitationDeclined(mail) => InvitationDeclinedMail { organization, inviter_first_name, ..mail }.into(),
        Mail::InvitationBounced(mail) => InvitationBouncedMail { organization, inviter_first_name, ..mail }.into(),
        Mail::InvitationReminder(mail) => InvitationReminderMail { organization, inviter, role, ..mail }.into(),
        Mail::LoginUrl(mail) => {
            let places = mail.places.into_iter().map(|place| Place { name: organization.clone(), ..place }).collect();
            LoginUrlMail { first_name, places, ..mail }.into()
        }
        Mail::AccountExpiring(mail) => AccountExpiringMail { organization, first_name, ..mail }.into(),
        Mail::CertificateExpiring(mail) => {
            CertificateExpiringMail { organization, first_name, connection: inviter, ..mail }.into()
        }
        Mail::PasswordSet(mail) => PasswordSetMail { organization, first_name, ..mail }.into(),
        Mail::SecondFactorEnabled(mail) => SecondFactorEnabledMail { organization, first_name, ..mail }.into(),
        Mail::SecondFactorRemoved(mail) => SecondFactorRemovedMail { organization, first_name, ..mail }.into(),
    }
}

/// Shows it on a phone, by day and by night, and keeps the pictures.
pub(crate) async fn look(browser: &Browser, name: &str, html: &str) {
    let file = repository("target/screenshots/mails").join(format!("{name}.html"));
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(&file, html).expect("a file");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        browser.open(&format!("file://{}", file.display())).await;
        let complaints = browser.run(include_str!("mail_looks.js")).await;
        browser.screenshot_of_all(&format!("mails/{name}.{scheme}")).await;
        assert_eq!(complaints, json!([]), "{name} {scheme}");
    }
}

/// What a text-only reader shows.
fn read(name: &str, text: &str, html: &str) {
    for link in links(html) {
        assert!(text.split_whitespace().any(|word| word.trim_end_matches('.') == link), "{name} hides {link}:\n{text}");
    }
    for line in text.lines() {
        let is_one_word = line.trim_start_matches("> ").split(' ').count() == 1;
        assert!(line.chars().count() <= 78 || is_one_word, "{name}: {line:?}");
        assert_eq!(line, line.trim_end(), "{name}");
    }
    assert!(!text.contains("\n\n\n") && !text.contains("{{") && !text.contains("{%"), "{name}:\n{text}");
    for markup in ["&amp;", "&lt;", "&gt;", "&#", "&quot;", "&nbsp;", "</", "<p", "<a ", "<br", "<td"] {
        assert!(!text.contains(markup), "{name}: {markup}\n{text}");
    }
}

fn links(html: &str) -> Vec<String> {
    let quoted = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    quoted.map(|link| link.replace("&amp;", "&")).collect()
}

#[tokio::test]
async fn every_mail_can_be_read_in_every_language_by_day_and_by_night() {
    let browser = Browser::start().await;
    for locale in LANGUAGES {
        for mail in Mail::samples() {
            let name = format!("{}.{locale}", mail.name());
            let Rendered { text, html, subject, .. } = letter(&mail, locale, "Acme Robotics");
            look(&browser, &name, &html).await;
            assert_eq!(browser.run("return document.documentElement.lang").await, locale, "{name}");
            assert_eq!(browser.run("return document.title").await, json!(subject), "{name}");
            read(&name, &text, &html);
        }
    }
    browser.close().await;
}

#[tokio::test]
async fn a_long_name_or_one_with_markup_does_no_harm_to_any_mail() {
    let browser = Browser::start().await;
    assert_eq!(LONG.chars().count(), 200);
    let unbroken = "x".repeat(200);
    for (kind, organization) in [("long", LONG), ("unbroken", unbroken.as_str()), ("markup", "Acme <b> & \"Söhne\"")] {
        for mail in Mail::samples() {
            let name = format!("{}.{kind}", mail.name());
            let Rendered { text, html, .. } = letter(&naming(mail, organization), "de", organization);
            assert!(!html.contains("<b>"), "{name}");
            look(&browser, &name, &html).await;
            read(&name, &text, &html);
        }
    }
    browser.close().await;
}

#[tokio::test]
async fn mails_as_they_arrive_show_what_was_typed_and_can_be_read() {
    let app = TestApp::start().await;
    let browser = Browser::start().await;
    let admin = app.organization_named("acme", "Acme <b> & Söhne").administrator().await;
    let address = "ü@bücher.example";
    for locale in LANGUAGES {
        let body =
            json!({ "invitee_identifier": address, "role": "reader", "locale": locale, "message": "1 < 2 & 3 > 2" });
        admin.post("/invitations", body).await.created();
        // The server says SMTPUTF8, so the address goes out as typed.
        let mail = app.mailbox().last_to(address).await;
        assert!(mail.subject().contains("Acme <b> & Söhne"), "{}", mail.subject());
        assert!(mail.text().contains("Acme <b> & Söhne") && mail.text().contains("> 1 < 2 & 3 > 2"), "{}", mail.text());
        read(locale, &mail.text(), &mail.html());
        look(&browser, &format!("received.{locale}"), &mail.html()).await;
        assert!(browser.text().await.contains("1 < 2 & 3 > 2"), "{}", browser.text().await);
        app.anonymous().decline(&mail.link()).await.no_content();
        // Whoever invited is told about the address as he typed it.
        let told = app.mailbox().last_to("admin@acme.example").await;
        assert!(told.subject().contains(address) && told.text().contains(address), "{}", told.text());
        look(&browser, &format!("received_declined.{locale}"), &told.html()).await;
        assert!(browser.text().await.contains(address), "{}", browser.text().await);
    }
    browser.close().await;
    app.finish().await;
}
