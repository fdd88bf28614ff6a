//! Settings of an organization.

pub(crate) mod logo;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object, OpenApi};
use tenantry_shared::Refusal;
use tenantry_shared::access::ChangeOrganization;
use tenantry_shared::config::PublicUrl;
use tenantry_shared::objects::{self, Kind, Wanted};
use tenantry_shared::saml;
use tenantry_shared::settings::{self, Branding, BrandingPatch, Settings, SettingsPatch};

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::objects::{Ref, cleared, kept};
use crate::problem::ApiResult;
use crate::reply::{Found, etag, if_match};

pub(crate) struct Api;

/// How people who know no more than their address are found, where it is in no proven e-mail domain.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum LoginDiscovery {
    /// By a mail to the address, which lists its organizations.
    Domain,
    /// At once, where the address has one account in all: that tells strangers that it has.
    Account,
}

impl LoginDiscovery {
    fn from_name(name: &str) -> Self {
        if name == "account" { Self::Account } else { Self::Domain }
    }

    fn shared(self) -> settings::LoginDiscovery {
        match self {
            Self::Domain => settings::LoginDiscovery::Domain,
            Self::Account => settings::LoginDiscovery::Account,
        }
    }
}

/// What an organization calls itself and how it looks, on its pages and in its mails. A `name`, a colour or a logo is shown to
/// whoever opens its sign-in page; without any, that looks like that of an organization which is not there.
#[derive(Debug, Object)]
#[oai(rename = "Branding")]
pub(crate) struct BrandingOut {
    /// What pages and mails call it; null: its name.
    name: Option<String>,
    /// The colour of buttons and the like, as `#rrggbb`. Text stands on it, and links are shown in it, in a shade that can be
    /// read.
    color: Option<String>,
    /// The address of its logo, for anyone; another one for another logo. `put_logo` sets it.
    logo: Option<String>,
    /// Where answers to its mails go.
    reply_to: Option<String>,
}

/// What an organization decides for all of its people.
#[derive(Debug, Object)]
#[oai(rename = "Settings")]
pub(crate) struct SettingsOut {
    /// For how many seconds an invitation is good that doesn't say so itself.
    invitation_validity: i32,
    /// For how many days a personal access token can be good at most, from when it is made.
    token_max_days: i32,
    /// How many characters a new password has at least.
    password_min_length: i32,
    /// Whether everyone needs a second factor.
    mfa_required: bool,
    /// Whether administrators may set someone else's password.
    set_password_enabled: bool,
    /// The language of mails to people who have chosen none.
    locale: String,
    /// Whether people must sign in through an identity provider, from `sso_required_from` on.
    sso_required: bool,
    /// From when on; null where they needn't.
    sso_required_from: Option<DateTime<Utc>>,
    /// How people who know no more than their address are found.
    login_discovery: LoginDiscovery,
    /// What it calls itself and how it looks.
    branding: BrandingOut,
}

impl SettingsOut {
    fn of(settings: Settings, public_url: &PublicUrl) -> Self {
        let Branding { name, color, reply_to, logo } = settings.branding.0;
        let logo = logo.map(|logo| public_url.join(&logo.path(&settings.slug)));
        Self {
            invitation_validity: settings.invitation_validity,
            token_max_days: settings.token_max_days,
            password_min_length: settings.password_min_length,
            mfa_required: settings.mfa_required,
            set_password_enabled: settings.set_password_enabled,
            locale: settings.locale,
            sso_required: settings.sso_required_from.is_some(),
            sso_required_from: settings.sso_required_from,
            login_discovery: LoginDiscovery::from_name(&settings.login_discovery),
            branding: BrandingOut { name, color, logo, reply_to },
        }
    }
}

impl Found<SettingsOut> {
    fn of(settings: Settings, app: &App) -> Self {
        let tag = etag(settings.version);
        Self::Object(Json(SettingsOut::of(settings, &app.public_url)), tag)
    }
}

/// What to change of how it looks. The logo is not among it: see `put_logo`.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct BrandingPatchIn {
    /// What pages and mails call it: one line of 1 to 200 characters. `null`: its name.
    name: MaybeUndefined<String>,
    /// The colour of buttons and the like, as `#rrggbb`. `null`: that of the pages themselves.
    color: MaybeUndefined<String>,
    /// Where answers to its mails go: one address, without a name. `null`: to whom the deployment's mails come from.
    reply_to: MaybeUndefined<String>,
}

impl BrandingPatchIn {
    fn patch(self) -> BrandingPatch {
        BrandingPatch { name: cleared(self.name), color: cleared(self.color), reply_to: cleared(self.reply_to) }
    }
}

/// Settings to change.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct SettingsPatchIn {
    /// For how many seconds an invitation is good that doesn't say so itself: an hour to 90 days.
    invitation_validity: MaybeUndefined<i32>,
    /// For how many days a personal access token can be good at most: 1 to 3650, for every token has an end. When this is
    /// lowered, tokens that would be good for longer end so many days after they were made: some at once.
    token_max_days: MaybeUndefined<i32>,
    /// How many characters a new password has at least: 8 to 128, and at least 15 unless `mfa_required` is true.
    password_min_length: MaybeUndefined<i32>,
    /// Whether everyone needs a second factor.
    mfa_required: MaybeUndefined<bool>,
    /// Whether administrators may set someone else's password.
    set_password_enabled: MaybeUndefined<bool>,
    /// The language of mails to people who have chosen none: a tag such as `en` or `de-AT`. Where there are no texts in it, they
    /// are English.
    locale: MaybeUndefined<String>,
    /// Whether people must sign in through an identity provider: then passwords are no way in, but for users with
    /// `keep_local_login`. True: from `sso_required_from` on, or else from now on. It takes a connection that is active and has
    /// passed a test; look at `preview_sso` before.
    sso_required: MaybeUndefined<bool>,
    /// From when on they must; a time that has passed is now. `null`: they needn't.
    sso_required_from: MaybeUndefined<DateTime<Utc>>,
    /// How people are found who know no more than their address (`find_login_url`), where it is in no proven e-mail domain.
    /// `domain`: by a mail to it, which tells nobody else. `account`: someone who has an account here and nowhere else is
    /// led here at once. **That tells strangers that he has one**, whatever address they try; choose it only where it is no secret
    /// who belongs to the organization. Addresses of a proven e-mail domain lead here in any case, known or not.
    login_discovery: MaybeUndefined<LoginDiscovery>,
    /// What it calls itself and how it looks; members that are not given stay as they are. `null` clears all of them but the logo.
    branding: MaybeUndefined<BrandingPatchIn>,
}

/// What would come of `sso_required`, as things stand now. Everyone counted is active.
#[derive(Debug, Object)]
pub(crate) struct SsoPreview {
    /// Whether there is an active connection that has passed a test: without one it can't be required.
    has_tested_connection: bool,
    /// From when on it is required already; null where it is not.
    sso_required_from: Option<DateTime<Utc>>,
    /// How many people there are.
    people: i64,
    /// How many of them an identity provider knows already: they have signed in through it.
    known: i64,
    /// How many of the rest have `keep_local_login`, and go on with their password.
    keep_local_login: i64,
    /// How many of the rest have an address in a domain that an active connection is bound to: their accounts are found at
    /// their first sign-in there.
    expected: i64,
    /// How many are left. They would not get in.
    locked_out: i64,
    /// Whether you are one of these.
    includes_you: bool,
    /// The first of these by address, at most 20, as far as you may see them.
    locked_out_people: Vec<Ref>,
}

impl Input for SettingsPatchIn {
    const READ_ONLY: &'static [&'static str] = &["branding.logo"];
}

impl SettingsPatchIn {
    fn patch(self) -> Result<SettingsPatch, Refusal> {
        Ok(SettingsPatch {
            invitation_validity: kept("invitation_validity", self.invitation_validity)?,
            token_max_days: kept("token_max_days", self.token_max_days)?,
            password_min_length: kept("password_min_length", self.password_min_length)?,
            mfa_required: kept("mfa_required", self.mfa_required)?,
            set_password_enabled: kept("set_password_enabled", self.set_password_enabled)?,
            locale: kept("locale", self.locale)?,
            sso_required: kept("sso_required", self.sso_required)?,
            sso_required_from: cleared(self.sso_required_from),
            login_discovery: kept("login_discovery", self.login_discovery)?.map(LoginDiscovery::shared),
            branding: cleared(self.branding)
                .map(|patch| patch.map_or_else(BrandingPatch::clear, BrandingPatchIn::patch)),
        })
    }
}

#[OpenApi(tag = "super::openapi::Tags::Organizations")]
impl Api {
    /// Read the settings
    ///
    /// Needs `change_organization`.
    #[oai(path = "/orgs/:organization_slug/settings", method = "get", operation_id = "get_settings")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Found<SettingsOut>> {
        let (mut tx, by) = app.enter::<ChangeOrganization>(&caller, &organization_slug).await?;
        let settings = settings::get(&mut tx, &by).await?;
        tx.commit().await?;
        Ok(Found::<SettingsOut>::of(settings, &app))
    }

    /// Change settings
    ///
    /// Needs `change_organization`. They hold from now on: passwords and invitations that are there stay as they are, tokens
    /// are shortened. Errors: 409 `short_passwords_need_mfa`, `second_factor_first` (who demands one of
    /// everybody has one himself), `no_tested_connection`.
    #[oai(path = "/orgs/:organization_slug/settings", method = "patch", operation_id = "change_settings")]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The `ETag` of the settings as you read them.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
        body: Body<SettingsPatchIn>,
    ) -> ApiResult<Found<SettingsOut>> {
        let (mut tx, by) = app.enter::<ChangeOrganization>(&caller, &organization_slug).await?;
        let if_version = if_match(if_match_header.0.as_deref())?;
        let settings = settings::change(&mut tx, &by, &body.0.patch()?, if_version).await?;
        tx.commit().await?;
        Ok(Found::<SettingsOut>::of(settings, &app))
    }

    /// See who would be locked out by single sign-on
    ///
    /// How many people would not get in if `sso_required` were true: those whom no identity provider knows, who may not keep
    /// their password, and whose address is in no domain that an active connection is bound to. Needs `change_organization`.
    #[oai(path = "/orgs/:organization_slug/settings/sso-preview", method = "get", operation_id = "preview_sso")]
    async fn preview_sso(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<SsoPreview>> {
        let (mut tx, by) = app.enter::<ChangeOrganization>(&caller, &organization_slug).await?;
        let preview = saml::preview(&mut tx, &by).await?;
        let mut wanted = Wanted::default();
        wanted.all(Kind::User, &preview.some);
        let names = objects::resolve(&mut tx, by.caller(), wanted).await?;
        tx.commit().await?;
        Ok(Json(SsoPreview {
            has_tested_connection: preview.has_tested_connection,
            sso_required_from: preview.required_from,
            people: preview.people,
            known: preview.known,
            keep_local_login: preview.kept,
            expected: preview.expected,
            locked_out: preview.locked_out,
            includes_you: preview.includes_you,
            locked_out_people: Ref::all(&names, Kind::User, &preview.some),
        }))
    }
}
