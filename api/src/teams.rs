//! Teams.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::Refusal;
use tenantry_shared::access::{AddTeam, DeleteTeam, ViewTeam};
use tenantry_shared::objects::{self, Kind};
use tenantry_shared::teams::{self, NewTeam, Team, TeamFilter, TeamPatch};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::objects::{
    BatchIn, BatchOut, Batched, CascadeOut, How, IdList, Ref, Shape, StoredRef, View, batch, cleared, ids, kept,
};
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Created, Found, NoContent, Once, Turn, etag};

pub(crate) struct Api;

/// A team: people who work together. It gives nobody a right.
#[derive(Debug, Object)]
#[oai(rename = "Team")]
pub(crate) struct TeamOut {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// The folder it lies in.
    folder: Ref,
    /// Where mail for the whole team goes.
    team_email: Option<String>,
    /// The user who leads it.
    leader: Option<Ref>,
    /// Users who stand in for the leader, as far as you may see them.
    deputies: Vec<Ref>,
    /// Users who are in it, as far as you may see them.
    members: Vec<Ref>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

/// A team as it is stored.
#[derive(Debug, Object)]
#[oai(rename = "TeamObject")]
pub(crate) struct TeamStored {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// The folder it lies in.
    folder: StoredRef,
    /// Where mail for the whole team goes.
    team_email: Option<String>,
    /// The user who leads it.
    leader: Option<StoredRef>,
    /// Users who stand in for the leader, as far as you may see them.
    deputies: Vec<Uuid>,
    /// Users who are in it, as far as you may see them.
    members: Vec<Uuid>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

impl Shape for Team {
    type Out = TeamOut;
    type Stored = TeamStored;

    fn out(self, view: &View<'_>) -> TeamOut {
        TeamOut {
            id: self.id,
            name: self.name,
            description: self.description,
            folder: Ref::new(&view.names, Kind::Folder, self.folder_id),
            team_email: self.team_email,
            leader: self.leader_id.map(|id| Ref::new(&view.names, Kind::User, id)),
            deputies: Ref::all(&view.names, Kind::User, &self.deputies),
            members: Ref::all(&view.names, Kind::User, &self.members),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    fn stored(self, view: &View<'_>) -> TeamStored {
        TeamStored {
            id: self.id,
            name: self.name,
            description: self.description,
            folder: StoredRef::new(&view.names, Kind::Folder, self.folder_id),
            team_email: self.team_email,
            leader: self.leader_id.map(|id| StoredRef::new(&view.names, Kind::User, id)),
            deputies: StoredRef::all(&view.names, Kind::User, &self.deputies),
            members: StoredRef::all(&view.names, Kind::User, &self.members),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// A team to be made, or to take the place of one. Users that it names are those that you may see.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct TeamIn {
    /// Its name: unique in its folder whatever its case, at most 200 characters.
    name: String,
    /// What it is for, at most 4000 characters.
    description: Option<String>,
    /// The folder it lies in; the root if not given.
    folder: Option<Uuid>,
    /// Where mail for the whole team goes, at most 254 characters.
    team_email: Option<String>,
    /// The user who leads it.
    leader: Option<Uuid>,
    /// At most 1000 users who stand in for the leader.
    #[oai(default)]
    deputies: Vec<Uuid>,
    /// At most 1000 users who are in it.
    #[oai(default)]
    members: Vec<Uuid>,
}

/// What to change of a team (RFC 7396): what is absent stays, `null` clears. Users that it names are those that you may see;
/// deputies and members that you may not see stay.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct TeamPatchIn {
    /// Its name.
    name: MaybeUndefined<String>,
    /// What it is for; `null` clears it.
    description: MaybeUndefined<String>,
    /// The folder it lies in.
    folder: MaybeUndefined<Uuid>,
    /// Where mail for the whole team goes; `null` clears it.
    team_email: MaybeUndefined<String>,
    /// The user who leads it; `null` leaves it without, also where you may not see who it was.
    leader: MaybeUndefined<Uuid>,
    /// At most 1000 users who stand in for the leader, in place of those who do; `null` is none.
    deputies: MaybeUndefined<Vec<Uuid>>,
    /// At most 1000 users who are in it, in place of those who are; `null` is none.
    members: MaybeUndefined<Vec<Uuid>>,
}

const READ_ONLY: &[&str] = &["id", "created_at", "updated_at"];

impl Input for TeamIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Input for TeamPatchIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Batched for Team {
    type PatchIn = TeamPatchIn;
    const FIELDS: &'static [&'static str] = &["name", "description", "team_email", "leader"];
    const LISTS: &'static [&'static str] = &["deputies", "members"];

    fn patch(body: TeamPatchIn, lists: How) -> Result<TeamPatch, Refusal> {
        let edited = |list| cleared(list).map(|people: Option<Vec<Uuid>>| lists.edit(people.unwrap_or_default()));
        Ok(TeamPatch {
            name: kept("name", body.name)?,
            description: cleared(body.description),
            folder: kept("folder", body.folder)?,
            team_email: cleared(body.team_email),
            leader: cleared(body.leader),
            deputies: edited(body.deputies),
            members: edited(body.members),
            is_replacement: false,
        })
    }
}

#[OpenApi(tag = "super::openapi::Tags::Teams")]
impl Api {
    /// List teams
    ///
    /// Those in folders over which you hold `view_team`. Ordered by `name`, `created_at` or `updated_at`; `search` looks at name
    /// and description.
    #[oai(path = "/orgs/:organization_slug/teams", method = "get", operation_id = "list_teams")]
    #[expect(clippy::too_many_arguments, reason = "a handler's arguments are its parameters")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Only these ids, separated by commas.
        id: Query<Option<IdList>>,
        /// Only those in one of these folders, ids separated by commas.
        folder: Query<Option<IdList>>,
        /// Only those that one of these users, as far as you may see them, leads or is in, ids separated by commas.
        user: Query<Option<IdList>>,
    ) -> ApiResult<Json<List<TeamOut>>> {
        let (mut tx, by) = app.enter::<ViewTeam>(&caller, &organization_slug).await?;
        let filter =
            TeamFilter { ids: ids("id", id.0)?, folders: ids("folder", folder.0)?, users: ids("user", user.0)? };
        let page = teams::list(&mut tx, &by, &filter, &paging.request).await?;
        app.listed(&caller, tx, &paging, page).await
    }

    /// Make a team
    ///
    /// Needs `add_team` over the folder. Errors: 409 `name_taken`.
    #[oai(path = "/orgs/:organization_slug/teams", method = "post", operation_id = "create_team")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<TeamIn>,
    ) -> ApiResult<Created<TeamStored>> {
        let (mut tx, by) = app.enter::<AddTeam>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), "create_team", idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let TeamIn { name, description, folder, team_email, leader, deputies, members } = body.0;
        let new = NewTeam { name, description, folder, team_email, leader, deputies, members };
        let made = teams::create(&mut tx, &by, &new).await?;
        app.made(&caller, tx, once, made).await
    }

    /// Change or delete many teams
    ///
    /// Each is held to the rules of the single call, and what fails for one spoils no other: its `code` says why. The answer
    /// is 200 even then. `change_field` takes `name`, `description`, `team_email` and `leader`; `change_m2m`, `add_m2m` and
    /// `remove_m2m` take `deputies` and `members`. A value that is wrong by itself is 400, and nothing is done.
    #[oai(path = "/orgs/:organization_slug/teams/batch-action", method = "post", operation_id = "batch_teams")]
    async fn batch(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<BatchIn>,
    ) -> ApiResult<Json<BatchOut>> {
        batch::<Team>(&app, &caller, &organization_slug, body.0).await
    }

    /// Read a team
    ///
    /// Needs `view_team` over its folder. The folder and the leader are `{}` where you may not see them; deputies and members
    /// that you may not see are left out.
    #[oai(path = "/orgs/:organization_slug/teams/:id", method = "get", operation_id = "get_team")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The team's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<TeamOut>> {
        let (mut tx, by) = app.enter::<ViewTeam>(&caller, &organization_slug).await?;
        let team: Team = objects::get(&mut tx, &by, id.0).await?;
        app.found(&caller, tx, team).await
    }

    /// Read a team as it is stored
    ///
    /// What a form needs: bare ids. Needs `view_team` over its folder.
    #[oai(path = "/orgs/:organization_slug/teams/:id/object", method = "get", operation_id = "get_team_object")]
    async fn object(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The team's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<TeamStored>> {
        let (mut tx, by) = app.enter::<ViewTeam>(&caller, &organization_slug).await?;
        let team: Team = objects::get(&mut tx, &by, id.0).await?;
        app.found_stored(&caller, tx, team).await
    }

    /// See what deleting a team would do
    ///
    /// Nobody goes with it; an invitation to it leads there no more. For those who may delete it.
    #[oai(
        path = "/orgs/:organization_slug/teams/:id/cascade-info",
        method = "get",
        operation_id = "get_team_cascade_info"
    )]
    async fn cascade(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The team's id.
        id: Path<Uuid>,
    ) -> ApiResult<Json<CascadeOut>> {
        let (mut tx, by) = app.enter::<DeleteTeam>(&caller, &organization_slug).await?;
        Ok(Json(objects::cascade::<Team, _>(&mut tx, &by, id.0).await?.into()))
    }

    /// Replace a team
    ///
    /// What is not given goes back to its default, but for the folder, which stays, and for a leader, deputies and members that
    /// you may not see. Rules and errors as `change_team`.
    #[oai(path = "/orgs/:organization_slug/teams/:id", method = "put", operation_id = "replace_team")]
    async fn replace(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The team's id.
        id: Path<Uuid>,
        /// The `ETag` of the team as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<TeamIn>,
    ) -> ApiResult<Found<TeamStored>> {
        let TeamIn { name, description, folder, team_email, leader, deputies, members } = body.0;
        let patch = TeamPatch {
            name: Some(name),
            description: Some(description),
            folder,
            team_email: Some(team_email),
            leader: Some(leader),
            deputies: Some(How::Set.edit(deputies)),
            members: Some(How::Set.edit(members)),
            is_replacement: true,
        };
        app.change::<Team>(&caller, &organization_slug, id.0, if_match.0, patch).await
    }

    /// Change a team
    ///
    /// Needs `change_team` over its folder, and to move it `delete_team` there too, and `add_team` over the other.
    /// Deputies and members that you may not see stay. Errors: 409 `name_taken`, `team_full`.
    #[oai(path = "/orgs/:organization_slug/teams/:id", method = "patch", operation_id = "change_team")]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The team's id.
        id: Path<Uuid>,
        /// The `ETag` of the team as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<TeamPatchIn>,
    ) -> ApiResult<Found<TeamStored>> {
        let patch = Team::patch(body.0, How::Set)?;
        app.change::<Team>(&caller, &organization_slug, id.0, if_match.0, patch).await
    }

    /// Delete a team
    ///
    /// Its people stay. Needs `delete_team` over its folder.
    #[oai(path = "/orgs/:organization_slug/teams/:id", method = "delete", operation_id = "delete_team")]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The team's id.
        id: Path<Uuid>,
        /// The `ETag` of the team as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        app.delete::<Team>(&caller, &organization_slug, id.0, if_match.0).await
    }
}
