//! What deleting an object does: found once, then either shown or done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Kind, Object, get_to_change};
use crate::access::{Caller, Rights};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::ids::OrganizationId;
use crate::invitations;

/// What goes, and what stays but loses something.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// The object itself among them.
    pub(super) deleted: BTreeMap<Kind, BTreeSet<Uuid>>,
    /// Of other kinds and the same, none of them deleted.
    pub(super) affected: BTreeMap<Kind, BTreeSet<Uuid>>,
    /// Open invitations into a folder that goes: they are revoked.
    revoked: Vec<Uuid>,
    /// Sessions and personal access tokens that go.
    pub(super) credentials: i64,
}

impl Fate {
    /// Finds it, from the state of now. To be asked under the lock if it is to be done.
    pub(super) async fn find(tx: &mut Tx, kind: Kind, id: Uuid) -> Result<Self> {
        let of = |wanted: Kind| (kind == wanted).then_some(id);
        let rows = sqlx::query!(
            r#"with
               f as materialized (
                   select folder_id as id from folder_descendants where organization_id = $1 and ancestor_id = $2),
               g as materialized (
                   select id from user_groups where organization_id = $1 and folder_id in (select id from f)
                   union select $3::uuid where $3 is not null),
               t as materialized (
                   select id from teams where organization_id = $1 and folder_id in (select id from f)
                   union select $4::uuid where $4 is not null),
               r as materialized (
                   select id from roles where organization_id = $1 and folder_id in (select id from f)
                   union select $5::uuid where $5 is not null),
               a as materialized (
                   select id from role_assignments where organization_id = $1 and folder_id in (select id from f)
                   union select id from role_assignments where organization_id = $1 and user_group_id in (select id from g)
                   union select id from role_assignments where organization_id = $1 and role_id in (select id from r)
                   union select id from role_assignments where organization_id = $1 and user_id = $7
                   union select $6::uuid where $6 is not null
                   -- Those that lose all of their perimeter.
                   union select p.role_assignment_id from role_assignment_folders p
                       where p.organization_id = $1 and p.folder_id in (select id from f)
                         and not exists (select from role_assignment_folders q
                             where q.organization_id = $1 and q.role_assignment_id = p.role_assignment_id
                               and q.folder_id not in (select id from f)))
               select 'deleted' as "what!", 'folder' as "kind!", id as "id!" from f
               union all select 'deleted', 'user_group', id from g
               union all select 'deleted', 'team', id from t
               union all select 'deleted', 'role', id from r
               union all select 'deleted', 'role_assignment', id from a
               union all select 'deleted', 'user', $7::uuid where $7 is not null
               union all select 'affected', 'role_assignment', p.role_assignment_id from role_assignment_folders p
                   where p.organization_id = $1 and p.folder_id in (select id from f)
               union all select 'affected', 'user', m.user_id from user_group_members m
                   where m.organization_id = $1 and m.user_group_id in (select id from g)
               union all select 'affected', 'user_group', m.user_group_id from user_group_members m
                   where m.organization_id = $1 and m.user_id = $7
               union all select 'affected', 'team', id from teams where organization_id = $1 and leader_id = $7
               union all select 'affected', 'team', team_id from team_people where organization_id = $1 and user_id = $7
               union all select 'affected', 'invitation', id from invitations where organization_id = $1 and invited_by = $7
               union all select 'affected', 'invitation', invitation_id from invitation_user_groups
                   where organization_id = $1 and user_group_id in (select id from g)
               union all select 'affected', 'invitation', invitation_id from invitation_teams
                   where organization_id = $1 and team_id in (select id from t)
               union all select 'revoked', 'invitation', id from invitations
                   where organization_id = $1 and state = 'open' and folder_id in (select id from f)
               union all select 'credential', 'user', id from sessions where organization_id = $1 and user_id = $7
               union all select 'credential', 'user', id from personal_access_tokens where organization_id = $1 and user_id = $7"#,
            tx.organization_id() as OrganizationId,
            of(Kind::Folder),
            of(Kind::UserGroup),
            of(Kind::Team),
            of(Kind::Role),
            of(Kind::RoleAssignment),
            of(Kind::User)
        )
        .fetch_all(tx.connection())
        .await?;
        let mut fate = Self::default();
        for row in rows {
            let kind = Kind::find(&row.kind).ok_or_else(|| Error::Internal(format!("no kind {}", row.kind)))?;
            match row.what.as_str() {
                "deleted" => drop(fate.deleted.entry(kind).or_default().insert(row.id)),
                "affected" => drop(fate.affected.entry(kind).or_default().insert(row.id)),
                "revoked" => {
                    fate.affected.entry(kind).or_default().insert(row.id);
                    fate.revoked.push(row.id);
                }
                _ => fate.credentials += 1,
            }
        }
        for (kind, affected) in &mut fate.affected {
            if let Some(deleted) = fate.deleted.get(kind) {
                affected.retain(|id| !deleted.contains(id));
            }
        }
        fate.affected.retain(|_, ids| !ids.is_empty());
        Ok(fate)
    }

    fn ids(set: &BTreeMap<Kind, BTreeSet<Uuid>>, kind: Kind) -> Vec<Uuid> {
        set.get(&kind).into_iter().flatten().copied().collect()
    }

    /// Does it.
    async fn fulfil(&self, tx: &mut Tx) -> Result<()> {
        for id in &self.revoked {
            invitations::revoke_with_folder(tx, (*id).into()).await?;
        }
        let affected = |kind| Self::ids(&self.affected, kind);
        let deleted = |kind| Self::ids(&self.deleted, kind);
        // What is affected is not what its readers saw any more.
        sqlx::query!(
            "with
             u as (update users set version = version + 1, updated_at = $2 where organization_id = $1 and id = any($3)),
             g as (update user_groups set version = version + 1, updated_at = $2 where organization_id = $1 and id = any($4)),
             t as (update teams set version = version + 1, updated_at = $2 where organization_id = $1 and id = any($5)),
             a as (update role_assignments set version = version + 1, updated_at = $2 where organization_id = $1 and id = any($6))
             update invitations set version = version + 1 where organization_id = $1 and id = any($7)",
            tx.organization_id() as OrganizationId,
            tx.now(),
            &affected(Kind::User),
            &affected(Kind::UserGroup),
            &affected(Kind::Team),
            &affected(Kind::RoleAssignment),
            &affected(Kind::Invitation)
        )
        .execute(tx.connection())
        .await?;
        let (folders, assignments) = (deleted(Kind::Folder), deleted(Kind::RoleAssignment));
        for (kind, ids) in [
            (Kind::RoleAssignment, &assignments),
            (Kind::Team, &deleted(Kind::Team)),
            (Kind::User, &deleted(Kind::User)),
        ] {
            delete_rows(tx, kind, ids).await?;
        }
        sqlx::query!(
            "delete from role_assignment_folders where organization_id = $1 and folder_id = any($2)",
            tx.organization_id() as OrganizationId,
            &folders
        )
        .execute(tx.connection())
        .await?;
        for (kind, ids) in
            [(Kind::UserGroup, &deleted(Kind::UserGroup)), (Kind::Role, &deleted(Kind::Role)), (Kind::Folder, &folders)]
        {
            delete_rows(tx, kind, ids).await?;
        }
        Ok(())
    }

    /// How many of each kind, for the audit log.
    fn summary(&self) -> Value {
        let count = |set: &BTreeMap<Kind, BTreeSet<Uuid>>| -> Value {
            set.iter()
                .map(|(kind, ids)| (kind.model().to_owned(), json!(ids.len())))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        json!({ "deleted": count(&self.deleted), "affected": count(&self.affected) })
    }
}

async fn delete_rows(tx: &mut Tx, kind: Kind, ids: &[Uuid]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let organization = tx.organization_id();
    let mut query = sqlx::QueryBuilder::new(format!("delete from {} where o.organization_id = ", kind.table()));
    query.push_bind(organization).push(" and o.id = any(").push_bind(ids.to_vec()).push(")");
    query.build().execute(tx.connection()).await?;
    Ok(())
}

/// Deletes an object that the caller may delete, with all that hangs on it.
pub(crate) async fn delete<T: Object>(
    tx: &mut Tx,
    caller: &Caller,
    id: Uuid,
    if_version: Option<i64>,
    action: &'static str,
) -> Result<()> {
    let rights = Rights::lock(tx, caller).await?;
    let object: T = get_to_change(tx, caller, id, T::KIND.delete(), if_version).await?;
    drop_object(tx, &object, action).await?;
    rights.check(tx).await
}

/// Deletes an object with all that hangs on it, and says so in the audit log. Under the lock, and after every rule was asked.
pub(crate) async fn drop_object<T: Object>(tx: &mut Tx, object: &T, action: &'static str) -> Result<()> {
    let fate = Fate::find(tx, T::KIND, object.id()).await?;
    fate.fulfil(tx).await?;
    tx.audit(Event::new(action, T::KIND.model(), object.id(), object.name()).with(fate.summary())).await
}
