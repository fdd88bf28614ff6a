//! The SMTP server as the URL names it, and how to get a connection to it.

use std::{fmt, io};

use lettre::transport::smtp::{
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters},
    commands::Noop,
    extension::ClientId,
};
use percent_encoding::percent_decode_str;
use tokio::{net::TcpStream, time::timeout};
use url::{Host, Url};

use super::{
    COMMAND_TIMEOUT,
    outcome::{io_words, timeout_words, words},
    tls::ImplicitTls,
};

/// Why a URL can't be used for SMTP. Never contains any of it: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("the SMTP URL {0}")]
pub struct SmtpUrlError(String);

pub(super) struct Server {
    host: String,
    port: u16,
    security: Security,
    login: Option<Login>,
    /// What we call ourselves in EHLO.
    name: ClientId,
}

enum Security {
    None,
    StartTls(TlsParameters),
    Implicit(ImplicitTls),
}

struct Login {
    user: String,
    password: String,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Server {
    pub(super) fn from_url(url: &str) -> Result<Self, SmtpUrlError> {
        let wrong = |what: &str| SmtpUrlError(what.to_owned());
        let url = Url::parse(url).map_err(|error| SmtpUrlError(format!("is not a URL: {error}")))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must end after host and port"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(wrong("names no host")),
        };
        let no_tls = |error: &dyn fmt::Display| SmtpUrlError(format!("asks for TLS, which can't be set up: {error}"));
        let (security, usual_port) = match url.scheme() {
            "smtp" => (Security::None, 25),
            "smtps" => (Security::Implicit(ImplicitTls::new(&host).map_err(|error| no_tls(&error))?), 465),
            "smtp+starttls" => {
                let parameters = TlsParameters::new_rustls(host.clone()).map_err(|error| no_tls(&error))?;
                (Security::StartTls(parameters), 587)
            }
            _ => {
                return Err(wrong("must begin with smtp://, smtps:// or smtp+starttls://"));
            }
        };
        Ok(Self {
            port: url.port().unwrap_or(usual_port),
            login: Login::from_url(&url)?,
            name: ClientId::default(),
            host,
            security,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// A connection that is ready for a mail. All that goes wrong here is the operator's to mend, never the mail's
    /// fault, so there is no telling permanent from transient.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, String> {
        let stream = in_time("connecting", self.open()).await?.map_err(|error| io_words(&error, "connecting"))?;
        let greeting = AsyncSmtpConnection::connect_with_transport(stream, &self.name);
        let mut connection = in_time("greeting", greeting).await?.map_err(|error| words(&error, "greeting"))?;
        if let Security::StartTls(parameters) = &self.security {
            let starting = connection.starttls(parameters.clone(), &self.name);
            in_time("STARTTLS", starting).await?.map_err(|error| words(&error, "STARTTLS"))?;
        }
        if let Some(login) = &self.login {
            let credentials = Credentials::new(login.user.clone(), login.password.clone());
            let signing_in = connection.auth(DEFAULT_MECHANISMS, &credentials);
            in_time("signing in", signing_in).await?.map_err(|error| login.redact(&words(&error, "signing in")))?;
        }
        Ok(connection)
    }

    pub(super) async fn check(&self) -> Result<(), String> {
        let mut connection = self.connect().await?;
        in_time("NOOP", connection.command(Noop)).await?.map_err(|error| words(&error, "NOOP"))?;
        in_time("QUIT", connection.quit()).await?.map_err(|error| words(&error, "QUIT"))?;
        Ok(())
    }

    async fn open(&self) -> io::Result<Box<dyn AsyncTokioStream>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // lettre writes a message and its final dot separately: without this, the dot waits for the server's delayed
        // acknowledgement, 40 ms a mail.
        stream.set_nodelay(true)?;
        match &self.security {
            Security::Implicit(tls) => tls.wrap(stream).await,
            Security::None | Security::StartTls(_) => Ok(Box::new(stream)),
        }
    }
}

impl Login {
    fn from_url(url: &Url) -> Result<Option<Self>, SmtpUrlError> {
        let decode = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
            decoded.map_err(|_| SmtpUrlError("has a user or password that is not UTF-8".to_owned()))
        };
        match (url.username(), url.password()) {
            ("", None) => Ok(None),
            (user, Some(password)) if !user.is_empty() && !password.is_empty() => {
                Ok(Some(Self { user: decode(user)?, password: decode(password)? }))
            }
            _ => Err(SmtpUrlError("needs both a user and a password, or neither".to_owned())),
        }
    }

    /// Some servers repeat the user in their refusal; one that repeats the password has not been seen yet.
    fn redact(&self, words: &str) -> String {
        words.replace(&self.password, "…").replace(&self.user, "…")
    }
}

async fn in_time<T>(during: &str, waiting: impl Future<Output = T>) -> Result<T, String> {
    timeout(COMMAND_TIMEOUT, waiting).await.map_err(|_| timeout_words(during))
}
