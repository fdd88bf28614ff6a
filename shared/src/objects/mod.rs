//! What folders, roles, assignments, groups, teams and users have in common: who sees one, who may change it, how others
//! name it, what goes with it when it is deleted.

mod batch;
mod cascade;
mod fate;
mod names;

use std::collections::HashSet;

use uuid::Uuid;

pub use batch::{Done, Edit, Failed, MAX_BATCH, Managed, Outcome, change_many, delete_many};
pub(crate) use cascade::preview;
pub use cascade::{Cascade, Group, Named, Part, cascade};
pub(crate) use fate::{delete, drop_object};
pub(crate) use names::name_of_user;
pub use names::{Names, Wanted, resolve};

use crate::access::{Access, Caller, Permission, Reach, denied};
use crate::db::Tx;
use crate::error::{Check, Refusal, Result};
use crate::folders;
use crate::ids::{FolderId, UserId};
use crate::page::{Listed, Page, PageRequest, Query};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A place in the tree.
    Folder,
    /// A named set of permissions.
    Role,
    /// A role given to someone.
    RoleAssignment,
    /// Users who get the same rights.
    UserGroup,
    /// Users who work together.
    Team,
    /// A person.
    User,
    /// Someone who may become one.
    Invitation,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Folder, Self::Role, Self::RoleAssignment, Self::UserGroup, Self::Team, Self::User, Self::Invitation];

    fn find(model: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.model() == model)
    }

    /// Its name on the wire and in the audit log.
    #[must_use]
    pub const fn model(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Role => "role",
            Self::RoleAssignment => "role_assignment",
            Self::UserGroup => "user_group",
            Self::Team => "team",
            Self::User => "user",
            Self::Invitation => "invitation",
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn verbose_name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Role => "role",
            Self::RoleAssignment => "role assignment",
            Self::UserGroup => "user group",
            Self::Team => "team",
            Self::User => "user",
            Self::Invitation => "invitation",
        }
    }

    /// What it takes to see one.
    pub(crate) const fn view(self) -> Permission {
        match self {
            Self::Folder => Permission::ViewFolder,
            Self::Role => Permission::ViewRole,
            Self::RoleAssignment => Permission::ViewRoleAssignment,
            Self::UserGroup => Permission::ViewUserGroup,
            Self::Team => Permission::ViewTeam,
            Self::User => Permission::ViewUser,
            Self::Invitation => Permission::ViewInvitation,
        }
    }

    /// What it takes to delete one.
    pub(crate) const fn delete(self) -> Permission {
        match self {
            Self::Folder => Permission::DeleteFolder,
            Self::Role => Permission::DeleteRole,
            Self::RoleAssignment => Permission::DeleteRoleAssignment,
            Self::UserGroup => Permission::DeleteUserGroup,
            Self::Team => Permission::DeleteTeam,
            Self::User => Permission::DeleteUser,
            Self::Invitation => Permission::InviteUser,
        }
    }

    /// Where they are stored, as `o`.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Folder => "folders o",
            Self::Role => "roles o",
            Self::RoleAssignment => "role_assignments o",
            Self::UserGroup => "user_groups o",
            Self::Team => "teams o",
            Self::User => "users o",
            Self::Invitation => "invitations o",
        }
    }

    /// Leaves of a query over `o` what is seen with a reach: the one definition that lists, counts, single reads and masking
    /// share. `me` sees himself.
    pub(crate) fn seen(self, query: &mut Query, reach: &Reach, me: UserId) {
        match self {
            Self::Folder => query.folders_within(reach),
            // One that is built in is for all, also where a release made it that knew nothing of publishing.
            Self::Role => query.within(reach, "o.folder_id", Some("(o.is_published or o.builtin)")),
            Self::RoleAssignment | Self::UserGroup => query.within(reach, "o.folder_id", Some("o.is_published")),
            Self::Team | Self::Invitation => query.within(reach, "o.folder_id", None),
            Self::User => query.people_within(reach, "o.id", Some(me)),
        }
    }

    /// Leaves of a query over `o` what may be changed or deleted with a reach. A folder is its parent's to change. A user is
    /// changed by whoever holds the permission over all that he is tied to; `me`, over something.
    fn held(self, query: &mut Query, reach: &Reach, me: UserId) {
        match self {
            Self::Folder => query.within(reach, "coalesce(o.parent_folder_id, o.id)", None),
            Self::Role | Self::RoleAssignment | Self::UserGroup | Self::Team | Self::Invitation => {
                query.within(reach, "o.folder_id", None)
            }
            Self::User => query.people_wholly_within(reach, me),
        }
    }
}

/// A row of one of them. `FROM` calls it `o`.
pub trait Object: Listed {
    /// Which kind.
    const KIND: Kind;
    /// What is read of it.
    const COLUMNS: &'static str;

    /// Its id.
    fn id(&self) -> Uuid;
    /// What a person calls it.
    fn name(&self) -> &str;
    /// Counts its changes.
    fn version(&self) -> i64;
    /// Whether it is of those an organization or a folder is born with, which nobody changes or deletes.
    fn is_builtin(&self) -> bool {
        false
    }
    /// Asks for the names of the objects it names.
    fn want(&self, wanted: &mut Wanted);
}

pub(crate) fn query<T: Object>(tx: &Tx) -> Query {
    Query::new(T::COLUMNS, T::KIND.table(), "o.organization_id", tx)
}

/// The objects that the caller sees and `narrow` leaves.
pub(crate) async fn list<T: Object, P>(
    tx: &mut Tx,
    by: &Access<P>,
    page: &PageRequest,
    narrow: impl FnOnce(&mut Query),
) -> Result<Page<T>> {
    let mut query = query::<T>(tx);
    narrow(&mut query);
    T::KIND.seen(&mut query, by.reach(), by.caller().user_id);
    query.fetch(tx, page).await
}

/// One object, if the caller sees it.
pub async fn get<T: Object, P>(tx: &mut Tx, by: &Access<P>, id: Uuid) -> Result<T> {
    find_seen(tx, by.caller(), by.reach(), id).await
}

async fn find_seen<T: Object>(tx: &mut Tx, caller: &Caller, reach: &Reach, id: Uuid) -> Result<T> {
    let mut query = query::<T>(tx);
    query.id("o.id", id);
    T::KIND.seen(&mut query, reach, caller.user_id);
    query.find(tx).await?.ok_or_else(|| Refusal::not_found().into())
}

/// One object, whoever asks.
pub(crate) async fn load<T: Object>(tx: &mut Tx, id: Uuid) -> Result<T> {
    let mut query = query::<T>(tx);
    query.id("o.id", id);
    query.find(tx).await?.ok_or_else(|| Refusal::not_found().into())
}

/// One object that the caller holds `permission` over; 404 if he does not even see it. To be asked under the lock.
pub(crate) async fn get_held<T: Object>(tx: &mut Tx, caller: &Caller, id: Uuid, permission: Permission) -> Result<T> {
    let reaches = Reach::load_all(tx, caller.holder(), &[T::KIND.view(), permission]).await?;
    let [view, held] = &reaches[..] else { return Err(denied(permission).into()) };
    let mut query = query::<T>(tx);
    query.id("o.id", id);
    T::KIND.held(&mut query, held, caller.user_id);
    match query.find(tx).await? {
        Some(found) => Ok(found),
        None => {
            find_seen::<T>(tx, caller, view, id).await?;
            Err(denied(permission).into())
        }
    }
}

/// The same for a change or a deletion: of what is not built in, and is what the caller saw.
pub(crate) async fn get_to_change<T: Object>(
    tx: &mut Tx,
    caller: &Caller,
    id: Uuid,
    permission: Permission,
    if_version: Option<i64>,
) -> Result<T> {
    let found: T = get_held(tx, caller, id, permission).await?;
    if if_version.is_some_and(|version| version != found.version()) {
        return Err(Refusal::stale().into());
    }
    if found.is_builtin() {
        let detail = format!("A built-in {} can't be changed or deleted.", T::KIND.verbose_name());
        return Err(Refusal::conflict("builtin", detail).into());
    }
    Ok(found)
}

/// The folder that an object is to lie in: one that the caller sees and holds `permission` over. The root if none is given.
pub(crate) async fn get_housing(
    tx: &mut Tx,
    caller: &Caller,
    permission: Permission,
    field: &'static str,
    folder: Option<Uuid>,
) -> Result<FolderId> {
    let folder = match folder {
        Some(folder) => {
            check_seen(tx, caller, Kind::Folder, field, [folder]).await?;
            folder.into()
        }
        None => folders::get_root(tx).await?,
    };
    if Reach::load(tx, caller.holder(), permission).await?.covers(tx, folder).await? {
        Ok(folder)
    } else {
        Err(denied(permission).into())
    }
}

/// The folder that an object is moved to, if it is: it leaves one over which the caller may delete such objects, and comes
/// into one over which he may `add` them.
pub(crate) async fn get_new_housing<T: Object>(
    tx: &mut Tx,
    caller: &Caller,
    add: Permission,
    from: Uuid,
    to: Option<Uuid>,
) -> Result<Option<FolderId>> {
    let Some(to) = to.filter(|to| *to != from) else { return Ok(None) };
    let delete = T::KIND.delete();
    if !Reach::load(tx, caller.holder(), delete).await?.covers(tx, from.into()).await? {
        return Err(denied(delete).into());
    }
    get_housing(tx, caller, add, "folder", Some(to)).await.map(Some)
}

/// Of the ids in a filter, those that the caller sees: or it would tell what an answer hides.
pub(crate) async fn only_seen(
    tx: &mut Tx,
    caller: &Caller,
    kind: Kind,
    ids: Option<&[Uuid]>,
) -> Result<Option<Vec<Uuid>>> {
    let Some(ids) = ids else { return Ok(None) };
    let seen = find_seen_of(tx, caller, kind, ids).await?;
    Ok(Some(ids.iter().copied().filter(|id| seen.contains(id)).collect()))
}

/// Which of some objects the caller sees.
pub(crate) async fn find_seen_of(tx: &mut Tx, caller: &Caller, kind: Kind, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    let mut wanted = Wanted::default();
    wanted.all(kind, ids);
    let names = resolve(tx, caller, wanted).await?;
    Ok(ids.iter().copied().filter(|id| names.get(kind, *id).is_some()).collect())
}

/// Refuses ids in a body that are not there for the caller.
pub(crate) async fn check_seen(
    tx: &mut Tx,
    caller: &Caller,
    kind: Kind,
    field: &'static str,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<()> {
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let seen = find_seen_of(tx, caller, kind, &ids).await?;
    if ids.iter().all(|id| seen.contains(id)) {
        return Ok(());
    }
    let detail = format!("There is no such {} for you.", kind.verbose_name());
    Err(Refusal::invalid_field(field, "not_found", detail).into())
}

/// A description: at most 4000 characters; an empty one is none.
pub(crate) fn check_description(check: &mut Check, description: Option<&str>) -> Option<String> {
    let text = description.filter(|text| !text.is_empty())?;
    let good = text.chars().count() <= 4000;
    check.that(good, "description", "too_long", "A description has at most 4000 characters.");
    Some(text.to_owned())
}
