//! What Tenantry promises, tried through its front door: one module a feature, each test a rule.

mod frame;
mod isolation;
mod sessions;
mod users;
