//! A new password in place of the present one, by whoever knows it.

use secrecy::SecretString;
use serde_json::json;

use super::{PasswordPreview, Way, Wearer, check_policy, store};
use crate::access::{Access, InPerson, Origin};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::personal_access_tokens;
use crate::sessions::{self, Door, Entitled, SignInKeys};
use crate::tenant::Tenant;
use crate::ticket::{Ticket, TicketKind};

/// What changing one's own password takes.
#[derive(Debug)]
pub struct Change {
    /// The present one.
    pub old: SecretString,
    /// The one to be.
    pub new: SecretString,
    /// Whether personal access tokens end, too.
    pub revoke_tokens: bool,
}

/// Changes one's own password. Every other session ends; personal access tokens, if so wished.
pub async fn change(door: &Door<'_>, tx: Tx, by: &Access<InPerson>, change: Change, origin: Origin) -> Result<()> {
    let caller = by.caller();
    let mut tx = tx;
    let user = get_own(&mut tx, caller.user_id).await?;
    drop(tx);
    demand_own(door, caller.user_id, "old_password", &change.old, user.hash.clone()).await?;
    let wearer = Wearer { email: &caller.email, organization: &user.organization };
    check_policy("new_password", &change.new, user.min_length, &wearer)?;
    let hash = door.hasher.hash(&change.new).await?;
    let mut tx = door.db.begin(&caller.tenant, caller.actor(), origin).await?;
    sessions::lock_caller(&mut tx, caller).await?;
    if get_own(&mut tx, caller.user_id).await?.hash != user.hash {
        return Err(changed_meanwhile().into());
    }
    store(&mut tx, caller.user_id, &hash, Way::Change).await?;
    sessions::kill_all(&mut tx, caller.user_id, caller.session()).await?;
    if change.revoke_tokens {
        personal_access_tokens::kill_all(&mut tx, caller.user_id).await?;
    }
    let event = Event::new("password.changed", "user", caller.user_id, &caller.email);
    tx.audit(event.with(json!({ "revoked_tokens": change.revoke_tokens }))).await?;
    tx.commit().await
}

/// Has someone who is signed in show that he knows his password. Wrong ones are counted: a stolen session is not to guess with.
///
/// Errors: 400 `wrong_password` at `field`; 429 `too_many_attempts`.
pub(crate) async fn demand_own(
    door: &Door<'_>,
    user: UserId,
    field: &'static str,
    given: &SecretString,
    hash: Option<String>,
) -> Result<()> {
    let attempt = door.limiter.own_secret(user).await?;
    if !door.hasher.verify(given, hash).await? {
        return Err(Refusal::invalid_field(field, "wrong_password", "This is not your password.").into());
    }
    attempt.succeeded().await;
    Ok(())
}

pub(crate) fn changed_meanwhile() -> Refusal {
    Refusal::conflict("password_changed_meanwhile", "Your password was changed meanwhile.")
}

/// What the page shows that asks the holder of such a ticket for a password. Changes nothing.
pub async fn preview_change(db: &Db, keys: &SignInKeys, ticket: &str) -> Result<PasswordPreview> {
    let ticket = Ticket::read(&keys.tickets, TicketKind::PasswordChange, ticket).ok_or_else(sessions::sign_in_again)?;
    let (mut tx, entitled) =
        sessions::begin_with(db, keys, TicketKind::PasswordChange, &ticket, Origin::default()).await?;
    let row = sqlx::query!(
        r#"select o.name, o.slug, o.branding, o.password_min_length, coalesce(u.preferences ->> 'lang', o.locale) as "locale!"
           from users u join organizations o on o.organization_id = u.organization_id
           where u.organization_id = $1 and u.id = $2"#,
        tx.organization_id() as OrganizationId,
        ticket.user_id as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(PasswordPreview {
        organization_name: row.name,
        organization_slug: row.slug,
        branding: row.branding,
        email: entitled.email,
        password_min_length: row.password_min_length,
        locale: row.locale,
    })
}

/// Chooses a password in place of one that an administrator has set, or that is too short by now, with the ticket that a sign-in gave instead of a
/// session. A ticket works once, for the password that was just shown.
///
/// Errors: 400 `password_unchanged` at `new_password`, and what the policy refuses; 401 `sign_in_again`.
pub async fn change_by_ticket(
    door: &Door<'_>,
    tenant: Option<&Tenant>,
    ticket: &str,
    new: &SecretString,
    origin: Origin,
) -> Result<()> {
    let kind = TicketKind::PasswordChange;
    // One of another organization is none.
    let ticket = Ticket::read(&door.keys.tickets, kind, ticket).filter(|ticket| Some(&ticket.tenant) == tenant);
    let ticket = ticket.ok_or_else(sessions::sign_in_again)?;
    let (mut tx, Entitled { email, .. }) =
        sessions::begin_with(door.db, door.keys, kind, &ticket, origin.clone()).await?;
    let user = get_own(&mut tx, ticket.user_id).await?;
    drop(tx);
    check_policy("new_password", new, user.min_length, &Wearer { email: &email, organization: &user.organization })?;
    if door.hasher.verify(new, user.hash).await? {
        let detail = "This is the present password. Choose another one, which only you know.";
        return Err(Refusal::invalid_field("new_password", "password_unchanged", detail).into());
    }
    let hash = door.hasher.hash(new).await?;
    // The ticket is bound to the present password: if that has changed meanwhile, the ticket is dead now.
    let (mut tx, _) = sessions::begin_with(door.db, door.keys, kind, &ticket, origin).await?;
    store(&mut tx, ticket.user_id, &hash, Way::Change).await?;
    sessions::kill_credentials(&mut tx, ticket.user_id).await?;
    tx.audit(Event::new("password.changed", "user", ticket.user_id, &email)).await?;
    tx.commit().await
}

/// A password as it is stored, and the rules for the next one.
pub(crate) struct Stored {
    /// None of whoever does not sign in with one.
    pub(crate) hash: Option<String>,
    min_length: i32,
    organization: String,
}

/// A user's own. Locks him.
pub(crate) async fn get_own(tx: &mut Tx, user: UserId) -> Result<Stored> {
    let row = sqlx::query!(
        "select case when may_use_password(u.is_local, u.keep_local_login, o.sso_required_from, $3) then u.password_hash end
             as password_hash, o.password_min_length, o.name from users u
         join organizations o on o.organization_id = u.organization_id
         where u.organization_id = $1 and u.id = $2 for no key update of u",
        tx.organization_id() as OrganizationId,
        user as UserId,
        tx.now()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Stored { hash: row.password_hash, min_length: row.password_min_length, organization: row.name })
}
