//! What became of a mail, in the server's words.

use std::{error::Error as _, io};

use lettre::transport::smtp::{Error, response::Response};
use tenantry_shared::text::single_line;

/// Longest report that is kept, in characters.
const LONGEST: usize = 500;

/// Replies that are about us, the client, whatever command they answer: not implemented, bad sequence, no mail here,
/// authentication required or failed, encryption required. The operator can mend that, so it is worth another try.
const ABOUT_THE_SESSION: [u16; 7] = [502, 503, 521, 530, 534, 535, 538];

/// The server has taken the mail over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its words, which often hold the id it gave to the mail; one line of at most 500 characters.
    pub reply: String,
}

/// The mail was not sent. Both kinds hold the server's words, or ours where it said nothing: one line of at most 500
/// characters, without credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It will never be: the server refuses this recipient or this message for good.
    #[error("{0}")]
    Permanent(String),
    /// It may be another time. All that is not clearly permanent is this, also what only the operator can mend: a
    /// server that is away, refuses us or our sender address, or whose certificate is wrong.
    #[error("{0}")]
    Transient(String),
}

impl Accepted {
    pub(super) fn new(response: &Response) -> Self {
        let text = response.message().collect::<Vec<_>>().join(" ");
        Self { reply: single_line(&format!("{} {text}", response.code()), LONGEST) }
    }
}

/// Whether the error is a reply that refuses this recipient or message for good.
pub(super) fn is_refusal(error: &Error) -> bool {
    let about_the_session = error.status().is_some_and(|code| ABOUT_THE_SESSION.contains(&u16::from(code)));
    error.is_permanent() && !about_the_session
}

/// The server says that it is closing the connection (RFC 5321, 3.8).
pub(super) fn is_goodbye(error: &Error) -> bool {
    error.status().is_some_and(|code| u16::from(code) == 421)
}

/// What happened, for a person. `during` says when: "connecting", "RCPT TO".
pub(super) fn words(error: &Error, during: &str) -> String {
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    let text = match error.status() {
        Some(code) => format!("{code} {source}"),
        None if error.is_response() && source == "incomplete response" => {
            format!("{during}: the mail server closed the connection")
        }
        None if source.is_empty() => format!("{during}: {error}"),
        None => format!("{during}: {source}"),
    };
    single_line(&text, LONGEST)
}

pub(super) fn io_words(error: &io::Error, during: &str) -> String {
    single_line(&format!("{during}: {error}"), LONGEST)
}

pub(super) fn timeout_words(during: &str) -> String {
    format!("{during}: no answer from the mail server within {} s", super::COMMAND_TIMEOUT.as_secs())
}
