//! Writing invitations down, with their mails: many by as many statements as one.

use std::collections::HashSet;

use serde_json::json;
use uuid::Uuid;

use super::create::NewInvitation;
use crate::audit::Event;
use crate::db::Tx;
use crate::emails::{self, Kind, NewEmail};
use crate::error::{Refusal, Result};
use crate::ids::{EmailId, FolderId, InvitationId, OrganizationId, RoleId, UserId};
use crate::outbox::Lane;
use crate::roles::BuiltinRole;

/// Where an invitation leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Destination {
    pub(super) role: Option<RoleId>,
    pub(super) folder: FolderId,
}

/// One to be written down.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) new: &'a NewInvitation,
    /// Of its address.
    pub(super) key: String,
    pub(super) destination: Destination,
    pub(super) invited_by: Option<UserId>,
    pub(super) is_superuser: bool,
}

/// One with its ids: it names its mail, and its mail names it.
#[derive(Debug)]
struct Planned<'a> {
    id: InvitationId,
    email_id: EmailId,
    row: &'a Row<'a>,
}

/// What an organization's invitations are unless they say otherwise.
#[derive(Debug)]
pub(super) struct Defaults {
    invitation_validity: i32,
    locale: String,
}

/// Reads them, and keeps the folder, the groups and the teams that an invitation leads to from being deleted, and rights from
/// being taken, until it is written down ([`crate::access::hold`]).
pub(super) async fn get_defaults(tx: &mut Tx) -> Result<Defaults> {
    Ok(sqlx::query_as!(
        Defaults,
        "select invitation_validity, locale from organizations where organization_id = $1 for share",
        tx.organization_id() as OrganizationId
    )
    .fetch_one(tx.connection())
    .await?)
}

/// The addresses of members among some.
async fn find_members(tx: &mut Tx, keys: &[&str]) -> Result<HashSet<String>> {
    let members = sqlx::query_scalar!(
        "select email_key from users where organization_id = $1 and email_key = any($2)",
        tx.organization_id() as OrganizationId,
        keys as &[&str]
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(members.into_iter().collect())
}

/// Writes invitations down, in the order of their addresses: whoever invites some of the same at the same time then waits, and
/// never both for each other. Their ids, or what each is refused for, in the order of `rows`.
pub(super) async fn insert_all(
    tx: &mut Tx,
    rows: &[Row<'_>],
    defaults: &Defaults,
    lane: Lane,
) -> Result<Vec<Result<InvitationId, Refusal>>> {
    let mut ordered: Vec<Planned<'_>> =
        rows.iter().map(|row| Planned { id: tx.new_id(), email_id: tx.new_id(), row }).collect();
    let asked: Vec<InvitationId> = ordered.iter().map(|it| it.id).collect();
    ordered.sort_by_key(|it| &it.row.key);
    let members = find_members(tx, &keys_of(&ordered)).await?;
    ordered.retain(|it| !members.contains(&it.row.key));
    let inserted = insert_open(tx, &ordered, defaults).await?;
    ordered.retain(|it| inserted.contains(&it.id));
    join_later(tx, &ordered).await?;
    let mails = ordered.iter().map(|it| {
        let locale = it.row.new.locale.as_deref().unwrap_or(&defaults.locale);
        (it.email_id, mail(it.id, 1, it.row.new.invitee.as_str(), locale))
    });
    emails::queue_all(tx, &mails.collect::<Vec<_>>(), lane).await?;
    let events = ordered.iter().map(|it| {
        let event = Event::new("invitation.created", "invitation", it.id, it.row.new.invitee.as_str());
        event.with(json!({ "role": it.row.new.role.map(BuiltinRole::name) }))
    });
    tx.audit_all(&events.collect::<Vec<_>>()).await?;
    let result = |(id, row): (InvitationId, &Row<'_>)| {
        if inserted.contains(&id) {
            return Ok(id);
        }
        let (code, detail) = if members.contains(&row.key) {
            ("already_member", "Someone with this address is in the organization already.")
        } else {
            ("invitation_open", "This address has an open invitation: resend or revoke it.")
        };
        Err(Refusal::conflict(code, detail))
    };
    Ok(asked.into_iter().zip(rows).map(result).collect())
}

fn keys_of<'a>(planned: &[Planned<'a>]) -> Vec<&'a str> {
    planned.iter().map(|it| it.row.key.as_str()).collect()
}

/// The rows of those whose addresses have no open invitation. Which that are.
async fn insert_open(tx: &mut Tx, planned: &[Planned<'_>], defaults: &Defaults) -> Result<HashSet<InvitationId>> {
    let ids: Vec<Uuid> = planned.iter().map(|it| it.id.into()).collect();
    let mails: Vec<Uuid> = planned.iter().map(|it| it.email_id.into()).collect();
    let keys = keys_of(planned);
    let rows: Vec<&Row<'_>> = planned.iter().map(|it| it.row).collect();
    let addresses: Vec<&str> = rows.iter().map(|row| row.new.invitee.as_str()).collect();
    // One that expired unnoticed makes room.
    sqlx::query!(
        "with expired as (
             select id from invitations
             where organization_id = $1 and email_key = any($2) and state = 'open' and valid_until <= $3
             order by email_key for no key update)
         update invitations i set state = 'expired', version = version + 1 from expired
         where i.organization_id = $1 and i.id = expired.id",
        tx.organization_id() as OrganizationId,
        &keys as &[&str],
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    let roles: Vec<Option<Uuid>> = rows.iter().map(|row| row.destination.role.map(Into::into)).collect();
    let folders: Vec<Uuid> = rows.iter().map(|row| row.destination.folder.into()).collect();
    let superusers: Vec<bool> = rows.iter().map(|row| row.is_superuser).collect();
    let locales: Vec<Option<&str>> = rows.iter().map(|row| row.new.locale.as_deref()).collect();
    let messages: Vec<Option<&str>> = rows.iter().map(|row| row.new.message.as_deref()).collect();
    let inviters: Vec<Option<Uuid>> = rows.iter().map(|row| row.invited_by.map(Into::into)).collect();
    let validities: Vec<i32> =
        rows.iter().map(|row| row.new.valid_for.unwrap_or(defaults.invitation_validity)).collect();
    let inserted = sqlx::query_scalar!(
        r#"insert into invitations (organization_id, created_at, sent_at, id, invitee_identifier, email_key, role_id, folder_id,
               is_superuser, locale, message, invited_by, valid_for, email_id, valid_until)
           select $1, $2::timestamptz, $2::timestamptz, r.id, r.address, r.email_key, r.role_id, r.folder_id, r.is_superuser, coalesce(r.locale, $3),
               r.message, r.invited_by, r.valid_for, r.email_id, $2::timestamptz + make_interval(secs => r.valid_for)
           from unnest($4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::uuid[], $9::boolean[], $10::text[], $11::text[],
                   $12::uuid[], $13::integer[], $14::uuid[])
               r(id, address, email_key, role_id, folder_id, is_superuser, locale, message, invited_by, valid_for, email_id)
           on conflict (organization_id, email_key) where state = 'open' do nothing
           returning id as "id: InvitationId""#,
        tx.organization_id() as OrganizationId,
        tx.now(),
        defaults.locale,
        &ids,
        &addresses as &[&str],
        &keys as &[&str],
        &roles as &[Option<Uuid>],
        &folders,
        &superusers,
        &locales as &[Option<&str>],
        &messages as &[Option<&str>],
        &inviters as &[Option<Uuid>],
        &validities,
        &mails
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(inserted.into_iter().collect())
}

/// Notes which groups and teams they are to join.
async fn join_later(tx: &mut Tx, planned: &[Planned<'_>]) -> Result<()> {
    let pairs = |of: fn(&NewInvitation) -> &Vec<Uuid>| -> (Vec<Uuid>, Vec<Uuid>) {
        planned.iter().flat_map(|it| of(it.row.new).iter().map(|joined| (Uuid::from(it.id), *joined))).unzip()
    };
    let (into_groups, groups) = pairs(|new| &new.user_groups);
    let (into_teams, teams) = pairs(|new| &new.teams);
    if groups.is_empty() && teams.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "with joins as (
             insert into invitation_teams (organization_id, invitation_id, team_id)
             select distinct $1::uuid, i, t from unnest($4::uuid[], $5::uuid[]) n(i, t))
         insert into invitation_user_groups (organization_id, invitation_id, user_group_id)
         select distinct $1::uuid, i, g from unnest($2::uuid[], $3::uuid[]) n(i, g)",
        tx.organization_id() as OrganizationId,
        &into_groups,
        &groups,
        &into_teams,
        &teams
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The mail of one generation of an invitation.
pub(super) fn mail<'a>(id: InvitationId, generation: i32, to: &'a str, locale: &'a str) -> NewEmail<'a> {
    NewEmail {
        kind: Kind::Invitation,
        to,
        locale,
        invitation: Some((id, generation)),
        user_id: None,
        password_reset_id: None,
    }
}
