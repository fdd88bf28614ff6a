//! What the tests stand on: a running Tenantry of their own ([`TestApp`], or [`Processes`] where a process must die), a
//! caller of its API ([`Caller`]), and a mail server that records all and can be told to misbehave ([`Smtp`]).
//!
//! Helpers go through the front door. What they look up behind it, as the database's superuser ([`Database::rows`]), are
//! things no answer shows: rows of an outbox, digests of an organization.

mod app;
mod authenticator;
mod browser;
mod caller;
mod collector;
mod database;
mod delivery_events;
mod environment;
mod folder;
mod identity_providers;
mod mail;
mod name_server;
mod postgres;
mod processes;
mod saml;
mod smtp;
mod tab;
mod wait;

pub use app::{Builder, TestApp};
pub use authenticator::Authenticator;
pub use browser::Browser;
pub use caller::{Answer, Call, Caller, PASSWORD};
pub use collector::{Collector, TracedSpan};
pub use database::{Database, Held};
pub use delivery_events::{EMAIL_EVENTS_SECRET, signature};
pub use environment::{repository, required};
pub use identity_providers::{Nanoidp, SimpleSamlPhp};
pub use mail::{Link, Mail, Mailbox};
pub use name_server::NameServer;
pub use postgres::PostgresServer;
pub use processes::{MailDev, Processes, RedisServer, Which, free_port, redis_keys_and_values, run_to_end, run_within};
pub use saml::{Connected, IdentityProvider, Said};
pub use smtp::{Smtp, Stage};
pub use tab::{Message, Tab, attribute};
pub use wait::{eventually, eventually_within};

use chrono::TimeDelta;

/// So many days.
#[must_use]
pub fn days(days: i64) -> TimeDelta {
    TimeDelta::days(days)
}

/// So many hours.
#[must_use]
pub fn hours(hours: i64) -> TimeDelta {
    TimeDelta::hours(hours)
}

/// So many minutes.
#[must_use]
pub fn minutes(minutes: i64) -> TimeDelta {
    TimeDelta::minutes(minutes)
}

/// So many seconds.
#[must_use]
pub fn seconds(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds)
}
