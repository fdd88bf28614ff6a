//! What recurs, without anyone asking: which schedules there are, and the record of their runs in Postgres.
//!
//! A run goes through all organizations in the order of their ids, each in units of work of its own. Any worker may begin
//! one that is due: the claim on the schedule's row, with a lease, keeps the others away. Every unit of work holds that row
//! until it commits, and moves `resume_after` with it. So a worker that dies is succeeded by another that goes on where it
//! stopped, and one that only seemed dead can do nothing any more.
//!
//! The purge of partitions has nothing behind it yet.

use chrono::{DateTime, TimeDelta, Utc};
use clap::ValueEnum;
use clap::builder::PossibleValue;
use uuid::Uuid;

use crate::access::{Actor, Origin};
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::ids::{OrganizationId, new_uuid};
use crate::organizations::RESTORABLE;
use crate::outbox::{LEASE, interval};
use crate::tenant::Tenant;

/// How many organizations a run looks up at a time.
const PAGE: i32 = 100;

/// Something that recurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Mails a reminder to whoever has an open invitation that ends soon.
    RemindInvitees,
    /// Mails those whose account ends soon.
    NotifyExpiringAccounts,
    /// Ends the sessions and tokens of accounts whose time is over.
    EndExpiredAccounts,
    /// Deletes sessions and tokens whose time is over.
    PurgeDeadSessions,
    /// Deletes remembered answers that are too old to be given again.
    PurgeIdempotencyKeys,
    /// Deletes password links that have been dead for long.
    PurgePasswordResets,
    /// Fetches the metadata of identity providers anew.
    FetchSamlMetadata,
    /// Mails those who manage single sign-on before a certificate ends.
    NotifyExpiringCertificates,
    /// Deletes what is left of single sign-ons, once it is of no use.
    PurgeSaml,
    /// Looks the records of claimed e-mail domains up again.
    LookUpEmailDomains,
    /// Deletes what is left of organizations that can't be restored any more.
    PurgeOrganizations,
}

impl Schedule {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::RemindInvitees,
        Self::NotifyExpiringAccounts,
        Self::EndExpiredAccounts,
        Self::PurgeDeadSessions,
        Self::PurgeIdempotencyKeys,
        Self::PurgePasswordResets,
        Self::FetchSamlMetadata,
        Self::NotifyExpiringCertificates,
        Self::PurgeSaml,
        Self::LookUpEmailDomains,
        Self::PurgeOrganizations,
    ];

    const fn row(self) -> (&'static str, TimeDelta) {
        match self {
            Self::RemindInvitees => ("remind_invitees", TimeDelta::hours(1)),
            Self::NotifyExpiringAccounts => ("notify_expiring_accounts", TimeDelta::hours(1)),
            Self::EndExpiredAccounts => ("end_expired_accounts", TimeDelta::hours(1)),
            Self::PurgeDeadSessions => ("purge_dead_sessions", TimeDelta::hours(1)),
            Self::PurgeIdempotencyKeys => ("purge_idempotency_keys", TimeDelta::hours(1)),
            Self::PurgePasswordResets => ("purge_password_resets", TimeDelta::days(1)),
            Self::FetchSamlMetadata => ("fetch_saml_metadata", TimeDelta::days(1)),
            Self::NotifyExpiringCertificates => ("notify_expiring_certificates", TimeDelta::hours(6)),
            Self::PurgeSaml => ("purge_saml", TimeDelta::hours(1)),
            Self::LookUpEmailDomains => ("look_up_email_domains", TimeDelta::days(1)),
            Self::PurgeOrganizations => ("purge_organizations", TimeDelta::hours(1)),
        }
    }

    /// What it is called on the command line, in metrics and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// How often it runs.
    #[must_use]
    pub const fn every(self) -> TimeDelta {
        self.row().1
    }

    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schedule| schedule.name() == name)
    }
}

impl ValueEnum for Schedule {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

/// What one unit of work for an organization has done.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Objects handled.
    pub handled: u64,
    /// Whether there may be more to do for this organization.
    pub more: bool,
}

impl Part {
    /// A part that handles `at_most` objects at a time: fewer means that it was the last one.
    pub(crate) fn of(handled: u64, at_most: i64) -> Self {
        Self { handled, more: i64::try_from(handled) == Ok(at_most) }
    }

    /// Both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { handled: self.handled + other.handled, more: self.more || other.more }
    }
}

/// How a schedule stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Which one.
    pub schedule: Schedule,
    /// When it is due; never before any worker has run.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Whether a run is under way, by someone alive or dead.
    pub is_running: bool,
    /// When the last run began.
    pub last_started_at: Option<DateTime<Utc>>,
    /// When a run last ended.
    pub last_finished_at: Option<DateTime<Utc>>,
    /// When a run last ended without any failure.
    pub last_succeeded_at: Option<DateTime<Utc>>,
    /// What the run under way has done so far, or the last one did.
    pub tally: Tally,
}

/// What a run has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Organizations it has been to.
    pub organizations: i32,
    /// Objects it has handled there.
    pub objects: i64,
    /// Organizations for which it failed.
    pub failed: i32,
    /// The latest failure, in words for an operator.
    pub last_error: Option<String>,
}

/// A run that this process has, and nobody else.
#[derive(Debug)]
pub struct Run {
    schedule: Schedule,
    fence: Uuid,
    after: Option<OrganizationId>,
}

/// Makes the rows of schedules that this release brings. They are due at once.
pub async fn prepare(db: &Db) -> Result<()> {
    let names = Schedule::ALL.map(|schedule| schedule.name().to_owned());
    sqlx::query!(
        "insert into schedules (name, next_run_at) select n, $2 from unnest($1::text[]) n
         where not exists (select from schedules s where s.name = n)
         on conflict (name) do nothing",
        &names,
        db.clock().now()
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// Claims what has been due for longest, or what a worker that died has left.
pub async fn claim_due(db: &Db) -> Result<Option<Run>> {
    let names = Schedule::ALL.map(|schedule| schedule.name().to_owned());
    claim_one(db, &names, true).await
}

/// Claims a schedule, due or not. None if a worker is at it.
pub async fn claim(db: &Db, schedule: Schedule) -> Result<Option<Run>> {
    claim_one(db, &[schedule.name().to_owned()], false).await
}

async fn claim_one(db: &Db, names: &[String], only_due: bool) -> Result<Option<Run>> {
    let now = db.clock().now();
    let fence = new_uuid(now);
    // A claim that is still there is one of a run that was not finished: its record goes on.
    let row = sqlx::query!(
        r#"update schedules s
           set claim = $2, claimed_until = $1::timestamptz + $3::interval,
               last_started_at = case when claim is null then $1 else last_started_at end,
               organizations = case when claim is null then 0 else organizations end,
               objects = case when claim is null then 0 else objects end,
               failed = case when claim is null then 0 else failed end,
               last_error = case when claim is null then null else last_error end
           where s.name = (
               select d.name from schedules d
               where d.name = any($4)
                 and (d.claim is null and (d.next_run_at <= $1 or not $5) or d.claimed_until <= $1)
               order by d.next_run_at, d.name limit 1 for update skip locked)
           returning name, resume_after as "resume_after: OrganizationId""#,
        now,
        fence,
        interval(LEASE),
        names,
        only_due
    )
    .fetch_optional(db.pool())
    .await?;
    Ok(row.and_then(|row| Some(Run { schedule: Schedule::find(&row.name)?, fence, after: row.resume_after })))
}

impl Run {
    /// Which schedule it is a run of.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// Whether it goes on with what another worker began.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.after.is_some()
    }

    /// The organizations that come next, of those that the schedule is for; none, when it has been to all.
    pub async fn next_organizations(&self, db: &Db) -> Result<Vec<Tenant>> {
        let ids = if self.schedule == Schedule::PurgeOrganizations {
            sqlx::query_scalar!(
                r#"select organization_id as "id!: OrganizationId" from next_deleted_organizations($1, $2, $3) order by 1"#,
                self.after as Option<OrganizationId>,
                db.clock().now() - RESTORABLE,
                PAGE
            )
            .fetch_all(db.pool())
            .await?
        } else {
            sqlx::query_scalar!(
                r#"select organization_id as "id!: OrganizationId" from next_organizations($1, $2) order by 1"#,
                self.after as Option<OrganizationId>,
                PAGE
            )
            .fetch_all(db.pool())
            .await?
        };
        Ok(ids.into_iter().map(Tenant::proven).collect())
    }

    /// Begins a unit of work for an organization. The run is ours until it ends: nobody else can claim it meanwhile. None if
    /// it is not ours any more.
    pub async fn begin(&self, db: &Db, tenant: &Tenant) -> Result<Option<Tx>> {
        let mut tx = db.begin(tenant, Actor::System("worker"), Origin::default()).await?;
        let held = sqlx::query!(
            "select name from schedules where name = $1 and claim = $2 for update",
            self.schedule.name(),
            self.fence
        )
        .fetch_optional(tx.connection())
        .await?;
        Ok(held.map(|_| tx))
    }

    /// Commits a unit of work together with how far the run is now.
    pub async fn commit(&mut self, mut tx: Tx, part: Part) -> Result<()> {
        let done = (!part.more).then(|| tx.organization_id());
        sqlx::query!(
            "update schedules set claimed_until = $3::timestamptz + $4::interval, objects = objects + $5,
                 organizations = organizations + $6, resume_after = coalesce($7, resume_after)
             where name = $1 and claim = $2",
            self.schedule.name(),
            self.fence,
            tx.now(),
            interval(LEASE),
            i64::try_from(part.handled).unwrap_or(i64::MAX),
            i32::from(done.is_some()),
            done as Option<OrganizationId>
        )
        .execute(tx.connection())
        .await?;
        tx.commit().await?;
        self.after = done.or(self.after);
        Ok(())
    }

    /// Leaves an organization behind whose work failed. False if the run is not ours any more.
    pub async fn pass(&mut self, db: &Db, tenant: &Tenant, error: &Error) -> Result<bool> {
        let passed = sqlx::query!(
            "update schedules set claimed_until = $3::timestamptz + $4::interval, organizations = organizations + 1,
                 failed = failed + 1, last_error = $5, resume_after = $6
             where name = $1 and claim = $2",
            self.schedule.name(),
            self.fence,
            db.clock().now(),
            interval(LEASE),
            format!("organization {}: {error}", tenant.id()),
            tenant.id() as OrganizationId
        )
        .execute(db.pool())
        .await?;
        self.after = Some(tenant.id());
        Ok(passed.rows_affected() == 1)
    }

    /// Leaves the rest to whoever comes next, at once.
    pub async fn interrupt(self, db: &Db) -> Result<()> {
        sqlx::query!(
            "update schedules set claimed_until = $3 where name = $1 and claim = $2",
            self.schedule.name(),
            self.fence,
            db.clock().now()
        )
        .execute(db.pool())
        .await?;
        Ok(())
    }

    /// Ends the run. The next one is due at the next beat of the interval: runs don't drift, and those missed while no
    /// worker was there are not made up for. None if the run is not ours any more.
    pub async fn finish(self, db: &Db) -> Result<Option<Tally>> {
        let tally = sqlx::query_as!(
            Tally,
            "update schedules
             set claim = null, claimed_until = null, resume_after = null, last_finished_at = $3,
                 last_succeeded_at = case when failed = 0 then $3 else last_succeeded_at end,
                 next_run_at = greatest(next_run_at, date_bin($4, $3, next_run_at) + $4)
             where name = $1 and claim = $2
             returning organizations, objects, failed, last_error",
            self.schedule.name(),
            self.fence,
            db.clock().now(),
            interval(self.schedule.every())
        )
        .fetch_optional(db.pool())
        .await?;
        Ok(tally)
    }
}

/// How each schedule stands.
pub async fn list(db: &Db) -> Result<Vec<Standing>> {
    let names = Schedule::ALL.map(|schedule| schedule.name().to_owned());
    let rows = sqlx::query!(
        r#"select n.name as "name!", next_run_at as "next_run_at?", coalesce(claim is not null, false) as "is_running!",
                  last_started_at, last_finished_at, last_succeeded_at, coalesce(organizations, 0) as "organizations!",
                  coalesce(objects, 0) as "objects!", coalesce(failed, 0) as "failed!", last_error
           from unnest($1::text[]) with ordinality n(name, place) left join schedules s on s.name = n.name
           order by n.place"#,
        &names
    )
    .fetch_all(db.pool())
    .await?;
    let standing = Schedule::ALL.into_iter().zip(rows).map(|(schedule, row)| Standing {
        schedule,
        next_run_at: row.next_run_at,
        is_running: row.is_running,
        last_started_at: row.last_started_at,
        last_finished_at: row.last_finished_at,
        last_succeeded_at: row.last_succeeded_at,
        tally: Tally {
            organizations: row.organizations,
            objects: row.objects,
            failed: row.failed,
            last_error: row.last_error,
        },
    });
    Ok(standing.collect())
}
