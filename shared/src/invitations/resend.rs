//! Sending an invitation again: new validity, new link, the old link is dead.

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use super::create::may_invite_into;
use super::insert::mail;
use super::{Invitation, demand_held, load};
use crate::access::{Access, Holder, InviteUser, Permission, Reach, cannot_grant, hold};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::emails;
use crate::error::{Error, Kind, Refusal, Result};
use crate::ids::{EmailId, FolderId, InvitationId, JobId, OrganizationId, RoleId, UserId};
use crate::outbox::{Claim, Job, Lane};
use crate::{jobs, roles, teams, user_groups};

/// At most one resend in this time,
const PAUSE: TimeDelta = TimeDelta::minutes(1);
/// and at most so many a day (UTC).
const A_DAY: i32 = 10;
/// How many a bulk resend handles in one transaction.
const CHUNK: i64 = 50;

/// Resends one invitation. An expired one comes to life again.
///
/// Errors: 403 `permission_denied`, `cannot_grant`; 409 when it is closed; 429.
pub async fn resend(tx: &mut Tx, by: &Access<InviteUser>, id: InvitationId) -> Result<Invitation> {
    demand_held(tx, by.caller(), id).await?;
    again(tx, by.caller().holder(), id, Lane::Interactive).await?;
    load(tx, id).await
}

/// Sends one again on behalf of `who`: as if he invited anew, so he must hold what it gives.
async fn again(tx: &mut Tx, who: Holder<'_>, id: InvitationId, lane: Lane) -> Result<()> {
    let row = sqlx::query!(
        r#"select i.invitee_identifier, i.state, i.sent_at, i.valid_for, i.locale, i.generation, i.resent_count, i.is_superuser,
                  i.role_id as "role_id: RoleId", i.folder_id as "folder_id: FolderId",
                  array(select g.user_group_id from invitation_user_groups g
                      where g.organization_id = $1 and g.invitation_id = i.id) as "user_groups!",
                  array(select t.team_id from invitation_teams t
                      where t.organization_id = $1 and t.invitation_id = i.id) as "teams!",
                  case when i.resent_on = $3 then i.resent_that_day else 0 end as "resent_today!",
                  i.email_id as "email_id: EmailId"
           from invitations i where i.organization_id = $1 and i.id = $2 for update"#,
        tx.organization_id() as OrganizationId,
        id as InvitationId,
        tx.now().date_naive()
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    match row.state.as_str() {
        "open" => {}
        "accepted" => return Err(Refusal::conflict("invitation_accepted", "It was accepted already.").into()),
        "declined" => {
            return Err(Refusal::conflict(
                "invitation_declined",
                "It was declined: invite anew if that was a mistake.",
            )
            .into());
        }
        "revoked" => return Err(Refusal::conflict("invitation_revoked", "It was revoked: invite anew.").into()),
        _ => return Err(Refusal::conflict("invitation_expired", "It expired and a newer one took its place.").into()),
    }
    let may_invite = who.holds(tx, &[Permission::InviteUser.codename().to_owned()], row.folder_id, false).await?;
    let may_role = match row.role_id {
        Some(role) => roles::grantable(tx, who, role, row.folder_id).await?,
        None => true,
    };
    let may_groups =
        user_groups::grantable(tx, who, &row.user_groups).await? && may_invite_into(tx, who, &row.user_groups).await?;
    let may_teams = teams::joinable(tx, who, &row.teams).await?;
    if !(may_invite && may_role && may_groups && may_teams) || (row.is_superuser && !who.is_superuser(tx).await?) {
        return Err(cannot_grant().into());
    }
    let wait = row.sent_at + PAUSE - tx.now();
    if row.resent_count > 0 && wait > TimeDelta::zero() {
        let seconds = u64::try_from(wait.num_seconds()).unwrap_or(0) + 1;
        return Err(Refusal::too_often("resend_too_soon", "An invitation can be resent once a minute.", seconds).into());
    }
    if row.resent_today >= A_DAY {
        let midnight = (tx.now().date_naive() + TimeDelta::days(1)).and_time(chrono::NaiveTime::MIN).and_utc();
        let seconds = u64::try_from((midnight - tx.now()).num_seconds()).unwrap_or(0) + 1;
        return Err(Refusal::too_often("resend_limit", "An invitation can be resent ten times a day.", seconds).into());
    }
    if let Some(old) = row.email_id {
        emails::cancel(tx, old).await?;
    }
    let generation = row.generation + 1;
    let email = emails::queue(tx, mail(id, generation, &row.invitee_identifier, &row.locale), lane).await?;
    sqlx::query!(
        "update invitations set generation = $3, sent_at = $4, valid_until = $5, resent_count = resent_count + 1,
             resent_on = $6, resent_that_day = $7, email_id = $8, version = version + 1
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as InvitationId,
        generation,
        tx.now(),
        tx.now() + TimeDelta::seconds(i64::from(row.valid_for)),
        tx.now().date_naive(),
        row.resent_today + 1,
        email as EmailId
    )
    .execute(tx.connection())
    .await?;
    tx.audit(Event::new("invitation.resent", "invitation", id, &row.invitee_identifier)).await
}

/// Which invitations to resend in bulk: the pending ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResendMany {
    /// Only those whose last mail is at least this old.
    pub older_than: Option<TimeDelta>,
}

/// Asks for many invitations to be resent: one job, which fans out in the worker. It covers those into folders over which the
/// caller holds `invite_user`.
pub async fn resend_many(tx: &mut Tx, by: &Access<InviteUser>, which: ResendMany) -> Result<JobId> {
    let sent_before = tx.now() - which.older_than.unwrap_or(TimeDelta::zero()).max(TimeDelta::zero());
    let row = sqlx::query!(
        r#"select count(*) as "total!" from invitations
           where organization_id = $1 and state = 'open' and valid_until > $2 and sent_at <= $3
             and ($4 or folder_id in (select * from folders_within($5, $6)))"#,
        tx.organization_id() as OrganizationId,
        tx.now(),
        sent_before,
        by.reach().everything,
        &by.reach().deep,
        &by.reach().here
    )
    .fetch_one(tx.connection())
    .await?;
    let total = i32::try_from(row.total).unwrap_or(i32::MAX);
    // What limits the credential limits what is done in its name.
    let parameters = json!({ "sent_before": sent_before, "scope": by.caller().holder().scope });
    let id = jobs::create(tx, "resend_invitations", parameters, total, Job::ResendInvitations).await?;
    let event = Event::new("invitations.resent", "job", id, "resend_invitations");
    tx.audit(event.with(json!({ "total": total }))).await?;
    Ok(id)
}

/// One part of a bulk resend, in one transaction with its progress: a worker that dies in between loses and doubles nothing.
/// True when there is more to do; else the job is finished.
pub async fn resend_some(db: &Db, claim: &Claim, job: JobId) -> Result<bool> {
    let mut tx = claim.begin(db).await?;
    // It locks many invitations, as whoever deletes a folder does.
    hold(&mut tx).await?;
    let row = sqlx::query!(
        r#"update jobs set status = 'running' where organization_id = $1 and id = $2 and status in ('queued', 'running')
           returning resume_after, created_at, created_by as "created_by: UserId", (parameters ->> 'sent_before')::timestamptz as "sent_before!",
               case when jsonb_typeof(parameters -> 'scope') = 'array'
                   then array(select jsonb_array_elements_text(parameters -> 'scope')) end as scope"#,
        tx.organization_id() as OrganizationId,
        job as JobId
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(row) = row else {
        claim.finish(&mut tx).await?;
        tx.commit().await?;
        return Ok(false);
    };
    let who = row.created_by.map(|user| Holder { user, scope: row.scope.as_deref() });
    let reach = match who {
        Some(who) => Reach::load(&mut tx, who, Permission::InviteUser).await?,
        // Whoever asked is gone: all of it fails.
        None => Reach { everything: true, ..Reach::default() },
    };
    // Nothing that was invited after the job was asked for.
    let ids = sqlx::query_scalar!(
        r#"select id from invitations
           where organization_id = $1 and state = 'open' and valid_until > $2 and sent_at <= $3 and created_at <= $4
             and ($5::uuid is null or id > $5) and ($7 or folder_id in (select * from folders_within($8, $9)))
           order by id limit $6"#,
        tx.organization_id() as OrganizationId,
        tx.now(),
        row.sent_before,
        row.created_at,
        row.resume_after,
        CHUNK,
        reach.everything,
        &reach.deep,
        &reach.here
    )
    .fetch_all(tx.connection())
    .await?;
    let (mut done, mut failed) = (0, 0);
    for id in &ids {
        let Some(who) = who else {
            failed += 1;
            continue;
        };
        match again(&mut tx, who, InvitationId::from(*id), Lane::Bulk).await {
            Ok(()) => done += 1,
            Err(Error::Refused(Refusal { kind: Kind::Conflict | Kind::Forbidden | Kind::TooOften(_), .. })) => {
                failed += 1
            }
            Err(error) => return Err(error),
        }
    }
    let more = ids.len() == usize::try_from(CHUNK).unwrap_or(0);
    progress(&mut tx, job, ids.last().copied(), done, failed, more).await?;
    if more {
        claim.progressed(&mut tx).await?;
    } else {
        claim.finish(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(more)
}

async fn progress(tx: &mut Tx, job: JobId, last: Option<Uuid>, done: i32, failed: i32, more: bool) -> Result<()> {
    sqlx::query!(
        "update jobs set resume_after = coalesce($3, resume_after), done = done + $4, failed = failed + $5,
             status = case when $6 then status else 'finished' end, finished_at = case when $6 then null else $7::timestamptz end
         where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        job as JobId,
        last,
        done,
        failed,
        more,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
