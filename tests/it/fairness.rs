//! Nobody waits for another's mail. Real processes, a slow mail server, and a backlog that would take it an hour.

use std::time::{Duration, Instant};

use harness::{Caller, Processes, Which, eventually_within};
use serde_json::{Value, json};

/// Queues many invitations at once, as a batch of a batch would leave them.
async fn queue_invitations(tenantry: &Processes, slug: &str, count: u32) {
    let organization = format!("(select organization_id from organizations where slug = '{slug}')");
    tenantry
        .database()
        .execute(&format!(
            "-- Without looking whether each row's references are there: they are.
             set session_replication_role = replica;
             with ids as (
                 select gen_random_uuid() as invitation, gen_random_uuid() as email, n from generate_series(1, {count}) n
             ), o as (
                 select o.organization_id, r.id as role, f.id as folder from organizations o
                 join roles r on r.organization_id = o.organization_id and r.name = 'reader'
                 join folders f on f.organization_id = o.organization_id and f.parent_folder_id is null
                 where o.organization_id = {organization}
             ), i as (
                 insert into invitations (organization_id, id, invitee_identifier, email_key, role_id, folder_id, locale,
                     created_at, sent_at, valid_for, valid_until)
                 select o.organization_id, invitation, 'many' || n || '@example.com', 'many' || n || '@example.com',
                     o.role, o.folder, 'en', now(), now(), 604800, now() + interval '7 days'
                 from ids, o
             ), e as (
                 insert into email_messages (organization_id, id, kind, to_address, locale, invitation_id, generation,
                     created_at, give_up_at)
                 select o.organization_id, email, 'invitation', 'many' || n || '@example.com', 'en', invitation, 1, now(),
                     now() + interval '1 day'
                 from ids, o
             )
             insert into outbox (organization_id, id, job, lane, created_at, due_at)
             select o.organization_id, email, 'send_email', 1, now(), now() from ids, o;
             reset session_replication_role"
        ))
        .await;
}

/// Waits for more than so many mails; answers the most memory that API and worker held meanwhile, in KiB.
async fn most_memory_until(tenantry: &mut Processes, mails: usize) -> [u64; 2] {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut most = [0; 2];
    while tenantry.mailbox().all().len() <= mails {
        assert!(Instant::now() < deadline, "waited in vain for {mails} mails");
        for (which, most) in [Which::Api, Which::Worker].into_iter().zip(&mut most) {
            *most = tenantry.memory(which).await.max(*most);
        }
    }
    most
}

/// Invites ten in one request; how long it takes until the last of them has his mail.
async fn invite_ten(tenantry: &Processes, admin: &Caller, what: &str) -> Duration {
    let address = |n| format!("{what}{n}@example.com");
    let rows: Vec<Value> = (0..10).map(|n| json!({ "invitee_identifier": address(n), "role": "reader" })).collect();
    let start = Instant::now();
    admin.post("/invitations/batch", rows.into()).await.ok();
    for n in 0..10 {
        tenantry.mailbox().last_to_within(Duration::from_secs(60), &address(n)).await;
    }
    start.elapsed()
}

#[tokio::test]
async fn neither_a_reset_nor_ten_invitations_wait_for_another_organizations_twenty_thousand() {
    let tenantry = Processes::start().await;
    let many = tenantry.administrator_of("many").await;
    let few = tenantry.administrator_of("few").await;
    tenantry.smtp().slow_down(Duration::from_millis(100));
    let alone = invite_ten(&tenantry, &few, "alone").await;

    queue_invitations(&tenantry, many.slug(), 20_000).await;
    let before = tenantry.mailbox().all().len();
    eventually_within(Duration::from_secs(30), "the bulk to go out", || async {
        (tenantry.mailbox().all().len() > before + 50).then_some(())
    })
    .await;
    let beside = invite_ten(&tenantry, &few, "beside").await;
    assert!(beside < alone * 10, "ten invitations alone {alone:?}, beside 20,000 of another's {beside:?}");

    let mut resets = Vec::new();
    for _ in 0..3 {
        tenantry.anonymous().under("few").post("/iam/password-reset", json!({ "email": few.email })).await.accepted();
        let asked = Instant::now();
        resets.push(tenantry.mailbox().last_to(&few.email).await.received.saturating_duration_since(asked));
    }
    // The best of them: a machine that is busy with something else is not what this is about.
    let best = resets.iter().min().expect("three");
    assert!(*best < Duration::from_secs(2), "resets beside 20,000 invitations took {resets:?}");

    let waiting = tenantry.database().value("select count(*) from outbox").await;
    assert!(waiting.as_i64() > Some(15_000), "the bulk was still there: {waiting}");
}

#[tokio::test]
async fn a_mail_server_that_hangs_over_bulk_mail_still_gets_what_someone_waits_for() {
    let tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    for _ in 0..8 {
        tenantry.smtp().hang_at_next_message();
    }
    let rows: Vec<Value> =
        (0..40).map(|n| json!({ "invitee_identifier": format!("bob{n}@example.com"), "role": "reader" })).collect();
    admin.post("/invitations/batch", rows.into()).await.ok();
    // Every connection that bulk mail may have.
    eventually_within(Duration::from_secs(10), "three messages that hang", || async {
        (tenantry.smtp().hanging() == 3).then_some(())
    })
    .await;
    tenantry.smtp().forget_plans();
    tenantry.anonymous().under("acme").post("/iam/password-reset", json!({ "email": admin.email })).await.accepted();
    tenantry.mailbox().last_to(&admin.email).await;
    assert_eq!(tenantry.smtp().hanging(), 3);
}

#[tokio::test]
async fn a_hundred_thousand_mails_that_wait_cost_no_memory() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    // What they need for their work is there.
    queue_invitations(&tenantry, admin.slug(), 500).await;
    tenantry.settle().await;
    let before = [tenantry.memory(Which::Api).await, tenantry.memory(Which::Worker).await];

    tenantry.database().execute("update invitations set email_key = id::text").await;
    queue_invitations(&tenantry, admin.slug(), 100_000).await;
    let sent = tenantry.mailbox().all().len();
    let most = most_memory_until(&mut tenantry, sent + 1_000).await;

    // A list of 100,000 references to jobs would be 5.6 MB at least.
    for (before, most) in before.into_iter().zip(most) {
        assert!(most < before + 4 * 1024, "KiB of API and worker before {before:?}, at most {most:?}");
    }
}
