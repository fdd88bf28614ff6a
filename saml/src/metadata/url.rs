//! Where a browser may be sent.

use url::{Host, Url};

const MAX_URL: usize = 2048;

/// Why an address of an identity provider was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Not an absolute URL, or with characters that a URL has only percent-encoded.
    #[error("is not an absolute URL")]
    NotAbsolute,
    /// `https` only, but for `http` on a loopback address.
    #[error("must begin with https://")]
    Scheme,
    /// `https://user:password@…`
    #[error("must not hold a user name or a password")]
    Credentials,
    /// `…#…`
    #[error("must not have a fragment")]
    Fragment,
    /// More than 2,048 characters.
    #[error("is longer than 2048 characters")]
    TooLong,
}

/// Is this where a browser may be sent: `https`, or `http` on a loopback address?
pub fn check_url(text: &str) -> Result<(), BadUrl> {
    if text.len() > MAX_URL {
        return Err(BadUrl::TooLong);
    }
    // A lenient parser drops blanks and line breaks; what is compared and written elsewhere has them.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    let url = Url::parse(text).ok().filter(|_| is_plain).ok_or(BadUrl::NotAbsolute)?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        _ => return Err(BadUrl::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadUrl::Credentials);
    }
    if url.fragment().is_some() { Err(BadUrl::Fragment) } else { Ok(()) }
}
