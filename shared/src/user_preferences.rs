//! What each user likes: a JSON object of his own.

use serde_json::Value;

use crate::access::{Access, Oneself};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Check, Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::json;
use crate::organizations::LOCALES;

/// The caller's preferences.
#[derive(Clone, Debug)]
pub struct UserPreferences {
    /// They.
    pub value: Value,
    /// Tells this state from another: a digest, for they have no row of their own to count changes in.
    pub version: i64,
}

/// The caller's preferences.
pub async fn get(tx: &mut Tx, by: &Access<Oneself>) -> Result<UserPreferences> {
    Ok(sqlx::query_as!(
        UserPreferences,
        r#"select preferences as value, hashtextextended(preferences::text, 0) as "version!"
           from users where organization_id = $1 and id = $2"#,
        tx.organization_id() as OrganizationId,
        by.caller().user_id as UserId
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Merges a patch into them (RFC 7396).
///
/// Errors: 400 for what is not a JSON object, is too long, or names a language there is not; 403 `session_required`; 412.
pub async fn change(
    tx: &mut Tx,
    by: &Access<Oneself>,
    patch: &Value,
    if_version: Option<i64>,
) -> Result<UserPreferences> {
    let caller = by.caller();
    caller.demand_own()?;
    sqlx::query!(
        "select id from users where organization_id = $1 and id = $2 for no key update",
        tx.organization_id() as OrganizationId,
        caller.user_id as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    let old = get(tx, by).await?;
    if if_version.is_some_and(|version| version != old.version) {
        return Err(Refusal::stale().into());
    }
    let mut new = old.value.clone();
    json::merge(&mut new, patch);
    check(&new)?;
    if new == old.value {
        return Ok(old);
    }
    sqlx::query!(
        "update users set preferences = $3 where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        caller.user_id as UserId,
        new
    )
    .execute(tx.connection())
    .await?;
    tx.audit(Event::new("user.preferences_changed", "user", caller.user_id, &caller.email)).await?;
    get(tx, by).await
}

/// What mails and pages go by must be what they know; what else is there is the client's own.
fn check(preferences: &Value) -> Result<(), Refusal> {
    let mut check = Check::default();
    json::check_object(&mut check, "preferences", preferences);
    let is_text = |value: &Value| value.is_null() || value.is_string();
    let lang = &preferences["lang"];
    let known = lang.is_null() || lang.as_str().is_some_and(|lang| LOCALES.contains(&lang));
    check.that(known, "lang", "invalid_locale", format!("lang is one of {}.", LOCALES.join(", ")));
    check.that(is_text(&preferences["date_format"]), "date_format", "invalid", "date_format is a text.");
    let ui = &preferences["ui"];
    check.that(
        ui.is_null() || ui.is_object() && is_text(&ui["theme"]),
        "ui",
        "invalid",
        "ui is an object, its theme a text.",
    );
    check.done()
}
