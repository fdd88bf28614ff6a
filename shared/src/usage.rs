//! How much an organization has used in a calendar month, and how much it may. What is counted is the product's business.

use chrono::{Datelike, NaiveDate};
use serde_json::json;

use crate::access::{Access, ChangeUsage};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::OrganizationId;
use crate::organizations::{Operator, visit};

/// The most that can be counted at a time.
pub const MAX_INCREMENT: i64 = 1_000_000_000;
/// The highest limit: every client's numbers hold it.
pub const MAX_LIMIT: i64 = 9_007_199_254_740_991;

/// How much was used this month (UTC), and how much may be.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// How much may be.
    pub limit: i64,
    /// How much was.
    pub usage: i64,
    /// Whether operators have set the limit.
    pub is_overridden: bool,
}

impl Usage {
    /// How much is left.
    #[must_use]
    pub fn remaining(&self) -> i64 {
        (self.limit - self.usage).max(0)
    }
}

fn month(tx: &Tx) -> NaiveDate {
    let today = tx.now().date_naive();
    today.with_day(1).unwrap_or(today)
}

async fn load(tx: &mut Tx, default_limit: i64) -> Result<Usage> {
    let month = month(tx);
    Ok(sqlx::query_as!(
        Usage,
        r#"select coalesce(o.usage_limit, $3) as "limit!", coalesce(c.usage, 0) as "usage!",
                  o.usage_limit is not null as "is_overridden!"
           from organizations o
           left join usage_counters c on c.organization_id = o.organization_id and c.month = $2
           where o.organization_id = $1"#,
        tx.organization_id() as OrganizationId,
        month,
        default_limit
    )
    .fetch_one(tx.connection())
    .await?)
}

/// How the caller's organization stands.
pub async fn get(tx: &mut Tx, _by: &Access<ChangeUsage>, default_limit: i64) -> Result<Usage> {
    load(tx, default_limit).await
}

/// How the organization of a slug stands, for an operator.
pub async fn get_of(tx: &mut Tx, by: &Operator, slug: &str, default_limit: i64) -> Result<Usage> {
    visit(tx, by, slug).await?;
    load(tx, default_limit).await
}

/// Counts something that was used, all of it or, if that would be past the limit, nothing.
///
/// Errors: 400, 409 `quota_exceeded`.
pub async fn increment(tx: &mut Tx, _by: &Access<ChangeUsage>, amount: i64, default_limit: i64) -> Result<Usage> {
    if !(1..=MAX_INCREMENT).contains(&amount) {
        let message = format!("usage is a number from 1 to {MAX_INCREMENT}.");
        return Err(Refusal::invalid_field("usage", "out_of_range", message).into());
    }
    let Usage { limit, is_overridden, .. } = load(tx, default_limit).await?;
    let month = month(tx);
    // One statement adds and looks at the limit: what others count at the same time waits for the row, and sees the sum.
    let counted = sqlx::query_scalar!(
        "insert into usage_counters as c (organization_id, month, usage)
         select $1::uuid, $2::date, $3::bigint where $3 <= $4
         on conflict on constraint usage_counters_pkey do update set usage = c.usage + excluded.usage
         where c.usage + excluded.usage <= $4
         returning usage",
        tx.organization_id() as OrganizationId,
        month,
        amount,
        limit
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(usage) = counted else {
        let detail = "This would be more than the organization may use this month. Nothing was counted.";
        return Err(Refusal::conflict("quota_exceeded", detail).into());
    };
    let event = Event {
        action: "usage.incremented",
        object_type: "usage",
        object_id: None,
        object_name: None,
        details: json!({ "month": month, "by": amount, "usage": usage }),
    };
    tx.audit(event).await?;
    Ok(Usage { limit, usage, is_overridden })
}

/// Sets how much an organization may use in a month; none: what configuration says. What was used already stays used.
///
/// Errors: 400, 404.
pub async fn set_limit(
    tx: &mut Tx,
    by: &Operator,
    slug: &str,
    limit: Option<i64>,
    default_limit: i64,
) -> Result<Usage> {
    if limit.is_some_and(|limit| !(0..=MAX_LIMIT).contains(&limit)) {
        let message = format!("limit is a number from 0 to {MAX_LIMIT}.");
        return Err(Refusal::invalid_field("limit", "out_of_range", message).into());
    }
    let operators = tx.tenant().clone();
    visit(tx, by, slug).await?;
    let old = sqlx::query!(
        "select slug, usage_limit from organizations where organization_id = $1 and deleted_at is null for no key update",
        tx.organization_id() as OrganizationId
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    if old.usage_limit != limit {
        sqlx::query!(
            "update organizations set usage_limit = $2 where organization_id = $1",
            tx.organization_id() as OrganizationId,
            limit
        )
        .execute(tx.connection())
        .await?;
        let id = tx.organization_id();
        let event = || {
            let event = Event::new("usage_limit.changed", "organization", id, &old.slug);
            event.with(json!({ "from": old.usage_limit, "to": limit }))
        };
        tx.audit(event()).await?;
        if id != operators.id() {
            let target = tx.tenant().clone();
            tx.switch_to(operators).await?;
            tx.audit(event()).await?;
            tx.switch_to(target).await?;
        }
    }
    load(tx, default_limit).await
}
