//! What an organization has used this month, and how much it may.

use poem::web::Data;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::access::ChangeUsage;
use tenantry_shared::usage::{self, Usage};

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::problem::ApiResult;
use crate::reply::{Once, Turn};

pub(crate) struct Api;

/// How much was used this calendar month (UTC), and how much may be.
#[derive(Debug, Object)]
#[oai(rename = "Usage")]
pub(crate) struct UsageOut {
    /// How much may be used in a month.
    limit: i64,
    /// How much was.
    usage: i64,
    /// How much is left.
    remaining: i64,
    /// Whether the limit was set for this organization; false: it is the default.
    overriden: bool,
    /// The same, spelled right.
    overridden: bool,
}

impl From<Usage> for UsageOut {
    fn from(usage: Usage) -> Self {
        Self {
            limit: usage.limit,
            usage: usage.usage,
            remaining: usage.remaining(),
            overriden: usage.is_overridden,
            overridden: usage.is_overridden,
        }
    }
}

/// Something that was used.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct UsageIn {
    /// How much; 1 if not given.
    usage: Option<i64>,
}

impl Input for UsageIn {
    const READ_ONLY: &'static [&'static str] = &["limit", "remaining", "overriden", "overridden"];
}

/// How much may be used.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct UsageLimitIn {
    /// How much may be used in a calendar month; null, or not given: the default again.
    limit: Option<i64>,
}

impl Input for UsageLimitIn {
    const READ_ONLY: &'static [&'static str] = &["usage", "remaining", "overriden", "overridden"];
}

#[OpenApi(tag = "super::openapi::Tags::Organizations")]
impl Api {
    /// Read the usage
    ///
    /// Of this calendar month (UTC). Needs `change_usage`; operators read every organization's.
    #[oai(path = "/orgs/:organization_slug/usage", method = "get", operation_id = "get_usage")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<UsageOut>> {
        let is_own = organization_slug.eq_ignore_ascii_case(&caller.caller.organization_slug);
        let (tx, usage) = if is_own {
            let (mut tx, by) = app.enter_own::<ChangeUsage>(&caller).await?;
            let usage = usage::get(&mut tx, &by, app.usage_limit).await?;
            (tx, usage)
        } else {
            let (mut tx, operator) = app.enter_as_operator(&caller, &organization_slug).await?;
            let usage = usage::get_of(&mut tx, &operator, &organization_slug, app.usage_limit).await?;
            (tx, usage)
        };
        tx.commit().await?;
        Ok(Json(usage.into()))
    }

    /// Count usage
    ///
    /// All of it or, where that would be more than may be used this calendar month (UTC), nothing. Needs `change_usage`. Whoever
    /// gets no answer asks again with the same `Idempotency-Key`: then it is counted once. Errors: 409 `quota_exceeded`.
    #[oai(path = "/orgs/:organization_slug/usage/increment", method = "post", operation_id = "increment_usage")]
    async fn increment(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<UsageIn>,
    ) -> ApiResult<Json<UsageOut>> {
        let (mut tx, by) = app.enter::<ChangeUsage>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), "increment_usage", idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Json(first)),
            Turn::First(once) => once,
        };
        let usage: UsageOut = usage::increment(&mut tx, &by, body.0.usage.unwrap_or(1), app.usage_limit).await?.into();
        once.remember(&mut tx, &usage).await?;
        tx.commit().await?;
        Ok(Json(usage))
    }

    /// Set the limit of usage
    ///
    /// For operators. What was used this month stays used, also where it is more. Errors: 403 `operators_only`.
    #[oai(path = "/orgs/:organization_slug/usage/limit", method = "put", operation_id = "set_usage_limit")]
    async fn set_limit(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug, whatever its case.
        organization_slug: Path<String>,
        body: Body<UsageLimitIn>,
    ) -> ApiResult<Json<UsageOut>> {
        let (mut tx, operator) = app.enter_as_operator(&caller, &organization_slug).await?;
        let usage = usage::set_limit(&mut tx, &operator, &organization_slug, body.0.limit, app.usage_limit).await?;
        tx.commit().await?;
        Ok(Json(usage.into()))
    }
}
