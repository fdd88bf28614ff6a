//! What nobody asks for any more.

use chrono::TimeDelta;

use crate::db::Tx;
use crate::error::Result;
use crate::ids::OrganizationId;
use crate::schedules::Part;

/// For how long an administrator can look up what came of a sign-in, or of a test.
const KEEP_EVENTS: TimeDelta = TimeDelta::days(30);
/// Rows of a table in one unit of work.
const AT_A_TIME: i64 = 1_000;

/// Deletes requests that nobody can answer any more, messages that would be refused for their age, old events and old tests.
pub async fn purge_some(tx: &mut Tx) -> Result<Part> {
    let (organization, now) = (tx.organization_id(), tx.now());
    let requests = sqlx::query!(
        "delete from saml_requests where organization_id = $1 and id in (
             select id from saml_requests where organization_id = $1 and expires_at < $2 limit $3)",
        organization as OrganizationId,
        now,
        AT_A_TIME
    )
    .execute(tx.connection())
    .await?;
    let messages = sqlx::query!(
        "delete from saml_messages where organization_id = $1 and (connection_id, digest) in (
             select connection_id, digest from saml_messages where organization_id = $1 and expires_at < $2 limit $3)",
        organization as OrganizationId,
        now,
        AT_A_TIME
    )
    .execute(tx.connection())
    .await?;
    let events = sqlx::query!(
        "delete from saml_events where organization_id = $1 and id in (
             select id from saml_events where organization_id = $1 and created_at < $2 limit $3)",
        organization as OrganizationId,
        now - KEEP_EVENTS,
        AT_A_TIME
    )
    .execute(tx.connection())
    .await?;
    let tests = sqlx::query!(
        "delete from saml_tests where organization_id = $1 and (connection_id, user_id) in (
             select connection_id, user_id from saml_tests where organization_id = $1 and expires_at < $2
             limit $3 for update skip locked)",
        organization as OrganizationId,
        now - KEEP_EVENTS,
        AT_A_TIME
    )
    .execute(tx.connection())
    .await?;
    let of = |done: sqlx::postgres::PgQueryResult| Part::of(done.rows_affected(), AT_A_TIME);
    Ok(of(requests).and(of(messages)).and(of(events)).and(of(tests)))
}

/// Forgets what was asked of identity providers and is not answered yet.
pub(crate) async fn forget_requests(tx: &mut Tx) -> Result<()> {
    sqlx::query!("delete from saml_requests where organization_id = $1", tx.organization_id() as OrganizationId)
        .execute(tx.connection())
        .await?;
    Ok(())
}
