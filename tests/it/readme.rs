//! The README's own lines, typed by a shell.

use harness::{MailDev, PASSWORD, Processes, repository, run_to_end};

/// The shell lines below a heading.
fn lines_below(heading: &str) -> String {
    let readme = std::fs::read_to_string(repository("README.md")).expect("a README");
    let (_, section) = readme.split_once(&format!("\n{heading}\n")).expect("the heading is there");
    let section = section.split("\n## ").next().expect("a section");
    let blocks = section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.collect()
}

#[tokio::test]
async fn the_readme_s_first_invitation_works_as_it_stands_there() {
    let maildev = MailDev::start().await;
    let tenantry = Processes::start_with_mail_to(Some(maildev.smtp_url())).await;
    let admin = tenantry.administrator_of("acme").await;
    let script = lines_below("## A first invitation");
    assert!(script.matches("curl").count() >= 5, "{script}");
    let (url, mailbox) = (tenantry.url().to_owned(), maildev.url());
    let environment = [
        ("TENANTRY_URL", url.as_str()),
        ("TENANTRY_MAILBOX_URL", mailbox.as_str()),
        ("DEMO_ORGANIZATION", "acme"),
        ("DEMO_ADMIN_EMAIL", admin.email.as_str()),
        ("DEMO_ADMIN_PASSWORD", PASSWORD),
    ];
    let (code, said) = run_to_end("bash", &["-eu", "-c", &script], &environment).await;
    assert_eq!(code, Some(0), "{said}");
    for words in [
        r#""roles":["reader"]"#,
        r#""full_name":"Bob Builder""#,
        r#""slug":"acme""#,
        r#""status":"accepted""#,
        r#""status":"sent""#,
    ] {
        assert!(said.contains(words), "no {words} in:\n{said}");
    }
}
