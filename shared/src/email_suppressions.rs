//! Addresses that are never mailed: they bounced, their owner complained, or an administrator says so.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::access::{Access, AddEmailSuppression, DeleteEmailSuppression, ViewEmailSuppression};
use crate::audit::Event;
use crate::db::Tx;
use crate::email_address::{EmailAddress, mailbox_key};
use crate::error::{Check, Refusal, Result, on_constraint};
use crate::ids::{EmailSuppressionId, OrganizationId, UserId};
use crate::page::{Listed, Page, PageRequest, Query, Sort};

/// Why an address is not mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Mail to it came back.
    Bounced,
    /// Its owner called our mail spam.
    Complained,
    /// An administrator put it on the list.
    Manual,
}

impl Reason {
    /// Its name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Manual => "manual",
        }
    }
}

/// An address that is not mailed.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct EmailSuppression {
    pub id: Uuid,
    pub address: String,
    pub reason: String,
    pub detail: Option<String>,
    pub created_at: DateTime<Utc>,
    pub created_by: Option<Uuid>,
    pub version: i64,
}

/// A checked address to be put on the list.
#[derive(Debug)]
pub struct NewEmailSuppression {
    address: EmailAddress,
    detail: Option<String>,
}

impl NewEmailSuppression {
    /// Checks the input.
    pub fn check(address: &str, detail: Option<&str>) -> Result<Self, Refusal> {
        let mut check = Check::default();
        let address = check.take(EmailAddress::parse("address", address));
        let detail = detail.map(str::trim).filter(|text| !text.is_empty());
        let length = detail.map_or(0, |text| text.chars().count());
        check.that(length <= LONGEST_DETAIL, "detail", "too_long", "A detail has at most 500 characters.");
        let is_line = detail.is_none_or(|text| !text.chars().any(char::is_control));
        check.that(is_line, "detail", "invalid", "A detail is one line of text.");
        check.done()?;
        let address = address.ok_or_else(|| Refusal::invalid(Vec::new()))?;
        Ok(Self { address, detail: detail.map(str::to_owned) })
    }
}

/// Longest detail, in characters.
pub(crate) const LONGEST_DETAIL: usize = 500;

const COLUMNS: &str = "s.id, s.address, s.reason, s.detail, s.created_at, s.created_by, s.version";
const FROM: &str = "email_suppressions s";

impl Listed for EmailSuppression {
    const SORTS: &'static [Sort] = &[
        Sort::time("created_at", "s.created_at"),
        Sort::text("address", "s.address_key"),
        Sort::text("reason", "s.reason"),
    ];
    const DEFAULT_SORT: &'static str = "-created_at";
    const ID: &'static str = "s.id";
}

/// The organization's list, newest first.
pub async fn list(
    tx: &mut Tx,
    _by: &Access<ViewEmailSuppression>,
    reason: Option<Reason>,
    page: &PageRequest,
) -> Result<Page<EmailSuppression>> {
    let mut query = Query::new(COLUMNS, FROM, "s.organization_id", tx);
    query.equals("s.reason", reason.map(Reason::name));
    query.search(&["s.address", "s.address_key", "coalesce(s.detail, '')"], page.search.as_deref());
    query.fetch(tx, page).await
}

/// One of them.
pub async fn get(tx: &mut Tx, _by: &Access<ViewEmailSuppression>, id: EmailSuppressionId) -> Result<EmailSuppression> {
    load(tx, id).await
}

async fn load(tx: &mut Tx, id: EmailSuppressionId) -> Result<EmailSuppression> {
    let mut query = Query::new(COLUMNS, FROM, "s.organization_id", tx);
    query.equals("s.id", Some(id));
    query.find(tx).await?.ok_or_else(|| Refusal::not_found().into())
}

/// Puts an address on the list: nothing is mailed to it from now on, what waits included.
///
/// Errors: 409 `already_suppressed`.
pub async fn create(
    tx: &mut Tx,
    by: &Access<AddEmailSuppression>,
    new: &NewEmailSuppression,
) -> Result<EmailSuppression> {
    let id: EmailSuppressionId = tx.new_id();
    let address = new.address.as_str();
    sqlx::query!(
        "insert into email_suppressions (organization_id, id, address, address_key, reason, detail, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        tx.organization_id() as OrganizationId,
        id as EmailSuppressionId,
        address,
        mailbox_key(address),
        Reason::Manual.name(),
        new.detail,
        tx.now(),
        by.caller().user_id as UserId
    )
    .execute(tx.connection())
    .await
    .map_err(|error| {
        on_constraint(error, "email_suppressions_one_per_address", || {
            Refusal::conflict("already_suppressed", "This address is on the list already.")
        })
    })?;
    let event = Event::new("email_suppression.created", "email_suppression", id, address);
    tx.audit(event.with(json!({ "reason": Reason::Manual.name() }))).await?;
    load(tx, id).await
}

/// Takes an address off the list: it is mailed again.
pub async fn delete(
    tx: &mut Tx,
    _by: &Access<DeleteEmailSuppression>,
    id: EmailSuppressionId,
    if_version: Option<i64>,
) -> Result<()> {
    let row = sqlx::query!(
        "delete from email_suppressions where organization_id = $1 and id = $2 returning address, reason, version",
        tx.organization_id() as OrganizationId,
        id as EmailSuppressionId
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    // An error undoes the unit of work, and so the deletion.
    if if_version.is_some_and(|version| version != row.version) {
        return Err(Refusal::stale().into());
    }
    let event = Event::new("email_suppression.deleted", "email_suppression", id, &row.address);
    tx.audit(event.with(json!({ "reason": row.reason }))).await
}

/// Puts an address on the list because of what was reported about it. A complaint outweighs a bounce, whichever comes
/// first; what an administrator put there stays as he put it.
pub(crate) async fn note(tx: &mut Tx, address: &str, reason: Reason, detail: Option<&str>) -> Result<()> {
    let id: EmailSuppressionId = tx.new_id();
    let row = sqlx::query!(
        r#"insert into email_suppressions as s (organization_id, id, address, address_key, reason, detail, created_at)
           values ($1, $2, $3, $4, $5, $6, $7)
           on conflict on constraint email_suppressions_one_per_address do update
           set reason = excluded.reason, detail = excluded.detail, version = s.version + 1
           where s.reason = 'bounced' and excluded.reason = 'complained'
           returning id as "id: EmailSuppressionId""#,
        tx.organization_id() as OrganizationId,
        id as EmailSuppressionId,
        address,
        mailbox_key(address),
        reason.name(),
        detail,
        tx.now()
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(row) = row else { return Ok(()) };
    let action = if row.id == id { "email_suppression.created" } else { "email_suppression.changed" };
    let event = Event::new(action, "email_suppression", row.id, address);
    tx.audit(event.with(json!({ "reason": reason.name() }))).await
}

/// Whether an address is on the list now.
pub(crate) async fn is_suppressed(tx: &mut Tx, address: &str) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from email_suppressions where organization_id = $1 and address_key = $2) as "found!""#,
        tx.organization_id() as OrganizationId,
        mailbox_key(address)
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(found)
}
