//! Mails as they arrived, and the links in them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mail_parser::{Message, MessageParser};
use url::Url;

use crate::Smtp;

/// A mail that the server took.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The envelope's sender.
    pub sender: String,
    /// The envelope's recipients, as the client wrote them.
    pub recipients: Vec<String>,
    /// When it was taken.
    pub received: Instant,
    raw: Arc<[u8]>,
}

impl Mail {
    pub(crate) fn new(sender: String, recipients: Vec<String>, raw: Vec<u8>) -> Self {
        Self { sender, recipients, received: Instant::now(), raw: raw.into() }
    }

    fn message(&self) -> Message<'_> {
        MessageParser::default().parse(&*self.raw).expect("a mail is well-formed")
    }

    /// The message as it was sent.
    #[must_use]
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    /// Its subject, decoded.
    #[must_use]
    pub fn subject(&self) -> String {
        self.message().subject().unwrap_or_default().to_owned()
    }

    /// What it says it was written at, in seconds since 1970.
    #[must_use]
    pub fn date(&self) -> Option<i64> {
        self.message().date().map(mail_parser::DateTime::to_timestamp)
    }

    /// Its plain text, decoded.
    #[must_use]
    pub fn text(&self) -> String {
        self.message().body_text(0).unwrap_or_default().into_owned()
    }

    /// Its HTML, decoded.
    #[must_use]
    pub fn html(&self) -> String {
        self.message().body_html(0).unwrap_or_default().into_owned()
    }

    /// A header as it stands there.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.message().header_raw(name).map(|value| value.trim().to_owned())
    }

    /// Every link of its plain text.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        self.text()
            .split_whitespace()
            .filter_map(|word| Url::parse(word).ok())
            .filter(|url| url.has_host())
            .map(Link)
            .collect()
    }

    /// The link it is about: the first one that carries a token.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn link(&self) -> Link {
        let found = self.links().into_iter().find(|link| link.find_token().is_some());
        found.unwrap_or_else(|| panic!("there is no link with a token in this mail:\n{}", self.text()))
    }
}

/// A link of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(pub Url);

impl Link {
    /// One made from a token, as a mail would hold it.
    #[must_use]
    pub fn of_token(token: &str) -> Self {
        let mut url = Url::parse("http://localhost/invitations/accept").expect("a URL");
        url.query_pairs_mut().append_pair("token", token);
        Self(url)
    }

    fn find_token(&self) -> Option<String> {
        self.0.query_pairs().find(|(name, _)| name == "token").map(|(_, value)| value.into_owned())
    }

    /// Its token.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    #[track_caller]
    pub fn token(&self) -> String {
        self.find_token().unwrap_or_else(|| panic!("no token in {}", self.0))
    }
}

/// What people find when they look for mail.
#[derive(Clone, Debug)]
pub struct Mailbox(pub(crate) Smtp);

impl Mailbox {
    /// The newest mail to an address that this has not answered before; waits for it, 30 s at most.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn last_to(&self, address: &str) -> impl Future<Output = Mail> {
        self.last_to_within(Duration::from_secs(30), address)
    }

    /// The same with another deadline.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn last_to_within(&self, patience: Duration, address: &str) -> impl Future<Output = Mail> {
        let (from, smtp, address) = (std::panic::Location::caller(), self.0.clone(), address.to_owned());
        async move {
            let wait = async {
                loop {
                    let changed = smtp.changed();
                    tokio::pin!(changed);
                    // Registered before looking, so that no mail slips in between.
                    let _ = futures_util::poll!(changed.as_mut());
                    if let Some(mail) = smtp.take_newest_to(&address) {
                        return mail;
                    }
                    changed.await;
                }
            };
            let Ok(mail) = tokio::time::timeout(patience, wait).await else {
                let others: Vec<_> =
                    smtp.mails().iter().map(|mail| (mail.recipients.clone(), mail.subject())).collect();
                panic!("{from}: no (new) mail to {address} within {patience:?}; there were {others:?}");
            };
            mail
        }
    }

    /// Puts aside all mail that has come so far: [`Mailbox::last_to`] answers only what comes after.
    pub fn read_all(&self) {
        self.0.read_all();
    }

    /// How many mails an address has got so far.
    #[must_use]
    pub fn count_to(&self, address: &str) -> usize {
        self.0.mails().iter().filter(|mail| mail.recipients.iter().any(|recipient| recipient == address)).count()
    }

    /// All mails so far, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Mail> {
        self.0.mails()
    }
}
