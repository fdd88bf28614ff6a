//! Making and deleting role assignments, and what holds for every grant.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{MAX_PERIMETER, RoleAssignment};
use crate::access::{Access, AddRoleAssignment, Caller, Permission, Reach, cannot_grant, demand_grantable};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Check, FieldError, Result};
use crate::ids::{FolderId, OrganizationId, RoleAssignmentId, RoleId, UserGroupId, UserId};
use crate::objects::{self, Kind, check_description};
use crate::text::check_name;
use crate::users::User;

/// Who holds what where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Who: a user, or a group.
    pub user: Option<Uuid>,
    /// See `user`.
    pub user_group: Option<Uuid>,
    /// What.
    pub role: Uuid,
    /// Over which folders.
    pub perimeter_folders: Vec<Uuid>,
    /// Whether also over all that is below them.
    pub is_recursive: bool,
}

/// An assignment to be.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct NewRoleAssignment {
    pub name: String,
    pub description: Option<String>,
    /// The root if not given.
    pub folder: Option<Uuid>,
    pub is_published: bool,
    pub holding: Holding,
}

impl From<&RoleAssignment> for Holding {
    fn from(row: &RoleAssignment) -> Self {
        Self {
            user: row.user_id,
            user_group: row.user_group_id,
            role: row.role_id,
            perimeter_folders: row.perimeter_folders.clone(),
            is_recursive: row.is_recursive,
        }
    }
}

impl Holding {
    pub(super) fn check(&self) -> Result<(), FieldError> {
        if self.user.is_some() == self.user_group.is_some() {
            let message = "A role is given to a user or to a group: to one of them.";
            return Err(FieldError::new("user", "one_holder", message));
        }
        let message = match self.perimeter_folders.len() {
            0 => "A role is given over one folder at least.".to_owned(),
            count if count > MAX_PERIMETER => format!("A role is given over at most {MAX_PERIMETER} folders."),
            _ => return Ok(()),
        };
        let code = if self.perimeter_folders.is_empty() { "required" } else { "too_many" };
        Err(FieldError::new("perimeter_folders", code, message))
    }

    /// Refuses to name what is not there for the caller. What was named before stays.
    pub(super) async fn check_seen(&self, tx: &mut Tx, caller: &Caller, before: Option<&Self>) -> Result<()> {
        let (user, group) = (before.and_then(|before| before.user), before.and_then(|before| before.user_group));
        let (role, folders) = (before.map(|before| before.role), before.map_or(&[][..], |b| &b.perimeter_folders));
        let added = |id: Option<Uuid>, old: Option<Uuid>| id.filter(|id| Some(*id) != old);
        objects::check_seen(tx, caller, Kind::User, "user", added(self.user, user)).await?;
        objects::check_seen(tx, caller, Kind::UserGroup, "user_group", added(self.user_group, group)).await?;
        objects::check_seen(tx, caller, Kind::Role, "role", added(Some(self.role), role)).await?;
        let over = self.perimeter_folders.iter().copied().filter(|id| !folders.contains(id));
        objects::check_seen(tx, caller, Kind::Folder, "perimeter_folders", over).await
    }

    /// Whoever gives this must hold it himself, and the right to give it, over every folder of it.
    pub(super) async fn demand_grantable(&self, tx: &mut Tx, caller: &Caller, permission: Permission) -> Result<()> {
        let permissions = sqlx::query_scalar!(
            "select permissions from roles where organization_id = $1 and id = $2",
            tx.organization_id() as OrganizationId,
            RoleId::from(self.role) as RoleId
        )
        .fetch_optional(tx.connection())
        .await?;
        let mut permissions = permissions.ok_or_else(cannot_grant)?;
        permissions.push(permission.codename().to_owned());
        let folders: Vec<FolderId> = self.perimeter_folders.iter().map(|id| (*id).into()).collect();
        demand_grantable(tx, caller.holder(), &permissions, &folders, self.is_recursive).await
    }

    /// Nobody is drafted: someone new in an assignment is tied to its perimeter already, or one whom the caller may change; else a
    /// role over one's own folders would make anyone at all one of their people. Who may give it everywhere needs none of that.
    pub(super) async fn demand_not_drafted(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        permission: Permission,
        before: Option<&Self>,
    ) -> Result<()> {
        let known = before.and_then(|before| before.user);
        let Some(user) = self.user.filter(|user| Some(*user) != known && *user != Uuid::from(caller.user_id)) else {
            return Ok(());
        };
        if Reach::load(tx, caller.holder(), permission).await?.everything {
            return Ok(());
        }
        let deep: &[Uuid] = if self.is_recursive { &self.perimeter_folders } else { &[] };
        let is_tied = sqlx::query_scalar!(
            r#"select is_tied_within($1, $2, $3) as "is_tied!""#,
            UserId::from(user) as UserId,
            deep,
            &self.perimeter_folders
        )
        .fetch_one(tx.connection())
        .await?;
        if !is_tied {
            objects::get_held::<User>(tx, caller, user, Permission::ChangeUser).await?;
        }
        Ok(())
    }

    pub(super) fn for_audit(&self) -> Value {
        let Self { user, user_group, role, perimeter_folders, is_recursive } = self;
        json!({
            "user": user, "user_group": user_group, "role": role, "perimeter_folders": perimeter_folders,
            "is_recursive": is_recursive,
        })
    }
}

/// Gives someone a role over some folders.
///
/// Errors: 400 for what is not there, 403 `permission_denied`, `cannot_grant`.
pub async fn create(tx: &mut Tx, by: &Access<AddRoleAssignment>, new: &NewRoleAssignment) -> Result<RoleAssignment> {
    let mut check = Check::default();
    let name = check_name(&mut check, &new.name);
    let description = check_description(&mut check, new.description.as_deref());
    check.take(new.holding.check());
    check.done()?;
    let Holding { user, user_group, role, is_recursive, .. } = new.holding;
    crate::access::lock(tx).await?;
    let folder = objects::get_housing(tx, by.caller(), Permission::AddRoleAssignment, "folder", new.folder).await?;
    new.holding.check_seen(tx, by.caller(), None).await?;
    new.holding.demand_grantable(tx, by.caller(), Permission::AddRoleAssignment).await?;
    new.holding.demand_not_drafted(tx, by.caller(), Permission::AddRoleAssignment, None).await?;
    let id: RoleAssignmentId = tx.new_id();
    sqlx::query!(
        "insert into role_assignments (organization_id, id, folder_id, name, description, user_id, user_group_id, role_id,
             is_recursive, is_published, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
        tx.organization_id() as OrganizationId,
        id as RoleAssignmentId,
        folder as FolderId,
        name,
        description,
        user.map(UserId::from) as Option<UserId>,
        user_group.map(UserGroupId::from) as Option<UserGroupId>,
        RoleId::from(role) as RoleId,
        is_recursive,
        new.is_published,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    add_folders(tx, id, &new.holding.perimeter_folders).await?;
    let event = Event::new("role_assignment.created", "role_assignment", id, &name);
    tx.audit(event.with(new.holding.for_audit())).await?;
    objects::load(tx, id.into()).await
}

/// Lets an assignment go over these folders, too.
pub(super) async fn add_folders(tx: &mut Tx, id: RoleAssignmentId, folders: &[Uuid]) -> Result<()> {
    sqlx::query!(
        "insert into role_assignment_folders (organization_id, role_assignment_id, folder_id)
         select $1, $2, unnest($3::uuid[]) on conflict do nothing",
        tx.organization_id() as OrganizationId,
        id as RoleAssignmentId,
        folders
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
