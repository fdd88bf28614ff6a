//! Making, changing and deleting teams.

use uuid::Uuid;

use super::Team;
use super::people::{People, check_lists};
use crate::access::{Access, AddTeam, ChangeTeam, DeleteTeam, Permission, lock};
use crate::audit::Event;
use crate::db::Tx;
use crate::email_address::EmailAddress;
use crate::error::{Check, Error, Refusal, Result, on_constraint};
use crate::ids::{FolderId, OrganizationId, TeamId, UserId};
use crate::objects::{self, Edit, Managed, check_description};
use crate::text::check_name;

/// A team to be.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct NewTeam {
    pub name: String,
    pub description: Option<String>,
    /// The root if not given.
    pub folder: Option<Uuid>,
    pub team_email: Option<String>,
    pub leader: Option<Uuid>,
    pub deputies: Vec<Uuid>,
    pub members: Vec<Uuid>,
}

/// What to change; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct TeamPatch {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub folder: Option<Uuid>,
    pub team_email: Option<Option<String>>,
    pub leader: Option<Option<Uuid>>,
    pub deputies: Option<Edit<Uuid>>,
    pub members: Option<Edit<Uuid>>,
    /// Whether it is all there is to be: then a leader whom the caller does not see stays where he names none.
    pub is_replacement: bool,
}

/// Makes a team.
///
/// Errors: 400 for a folder or a user that is not there, 403 `permission_denied`, 409 `name_taken`.
pub async fn create(tx: &mut Tx, by: &Access<AddTeam>, new: &NewTeam) -> Result<Team> {
    let patch = TeamPatch {
        leader: Some(new.leader),
        deputies: Some(Edit::Set(new.deputies.clone())),
        members: Some(Edit::Set(new.members.clone())),
        ..TeamPatch::default()
    };
    let mut check = Check::default();
    let name = check_name(&mut check, &new.name);
    let description = check_description(&mut check, new.description.as_deref());
    let team_email = check_email(&mut check, new.team_email.as_deref());
    check_lists(&mut check, &patch);
    check.done()?;
    lock(tx).await?;
    let folder = objects::get_housing(tx, by.caller(), Permission::AddTeam, "folder", new.folder).await?;
    let people = People::after(tx, by.caller(), None, &patch).await?;
    let id: TeamId = tx.new_id();
    sqlx::query!(
        "insert into teams (organization_id, id, folder_id, name, description, team_email, leader_id, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        tx.organization_id() as OrganizationId,
        id as TeamId,
        folder as FolderId,
        name,
        description,
        team_email,
        people.leader.map(UserId::from) as Option<UserId>,
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(taken)?;
    people.store(tx, id).await?;
    tx.audit(Event::new("team.created", "team", id, &name)).await?;
    objects::load(tx, id.into()).await
}

/// Changes a team, or moves it to another folder.
///
/// Errors: 400 for a folder or a user that is not there, 403 `permission_denied`, 409 `name_taken`, `team_full`, 412.
async fn change(
    tx: &mut Tx,
    by: &Access<ChangeTeam>,
    id: TeamId,
    patch: &TeamPatch,
    if_version: Option<i64>,
) -> Result<Team> {
    let caller = by.caller();
    let mut check = Check::default();
    let name = patch.name.as_deref().map(|name| check_name(&mut check, name));
    let description = patch.description.as_ref().map(|text| check_description(&mut check, text.as_deref()));
    let team_email = patch.team_email.as_ref().map(|text| check_email(&mut check, text.as_deref()));
    check_lists(&mut check, patch);
    check.done()?;
    lock(tx).await?;
    let old: Team = objects::get_to_change(tx, caller, id.into(), Permission::ChangeTeam, if_version).await?;
    let folder = objects::get_new_housing::<Team>(tx, caller, Permission::AddTeam, old.folder_id, patch.folder).await?;
    let people = People::after(tx, caller, Some(&old), patch).await?;
    sqlx::query!(
        "update teams set name = coalesce($3, name), description = case when $4 then $5 else description end,
             folder_id = coalesce($6, folder_id), team_email = case when $7 then $8 else team_email end, leader_id = $9,
             version = version + 1, updated_at = $10
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as TeamId,
        name,
        description.is_some(),
        description.flatten(),
        folder as Option<FolderId>,
        team_email.is_some(),
        team_email.flatten(),
        people.leader.map(UserId::from) as Option<UserId>,
        tx.now()
    )
    .execute(tx.connection())
    .await
    .map_err(taken)?;
    people.store(tx, id).await?;
    let new: Team = objects::load(tx, id.into()).await?;
    tx.audit(Event::new("team.changed", "team", id, &new.name)).await?;
    Ok(new)
}

/// An address; an empty one is none.
fn check_email(check: &mut Check, text: Option<&str>) -> Option<String> {
    let text = text.filter(|text| !text.is_empty())?;
    check.take(EmailAddress::parse("team_email", text)).map(|address| address.as_str().to_owned())
}

fn taken(error: sqlx::Error) -> Error {
    on_constraint(error, "teams_one_per_name", || {
        Refusal::conflict("name_taken", "There is a team of this name in this folder already.")
    })
}

impl Managed for Team {
    type Patch = TeamPatch;
    type MayChange = ChangeTeam;
    type MayDelete = DeleteTeam;

    async fn change(
        tx: &mut Tx,
        by: &Access<ChangeTeam>,
        id: Uuid,
        patch: &TeamPatch,
        if_version: Option<i64>,
    ) -> Result<Self> {
        change(tx, by, id.into(), patch, if_version).await
    }

    /// Deletes a team. Its people stay.
    ///
    /// Errors: 403 `permission_denied`, 412.
    async fn delete(tx: &mut Tx, by: &Access<DeleteTeam>, id: Uuid, if_version: Option<i64>) -> Result<()> {
        objects::delete::<Team>(tx, by.caller(), id, if_version, "team.deleted").await
    }
}
