//! Over which folders someone holds a permission. Postgres answers, by `reaches_of` and `holds`, which read one definition of who
//! was granted what (`grants_of`); nothing is remembered from one request to the next.

use uuid::Uuid;

use super::{Holder, Permission};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{FolderId, OrganizationId, UserId};

/// The folders over which a caller holds a permission.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// All there are, and will be.
    pub(crate) everything: bool,
    /// These, and all below them.
    pub(crate) deep: Vec<Uuid>,
    /// These alone.
    pub(crate) here: Vec<Uuid>,
    /// What lies above any of them, or is one of them: what is published there is seen from below.
    pub(crate) above: Vec<Uuid>,
    /// All its folders, if they are few.
    pub(crate) few: Option<Vec<Uuid>>,
}

impl Reach {
    /// Over what a caller holds a permission, as of now.
    pub(crate) async fn load(tx: &mut Tx, holder: Holder<'_>, permission: Permission) -> Result<Self> {
        Ok(Self::load_all(tx, holder, &[permission]).await?.pop().unwrap_or_default())
    }

    /// The same for several permissions, in their order.
    pub(crate) async fn load_all(tx: &mut Tx, holder: Holder<'_>, permissions: &[Permission]) -> Result<Vec<Self>> {
        let wanted: Vec<String> =
            permissions.iter().map(|p| p.codename()).filter(|name| holder.has_scope(name)).map(str::to_owned).collect();
        let mut rows = sqlx::query!(
            r#"select permission as "permission!", everything as "everything!", deep as "deep!", here as "here!",
                      above as "above!", few from reaches_of($1, $2)"#,
            holder.user as UserId,
            &wanted
        )
        .fetch_all(tx.connection())
        .await?;
        let mut take = |permission: &Permission| {
            let at = rows.iter().position(|row| row.permission == permission.codename())?;
            let row = rows.swap_remove(at);
            Some(Self { everything: row.everything, deep: row.deep, here: row.here, above: row.above, few: row.few })
        };
        Ok(permissions.iter().map(|permission| take(permission).unwrap_or_default()).collect())
    }

    /// Whether it is nowhere.
    pub(crate) fn is_empty(&self) -> bool {
        !self.everything && self.deep.is_empty() && self.here.is_empty()
    }

    /// Whether a folder is in it.
    pub(crate) async fn covers(&self, tx: &mut Tx, folder: FolderId) -> Result<bool> {
        if self.everything || self.is_empty() {
            return Ok(self.everything);
        }
        let covers = sqlx::query_scalar!(
            r#"select exists (select from folders f where f.organization_id = $1 and f.id = $2
                   and (f.ancestors && $3 or f.id = any($4))) as "covers!""#,
            tx.organization_id() as OrganizationId,
            folder as FolderId,
            &self.deep,
            &self.here
        )
        .fetch_one(tx.connection())
        .await?;
        Ok(covers)
    }

    pub(super) async fn covers_root(&self, tx: &mut Tx) -> Result<bool> {
        if self.everything || self.is_empty() {
            return Ok(self.everything);
        }
        let root = crate::folders::get_root(tx).await?;
        self.covers(tx, root).await
    }
}
