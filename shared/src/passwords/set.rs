//! A password set by an administrator, for someone whom no mail reaches.

use secrecy::{ExposeSecret, SecretString};

use super::{Hasher, Way, Wearer, check_policy, policy_of, store};
use crate::access::{Access, Origin, Permission, SetPassword};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::error::{Error, Kind, Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::users::User;
use crate::{sessions, users};

/// Sets the password of someone else. His sessions and links end, he is told by mail, and at his next sign-in he chooses one
/// that only he knows. Whoever set it could do that in his place, where there is no second factor: the mail tells him, and the
/// audit log keeps who it was.
///
/// Errors: 400 `not_found` at `user`, and what the policy refuses at `new_password`; 403 `outranked`; 409 `cannot_change_oneself`, `set_password_disabled`, `no_local_login`.
pub async fn set(
    db: &Db,
    hasher: &Hasher,
    tx: Tx,
    by: &Access<SetPassword>,
    user: UserId,
    new: &SecretString,
    origin: Origin,
) -> Result<()> {
    let caller = by.caller();
    let hash = hash_for(hasher, tx, by, user, ("new_password", new)).await.map_err(no_such_user)?;
    let mut tx = db.begin(&caller.tenant, caller.actor(), origin).await?;
    let by = caller.may::<SetPassword>(&mut tx).await?;
    set_hashed(&mut tx, &by, user, &hash).await?;
    tx.commit().await
}

/// The hash of a password for someone else, in the named field of a request, held to the policy. Hashing takes a while, so no
/// transaction is held open: whoever stores it looks again.
pub async fn hash_for(
    hasher: &Hasher,
    mut tx: Tx,
    by: &Access<SetPassword>,
    user: UserId,
    new: (&'static str, &SecretString),
) -> Result<SecretString> {
    let found = demand_settable(&mut tx, by, user).await?;
    hash_checked(hasher, tx, &found.email, new).await
}

/// The same for someone who is about to be made, with this address.
pub async fn hash_for_new(
    hasher: &Hasher,
    tx: Tx,
    _by: &Access<SetPassword>,
    email: &str,
    new: (&'static str, &SecretString),
) -> Result<SecretString> {
    hash_checked(hasher, tx, email, new).await
}

async fn hash_checked(
    hasher: &Hasher,
    mut tx: Tx,
    email: &str,
    (field, new): (&'static str, &SecretString),
) -> Result<SecretString> {
    let (min_length, organization) = policy_of(&mut tx).await?;
    drop(tx);
    check_policy(field, new, min_length, &Wearer { email, organization: &organization })?;
    Ok(hasher.hash(new).await?.into())
}

/// The id is in the body, so it is the body that is wrong.
fn no_such_user(error: Error) -> Error {
    match error {
        Error::Refused(refusal) if refusal.kind == Kind::NotFound => {
            Refusal::invalid_field("user", "not_found", "There is no such user for you.").into()
        }
        error => error,
    }
}

/// The same within a unit of work, with the hash of a password that was held to the policy.
pub(crate) async fn set_hashed(tx: &mut Tx, by: &Access<SetPassword>, user: UserId, hash: &SecretString) -> Result<()> {
    let found = demand_settable(tx, by, user).await?;
    store(tx, user, hash.expose_secret(), Way::Administrator).await?;
    sessions::kill_credentials(tx, user).await?;
    tx.audit(Event::new("password.set", "user", user, &found.email)).await
}

/// Whether the caller may set the password of this user. Locks him.
async fn demand_settable(tx: &mut Tx, by: &Access<SetPassword>, user: UserId) -> Result<User> {
    let caller = by.caller();
    let conflict = |code, detail: &'static str| Err(Refusal::conflict(code, detail).into());
    if user == caller.user_id {
        return conflict("cannot_change_oneself", "Change your own password with the present one.");
    }
    let found = users::lock_held(tx, caller, user, Permission::SetPassword).await?;
    let rules = sqlx::query!(
        r#"select set_password_enabled, may_use_password($2, $3, sso_required_from, $4) as "may_use_password!"
           from organizations where organization_id = $1"#,
        tx.organization_id() as OrganizationId,
        found.is_local,
        found.keep_local_login,
        tx.now()
    )
    .fetch_one(tx.connection())
    .await?;
    if !rules.set_password_enabled {
        return conflict("set_password_disabled", "Your organization has turned this off: have a link mailed instead.");
    }
    if !rules.may_use_password {
        return conflict("no_local_login", "This user signs in through the company's identity provider.");
    }
    Ok(found)
}
