//! What Tenantry promises, tried through its front door: one module a feature, each test a rule.

mod audit_events;
mod browser;
mod deploy;
mod email_events;
mod email_suppressions;
mod emails;
mod etags;
mod fairness;
mod faults;
mod frame;
mod idempotency;
mod invitations;
mod isolation;
mod mail_headers;
mod organizations;
mod parked;
mod passwords;
mod readme;
mod reminders;
mod schedules;
mod secrets;
mod sessions;
mod users;
