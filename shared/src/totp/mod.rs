//! The second factor: an authenticator app (TOTP, RFC 6238), and recovery codes for whoever has lost it.

mod codes;
mod enroll;
mod recovery;
mod remove;
mod reseal;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

pub use enroll::{Enrollment, Proof, begin, confirm};
pub use recovery::{RecoveryCodes, replace};
pub use remove::{remove, reset};
pub(crate) use reseal::reseal;

use crate::access::{Access, Actor, Caller, InPerson};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, UserId};
use crate::seal::{Sealed, Seals};
use crate::sessions::{Door, lock_caller};

/// Wrong codes in a row that cost nothing.
const FREE_ATTEMPTS: i32 = 5;
/// After each wrong code from then on, codes of the app are not looked at for so long. Whoever knows the password, or has a
/// session, can make the owner wait by going on with wrong ones; the owner gets in with a recovery code at any time, for those
/// can't be guessed.
const PAUSE: TimeDelta = TimeDelta::seconds(60);

/// How one's own second factor stands.
#[derive(Debug)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct Status {
    pub is_enabled: bool,
    pub is_pending: bool,
    pub confirmed_at: Option<DateTime<Utc>>,
    pub recovery_codes_left: i64,
    /// Whether switching it on takes the password: of whoever signs in with one.
    pub takes_password: bool,
}

/// How the caller's second factor stands.
pub async fn status(tx: &mut Tx, by: &Access<InPerson>) -> Result<Status> {
    let row = sqlx::query!(
        r#"select t.confirmed_at, t.user_id is not null as "is_begun!",
                  may_use_password(u.is_local, u.keep_local_login, o.sso_required_from, $3) and u.password_hash is not null
                      as "takes_password!",
                  (select count(*) from recovery_codes r
                   where r.organization_id = $1 and r.user_id = u.id) as "left!"
           from users u join organizations o on o.organization_id = u.organization_id
           left join totp_secrets t on t.organization_id = u.organization_id and t.user_id = u.id
           where u.organization_id = $1 and u.id = $2"#,
        tx.organization_id() as OrganizationId,
        by.caller().user_id as UserId,
        tx.now()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Status {
        is_enabled: row.confirmed_at.is_some(),
        is_pending: row.is_begun && row.confirmed_at.is_none(),
        confirmed_at: row.confirmed_at,
        recovery_codes_left: row.left,
        takes_password: row.takes_password,
    })
}

/// A second factor, locked: of requests at the same time one after the other looks at it. The user's row is locked before.
struct Factor {
    user_id: UserId,
    sealed: Sealed,
    confirmed_at: Option<DateTime<Utc>>,
    last_step: i64,
    codes_taken: i64,
    wrong_codes: i32,
    last_wrong_at: Option<DateTime<Utc>>,
}

async fn lock(tx: &mut Tx, user: UserId) -> Result<Option<Factor>> {
    let (organization_id, now) = (tx.organization_id(), tx.now());
    // The user's row comes first, as everywhere.
    sqlx::query!(
        "select id from users where organization_id = $1 and id = $2 for no key update",
        organization_id as OrganizationId,
        user as UserId
    )
    .fetch_optional(tx.connection())
    .await?;
    let row = sqlx::query!(
        "select sealed, key_id, confirmed_at, last_step, codes_taken, wrong_codes, last_wrong_at
         from totp_secrets where organization_id = $1 and user_id = $2 for update",
        organization_id as OrganizationId,
        user as UserId
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Factor {
        user_id: user,
        sealed: Sealed { bytes: row.sealed, key_id: row.key_id },
        confirmed_at: row.confirmed_at,
        last_step: row.last_step,
        codes_taken: row.codes_taken,
        wrong_codes: row.wrong_codes,
        // A clock that runs ahead elsewhere makes no pause longer.
        last_wrong_at: row.last_wrong_at.map(|at| at.min(now)),
    }))
}

/// The same, if it is on.
async fn lock_enabled(tx: &mut Tx, user: UserId) -> Result<Option<Factor>> {
    Ok(lock(tx, user).await?.filter(|factor| factor.confirmed_at.is_some()))
}

/// What a user's second factor is at, for tickets that must die when a code is taken; none if it is off. Locks it.
pub(crate) async fn state(tx: &mut Tx, user: UserId) -> Result<Option<String>> {
    let factor = lock_enabled(tx, user).await?;
    Ok(factor.and_then(|f| Some(format!("{}/{}", f.confirmed_at?.timestamp_micros(), f.codes_taken))))
}

/// What became of a code.
enum Verdict {
    Taken,
    Wrong,
    /// Not looked at; come again after so many seconds.
    Wait(u64),
}

/// Looks at a code, of the app or for recovery, and uses it up. A wrong one is counted.
async fn look(tx: &mut Tx, seals: &Seals, factor: &Factor, code: &str) -> Result<Verdict> {
    if recovery::take(tx, factor.user_id, code).await? {
        note_taken(tx, factor, factor.last_step).await?;
        return Ok(Verdict::Taken);
    }
    if let Some(seconds) = pause(factor, tx.now()) {
        return Ok(Verdict::Wait(seconds));
    }
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    match codes::step_of(seals, &tenant, factor, code, now)?.filter(|step| *step > factor.last_step) {
        Some(step) => {
            note_taken(tx, factor, step).await?;
            Ok(Verdict::Taken)
        }
        None => {
            note_wrong(tx, factor).await?;
            Ok(Verdict::Wrong)
        }
    }
}

/// For how many seconds more no code is looked at.
fn pause(factor: &Factor, now: DateTime<Utc>) -> Option<u64> {
    let until = factor.last_wrong_at.filter(|_| factor.wrong_codes >= FREE_ATTEMPTS)? + PAUSE;
    let left = (until - now).num_milliseconds();
    (left > 0).then(|| u64::try_from(left).unwrap_or(0).div_ceil(1_000))
}

async fn note_taken(tx: &mut Tx, factor: &Factor, step: i64) -> Result<()> {
    sqlx::query!(
        "update totp_secrets set last_step = $3, codes_taken = codes_taken + 1, wrong_codes = 0, last_wrong_at = null
         where organization_id = $1 and user_id = $2",
        tx.organization_id() as OrganizationId,
        factor.user_id as UserId,
        step
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

async fn note_wrong(tx: &mut Tx, factor: &Factor) -> Result<()> {
    sqlx::query!(
        "update totp_secrets set wrong_codes = wrong_codes + 1, last_wrong_at = $3
         where organization_id = $1 and user_id = $2",
        tx.organization_id() as OrganizationId,
        factor.user_id as UserId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Goes on only if the code is good. If not, the unit of work ends here, with nothing more in it than that a code was wrong:
/// that stays.
async fn demand(mut tx: Tx, seals: &Seals, factor: &Factor, code: &str) -> Result<Tx> {
    let verdict = look(&mut tx, seals, factor, code).await?;
    let Some(refusal) = refusal_of(&verdict, wrong_code) else { return Ok(tx) };
    tx.commit().await?;
    Err(refusal.into())
}

fn refusal_of(verdict: &Verdict, wrong: fn() -> Refusal) -> Option<Refusal> {
    let detail = "Too many wrong codes. Wait a minute, or use a recovery code.";
    match verdict {
        Verdict::Taken => None,
        Verdict::Wrong => Some(wrong()),
        Verdict::Wait(seconds) => Some(Refusal::too_often("too_many_codes", detail, *seconds)),
    }
}

/// What a sign-in demands after the password of someone who has a second factor. `tx` holds nothing yet that must not stay if
/// the code is wrong. That it was is written down: whoever tries codes knows the password.
pub(crate) async fn demand_at_sign_in(
    mut tx: Tx,
    door: &Door<'_>,
    user: UserId,
    email: &str,
    code: &str,
) -> Result<Tx> {
    let Some(factor) = lock_enabled(&mut tx, user).await? else { return Ok(tx) };
    let verdict = look(&mut tx, &door.keys.seals, &factor, code).await?;
    let wrong = || Refusal::unauthenticated("invalid_code", "This code is wrong, too old, or was used before.");
    let Some(refusal) = refusal_of(&verdict, wrong) else { return Ok(tx) };
    if matches!(verdict, Verdict::Wrong) && door.limiter.may_note() {
        tx.act_as(Actor::Anonymous);
        tx.audit(Event::new("session.refused", "user", user, email).with(json!({ "reason": "wrong_code" }))).await?;
    }
    tx.commit().await?;
    Err(refusal.into())
}

/// The same, of someone who is signed in and changes something about his second factor.
async fn demand_of_caller(mut tx: Tx, seals: &Seals, caller: &Caller, code: &str) -> Result<Tx> {
    lock_caller(&mut tx, caller).await?;
    let factor = lock_enabled(&mut tx, caller.user_id).await?.ok_or_else(not_enabled)?;
    demand(tx, seals, &factor, code).await
}

fn wrong_code() -> Refusal {
    Refusal::invalid_field("code", "invalid_code", "This code is wrong, too old, or was used before.")
}

fn not_enabled() -> Refusal {
    Refusal::conflict("totp_not_enabled", "There is no second factor that is on.")
}
