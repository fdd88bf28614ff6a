//! Jobs as they arrive from Redis: apalis runs them, and this is the only module that knows apalis.
//!
//! Postgres is the record of what must be done; Redis carries ids. So the backend under apalis is a blocking pop and
//! no more: nothing is acknowledged, leased or kept in Redis. A job that is lost on the way, by a crash or by a Redis
//! that came back empty, is pushed again by the relay when its lease in Postgres has ended. `apalis-redis` does keep
//! such things, and stalls or repeats jobs over them.
//!
//! A job is popped only by a free slot, so that a crash strands no more jobs than were running.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use apalis::{
    layers::{catch_panic::CatchPanicLayer, tracing::TraceLayer},
    prelude::{BoxDynError, ParallelizeExt},
};
use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    error::WorkerError,
    layers::Identity,
    task::{Task, task_id::RandomId},
    worker::{builder::WorkerBuilder, context::WorkerContext},
};
use futures_util::{FutureExt, future::BoxFuture};
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, aio::MultiplexedConnection};
use tenantry_shared::{
    clock::Clock,
    ids::new_uuid,
    outbox::{JobRef, Lane},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How long a pop waits in Redis. Also what an idle worker needs at most to notice that it shall stop, since a pop is
/// never cut off: Redis could be handing out a job at that very moment.
const POP_TIMEOUT: Duration = Duration::from_millis(500);
/// A reply later than this means that the connection is dead. Must be well above `POP_TIMEOUT`.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Back-off while Redis is away: 50 ms, 100 ms, … 1 s.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(1);
/// What running jobs get to finish in after a stop was asked for.
const GRACE: Duration = Duration::from_secs(30);

/// Why the queue could not start, or ended without having been told to.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The URL of Redis can't be used. The message does not contain it, for it holds a password.
    #[error("the URL of Redis is not valid: {0}")]
    Url(#[source] RedisError),
    /// apalis ended by itself. That should not happen; the process should end too, and be started again.
    #[error("the worker ended without having been told to: {0}")]
    Ended(String),
}

/// Runs `handler` for every job that arrives, at most `concurrency` at a time of each lane, until `shutdown` is cancelled.
///
/// The lanes do not wait for each other: however many bulk jobs hang, an interactive one has a slot. A Redis that is down,
/// at the start or later, is waited for; it never ends this function. A handler that panics loses its job, which is logged,
/// and nothing else. After the shutdown no job is taken any more, running ones get 30 seconds, and what is left then is
/// aborted.
///
/// # Errors
/// [`QueueError::Url`] at once; [`QueueError::Ended`] if the frame ends by itself.
pub async fn run<F, Fut>(
    redis_url: &str,
    namespace: &str,
    concurrency: usize,
    shutdown: CancellationToken,
    handler: F,
) -> Result<(), QueueError>
where
    F: Fn(JobRef) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let client = Client::open(redis_url).map_err(QueueError::Url)?;
    let (sender, arriving) = mpsc::channel(1);
    let _popping = Lane::ALL.map(|lane| {
        let slots = Arc::new(Semaphore::new(concurrency.max(1)));
        let source =
            Source { client: client.clone(), lane, key: lane.redis_key(namespace), connection: None, outage: None };
        AbortOnDropHandle::new(tokio::spawn(source.feed(slots, sender.clone(), shutdown.clone())))
    });
    drop(sender);

    let worker = worker(arriving, handler);

    let overtime = async {
        shutdown.cancelled().await;
        sleep(GRACE).await;
    };
    tokio::select! {
        ended = worker => match ended {
            _ if shutdown.is_cancelled() => {}
            Ok(()) => return Err(QueueError::Ended("no reason given".to_owned())),
            Err(error) => return Err(QueueError::Ended(error.to_string())),
        },
        () = overtime => tracing::warn!("jobs were still running {GRACE:?} after the stop, and are abandoned"),
    }
    Ok(())
}

/// The worker as apalis runs it. Boxed, for the compiler can't tell that the type of it all is `Send` within an `async fn`.
fn worker<F, Fut>(arriving: mpsc::Receiver<Arrival>, handler: F) -> BoxFuture<'static, Result<(), WorkerError>>
where
    F: Fn(JobRef) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let worker = WorkerBuilder::new(worker_name())
        .backend(Arrivals(arriving))
        // On the runtime's threads, not all in the one task that apalis polls. From outside to inside: thread, span,
        // panic, handler; so that a panic is logged within the job's span.
        .parallelize(spawn)
        .layer(TraceLayer::new().make_span_with(job_span).on_failure(log_panic))
        .layer(CatchPanicLayer::new())
        .build(move |arrival: Arrival| {
            let handler = handler.clone();
            async move {
                handler(arrival.job).await;
                drop(arrival.slot);
            }
        });
    worker.run().boxed()
}

/// Unique per process: apalis takes two workers of one name for one worker.
fn worker_name() -> String {
    let host = hostname::get().map_or_else(|_| "unknown".to_owned(), |host| host.to_string_lossy().into_owned());
    format!("{host}-{}-{}", std::process::id(), new_uuid(Clock::default().now()))
}

/// Jobs die with the worker: a plain `tokio::spawn` would leave them behind when the grace is over.
fn spawn<F>(job: F) -> AbortOnDropHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    AbortOnDropHandle::new(tokio::spawn(job))
}

fn job_span(task: &Task<Arrival>) -> tracing::Span {
    let mut job = task.args.job.clone();
    let trace = job.trace_parent.take();
    tracing::info_span!("job", %job, trace_id = trace.as_deref().and_then(|trace| trace.split('-').nth(1)))
}

/// Handlers return nothing, so that a failure can only be a panic.
fn log_panic(error: &BoxDynError, _after: Duration, _span: &tracing::Span) {
    tracing::error!(%error, "a job panicked");
}

/// A job and the slot it runs in, which is free again when this is dropped.
struct Arrival {
    job: JobRef,
    slot: OwnedSemaphorePermit,
}

/// What apalis sees of Redis.
struct Arrivals(mpsc::Receiver<Arrival>);

impl Backend for Arrivals {
    type Task = Task<Arrival>;
    type Error = WorkerError;

    fn poll_ready(&mut self, _cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Result<(), WorkerError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, WorkerError>>> {
        match self.0.poll_recv(cx) {
            Poll::Ready(Some(arrival)) => Poll::Ready(Some(Ok(Task::new(arrival)))),
            Poll::Ready(None) => {
                // Without a stop the worker would wait for ever after its last job.
                if let Err(error) = worker.stop() {
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Result<(), WorkerError>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Arrivals {
    type Args = Arrival;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _worker: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}

/// A lane in Redis, over a connection of its own: a blocking command holds up everything behind it.
struct Source {
    client: Client,
    lane: Lane,
    key: String,
    connection: Option<MultiplexedConnection>,
    outage: Option<Outage>,
}

struct Outage {
    since: Instant,
    delay: Duration,
}

impl Source {
    /// Pops a job for every slot that gets free, until the shutdown. Dropping `to` tells apalis that this was all.
    async fn feed(mut self, slots: Arc<Semaphore>, to: mpsc::Sender<Arrival>, shutdown: CancellationToken) {
        loop {
            let slot = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let (Ok(slot), Some(job)) = (slot, self.next(&shutdown).await) else {
                return;
            };
            if to.send(Arrival { job, slot }).await.is_err() {
                return;
            }
        }
    }

    /// The next job, or nothing once the shutdown has begun. A job that was popped just then is still returned.
    async fn next(&mut self, shutdown: &CancellationToken) -> Option<JobRef> {
        while !shutdown.is_cancelled() {
            match self.pop().await {
                Ok(popped) => {
                    self.note_answer();
                    if let Some(job) = popped.as_deref().and_then(parse) {
                        return Some(job);
                    }
                }
                Err(error) => {
                    let delay = self.note_failure(&error);
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = sleep(delay) => {}
                    }
                }
            }
        }
        None
    }

    async fn pop(&mut self) -> RedisResult<Option<Vec<u8>>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(RESPONSE_TIMEOUT));
                none.insert(self.client.get_multiplexed_async_connection_with_config(&config).await?)
            }
        };
        let popped: Option<(String, Vec<u8>)> =
            redis::cmd("BRPOP").arg(&self.key).arg(POP_TIMEOUT.as_secs_f64()).query_async(connection).await?;
        Ok(popped.map(|(_key, payload)| payload))
    }

    fn note_answer(&mut self) {
        if let Some(outage) = self.outage.take() {
            tracing::info!(lane = self.lane.name(), after = ?outage.since.elapsed(), "Redis is back");
        }
    }

    /// Logs the first failure of an outage, and says how long to wait before the next attempt.
    fn note_failure(&mut self, error: &RedisError) -> Duration {
        self.connection = None;
        let outage = self.outage.get_or_insert_with(|| {
            tracing::warn!(lane = self.lane.name(), %error, "no jobs can be taken from Redis, trying again until they can");
            Outage { since: Instant::now(), delay: FIRST_DELAY }
        });
        let delay = outage.delay;
        outage.delay = (delay * 2).min(LONGEST_DELAY);
        delay
    }
}

/// Not ours: dropped, for Postgres does not know it either. Its text is not logged, it could be anything.
fn parse(payload: &[u8]) -> Option<JobRef> {
    let job = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
    if job.is_none() {
        tracing::error!(bytes = payload.len(), "something that is no job was in the queue, and is dropped");
    }
    job
}
