//! The error page: what happened, in words, and what to do now.

use minijinja::context;
use poem::Response;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::company;
use super::render;
use super::words::Words;
use crate::problem::Problem;

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing here: the words say what.
    None,
    /// To the landing page, which asks strangers to sign in.
    Home,
    /// Ask for another link to choose a password.
    NewLink,
    /// Begin to sign in anew.
    SignIn,
}

impl Way {
    /// Its address, and the string on its button.
    fn link(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::None => None,
            Self::Home => Some((super::HOME, "continue")),
            Self::NewLink => Some((super::ASK_RESET, "new_link")),
            Self::SignIn => Some((super::SIGN_IN, "sign_in")),
        }
    }
}

/// Codes that have words of their own, `error.<code>_title` and `_text`, and the way on from there.
const KNOWN: [(&str, Way); 28] = [
    ("invitation_expired", Way::None),
    ("invitation_revoked", Way::None),
    ("invitation_superseded", Way::None),
    ("invitation_accepted", Way::Home),
    ("invitation_declined", Way::None),
    ("already_member", Way::Home),
    ("link_dead", Way::None),
    ("link_missing", Way::None),
    ("link_expired", Way::NewLink),
    ("link_used", Way::NewLink),
    ("link_superseded", Way::NewLink),
    ("session_token_dead", Way::Home),
    ("sso_refused", Way::SignIn),
    ("sso_again", Way::SignIn),
    ("sso_no_account", Way::SignIn),
    ("sso_account_ended", Way::None),
    ("sso_identity_taken", Way::Home),
    ("sso_other_account", Way::Home),
    ("sso_other_address", Way::None),
    ("sso_invitation_over", Way::None),
    ("only_way_in", Way::Home),
    ("sso_logout_refused", Way::Home),
    ("saml_key_unreadable", Way::SignIn),
    ("second_factor_unreadable", Way::SignIn),
    ("test_dead", Way::None),
    ("cross_site", Way::None),
    ("body_too_large", Way::None),
    ("method_not_allowed", Way::Home),
];

/// What any other error is called, by its status.
fn by_status(status: StatusCode) -> (&'static str, Way) {
    match status {
        StatusCode::NOT_FOUND => ("not_found", Way::Home),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ("forbidden", Way::Home),
        StatusCode::TOO_MANY_REQUESTS => ("too_often", Way::None),
        StatusCode::SERVICE_UNAVAILABLE => ("unavailable", Way::None),
        status if status.is_client_error() => ("bad_request", Way::None),
        _ => ("internal", Way::None),
    }
}

/// Whether an administrator finds more about it among the events of single sign-on, by the request's id.
fn is_of_company(problem: &Problem) -> bool {
    problem.code.starts_with("sso_")
}

/// A client that shows pages, and its language.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Browser {
    words: &'static Words,
}

impl Browser {
    /// None if errors at this path are for programs, or the client is one: it gets a problem document.
    pub(crate) fn find(headers: &HeaderMap, path: &str) -> Option<Self> {
        // What is below /v1/saml is opened by browsers, beside metadata.
        let is_api = (path == "/v1" || path.starts_with("/v1/")) && !company::is_at(path);
        let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let shows_pages = super::ALL.contains(&path) || accepts.into_iter().any(|value| value.contains("text/html"));
        (shows_pages && !is_api).then(|| Self { words: Words::wanted(headers).unwrap_or_else(|| Words::of("")) })
    }

    /// The error as a page.
    pub(crate) fn show(self, problem: &Problem, path: &str, request_id: &str) -> Response {
        let known = KNOWN.into_iter().find(|(code, _)| *code == problem.code);
        let (key, mut way) = known.unwrap_or_else(|| by_status(problem.status));
        if key.starts_with("link_") && path == super::CONFIRM_RESET {
            way = Way::NewLink;
        }
        let values = context! {
            key,
            seconds => problem.retry_after.filter(|_| problem.status == StatusCode::TOO_MANY_REQUESTS),
            link => way.link().map(|(address, label)| context! { address, label }),
            // Worth asking someone about: the person did nothing wrong.
            request_id => Some(request_id).filter(|_| problem.status.is_server_error() || is_of_company(problem)),
            code => Some(problem.code).filter(|_| is_of_company(problem)),
        };
        let mut response = match render::page(self.words, "error.html", problem.status, values) {
            Ok(page) => page,
            Err(problem) => return problem.respond(request_id),
        };
        if let Some(seconds) = problem.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(accept: &'static str, path: &str) -> bool {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        Browser::find(&headers, path).is_some()
    }

    #[test]
    fn people_get_pages_and_programs_get_documents() {
        assert!(shown("text/html,application/xhtml+xml,*/*;q=0.8", "/nowhere"));
        assert!(shown("*/*", "/sign-in"));
        assert!(!shown("*/*", "/nowhere"));
        assert!(!shown("application/json", "/nowhere"));
        for path in ["/v1", "/v1/", "/v1/nowhere"] {
            assert!(!shown("text/html", path), "{path}");
        }
        assert!(shown("text/html", "/v10"));
        assert!(shown("text/html", "/v1/saml/acme/acs") && !shown("*/*", "/v1/saml/acme/acs"));
    }

    #[tokio::test]
    async fn every_error_has_words_in_every_language() {
        let statuses =
            [400, 401, 403, 404, 405, 413, 415, 429, 500, 503, 504].map(|s| (StatusCode::from_u16(s), "other"));
        let known = KNOWN.map(|(code, _)| (StatusCode::from_u16(409), code));
        for (status, code) in statuses.into_iter().chain(known) {
            for locale in ["en", "de", "fr"] {
                let status = status.as_ref().copied().expect("a status");
                let problem = Problem { retry_after: Some(90), ..Problem::new(status, code, "detail") };
                let page = Browser { words: Words::of(locale) }.show(&problem, "/invitations/accept", "the-id");
                assert_eq!(page.status(), status);
                assert_eq!(page.content_type(), Some("text/html; charset=utf-8"), "{locale} {status} {code}");
                let html = page.into_body().into_string().await.expect("text");
                assert_eq!(html.contains("the-id"), status.is_server_error() || code.starts_with("sso_"), "{html}");
            }
        }
    }
}
