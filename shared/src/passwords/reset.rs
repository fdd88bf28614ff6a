//! A new password through a mailed link: for whoever forgot his, and as the first one of a user made by an administrator.

use chrono::TimeDelta;
use secrecy::SecretString;

use super::{Hasher, PasswordPreview, Way, check_policy, store};
use crate::access::{Actor, Origin};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::email_address::EmailAddress;
use crate::emails::{self, Kind, NewEmail};
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, PasswordResetId, PasswordResetRequestId, UserId};
use crate::outbox::{Claim, Job, Lane};
use crate::secret::{LinkKind, Links};
use crate::sessions::{self, Door};
use crate::tenant::{Addressee, Tenant};

/// How long the link of a reset is good.
const RESET_VALID: TimeDelta = TimeDelta::hours(1);
/// How long the link of a welcome is good.
const WELCOME_VALID: TimeDelta = TimeDelta::days(7);
/// Resets a user can be mailed in an hour: whoever asks, his mailbox stays usable.
const RESETS_AN_HOUR: i64 = 5;

/// A request for a new password, known to be good.
#[derive(Debug)]
struct GoodReset {
    id: PasswordResetId,
    user_id: UserId,
    shown: PasswordPreview,
}

/// Writes down that someone wants a new password; a worker looks whether anyone has this address, and mails him. What
/// happens here is the same whether there is such an address or organization or not, and so is how long it takes.
pub async fn request_reset(door: &Door<'_>, slug: &str, email: &EmailAddress, origin: Origin) -> Result<()> {
    door.limiter.password_reset(slug, email.as_str(), &origin).await?;
    let addressee = Addressee::find(door.db, slug, door.platform_slug).await?;
    let Some(keeper) = addressee.keeper() else { return Ok(()) };
    let mut tx = door.db.begin(keeper, Actor::Anonymous, origin.clone()).await?;
    let id: PasswordResetRequestId = tx.new_id();
    sqlx::query!(
        "insert into password_reset_requests (organization_id, id, email_key, created_at, client_address, client_id, request_id)
         values ($1, $2, $3, $4, $5, $6, $7)",
        tx.organization_id() as OrganizationId,
        id as PasswordResetRequestId,
        addressee.tenant().map(|_| email.key()),
        tx.now(),
        origin.client_address,
        origin.client_id,
        origin.request_id
    )
    .execute(tx.connection())
    .await?;
    tx.enqueue(Job::ResetPassword(id), Lane::Interactive).await?;
    tx.commit().await
}

/// Mails a link to whoever has the address of a request, if anyone, and ends the request. Safe to run twice.
pub async fn mail_reset(db: &Db, claim: &Claim, id: PasswordResetRequestId) -> Result<()> {
    let mut tx = claim.begin(db).await?;
    let request = sqlx::query!(
        "delete from password_reset_requests where organization_id = $1 and id = $2
         returning email_key, client_address, client_id, request_id",
        tx.organization_id() as OrganizationId,
        id as PasswordResetRequestId
    )
    .fetch_optional(tx.connection())
    .await?;
    if let Some(request) = request
        && let Some(email) = request.email_key
    {
        let origin = Origin {
            request_id: request.request_id,
            client_address: request.client_address,
            client_id: request.client_id,
            user_agent: None,
        };
        tx.act_for(Actor::Anonymous, origin);
        mail_reset_to(&mut tx, &email).await?;
    }
    claim.finish(&mut tx).await?;
    tx.commit().await
}

async fn mail_reset_to(tx: &mut Tx, email_key: &str) -> Result<()> {
    let user = sqlx::query!(
        r#"select u.id as "id: UserId", u.email, coalesce(u.preferences ->> 'lang', o.locale) as "locale!"
           from users u join organizations o on o.organization_id = u.organization_id
           where u.organization_id = $1 and u.email_key = $2 and u.is_active
             and may_use_password(u.is_local, u.keep_local_login, o.sso_required_from, $4)
             and (u.expiry_date is null or u.expiry_date >= $3) and o.deleted_at is null
           for no key update of u"#,
        tx.organization_id() as OrganizationId,
        email_key,
        tx.now().date_naive(),
        tx.now()
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(user) = user else { return Ok(()) };
    // Counted under the user's lock, so that requests at the same time don't each think they are the fifth.
    let recent = sqlx::query_scalar!(
        r#"select count(*) as "recent!" from password_resets where organization_id = $1 and user_id = $2 and created_at > $3"#,
        tx.organization_id() as OrganizationId,
        user.id as UserId,
        tx.now() - TimeDelta::hours(1)
    )
    .fetch_one(tx.connection())
    .await?;
    if recent >= RESETS_AN_HOUR {
        return Ok(());
    }
    mail_link(tx, Kind::PasswordReset, user.id, &user.email, &user.locale).await?;
    tx.audit(Event::new("password_reset.requested", "user", user.id, &user.email)).await
}

/// Mails a user a link to choose a password, in place of any earlier one.
pub(crate) async fn mail_link(tx: &mut Tx, kind: Kind, user: UserId, email: &str, locale: &str) -> Result<()> {
    supersede(tx, user).await?;
    let id: PasswordResetId = tx.new_id();
    let valid = if kind == Kind::Welcome { WELCOME_VALID } else { RESET_VALID };
    sqlx::query!(
        "insert into password_resets (organization_id, id, user_id, created_at, valid_until) values ($1, $2, $3, $4, $5)",
        tx.organization_id() as OrganizationId,
        id as PasswordResetId,
        user as UserId,
        tx.now(),
        tx.now() + valid
    )
    .execute(tx.connection())
    .await?;
    let email =
        NewEmail { kind, to: email, locale, invitation: None, user_id: Some(user), password_reset_id: Some(id) };
    emails::queue(tx, email, Lane::Interactive).await?;
    Ok(())
}

/// Makes every link that is out there for a user dead.
pub(crate) async fn supersede(tx: &mut Tx, user: UserId) -> Result<()> {
    sqlx::query!(
        "update password_resets set superseded_at = $3
         where organization_id = $1 and user_id = $2 and used_at is null and superseded_at is null",
        tx.organization_id() as OrganizationId,
        user as UserId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Makes every link that is out there for anyone of the organization dead, and forgets who has just asked for one.
pub(crate) async fn end_links(tx: &mut Tx) -> Result<()> {
    sqlx::query!(
        "update password_resets set superseded_at = $2
         where organization_id = $1 and used_at is null and superseded_at is null",
        tx.organization_id() as OrganizationId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "delete from password_reset_requests where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

fn link_dead() -> Refusal {
    Refusal::missing("link_dead", "This link is not, or no longer, good. Ask for a new one.")
}

async fn get_good_reset(tx: &mut Tx, id: PasswordResetId) -> Result<GoodReset> {
    // Whoever makes, uses or ends a link of a user holds the user's lock.
    sqlx::query!(
        "select u.id from users u join password_resets p on p.organization_id = u.organization_id and p.user_id = u.id
         where p.organization_id = $1 and p.id = $2 for no key update of u",
        tx.organization_id() as OrganizationId,
        id as PasswordResetId
    )
    .fetch_optional(tx.connection())
    .await?;
    let row = sqlx::query!(
        r#"select p.user_id as "user_id: UserId", p.used_at, p.superseded_at, p.valid_until, u.email,
                  u.is_active and may_use_password(u.is_local, u.keep_local_login, o.sso_required_from, $4)
                      and (u.expiry_date is null or u.expiry_date >= $3) as "may_sign_in!",
                  o.name as organization_name, o.slug as organization_slug, o.branding, o.password_min_length,
                  coalesce(u.preferences ->> 'lang', o.locale) as "locale!"
           from password_resets p
           join users u on u.organization_id = p.organization_id and u.id = p.user_id
           join organizations o on o.organization_id = p.organization_id
           where p.organization_id = $1 and p.id = $2 and o.deleted_at is null"#,
        tx.organization_id() as OrganizationId,
        id as PasswordResetId,
        tx.now().date_naive(),
        tx.now()
    )
    .fetch_optional(tx.connection())
    .await?;
    let row = row.filter(|row| row.may_sign_in).ok_or_else(link_dead)?;
    let dead = |code, detail| Err(Refusal::conflict(code, detail).into());
    if row.used_at.is_some() {
        return dead("link_used", "This link has been used. Ask for a new one if you need it.");
    }
    if row.superseded_at.is_some() {
        return dead("link_superseded", "A newer link has been sent: use that one.");
    }
    if row.valid_until <= tx.now() {
        return dead("link_expired", "This link has expired. Ask for a new one.");
    }
    let shown = PasswordPreview {
        organization_name: row.organization_name,
        organization_slug: row.organization_slug,
        branding: row.branding,
        email: row.email,
        password_min_length: row.password_min_length,
        locale: row.locale,
    };
    Ok(GoodReset { id, user_id: row.user_id, shown })
}

/// Whose password a link is for, if it is good still. Changes nothing.
pub async fn preview_reset(db: &Db, links: &Links, token: &str) -> Result<PasswordPreview> {
    let link = links.read(LinkKind::Password, token).ok_or_else(link_dead)?;
    let mut tx = db.begin(&link.tenant, Actor::Anonymous, Origin::default()).await?;
    Ok(get_good_reset(&mut tx, link.id.into()).await?.shown)
}

/// Sets the password of whoever was mailed the link: verifies his address, and ends all his sessions and tokens.
pub async fn confirm_reset(
    db: &Db,
    links: &Links,
    hasher: &Hasher,
    tenant: Option<&Tenant>,
    token: &str,
    password: &SecretString,
    origin: Origin,
) -> Result<()> {
    // A link of one organization does nothing under another's slug.
    let link =
        links.read(LinkKind::Password, token).filter(|link| Some(&link.tenant) == tenant).ok_or_else(link_dead)?;
    let id: PasswordResetId = link.id.into();
    let mut tx = db.begin(&link.tenant, Actor::Anonymous, origin.clone()).await?;
    let reset = get_good_reset(&mut tx, id).await?;
    drop(tx);
    check_policy("new_password", password, reset.shown.password_min_length, &reset.shown.wearer())?;
    let hash = hasher.hash(password).await?;
    // Hashing takes a while, so no transaction was held open: look again.
    let actor = Actor::User { id: reset.user_id, name: reset.shown.email.clone(), credential: None };
    let mut tx = db.begin(&link.tenant, actor, origin).await?;
    let reset = get_good_reset(&mut tx, id).await?;
    sqlx::query!(
        "update password_resets set used_at = $3 where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        reset.id as PasswordResetId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    store(&mut tx, reset.user_id, &hash, Way::Link).await?;
    sessions::kill_credentials(&mut tx, reset.user_id).await?;
    tx.audit(Event::new("password.reset", "user", reset.user_id, &reset.shown.email)).await?;
    tx.commit().await
}
