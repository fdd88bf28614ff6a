//! Inviting.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use uuid::Uuid;

use super::insert::{Destination, Row, get_defaults, insert_all};
use super::{Invitation, load_all};
use crate::access::{Access, Caller, Holder, InviteUser, Permission, cannot_grant, denied};
use crate::db::Tx;
use crate::email_address::EmailAddress;
use crate::emails::check_locale;
use crate::error::{Check, Error, FieldError, Refusal, Result};
use crate::ids::{FolderId, OrganizationId, UserId};
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
    pub(super) invitee: EmailAddress,
    pub(super) role: Option<BuiltinRole>,
    folder: Option<FolderId>,
    pub(super) user_groups: Vec<Uuid>,
    pub(super) teams: Vec<Uuid>,
    pub(super) locale: Option<String>,
    pub(super) message: Option<String>,
    pub(super) valid_for: Option<i32>,
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
    let made = create_all(tx, by, std::slice::from_ref(new), lane).await?.pop();
    Ok(made.unwrap_or_else(|| Err(Refusal::not_found()))?)
}

/// Invites many, each as if alone: one who can't be invited spoils no other. Of two with the same address the first is invited.
/// What comes of each, in their order.
pub async fn create_all(
    tx: &mut Tx,
    by: &Access<InviteUser>,
    new: &[NewInvitation],
    lane: Lane,
) -> Result<Vec<Result<Invitation, Refusal>>> {
    let defaults = get_defaults(tx).await?;
    let mut destinations = HashMap::new();
    let mut outcomes = Vec::with_capacity(new.len());
    let mut rows = Vec::new();
    for new in new {
        let aim = (new.role, new.folder, &new.user_groups, &new.teams);
        // Nobody's rights change until this unit of work ends: what one row was told, holds for the next.
        let destination = match destinations.entry(aim) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(refusal_apart(find_destination(tx, by.caller(), new).await)?),
        };
        outcomes.push(match destination {
            Ok(destination) => {
                let invited_by = Some(by.caller().user_id);
                rows.push(Row {
                    new,
                    key: new.invitee.key(),
                    destination: *destination,
                    invited_by,
                    is_superuser: false,
                });
                None
            }
            Err(refusal) => Some(refusal.clone()),
        });
    }
    let mut made = insert_all(tx, &rows, &defaults, lane).await?.into_iter();
    let ids = made.as_slice().iter().flatten().map(|id| (*id).into()).collect();
    let mut loaded: HashMap<Uuid, Invitation> = load_all(tx, ids).await?.into_iter().map(|it| (it.id, it)).collect();
    let mut result = |refused: Option<Refusal>| match refused {
        Some(refusal) => Err(refusal),
        None => made
            .next()
            .unwrap_or_else(|| Err(Refusal::not_found()))
            .and_then(|id| loaded.remove(&Uuid::from(id)).ok_or_else(Refusal::not_found)),
    };
    Ok(outcomes.into_iter().map(&mut result).collect())
}

/// A refusal as an answer; any other error ends it all.
fn refusal_apart<T>(result: Result<T>) -> Result<Result<T, Refusal>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Refused(refusal)) => Ok(Err(refusal)),
        Err(error) => Err(error),
    }
}

/// Looks up where an invitation leads, if the caller may invite there.
async fn find_destination(tx: &mut Tx, caller: &Caller, new: &NewInvitation) -> Result<Destination> {
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
    Ok(Destination { role, folder })
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
    let destination = Destination { role: Some(role), folder: root };
    let row = Row { new: &new, key: email.key(), destination, invited_by: None, is_superuser: true };
    let defaults = get_defaults(tx).await?;
    match insert_all(tx, &[row], &defaults, Lane::Interactive).await?.pop() {
        Some(Err(refusal)) => Err(refusal.into()),
        _ => Ok(()),
    }
}
