//! Analysts, and what they have consented to.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::{Access, InPerson, Oneself, ViewUser};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{AnalystConsentId, OrganizationId, UserId};
use crate::page::{Page, PageRequest};
use crate::sessions::lock_caller;
use crate::users::{self, User, UserFilter};

/// How far back the history is told.
const HISTORY: i64 = 100;

/// A word for or against.
#[derive(Clone, Copy, Debug)]
pub struct Consent {
    /// Whether it was for.
    pub consent_given: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// The caller's own.
#[derive(Clone, Debug)]
pub struct OwnConsent {
    /// Whose.
    pub user_id: Uuid,
    /// What he said, newest first, at most the last hundred; the first holds. Who never said a word has not consented.
    pub history: Vec<Consent>,
    /// How often he said something.
    pub version: i64,
}

impl OwnConsent {
    /// Whether he consents.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.history.first().is_some_and(|last| last.consent_given)
    }
}

/// The analysts that the caller sees: users who hold the built-in role `analyst` somewhere, directly or through a group.
pub async fn list(tx: &mut Tx, by: &Access<ViewUser>, page: &PageRequest) -> Result<Page<(User, Option<Consent>)>> {
    let filter = UserFilter { is_analyst: Some(true), ..UserFilter::default() };
    let Page { count, results, next_cursor } = users::list(tx, by, &filter, page).await?;
    let ids: Vec<Uuid> = results.iter().map(|user| user.id).collect();
    let rows = sqlx::query!(
        "select distinct on (user_id) user_id, consent_given, at from analyst_consents
         where organization_id = $1 and user_id = any($2) order by user_id, at desc, id desc",
        tx.organization_id() as OrganizationId,
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    let said: HashMap<Uuid, Consent> =
        rows.into_iter().map(|row| (row.user_id, Consent { consent_given: row.consent_given, at: row.at })).collect();
    let results =
        results.into_iter().map(|user| (said.get(&user.id).copied(), user)).map(|(c, user)| (user, c)).collect();
    Ok(Page { count, results, next_cursor })
}

/// The caller's own consent.
pub async fn current(tx: &mut Tx, by: &Access<Oneself>) -> Result<OwnConsent> {
    load(tx, by.caller().user_id).await
}

async fn load(tx: &mut Tx, user: UserId) -> Result<OwnConsent> {
    let history = sqlx::query_as!(
        Consent,
        "select consent_given, at from analyst_consents where organization_id = $1 and user_id = $2
         order by at desc, id desc limit $3",
        tx.organization_id() as OrganizationId,
        user as UserId,
        HISTORY
    )
    .fetch_all(tx.connection())
    .await?;
    let version = sqlx::query_scalar!(
        r#"select count(*) as "count!" from analyst_consents where organization_id = $1 and user_id = $2"#,
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(OwnConsent { user_id: user.into(), history, version })
}

/// Says a word for or against; none: all stays as it is, as it does when the last word is repeated.
///
/// Errors: 412.
pub async fn change(
    tx: &mut Tx,
    by: &Access<InPerson>,
    consent_given: Option<bool>,
    if_version: Option<i64>,
) -> Result<OwnConsent> {
    let caller = by.caller();
    lock_caller(tx, caller).await?;
    let old = load(tx, caller.user_id).await?;
    if if_version.is_some_and(|version| version != old.version) {
        return Err(Refusal::stale().into());
    }
    let Some(given) = consent_given.filter(|given| old.history.first().is_none_or(|last| last.consent_given != *given))
    else {
        return Ok(old);
    };
    let id: AnalystConsentId = tx.new_id();
    sqlx::query!(
        "insert into analyst_consents (organization_id, id, user_id, consent_given, at) values ($1, $2, $3, $4, $5)",
        tx.organization_id() as OrganizationId,
        id as AnalystConsentId,
        caller.user_id as UserId,
        given,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    let action = if given { "analyst_consent.given" } else { "analyst_consent.withdrawn" };
    tx.audit(Event::new(action, "user", caller.user_id, &caller.email)).await?;
    load(tx, caller.user_id).await
}
