//! `Idempotency-Key`: the same request sent again gives the first answer, and happens once.

use chrono::TimeDelta;
use serde_json::Value;

use crate::access::Caller;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::schedules::Part;
use crate::secret::sha256;

/// How long an answer is remembered.
pub const REMEMBERED: TimeDelta = TimeDelta::hours(24);

/// A key that was begun: to be completed with the answer, in the same transaction.
#[derive(Debug)]
pub struct Begun {
    user_id: UserId,
    operation: &'static str,
    key: String,
}

/// Whether the request is new.
#[derive(Debug)]
pub enum Request {
    /// It is: do it, then [`complete`] it. (None: the caller sent no key.)
    New(Option<Begun>),
    /// It was done before, and this was the answer.
    Repeated(Value),
}

/// Looks whether this key was seen for this user and operation, and marks it as begun if not. A second request with the same
/// key waits here until the first has committed or failed.
pub async fn begin(
    tx: &mut Tx,
    caller: &Caller,
    operation: &'static str,
    key: Option<String>,
    body: &[u8],
) -> Result<Request> {
    let Some(key) = key else { return Ok(Request::New(None)) };
    if key.is_empty() || key.len() > 255 || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Refusal::invalid_field(
            "Idempotency-Key",
            "invalid_idempotency_key",
            "Idempotency-Key has 1 to 255 visible ASCII characters.",
        )
        .into());
    }
    let digest = sha256(body);
    let user_id = caller.user_id;
    let inserted = sqlx::query!(
        "insert into idempotency_keys as k (organization_id, user_id, operation, key, body_digest, created_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict on constraint idempotency_keys_pkey do update
         set body_digest = excluded.body_digest, created_at = excluded.created_at, answer = null
         where k.created_at <= $7",
        tx.organization_id() as OrganizationId,
        user_id as UserId,
        operation,
        key,
        digest,
        tx.now(),
        tx.now() - REMEMBERED
    )
    .execute(tx.connection())
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(Request::New(Some(Begun { user_id, operation, key })));
    }
    let row = sqlx::query!(
        "select body_digest, answer from idempotency_keys
         where organization_id = $1 and user_id = $2 and operation = $3 and key = $4",
        tx.organization_id() as OrganizationId,
        user_id as UserId,
        operation,
        key
    )
    .fetch_one(tx.connection())
    .await?;
    match row.answer {
        Some(answer) if row.body_digest == digest => Ok(Request::Repeated(answer)),
        _ => Err(Refusal::conflict(
            "idempotency_key_reused",
            "This Idempotency-Key was used for another request. Use a new key for a new request.",
        )
        .into()),
    }
}

/// Remembers the answer of a request that succeeded.
pub async fn complete(tx: &mut Tx, begun: Option<Begun>, answer: &Value) -> Result<()> {
    let Some(Begun { user_id, operation, key }) = begun else { return Ok(()) };
    sqlx::query!(
        "update idempotency_keys set answer = $5
         where organization_id = $1 and user_id = $2 and operation = $3 and key = $4",
        tx.organization_id() as OrganizationId,
        user_id as UserId,
        operation,
        key,
        answer
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How many a statement deletes.
const AT_A_TIME: i64 = 1_000;

/// Deletes some keys that are not remembered any more.
pub async fn purge_some(tx: &mut Tx) -> Result<Part> {
    // One that a request is using anew just now is locked, and stays.
    let purged = sqlx::query!(
        "with old as (
             select user_id, operation, key from idempotency_keys
             where organization_id = $1 and created_at <= $2
             limit $3 for update skip locked)
         delete from idempotency_keys k using old
         where k.organization_id = $1 and k.user_id = old.user_id and k.operation = old.operation
           and k.key = old.key",
        tx.organization_id() as OrganizationId,
        tx.now() - REMEMBERED,
        AT_A_TIME
    )
    .execute(tx.connection())
    .await?;
    Ok(Part::of(purged.rows_affected(), AT_A_TIME))
}
