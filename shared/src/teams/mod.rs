//! Teams: people who work together. A team gives nobody a right.

mod join;
mod people;
mod write;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(crate) use join::{add_member, check_joinable, joinable};
pub use write::{NewTeam, TeamPatch, create};

use crate::access::{Access, ViewTeam};
use crate::db::Tx;
use crate::error::Result;
use crate::objects::{self, Kind, Object, Wanted};
use crate::page::{Listed, Page, PageRequest, Sort};

/// A team.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct Team {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
    pub folder_id: Uuid,
    pub team_email: Option<String>,
    pub leader_id: Option<Uuid>,
    pub deputies: Vec<Uuid>,
    pub members: Vec<Uuid>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

impl Listed for Team {
    const SORTS: &'static [Sort] = &[
        Sort::text("name", "o.name_key"),
        Sort::time("created_at", "o.created_at"),
        Sort::time("updated_at", "o.updated_at"),
    ];
    const DEFAULT_SORT: &'static str = "name";
    const ID: &'static str = "o.id";
}

impl Object for Team {
    const KIND: Kind = Kind::Team;
    const COLUMNS: &'static str = "o.id, o.name, o.description, o.folder_id, o.team_email, o.leader_id, o.created_at, o.updated_at, \
        o.version, \
        array(select p.user_id from team_people p where p.organization_id = o.organization_id and p.team_id = o.id \
            and p.part = 'deputy' order by 1) as deputies, \
        array(select p.user_id from team_people p where p.organization_id = o.organization_id and p.team_id = o.id \
            and p.part = 'member' order by 1) as members";

    fn id(&self) -> Uuid {
        self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn want(&self, wanted: &mut Wanted) {
        wanted.one(Kind::Folder, Some(self.folder_id));
        wanted.one(Kind::User, self.leader_id);
        wanted.all(Kind::User, &self.deputies);
        wanted.all(Kind::User, &self.members);
    }
}

/// Which teams.
#[derive(Clone, Debug, Default)]
pub struct TeamFilter {
    /// With one of these ids.
    pub ids: Option<Vec<Uuid>>,
    /// In one of these folders.
    pub folders: Option<Vec<Uuid>>,
    /// That one of these users leads, stands in for, or is a member of.
    pub users: Option<Vec<Uuid>>,
}

const WITH_SOMEONE: &str = "o.id in (select p.team_id from unnest(";
const OF_THEM: &str = "::uuid[]) u join lateral (\
     select t.id as team_id from teams t where t.organization_id = current_organization_id() and t.leader_id = u \
     union all \
     select p.team_id from team_people p where p.organization_id = current_organization_id() and p.user_id = u) p on true)";

/// The teams that the caller sees. Whose teams he asks for, he must see, too: else the answer would tell of someone who is hidden.
pub async fn list(tx: &mut Tx, by: &Access<ViewTeam>, filter: &TeamFilter, page: &PageRequest) -> Result<Page<Team>> {
    let users = objects::only_seen(tx, by.caller(), Kind::User, filter.users.as_deref()).await?;
    let folders = objects::only_seen(tx, by.caller(), Kind::Folder, filter.folders.as_deref()).await?;
    objects::list(tx, by, page, |query| {
        query.ids(filter.ids.clone());
        query.any("o.folder_id", folders);
        query.enclosed(WITH_SOMEONE, users, OF_THEM);
        query.search(&["o.name", "coalesce(o.description, '')"], page.search.as_deref());
    })
    .await
}
