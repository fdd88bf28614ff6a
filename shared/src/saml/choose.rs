//! How someone signs in: by password or through which identity provider. His address's domain and the organization decide,
//! never whether there is an account.

use super::{Choice, connections, is_required};
use crate::access::{Actor, Origin};
use crate::db::Db;
use crate::error::Result;
use crate::ids::SamlConnectionId;
use crate::tenant::Addressee;

/// The ways into an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// The connection that the address's domain is bound to.
    pub bound: Option<SamlConnectionId>,
    /// All that are on, by name.
    pub connections: Vec<Choice>,
    /// Whether only those who are excepted sign in with a password.
    pub is_sso_required: bool,
}

/// Where a sign-in goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To the password.
    Password,
    /// To this identity provider.
    Provider(SamlConnectionId),
    /// To a page where he chooses.
    Choose,
}

impl Ways {
    /// The way of most people.
    #[must_use]
    pub fn next(&self) -> Next {
        match (self.bound, self.connections.as_slice()) {
            (Some(bound), _) => Next::Provider(bound),
            (None, []) => Next::Password,
            (None, [only]) if self.is_sso_required => Next::Provider(only.id),
            (None, [_]) => Next::Password,
            (None, _) => Next::Choose,
        }
    }
}

/// The ways in for an address, or for any. An organization that is not there has none but the password, and as much is asked for
/// it as for any other.
pub async fn ways_in(db: &Db, slug: &str, email: &str, platform_slug: &str) -> Result<Ways> {
    let addressee = Addressee::find(db, slug, platform_slug).await?;
    let Some(keeper) = addressee.keeper() else { return Ok(Ways::default()) };
    let mut tx = db.begin(keeper, Actor::Anonymous, Origin::default()).await?;
    let bound = connections::find_active_by_email(&mut tx, email).await?.map(|connection| connection.id.into());
    let connections = connections::list_active(&mut tx).await?;
    let is_sso_required = is_required(&mut tx).await?;
    tx.commit().await?;
    let ways = Ways { bound, connections, is_sso_required };
    Ok(addressee.tenant().map_or_else(Ways::default, |_| ways))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_domain_decides_first_then_the_organization() {
        let id = |n| SamlConnectionId::from(Uuid::from_u128(n));
        let next = |bound: Option<u128>, connections: u128, is_sso_required| {
            let connections = (1..=connections).map(|n| Choice { id: id(n), name: "Idp".into() }).collect();
            Ways { bound: bound.map(id), connections, is_sso_required }.next()
        };
        assert_eq!(next(None, 0, false), Next::Password);
        assert_eq!(next(None, 1, false), Next::Password);
        assert_eq!(next(None, 2, false), Next::Choose);
        assert_eq!(next(Some(2), 2, false), Next::Provider(id(2)));
        assert_eq!(next(None, 1, true), Next::Provider(id(1)));
        assert_eq!(next(None, 2, true), Next::Choose);
        // Nobody else gets in, and who is excepted must.
        assert_eq!(next(None, 0, true), Next::Password);
    }
}
