//! What a caller belongs to, and what he may do there: what he may know of himself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::{Caller, Holder, Permission};
use crate::db::Tx;
use crate::error::{Refusal, Result};
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

/// What is read of the user `o` for it.
pub(crate) const COLUMNS: &str = "o.organization_id, \
    (select n.name from organizations n where n.organization_id = o.organization_id) as organization_name, \
    (select n.slug from organizations n where n.organization_id = o.organization_id) as organization_slug, \
    (select f.id from folders f where f.organization_id = o.organization_id and f.parent_folder_id is null) as root_folder_id, \
    (select coalesce(json_agg(json_build_object('role_id', g.role_id, 'role', g.role_name, 'folder', g.folder_id, \
        'permissions', g.permissions)), '[]') from grants_of(o.id) g) as granted, \
    (select coalesce(json_agg(json_build_array(g.id, g.name) order by g.id), '[]') from user_group_members m \
        join user_groups g on g.organization_id = m.organization_id and g.id = m.user_group_id \
        where m.organization_id = o.organization_id and m.user_id = o.id) as own_groups";

#[derive(Deserialize)]
struct Grant {
    role_id: Uuid,
    role: String,
    folder: FolderId,
    permissions: Vec<String>,
}

/// Where the caller stands, as of now.
pub async fn look_at_standing(tx: &mut Tx, caller: &Caller) -> Result<Standing> {
    let mut query = QueryBuilder::new(format!("select {COLUMNS} from users o where o.organization_id = "));
    query.push_bind(tx.organization_id()).push(" and o.id = ").push_bind(caller.user_id);
    let row = query.build().fetch_optional(tx.connection()).await?.ok_or_else(Refusal::not_found)?;
    Ok(Standing::read(&row, caller)?)
}

impl Standing {
    /// From [`COLUMNS`] of the caller's row.
    pub(crate) fn read(row: &PgRow, caller: &Caller) -> sqlx::Result<Self> {
        let mut standing = Self {
            organization_id: row.try_get("organization_id")?,
            organization_name: row.try_get("organization_name")?,
            organization_slug: row.try_get("organization_slug")?,
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
