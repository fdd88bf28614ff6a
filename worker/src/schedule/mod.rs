//! What recurs: looks for schedules that are due, and goes through the organizations. The rules of who may, and the record,
//! are in [`tenantry_shared::schedules`].

pub mod command;

use std::time::Duration;

use tenantry_shared::db::{Db, Tx};
use tenantry_shared::schedules::{self, Part, Run, Schedule, Tally};
use tenantry_shared::tenant::Tenant;
use tenantry_shared::{
    Result, email_domains, idempotency, invitations, organizations, passwords, saml, sessions, users,
};
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// It has been to all organizations.
    Finished(Tally),
    /// It was told to stop; another worker goes on at once.
    Interrupted,
    /// Another worker has taken it over.
    Lost,
}

/// Runs what is due until `stop`, which it heeds between two units of work.
pub(crate) async fn run(db: Db, stop: CancellationToken) {
    for schedule in Schedule::ALL {
        failures(schedule).increment(0);
    }
    let mut in_trouble = false;
    while !stop.is_cancelled() {
        let turned = turn(&db, &stop).await;
        match &turned {
            Err(error) if !in_trouble => tracing::warn!(%error, "schedules can't run; they come again"),
            Ok(()) if in_trouble => tracing::info!("schedules run again"),
            _ => {}
        }
        in_trouble = turned.is_err();
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn turn(db: &Db, stop: &CancellationToken) -> Result<()> {
    schedules::prepare(db).await?;
    while !stop.is_cancelled() {
        let Some(run) = schedules::claim_due(db).await? else { break };
        carry_out(db, run, stop).await?;
    }
    tell_metrics(db).await
}

/// Runs a schedule now, due or not. None if a worker is at it.
pub async fn run_now(db: &Db, schedule: Schedule, stop: &CancellationToken) -> Result<Option<Ended>> {
    schedules::prepare(db).await?;
    match schedules::claim(db, schedule).await? {
        Some(run) => carry_out(db, run, stop).await.map(Some),
        None => Ok(None),
    }
}

async fn carry_out(db: &Db, run: Run, stop: &CancellationToken) -> Result<Ended> {
    let (schedule, is_resumed) = (run.schedule(), run.is_resumed());
    let ended = visit_all(db, run, stop).await.inspect_err(|_| failures(schedule).increment(1))?;
    match &ended {
        Ended::Finished(Tally { organizations, objects, failed, .. }) => {
            tracing::info!(schedule = schedule.name(), is_resumed, organizations, objects, failed, "schedule");
        }
        Ended::Interrupted => tracing::info!(schedule = schedule.name(), "a schedule was interrupted"),
        Ended::Lost => tracing::warn!(schedule = schedule.name(), "another worker has taken a schedule over"),
    }
    Ok(ended)
}

async fn visit_all(db: &Db, mut run: Run, stop: &CancellationToken) -> Result<Ended> {
    loop {
        let organizations = run.next_organizations(db).await?;
        if organizations.is_empty() {
            return Ok(run.finish(db).await?.map_or(Ended::Lost, Ended::Finished));
        }
        for tenant in organizations {
            loop {
                if stop.is_cancelled() {
                    run.interrupt(db).await?;
                    return Ok(Ended::Interrupted);
                }
                match part(db, &mut run, &tenant).await {
                    Ok(Some(Part { more: true, .. })) => {}
                    Ok(Some(_)) => break,
                    Ok(None) => return Ok(Ended::Lost),
                    Err(error) => {
                        // One organization's trouble is not the others'. If it is Postgres', this fails as well.
                        let schedule = run.schedule();
                        let (name, organization) = (schedule.name(), tenant.id());
                        tracing::warn!(schedule = name, %organization, %error, "a schedule failed for an organization");
                        failures(schedule).increment(1);
                        if !run.pass(db, &tenant, &error).await? {
                            return Ok(Ended::Lost);
                        }
                        break;
                    }
                }
            }
        }
    }
}

/// One unit of work for an organization, which commits with the run's progress. None if the run is not ours any more.
async fn part(db: &Db, run: &mut Run, tenant: &Tenant) -> Result<Option<Part>> {
    let Some(mut tx) = run.begin(db, tenant).await? else { return Ok(None) };
    let part = work(run.schedule(), &mut tx).await?;
    run.commit(tx, part).await?;
    Ok(Some(part))
}

async fn work(schedule: Schedule, tx: &mut Tx) -> Result<Part> {
    match schedule {
        Schedule::RemindInvitees => invitations::remind_some(tx).await,
        Schedule::NotifyExpiringAccounts => users::notify_some(tx).await,
        Schedule::EndExpiredAccounts => users::end_some(tx).await,
        Schedule::PurgeDeadSessions => sessions::purge_some(tx).await,
        Schedule::PurgeIdempotencyKeys => idempotency::purge_some(tx).await,
        Schedule::PurgePasswordResets => passwords::purge_some(tx).await,
        Schedule::FetchSamlMetadata => saml::refresh_some(tx).await,
        Schedule::NotifyExpiringCertificates => saml::notify_some(tx).await,
        Schedule::PurgeSaml => saml::purge_some(tx).await,
        Schedule::LookUpEmailDomains => email_domains::look_at_some(tx).await,
        Schedule::PurgeOrganizations => organizations::purge_some(tx).await,
    }
}

fn failures(schedule: Schedule) -> metrics::Counter {
    metrics::counter!("tenantry_schedule_failures_total", "schedule" => schedule.name())
}

/// From the record, so that every worker tells the same, whoever ran what.
async fn tell_metrics(db: &Db) -> Result<()> {
    for standing in schedules::list(db).await? {
        if let Some(at) = standing.last_succeeded_at {
            #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
            let seconds = at.timestamp() as f64;
            metrics::gauge!("tenantry_schedule_last_success_timestamp_seconds", "schedule" => standing.schedule.name())
                .set(seconds);
        }
    }
    Ok(())
}
