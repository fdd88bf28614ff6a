//! Cookies: the session, and a link's token on its way out of the address bar.

use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use poem::Response;
use poem::http::{HeaderMap, HeaderValue, header};

/// How long a link's token may wait in its cookie.
const LINK_LASTS: Duration = Duration::minutes(15);

/// How long a browser may stay at an identity provider: a little longer than the request is good for.
const COMPANY_LASTS: Duration = Duration::minutes(30);

/// A cookie of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The token of a session.
    Session,
    /// The token that hands a session to this browser.
    SessionToken,
    /// The token of an invitation's link. Both its pages read it.
    Invitation,
    /// The token of a link to choose a password.
    PasswordReset,
    /// The token of a link to get no more reminders.
    Reminders,
    /// What stands for the password between the two steps of a sign-in.
    SignInCode,
    /// What stands for a session while someone chooses a password in place of an administrator's.
    PasswordChange,
    /// Which browser was sent to an identity provider.
    Company,
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            // What its name begins with demands `/`.
            Self::Session | Self::Company => "/",
            Self::SessionToken => super::SIGN_IN_WITH_TOKEN,
            Self::Invitation => "/invitations",
            Self::PasswordReset => super::CONFIRM_RESET,
            Self::Reminders => super::STOP_REMINDERS,
            Self::SignInCode => super::SIGN_IN_CODE,
            Self::PasswordChange => super::CHANGE_PASSWORD,
        }
    }

    /// A prefix makes the browser itself refuse one that was not set over TLS or, for the session, by this very host.
    fn name(self, https: bool) -> &'static str {
        match (self, https) {
            (Self::Session, true) => "__Host-tenantry",
            (Self::Session, false) => "tenantry",
            (Self::SessionToken, true) => "__Secure-tenantry-session-token",
            (Self::SessionToken, false) => "tenantry-session-token",
            (Self::Invitation, true) => "__Secure-tenantry-invitation",
            (Self::Invitation, false) => "tenantry-invitation",
            (Self::PasswordReset, true) => "__Secure-tenantry-password-reset",
            (Self::PasswordReset, false) => "tenantry-password-reset",
            (Self::Reminders, true) => "__Secure-tenantry-reminders",
            (Self::Reminders, false) => "tenantry-reminders",
            (Self::SignInCode, true) => "__Secure-tenantry-sign-in-code",
            (Self::SignInCode, false) => "tenantry-sign-in-code",
            (Self::PasswordChange, true) => "__Secure-tenantry-password-change",
            (Self::PasswordChange, false) => "tenantry-password-change",
            (Self::Company, true) => "__Host-tenantry-company",
            (Self::Company, false) => "tenantry-company",
        }
    }

    /// What the browser sent.
    pub(super) fn read(self, headers: &HeaderMap, https: bool) -> Option<String> {
        let sent = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = sent.flat_map(|text| Cookie::split_parse(text).flatten());
        cookies.find(|cookie| cookie.name() == self.name(https)).map(|cookie| cookie.value().to_owned())
    }

    /// An identity provider's form comes from another site, and must bring its cookie along. Without TLS browsers take no such
    /// cookie, but there all that we speak to is on this very host.
    fn same_site(self, https: bool) -> SameSite {
        match (self, https) {
            (Self::Company, true) => SameSite::None,
            _ => SameSite::Lax,
        }
    }

    /// Tells the browser to keep `value` for a while.
    fn keep(self, response: &mut Response, https: bool, value: &str, lasts: Duration) {
        let cookie = Cookie::build((self.name(https), value))
            .path(self.path())
            .http_only(true)
            .secure(https)
            .same_site(self.same_site(https))
            .max_age(lasts);
        // A value that is no header value can't be a token of ours.
        if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }

    /// Keeps a link's token.
    pub(super) fn keep_link(self, response: &mut Response, https: bool, token: &str) {
        self.keep(response, https, token, LINK_LASTS);
    }

    /// Keeps which browser it is, for as long as it may stay at the identity provider.
    pub(super) fn keep_company(response: &mut Response, https: bool, value: &str) {
        Self::Company.keep(response, https, value, COMPANY_LASTS);
    }

    /// Keeps a session's token for so many seconds.
    pub(super) fn keep_session(response: &mut Response, https: bool, token: &str, seconds: i64) {
        Self::Session.keep(response, https, token, Duration::seconds(seconds.max(0)));
    }

    /// Tells the browser to forget it.
    pub(super) fn forget(self, response: &mut Response, https: bool) {
        self.keep(response, https, "", Duration::ZERO);
    }
}

/// Whether a text from an address can be a link's token: only such a one goes into a cookie.
pub(super) fn is_token(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(https: bool) -> String {
        let mut response = Response::default();
        Kind::keep_session(&mut response, https, "tnt_s_x", 60);
        response.headers()[header::SET_COOKIE].to_str().expect("text").to_owned()
    }

    #[test]
    fn a_session_cookie_belongs_to_this_host_alone() {
        let secure = "__Host-tenantry=tnt_s_x; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60";
        assert_eq!(set(true), secure);
        assert_eq!(set(false), "tenantry=tnt_s_x; HttpOnly; SameSite=Lax; Path=/; Max-Age=60");
    }

    #[test]
    fn the_cookie_of_a_browser_at_a_provider_comes_back_with_the_providers_form() {
        let set = |https| {
            let mut response = Response::default();
            Kind::keep_company(&mut response, https, "x");
            response.headers()[header::SET_COOKIE].to_str().expect("text").to_owned()
        };
        let secure = "__Host-tenantry-company=x; HttpOnly; SameSite=None; Secure; Path=/; Max-Age=1800";
        assert_eq!(set(true), secure);
        assert_eq!(set(false), "tenantry-company=x; HttpOnly; SameSite=Lax; Path=/; Max-Age=1800");
    }

    #[test]
    fn a_cookie_is_found_among_others_and_by_its_whole_name() {
        let headers = |text: &'static str| HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(text))]);
        let read = |text| Kind::Session.read(&headers(text), false);
        assert_eq!(read("a=b; tenantry=x; tenantry-invitation=y").as_deref(), Some("x"));
        assert_eq!(read("tenantry-invitation=y; __Host-tenantry=z; tenantr=w; =; ;;"), None);
    }

    #[test]
    fn what_is_no_token_is_kept_out_of_headers() {
        assert!(is_token("AbC-_9"));
        for text in ["", "a b", "a;b", "a\r\nSet-Cookie: x=y", "ä", &"a".repeat(129)] {
            assert!(!is_token(text), "{text:?}");
        }
    }
}
