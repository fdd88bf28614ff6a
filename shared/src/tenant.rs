//! Which organization something is done for, as a value that only a proof can make.

use crate::db::Db;
use crate::error::Result;
use crate::ids::OrganizationId;

/// An organization that the holder may act for, or that a job or link of ours was made for.
///
/// Nothing below a handler takes less than this: a bare [`OrganizationId`] proves nothing. It is made by a live credential
/// ([`crate::sessions::authenticate`]), by a link that we signed ([`crate::secret::Links`]), by a job from our own queue, by the
/// Message-ID in a signed report ([`crate::emails::record_events`]), by a schedule that goes through all of them
/// ([`crate::schedules`]),
/// or, for a sign-in that has no credential yet, by its slug ([`Tenant::find`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    id: OrganizationId,
}

impl Tenant {
    pub(crate) fn proven(id: OrganizationId) -> Self {
        Self { id }
    }

    /// The organization of a slug, whatever its case; none where it is unknown or deleted. Proves nothing about a caller:
    /// only for operations that a stranger may begin.
    pub async fn find(db: &Db, slug: &str) -> Result<Option<Self>> {
        let row = sqlx::query!(r#"select organization_id as "id!: OrganizationId" from find_organization($1)"#, slug)
            .fetch_optional(db.pool())
            .await?;
        Ok(row.map(|row| Self::proven(row.id)))
    }

    /// Its id, for what leaves the process: a job, a token.
    #[must_use]
    pub fn id(&self) -> OrganizationId {
        self.id
    }
}
