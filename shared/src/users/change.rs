//! Changing users, by `PUT` and `PATCH` alike.

use chrono::NaiveDate;
use secrecy::SecretString;
use serde_json::Value;
use uuid::Uuid;

use super::create::{MAX_GROUPS, check_observation, check_username, taken};
use super::{User, demand_superuser, lock, may_manage, name_part};
use crate::access::{
    Access, Caller, ChangeUser, DeleteUser, Oneself, Permission, Rights, SetPassword, session_required,
};
use crate::audit::Event;
use crate::db::Tx;
use crate::email_address::{EmailAddress, key};
use crate::error::{Check, Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::json;
use crate::objects::{self, Edit, Kind, Managed};
use crate::{passwords, personal_access_tokens, sessions, user_groups};

/// What to change; what is `None` stays. In a field that can be cleared, `Some(None)` clears.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct UserPatch {
    pub email: Option<String>,
    pub username: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub is_active: Option<bool>,
    pub is_superuser: Option<bool>,
    pub keep_local_login: Option<bool>,
    pub is_third_party: Option<bool>,
    pub observation: Option<Option<String>>,
    pub expiry_date: Option<Option<NaiveDate>>,
    pub profile: Option<Value>,
    /// Whether `profile` is merged into the present one (RFC 7396) or replaces it.
    pub merges_profile: bool,
    pub user_groups: Option<Edit<Uuid>>,
    /// Of a password that is given to him, by [`passwords::hash_for`].
    pub password_hash: Option<SecretString>,
}

impl UserPatch {
    /// Whether it holds only what everyone may change of himself.
    #[must_use]
    pub fn is_only_names(&self) -> bool {
        let Self {
            first_name: _,
            last_name: _,
            email,
            username,
            is_active,
            is_superuser,
            keep_local_login,
            is_third_party,
            observation,
            expiry_date,
            profile,
            merges_profile: _,
            user_groups,
            password_hash,
        } = self;
        email.is_none()
            && username.is_none()
            && is_active.is_none()
            && is_superuser.is_none()
            && keep_local_login.is_none()
            && is_third_party.is_none()
            && observation.is_none()
            && expiry_date.is_none()
            && profile.is_none()
            && user_groups.is_none()
            && password_hash.is_none()
    }

    fn check(&self) -> Result<Option<EmailAddress>, Refusal> {
        let mut check = Check::default();
        let email = self.email.as_deref().and_then(|text| check.take(EmailAddress::parse("email", text)));
        if let Some(username) = &self.username {
            check_username(&mut check, username.trim());
        }
        self.first_name.as_deref().map(|text| check.take(name_part("first_name", text)));
        self.last_name.as_deref().map(|text| check.take(name_part("last_name", text)));
        check_observation(&mut check, self.observation.as_ref().and_then(|o| o.as_deref()));
        if let Some(profile) = &self.profile {
            json::check_object(&mut check, "profile", profile);
        }
        let groups = self.user_groups.as_ref().map_or(0, |groups| groups.named().len());
        check.that(groups <= MAX_GROUPS, "user_groups", "too_many", "At most 100 groups.");
        check.done()?;
        Ok(email)
    }
}

/// Changes a user: anyone, with `change_user`; one's own names, without. More of oneself only in person: who holds a token must
/// not get hold of its owner's mailbox, and so of all that the token's scope leaves out.
///
/// Errors: 403 `permission_denied`, `session_required`, `outranked`, `superuser_only`, `cannot_grant`; 409 `last_superuser`,
/// `last_administrator`, `cannot_change_oneself`, `already_member`, `username_taken`, `too_many_groups`, `profile_too_large`,
/// `set_password_disabled`, `no_local_login`; 412.
async fn change(
    tx: &mut Tx,
    by: &Access<Oneself>,
    id: UserId,
    patch: &UserPatch,
    if_version: Option<i64>,
) -> Result<User> {
    let caller = by.caller();
    let is_self = id == caller.user_id;
    let email = patch.check()?;
    if is_self {
        caller.demand_own()?;
        if caller.session().is_none() && !patch.is_only_names() {
            return Err(session_required().into());
        }
    }
    let rights = Rights::lock(tx, caller).await?;
    if !(is_self && patch.is_only_names()) {
        caller.may::<ChangeUser>(tx).await?;
        objects::get_held::<User>(tx, caller, id.into(), Permission::ChangeUser).await?;
    }
    let old = lock(tx, id).await?;
    if if_version.is_some_and(|version| version != old.version) {
        return Err(Refusal::stale().into());
    }
    let mut new = merged(&old, patch, email);
    if let Some(groups) = &patch.user_groups {
        let seen = objects::find_seen_of(tx, caller, Kind::UserGroup, &old.user_groups).await?;
        new.user_groups = groups.apply_to_seen(&old.user_groups, |group| seen.contains(group));
    }
    check_size(&new)?;
    if is_self {
        demand_same_standing(tx, caller, &old, &new).await?;
    } else {
        may_manage(tx, caller, id).await?;
    }
    if old.is_superuser != new.is_superuser {
        demand_superuser(tx, caller).await?;
    }
    set_groups(tx, caller, id, &old.user_groups, &new.user_groups).await?;
    store(tx, id, &old, &new).await?;
    if let Some(hash) = &patch.password_hash {
        let by = caller.may::<SetPassword>(tx).await?;
        passwords::set_hashed(tx, &by, id, hash).await?;
    }
    let today = tx.now().date_naive();
    let ended = |user: &User| !user.is_active || user.expiry_date.is_some_and(|date| date < today);
    // Also when an end is undone: what it killed stays dead.
    if ended(&new) || ended(&old) {
        sessions::kill_credentials(tx, id).await?;
        passwords::supersede(tx, id).await?;
    } else if new.is_third_party {
        personal_access_tokens::kill_all(tx, id).await?;
    }
    rights.check(tx).await?;
    if is_self && (ended(&new) && !ended(&old) || old.is_superuser && !new.is_superuser) {
        let detail = "Nobody deactivates, demotes or expires himself.";
        return Err(Refusal::conflict("cannot_change_oneself", detail).into());
    }
    let fields = changed_fields(&old, &new);
    tx.audit(Event::new("user.changed", "user", id, &new.email).with(serde_json::json!({ "fields": fields }))).await?;
    objects::load(tx, id.into()).await
}

/// What is too much only together with what was there is the object's fault, not the request's.
fn check_size(new: &User) -> Result<(), Refusal> {
    if new.user_groups.len() > MAX_GROUPS {
        return Err(Refusal::conflict("too_many_groups", "With these, it would be in more than 100 groups."));
    }
    let mut check = Check::default();
    json::check_object(&mut check, "profile", &new.profile);
    let detail = "Merged into what is there, the profile would have more than 16 KiB.";
    check.done().map_err(|_| Refusal::conflict("profile_too_large", detail))
}

/// What limits someone's account is for others to set and to lift, unless he is superuser.
async fn demand_same_standing(tx: &mut Tx, caller: &Caller, old: &User, new: &User) -> Result<()> {
    let standing = |user: &User| (user.is_active, user.is_third_party, user.keep_local_login, user.expiry_date);
    if standing(old) == standing(new) || caller.holder().is_superuser(tx).await? {
        return Ok(());
    }
    let detail = "Nobody changes by himself whether, how and until when he may sign in.";
    Err(Refusal::conflict("cannot_change_oneself", detail).into())
}

fn merged(old: &User, patch: &UserPatch, email: Option<EmailAddress>) -> User {
    let mut new = old.clone();
    let text =
        |value: &Option<String>, old: &str| value.as_deref().map_or_else(|| old.to_owned(), |t| t.trim().to_owned());
    if let Some(email) = email {
        // A user name that only echoed the address follows it.
        if key(&old.username) == key(&old.email) && patch.username.is_none() {
            email.as_str().clone_into(&mut new.username);
        }
        new.is_email_verified = old.is_email_verified && email.key() == key(&old.email);
        email.as_str().clone_into(&mut new.email);
    }
    if patch.username.is_some() {
        new.username = text(&patch.username, &old.username);
    }
    new.first_name = text(&patch.first_name, &old.first_name);
    new.last_name = text(&patch.last_name, &old.last_name);
    new.is_active = patch.is_active.unwrap_or(old.is_active);
    new.is_superuser = patch.is_superuser.unwrap_or(old.is_superuser);
    new.keep_local_login = patch.keep_local_login.unwrap_or(old.keep_local_login);
    new.is_third_party = patch.is_third_party.unwrap_or(old.is_third_party);
    new.observation = patch.observation.clone().unwrap_or_else(|| old.observation.clone());
    new.expiry_date = patch.expiry_date.unwrap_or(old.expiry_date);
    match &patch.profile {
        Some(profile) if patch.merges_profile => json::merge(&mut new.profile, profile),
        Some(profile) => new.profile = profile.clone(),
        None => {}
    }
    new
}

/// Puts him into groups that the caller may put him into, and takes him out of others.
async fn set_groups(tx: &mut Tx, caller: &Caller, user: UserId, before: &[Uuid], after: &[Uuid]) -> Result<()> {
    let added: Vec<Uuid> = after.iter().copied().filter(|group| !before.contains(group)).collect();
    if !added.is_empty() {
        user_groups::check_grantable(tx, caller, &added).await?;
    }
    sqlx::query!(
        "delete from user_group_members where organization_id = $1 and user_id = $2 and user_group_id <> all($3)",
        tx.organization_id() as OrganizationId,
        user as UserId,
        after
    )
    .execute(tx.connection())
    .await?;
    user_groups::add_member(tx, user, &added).await
}

async fn store(tx: &mut Tx, id: UserId, old: &User, new: &User) -> Result<()> {
    sqlx::query!(
        "update users set email = $3, email_key = $4, username = $5, username_key = $6, first_name = $7, last_name = $8,
             is_active = $9, is_superuser = $10, keep_local_login = $11, is_third_party = $12, observation = $13,
             expiry_date = $14, profile = $15, is_email_verified = $16, version = version + 1, updated_at = $17
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as UserId,
        new.email,
        key(&new.email),
        new.username,
        key(&new.username),
        new.first_name,
        new.last_name,
        new.is_active,
        new.is_superuser,
        new.keep_local_login,
        new.is_third_party,
        new.observation,
        new.expiry_date,
        new.profile,
        new.is_email_verified,
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(taken)?;
    if key(&old.email) != key(&new.email) {
        // Links that went to the old mailbox are not for the new one's owner.
        passwords::supersede(tx, id).await?;
    }
    Ok(())
}

fn changed_fields(old: &User, new: &User) -> Vec<&'static str> {
    let mut fields = Vec::new();
    let mut note = |changed: bool, field| {
        if changed {
            fields.push(field);
        }
    };
    note(old.email != new.email, "email");
    note(old.username != new.username, "username");
    note(old.first_name != new.first_name, "first_name");
    note(old.last_name != new.last_name, "last_name");
    note(old.is_active != new.is_active, "is_active");
    note(old.is_superuser != new.is_superuser, "is_superuser");
    note(old.keep_local_login != new.keep_local_login, "keep_local_login");
    note(old.is_third_party != new.is_third_party, "is_third_party");
    note(old.observation != new.observation, "observation");
    note(old.expiry_date != new.expiry_date, "expiry_date");
    note(old.profile != new.profile, "profile");
    note(old.user_groups != new.user_groups, "user_groups");
    fields
}

impl Managed for User {
    type Patch = UserPatch;
    type MayChange = Oneself;
    type MayDelete = DeleteUser;

    async fn change(
        tx: &mut Tx,
        by: &Access<Oneself>,
        id: Uuid,
        patch: &UserPatch,
        if_version: Option<i64>,
    ) -> Result<Self> {
        change(tx, by, id.into(), patch, if_version).await
    }

    async fn delete(tx: &mut Tx, by: &Access<DeleteUser>, id: Uuid, if_version: Option<i64>) -> Result<()> {
        super::delete(tx, by, id.into(), if_version).await
    }
}
