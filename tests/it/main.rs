//! What Tenantry promises, tried through its front door: one module a feature, each test a rule.

mod audit_events;
mod browser;
mod deploy;
mod emails;
mod etags;
mod faults;
mod frame;
mod idempotency;
mod invitations;
mod isolation;
mod organizations;
mod passwords;
mod readme;
mod reminders;
mod schedules;
mod secrets;
mod sessions;
mod users;
