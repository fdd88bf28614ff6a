//! A word before a certificate ends, ours or an identity provider's, to those who can do something about it.

use chrono::{DateTime, TimeDelta, Utc};
use tenantry_saml::Certificate;
use uuid::Uuid;

use crate::db::Tx;
use crate::emails::{self, Kind, NewEmail};
use crate::error::Result;
use crate::ids::{EmailId, OrganizationId, SamlConnectionId, SamlKeyId, UserId};
use crate::outbox::Lane;
use crate::schedules::Part;

/// How many days ahead, the last first.
const NOTICES: [i16; 4] = [1, 7, 14, 30];

/// Which notice is due for an end: the latest that there is, if it was not sent. One that nobody was there to send in time is
/// sent late, unless the next one is due.
fn due(end: DateTime<Utc>, noticed: Option<i16>, now: DateTime<Utc>) -> Option<i16> {
    let left = end - now;
    let due = NOTICES.into_iter().find(|days| left <= TimeDelta::days((*days).into()))?;
    (left > TimeDelta::zero() && noticed.is_none_or(|noticed| noticed > due)).then_some(due)
}

/// Whether an end is so near that people are told.
pub(crate) fn is_near(end: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    end <= now + TimeDelta::days(NOTICES[NOTICES.len() - 1].into())
}

/// When the last of a provider's certificates ends: until then one of them is good.
pub(crate) fn last_end(certificates: &[Vec<u8>]) -> Option<DateTime<Utc>> {
    certificates.iter().filter_map(|der| Certificate::from_der(der).ok()).map(|known| known.not_after()).max()
}

/// What ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Key(SamlKeyId),
    Connection(SamlConnectionId),
}

/// Tells those who hold `manage_sso` of certificates that end soon: each notice once. They are few: one unit of work does it.
pub async fn notify_some(tx: &mut Tx) -> Result<Part> {
    let mut ending = keys(tx).await?;
    ending.extend(connections(tx).await?);
    let people = if ending.is_empty() { Vec::new() } else { managers(tx).await? };
    for what in &ending {
        for person in &people {
            tell(tx, *what, person).await?;
        }
    }
    Ok(Part { handled: ending.len() as u64, more: false })
}

/// Our keys whose notice is due, which is written down.
async fn keys(tx: &mut Tx) -> Result<Vec<Ending>> {
    let rows = sqlx::query!(
        r#"select id as "id: SamlKeyId", not_after, noticed_days from saml_keys
           where organization_id = $1 and state <> 'previous' order by id for no key update"#,
        tx.organization_id() as OrganizationId
    )
    .fetch_all(tx.connection())
    .await?;
    let mut ending = Vec::new();
    for row in rows {
        let Some(days) = due(row.not_after, row.noticed_days, tx.now()) else { continue };
        sqlx::query!(
            "update saml_keys set noticed_days = $3 where organization_id = $1 and id = $2",
            tx.organization_id() as OrganizationId,
            row.id as SamlKeyId,
            days
        )
        .execute(tx.connection())
        .await?;
        ending.push(Ending::Key(row.id));
    }
    Ok(ending)
}

/// The same of identity providers. A notice of another end was another notice.
async fn connections(tx: &mut Tx) -> Result<Vec<Ending>> {
    let rows = sqlx::query!(
        r#"select id as "id: SamlConnectionId", certificates, noticed_for, noticed_days from saml_connections
           where organization_id = $1 and is_active order by id for no key update"#,
        tx.organization_id() as OrganizationId
    )
    .fetch_all(tx.connection())
    .await?;
    let mut ending = Vec::new();
    for row in rows {
        let Some(end) = last_end(&row.certificates) else { continue };
        let noticed = row.noticed_days.filter(|_| row.noticed_for == Some(end));
        let Some(days) = due(end, noticed, tx.now()) else { continue };
        sqlx::query!(
            "update saml_connections set noticed_for = $3, noticed_days = $4 where organization_id = $1 and id = $2",
            tx.organization_id() as OrganizationId,
            row.id as SamlConnectionId,
            end,
            days
        )
        .execute(tx.connection())
        .await?;
        ending.push(Ending::Connection(row.id));
    }
    Ok(ending)
}

struct Person {
    id: UserId,
    email: String,
    locale: String,
}

/// Those who hold `manage_sso` over the root.
async fn managers(tx: &mut Tx) -> Result<Vec<Person>> {
    Ok(sqlx::query_as!(
        Person,
        r#"select u.id as "id: UserId", u.email, coalesce(u.preferences ->> 'lang', o.locale) as "locale!"
           from users u join organizations o on o.organization_id = u.organization_id
           where u.organization_id = $1 and u.is_active and coalesce(u.expiry_date >= $2, true)
             and (u.is_superuser or u.id in (
                 select coalesce(a.user_id, m.user_id) from role_assignment_folders p
                 join role_assignments a on a.organization_id = p.organization_id and a.id = p.role_assignment_id
                 join roles r on r.organization_id = a.organization_id and r.id = a.role_id
                 left join user_group_members m on m.organization_id = a.organization_id and m.user_group_id = a.user_group_id
                 where p.organization_id = $1 and p.folder_id = root_folder_id() and 'manage_sso' = any(r.permissions)))
           order by u.id"#,
        tx.organization_id() as OrganizationId,
        tx.now().date_naive()
    )
    .fetch_all(tx.connection())
    .await?)
}

async fn tell(tx: &mut Tx, what: Ending, person: &Person) -> Result<()> {
    let email = NewEmail {
        kind: Kind::CertificateExpiring,
        to: &person.email,
        locale: &person.locale,
        invitation: None,
        user_id: Some(person.id),
        password_reset_id: None,
    };
    let id = emails::queue(tx, email, Lane::Bulk).await?;
    let (key, connection) = match what {
        Ending::Key(key) => (Some(Uuid::from(key)), None),
        Ending::Connection(connection) => (None, Some(Uuid::from(connection))),
    };
    sqlx::query!(
        "update email_messages set saml_key_id = $3, saml_connection_id = $4 where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as EmailId,
        key,
        connection
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notice_comes_once_and_one_that_is_late_gives_way_to_the_next() {
        let end = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        let left = |days: i64, noticed| due(end, noticed, end - TimeDelta::days(days));
        assert_eq!(left(31, None), None);
        assert_eq!([30, 29, 15].map(|days| left(days, None)), [Some(30); 3]);
        assert_eq!([29, 15].map(|days| left(days, Some(30))), [None; 2]);
        assert_eq!(left(14, Some(30)), Some(14));
        assert_eq!(left(6, Some(30)), Some(7));
        assert_eq!(left(1, Some(7)), Some(1));
        assert_eq!(left(1, Some(1)), None);
        assert_eq!([0, -1].map(|days| left(days, None)), [None; 2], "what has ended is known by then");
    }
}
