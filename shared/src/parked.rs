//! Jobs that were put aside because they crashed too often: for whoever runs the deployment, on the command line.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::{Actor, Origin};
use crate::audit::Event;
use crate::db::Db;
use crate::error::Result;
use crate::ids::OrganizationId;
use crate::outbox::Job;
use crate::tenant::Tenant;
use crate::{emails, jobs};

/// A job that was put aside.
#[derive(Clone, Debug)]
pub struct Parked {
    tenant: Tenant,
    /// What it is about, and what a person names it by: a mail's id, or a long-running job's.
    pub id: Uuid,
    /// Whose it is: the organization's slug.
    pub organization: String,
    /// What was to be done.
    pub job: String,
    /// Since when.
    pub parked_at: DateTime<Utc>,
}

/// All of them, of every organization, oldest first.
pub async fn list(db: &Db) -> Result<Vec<Parked>> {
    let rows = sqlx::query!(
        r#"select organization_id as "organization_id!: OrganizationId", slug as "slug!", id as "id!", job as "job!",
                  parked_at as "parked_at!"
           from parked_jobs()"#
    )
    .fetch_all(db.pool())
    .await?;
    let parked = rows.into_iter().map(|row| Parked {
        tenant: Tenant::proven(row.organization_id),
        id: row.id,
        organization: row.slug,
        job: row.job,
        parked_at: row.parked_at,
    });
    Ok(parked.collect())
}

/// Lets a job begin anew, at once. False if it is parked no more.
pub async fn replay(db: &Db, parked: &Parked) -> Result<bool> {
    let mut tx = db.begin(&parked.tenant, Actor::System("command-line"), Origin::default()).await?;
    // What it is about comes first, then the job: the order in which a worker locks them.
    match Job::from_parts(&parked.job, parked.id) {
        Some(Job::SendEmail(id)) => emails::requeue(&mut tx, id).await?,
        Some(Job::ResendInvitations(id)) => jobs::requeue(&mut tx, id).await?,
        // Nobody was shown that it was put aside. What is none is another release's: it knows what to make of it.
        Some(Job::ResetPassword(_) | Job::FetchSamlMetadata(_) | Job::LookUpEmailDomain(_) | Job::MailLoginUrls(_))
        | None => {}
    }
    let done = sqlx::query!(
        "update outbox set due_at = $3, takes = 0, parked_at = null, pushed_at = null, pushed_epoch = null
         where organization_id = $1 and id = $2 and parked_at is not null",
        tx.organization_id() as OrganizationId,
        parked.id,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    tx.audit(Event::new("job.replayed", "outbox", parked.id, &parked.job)).await?;
    tx.commit().await?;
    Ok(true)
}
