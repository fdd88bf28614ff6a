//! Whom invitations bring into teams.

use uuid::Uuid;

use crate::access::{Caller, Holder, Permission, cannot_grant};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{InvitationId, OrganizationId, UserId};
use crate::objects::{self, Kind};

/// Whether someone may put people into all of these teams.
pub(crate) async fn joinable(tx: &mut Tx, holder: Holder<'_>, teams: &[Uuid]) -> Result<bool> {
    if teams.is_empty() {
        return Ok(true);
    }
    Ok(sqlx::query_scalar!(
        r#"select not exists (
               select from teams t where t.organization_id = $1 and t.id = any($4)
                 and not holds($2, $3, array[$5], t.folder_id, false)) as "may!""#,
        tx.organization_id() as OrganizationId,
        holder.user as UserId,
        holder.scope,
        teams,
        Permission::ChangeTeam.codename()
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Teams that someone is to join must be there for the caller, and be his to change.
pub(crate) async fn check_joinable(tx: &mut Tx, caller: &Caller, teams: &[Uuid]) -> Result<()> {
    objects::check_seen(tx, caller, Kind::Team, "teams", teams.iter().copied()).await?;
    if joinable(tx, caller.holder(), teams).await? { Ok(()) } else { Err(cannot_grant().into()) }
}

/// Makes a user a member of the teams that his invitation names, as far as they are there still. Nobody is turned away because
/// a team is full: he was asked to come.
pub(crate) async fn add_member(tx: &mut Tx, user: UserId, invitation: InvitationId) -> Result<()> {
    sqlx::query!(
        "with joined as (
             insert into team_people (organization_id, team_id, part, user_id)
             select i.organization_id, i.team_id, 'member', $3 from invitation_teams i
             where i.organization_id = $1 and i.invitation_id = $2
             returning team_id)
         update teams set version = version + 1, updated_at = $4
         where organization_id = $1 and id in (select team_id from joined)",
        tx.organization_id() as OrganizationId,
        invitation as InvitationId,
        user as UserId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
