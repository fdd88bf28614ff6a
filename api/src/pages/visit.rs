//! A visit: what every page asks of its request, and what it answers with.

use std::borrow::Cow;

use minijinja::{Value, context};
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{FromRequest, Request, RequestBody, Response, Result};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;
use tenantry_shared::access::{InPerson, Origin};
use tenantry_shared::error::FieldError;
use tenantry_shared::saml::Browser;
use tenantry_shared::sessions::{self, NewSession};
use tenantry_shared::settings::{Branding, Logo, Look, find_look};
use tenantry_shared::{Error, Refusal};

use super::cookies::{Kind, is_token};
use super::words::Words;
use super::{accent, render};
use crate::app::App;
use crate::auth::{SignedIn, origin};
use crate::problem::{ApiResult, Problem};

/// Who looks at a page, in which language, with what in hand.
pub(super) struct Visit {
    pub(super) app: App,
    pub(super) origin: Origin,
    headers: HeaderMap,
    query: Vec<(String, String)>,
    wanted: Option<&'static Words>,
}

impl<'a> FromRequest<'a> for Visit {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let app: &App = request.data().ok_or_else(|| Problem::internal(&"the app is missing"))?;
        let query = request.uri().query().unwrap_or_default();
        Ok(Self {
            app: app.clone(),
            origin: origin(request),
            headers: request.headers().clone(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            wanted: Words::wanted(request.headers()),
        })
    }
}

impl Visit {
    /// A parameter of the address.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }

    /// What another page has this one say, if it is one of these.
    pub(super) fn notice(&self, known: &[&str]) -> Option<&str> {
        self.query("notice").filter(|notice| known.contains(notice))
    }

    /// The reader's language; where his browser names none that we have, that of `locale`.
    pub(super) fn words(&self, locale: &str) -> &'static Words {
        self.wanted.unwrap_or_else(|| Words::of(locale))
    }

    /// A page.
    pub(super) fn page(&self, template: &str, values: Value) -> ApiResult<Response> {
        render::page(self.words(""), template, StatusCode::OK, values)
    }

    fn https(&self) -> bool {
        self.app.public_url.is_https()
    }

    /// Takes a link's token out of the address bar: into a cookie, and back to `path`. None if there is none.
    pub(super) fn stow(&self, kind: Kind, path: &str) -> Option<Response> {
        Some(self.stow_token(kind, path, self.query("token")?))
    }

    /// The same with a token that came another way.
    pub(super) fn stow_token(&self, kind: Kind, path: &str, token: &str) -> Response {
        let mut response = see_other(path);
        // What can't be a token is kept out of headers; what stands for it is no token of ours, so the page says that the link
        // does not work.
        kind.keep_link(&mut response, self.https(), if is_token(token) { token } else { "cut" });
        response
    }

    /// The token that [`stow`](Self::stow) left.
    pub(super) fn token(&self, kind: Kind) -> ApiResult<String> {
        kind.read(&self.headers, self.https())
            .filter(|token| is_token(token))
            .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "link_missing", "Open the link in the mail again."))
    }

    /// Keeps a ticket for the page that goes on with it, and goes there.
    pub(super) fn go_on(&self, kind: Kind, ticket: &SecretString, path: &str) -> Response {
        let mut response = see_other(path);
        kind.keep_link(&mut response, self.https(), ticket.expose_secret());
        response
    }

    /// The ticket that [`go_on`](Self::go_on) left; empty if there is none.
    pub(super) fn ticket(&self, kind: Kind) -> String {
        kind.read(&self.headers, self.https()).unwrap_or_default()
    }

    /// Forgets it.
    pub(super) fn forget(&self, kind: Kind, response: &mut Response) {
        kind.forget(response, self.https());
    }

    /// This browser, if it was sent to an identity provider,
    pub(super) fn find_company_browser(&self) -> Option<Browser> {
        Browser::of_cookie(&Kind::Company.read(&self.headers, self.https())?)
    }

    /// or a name for it: the one that it has, so that several tabs can be at providers at once.
    pub(super) fn company_browser(&self) -> ApiResult<Browser> {
        Ok(self.find_company_browser().map_or_else(Browser::new, Ok)?)
    }

    /// Has it come back by that name.
    pub(super) fn keep_company_browser(&self, browser: &Browser, response: &mut Response) {
        Kind::keep_company(response, self.https(), browser.expose());
    }

    /// How the organization looks that someone has only named, if it shows itself to strangers.
    pub(super) async fn look(&self, slug: &str) -> ApiResult<Value> {
        let look = if slug.is_empty() { None } else { find_look(&self.app.db, slug, &self.app.platform_slug).await? };
        Ok(shown(look))
    }

    /// What came of a link. One that is none of ours counts against whoever sent it.
    pub(super) async fn of_link<T>(&self, outcome: Result<T, Error>) -> ApiResult<T> {
        Ok(self.app.of_link(&self.origin, outcome).await?)
    }

    /// Who is signed in, in this browser.
    pub(super) async fn signed_in(&self) -> ApiResult<Option<SignedIn>> {
        let Some(token) = Kind::Session.read(&self.headers, self.https()) else { return Ok(None) };
        match sessions::authenticate(&self.app.db, &token).await {
            // A personal access token is for programs, wherever someone has put it.
            Ok(caller) if caller.session().is_none() => Ok(None),
            Ok(caller) => Ok(Some(SignedIn { caller, origin: self.origin.clone(), only_reads: false })),
            Err(Error::Refused(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the session of this browser, if there is one. Answers the slug of its organization.
    pub(super) async fn end_session(&self) -> ApiResult<Option<String>> {
        let Some(signed_in) = self.signed_in().await? else { return Ok(None) };
        let (mut tx, by) = self.app.enter_own::<InPerson>(&signed_in).await?;
        sessions::logout(&mut tx, &by).await?;
        tx.commit().await?;
        Ok(Some(signed_in.caller.organization_slug))
    }

    /// Puts a new session in place of the present one, and goes where one is signed in.
    pub(super) async fn begin_session(&self, session: &NewSession) -> Response {
        self.begin_session_at(session, super::HOME).await
    }

    /// The same, and goes to a path of ours.
    pub(super) async fn begin_session_at(&self, session: &NewSession, path: &str) -> Response {
        // Whatever became of the old one, which ends by itself: the new one has begun.
        let _ = self.end_session().await;
        let mut response = see_other(path);
        let seconds = (session.expires_at - self.app.db.clock().now()).num_seconds();
        Kind::keep_session(&mut response, self.https(), session.token.expose(), seconds);
        response
    }
}

/// On to another page, by GET.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = Response::builder().status(StatusCode::SEE_OTHER).finish();
    if let Ok(value) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// A page that says how many seconds to wait, to programs, too.
pub(super) fn retry_after(mut page: Response, seconds: u64) -> Response {
    page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    page
}

/// A path with a query.
pub(super) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{path}?{query}")
}

/// How an organization looks: its own name for itself, its colour, its logo.
pub(super) fn branding(name: &str, slug: &str, branding: &Json) -> Value {
    let Branding { name: own, color, logo, .. } = branding.clone().into();
    let shown = |logo: Logo| {
        let (width, height) = logo.shown();
        context! { path => logo.path(slug), width, height, is_sign => logo.is_sign() }
    };
    context! {
        organization => own.as_deref().unwrap_or(name),
        accent => color.as_deref().and_then(accent::digits),
        logo => logo.map(shown),
    }
}

/// The same where it is known, and nothing where it is not.
pub(super) fn shown(look: Option<Look>) -> Value {
    look.map_or_else(|| context! {}, |look| branding(&look.name, &look.slug, &look.branding))
}

/// Wrong fields, each with a sentence in the reader's language, as templates take them.
pub(super) fn field_errors(words: &Words, errors: &[FieldError], min_length: i32) -> Value {
    let sentence = |error: &FieldError| -> String {
        let known = words.get(&format!("field.{}", error.code)).map_or_else(|| error.message.clone(), Cow::from);
        known.replace("{min}", &min_length.to_string())
    };
    errors.iter().map(|error| context! { field => &*error.field, message => sentence(error) }).collect()
}

/// The fields that a rule found wrong; any other error is not for a form.
pub(super) fn wrong_fields(error: Error) -> Result<Vec<FieldError>, Problem> {
    match error {
        Error::Refused(Refusal { errors, .. }) if !errors.is_empty() => Ok(errors),
        error => Err(error.into()),
    }
}
