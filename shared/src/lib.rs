//! What the API and the worker of Tenantry share: rules and SQL. No HTTP, no SMTP.
//!
//! The frame comes first (ids, clock, secrets, the unit of work [`db::Tx`], access, outbox, audit), then one module a
//! slice, named like its table, its URL and its test.

pub mod access;
pub mod audit;
pub mod check;
pub mod clock;
pub mod color;
pub mod config;
pub mod db;
pub mod email_address;
pub mod error;
pub mod idempotency;
pub mod ids;
mod json;
pub mod limits;
pub mod meters;
pub mod objects;
pub mod outbox;
pub mod page;
pub mod parked;
pub mod relay;
pub mod reseal;
pub mod seal;
pub mod secret;
pub mod signature;
pub mod telemetry;
pub mod tenant;
pub mod text;
pub(crate) mod ticket;
pub mod tls;
pub mod trace;

pub mod actors;
pub mod analysts;
pub mod email_domains;
pub mod email_suppressions;
pub mod emails;
pub mod enterprise_bindings;
pub mod folders;
pub mod invitations;
pub mod jobs;
pub mod login_urls;
pub mod organizations;
pub mod passwords;
pub mod personal_access_tokens;
pub mod role_assignments;
pub mod roles;
pub mod saml;
pub mod schedules;
pub mod sessions;
pub mod settings;
pub mod teams;
pub mod totp;
pub mod usage;
pub mod user_groups;
pub mod user_preferences;
pub mod users;

pub use error::{Error, FieldError, Refusal, Result};
