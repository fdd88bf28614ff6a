//! What a caller belongs to, and what he may do there: what he may know of himself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Caller, Holder, Permission};
use crate::ids::{FolderId, OrganizationId};
use crate::objects::{Kind, Names};

/// A caller in his organization: what he belongs to, and what he may do there with his credential.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in the organization")]
pub struct Standing {
    pub organization_id: OrganizationId,
    pub organization_name: String,
    pub organization_slug: String,
    pub root_folder: FolderId,
    /// Code names, by the id of the folder where they were granted. A superuser holds all at the root.
    pub grants: BTreeMap<String, BTreeSet<String>>,
    /// The groups he is in, and the roles he holds, which he may know also where he may not look at such objects.
    pub names: Names,
}

#[derive(Deserialize)]
struct Grant {
    role_id: Uuid,
    role: String,
    folder: FolderId,
    permissions: Vec<String>,
}

impl Standing {
    /// From what `introduction_of` tells of the caller.
    pub(crate) fn read(row: &PgRow, caller: &Caller) -> sqlx::Result<Self> {
        let mut standing = Self {
            organization_id: caller.tenant.id(),
            organization_name: row.try_get("organization_name")?,
            organization_slug: caller.organization_slug.clone(),
            root_folder: row.try_get("root_folder_id")?,
            grants: BTreeMap::new(),
            names: Names::default(),
        };
        let Json(granted) = row.try_get::<Json<Vec<Grant>>, _>("granted")?;
        let Json(groups) = row.try_get::<Json<Vec<(Uuid, String)>>, _>("own_groups")?;
        standing.names.extend(Kind::UserGroup, groups);
        let holder = caller.holder();
        if caller.is_superuser {
            let all = Permission::ALL.iter().map(|permission| permission.codename().to_owned());
            standing.grant(standing.root_folder, all, holder);
        }
        for Grant { role_id, role, folder, permissions } in granted {
            standing.names.extend(Kind::Role, [(role_id, role)]);
            standing.grant(folder, permissions, holder);
        }
        Ok(standing)
    }

    fn grant(&mut self, folder: FolderId, permissions: impl IntoIterator<Item = String>, holder: Holder<'_>) {
        let mut permissions = permissions.into_iter().filter(|permission| holder.has_scope(permission)).peekable();
        if permissions.peek().is_some() {
            self.grants.entry(folder.to_string()).or_default().extend(permissions);
        }
    }
}
