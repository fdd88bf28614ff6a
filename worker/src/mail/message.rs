//! Putting a rendered mail into its envelope.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use lettre::{
    Address, Message,
    address::AddressError,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

use tenantry_shared::text::single_line;

use super::render::Rendered;

/// Names in `From` and `Reply-To` are cut after so many characters.
const LONGEST_NAME: usize = 100;

/// Why there can be no such mail. Trying again won't help.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The recipient's address is none.
    #[error("the address of the recipient is not valid: {0}")]
    Recipient(#[source] AddressError),
    /// The Message-ID is not of the form `<something@somewhere>`.
    #[error("the Message-ID is not valid")]
    MessageId,
    /// lettre refuses the message.
    #[error("the message could not be built: {0}")]
    Build(#[from] lettre::error::Error),
}

/// Why something can't be the sender of mails.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// It is not an address, with or without a name.
    #[error("is not an e-mail address: {0}")]
    Address(#[from] AddressError),
    /// Only servers with SMTPUTF8 would take mails from such an address, so many people could get none.
    #[error("has letters beyond ASCII before the @")]
    NotAscii,
}

/// Reads a sender as configuration has it: `accounts@example.com` or `Accounts <accounts@example.com>`.
///
/// # Errors
/// If it can't be the sender of mails to everyone.
pub fn sender(text: &str) -> Result<Mailbox, SenderError> {
    let mailbox: Mailbox = text.parse()?;
    let email = deliverable(mailbox.email)?;
    if !is_ascii(&email) {
        return Err(SenderError::NotAscii);
    }
    Ok(Mailbox::new(mailbox.name, email))
}

/// A message of two alternatives, text and HTML, to one recipient.
///
/// `message_id`, with its angle brackets, must be the same whenever the mail is sent again. A `reply_to` that is no
/// ASCII address is left out: a slip in an organization's branding must not stop its mail.
///
/// # Errors
/// See [`MessageError`]; all are final.
pub fn message(
    rendered: Rendered,
    from: &Mailbox,
    to: &str,
    reply_to: Option<&str>,
    message_id: &str,
    date: DateTime<Utc>,
) -> Result<Message, MessageError> {
    if !is_message_id(message_id) {
        return Err(MessageError::MessageId);
    }
    let to = to.parse().and_then(deliverable).map_err(MessageError::Recipient)?;
    // lettre panics over a line break in a name.
    let from = Mailbox::new(from.name.as_deref().map(|name| single_line(name, LONGEST_NAME)), from.email.clone());

    let mut builder = Message::builder()
        .from(from)
        .to(to.into())
        .subject(single_line(&rendered.subject, usize::MAX))
        .message_id(Some(message_id.to_owned()))
        .date(SystemTime::from(date))
        // Out-of-office notes and the like have no one to read them (RFC 3834; the second is what Exchange knows).
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"));
    let reply_to = reply_to.and_then(|address| address.parse().and_then(deliverable).ok());
    if let Some(reply_to) = reply_to.filter(is_ascii) {
        builder = builder.reply_to(reply_to.into());
    }
    if let Some(link) = &rendered.unsubscribe_link {
        // RFC 2369, and RFC 8058: the mail program's own button, in one click.
        builder = builder
            .raw_header(header("List-Unsubscribe", &format!("<{link}>")))
            .raw_header(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
    }
    Ok(builder.multipart(MultiPart::alternative_plain_html(rendered.text, rendered.html))?)
}

/// The address as most servers can take it: with an ASCII domain, unless the part before it is beyond ASCII anyway,
/// and needs a server that can do more (RFC 6531).
fn deliverable(address: Address) -> Result<Address, AddressError> {
    if address.domain().is_ascii() || !address.user().is_ascii() {
        return Ok(address);
    }
    let domain = idna::domain_to_ascii(address.domain()).map_err(|_| AddressError::InvalidDomain)?;
    Address::new(address.user(), domain)
}

fn is_ascii(address: &Address) -> bool {
    AsRef::<str>::as_ref(address).is_ascii()
}

fn is_message_id(text: &str) -> bool {
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    let parts = inner.and_then(|inner| inner.split_once('@'));
    let is_part =
        |part: &str| !part.is_empty() && part.chars().all(|char| char.is_ascii_graphic() && !"<>@".contains(char));
    parts.is_some_and(|(id, host)| is_part(id) && is_part(host))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
