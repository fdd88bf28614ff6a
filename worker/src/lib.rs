//! The worker of Tenantry: takes jobs from Redis and does them. Today that is sending mail. Beside that, it runs what
//! recurs ([`schedule`]).
//!
//! A job arrives as a reference ([`queue`]), is taken in Postgres (a claim with a lease), done in a file of its own below
//! `jobs`, and its outcome is recorded in the transaction that ends it.

mod command;
mod config;
mod jobs;
pub mod mail;
mod meters;
pub mod parked;
pub mod queue;
pub mod schedule;
mod traced;

use std::sync::Arc;
use std::time::Instant;

use lettre::message::Mailbox;
use secrecy::ExposeSecret;
use tenantry_shared::clock::Clock;
use tenantry_shared::config::{ConfigError, PublicUrl};
use tenantry_shared::db::Db;
use tenantry_shared::email_domains::Resolver;
use tenantry_shared::outbox::{self, Claim, Job, JobRef, RENEW_EVERY, Taken};
use tenantry_shared::saml::Fetcher;
use tenantry_shared::secret::Links;
use tenantry_shared::{emails, jobs as jobs_of_people};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

pub use config::{WorkerConfig, check};
use mail::SmtpTransport;

/// What jobs share. Clones are cheap.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) db: Db,
    pub(crate) links: Links,
    pub(crate) public_url: Arc<PublicUrl>,
    pub(crate) from: Arc<Mailbox>,
    pub(crate) smtp: SmtpTransport,
    pub(crate) fetcher: Fetcher,
    pub(crate) resolver: Resolver,
}

/// A running worker.
#[derive(Debug)]
pub struct Running {
    stop: CancellationToken,
    queue: JoinHandle<Result<(), queue::QueueError>>,
}

impl Running {
    /// Takes no more jobs, finishes those that run, and returns when that is done.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.queue.await;
    }

    /// Runs until `signal` comes; then as [`Running::stop`]. Ends with an error if the queue ends by itself.
    pub async fn until(mut self, signal: impl Future<Output = ()>) -> Result<(), ConfigError> {
        let ended = |result: Result<Result<(), queue::QueueError>, tokio::task::JoinError>| match result {
            Ok(result) => result.map_err(|e| ConfigError(e.to_string())),
            Err(e) => Err(ConfigError(format!("the queue ended: {e}"))),
        };
        tokio::select! {
            result = &mut self.queue => return ended(result),
            () = signal => {}
        }
        self.stop.cancel();
        tracing::info!("stopping: jobs that run may finish");
        ended(self.queue.await)
    }
}

/// Starts the worker. Postgres, Redis and the mail server may come later.
pub async fn start(config: &WorkerConfig, clock: Clock) -> Result<Running, ConfigError> {
    // First: whoever scrapes it already finds what it is.
    meters::describe();
    let trouble = |e: tenantry_shared::Error| ConfigError(e.to_string());
    let db = Db::new(&config.database, clock).map_err(trouble)?;
    let worker = Worker {
        links: Links::new(&config.common.secret_key()?).map_err(trouble)?,
        fetcher: Fetcher::new(&config.common.public_url()?)?,
        resolver: config.common.resolver()?,
        public_url: Arc::new(config.common.public_url()?),
        from: Arc::new(config.mail_from()?),
        smtp: config.smtp()?,
        db: db.clone(),
    };
    let stop = CancellationToken::new();
    let redis_url = config.redis.url()?;
    config.redis.client()?;
    let (namespace, concurrency) = (config.redis.redis_namespace.clone(), config.worker_concurrency);
    let stopping = stop.clone();
    let schedules = config.run_schedules.then(|| tokio::spawn(schedule::run(db.clone(), stop.clone())));
    let all = stop.clone();
    let queue = tokio::spawn(async move {
        let watch = tokio::spawn(meters::watch(db.clone()));
        let ended = queue::run(redis_url.expose_secret(), &namespace, concurrency, stopping, move |job| {
            let worker = worker.clone();
            async move {
                let span = traced::job(&job);
                worker.handle(job, &span).instrument(span.clone()).await;
            }
        })
        .await;
        watch.abort();
        all.cancel();
        if let Some(schedules) = schedules {
            let _ = schedules.await;
        }
        db.close().await;
        ended
    });
    Ok(Running { stop, queue })
}

impl Worker {
    async fn handle(&self, job: JobRef, span: &Span) {
        match outbox::take(&self.db, &job).await {
            Ok(Taken::Claimed(claim)) => {
                traced::taken(span, &claim);
                let started = Instant::now();
                let done = self.hold(&claim, self.run(&claim)).await;
                meters::job(claim.job, started, done.is_ok());
                if let Err(error) = done {
                    traced::failed(span);
                    // The lease runs out, and the job comes again.
                    tracing::warn!(job = ?claim.job, %error, "a job could not be done");
                }
            }
            Ok(Taken::Exhausted(claim)) => match self.put_aside(&claim).await {
                Ok(true) => {
                    metrics::counter!("tenantry_jobs_parked_total", "job" => claim.job.name()).increment(1);
                    tracing::error!(job = ?claim.job, "a job crashed too often and was put aside");
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(job = ?claim.job, %error, "a job could not be put aside; it comes again"),
            },
            Ok(Taken::Nothing) => {}
            Err(error) => tracing::warn!(%error, "a job could not be taken; it comes again"),
        }
    }

    async fn run(&self, claim: &Claim) -> tenantry_shared::Result<()> {
        match claim.job {
            Job::SendEmail(id) => jobs::send_email::run(self, claim, id).await,
            Job::ResendInvitations(id) => jobs::resend_invitations::run(self, claim, id).await,
            Job::ResetPassword(id) => jobs::reset_password::run(self, claim, id).await,
            Job::FetchSamlMetadata(id) => jobs::fetch_saml_metadata::run(self, claim, id).await,
            Job::LookUpEmailDomain(id) => jobs::look_up_email_domain::run(self, claim, id).await,
            Job::MailLoginUrls(id) => jobs::mail_login_urls::run(self, claim, id).await,
        }
    }

    /// Puts a job aside, and shows it where an administrator looks. False if someone else has it now.
    async fn put_aside(&self, claim: &Claim) -> tenantry_shared::Result<bool> {
        let mut tx = claim.begin(&self.db).await?;
        match claim.job {
            Job::SendEmail(id) => emails::give_up(&mut tx, id).await?,
            Job::ResendInvitations(id) => jobs_of_people::give_up(&mut tx, id).await?,
            // Whoever asked was told nothing, and asks again.
            Job::ResetPassword(_) | Job::MailLoginUrls(_) => {}
            // Tomorrow's has another turn.
            Job::FetchSamlMetadata(_) | Job::LookUpEmailDomain(_) => {}
        }
        let is_parked = claim.park(&mut tx).await?;
        if is_parked {
            tx.commit().await?;
        }
        Ok(is_parked)
    }

    /// Keeps the claim's lease alive while the work goes on.
    async fn hold<T>(&self, claim: &Claim, work: impl Future<Output = T>) -> T {
        let renew = async {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                match claim.renew(&self.db).await {
                    Ok(true) => {}
                    Ok(false) => tracing::debug!("the claim on a job is gone: it is done, or someone else has it"),
                    Err(error) => tracing::debug!(%error, "a lease could not be renewed"),
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = renew => unreachable!("renewing never ends"),
        }
    }
}
