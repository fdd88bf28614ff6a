//! Changes of who may do what: one after the other, and never so that nobody is left to put things right.

use serde_json::Value;
use uuid::Uuid;

use super::{Caller, Holder};
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{FolderId, OrganizationId, UserId};

/// How things stood before a change, and the lock under which it is made.
#[derive(Debug)]
pub(crate) struct Rights {
    caller: UserId,
    before: State,
}

#[derive(Debug)]
struct State {
    /// What the caller was granted.
    own: Value,
    /// Whether there is an active superuser without an end.
    superuser: bool,
    /// Whether there is such a user who holds the built-in role `administrator` over the whole tree.
    administrator: bool,
}

impl Rights {
    /// Waits until nobody else changes, in this organization, who may do what, or what there is to do it with; then nobody
    /// else does until this unit of work ends. What was asked before is to be asked again. Taken before any other lock.
    pub(crate) async fn lock(tx: &mut Tx, caller: &Caller) -> Result<Self> {
        lock(tx).await?;
        Ok(Self { caller: caller.user_id, before: look(tx, caller.user_id).await? })
    }

    /// Refuses what was done if it took the last superuser, the last administrator, or a right of the caller's own.
    pub(crate) async fn check(self, tx: &mut Tx) -> Result<()> {
        let after = look(tx, self.caller).await?;
        if self.before.superuser && !after.superuser {
            let detail = "This is the last active superuser: make another one first.";
            return Err(Refusal::conflict("last_superuser", detail).into());
        }
        if self.before.administrator && !after.administrator {
            let detail = "This would leave the organization without an administrator: make another one first.";
            return Err(Refusal::conflict("last_administrator", detail).into());
        }
        if self.before.own != after.own && self.lost_some(tx).await? {
            return Err(Refusal::conflict("cannot_change_oneself", "Nobody takes rights from himself.").into());
        }
        Ok(())
    }

    /// Whether the caller lost something over a folder that is still there.
    async fn lost_some(&self, tx: &mut Tx) -> Result<bool> {
        Ok(sqlx::query_scalar!(
            r#"select exists (
                   select from jsonb_to_recordset($3) as had(folder uuid, deeply boolean, permissions text[])
                   join folders f on f.organization_id = $1 and f.id = had.folder
                   where not holds($2, null, had.permissions, had.folder, had.deeply)) as "lost!""#,
            tx.organization_id() as OrganizationId,
            self.caller as UserId,
            self.before.own
        )
        .fetch_one(tx.connection())
        .await?)
    }
}

/// The lock alone, for what gives rights but takes none.
pub(crate) async fn lock(tx: &mut Tx) -> Result<()> {
    sqlx::query!(
        "select organization_id from organizations where organization_id = $1 for no key update",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(())
}

/// The other side of that lock: nobody changes rights, or what they are held over, until this unit of work ends. Any number
/// hold it at once.
pub(crate) async fn hold(tx: &mut Tx) -> Result<()> {
    sqlx::query!(
        "select organization_id from organizations where organization_id = $1 for share",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(())
}

/// Whether there is someone who holds the built-in role `administrator` over the whole tree.
pub(crate) async fn has_administrator(tx: &mut Tx) -> Result<bool> {
    Ok(look(tx, UserId::from(Uuid::nil())).await?.administrator)
}

async fn look(tx: &mut Tx, caller: UserId) -> Result<State> {
    Ok(sqlx::query_as!(
        State,
        r#"select
               (select coalesce(jsonb_agg(jsonb_build_object('folder', g.folder_id, 'deeply', g.is_recursive,
                       'permissions', g.permissions) order by g.role_assignment_id, g.folder_id), '[]')
                from grants_of($2) g) as "own!",
               exists (select from users u where u.organization_id = $1 and u.is_superuser and u.is_active
                   and u.expiry_date is null) as "superuser!",
               -- From the root on: assignments of this role there may be many, and users more.
               exists (select from role_assignment_folders p
                   join role_assignments a on a.organization_id = p.organization_id and a.id = p.role_assignment_id
                   where p.organization_id = $1 and p.folder_id = root_folder_id() and a.is_recursive
                     and a.role_id = (select id from roles where organization_id = $1 and builtin and name = 'administrator')
                     and (exists (select from users u where u.organization_id = $1 and u.id = a.user_id
                             and u.is_active and u.expiry_date is null)
                         or exists (select from user_group_members m
                             join users u on u.organization_id = m.organization_id and u.id = m.user_id
                             where m.organization_id = $1 and m.user_group_id = a.user_group_id
                               and u.is_active and u.expiry_date is null))) as "administrator!""#,
        tx.organization_id() as OrganizationId,
        caller as UserId
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Refuses to give rights that the caller does not hold himself: permissions over some folders, `deeply` also over what is
/// below them.
pub(crate) async fn demand_grantable(
    tx: &mut Tx,
    holder: Holder<'_>,
    permissions: &[String],
    folders: &[FolderId],
    deeply: bool,
) -> Result<()> {
    let folders: Vec<Uuid> = folders.iter().map(|folder| (*folder).into()).collect();
    let may = sqlx::query_scalar!(
        r#"select not exists (select from unnest($4::uuid[]) f(id) where not holds($1, $2, $3, f.id, $5)) as "may!""#,
        holder.user as UserId,
        holder.scope,
        permissions,
        &folders,
        deeply
    )
    .fetch_one(tx.connection())
    .await?;
    if may { Ok(()) } else { Err(cannot_grant().into()) }
}

/// Nobody gives what he does not hold.
pub(crate) fn cannot_grant() -> Refusal {
    Refusal::forbidden("cannot_grant", "You can give only the rights that you hold yourself, where you hold them.")
}
