//! Users on the wire.

use chrono::{DateTime, NaiveDate, Utc};
use poem_openapi::Object;
use poem_openapi::types::{Any, MaybeUndefined};
use secrecy::SecretString;
use serde_json::{Value, json};
use tenantry_shared::Refusal;
use tenantry_shared::objects::{Edit, Kind};
use tenantry_shared::users::{NewUser, User, UserInput, UserPatch};
use uuid::Uuid;

use crate::input::Input;
use crate::objects::{Batched, How, Ref, Shape, StoredRef, View, cleared, kept};

/// What a user is, beside what he belongs to.
#[derive(Debug, Object)]
pub(crate) struct UserFields {
    /// Their id.
    id: Uuid,
    /// The same id.
    uuid: Uuid,
    /// A small number, unique in the organization.
    number: i32,
    /// What they sign in with, beside the address.
    username: String,
    /// Their address, as typed.
    email: String,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// Both names.
    full_name: String,
    /// Whether they may sign in.
    is_active: bool,
    /// Whether they hold every permission in the organization.
    is_superuser: bool,
    /// Whether they are of the platform organization. Read-only.
    is_staff: bool,
    /// Whether they may sign in with a password. Read-only.
    is_local: bool,
    /// Whether they may do so even where single sign-on is enforced.
    keep_local_login: bool,
    /// Whether they belong to another company.
    is_third_party: bool,
    /// Whether they sign in through the company's identity provider. Read-only.
    is_sso: bool,
    /// Whether mail to the address was answered. Read-only.
    is_email_verified: bool,
    /// Whether a second factor is on. Read-only.
    has_mfa_enabled: bool,
    /// The last day, in UTC, on which they may sign in.
    expiry_date: Option<NaiveDate>,
    /// A note about them.
    observation: Option<String>,
    /// When they were made. Read-only.
    date_joined: DateTime<Utc>,
    /// When they last signed in. Read-only.
    last_login: Option<DateTime<Utc>>,
    /// The product's own attributes: a JSON object of at most 16 KiB.
    profile: Any<Value>,
}

/// A user of an organization.
#[derive(Debug, Object)]
#[oai(rename = "User")]
pub(crate) struct UserOut {
    #[oai(flatten)]
    fields: UserFields,
    /// Groups they are in, as far as you may see them.
    user_groups: Vec<Ref>,
    /// Names of the roles they hold, directly or through groups, as far as you may see them. Read-only.
    roles: Vec<String>,
}

/// A user as stored.
#[derive(Debug, Object)]
#[oai(rename = "UserObject")]
pub(crate) struct UserStored {
    #[oai(flatten)]
    fields: UserFields,
    /// Groups they are in, as far as you may see them.
    user_groups: Vec<Uuid>,
    /// Names of the roles they hold, directly or through groups, as far as you may see them. Read-only.
    roles: Vec<String>,
}

impl UserFields {
    fn new(user: User, view: &View<'_>) -> Self {
        Self {
            id: user.id,
            uuid: user.id,
            number: user.number,
            username: user.username,
            full_name: format!("{} {}", user.first_name, user.last_name).trim().to_owned(),
            email: user.email,
            first_name: user.first_name,
            last_name: user.last_name,
            is_active: user.is_active,
            is_superuser: user.is_superuser,
            is_staff: view.slug.eq_ignore_ascii_case(&view.app.platform_slug),
            is_local: user.is_local,
            keep_local_login: user.keep_local_login,
            is_third_party: user.is_third_party,
            is_sso: user.is_sso,
            is_email_verified: user.is_email_verified,
            has_mfa_enabled: user.has_mfa_enabled,
            expiry_date: user.expiry_date,
            observation: user.observation,
            date_joined: user.date_joined,
            last_login: user.last_login,
            profile: Any(user.profile),
        }
    }
}

fn role_names(user: &User, view: &View<'_>) -> Vec<String> {
    let mut names: Vec<String> =
        user.roles.iter().filter_map(|id| view.names.get(Kind::Role, *id)).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Shape for User {
    type Out = UserOut;
    type Stored = UserStored;

    fn out(self, view: &View<'_>) -> UserOut {
        UserOut {
            user_groups: Ref::all(&view.names, Kind::UserGroup, &self.user_groups),
            roles: role_names(&self, view),
            fields: UserFields::new(self, view),
        }
    }

    fn stored(self, view: &View<'_>) -> UserStored {
        UserStored {
            user_groups: StoredRef::all(&view.names, Kind::UserGroup, &self.user_groups),
            roles: role_names(&self, view),
            fields: UserFields::new(self, view),
        }
    }
}

/// A user to be made, or to take the place of one.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct UserIn {
    /// The address: unique in the organization whatever its case, at most 254 characters.
    pub(super) email: String,
    /// What they sign in with, beside the address; the address if not given.
    username: Option<String>,
    /// At most 150 characters.
    #[oai(default)]
    first_name: String,
    /// At most 150 characters.
    #[oai(default)]
    last_name: String,
    /// Whether they may sign in; `true` if not given.
    #[oai(default = "yes")]
    is_active: bool,
    /// Whether they hold every permission. Only a superuser sets it.
    #[oai(default)]
    is_superuser: bool,
    /// Whether they may sign in with a password even where single sign-on is enforced.
    #[oai(default)]
    keep_local_login: bool,
    /// Whether they belong to another company.
    #[oai(default)]
    is_third_party: bool,
    /// A note about them, at most 4000 characters.
    observation: Option<String>,
    /// The last day, in UTC, on which they may sign in.
    expiry_date: Option<NaiveDate>,
    /// The product's own attributes: a JSON object of at most 16 KiB.
    profile: Option<Any<Value>>,
    /// Groups to be in.
    #[oai(default)]
    user_groups: Vec<Uuid>,
    /// A password for him, by the rules of `iam_set_password`: he chooses another one when he signs in with it. It is never shown.
    pub(super) password: Option<String>,
}

impl Input for UserIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Input for UserPatchIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

const READ_ONLY: &[&str] = &[
    "id",
    "uuid",
    "number",
    "full_name",
    "is_staff",
    "is_local",
    "is_sso",
    "is_email_verified",
    "has_mfa_enabled",
    "date_joined",
    "last_login",
    "roles",
];

fn yes() -> bool {
    true
}

/// What to change of a user (RFC 7396): what is absent stays, `null` clears.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct UserPatchIn {
    /// The address.
    email: MaybeUndefined<String>,
    /// What they sign in with, beside the address.
    username: MaybeUndefined<String>,
    /// At most 150 characters; `null` empties it.
    first_name: MaybeUndefined<String>,
    /// At most 150 characters; `null` empties it.
    last_name: MaybeUndefined<String>,
    /// Whether they may sign in; `true` if not given.
    is_active: MaybeUndefined<bool>,
    /// Whether they hold every permission. Only a superuser sets it.
    is_superuser: MaybeUndefined<bool>,
    /// Whether they may sign in with a password even where single sign-on is enforced.
    keep_local_login: MaybeUndefined<bool>,
    /// Whether they belong to another company.
    is_third_party: MaybeUndefined<bool>,
    /// A note about them; `null` clears it.
    observation: MaybeUndefined<String>,
    /// The last day, in UTC, on which they may sign in; `null` clears it.
    expiry_date: MaybeUndefined<NaiveDate>,
    /// Merged into the profile (RFC 7396); `null` clears it.
    profile: MaybeUndefined<Any<Value>>,
    /// Groups to be in, in place of those they are in; `null` takes them out of all.
    user_groups: MaybeUndefined<Vec<Uuid>>,
    /// A password for him, by the rules of `iam_set_password`: he chooses another one when he signs in with it. It is never shown.
    password: MaybeUndefined<String>,
}

impl UserIn {
    /// The user to be made. His password was taken out and hashed.
    pub(super) fn check(self, password_hash: Option<SecretString>) -> Result<NewUser, Refusal> {
        NewUser::check(UserInput {
            email: self.email,
            username: self.username,
            first_name: self.first_name,
            last_name: self.last_name,
            is_active: self.is_active,
            is_superuser: self.is_superuser,
            keep_local_login: self.keep_local_login,
            is_third_party: self.is_third_party,
            observation: self.observation,
            expiry_date: self.expiry_date,
            profile: self.profile.map_or_else(|| json!({}), |profile| profile.0),
            user_groups: self.user_groups,
            password_hash,
        })
    }

    /// All that can be changed, changed: what is not given goes back to its default. The password is no part of it.
    pub(super) fn replacement(self) -> UserPatch {
        UserPatch {
            username: Some(self.username.unwrap_or_else(|| self.email.clone())),
            email: Some(self.email),
            first_name: Some(self.first_name),
            last_name: Some(self.last_name),
            is_active: Some(self.is_active),
            is_superuser: Some(self.is_superuser),
            keep_local_login: Some(self.keep_local_login),
            is_third_party: Some(self.is_third_party),
            observation: Some(self.observation),
            expiry_date: Some(self.expiry_date),
            profile: Some(self.profile.map_or_else(|| json!({}), |profile| profile.0)),
            merges_profile: false,
            user_groups: Some(Edit::Set(self.user_groups)),
            password_hash: None,
        }
    }
}

impl UserPatchIn {
    /// Takes the password out: it is hashed before the change begins.
    pub(super) fn take_password(&mut self) -> Result<Option<String>, Refusal> {
        kept("password", std::mem::replace(&mut self.password, MaybeUndefined::Undefined))
    }
}

impl Batched for User {
    type PatchIn = UserPatchIn;
    const FIELDS: &'static [&'static str] = &[
        "email",
        "username",
        "first_name",
        "last_name",
        "is_active",
        "is_superuser",
        "keep_local_login",
        "is_third_party",
        "observation",
        "expiry_date",
        "profile",
    ];
    const LISTS: &'static [&'static str] = &["user_groups"];
    const FOLDER: Option<&'static str> = None;

    fn patch(body: UserPatchIn, lists: How) -> Result<UserPatch, Refusal> {
        // RFC 7396: null removes, and a removed name is the empty one.
        let name = |value| cleared(value).map(Option::unwrap_or_default);
        let (profile, merges_profile) = match body.profile {
            MaybeUndefined::Undefined => (None, true),
            MaybeUndefined::Null => (Some(json!({})), false),
            MaybeUndefined::Value(profile) => (Some(profile.0), true),
        };
        Ok(UserPatch {
            email: kept("email", body.email)?,
            username: kept("username", body.username)?,
            first_name: name(body.first_name),
            last_name: name(body.last_name),
            is_active: kept("is_active", body.is_active)?,
            is_superuser: kept("is_superuser", body.is_superuser)?,
            keep_local_login: kept("keep_local_login", body.keep_local_login)?,
            is_third_party: kept("is_third_party", body.is_third_party)?,
            observation: cleared(body.observation),
            expiry_date: cleared(body.expiry_date),
            profile,
            merges_profile,
            user_groups: cleared(body.user_groups).map(|groups| lists.edit(groups.unwrap_or_default())),
            password_hash: None,
        })
    }
}
