//! What Tenantry promises, tried through its front door: one module a feature, each test a rule.

mod audit_events;
mod emails;
mod frame;
mod organizations;
mod passwords;
