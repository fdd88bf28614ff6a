//! Which organization something is done for, as a value that only a proof can make.

use crate::db::Db;
use crate::error::Result;
use crate::ids::OrganizationId;

/// An organization that the holder may act for, or that a job or link of ours was made for.
///
/// Nothing below a handler takes less than this: a bare [`OrganizationId`] proves nothing. It is made by a live credential
/// ([`crate::sessions::authenticate`]), by a link that we signed ([`crate::secret::Links`]), by a job from our own queue, by the
/// Message-ID in a signed report ([`crate::emails::record_events`]), by a schedule that goes through all of them
/// ([`crate::schedules`]), by an account of an address that asked where it has one ([`crate::login_urls`]),
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
        let row =
            sqlx::query!(r#"select organization_id as "id!: OrganizationId" from find_organization($1)"#, ascii(slug))
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

/// A slug that is not ASCII is nobody's, though some of its letters have small ones that are: none is as good as it.
pub(crate) fn ascii(slug: &str) -> &str {
    if slug.is_ascii() { slug } else { "" }
}

/// Whom a stranger asks for by a slug, and who keeps the record of it: the organization itself, or, where there is none of
/// this slug, the platform organization. So as much is read and written for a slug that is nobody's as for any other.
#[derive(Clone, Debug, Default)]
pub struct Addressee {
    keeper: Option<Tenant>,
    is_there: bool,
}

impl Addressee {
    /// Looks a slug up. Like [`Tenant::find`], it proves nothing about a caller.
    pub async fn find(db: &Db, slug: &str, platform_slug: &str) -> Result<Self> {
        let row = sqlx::query!(
            r#"select organization_id as "id!: OrganizationId", is_there as "is_there!"
               from find_addressee($1, $2) where organization_id is not null"#,
            ascii(slug),
            platform_slug
        )
        .fetch_optional(db.pool())
        .await?;
        Ok(row.map_or_else(Self::default, |row| Self::kept_by(row.id, row.is_there)))
    }

    /// As it was found: by who keeps the record, and whether that is the organization itself.
    pub(crate) fn kept_by(keeper: OrganizationId, is_there: bool) -> Self {
        Self { keeper: Some(Tenant::proven(keeper)), is_there }
    }

    /// The organization of the slug, if there is one.
    #[must_use]
    pub fn tenant(&self) -> Option<&Tenant> {
        self.keeper.as_ref().filter(|_| self.is_there)
    }

    /// Who keeps the record. None in a deployment without a platform organization.
    pub(crate) fn keeper(&self) -> Option<&Tenant> {
        self.keeper.as_ref()
    }
}
