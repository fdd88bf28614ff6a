//! What the worker does: a file a job. Each is safe to run twice.

pub(crate) mod fetch_saml_metadata;
pub(crate) mod look_up_email_domain;
pub(crate) mod mail_login_urls;
pub(crate) mod resend_invitations;
pub(crate) mod reset_password;
pub(crate) mod send_email;
