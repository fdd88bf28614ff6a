//! Passwords: the policy, the hashing, and the ways to a new one.

mod change;
mod common;
mod hashing;
mod policy;
mod purge;
mod reset;
mod set;

pub use change::{Change, change, change_by_ticket, preview_change};
pub(crate) use change::{changed_meanwhile, demand_own, get_own};
pub use hashing::Hasher;
pub use policy::{Wearer, check_policy, check_same};
pub(crate) use policy::{length_of, outgrow, policy_of};
pub use purge::purge_some;
pub use reset::{confirm_reset, mail_reset, preview_reset, request_reset};
pub(crate) use reset::{end_links, mail_link, supersede};
pub(crate) use set::set_hashed;
pub use set::{hash_for, hash_for_new, set};

use crate::db::Tx;
use crate::emails::{self, Kind};
use crate::error::Result;
use crate::ids::{OrganizationId, UserId};

/// What the pages that ask for a new password show.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in the organization and the user")]
pub struct PasswordPreview {
    pub organization_name: String,
    pub organization_slug: String,
    pub branding: serde_json::Value,
    pub email: String,
    pub password_min_length: i32,
    pub locale: String,
}

impl PasswordPreview {
    fn wearer(&self) -> Wearer<'_> {
        Wearer { email: &self.email, organization: &self.organization_name }
    }
}

/// By which way someone comes to a new password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// He changed it himself.
    Change,
    /// He chose it with a mailed link, which shows that the address is his.
    Link,
    /// An administrator has set it, and knows it: it is good for choosing another one only.
    Administrator,
}

/// Puts a hash in place of the one there is, makes links to choose another dead, and tells the user.
async fn store(tx: &mut Tx, user: UserId, hash: &str, way: Way) -> Result<()> {
    supersede(tx, user).await?;
    sqlx::query!(
        "update users set password_hash = $3, password_changed_at = $4, is_email_verified = is_email_verified or $5,
             must_change_password = $6
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        user as UserId,
        hash,
        tx.now(),
        way == Way::Link,
        way == Way::Administrator
    )
    .execute(tx.connection())
    .await?;
    let kind = if way == Way::Administrator { Kind::PasswordSet } else { Kind::PasswordChanged };
    emails::queue_to_user(tx, kind, user).await
}
