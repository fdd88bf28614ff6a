//! What can go wrong below the handler: a refusal by a rule, or trouble with a dependency.

use std::borrow::Cow;

/// The result of a rule.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule says no; the caller is told.
    #[error("{0}")]
    Refused(Refusal),
    /// Postgres failed; the caller is told that it is not his fault, and no more.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// More is asked than can be done at once; the caller comes again.
    #[error("too much is asked at once")]
    Busy,
    /// Anything else that is not the caller's fault.
    #[error("{0}")]
    Internal(String),
}

/// The kind of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input is wrong.
    Invalid,
    /// No credential, or a dead one.
    Unauthenticated,
    /// The caller lacks the right.
    Forbidden,
    /// Not there, for this caller.
    NotFound,
    /// The state of things forbids it.
    Conflict,
    /// The object changed since the caller looked at it.
    Stale,
    /// Too often; try again after so many seconds.
    TooOften(u64),
}

/// A rule's "no": what a caller can act on. The rule makes it where it stands; there is no central table.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What kind of "no" this is.
    pub kind: Kind,
    /// Stable, `snake_case`; clients switch on it, so it never changes.
    pub code: &'static str,
    /// A sentence for a person.
    pub detail: Cow<'static, str>,
    /// Which fields of the input are wrong, where that can be said.
    pub errors: Vec<FieldError>,
}

/// One wrong field of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Its name on the wire.
    pub field: Cow<'static, str>,
    /// Stable, `snake_case`.
    pub code: &'static str,
    /// A sentence for a person.
    pub message: Cow<'static, str>,
}

impl FieldError {
    /// A wrong field.
    pub fn new(field: impl Into<Cow<'static, str>>, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }
}

impl Refusal {
    fn new(kind: Kind, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, code, detail: detail.into(), errors: Vec::new() }
    }

    /// The input breaks rules, each named by field.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = errors.first().map_or("The input is not valid.".into(), |first| first.message.clone());
        Self { errors, ..Self::new(Kind::Invalid, "validation_failed", detail) }
    }

    /// One field of the input breaks a rule.
    pub fn invalid_field(field: &'static str, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid(vec![FieldError::new(field, code, message)])
    }

    /// No credential, or a dead one.
    pub fn unauthenticated(code: &'static str, detail: &'static str) -> Self {
        Self::new(Kind::Unauthenticated, code, detail)
    }

    /// The caller lacks the right.
    pub fn forbidden(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Forbidden, code, detail)
    }

    /// Not there for this caller: the same for what does not exist and what is another organization's.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "not_found", "There is nothing here for you.")
    }

    /// Not there, with a code of its own.
    pub fn missing(code: &'static str, detail: &'static str) -> Self {
        Self::new(Kind::NotFound, code, detail)
    }

    /// The state of things forbids it.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, code, detail)
    }

    /// The object is not what the caller saw.
    #[must_use]
    pub fn stale() -> Self {
        Self::new(
            Kind::Stale,
            "precondition_failed",
            "The object has changed since you read it. Read it again and repeat your change.",
        )
    }

    /// Too often.
    pub fn too_often(code: &'static str, detail: &'static str, retry_after_seconds: u64) -> Self {
        Self::new(Kind::TooOften(retry_after_seconds), code, detail)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Maps the violation of a named constraint to a refusal, and leaves every other error alone.
pub fn on_constraint(error: sqlx::Error, constraint: &str, refusal: impl FnOnce() -> Refusal) -> Error {
    if violates(&error, constraint) { refusal().into() } else { error.into() }
}

/// Whether a named constraint was violated, of a table or of a part of it, whose constraints have a number behind their names.
pub(crate) fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    let violated = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
    violated.and_then(|name| name.strip_prefix(constraint)).is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix('_').is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Collects the wrong fields of an input, so that a caller learns of all of them at once.
#[derive(Debug, Default)]
pub struct Check(Vec<FieldError>);

impl Check {
    /// Notes an error unless `ok`.
    pub fn that(&mut self, ok: bool, field: &'static str, code: &'static str, message: impl Into<Cow<'static, str>>) {
        if !ok {
            self.0.push(FieldError::new(field, code, message));
        }
    }

    /// Takes a value or notes why there is none.
    pub fn take<T>(&mut self, value: std::result::Result<T, FieldError>) -> Option<T> {
        value.map_err(|error| self.0.push(error)).ok()
    }

    /// Refuses if anything was noted.
    pub fn done(self) -> std::result::Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::invalid(self.0)) }
    }
}

/// Whether an error means that Postgres is down, starting, or busy beyond waiting, rather than that we asked it nonsense.
#[must_use]
pub fn database_is_down(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
        // Class 57: operator intervention (shut down, starting up). Class 53: out of connections or memory. 08: connection.
        sqlx::Error::Database(e) => {
            e.code().is_some_and(|code| ["57P", "53", "08"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

/// Whether Postgres found a value that no column can hold, such as a date ten thousand years ago (class 22).
#[must_use]
pub fn is_data_exception(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if e.code().is_some_and(|code| code.starts_with("22")))
}
