//! Jobs that crash too often are put aside, shown, counted, and replayed from the command line.

use std::time::Duration;

use harness::{Caller, Processes, Which, eventually, eventually_within, run_to_end};
use serde_json::{Value, json};

async fn command(tenantry: &Processes, arguments: &[&str]) -> (Option<i32>, String) {
    let url = tenantry.database().app_url();
    let arguments = [&["parked"], arguments].concat();
    run_to_end(Which::Worker.path(), &arguments, &[("DATABASE_APP_URL", &url)]).await
}

async fn delivery(admin: &Caller, invitation: &Value) -> Value {
    let path = format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"));
    admin.get(&path).await.ok()["delivery"].clone()
}

/// The worker dies in the middle of its next message. Its lease is then cut short: nothing but time is missing.
async fn die_once(tenantry: &mut Processes, took: i64) {
    eventually_within(Duration::from_secs(30), "the job to be taken", || async {
        let takes = tenantry.database().value("select takes from outbox").await;
        (takes == took).then_some(())
    })
    .await;
    tenantry.smtp().until_a_message_hangs().await;
    tenantry.kill(Which::Worker).await;
    let over = "update outbox set claimed_until = now() - interval '1 s', due_at = now() - interval '1 s'";
    tenantry.database().execute(over).await;
}

#[tokio::test]
async fn a_job_that_five_workers_died_over_is_parked_and_replayed_and_its_mail_arrives() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    assert_eq!(command(&tenantry, &["list"]).await, (Some(0), "Nothing is parked.\n".to_owned()));

    tenantry.smtp().hang_at_next_message();
    let invitation = admin.invite("bob@example.com", "reader").await;
    for took in 1..=5 {
        die_once(&mut tenantry, took).await;
        if took < 5 {
            tenantry.smtp().hang_at_next_message();
        }
        tenantry.start_one(Which::Worker).await;
    }
    let failed = eventually_within(Duration::from_secs(30), "the delivery to have failed", || async {
        let delivery = delivery(&admin, &invitation).await;
        (delivery["status"] == "failed").then_some(delivery)
    })
    .await;
    assert!(failed["last_error"].as_str().is_some_and(|words| words.contains("ended several times")), "{failed}");
    let counted = eventually("the gauge to count it", || async {
        let metrics = tenantry.metrics(Which::Worker).await;
        metrics.contains("tenantry_jobs_parked{lane=\"interactive\"} 1").then_some(metrics)
    })
    .await;
    assert!(counted.contains("tenantry_jobs_parked_total{job=\"send_email\"} 1"), "{counted}");
    assert_eq!(tenantry.mailbox().all().len(), 0);

    let parked = tenantry.database().value("select id from outbox where parked_at is not null").await;
    let id = parked.as_str().expect("an id");
    let (code, said) = command(&tenantry, &["list"]).await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((code, lines.len()), (Some(0), 2), "{said}");
    assert!(lines[0].starts_with("ID ") && lines[0].ends_with("PARKED SINCE"), "{said}");
    assert!(lines[1].starts_with(&format!("{id}  acme          send_email  2")), "{said}");

    let nobodys = "00000000-0000-7000-8000-000000000000";
    let (code, said) = command(&tenantry, &["replay", nobodys]).await;
    assert!(code == Some(1) && said.contains(nobodys), "{said}");
    assert_eq!(command(&tenantry, &["replay"]).await.0, Some(2), "nothing was named");
    assert_eq!(delivery(&admin, &invitation).await["status"], "failed", "nothing has happened yet");

    let (code, said) = command(&tenantry, &["replay", id]).await;
    assert_eq!((code, said), (Some(0), format!("{id}: send_email of acme begins anew.\n")));
    let mail = tenantry.mailbox().last_to_within(Duration::from_secs(30), "bob@example.com").await;
    tenantry.anonymous().accept(&mail.link()).await.created();
    tenantry.settle().await;
    assert_eq!(tenantry.mailbox().count_to("bob@example.com"), 1);
    let events = admin.get("/audit-events?action=job.replayed").await.ok();
    let event = &events["results"][0];
    assert_eq!((&events["count"], &event["actor_name"]), (&json!(1), &json!("command-line")));
    assert_eq!(command(&tenantry, &["replay", "--all"]).await, (Some(0), "Nothing is parked.\n".to_owned()));
}

#[tokio::test]
async fn what_is_parked_is_listed_for_all_organizations_and_replayed_together() {
    let mut tenantry = Processes::start().await;
    let acme = tenantry.administrator_of("acme").await;
    let globex = tenantry.administrator_of("globex-corporation").await;
    tenantry.kill(Which::Worker).await;
    acme.invite("bob@example.com", "reader").await;
    acme.post("/invitations/resend", json!({ "status": "pending" })).await.accepted();
    globex.invite("eve@example.com", "reader").await;
    // As a worker leaves them that took them a sixth time.
    let database = tenantry.database();
    database.execute("update outbox set parked_at = now(), takes = 6, claim = null").await;
    database.execute("update email_messages set status = 'failed'; update jobs set status = 'failed'").await;
    tenantry.start_one(Which::Worker).await;
    let (_, said) = command(&tenantry, &["list"]).await;
    let column = said.lines().next().and_then(|line| line.find("JOB")).expect("a table");
    assert!(
        said.lines().skip(1).all(|line| line.is_char_boundary(column) && !line[column..].starts_with(' ')),
        "{said}"
    );
    assert_eq!(said.lines().filter(|line| line.contains("  acme   ")).count(), 2, "{said}");
    assert_eq!(said.lines().filter(|line| line.contains("  globex-corporation  ")).count(), 1, "{said}");
    let (code, said) = command(&tenantry, &["replay", "--all"]).await;
    assert_eq!((code, said.matches("begins anew").count()), (Some(0), 3), "{said}");
    for address in ["bob@example.com", "eve@example.com"] {
        tenantry.mailbox().last_to_within(Duration::from_secs(30), address).await;
    }
    tenantry.settle().await;
    let status = tenantry.database().value("select status from jobs").await;
    assert_eq!(status, "finished");
}
