//! The outbox: Postgres' record of work that must still be done.
//!
//! A row is written in the transaction that asks for the work and is deleted in the transaction that records its outcome.
//! In between the relay pushes its id through Redis ([`crate::relay`]), and a worker *takes* it: a claim with a lease, so
//! that a job pushed or run twice is harmless. A worker that dies lets the lease run out, and the relay pushes again.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::access::{Actor, Origin};
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::ids::{
    EmailDomainId, EmailId, JobId, LoginUrlRequestId, OrganizationId, PasswordResetRequestId, SamlConnectionId,
    new_uuid,
};
use crate::tenant::Tenant;
use crate::trace;

/// How long a claim holds unless it is renewed. A crash delays a job by this much at most.
pub const LEASE: TimeDelta = TimeDelta::seconds(15);
/// How often a worker renews a claim while it works.
pub const RENEW_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
/// After how many takes that ended without a word (a crash each) a job is parked.
const TAKES_BEFORE_PARKING: i32 = 5;

/// Work for the worker: ids, never content, for what is true is looked up when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Send one mail.
    SendEmail(EmailId),
    /// Resend many invitations.
    ResendInvitations(JobId),
    /// Mail a link to whoever has an address, if anyone.
    ResetPassword(PasswordResetRequestId),
    /// Fetch the metadata of a connection.
    FetchSamlMetadata(SamlConnectionId),
    /// Look up whether the record of a claimed e-mail domain is there.
    LookUpEmailDomain(EmailDomainId),
    /// Mail whoever has an address where he can sign in, if anyone.
    MailLoginUrls(LoginUrlRequestId),
}

impl Job {
    /// The names of all there are.
    pub const NAMES: [&'static str; 6] = [
        "send_email",
        "resend_invitations",
        "reset_password",
        "fetch_saml_metadata",
        "look_up_email_domain",
        "mail_login_urls",
    ];

    /// Its name in the database, and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.parts().0
    }

    /// Its name and the id of what it is about, which is also the id of its row: there is one job for a thing at a time.
    fn parts(self) -> (&'static str, Uuid) {
        match self {
            Self::SendEmail(id) => ("send_email", id.into()),
            Self::ResendInvitations(id) => ("resend_invitations", id.into()),
            Self::ResetPassword(id) => ("reset_password", id.into()),
            Self::FetchSamlMetadata(id) => ("fetch_saml_metadata", id.into()),
            Self::LookUpEmailDomain(id) => ("look_up_email_domain", id.into()),
            Self::MailLoginUrls(id) => ("mail_login_urls", id.into()),
        }
    }

    pub(crate) fn from_parts(job: &str, subject: Uuid) -> Option<Self> {
        match job {
            "send_email" => Some(Self::SendEmail(subject.into())),
            "resend_invitations" => Some(Self::ResendInvitations(subject.into())),
            "reset_password" => Some(Self::ResetPassword(subject.into())),
            "fetch_saml_metadata" => Some(Self::FetchSamlMetadata(subject.into())),
            "look_up_email_domain" => Some(Self::LookUpEmailDomain(subject.into())),
            "mail_login_urls" => Some(Self::MailLoginUrls(subject.into())),
            _ => None,
        }
    }
}

/// Which queue a job waits in. They do not wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Someone is waiting for it.
    Interactive,
    /// One of many.
    Bulk,
}

impl Lane {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Interactive, Self::Bulk];

    fn number(self) -> i16 {
        match self {
            Self::Interactive => 0,
            Self::Bulk => 1,
        }
    }

    pub(crate) fn from_number(number: i16) -> Self {
        if number == 0 { Self::Interactive } else { Self::Bulk }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Bulk => "bulk",
        }
    }

    /// Its list in Redis.
    #[must_use]
    pub fn redis_key(self, namespace: &str) -> String {
        format!("{namespace}:jobs:{}", self.name())
    }
}

/// What travels through Redis: where in the outbox to look. As text, `organization/row`, and behind another slash the
/// trace of the request that asked for it, where there is one (W3C Trace Context).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRef {
    organization_id: OrganizationId,
    id: Uuid,
    /// `traceparent` of whoever hands the job on.
    pub trace_parent: Option<String>,
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization_id, self.id)?;
        self.trace_parent.iter().try_for_each(|trace| write!(f, "/{trace}"))
    }
}

/// Not a reference to a job.
#[derive(Debug, thiserror::Error)]
#[error("not a reference to a job")]
pub struct NotAJobRef;

impl FromStr for JobRef {
    type Err = NotAJobRef;

    fn from_str(text: &str) -> Result<Self, NotAJobRef> {
        let mut parts = text.splitn(3, '/');
        let mut uuid = || parts.next().and_then(|part| Uuid::parse_str(part).ok()).ok_or(NotAJobRef);
        let (organization_id, id) = (uuid()?.into(), uuid()?);
        Ok(Self { organization_id, id, trace_parent: parts.next().map(str::to_owned) })
    }
}

impl Tx {
    /// Asks for work to be done once this unit of work is committed.
    pub async fn enqueue(&mut self, job: Job, lane: Lane) -> Result<()> {
        self.enqueue_at(job, lane, self.now()).await
    }

    /// The same, not before `due`. A job that waits already is brought forward, not doubled.
    pub async fn enqueue_at(&mut self, job: Job, lane: Lane, due: DateTime<Utc>) -> Result<()> {
        self.enqueue_all(&[job], lane, due).await
    }

    /// The same for many at once.
    pub(crate) async fn enqueue_all(&mut self, jobs: &[Job], lane: Lane, due: DateTime<Utc>) -> Result<()> {
        let (names, ids): (Vec<&str>, Vec<Uuid>) = jobs.iter().map(|job| job.parts()).unzip();
        sqlx::query!(
            "insert into outbox (organization_id, id, job, lane, created_at, due_at, trace_parent)
             select $1, j.id, j.job, $4, $5, $6, $7 from unnest($2::uuid[], $3::text[]) j(id, job)
             on conflict on constraint outbox_pkey do update
             set due_at = least(outbox.due_at, excluded.due_at), lane = least(outbox.lane, excluded.lane),
                 parked_at = null, takes = 0,
                 trace_parent = excluded.trace_parent
             where outbox.claim is null",
            self.organization_id() as OrganizationId,
            &ids,
            &names as &[&str],
            lane.number(),
            self.now(),
            due,
            trace::current()
        )
        .execute(self.connection())
        .await?;
        self.note_enqueued();
        Ok(())
    }

    /// Withdraws work that no worker has taken yet.
    pub async fn withdraw(&mut self, job: Job) -> Result<()> {
        let (_, id) = job.parts();
        sqlx::query!(
            "delete from outbox where organization_id = $1 and id = $2 and claim is null",
            self.organization_id() as OrganizationId,
            id
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

/// Withdraws all work of the organization that no worker has taken yet.
pub(crate) async fn withdraw_all(tx: &mut Tx) -> Result<()> {
    sqlx::query!(
        "delete from outbox where organization_id = $1 and claim is null",
        tx.organization_id() as OrganizationId
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A job that this process has taken, and nobody else.
#[derive(Clone, Debug)]
pub struct Claim {
    tenant: Tenant,
    id: Uuid,
    fence: Uuid,
    /// What to do.
    pub job: Job,
    /// In which lane it came.
    pub lane: Lane,
}

/// What came of an attempt to take a job.
#[derive(Debug)]
pub enum Taken {
    /// It is ours now.
    Claimed(Claim),
    /// Someone else has it, or it is done, or not due, or for a newer release: nothing to do.
    Nothing,
    /// It is ours, and has crashed too often: to be put aside with [`Claim::park`], for a person to look at.
    Exhausted(Claim),
}

/// Takes a job: a lease on its row, recorded before any work begins.
pub async fn take(db: &Db, job: &JobRef) -> Result<Taken> {
    let tenant = Tenant::proven(job.organization_id);
    let now = db.clock().now();
    let fence = new_uuid(now);
    let known = &Job::NAMES.map(str::to_owned);
    // Should it be lost with its server, it is found lost before a mail goes out (`emails::load`); all else may be done twice.
    let take = |pool| async move {
        sqlx::query!(
            r#"select job as "job!", lane as "lane!", takes as "takes!" from take_job($1, $2, $3, $4, $5, $6)"#,
            job.organization_id as OrganizationId,
            job.id,
            known,
            fence,
            now,
            interval(LEASE)
        )
        .fetch_optional(pool)
        .await
    };
    let row = db.ask(take).await?;
    let Some(row) = row else { return Ok(Taken::Nothing) };
    let Some(work) = Job::from_parts(&row.job, job.id).filter(|_| known.contains(&row.job)) else {
        // A newer release wrote it: not taken, so that a newer worker can.
        tracing::warn!(job = row.job, "a job this release does not know");
        return Ok(Taken::Nothing);
    };
    let claim = Claim { tenant, id: job.id, fence, job: work, lane: Lane::from_number(row.lane) };
    Ok(if row.takes > TAKES_BEFORE_PARKING { Taken::Exhausted(claim) } else { Taken::Claimed(claim) })
}

impl Claim {
    /// Whom the job is for.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// What shows that it is ours.
    pub(crate) fn fence(&self) -> Uuid {
        self.fence
    }

    /// Begins a unit of work of this job.
    pub async fn begin(&self, db: &Db) -> Result<Tx> {
        db.begin(&self.tenant, Actor::System("worker"), Origin::default()).await
    }

    /// Keeps the job ours for another lease. False if it is not ours any more.
    pub async fn renew(&self, db: &Db) -> Result<bool> {
        let mut tx = self.begin(db).await?;
        let done = sqlx::query!(
            "update outbox set claimed_until = $4::timestamptz + $5::interval, due_at = $4::timestamptz + $5::interval
             where organization_id = $1 and id = $2 and claim = $3",
            tx.organization_id() as OrganizationId,
            self.id,
            self.fence,
            tx.now(),
            interval(LEASE)
        )
        .execute(tx.connection())
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Whether the job is ours still, and stays so until this unit of work ends.
    pub async fn is_held(&self, tx: &mut Tx) -> Result<bool> {
        let held = sqlx::query!(
            "select id from outbox where organization_id = $1 and id = $2 and claim = $3 for update",
            tx.organization_id() as OrganizationId,
            self.id,
            self.fence
        )
        .fetch_optional(tx.connection())
        .await?;
        Ok(held.is_some())
    }

    /// The job has got somewhere: earlier attempts that ended without a word are forgiven.
    pub async fn progressed(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query!(
            "update outbox set takes = 0 where organization_id = $1 and id = $2 and claim = $3",
            tx.organization_id() as OrganizationId,
            self.id,
            self.fence
        )
        .execute(tx.connection())
        .await?;
        Ok(())
    }

    /// Puts the job aside, in the same transaction as whatever shows it to people. False if it is not ours any more.
    pub async fn park(&self, tx: &mut Tx) -> Result<bool> {
        let done = sqlx::query!(
            "update outbox set parked_at = $4, claim = null, claimed_until = null
             where organization_id = $1 and id = $2 and claim = $3",
            tx.organization_id() as OrganizationId,
            self.id,
            self.fence,
            tx.now()
        )
        .execute(tx.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The job is done, in the same transaction as its outcome.
    pub async fn finish(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query!(
            "delete from outbox where organization_id = $1 and id = $2",
            tx.organization_id() as OrganizationId,
            self.id
        )
        .execute(tx.connection())
        .await?;
        Ok(())
    }

    /// The job shall be tried again at `due`: an orderly end of this attempt.
    pub async fn postpone(&self, tx: &mut Tx, due: DateTime<Utc>) -> Result<()> {
        sqlx::query!(
            "update outbox set due_at = $4, pushed_at = null, pushed_epoch = null, claim = null, claimed_until = null, takes = 0
             where organization_id = $1 and id = $2 and claim = $3",
            tx.organization_id() as OrganizationId,
            self.id,
            self.fence,
            due
        )
        .execute(tx.connection())
        .await?;
        Ok(())
    }
}

pub(crate) fn interval(delta: TimeDelta) -> sqlx::postgres::types::PgInterval {
    sqlx::postgres::types::PgInterval { months: 0, days: 0, microseconds: delta.num_microseconds().unwrap_or(i64::MAX) }
}

/// Claims what is due for pushing into the life of Redis that `epoch` names: at most `places` jobs of a lane, organizations
/// taking turns. Nobody waits for the disk: should a claim be lost with the server, its jobs are pushed twice, which is harmless.
pub(crate) async fn claim_due(
    db: &Db,
    lane: Lane,
    epoch: Uuid,
    places: i32,
    redeliver: TimeDelta,
) -> Result<Vec<JobRef>> {
    sqlx::query_as!(
        JobRef,
        r#"select organization_id as "organization_id!: OrganizationId", id as "id!", trace_parent
           from claim_outbox($1, $2, $3, $4, $5), (select set_config('synchronous_commit', 'off', true)) lightly"#,
        lane.number(),
        db.clock().now(),
        epoch,
        places,
        interval(redeliver)
    )
    .fetch_all(db.pool())
    .await
    .map_err(Into::into)
}

/// How much waits in a lane.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Which lane.
    pub lane: Lane,
    /// Jobs not done yet.
    pub waiting: i64,
    /// Jobs put aside.
    pub parked: i64,
    /// For how many seconds the oldest due one has been waiting.
    pub oldest_seconds: f64,
}

/// How much waits, for metrics.
pub async fn depth(db: &Db) -> Result<Vec<Depth>> {
    let rows = sqlx::query!(
        r#"select lane as "lane!", waiting as "waiting!", parked as "parked!", oldest_seconds as "oldest!"
           from outbox_depth($1)"#,
        db.clock().now()
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Depth {
            lane: Lane::from_number(row.lane),
            waiting: row.waiting,
            parked: row.parked,
            oldest_seconds: row.oldest,
        })
        .collect())
}
