//! Runs: once across all workers, on time, and to their end whatever dies. Real processes.

use std::time::Duration;

use harness::{Processes, TestApp, Which, days, eventually, eventually_within, hours, minutes};
use serde_json::{Value, json};
use tenantry_shared::schedules::Schedule;

/// Organizations in the order in which a run visits them, each with an invitation that a reminder is due for.
const SLUGS: [&str; 3] = ["first", "second", "third"];

fn invitee(slug: &str) -> String {
    format!("bob@{slug}.example")
}

async fn invitations_that_end_soon(tenantry: &Processes) {
    for slug in SLUGS {
        let admin = tenantry.administrator_of(slug).await;
        admin.invite(&invitee(slug), "reader").await;
    }
    tenantry.settle().await;
    tenantry.mailbox().read_all();
    tenantry.database().execute("update invitations set valid_until = now() + interval '1 day'").await;
}

const MAKE_DUE: &str = "update schedules set next_run_at = now() - interval '1 minute' where name = 'remind_invitees'";

/// Nothing can be queued for an organization while its row is locked.
fn lock_of(slug: &str) -> String {
    format!("select organization_id from organizations where slug = '{slug}' for update")
}

async fn state(tenantry: &Processes) -> Value {
    tenantry
        .database()
        .rows(
            "select organizations, objects, failed, claim is not null as is_running,
                 (select slug from organizations o where o.organization_id = resume_after) as after
             from schedules where name = 'remind_invitees'",
        )
        .await[0]
        .clone()
}

/// Waits until the run is over, and looks that everybody was reminded, once.
async fn all_are_reminded_once(tenantry: &Processes) {
    eventually_within(Duration::from_secs(45), "the run to be over", || async {
        let state = state(tenantry).await;
        (state["is_running"] == false && state["organizations"] == SLUGS.len()).then_some(())
    })
    .await;
    tenantry.settle().await;
    for slug in SLUGS {
        tenantry.mailbox().last_to(&invitee(slug)).await;
        assert_eq!(tenantry.mailbox().count_to(&invitee(slug)), 2, "{slug}: the invitation and one reminder");
    }
    assert_eq!(
        state(tenantry).await,
        json!({ "organizations": 3, "objects": 3, "failed": 0, "is_running": false, "after": null })
    );
}

#[tokio::test]
async fn three_workers_at_once_remind_everybody_once() {
    let mut tenantry = Processes::start().await;
    invitations_that_end_soon(&tenantry).await;
    tenantry.terminate(Which::Worker).await;
    tenantry.database().execute(MAKE_DUE).await;
    let log = tenantry.log_reader(Which::Worker);
    let count = |what: &str| log().matches(what).count();
    let (runs, starts) = (count("remind_invitees"), count("taking jobs"));
    // Nobody's run ends before all of them are there.
    let held = tenantry.database().hold(&lock_of("second")).await;
    for _ in 0..3 {
        tenantry.start_another_worker();
    }
    let all_have_started = || async { (count("taking jobs") == starts + 3).then_some(()) };
    eventually("three workers to start", all_have_started).await;
    tenantry.database().until_someone_waits().await;
    held.release().await;
    all_are_reminded_once(&tenantry).await;
    assert_eq!(count("remind_invitees"), runs + 1, "{}", log());
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_is_succeeded_by_one_that_goes_on_where_it_stopped() {
    let mut tenantry = Processes::start().await;
    invitations_that_end_soon(&tenantry).await;
    let held = tenantry.database().hold(&lock_of("second")).await;
    tenantry.database().execute(MAKE_DUE).await;
    tenantry.database().until_someone_waits().await;
    // Killed in the instant between a 250 and our record of it, it would send that mail again.
    tenantry.settle().await;
    assert_eq!(
        (&state(&tenantry).await["after"], &state(&tenantry).await["is_running"]),
        (&json!("first"), &json!(true))
    );

    tenantry.kill(Which::Worker).await;
    held.release().await;
    assert_eq!(tenantry.mailbox().count_to(&invitee("second")), 1, "nothing but the invitation");
    tenantry.start_one(Which::Worker).await;

    // Also: had it begun again, it would have been to more than three.
    all_are_reminded_once(&tenantry).await;
    assert!(tenantry.log(Which::Worker).contains(r#""is_resumed":true"#), "{}", tenantry.log(Which::Worker));
}

#[tokio::test]
async fn a_worker_told_to_stop_ends_between_two_organizations_and_the_next_one_goes_on_at_once() {
    let mut tenantry = Processes::start().await;
    invitations_that_end_soon(&tenantry).await;
    let held = tenantry.database().hold(&lock_of("second")).await;
    tenantry.database().execute(MAKE_DUE).await;
    tenantry.database().until_someone_waits().await;
    let log = tenantry.log_reader(Which::Worker);
    let release = async {
        eventually("the worker to hear it", || async { log().contains("stopping").then_some(()) }).await;
        held.release().await;
    };
    tokio::join!(tenantry.terminate(Which::Worker), release);
    let stopped = state(&tenantry).await;
    assert_eq!((&stopped["after"], &stopped["is_running"]), (&json!("second"), &json!(true)));
    tenantry.start_one(Which::Worker).await;
    all_are_reminded_once(&tenantry).await;
}

#[tokio::test]
async fn a_schedule_can_be_run_and_looked_at_by_hand_and_metrics_tell_of_it() {
    let tenantry = Processes::start().await;
    invitations_that_end_soon(&tenantry).await;
    let (code, said) = tenantry.by_hand(&["schedule", "run", "remind_invitees"]).await;
    assert_eq!((code, said.trim()), (Some(0), "remind_invitees: 3 organizations, 3 objects"));
    all_are_reminded_once(&tenantry).await;

    let (code, said) = tenantry.by_hand(&["schedule", "list"]).await;
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 1 + Schedule::ALL.len(), "{said}");
    let column = lines[0].find("HOW IT ENDED").expect("a heading");
    for (line, schedule) in lines[1..].iter().zip(Schedule::ALL) {
        assert!(line.starts_with(schedule.name()) && line[column..].contains(" organizations, "), "{said}");
    }

    let (code, said) = tenantry.by_hand(&["schedule", "run", "nonsense"]).await;
    assert_eq!(code, Some(2), "{said}");
    for schedule in Schedule::ALL {
        assert!(said.contains(schedule.name()), "{said}");
    }
    eventually("the metrics", || async {
        let metrics = tenantry.metrics(Which::Worker).await;
        let is_there = |line: &str| metrics.lines().any(|l| l.starts_with(line));
        (is_there(r#"tenantry_schedule_last_success_timestamp_seconds{schedule="remind_invitees"} 1"#)
            && is_there(r#"tenantry_schedule_failures_total{schedule="remind_invitees"} 0"#))
        .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_schedule_that_another_is_running_is_left_to_him() {
    let mut tenantry = Processes::start().await;
    invitations_that_end_soon(&tenantry).await;
    tenantry.terminate(Which::Worker).await;
    let held = tenantry.database().hold(&lock_of("second")).await;
    let one = tenantry.by_hand(&["schedule", "run", "remind_invitees"]);
    let other = async {
        tenantry.database().until_someone_waits().await;
        let (code, said) = tenantry.by_hand(&["schedule", "run", "remind_invitees"]).await;
        assert!(code == Some(1) && said.contains("another worker is running it"), "{code:?} {said}");
        let (_, list) = tenantry.by_hand(&["schedule", "list"]).await;
        assert!(list.contains("under way: 1 organizations"), "{list}");
        held.release().await;
    };
    let ((code, said), ()) = tokio::join!(one, other);
    assert_eq!((code, said.trim()), (Some(0), "remind_invitees: 3 organizations, 3 objects"));
}

#[tokio::test]
async fn the_trouble_of_one_organization_is_not_that_of_the_others() {
    let app = TestApp::start().await;
    for slug in SLUGS {
        app.organization(slug).administrator().await.invite(&invitee(slug), "reader").await;
    }
    app.settle().await;
    app.clock.advance(days(6));
    let database = app.database();
    database
        .execute(
            "create function refuse() returns trigger language plpgsql as $$ begin raise 'no room'; end $$;
             create trigger refuse before insert on email_messages for each row when (new.to_address = 'bob@second.example')
             execute function refuse()",
        )
        .await;
    let tally = app.run_schedule(Schedule::RemindInvitees).await;
    assert_eq!((tally.organizations, tally.objects, tally.failed), (3, 2, 1));
    assert!(tally.last_error.as_deref().is_some_and(|error| error.contains("no room")), "{tally:?}");
    let success = "select last_succeeded_at is null as never from schedules where name = 'remind_invitees'";
    assert_eq!(database.value(success).await, true);

    database.execute("drop trigger refuse on email_messages").await;
    let tally = app.run_schedule(Schedule::RemindInvitees).await;
    assert_eq!((tally.organizations, tally.objects, tally.failed, tally.last_error), (3, 1, 0, None));
    assert_eq!(database.value(success).await, false);
    app.finish().await;
}

#[tokio::test]
async fn runs_keep_their_beat_and_those_missed_are_not_made_up_for() {
    let app = TestApp::start().await;
    let due = async || {
        let row = app.database().rows("select next_run_at from schedules where name = 'purge_dead_sessions'").await;
        let text = row[0]["next_run_at"].as_str().expect("a time").to_owned();
        text.parse::<chrono::DateTime<chrono::Utc>>().expect("a time")
    };
    app.run_schedule(Schedule::PurgeDeadSessions).await;
    let first = due().await;
    app.clock.advance(minutes(20));
    app.run_schedule(Schedule::PurgeDeadSessions).await;
    assert_eq!(due().await, first, "a run by hand, in between");
    app.clock.advance(hours(10) + minutes(10));
    app.run_schedule(Schedule::PurgeDeadSessions).await;
    assert_eq!(due().await, first + hours(10), "ten were missed, and the beat is kept");
    app.finish().await;
}
