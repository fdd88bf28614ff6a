//! What the worker does: a file a job. Each is safe to run twice.

pub(crate) mod fetch_saml_metadata;
pub(crate) mod resend_invitations;
pub(crate) mod reset_password;
pub(crate) mod send_email;
