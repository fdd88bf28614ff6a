//! Role assignments as bodies.

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use poem_openapi::types::MaybeUndefined;
use tenantry_shared::Refusal;
use tenantry_shared::objects::{Edit, Kind};
use tenantry_shared::role_assignments::{Holding, NewRoleAssignment, RoleAssignment, RoleAssignmentPatch};
use uuid::Uuid;

use crate::input::Input;
use crate::objects::{Batched, How, Ref, Shape, StoredRef, View, cleared, kept};

/// A role that was given to a user or a group, over some folders.
#[derive(Debug, Object)]
#[oai(rename = "RoleAssignment")]
pub(crate) struct RoleAssignmentOut {
    /// Its id.
    id: Uuid,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
    /// Whether those who see assignments somewhere below its folder see it, too.
    is_published: bool,
    /// Its name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// Whether it goes over all that is below its perimeter as well.
    is_recursive: bool,
    /// Whether its folder was born with it: then it can't be changed or deleted.
    builtin: bool,
    /// The folder it lies in.
    folder: Ref,
    /// The user who holds it; none where a group does.
    user: Option<Ref>,
    /// The group whose members hold it; none where a user does.
    user_group: Option<Ref>,
    /// The role.
    role: Ref,
    /// The folders it goes over, as far as you may see them.
    perimeter_folders: Vec<Ref>,
}

/// A role assignment as it is stored.
#[derive(Debug, Object)]
#[oai(rename = "RoleAssignmentObject")]
pub(crate) struct RoleAssignmentStored {
    /// Its id.
    id: Uuid,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
    /// Whether those who see assignments somewhere below its folder see it, too.
    is_published: bool,
    /// Its name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// Whether it goes over all that is below its perimeter as well.
    is_recursive: bool,
    /// Whether its folder was born with it: then it can't be changed or deleted.
    builtin: bool,
    /// The folder it lies in.
    folder: StoredRef,
    /// The user who holds it; none where a group does.
    user: Option<StoredRef>,
    /// The group whose members hold it; none where a user does.
    user_group: Option<StoredRef>,
    /// The role.
    role: StoredRef,
    /// The folders it goes over, as far as you may see them.
    perimeter_folders: Vec<Uuid>,
}

impl Shape for RoleAssignment {
    type Out = RoleAssignmentOut;
    type Stored = RoleAssignmentStored;

    fn out(self, view: &View<'_>) -> RoleAssignmentOut {
        let names = &view.names;
        RoleAssignmentOut {
            id: self.id,
            created_at: self.created_at,
            updated_at: self.updated_at,
            is_published: self.is_published,
            name: self.name,
            description: self.description,
            is_recursive: self.is_recursive,
            builtin: self.builtin,
            folder: Ref::new(names, Kind::Folder, self.folder_id),
            user: self.user_id.map(|id| Ref::new(names, Kind::User, id)),
            user_group: self.user_group_id.map(|id| Ref::new(names, Kind::UserGroup, id)),
            role: Ref::new(names, Kind::Role, self.role_id),
            perimeter_folders: Ref::all(names, Kind::Folder, &self.perimeter_folders),
        }
    }

    fn stored(self, view: &View<'_>) -> RoleAssignmentStored {
        let names = &view.names;
        RoleAssignmentStored {
            id: self.id,
            created_at: self.created_at,
            updated_at: self.updated_at,
            is_published: self.is_published,
            name: self.name,
            description: self.description,
            is_recursive: self.is_recursive,
            builtin: self.builtin,
            folder: StoredRef::new(names, Kind::Folder, self.folder_id),
            user: self.user_id.map(|id| StoredRef::new(names, Kind::User, id)),
            user_group: self.user_group_id.map(|id| StoredRef::new(names, Kind::UserGroup, id)),
            role: StoredRef::new(names, Kind::Role, self.role_id),
            perimeter_folders: StoredRef::all(names, Kind::Folder, &self.perimeter_folders),
        }
    }
}

/// A role to be given, or what takes the place of an assignment.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct RoleAssignmentIn {
    /// Whether those who see assignments somewhere below its folder see it, too.
    #[oai(default)]
    is_published: bool,
    /// Its name, at most 200 characters.
    name: String,
    /// What it is for, at most 4000 characters.
    description: Option<String>,
    /// Whether it goes over all that is below its perimeter as well. If not given, it goes over the folders that are named and
    /// no others.
    #[oai(default)]
    is_recursive: bool,
    /// The folder it lies in; the root if not given. Who sees and changes it is a matter of this folder, what it gives one of
    /// its perimeter.
    folder: Option<Uuid>,
    /// The user who gets it: this or `user_group`.
    user: Option<Uuid>,
    /// The group whose members get it: this or `user`.
    user_group: Option<Uuid>,
    /// The role.
    role: Uuid,
    /// The folders it goes over: 1 to 1000.
    perimeter_folders: Vec<Uuid>,
}

impl From<RoleAssignmentIn> for NewRoleAssignment {
    fn from(body: RoleAssignmentIn) -> Self {
        let RoleAssignmentIn { name, description, folder, is_published, .. } = body;
        let RoleAssignmentIn { user, user_group, role, perimeter_folders, is_recursive, .. } = body;
        let holding = Holding { user, user_group, role, perimeter_folders, is_recursive };
        Self { name, description, folder, is_published, holding }
    }
}

impl From<RoleAssignmentIn> for RoleAssignmentPatch {
    fn from(body: RoleAssignmentIn) -> Self {
        Self {
            name: Some(body.name),
            description: Some(body.description),
            folder: body.folder,
            is_published: Some(body.is_published),
            user: Some(body.user),
            user_group: Some(body.user_group),
            role: Some(body.role),
            perimeter_folders: Some(Edit::Set(body.perimeter_folders)),
            is_recursive: Some(body.is_recursive),
        }
    }
}

/// What to change of a role assignment (RFC 7396): what is absent stays, `null` clears.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct RoleAssignmentPatchIn {
    /// Whether those who see assignments somewhere below its folder see it, too.
    is_published: MaybeUndefined<bool>,
    /// Its name.
    name: MaybeUndefined<String>,
    /// What it is for; `null` clears it.
    description: MaybeUndefined<String>,
    /// Whether it goes over all that is below its perimeter as well.
    is_recursive: MaybeUndefined<bool>,
    /// The folder it lies in.
    folder: MaybeUndefined<Uuid>,
    /// The user who gets it; `null` where a group is to get it instead.
    user: MaybeUndefined<Uuid>,
    /// The group whose members get it; `null` where a user is to get it instead.
    user_group: MaybeUndefined<Uuid>,
    /// The role.
    role: MaybeUndefined<Uuid>,
    /// The folders it goes over, all that you see: 1 to 1000.
    perimeter_folders: MaybeUndefined<Vec<Uuid>>,
}

const READ_ONLY: &[&str] = &["id", "created_at", "updated_at", "builtin"];

impl Input for RoleAssignmentIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Input for RoleAssignmentPatchIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Batched for RoleAssignment {
    type PatchIn = RoleAssignmentPatchIn;
    const FIELDS: &'static [&'static str] = &["name", "description", "is_published", "is_recursive", "role"];
    const LISTS: &'static [&'static str] = &["perimeter_folders"];

    fn patch(body: RoleAssignmentPatchIn, lists: How) -> Result<RoleAssignmentPatch, Refusal> {
        Ok(RoleAssignmentPatch {
            name: kept("name", body.name)?,
            description: cleared(body.description),
            folder: kept("folder", body.folder)?,
            is_published: kept("is_published", body.is_published)?,
            user: cleared(body.user),
            user_group: cleared(body.user_group),
            role: kept("role", body.role)?,
            perimeter_folders: kept("perimeter_folders", body.perimeter_folders)?.map(|list| lists.edit(list)),
            is_recursive: kept("is_recursive", body.is_recursive)?,
        })
    }
}
