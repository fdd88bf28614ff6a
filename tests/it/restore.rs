//! Backup and restore, with the very commands of `docs/operations.md`.

use std::time::Duration;

use harness::{Processes, Which, eventually, repository, required, run_to_end};

/// The shell blocks below "Backup and restore": the dump, and the restore.
fn documented() -> [String; 2] {
    let document = std::fs::read_to_string(repository("docs/operations.md")).expect("docs/operations.md");
    let (_, section) = document.split_once("\n## Backup and restore\n").expect("the heading is there");
    let section = section.split("\n## ").next().expect("a section");
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<String> = blocks.map(str::to_owned).collect();
    blocks.try_into().expect("two blocks: one that dumps, one that restores")
}

/// Types them, as an operator of this Tenantry would.
async fn type_in(tenantry: &Processes, script: &str) {
    let script = format!("cd '{}'\n{script}", tenantry.folder().display());
    let programs = Which::Api.path().parent().expect("a folder").display().to_string();
    let path = format!("{}:{programs}:{}", required("TEST_POSTGRES_BIN"), required("PATH"));
    let mut environment = tenantry.environment(Which::Api);
    environment.extend([("DATABASE_URL".to_owned(), tenantry.database().owner_url()), ("PATH".to_owned(), path)]);
    let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (code, said) = run_to_end("bash", &["-eu", "-c", &script], &environment).await;
    assert_eq!(code, Some(0), "{script}\n{said}");
}

#[tokio::test]
async fn after_a_restore_mails_go_on_links_work_and_people_are_still_signed_in() {
    let [dump, restore] = documented();
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    admin.invite("early@example.com", "reader").await;
    let early = tenantry.mailbox().last_to("early@example.com").await.link();
    tenantry.settle().await;
    tenantry.smtp().refuse_connections();
    let late: Vec<String> = (0..8).map(|n| format!("late{n}@example.com")).collect();
    for address in &late {
        admin.invite(address, "reader").await;
    }
    eventually("each mail to have been tried", || async {
        let waiting = "select status from email_messages where status = 'deferred'";
        (tenantry.database().rows(waiting).await.len() == late.len()).then_some(())
    })
    .await;

    type_in(&tenantry, &dump).await;
    // What comes after the backup is lost, and must not come back in part.
    admin.invite("lost@example.com", "reader").await;
    tenantry.terminate(Which::Api).await;
    tenantry.terminate(Which::Worker).await;
    tenantry.database().wipe().await;
    tenantry.redis.restart_empty().await;
    type_in(&tenantry, &restore).await;
    tenantry.smtp().accept_connections();
    tenantry.start_one(Which::Api).await;
    tenantry.start_one(Which::Worker).await;

    let stranger = tenantry.anonymous();
    for address in &late {
        let mail = tenantry.mailbox().last_to_within(Duration::from_secs(60), address).await;
        stranger.accept(&mail.link()).await.created();
    }
    stranger.accept(&early).await.created();
    assert_eq!(admin.get("/invitations?status=accepted").await.ok()["count"], 9);
    assert_eq!(admin.get("/invitations?search=lost@example.com").await.ok()["count"], 0);
    tenantry.settle().await;
    for address in late.iter().map(String::as_str).chain(["early@example.com"]) {
        assert_eq!(tenantry.mailbox().count_to(address), 1, "{address}");
    }
    assert_eq!(tenantry.mailbox().count_to("lost@example.com"), 0);
}
