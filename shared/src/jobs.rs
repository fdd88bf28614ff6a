//! Long-running jobs that a caller can watch.

use serde_json::Value;
use uuid::Uuid;

use crate::access::{Access, InviteUser};
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{JobId, OrganizationId, UserId};
use crate::outbox::{Job as Work, Lane};

/// A job and how far it is.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct Job {
    pub id: Uuid,
    pub status: String,
    pub total: i32,
    pub done: i32,
    pub failed: i32,
}

/// Writes a job down and asks for it to be done.
pub(crate) async fn create(
    tx: &mut Tx,
    kind: &'static str,
    parameters: Value,
    total: i32,
    work: fn(JobId) -> Work,
) -> Result<JobId> {
    let id: JobId = tx.new_id();
    sqlx::query!(
        "insert into jobs (organization_id, id, kind, parameters, total, created_by, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        tx.organization_id() as OrganizationId,
        id as JobId,
        kind,
        parameters,
        total,
        tx.actor().user_id() as Option<UserId>,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    tx.enqueue(work(id), Lane::Bulk).await?;
    Ok(id)
}

/// Marks a job as failed: its work was put aside.
pub async fn give_up(tx: &mut Tx, id: JobId) -> Result<()> {
    sqlx::query!(
        "update jobs set status = 'failed', finished_at = $3
         where organization_id = $1 and id = $2 and status in ('queued', 'running')",
        tx.organization_id() as OrganizationId,
        id as JobId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The same for every job of the organization that is not done.
pub(crate) async fn give_up_all(tx: &mut Tx) -> Result<()> {
    sqlx::query!(
        "update jobs set status = 'failed', finished_at = $2
         where organization_id = $1 and status in ('queued', 'running')",
        tx.organization_id() as OrganizationId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes up again what [`give_up`] has given up, where it stopped.
pub(crate) async fn requeue(tx: &mut Tx, id: JobId) -> Result<()> {
    sqlx::query!(
        "update jobs set status = 'queued', finished_at = null where organization_id = $1 and id = $2 and status = 'failed'",
        tx.organization_id() as OrganizationId,
        id as JobId
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How far a job is: one of the caller's own, or any, for whoever holds `invite_user` over everything.
pub async fn get(tx: &mut Tx, by: &Access<InviteUser>, id: JobId) -> Result<Job> {
    sqlx::query_as!(
        Job,
        "select id, status, total, done, failed from jobs
         where organization_id = $1 and id = $2 and (created_by = $3 or $4)",
        tx.organization_id() as OrganizationId,
        id as JobId,
        by.caller().user_id as UserId,
        by.reach().everything
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(|| Refusal::not_found().into())
}
