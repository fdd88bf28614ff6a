//! Invitations: from an administrator's request to a signed-in invitee.

mod accept;
mod close;
mod create;
mod insert;
mod inviter;
mod remind;
mod resend;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use accept::{Accept, Accepted, Preview, accept, decline, preview};
pub(crate) use accept::{Awaited, Carried, accept_awaited, find_address, find_awaited, follow, get_awaited};
pub use close::revoke;
pub(crate) use close::{revoke_all, revoke_with_folder};
pub(crate) use create::invite_first_administrator;
pub use create::{InvitationInput, NewInvitation, create, create_all};
pub(crate) use inviter::tell_of_bounce;
pub use remind::remind_some;
pub use resend::{ResendMany, resend, resend_many, resend_some};

use crate::access::{Access, Caller, Permission, Reach, ViewInvitation, denied};
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::InvitationId;
use crate::objects::{Kind, Wanted};
use crate::page::{Listed, Page, PageRequest, Query, Sort};

/// Where an invitation stands. Expiry is a rule evaluated at use, not a job that must have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Can be accepted.
    Pending,
    /// Was accepted.
    Accepted,
    /// Was declined by the invitee.
    Declined,
    /// Was taken back.
    Revoked,
    /// Its time is over.
    Expired,
}

/// An invitation, with how its mail stands.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct Invitation {
    pub id: Uuid,
    pub invitee_identifier: String,
    pub role: Option<String>,
    pub folder_id: Uuid,
    pub invited_by: Option<Uuid>,
    pub sent_at: DateTime<Utc>,
    pub valid_until: DateTime<Utc>,
    pub state: String,
    pub resent_count: i32,
    pub user_groups: Vec<Uuid>,
    pub teams: Vec<Uuid>,
    pub locale: String,
    pub message: Option<String>,
    pub delivery_status: Option<String>,
    pub delivery_attempts: Option<i32>,
    pub delivery_last_error: Option<String>,
    pub delivery_sent_at: Option<DateTime<Utc>>,
    pub delivery_delivered_at: Option<DateTime<Utc>>,
    pub version: i64,
}

impl Invitation {
    /// Asks for the names of the objects it names.
    pub fn want(&self, wanted: &mut Wanted) {
        wanted.one(Kind::Folder, Some(self.folder_id));
        wanted.one(Kind::User, self.invited_by);
        wanted.all(Kind::UserGroup, &self.user_groups);
        wanted.all(Kind::Team, &self.teams);
    }

    /// Where it stands at a moment.
    #[must_use]
    pub fn status(&self, now: DateTime<Utc>) -> Status {
        status(&self.state, self.valid_until, now)
    }
}

fn status(state: &str, valid_until: DateTime<Utc>, now: DateTime<Utc>) -> Status {
    match state {
        "open" if valid_until > now => Status::Pending,
        "accepted" => Status::Accepted,
        "declined" => Status::Declined,
        "revoked" => Status::Revoked,
        _ => Status::Expired,
    }
}

const COLUMNS: &str = "i.id, i.invitee_identifier, r.name as role, i.folder_id, i.invited_by, i.sent_at, i.valid_until, i.state, \
     i.resent_count, array(select g.user_group_id from invitation_user_groups g \
     where g.organization_id = i.organization_id and g.invitation_id = i.id order by 1) as user_groups, \
     array(select t.team_id from invitation_teams t \
     where t.organization_id = i.organization_id and t.invitation_id = i.id order by 1) as teams, i.locale, i.message, \
     e.status as delivery_status, e.attempts as delivery_attempts, e.last_error as delivery_last_error, \
     e.sent_at as delivery_sent_at, e.delivered_at as delivery_delivered_at, i.version";
const FROM: &str = "invitations i \
     left join roles r on r.organization_id = i.organization_id and r.id = i.role_id \
     left join email_messages e on e.organization_id = i.organization_id and e.id = i.email_id";

impl Listed for Invitation {
    const SORTS: &'static [Sort] = &[
        Sort::time("created_at", "i.created_at"),
        Sort::time("sent_at", "i.sent_at"),
        Sort::time("valid_until", "i.valid_until"),
        Sort::text("invitee_identifier", "i.email_key"),
    ];
    const DEFAULT_SORT: &'static str = "-created_at";
    const ID: &'static str = "i.id";
}

/// Which invitations.
#[derive(Clone, Debug, Default)]
pub struct InvitationFilter {
    /// That stand so.
    pub status: Option<Status>,
    /// To this role.
    pub role: Option<String>,
}

/// Invitations into folders over which the caller holds `view_invitation`, newest first.
pub async fn list(
    tx: &mut Tx,
    by: &Access<ViewInvitation>,
    filter: &InvitationFilter,
    page: &PageRequest,
) -> Result<Page<Invitation>> {
    let mut query = Query::new(COLUMNS, FROM, "i.organization_id", tx);
    query.within(by.reach(), "i.folder_id", None);
    let now = Some(tx.now());
    match filter.status {
        Some(Status::Pending) => query.compare("i.state = 'open' and i.valid_until > ", now),
        Some(Status::Expired) => query.compare("i.state in ('open', 'expired') and i.valid_until <= ", now),
        Some(Status::Accepted) => query.condition("i.state = 'accepted'"),
        Some(Status::Declined) => query.condition("i.state = 'declined'"),
        Some(Status::Revoked) => query.condition("i.state = 'revoked'"),
        None => {}
    }
    query.equals("r.name", filter.role.as_deref());
    query.search(&["i.invitee_identifier"], page.search.as_deref());
    query.fetch(tx, page).await
}

/// One invitation, if the caller sees it.
pub async fn get(tx: &mut Tx, by: &Access<ViewInvitation>, id: InvitationId) -> Result<Invitation> {
    find(tx, Some(by.reach()), id).await?.ok_or_else(|| Refusal::not_found().into())
}

/// Refuses unless the caller holds `invite_user` over an invitation's folder; 404 if he does not even see it.
async fn demand_held(tx: &mut Tx, caller: &Caller, id: InvitationId) -> Result<()> {
    let permissions = [Permission::InviteUser, Permission::ViewInvitation];
    for (reach, refusal) in Reach::load_all(tx, caller.holder(), &permissions)
        .await?
        .iter()
        .zip([None, Some(denied(Permission::InviteUser))])
    {
        if find(tx, Some(reach), id).await?.is_some() {
            return refusal.map_or(Ok(()), |refusal| Err(refusal.into()));
        }
    }
    Err(Refusal::not_found().into())
}

async fn load(tx: &mut Tx, id: InvitationId) -> Result<Invitation> {
    find(tx, None, id).await?.ok_or_else(|| Refusal::not_found().into())
}

async fn find(tx: &mut Tx, reach: Option<&Reach>, id: InvitationId) -> Result<Option<Invitation>> {
    let mut query = Query::new(COLUMNS, FROM, "i.organization_id", tx);
    query.id("i.id", id.into());
    if let Some(reach) = reach {
        query.within(reach, "i.folder_id", None);
    }
    query.find(tx).await
}

async fn load_all(tx: &mut Tx, ids: Vec<Uuid>) -> Result<Vec<Invitation>> {
    let mut query = Query::new(COLUMNS, FROM, "i.organization_id", tx);
    query.any("i.id", Some(ids));
    query.all(tx).await
}
