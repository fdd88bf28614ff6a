//! Accounts with an end: a word before, and a broom after. That nobody gets in any more is a rule evaluated at use.

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde_json::json;

use crate::audit::Event;
use crate::db::Tx;
use crate::emails::{self, Kind, NewEmail};
use crate::error::Result;
use crate::ids::{OrganizationId, UserId};
use crate::outbox::Lane;
use crate::schedules::Part;
use crate::{passwords, sessions};

/// How many days ahead people are told, first
const FIRST_NOTICE: i16 = 7;
/// and once more.
const LAST_NOTICE: i16 = 1;
/// How many users are handled in one unit of work. One whom someone is changing just now has his turn in an hour.
const AT_A_TIME: i64 = 100;

fn days_ahead(today: NaiveDate, days: i16) -> NaiveDate {
    today.checked_add_days(Days::new(days.unsigned_abs().into())).unwrap_or(NaiveDate::MAX)
}

/// Whether an account's last day is to come, and so near that its holder is told.
pub(crate) fn is_near(last_day: NaiveDate, now: DateTime<Utc>) -> bool {
    let today = now.date_naive();
    (today..=days_ahead(today, FIRST_NOTICE)).contains(&last_day)
}

/// Tells some users that their account ends soon: each notice once for an expiry date. A notice that nobody was there to
/// send in time is sent late, unless the next one is due.
pub async fn notify_some(tx: &mut Tx) -> Result<Part> {
    let today = tx.now().date_naive();
    let due = sqlx::query!(
        r#"select u.id as "id: UserId", u.email, coalesce(u.preferences ->> 'lang', o.locale) as "locale!", u.expiry_date as "expiry_date!"
           from users u join organizations o on o.organization_id = u.organization_id
           where u.organization_id = $1 and u.is_active and u.expiry_date >= $2 and u.expiry_date <= $3
             and (u.expiry_noticed_for is distinct from u.expiry_date
                 or u.expiry_date <= $4 and u.expiry_noticed_days > $5)
           order by u.id limit $6
           for no key update of u skip locked"#,
        tx.organization_id() as OrganizationId,
        today,
        days_ahead(today, FIRST_NOTICE),
        days_ahead(today, LAST_NOTICE),
        LAST_NOTICE,
        AT_A_TIME
    )
    .fetch_all(tx.connection())
    .await?;
    for row in &due {
        let email = NewEmail {
            kind: Kind::AccountExpiring,
            to: &row.email,
            locale: &row.locale,
            invitation: None,
            user_id: Some(row.id),
            password_reset_id: None,
        };
        emails::queue(tx, email, Lane::Bulk).await?;
        let is_last = row.expiry_date <= days_ahead(today, LAST_NOTICE);
        sqlx::query!(
            "update users set expiry_noticed_for = $3, expiry_noticed_days = $4 where organization_id = $1 and id = $2",
            tx.organization_id() as OrganizationId,
            row.id as UserId,
            row.expiry_date,
            if is_last { LAST_NOTICE } else { FIRST_NOTICE }
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(Part::of(due.len() as u64, AT_A_TIME))
}

/// Ends what some users past their last day still have: sessions, tokens, and links to choose a password.
pub async fn end_some(tx: &mut Tx) -> Result<Part> {
    let over = sqlx::query!(
        r#"select id as "id: UserId", email from users
           where organization_id = $1 and expiry_date < $2 and expiry_ended_for is distinct from expiry_date
           order by id limit $3
           for no key update skip locked"#,
        tx.organization_id() as OrganizationId,
        tx.now().date_naive(),
        AT_A_TIME
    )
    .fetch_all(tx.connection())
    .await?;
    for row in &over {
        let killed = sessions::kill_credentials(tx, row.id).await?;
        passwords::supersede(tx, row.id).await?;
        sqlx::query!(
            "update users set expiry_ended_for = expiry_date where organization_id = $1 and id = $2",
            tx.organization_id() as OrganizationId,
            row.id as UserId
        )
        .execute(tx.connection())
        .await?;
        let event = Event::new("user.expired", "user", row.id, &row.email);
        tx.audit(event.with(json!({ "sessions": killed.sessions, "tokens": killed.tokens }))).await?;
    }
    Ok(Part::of(over.len() as u64, AT_A_TIME))
}
