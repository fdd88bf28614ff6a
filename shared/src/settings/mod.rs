//! Settings: what an organization decides for all of its people, and how it looks.

mod branding;
mod logo;
mod picture;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::types::Json;

use crate::access::{Access, ChangeOrganization};
use crate::audit::Event;
use crate::db::Tx;
use crate::emails::check_locale;
use crate::error::{Check, Refusal, Result, on_constraint};
use crate::ids::OrganizationId;
use crate::{personal_access_tokens, saml, totp};

pub use branding::{Branding, BrandingPatch, Logo, Look, find_look};
pub use logo::{StoredLogo, delete_logo, find_logo, put_logo};
pub use picture::{LARGEST as LARGEST_LOGO, Picture};

/// The settings of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct Settings {
    pub invitation_validity: i32,
    pub token_max_days: i32,
    pub password_min_length: i32,
    pub mfa_required: bool,
    pub set_password_enabled: bool,
    pub locale: String,
    /// From when on people sign in through an identity provider only; none: they needn't.
    pub sso_required_from: Option<DateTime<Utc>>,
    /// The name of a [`LoginDiscovery`].
    pub login_discovery: String,
    pub branding: Json<Branding>,
    /// For the addresses of what is public.
    pub slug: String,
    pub version: i64,
}

/// How people who have forgotten their organization are found by their address, where no e-mail domain is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginDiscovery {
    /// By a mail to the address, which lists its organizations.
    Domain,
    /// At once, where the address has one account in all: that tells strangers that it has.
    Account,
}

impl LoginDiscovery {
    /// Its name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Account => "account",
        }
    }
}

/// What to change; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct SettingsPatch {
    pub invitation_validity: Option<i32>,
    pub token_max_days: Option<i32>,
    pub password_min_length: Option<i32>,
    pub mfa_required: Option<bool>,
    pub set_password_enabled: Option<bool>,
    pub locale: Option<String>,
    pub sso_required: Option<bool>,
    pub sso_required_from: Option<Option<DateTime<Utc>>>,
    pub login_discovery: Option<LoginDiscovery>,
    pub branding: Option<BrandingPatch>,
}

impl SettingsPatch {
    fn check(&self) -> Result<(), Refusal> {
        let mut check = Check::default();
        let mut range = |value: Option<i32>, least: i32, most: i32, field: &'static str| {
            let message = format!("{field} is a number from {least} to {most}.");
            check.that(value.is_none_or(|value| (least..=most).contains(&value)), field, "out_of_range", message);
        };
        range(self.invitation_validity, 3_600, 7_776_000, "invitation_validity");
        // Ten years: every token has an end that someone lives to see.
        range(self.token_max_days, 1, 3_650, "token_max_days");
        range(self.password_min_length, 8, 128, "password_min_length");
        let is_tag = self.locale.as_deref().is_none_or(check_locale);
        check.that(is_tag, "locale", "invalid_locale", "A locale is a language tag such as en or de-AT.");
        let contradicts = self.sso_required == Some(false) && matches!(self.sso_required_from, Some(Some(_)));
        let message = "There is no time from which something is required that is not.";
        check.that(!contradicts, "sso_required_from", "contradiction", message);
        if let Some(branding) = &self.branding {
            branding.check(&mut check);
        }
        check.done()
    }

    /// To demand it without saying from when is to demand it from now on, or from when it was demanded already.
    fn sso_required_from(&self, old: &Settings, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match (self.sso_required, self.sso_required_from) {
            (Some(false), _) => None,
            (None, None) => old.sso_required_from,
            (None, Some(from)) => from,
            (Some(true), from) => from.flatten().or(old.sso_required_from).or(Some(now)),
        }
    }

    fn applied_to(&self, old: &Settings, now: DateTime<Utc>) -> Settings {
        Settings {
            invitation_validity: self.invitation_validity.unwrap_or(old.invitation_validity),
            token_max_days: self.token_max_days.unwrap_or(old.token_max_days),
            password_min_length: self.password_min_length.unwrap_or(old.password_min_length),
            mfa_required: self.mfa_required.unwrap_or(old.mfa_required),
            set_password_enabled: self.set_password_enabled.unwrap_or(old.set_password_enabled),
            locale: self.locale.clone().unwrap_or_else(|| old.locale.clone()),
            sso_required_from: self.sso_required_from(old, now),
            login_discovery: self
                .login_discovery
                .map_or_else(|| old.login_discovery.clone(), |way| way.name().to_owned()),
            branding: self
                .branding
                .as_ref()
                .map_or_else(|| old.branding.clone(), |patch| Json(patch.applied_to(&old.branding))),
            slug: old.slug.clone(),
            version: old.version,
        }
    }
}

/// The settings.
pub async fn get(tx: &mut Tx, _by: &Access<ChangeOrganization>) -> Result<Settings> {
    load(tx).await
}

async fn load(tx: &mut Tx) -> Result<Settings> {
    let settings = sqlx::query_as!(
        Settings,
        r#"select invitation_validity, token_max_days, password_min_length, mfa_required, set_password_enabled, locale,
                  sso_required_from, login_discovery, branding as "branding: Json<Branding>", slug, version
           from organizations where organization_id = $1"#,
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(settings)
}

/// Changes settings. Tokens that would live longer than a new `token_max_days` end when that says.
///
/// Errors: 409 `short_passwords_need_mfa`, `second_factor_first`, `no_tested_connection`; 412.
pub async fn change(
    tx: &mut Tx,
    by: &Access<ChangeOrganization>,
    patch: &SettingsPatch,
    if_version: Option<i64>,
) -> Result<Settings> {
    patch.check()?;
    let (name, old) = lock(tx, if_version).await?;
    let new = patch.applied_to(&old, tx.now());
    if new == old {
        return Ok(old);
    }
    // Or the next thing he hears is that he may do nothing.
    if new.mfa_required && !old.mfa_required && totp::state(tx, by.caller().user_id).await?.is_none() {
        let detail = "Set up a second factor of your own before you demand one of everybody.";
        return Err(Refusal::conflict("second_factor_first", detail).into());
    }
    if new.sso_required_from.is_some() && old.sso_required_from.is_none() && !saml::has_way_in(tx).await? {
        let detail = "Make a connection to your identity provider and pass a test sign-in through it before you demand that of \
                      everybody.";
        return Err(Refusal::conflict("no_tested_connection", detail).into());
    }
    store(tx, &new).await?;
    let is_lowered = new.token_max_days < old.token_max_days;
    let shortened = if is_lowered { personal_access_tokens::shorten_all(tx, new.token_max_days).await? } else { 0 };
    let event = Event::new("settings.changed", "organization", tx.organization_id(), &name);
    tx.audit(event.with(json!({ "changes": changes(&old, &new), "shortened_tokens": shortened }))).await?;
    load(tx).await
}

/// Locks the settings, and refuses unless they are those that were read. Answers the organization's name, too.
async fn lock(tx: &mut Tx, if_version: Option<i64>) -> Result<(String, Settings)> {
    let name = sqlx::query_scalar!(
        "select name from organizations where organization_id = $1 for no key update",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    let settings = load(tx).await?;
    if if_version.is_some_and(|version| version != settings.version) {
        return Err(Refusal::stale().into());
    }
    Ok((name, settings))
}

async fn store(tx: &mut Tx, new: &Settings) -> Result<()> {
    sqlx::query!(
        "update organizations set invitation_validity = $2, token_max_days = $3, password_min_length = $4,
             mfa_required = $5, set_password_enabled = $6, locale = $7, sso_required_from = $8, login_discovery = $9,
             branding = $10, version = version + 1, updated_at = $11
         where organization_id = $1",
        tx.organization_id() as OrganizationId,
        new.invitation_validity,
        new.token_max_days,
        new.password_min_length,
        new.mfa_required,
        new.set_password_enabled,
        new.locale,
        new.sso_required_from,
        new.login_discovery,
        json!(new.branding),
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(|error| {
        on_constraint(error, "organizations_short_passwords_need_mfa", || {
            Refusal::conflict(
                "short_passwords_need_mfa",
                "Passwords can be shorter than 15 characters only where a second factor is demanded: \
                 password_min_length is 15 or more, or mfa_required is true.",
            )
        })
    })?;
    Ok(())
}

/// What changed, with the old value and the new one.
fn changes(old: &Settings, new: &Settings) -> serde_json::Value {
    let mut changes = serde_json::Map::new();
    let mut note = |name: &str, old: serde_json::Value, new: serde_json::Value| {
        if old != new {
            changes.insert(name.into(), json!({ "from": old, "to": new }));
        }
    };
    note("invitation_validity", json!(old.invitation_validity), json!(new.invitation_validity));
    note("token_max_days", json!(old.token_max_days), json!(new.token_max_days));
    note("password_min_length", json!(old.password_min_length), json!(new.password_min_length));
    note("mfa_required", json!(old.mfa_required), json!(new.mfa_required));
    note("set_password_enabled", json!(old.set_password_enabled), json!(new.set_password_enabled));
    note("locale", json!(old.locale), json!(new.locale));
    note("sso_required_from", json!(old.sso_required_from), json!(new.sso_required_from));
    note("login_discovery", json!(old.login_discovery), json!(new.login_discovery));
    let (old, new) = (&old.branding, &new.branding);
    note("branding.name", json!(old.name), json!(new.name));
    note("branding.color", json!(old.color), json!(new.color));
    note("branding.reply_to", json!(old.reply_to), json!(new.reply_to));
    changes.into()
}
