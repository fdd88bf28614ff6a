//! Signing in and out, and where one lands.

use minijinja::{Value, context};
use poem::http::StatusCode;
use poem::{Response, handler};
use tenantry_shared::access::Oneself;
use tenantry_shared::error::Kind as Refused;
use tenantry_shared::sessions::Credentials;
use tenantry_shared::{Error, organizations, sessions, users};

use super::cookies::Kind;
use super::forms::Form;
use super::render;
use super::visit::{Visit, address, branding, retry_after, see_other};
use crate::problem::ApiResult;

/// What another page may have the sign-in page say: `notice.<it>` in the catalogue.
const NOTICES: [&str; 2] = ["password_changed", "signed_out"];

/// `GET /`: who I am.
#[handler]
pub(super) async fn home(visit: Visit) -> ApiResult<Response> {
    let Some(signed_in) = visit.signed_in().await? else {
        let mut response = see_other(super::SIGN_IN);
        visit.forget(Kind::Session, &mut response);
        return Ok(response);
    };
    let (mut tx, by) = visit.app.enter_own::<Oneself>(&signed_in).await?;
    let user = users::current(&mut tx, &by).await?;
    let organization = organizations::get(&mut tx, None, &signed_in.caller.organization_slug).await?;
    tx.commit().await?;

    let words = visit.words(user.preferences["lang"].as_str().unwrap_or_default());
    let roles: Vec<String> = user.roles.iter().map(|role| words.role(role)).collect();
    let values = context! {
        name => format!("{} {}", user.first_name, user.last_name).trim(),
        email => &*user.email,
        username => Some(user.username.as_str()).filter(|name| !name.eq_ignore_ascii_case(&user.email)),
        is_superuser => user.is_superuser,
        roles,
        ..branding(&organization.name, &organization.branding)
    };
    render::page(words, "home.html", StatusCode::OK, values)
}

/// `GET /sign-in?organization=&login_hint=`.
#[handler]
pub(super) async fn ask(visit: Visit) -> ApiResult<Response> {
    let notice = visit.query("notice").filter(|notice| NOTICES.contains(notice));
    let values = form(visit.query("organization").unwrap_or_default(), visit.query("login_hint").unwrap_or_default());
    visit.page("sign_in.html", context! { notice, is_wrong => false, wait => (), ..values })
}

/// `POST /sign-in`: one answer for everything that can be wrong.
#[handler]
pub(super) async fn sign_in(visit: Visit, sent: Form) -> ApiResult<Response> {
    let (slug, username) = (sent.get("organization").trim(), sent.get("username").trim());
    let password = sent.secret("password");
    let given = Credentials { slug, username, password: &password };
    let again = |status, is_wrong: bool, wait: Option<u64>| {
        let values = context! { notice => (), is_wrong, wait, ..form(slug, username) };
        render::page(visit.words(""), "sign_in.html", status, values)
    };
    match sessions::login(&visit.app.door(), &given, visit.origin.clone()).await {
        Ok(session) => Ok(visit.begin_session(&session).await),
        Err(Error::Refused(refusal)) => match refusal.kind {
            Refused::Unauthenticated => again(StatusCode::UNAUTHORIZED, true, None),
            Refused::TooOften(seconds) => {
                again(StatusCode::TOO_MANY_REQUESTS, false, Some(seconds)).map(|page| retry_after(page, seconds))
            }
            _ => Err(refusal.into()),
        },
        Err(error) => Err(error.into()),
    }
}

fn form(slug: &str, username: &str) -> Value {
    context! { slug, username }
}

/// `POST /sign-out`.
#[handler]
pub(super) async fn sign_out(visit: Visit, _: Form) -> ApiResult<Response> {
    let slug = visit.end_session().await?.unwrap_or_default();
    let mut response = see_other(&address(super::SIGN_IN, &[("organization", &*slug), ("notice", "signed_out")]));
    visit.forget(Kind::Session, &mut response);
    Ok(response)
}
