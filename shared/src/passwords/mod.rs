//! Passwords: the policy, the hashing, and the ways to a new one.

mod change;
mod common;
mod hashing;
mod policy;
mod purge;
mod reset;

pub use change::{Change, change};
pub use hashing::Hasher;
pub(crate) use policy::policy_of;
pub use policy::{Wearer, check_policy, check_same};
pub use purge::purge_some;
pub use reset::{ResetPreview, confirm_reset, mail_reset, preview_reset, request_reset};
pub(crate) use reset::{mail_link, supersede};

use crate::db::Tx;
use crate::emails::{self, Kind, NewEmail};
use crate::error::Result;
use crate::ids::{OrganizationId, UserId};
use crate::outbox::Lane;

/// Puts a hash in place of the one there is, makes links to choose another dead, and tells the user.
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
