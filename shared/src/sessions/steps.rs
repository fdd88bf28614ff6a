//! What comes after a right password: a code of the second factor, a password of one's own, the session.

use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::json;

use super::{Door, NewSession, create};
use crate::access::{Actor, Origin};
use crate::db::{Db, Tx};
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::seal::{Purpose, Seals};
use crate::secret::SecretKeys;
use crate::settings::Look;
use crate::ticket::{Ticket, TicketKind, Tickets};
use crate::totp;

/// How long someone may look for his telephone.
pub(super) const CODE_WITHIN: TimeDelta = TimeDelta::minutes(5);
/// How long someone may think of a password.
const CHANGE_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// What a sign-in needs of the server key, beside the password's own hash.
#[derive(Clone, Debug)]
pub struct SignInKeys {
    /// Seeds of second factors are encrypted with this.
    pub seals: Seals,
    pub(crate) tickets: Tickets,
}

impl SignInKeys {
    /// Derives them.
    pub fn new(keys: &SecretKeys) -> Result<Self> {
        Ok(Self { seals: Seals::new(Purpose::TotpSeeds, keys)?, tickets: Tickets::new(&keys.current)? })
    }
}

/// Where a right password leads.
#[derive(Debug)]
pub enum Entry {
    /// He is in.
    Session(NewSession),
    /// He has a second factor and showed no code. The ticket takes the password's place in [`finish`].
    CodeNeeded(SecretString),
    /// An administrator has set his password, or it is too short by now. The ticket takes a session's place in
    /// [`change_by_ticket`](crate::passwords::change_by_ticket).
    PasswordChangeNeeded(SecretString),
}

/// The second step of a sign-in whose first one gave [`Entry::CodeNeeded`]. Whoever is in is familiar at this client, as after a
/// sign-in in one step.
///
/// Errors: 401 `sign_in_again` for a ticket that is not good any more; 401 `invalid_code`; 429 `too_many_codes`.
pub async fn finish(door: &Door<'_>, ticket: &str, code: &str, origin: Origin) -> Result<Entry> {
    let ticket = Ticket::read(&door.keys.tickets, TicketKind::Code, ticket).ok_or_else(sign_in_again)?;
    let (mut tx, entitled) = begin_with(door.db, door.keys, TicketKind::Code, &ticket, origin.clone()).await?;
    let names = sqlx::query!(
        "select o.slug, u.email_key, u.username_key from users u join organizations o on o.organization_id = u.organization_id
         where u.organization_id = $1 and u.id = $2",
        tx.organization_id() as OrganizationId,
        ticket.user_id as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    tx = totp::demand_at_sign_in(tx, door, ticket.user_id, &entitled.email, code).await?;
    let entry = enter(tx, door.keys, ticket.user_id, &entitled.email, entitled.must_change_password).await?;
    if matches!(entry, Entry::Session(_)) {
        // Which of them was typed in the first step is not known any more.
        for name in [names.email_key, names.username_key] {
            door.limiter.signed_in(&names.slug, &name, &origin).await;
        }
    }
    Ok(entry)
}

/// How the organization of such a ticket looks, for the page that asks for the code; none if it is not good any more. Changes nothing.
pub async fn find_unfinished(db: &Db, keys: &SignInKeys, ticket: &str) -> Result<Option<Look>> {
    let Some(ticket) = Ticket::read(&keys.tickets, TicketKind::Code, ticket) else { return Ok(None) };
    match begin_with(db, keys, TicketKind::Code, &ticket, Origin::default()).await {
        Ok((mut tx, _)) => Look::of(&mut tx).await.map(Some),
        Err(crate::Error::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn sign_in_again() -> Refusal {
    Refusal::unauthenticated("sign_in_again", "This took too long, or something changed meanwhile. Sign in again.")
}

/// A unit of work by the holder of a ticket, who may still sign in. Locks his row.
pub(crate) async fn begin_with(
    db: &Db,
    keys: &SignInKeys,
    kind: TicketKind,
    ticket: &Ticket,
    origin: Origin,
) -> Result<(Tx, Entitled)> {
    let user = ticket.user_id;
    let mut tx = db.begin(&ticket.tenant, Actor::Anonymous, origin).await?;
    let entitled = lock_entitled(&mut tx, user, None).await?.ok_or_else(sign_in_again)?;
    let state = match kind {
        TicketKind::Code => code_state(&mut tx, user).await?,
        TicketKind::PasswordChange => change_state(&mut tx, user).await?,
    };
    if !state.is_some_and(|state| keys.tickets.is_good(kind, ticket, tx.now(), state.as_bytes())) {
        return Err(sign_in_again().into());
    }
    tx.act_as(Actor::User { id: user, name: entitled.email.clone(), credential: None });
    Ok((tx, entitled))
}

/// Someone who may sign in with a password.
pub(crate) struct Entitled {
    pub(crate) email: String,
    /// He is to choose another first.
    pub(super) must_change_password: bool,
    /// How many characters one has at least.
    pub(super) password_min_length: i32,
}

/// Locks someone who may sign in with a password as of now; none if he may not, or if `hash` is given and is not that of his
/// password any more.
pub(super) async fn lock_entitled(tx: &mut Tx, user: UserId, hash: Option<&str>) -> Result<Option<Entitled>> {
    Ok(sqlx::query_as!(
        Entitled,
        r#"select email as "email!", must_change_password as "must_change_password!", password_min_length as "password_min_length!"
           from lock_entitled($1, $2, $3, $4) where email is not null"#,
        tx.organization_id() as OrganizationId,
        user as UserId,
        hash,
        tx.now()
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// What a ticket for a code stands and falls with: the password and the rest of the account, which may have been closed
/// meanwhile and opened again; the second factor, and that no code was taken since.
pub(super) async fn code_state(tx: &mut Tx, user: UserId) -> Result<Option<String>> {
    let Some(factor) = totp::state(tx, user).await? else { return Ok(None) };
    let account = sqlx::query_scalar!(
        "select password_hash || '/' || version from users where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(account.map(|account| format!("{account}/{factor}")))
}

/// What a ticket for a new password stands and falls with: the password and the rest of the account. None if it may stay.
async fn change_state(tx: &mut Tx, user: UserId) -> Result<Option<String>> {
    let account = sqlx::query_scalar!(
        "select password_hash || '/' || version from users where organization_id = $1 and id = $2 and must_change_password",
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(account.flatten())
}

pub(super) fn ticket(
    keys: &SignInKeys,
    kind: TicketKind,
    tx: &Tx,
    user: UserId,
    lasts: TimeDelta,
    state: &str,
) -> SecretString {
    keys.tickets.mint(kind, tx.tenant(), user, tx.now() + lasts, state.as_bytes()).into()
}

/// All that was demanded was shown: lets him in, or has him choose a password of his own first.
pub(super) async fn enter(
    mut tx: Tx,
    keys: &SignInKeys,
    user: UserId,
    email: &str,
    must_change: bool,
) -> Result<Entry> {
    if must_change && let Some(state) = change_state(&mut tx, user).await? {
        let ticket = ticket(keys, TicketKind::PasswordChange, &tx, user, CHANGE_WITHIN, &state);
        tx.commit().await?;
        return Ok(Entry::PasswordChangeNeeded(ticket));
    }
    let session = create(&mut tx, user, email, json!({})).await?;
    tx.commit().await?;
    Ok(Entry::Session(session))
}
