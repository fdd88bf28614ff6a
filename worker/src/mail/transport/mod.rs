//! Handing mails to the SMTP server, over a few connections that are kept open.
//!
//! The pool is ours because lettre's own stalls for 43 ms in every mail (two writes without `TCP_NODELAY`), and
//! because what an answer means depends on where in the conversation it came: see [`SendError`].

mod conversation;
mod outcome;
mod server;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use lettre::{Message, transport::smtp::client::AsyncSmtpConnection};
use tenantry_shared::outbox::Lane;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tracing::Instrument;

use self::{
    conversation::{Failure, deliver},
    server::Server,
};
pub use self::{
    outcome::{Accepted, SendError},
    server::SmtpUrlError,
};
use crate::traced;

/// What the SMTP server gets to answer a command in, and to take a connection, greetings and TLS included.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// Well below what servers grant an idle client (RFC 5321 asks for 5 minutes).
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const REAP_INTERVAL: Duration = Duration::from_secs(5);
/// For the courtesy of a QUIT.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);

/// A pool of connections to one SMTP server. Clones share it.
#[derive(Clone)]
pub struct SmtpTransport(Arc<Pool>);

impl fmt::Debug for SmtpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpTransport").field("server", &self.0.server).finish_non_exhaustive()
    }
}

struct Pool {
    server: Server,
    slots: Semaphore,
    /// Taken first by bulk mail, and one less: a server that is slow with it, or hangs, keeps a connection for whoever waits.
    bulk_slots: Semaphore,
    pace: Option<Pace>,
    idle: Mutex<Idle>,
}

/// How many mails a second the server is given at most.
struct Pace {
    limiter: DefaultDirectRateLimiter,
    /// Who waits for the next moment, first come, first served. Of bulk mail only one at a time joins this line, so that an
    /// interactive mail has at most one before it.
    line: tokio::sync::Mutex<()>,
    bulk: tokio::sync::Mutex<()>,
}

impl Pace {
    async fn wait(&self, lane: Lane) {
        let _one_at_a_time = match lane {
            Lane::Bulk => Some(self.bulk.lock().await),
            Lane::Interactive => None,
        };
        let _first = self.line.lock().await;
        self.limiter.until_ready().await;
    }
}

/// The right to hand over one mail now, to be used or dropped.
pub struct Turn<'a> {
    pool: &'a Arc<Pool>,
    _slot: SemaphorePermit<'a>,
    _bulk_slot: Option<SemaphorePermit<'a>>,
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("server", &self.pool.server).finish_non_exhaustive()
    }
}

impl Turn<'_> {
    /// Sends a mail to its one recipient.
    ///
    /// # Errors
    /// [`SendError`] says whether another try makes sense. None was made here, but for an idle connection that turned
    /// out to be closed before the server had accepted anything.
    pub async fn send(self, message: &Message) -> Result<Accepted, SendError> {
        let span = traced::conversation(self.pool.server.host(), self.pool.server.port());
        let answer = self.pool.hand_over(message).instrument(span.clone()).await;
        traced::answered(&span, &answer);
        answer
    }
}

/// Latest used last, which is also taken first: what is not needed gets old and is closed.
#[derive(Default)]
struct Idle {
    connections: Vec<(Instant, AsyncSmtpConnection)>,
    is_reaped: bool,
}

impl SmtpTransport {
    /// A transport for `smtp://[user:password@]host[:port]` (plain text), `smtps://…` (TLS from the first byte) or
    /// `smtp+starttls://…` (STARTTLS, insisted upon), with at most `connections` at a time, and at most `per_second` mails a
    /// second, evenly spread. Does not connect yet.
    ///
    /// Certificates are checked against those of the system, or of `SSL_CERT_FILE`.
    ///
    /// # Errors
    /// If the URL can't be used; the error does not contain it, for it may hold a password.
    pub fn new(url: &str, connections: usize, per_second: Option<NonZeroU32>) -> Result<Self, SmtpUrlError> {
        let pace = per_second.map(|rate| Pace {
            limiter: RateLimiter::direct(Quota::per_second(rate).allow_burst(NonZeroU32::MIN)),
            line: tokio::sync::Mutex::default(),
            bulk: tokio::sync::Mutex::default(),
        });
        Ok(Self(Arc::new(Pool {
            server: Server::from_url(url)?,
            slots: Semaphore::new(connections.max(1)),
            bulk_slots: Semaphore::new(connections.saturating_sub(1).max(1)),
            pace,
            idle: Mutex::default(),
        })))
    }

    /// Waits until it is a mail's turn: for a connection that is free, and for the pace. That can take minutes: what the mail says
    /// should be looked up again after them.
    pub async fn turn(&self, lane: Lane) -> Turn<'_> {
        let pool = &self.0;
        let _bulk_slot = match lane {
            Lane::Bulk => Some(permit(&pool.bulk_slots).await),
            Lane::Interactive => None,
        };
        if let Some(pace) = &pool.pace {
            pace.wait(lane).await;
        }
        let _slot = permit(&pool.slots).await;
        Turn { pool, _slot, _bulk_slot }
    }

    /// Whether the server takes us: connects anew, greets, signs in, and says good-bye. Sends no mail.
    ///
    /// # Errors
    /// The server's words, without credentials.
    pub async fn check(&self) -> Result<(), String> {
        self.0.server.check().await
    }
}

impl Pool {
    /// On a connection that was idle, or on a new one.
    async fn hand_over(self: &Arc<Self>, message: &Message) -> Result<Accepted, SendError> {
        let body = message.formatted();
        if let Some(mut connection) = self.take_idle() {
            match deliver(&mut connection, message.envelope(), &body, true).await {
                // Its siblings are as old as it is, and the server has probably been restarted.
                Err(Failure::Stale) => self.idle().connections.clear(),
                outcome => return self.part(connection, outcome).await,
            }
        }
        let mut connection = self.server.connect().await.map_err(SendError::Transient)?;
        let outcome = deliver(&mut connection, message.envelope(), &body, false).await;
        self.part(connection, outcome).await
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle();
        let (since, connection) = idle.connections.pop()?;
        if since.elapsed() >= IDLE_TIMEOUT {
            // All others are older. Gone at once, so that with the new one there are not too many.
            idle.connections.clear();
            return None;
        }
        Some(connection)
    }

    /// Keeps the connection, or not: after a failure in mid-conversation nobody knows what the server thinks.
    async fn part(
        self: &Arc<Self>,
        connection: AsyncSmtpConnection,
        outcome: Result<Accepted, Failure>,
    ) -> Result<Accepted, SendError> {
        match outcome {
            Ok(accepted) => {
                self.keep(connection);
                Ok(accepted)
            }
            Err(Failure::Untouched(error)) => {
                self.keep(connection);
                Err(error)
            }
            Err(Failure::Answered(error)) => {
                quit(connection).await;
                Err(error)
            }
            Err(Failure::Broken(error)) => Err(error),
            Err(Failure::Stale) => Err(SendError::Transient("the mail server closed the connection".to_owned())),
        }
    }

    fn keep(self: &Arc<Self>, connection: AsyncSmtpConnection) {
        let mut idle = self.idle();
        idle.connections.push((Instant::now(), connection));
        if !std::mem::replace(&mut idle.is_reaped, true) {
            tokio::spawn(reap(Arc::downgrade(self)));
        }
    }

    /// The connections whose time is over; nothing, once there are no others left to look after.
    fn expired(&self) -> Option<Vec<AsyncSmtpConnection>> {
        let mut idle = self.idle();
        idle.is_reaped = !idle.connections.is_empty();
        if !idle.is_reaped {
            return None;
        }
        let fresh = idle.connections.iter().position(|(since, _)| since.elapsed() < IDLE_TIMEOUT);
        let expired = fresh.unwrap_or(idle.connections.len());
        Some(idle.connections.drain(..expired).map(|(_, connection)| connection).collect())
    }
}

async fn permit(slots: &Semaphore) -> SemaphorePermit<'_> {
    slots.acquire().await.expect("nobody closes it")
}

/// Closes idle connections. Runs as long as there are any.
async fn reap(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(REAP_INTERVAL).await;
        let Some(expired) = pool.upgrade().and_then(|pool| pool.expired()) else {
            return;
        };
        for connection in expired {
            quit(connection).await;
        }
    }
}

async fn quit(mut connection: AsyncSmtpConnection) {
    // Too late is no harm: the connection is closed either way.
    let _ = timeout(FAREWELL_TIMEOUT, connection.quit()).await;
}
