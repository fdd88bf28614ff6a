//! What strangers would build on openapi.json: clients that others' generators make of it, and a program over each.

use std::time::Duration;

use harness::{MailDev, PASSWORD, Processes, repository, run_to_end, run_within};

#[tokio::test]
async fn a_generated_client_in_typescript_compiles_and_makes_the_first_invitation() {
    first_invitation("typescript").await;
}

#[tokio::test]
async fn a_generated_client_in_python_passes_its_type_checker_and_makes_the_first_invitation() {
    first_invitation("python").await;
}

/// Has a client generated and checked, and lets its program loose on a Tenantry.
async fn first_invitation(language: &str) {
    let maildev = MailDev::start().await;
    let tenantry = Processes::start_with_mail_to(Some(maildev.smtp_url())).await;
    let admin = tenantry.administrator_of("acme").await;
    let program = generate(language, &tenantry.folder().join("client").display().to_string()).await;

    let (url, mailbox) = (tenantry.url().to_owned(), maildev.url());
    let environment = [
        ("TENANTRY_URL", url.as_str()),
        ("TENANTRY_MAILBOX_URL", mailbox.as_str()),
        ("DEMO_ORGANIZATION", "acme"),
        ("DEMO_ADMIN_EMAIL", admin.email.as_str()),
        ("DEMO_ADMIN_PASSWORD", PASSWORD),
    ];
    let (code, said) = run_to_end("bash", &["-c", &program], &environment).await;
    assert_eq!(code, Some(0), "{said}");

    let invitations = admin.get("/invitations").await.ok();
    let invitation = &invitations["results"][0];
    let bob = invitation["invitee_identifier"].as_str().expect("an address");
    assert_eq!((&invitations["count"], &invitation["status"]), (&1.into(), &"accepted".into()), "{invitation}");
    let users = admin.get(&format!("/users?email={bob}")).await.ok();
    assert_eq!(users["results"][0]["observation"], "Likes to build.");
    let expected = [
        "refused: invitee_identifier invalid_email".to_owned(),
        "invited once: pending".to_owned(),
        format!("preview: acme invites {bob} as reader"),
        "current user: Bob Builder, reader of acme".to_owned(),
        "changed: Likes to build. Then 412 precondition_failed".to_owned(),
        format!("user 1 of 2: {}", admin.email),
        format!("user 2 of 2: {bob}"),
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

/// How to run the program, as `./dev client` says. Whatever a generator doubts is a fault of the document.
async fn generate(language: &str, folder: &str) -> String {
    let patience = Duration::from_secs(300);
    let (code, said) = run_within(patience, repository("dev"), &["client", language, folder], &[]).await;
    assert_eq!(code, Some(0), "{said}");
    let doubts = ["warn", "⚠", "deprecat", "skip", "unsupported"];
    let is_sure = |line: &&str| !doubts.iter().any(|doubt| line.to_lowercase().contains(doubt));
    assert_eq!(said.lines().filter(is_sure).count(), said.lines().count(), "{said}");
    said.lines().next().expect("how to run it").to_owned()
}
