//! One mail on one connection, step by step: what an error means depends on the step.

use std::future::Future;

use lettre::{
    address::Envelope,
    transport::smtp::{
        Error,
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt},
        extension::{Extension, MailBodyParameter, MailParameter},
        response::Response,
    },
};
use tokio::time::timeout;

use super::{
    COMMAND_TIMEOUT,
    outcome::{Accepted, SendError, is_goodbye, is_refusal, timeout_words, words},
};

/// How a mail failed, and in what state that leaves the connection.
pub(super) enum Failure {
    /// Nothing was said; the connection is as good as before.
    Untouched(SendError),
    /// The server said no; the connection can be closed politely.
    Answered(SendError),
    /// The connection is of no use any more.
    Broken(SendError),
    /// The connection had been closed while it was idle. Nothing was handed over, so the mail can take another one.
    Stale,
}

/// `is_reused` tells that the connection has been idle, so that it may have been closed meanwhile.
pub(super) async fn deliver(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    body: &[u8],
    is_reused: bool,
) -> Result<Accepted, Failure> {
    let parameters = mail_parameters(connection, envelope, body).map_err(Failure::Untouched)?;

    let mail = connection.command(Mail::new(envelope.from().cloned(), parameters));
    match step("MAIL FROM", mail).await {
        Err(Trouble { is_alive: false, .. }) if is_reused => return Err(Failure::Stale),
        // A sender that is refused is no fault of this recipient: the operator's to mend, and then it goes out.
        Err(trouble) => return Err(trouble.into_failure(false)),
        Ok(_) => {}
    }
    for recipient in envelope.to() {
        let rcpt = connection.command(Rcpt::new(recipient.clone(), Vec::new()));
        step("RCPT TO", rcpt).await.map_err(|trouble| trouble.into_failure(true))?;
    }
    let go_on = step("DATA", connection.command(Data)).await.map_err(|trouble| trouble.into_failure(true))?;
    if !go_on.has_code(354) {
        // A server that answers twice would be a reply ahead, and its "go on" be taken for its "accepted".
        let reply = Accepted::new(&go_on).reply;
        return Err(Failure::Broken(SendError::Transient(format!("DATA: unexpected reply {reply}"))));
    }
    let accepted = step("sending the message", connection.message(body)).await;
    accepted.map(|response| Accepted::new(&response)).map_err(|trouble| trouble.into_failure(true))
}

/// The extensions this mail needs, or why it can't be sent without them.
fn mail_parameters(
    connection: &AsyncSmtpConnection,
    envelope: &Envelope,
    body: &[u8],
) -> Result<Vec<MailParameter>, SendError> {
    let offers = |extension| connection.server_info().supports_feature(extension);
    let mut parameters = Vec::new();
    let is_ascii = |address: &lettre::Address| AsRef::<str>::as_ref(address).is_ascii();
    if !envelope.from().into_iter().chain(envelope.to()).all(is_ascii) {
        if !offers(Extension::SmtpUtfEight) {
            return Err(SendError::Permanent(
                "the address has letters beyond ASCII, which the mail server can't handle (it does not offer SMTPUTF8)"
                    .to_owned(),
            ));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !body.is_ascii() {
        if !offers(Extension::EightBitMime) {
            return Err(SendError::Permanent(
                "the message is not ASCII, which the mail server can't handle (it does not offer 8BITMIME)".to_owned(),
            ));
        }
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(parameters)
}

/// A step that did not go well.
struct Trouble {
    words: String,
    /// The server has answered, and did not say good-bye.
    is_alive: bool,
    is_refusal: bool,
}

impl Trouble {
    fn into_failure(self, can_be_final: bool) -> Failure {
        let error = if self.is_refusal && can_be_final {
            SendError::Permanent(self.words)
        } else {
            SendError::Transient(self.words)
        };
        if self.is_alive { Failure::Answered(error) } else { Failure::Broken(error) }
    }
}

async fn step(name: &str, command: impl Future<Output = Result<Response, Error>>) -> Result<Response, Trouble> {
    match timeout(COMMAND_TIMEOUT, command).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(Trouble {
            words: words(&error, name),
            is_alive: error.status().is_some() && !is_goodbye(&error),
            is_refusal: is_refusal(&error),
        }),
        Err(_) => Err(Trouble { words: timeout_words(name), is_alive: false, is_refusal: false }),
    }
}
