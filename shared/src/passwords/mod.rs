//! Passwords: the policy, the hashing, and the ways to a new one.

mod purge;

use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

pub use purge::purge_some;

use crate::access::{Access, Actor, InPerson, Origin};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::email_address::key;
use crate::emails::{self, Kind, NewEmail};
use crate::error::{Error, FieldError, Refusal, Result};
use crate::ids::{OrganizationId, PasswordResetId, UserId};
use crate::outbox::Lane;
use crate::personal_access_tokens;
use crate::secret::{LinkKind, Links};
use crate::sessions;
use crate::tenant::Tenant;

/// How long the link of a reset is good.
const RESET_VALID: TimeDelta = TimeDelta::hours(1);
/// How long the link of a welcome is good.
const WELCOME_VALID: TimeDelta = TimeDelta::days(7);
/// Resets a user can be mailed in an hour: whoever asks, his mailbox stays usable.
const RESETS_AN_HOUR: i64 = 5;

/// Hashes and verifies off the async threads, as many at once as there are processors: a flood of sign-ins neither stalls
/// other requests nor eats the memory (19 MiB each).
#[derive(Clone, Debug)]
pub struct Hasher {
    places: Arc<Semaphore>,
}

impl Default for Hasher {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { places: Arc::new(Semaphore::new(processors)) }
    }
}

/// OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// What a password is compared with where there is none to compare: so that it takes as long.
static NOBODYS_HASH: LazyLock<String> = LazyLock::new(|| {
    argon2().hash_password(b"nobody has this password").map(|hash| hash.to_string()).unwrap_or_default()
});

/// Unicode has several spellings of one text; keyboards differ in which they send.
fn normal(password: &SecretString) -> SecretString {
    password.expose_secret().nfc().collect::<String>().into()
}

impl Hasher {
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let internal = |e: &dyn std::fmt::Display| Error::Internal(format!("hashing: {e}"));
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|e| internal(&e))?;
        // The place goes with the work: a caller who hangs up does not make room for more while his hash still runs.
        let work = move || {
            let _place = place;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| internal(&e))
    }

    /// A hash in PHC form, with a random salt.
    pub async fn hash(&self, password: &SecretString) -> Result<String> {
        let password = normal(password);
        self.run(move || argon2().hash_password(password.expose_secret().as_bytes()).map(|hash| hash.to_string()))
            .await?
            .map_err(|e| Error::Internal(format!("hashing: {e}")))
    }

    /// Whether the password is the one of this hash. Without a hash it is not, and takes as long.
    pub async fn verify(&self, password: &SecretString, hash: Option<String>) -> Result<bool> {
        let password = normal(password);
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODYS_HASH.clone());
            let same = PasswordHash::new(&hash)
                .is_ok_and(|hash| argon2().verify_password(password.expose_secret().as_bytes(), &hash).is_ok());
            known && same
        })
        .await
    }

    /// Whether a hash was made with other parameters than today's.
    #[must_use]
    pub fn is_outdated(hash: &str) -> bool {
        let today = Params::default();
        let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        PasswordHash::new(hash)
            .ok()
            .and_then(|hash| Params::try_from(&hash).ok())
            .is_none_or(|params| costs(&params) != costs(&today))
    }
}

/// Whom a password is for: it must not contain this.
#[derive(Debug)]
pub struct Wearer<'a> {
    /// His address.
    pub email: &'a str,
    /// The organization's name.
    pub organization: &'a str,
}

/// Holds a new password to the policy (NIST SP 800-63B-4): long, not guessable, not made of what everyone knows of you.
/// No rules about which characters.
pub fn check_policy(
    field: &'static str,
    password: &SecretString,
    min_length: i32,
    wearer: &Wearer<'_>,
) -> Result<(), Refusal> {
    let refuse = |code, message: String| Err(Refusal::invalid(vec![FieldError::new(field, code, message)]));
    let password = normal(password);
    let password = password.expose_secret();
    let length = password.chars().count();
    if length < usize::try_from(min_length).unwrap_or(15) {
        return refuse(
            "password_too_short",
            format!("A password has at least {min_length} characters. Several words in a row are good."),
        );
    }
    if length > 128 {
        return refuse("password_too_long", "A password has at most 128 characters.".into());
    }
    let lower = password.to_lowercase();
    let local = wearer.email.split('@').next().unwrap_or_default();
    for known in [wearer.email, local, wearer.organization].map(str::to_lowercase) {
        if known.chars().count() >= 4 && lower.contains(&known) {
            return refuse(
                "password_guessable",
                "A password must not contain your address or the organization's name.".into(),
            );
        }
    }
    if zxcvbn::zxcvbn(password, &[wearer.email, local, wearer.organization]).score() < zxcvbn::Score::Three {
        return refuse(
            "password_guessable",
            "This password is easy to guess. Several unrelated words are better.".into(),
        );
    }
    Ok(())
}

/// A request for a new password, known to be good.
#[derive(Debug)]
struct GoodReset {
    id: PasswordResetId,
    user_id: UserId,
    shown: ResetPreview,
}

/// What the page that asks for the new password shows.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in the organization and the user")]
pub struct ResetPreview {
    pub organization_name: String,
    pub organization_slug: String,
    pub branding: serde_json::Value,
    pub email: String,
    pub password_min_length: i32,
    pub locale: String,
}

impl GoodReset {
    fn wearer(&self) -> Wearer<'_> {
        Wearer { email: &self.shown.email, organization: &self.shown.organization_name }
    }
}

/// Begins a reset for whoever has this address or user name, if anyone: the caller can't tell.
pub async fn request_reset(db: &Db, slug: &str, email: &str, origin: Origin) -> Result<()> {
    let Some(tenant) = Tenant::find(db, slug).await? else { return Ok(()) };
    let mut tx = db.begin(&tenant, Actor::Anonymous, origin).await?;
    let user = sqlx::query!(
        r#"select u.id as "id: UserId", u.email, coalesce(u.preferences ->> 'lang', o.locale) as "locale!"
           from users u join organizations o on o.organization_id = u.organization_id
           where u.organization_id = $1 and u.email_key = $2 and u.is_active and u.is_local
             and (u.expiry_date is null or u.expiry_date >= $3)
           for no key update of u"#,
        tx.organization_id() as OrganizationId,
        key(email),
        tx.now().date_naive()
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
    mail_link(&mut tx, Kind::PasswordReset, user.id, &user.email, &user.locale).await?;
    tx.audit(Event::new("password_reset.requested", "user", user.id, &user.email)).await?;
    tx.commit().await
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
        r#"select p.user_id as "user_id: UserId", p.used_at, p.superseded_at, p.valid_until, u.email, u.is_active,
                  o.name as organization_name, o.slug as organization_slug, o.branding, o.password_min_length,
                  coalesce(u.preferences ->> 'lang', o.locale) as "locale!"
           from password_resets p
           join users u on u.organization_id = p.organization_id and u.id = p.user_id
           join organizations o on o.organization_id = p.organization_id
           where p.organization_id = $1 and p.id = $2 and o.deleted_at is null"#,
        tx.organization_id() as OrganizationId,
        id as PasswordResetId
    )
    .fetch_optional(tx.connection())
    .await?;
    let row = row.filter(|row| row.is_active).ok_or_else(link_dead)?;
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
    let shown = ResetPreview {
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
pub async fn preview_reset(db: &Db, links: &Links, token: &str) -> Result<ResetPreview> {
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
    check_policy("new_password", password, reset.shown.password_min_length, &reset.wearer())?;
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
    store(&mut tx, reset.user_id, &hash, true).await?;
    sessions::kill_credentials(&mut tx, reset.user_id).await?;
    tx.audit(Event::new("password.reset", "user", reset.user_id, &reset.shown.email)).await?;
    tx.commit().await
}

async fn store(tx: &mut Tx, user: UserId, hash: &str, verifies_email: bool) -> Result<()> {
    supersede(tx, user).await?;
    let row = sqlx::query!(
        r#"update users u set password_hash = $3, password_changed_at = $4, is_email_verified = is_email_verified or $5
           from organizations o
           where u.organization_id = $1 and u.id = $2 and o.organization_id = u.organization_id
           returning u.email, coalesce(u.preferences ->> 'lang', o.locale) as "locale!""#,
        tx.organization_id() as OrganizationId,
        user as UserId,
        hash,
        tx.now(),
        verifies_email
    )
    .fetch_one(tx.connection())
    .await?;
    let email = NewEmail {
        kind: Kind::PasswordChanged,
        to: &row.email,
        locale: &row.locale,
        invitation: None,
        user_id: Some(user),
        password_reset_id: None,
    };
    emails::queue(tx, email, Lane::Interactive).await?;
    Ok(())
}

/// What changing one's own password takes.
#[derive(Debug)]
pub struct Change {
    /// The present one.
    pub old: SecretString,
    /// The one to be.
    pub new: SecretString,
    /// The one to be, typed again.
    pub confirm: SecretString,
    /// Whether personal access tokens end, too.
    pub revoke_tokens: bool,
}

/// Changes one's own password. Every other session ends; personal access tokens, if so wished.
pub async fn change(
    db: &Db,
    hasher: &Hasher,
    tx: Tx,
    by: &Access<InPerson>,
    change: Change,
    origin: Origin,
) -> Result<()> {
    check_same("confirm_new_password", &change.new, &change.confirm)?;
    let caller = by.caller();
    let mut tx = tx;
    let user = get_password(&mut tx, caller.user_id).await?;
    drop(tx);
    if !hasher.verify(&change.old, user.hash.clone()).await? {
        return Err(Refusal::invalid_field("old_password", "wrong_password", "This is not your password.").into());
    }
    let wearer = Wearer { email: &caller.email, organization: &user.organization };
    check_policy("new_password", &change.new, user.min_length, &wearer)?;
    let hash = hasher.hash(&change.new).await?;
    let mut tx = db.begin(&caller.tenant, caller.actor(), origin).await?;
    if get_password(&mut tx, caller.user_id).await?.hash != user.hash {
        return Err(Refusal::conflict("password_changed_meanwhile", "Your password was changed meanwhile.").into());
    }
    store(&mut tx, caller.user_id, &hash, false).await?;
    sessions::kill_all(&mut tx, caller.user_id, caller.session()).await?;
    if change.revoke_tokens {
        personal_access_tokens::kill_all(&mut tx, caller.user_id).await?;
    }
    let event = Event::new("password.changed", "user", caller.user_id, &caller.email);
    tx.audit(event.with(json!({ "revoked_tokens": change.revoke_tokens }))).await?;
    tx.commit().await
}

/// Whether a password was typed the same twice.
pub fn check_same(field: &'static str, one: &SecretString, other: &SecretString) -> Result<(), Refusal> {
    if one.expose_secret() == other.expose_secret() {
        Ok(())
    } else {
        Err(Refusal::invalid_field(field, "passwords_differ", "The two passwords are not the same."))
    }
}

struct Stored {
    hash: Option<String>,
    min_length: i32,
    organization: String,
}

async fn get_password(tx: &mut Tx, user: UserId) -> Result<Stored> {
    let row = sqlx::query!(
        "select u.password_hash, o.password_min_length, o.name from users u
         join organizations o on o.organization_id = u.organization_id
         where u.organization_id = $1 and u.id = $2 for update of u",
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Stored { hash: row.password_hash, min_length: row.password_min_length, organization: row.name })
}

/// What a new user of an organization must know of its policy.
pub(crate) async fn policy_of(tx: &mut Tx) -> Result<(i32, String)> {
    let row = sqlx::query!(
        "select password_min_length, name from organizations where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok((row.password_min_length, row.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), &'static str> {
        let wearer = Wearer { email: "bob.builder@example.com", organization: "Acme Corporation" };
        check_policy("password", &password.to_owned().into(), 15, &wearer).map_err(|refusal| refusal.errors[0].code)
    }

    #[test]
    fn a_good_password_is_long_and_unknown_and_of_any_letters() {
        assert_eq!(check("correct horse battery staple xylophone"), Ok(()));
        assert_eq!(check("Fünf grüne Äpfel fallen leise"), Ok(()));
        assert_eq!(check("漢字とかなの長い合言葉を選ぶ人が居る"), Ok(()));
    }

    #[test]
    fn each_rule_of_the_policy_refuses_by_itself() {
        assert_eq!(check("tr0ub4dor&3 kzq"), Ok(()));
        assert_eq!(check("short &3 kzqXp"), Err("password_too_short"));
        assert_eq!(check(&"xK9 ".repeat(33)), Err("password_too_long"));
        assert_eq!(check("passwordpassword"), Err("password_guessable"));
        assert_eq!(check("aaaaaaaaaaaaaaaaaaaa"), Err("password_guessable"));
        assert_eq!(check("xq BOB.BUILDER lurking zebras 7"), Err("password_guessable"));
        assert_eq!(check("xq acme corporation zebras 7"), Err("password_guessable"));
    }

    #[tokio::test]
    async fn one_text_in_two_unicode_spellings_is_one_password() {
        let hasher = Hasher::default();
        let hash = hasher.hash(&"caf\u{e9} au lait".to_owned().into()).await.expect("hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(!Hasher::is_outdated(&hash));
        assert!(hasher.verify(&"cafe\u{301} au lait".to_owned().into(), Some(hash.clone())).await.expect("verify"));
        assert!(!hasher.verify(&"cafe au lait".to_owned().into(), Some(hash)).await.expect("verify"));
        assert!(!hasher.verify(&"nobody has this password".to_owned().into(), None).await.expect("verify"));
        assert!(Hasher::is_outdated("$argon2id$v=19$m=4096,t=2,p=1$c29tZXNhbHQ$aGFzaA"));
    }
}
