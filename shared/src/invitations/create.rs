//! Inviting.

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use super::{Invitation, load};
use crate::access::{Access, Holder, InviteUser, Permission, cannot_grant, denied};
use crate::audit::Event;
use crate::db::Tx;
use crate::email_address::EmailAddress;
use crate::emails::{self, Kind, NewEmail, check_locale};
use crate::error::{Check, FieldError, Refusal, Result};
use crate::ids::{EmailId, FolderId, InvitationId, OrganizationId, RoleId, UserId};
use crate::outbox::Lane;
use crate::roles::{self, BuiltinRole};
use crate::{objects, teams, user_groups};

/// An invitation as a caller asks for it.
#[derive(Clone, Debug, Default)]
pub struct InvitationInput {
    /// The address.
    pub invitee_identifier: String,
    /// A built-in role's name.
    pub role: Option<String>,
    /// Over which folder; the root if not given.
    pub folder: Option<Uuid>,
    /// Groups to join.
    pub user_groups: Vec<Uuid>,
    /// Teams to join.
    pub teams: Vec<Uuid>,
    /// The language of the mail; the organization's if not given.
    pub locale: Option<String>,
    /// A word from the inviter.
    pub message: Option<String>,
    /// Seconds; the organization's setting if not given.
    pub valid_for: Option<i64>,
}

/// A checked one.
#[derive(Debug)]
pub struct NewInvitation {
    invitee: EmailAddress,
    role: Option<BuiltinRole>,
    folder: Option<FolderId>,
    user_groups: Vec<Uuid>,
    teams: Vec<Uuid>,
    locale: Option<String>,
    message: Option<String>,
    valid_for: Option<i32>,
}

impl NewInvitation {
    /// Where it leads: if no role is given over a folder, where the groups are.
    async fn folder(&self, tx: &mut Tx) -> Result<Option<Uuid>> {
        match (self.folder, self.role, self.user_groups.first()) {
            (None, None, Some(group)) => Ok(Some(objects::load::<user_groups::UserGroup>(tx, *group).await?.folder_id)),
            (folder, _, _) => Ok(folder.map(Into::into)),
        }
    }

    /// Checks what can be checked without looking.
    pub fn check(input: InvitationInput) -> Result<Self, Refusal> {
        let mut check = Check::default();
        let invitee = check.take(EmailAddress::parse("invitee_identifier", &input.invitee_identifier));
        let role = input.role.as_deref().and_then(|name| {
            let known = BuiltinRole::find(name)
                .ok_or_else(|| FieldError::new("role", "unknown_role", "This is not a built-in role."));
            check.take(known)
        });
        check.that(
            input.role.is_some() || !input.user_groups.is_empty(),
            "role",
            "role_or_groups_required",
            "An invitation needs a role, or groups to join.",
        );
        check.that(input.user_groups.len() <= 100, "user_groups", "too_many", "At most 100 groups.");
        check.that(input.teams.len() <= 100, "teams", "too_many", "At most 100 teams.");
        let locale = input.locale.as_deref().is_none_or(check_locale);
        check.that(locale, "locale", "invalid_locale", "A locale is a language tag such as en or de-AT.");
        let message = input.message.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let length = message.as_ref().map_or(0, |text| text.chars().count());
        check.that(length <= 1000, "message", "too_long", "A message has at most 1000 characters.");
        let printable =
            message.as_ref().is_none_or(|text| !text.chars().any(|c| c.is_control() && c != '\n' && c != '\r'));
        check.that(printable, "message", "invalid", "A message is plain text.");
        let in_range = input.valid_for.is_none_or(|seconds| (3_600..=7_776_000).contains(&seconds));
        check.that(
            in_range,
            "valid_for",
            "out_of_range",
            "An invitation is valid for an hour (3600) to ninety days (7776000), in seconds.",
        );
        check.done()?;
        let invitee = invitee.ok_or_else(|| Refusal::invalid(Vec::new()))?;
        Ok(Self {
            invitee,
            role,
            folder: input.folder.map(Into::into),
            user_groups: input.user_groups,
            teams: input.teams,
            locale: input.locale,
            message,
            valid_for: input.valid_for.and_then(|seconds| i32::try_from(seconds).ok()),
        })
    }
}

/// Invites someone: he can accept once, until `valid_until`. The mail goes out after the commit.
///
/// Errors: 400 for what is not there, 403 `permission_denied`, 403 `cannot_grant`, 409 `already_member`, 409 `invitation_open`.
pub async fn create(tx: &mut Tx, by: &Access<InviteUser>, new: &NewInvitation, lane: Lane) -> Result<Invitation> {
    let (caller, inviter) = (by.caller(), by.caller().user_id);
    let defaults = get_defaults(tx, &new.invitee).await?;
    user_groups::check_grantable(tx, caller, &new.user_groups).await?;
    if !may_invite_into(tx, caller.holder(), &new.user_groups).await? {
        return Err(denied(Permission::InviteUser).into());
    }
    teams::check_joinable(tx, caller, &new.teams).await?;
    let wanted = new.folder(tx).await?;
    let folder = objects::get_housing(tx, caller, Permission::InviteUser, "folder", wanted).await?;
    let role = match new.role {
        Some(role) => Some(roles::get_builtin(tx, role).await?),
        None => None,
    };
    if let Some(role) = role
        && !roles::grantable(tx, caller.holder(), role, folder).await?
    {
        return Err(cannot_grant().into());
    }
    let row = Row { new, role, folder, invited_by: Some(inviter), is_superuser: false };
    let id = insert(tx, &row, &defaults, lane).await?;
    let event = Event::new("invitation.created", "invitation", id, new.invitee.as_str());
    tx.audit(event.with(json!({ "role": new.role.map(BuiltinRole::name) }))).await?;
    load(tx, id).await
}

/// Whether someone holds `invite_user` over the folders of all these groups.
pub(super) async fn may_invite_into(tx: &mut Tx, holder: Holder<'_>, groups: &[Uuid]) -> Result<bool> {
    if groups.is_empty() {
        return Ok(true);
    }
    Ok(sqlx::query_scalar!(
        r#"select not exists (select from user_groups g where g.organization_id = $1 and g.id = any($4)
               and not holds($2, $3, $5, g.folder_id, false)) as "may!""#,
        tx.organization_id() as OrganizationId,
        holder.user as UserId,
        holder.scope,
        groups,
        &[Permission::InviteUser.codename().to_owned()]
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Invites the first administrator of a new organization, who becomes its superuser.
pub(crate) async fn invite_first_administrator(
    tx: &mut Tx,
    email: &EmailAddress,
    locale: &str,
    root: FolderId,
) -> Result<()> {
    let new = NewInvitation {
        invitee: email.clone(),
        role: Some(BuiltinRole::Administrator),
        folder: Some(root),
        user_groups: Vec::new(),
        teams: Vec::new(),
        locale: Some(locale.to_owned()),
        message: None,
        valid_for: None,
    };
    let role = roles::get_builtin(tx, BuiltinRole::Administrator).await?;
    let row = Row { new: &new, role: Some(role), folder: root, invited_by: None, is_superuser: true };
    let defaults = get_defaults(tx, email).await?;
    let id = insert(tx, &row, &defaults, Lane::Interactive).await?;
    tx.audit(Event::new("invitation.created", "invitation", id, email.as_str())).await
}

struct Row<'a> {
    new: &'a NewInvitation,
    role: Option<RoleId>,
    folder: FolderId,
    invited_by: Option<UserId>,
    is_superuser: bool,
}

/// What an organization's invitations are unless they say otherwise.
struct Defaults {
    invitation_validity: i32,
    locale: String,
    is_member: bool,
}

/// Reads them, and keeps the folder, the groups and the teams that an invitation leads to from being deleted, and rights from
/// being taken, until it is written down ([`crate::access::hold`], in the one query that every row of a batch makes anyway).
async fn get_defaults(tx: &mut Tx, invitee: &EmailAddress) -> Result<Defaults> {
    Ok(sqlx::query_as!(
        Defaults,
        r#"select o.invitation_validity, o.locale,
                  exists (select from users u where u.organization_id = $1 and u.email_key = $2) as "is_member!"
           from organizations o where o.organization_id = $1 for share of o"#,
        tx.organization_id() as OrganizationId,
        invitee.key()
    )
    .fetch_one(tx.connection())
    .await?)
}

async fn insert(tx: &mut Tx, row: &Row<'_>, defaults: &Defaults, lane: Lane) -> Result<InvitationId> {
    if defaults.is_member {
        return Err(
            Refusal::conflict("already_member", "Someone with this address is in the organization already.").into()
        );
    }
    let email_key = row.new.invitee.key();
    // One that expired unnoticed makes room.
    sqlx::query!(
        "update invitations set state = 'expired', version = version + 1
         where organization_id = $1 and email_key = $2 and state = 'open' and valid_until <= $3",
        tx.organization_id() as OrganizationId,
        email_key,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    let id: InvitationId = tx.new_id();
    let valid_for = row.new.valid_for.unwrap_or(defaults.invitation_validity);
    let locale = row.new.locale.as_deref().unwrap_or(&defaults.locale);
    let inserted = sqlx::query!(
        "insert into invitations (organization_id, id, invitee_identifier, email_key, role_id, folder_id, is_superuser,
             locale, message, invited_by, created_at, sent_at, valid_for, valid_until)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12, $13)
         on conflict (organization_id, email_key) where state = 'open' do nothing",
        tx.organization_id() as OrganizationId,
        id as InvitationId,
        row.new.invitee.as_str(),
        email_key,
        row.role as Option<RoleId>,
        row.folder as FolderId,
        row.is_superuser,
        locale,
        row.new.message,
        row.invited_by as Option<UserId>,
        tx.now(),
        valid_for,
        tx.now() + TimeDelta::seconds(i64::from(valid_for))
    )
    .execute(tx.connection())
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(
            Refusal::conflict("invitation_open", "This address has an open invitation: resend or revoke it.").into()
        );
    }
    if !(row.new.user_groups.is_empty() && row.new.teams.is_empty()) {
        sqlx::query!(
            "with joins as (
                 insert into invitation_teams (organization_id, invitation_id, team_id)
                 select distinct $1::uuid, $2::uuid, t from unnest($4::uuid[]) t)
             insert into invitation_user_groups (organization_id, invitation_id, user_group_id)
             select distinct $1::uuid, $2::uuid, g from unnest($3::uuid[]) g",
            tx.organization_id() as OrganizationId,
            id as InvitationId,
            &row.new.user_groups,
            &row.new.teams
        )
        .execute(tx.connection())
        .await?;
    }
    mail(tx, id, 1, row.new.invitee.as_str(), locale, lane).await?;
    Ok(id)
}

/// Queues the mail of one generation of an invitation and makes it the one whose delivery counts.
pub(super) async fn mail(
    tx: &mut Tx,
    id: InvitationId,
    generation: i32,
    to: &str,
    locale: &str,
    lane: Lane,
) -> Result<()> {
    let email = NewEmail {
        kind: Kind::Invitation,
        to,
        locale,
        invitation: Some((id, generation)),
        user_id: None,
        password_reset_id: None,
    };
    let email_id = emails::queue(tx, email, lane).await?;
    sqlx::query!(
        "update invitations set email_id = $3 where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as InvitationId,
        email_id as EmailId
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
