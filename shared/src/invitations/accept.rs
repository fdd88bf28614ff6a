//! What an invitee does with his link: look, accept, decline.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use super::close::close;
use super::inviter::tell;
use super::{Status, status};
use crate::access::{Actor, Origin, lock};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::email_address::EmailAddress;
use crate::emails::Kind;
use crate::error::{Refusal, Result};
use crate::ids::{FolderId, InvitationId, OrganizationId, RoleId, UserId};
use crate::outbox::Lane;
use crate::passwords::{Hasher, Wearer, check_policy, policy_of};
use crate::secret::{Link, LinkKind, Links};
use crate::sessions::{self, NewSession};
use crate::tenant::Tenant;
use crate::users::{self, PersonName};
use crate::{teams, user_groups};

/// What the page that asks for a decision shows.
#[derive(Debug)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct Preview {
    pub organization_name: String,
    pub organization_slug: String,
    pub branding: serde_json::Value,
    pub inviter: Option<String>,
    pub role: Option<String>,
    pub invitee_identifier: String,
    pub message: Option<String>,
    pub valid_until: DateTime<Utc>,
    pub password_min_length: i32,
    pub locale: String,
    /// Then there is no password to choose: signing in through the company's identity provider accepts.
    pub is_sso_required: bool,
}

/// What accepting takes.
#[derive(Debug)]
pub struct Accept {
    /// His name.
    pub name: PersonName,
    /// The password he chose.
    pub password: SecretString,
}

/// What came of accepting.
#[derive(Debug)]
pub enum Accepted {
    /// He is a user now.
    In {
        /// His first session.
        session: NewSession,
        /// The organization's slug.
        organization_slug: String,
    },
    /// People sign in through the company's identity provider there; when he does, coming from the link, the invitation is
    /// accepted.
    ByCompany {
        /// The organization's slug.
        organization_slug: String,
    },
}

fn link_dead() -> Refusal {
    Refusal::missing("link_dead", "This link is not one of ours, or was cut on its way. Open it from the mail again.")
}

#[derive(Debug)]
struct Open {
    id: InvitationId,
    email: String,
    role: Option<RoleId>,
    folder: FolderId,
    is_superuser: bool,
    invited_by: Option<UserId>,
    /// The organization's.
    slug: String,
    is_sso_required: bool,
}

impl Open {
    fn by_company(self) -> Accepted {
        Accepted::ByCompany { organization_slug: self.slug }
    }
}

fn read(links: &Links, token: &str) -> Result<Link, Refusal> {
    links.read(LinkKind::Invitation, token).ok_or_else(link_dead)
}

/// An invitation that its link led to, without the link's secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    pub(crate) id: InvitationId,
    pub(crate) generation: i32,
}

impl Carried {
    fn of(link: &Link) -> Self {
        Self { id: link.id.into(), generation: link.generation }
    }
}

/// The invitation of a link, locked, if it can be decided still.
async fn get_open(tx: &mut Tx, carried: Carried) -> Result<Open> {
    let row = sqlx::query!(
        r#"select i.id as "id: InvitationId", i.invitee_identifier, i.role_id as "role_id: RoleId",
                  i.folder_id as "folder_id: FolderId", i.is_superuser, i.invited_by as "invited_by: UserId",
                  i.state, i.valid_until, i.generation, o.slug,
                  coalesce(o.sso_required_from <= $3, false) as "is_sso_required!"
           from invitations i join organizations o on o.organization_id = i.organization_id
           where i.organization_id = $1 and i.id = $2 and o.deleted_at is null
           for update of i"#,
        tx.organization_id() as OrganizationId,
        carried.id as InvitationId,
        tx.now()
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(link_dead)?;
    let dead = |code, detail| Err(Refusal::conflict(code, detail).into());
    match status(&row.state, row.valid_until, tx.now()) {
        Status::Accepted => return dead("invitation_accepted", "This invitation has been accepted. Sign in instead."),
        Status::Declined => {
            return dead("invitation_declined", "This invitation was declined. Ask to be invited again.");
        }
        Status::Revoked => {
            return dead("invitation_revoked", "This invitation was taken back. Ask whoever invited you.");
        }
        Status::Pending | Status::Expired if row.generation != carried.generation => {
            return dead("invitation_superseded", "A newer mail was sent: use the link in that one.");
        }
        Status::Expired => return dead("invitation_expired", "This invitation has expired. Ask to be invited again."),
        Status::Pending => {}
    }
    Ok(Open {
        id: row.id,
        email: row.invitee_identifier,
        role: row.role_id,
        folder: row.folder_id,
        is_superuser: row.is_superuser,
        invited_by: row.invited_by,
        slug: row.slug,
        is_sso_required: row.is_sso_required,
    })
}

/// What an invitation says, to whoever holds its link. Changes nothing: mail scanners follow links.
pub async fn preview(db: &Db, links: &Links, token: &str) -> Result<Preview> {
    let link = read(links, token)?;
    let mut tx = db.begin(&link.tenant, Actor::Anonymous, Origin::default()).await?;
    let open = get_open(&mut tx, Carried::of(&link)).await?;
    let preview = sqlx::query_as!(
        Preview,
        r#"select o.name as organization_name, o.slug as organization_slug, o.branding,
                  coalesce(nullif(trim(concat(u.first_name, ' ', u.last_name)), ''), u.email) as inviter,
                  r.name as "role?", i.invitee_identifier, i.message, i.valid_until, o.password_min_length, i.locale,
                  $3::boolean as "is_sso_required!"
           from invitations i
           join organizations o on o.organization_id = i.organization_id
           left join users u on u.organization_id = i.organization_id and u.id = i.invited_by
           left join roles r on r.organization_id = i.organization_id and r.id = i.role_id
           where i.organization_id = $1 and i.id = $2"#,
        tx.organization_id() as OrganizationId,
        open.id as InvitationId,
        open.is_sso_required
    )
    .fetch_one(tx.connection())
    .await?;
    tx.commit().await?;
    Ok(preview)
}

/// Accepts: makes the user with the invited role, groups and teams, marks the address verified (the link was mailed there), signs
/// in. Once: of two at the same time, one gets `invitation_accepted`. Where single sign-on is demanded it does nothing yet.
pub async fn accept(
    db: &Db,
    links: &Links,
    hasher: &Hasher,
    token: &str,
    accept: Accept,
    origin: Origin,
) -> Result<Accepted> {
    let link = read(links, token)?;
    let mut tx = db.begin(&link.tenant, Actor::Anonymous, origin.clone()).await?;
    let open = get_open(&mut tx, Carried::of(&link)).await?;
    if open.is_sso_required {
        return Ok(open.by_company());
    }
    let (min_length, organization) = policy_of(&mut tx).await?;
    // Hashing takes a while: no lock and no connection is held meanwhile.
    drop(tx);
    check_policy(
        "password",
        &accept.password,
        min_length,
        &Wearer { email: &open.email, organization: &organization },
    )?;
    let hash = hasher.hash(&accept.password).await?;

    let mut tx = db.begin(&link.tenant, Actor::Anonymous, origin).await?;
    // Before the invitation's own lock, in the order of whoever deletes the folder or a group it leads to.
    lock(&mut tx).await?;
    let open = get_open(&mut tx, Carried::of(&link)).await?;
    if open.is_sso_required {
        return Ok(open.by_company());
    }
    let user = users::create_invited(&mut tx, &open.email, &accept.name, &hash, open.is_superuser).await?;
    tx.act_as(Actor::User { id: user, name: open.email.clone(), credential: None });
    settle(&mut tx, &open, user).await?;
    let session = sessions::create(&mut tx, user, &open.email, json!({ "by": "invitation" })).await?;
    tx.commit().await?;
    Ok(Accepted::In { session, organization_slug: open.slug })
}

/// Gives a new user what he was invited to, and ends the invitation.
async fn settle(tx: &mut Tx, open: &Open, user: UserId) -> Result<()> {
    join_groups(tx, open, user).await?;
    teams::add_member(tx, user, open.id).await?;
    close(tx, open.id, "accepted").await?;
    tell(tx, open.id, open.invited_by, Kind::InvitationAccepted, Lane::Interactive).await?;
    let event = Event::new("invitation.accepted", "invitation", open.id, &open.email);
    tx.audit(event.with(json!({ "user": user }))).await
}

/// What a link leads to, if the invitation can be decided still.
pub(crate) async fn follow(db: &Db, links: &Links, token: &str) -> Result<(Tenant, Carried)> {
    let link = read(links, token)?;
    let mut tx = db.begin(&link.tenant, Actor::Anonymous, Origin::default()).await?;
    get_open(&mut tx, Carried::of(&link)).await?;
    tx.commit().await?;
    Ok((link.tenant.clone(), Carried::of(&link)))
}

/// The address that an invitation was sent to, whatever became of it.
pub(crate) async fn find_address(tx: &mut Tx, id: InvitationId) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "select invitee_identifier from invitations where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as InvitationId
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// An invitation of someone who comes from his company's identity provider.
#[derive(Debug)]
pub(crate) struct Awaited(Open);

impl Awaited {
    /// Whether it would make him superuser.
    pub(crate) fn is_for_superuser(&self) -> bool {
        self.0.is_superuser
    }
}

/// The invitation whose link someone followed to his company, locked. Under the lock of the organization's rights.
///
/// Errors: 404 `link_dead`; 409 `invitation_accepted`, `invitation_declined`, `invitation_revoked`, `invitation_superseded`,
/// `invitation_expired`.
pub(crate) async fn get_awaited(tx: &mut Tx, carried: Carried) -> Result<Awaited> {
    Ok(Awaited(get_open(tx, carried).await?))
}

/// The pending invitation of an address, if there is one, locked. Under the lock of the organization's rights.
pub(crate) async fn find_awaited(tx: &mut Tx, email: &EmailAddress) -> Result<Option<Awaited>> {
    let row = sqlx::query!(
        r#"select i.id as "id: InvitationId", i.invitee_identifier, i.role_id as "role_id: RoleId",
                  i.folder_id as "folder_id: FolderId", i.is_superuser, i.invited_by as "invited_by: UserId", o.slug
           from invitations i join organizations o on o.organization_id = i.organization_id
           where i.organization_id = $1 and i.email_key = $2 and i.state = 'open' and i.valid_until > $3
           for update of i"#,
        tx.organization_id() as OrganizationId,
        email.key(),
        tx.now()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| {
        Awaited(Open {
            id: row.id,
            email: row.invitee_identifier,
            role: row.role_id,
            folder: row.folder_id,
            is_superuser: row.is_superuser,
            invited_by: row.invited_by,
            slug: row.slug,
            is_sso_required: false,
        })
    }))
}

/// Accepts it for the user that he has become.
pub(crate) async fn accept_awaited(tx: &mut Tx, awaited: &Awaited, user: UserId) -> Result<()> {
    settle(tx, &awaited.0, user).await
}

async fn join_groups(tx: &mut Tx, open: &Open, user: UserId) -> Result<()> {
    let mut groups: Vec<Uuid> = sqlx::query_scalar!(
        "select user_group_id from invitation_user_groups where organization_id = $1 and invitation_id = $2",
        tx.organization_id() as OrganizationId,
        open.id as InvitationId
    )
    .fetch_all(tx.connection())
    .await?;
    if let Some(role) = open.role {
        groups.push(user_groups::get_builtin(tx, open.folder, role).await?.into());
    }
    user_groups::add_member(tx, user, &groups).await
}

/// Declines. The inviter is told.
pub async fn decline(db: &Db, links: &Links, token: &str, origin: Origin) -> Result<()> {
    let link = read(links, token)?;
    let mut tx = db.begin(&link.tenant, Actor::Anonymous, origin).await?;
    let open = get_open(&mut tx, Carried::of(&link)).await?;
    close(&mut tx, open.id, "declined").await?;
    tell(&mut tx, open.id, open.invited_by, Kind::InvitationDeclined, Lane::Interactive).await?;
    tx.audit(Event::new("invitation.declined", "invitation", open.id, &open.email)).await?;
    tx.commit().await
}
