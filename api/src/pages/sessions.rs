//! Signing in and out, and where one lands.

use minijinja::{Value, context};
use poem::http::StatusCode;
use poem::{Response, handler};
use tenantry_shared::access::Oneself;
use tenantry_shared::error::Kind as Refused;
use tenantry_shared::objects::Kind as ObjectKind;
use tenantry_shared::sessions::{self, Credentials, Entry};
use tenantry_shared::{Error, Refusal, organizations, users};

use super::cookies::Kind;
use super::forms::Form;
use super::render;
use super::visit::{Visit, address, branding, retry_after, see_other};
use crate::problem::ApiResult;

/// What another page may have the sign-in page say: `notice.<it>` in the catalogue.
const NOTICES: [&str; 3] = ["password_changed", "signed_out", "sign_in_again"];

/// `GET /`: who I am.
#[handler]
pub(super) async fn home(visit: Visit) -> ApiResult<Response> {
    let Some(signed_in) = visit.signed_in().await? else {
        let mut response = see_other(super::SIGN_IN);
        visit.forget(Kind::Session, &mut response);
        return Ok(response);
    };
    if signed_in.caller.must_enroll {
        return Ok(see_other(super::SECOND_FACTOR));
    }
    let (mut tx, by) = visit.app.enter_own::<Oneself>(&signed_in).await?;
    let (user, names) = users::current(&mut tx, &by).await?;
    let organization = organizations::get(&mut tx, None, &signed_in.caller.organization_slug).await?;
    tx.commit().await?;

    let words = visit.words(user.preferences["lang"].as_str().unwrap_or_default());
    let roles: Vec<String> =
        user.roles.iter().filter_map(|id| names.get(ObjectKind::Role, *id)).map(|role| words.role(role)).collect();
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
    let given = Credentials { slug, username, password: &password, code: None };
    let again = |status, is_wrong: bool, wait: Option<u64>| {
        let values = context! { notice => (), is_wrong, wait, ..form(slug, username) };
        render::page(visit.words(""), "sign_in.html", status, values)
    };
    match sessions::login(&visit.app.door(), &given, visit.origin.clone()).await {
        Ok(entry) => Ok(go_in(&visit, entry).await),
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

async fn go_in(visit: &Visit, entry: Entry) -> Response {
    match entry {
        Entry::Session(session) => visit.begin_session(&session).await,
        Entry::CodeNeeded(ticket) => visit.go_on(Kind::SignInCode, &ticket, super::SIGN_IN_CODE),
        Entry::PasswordChangeNeeded(ticket) => visit.go_on(Kind::PasswordChange, &ticket, super::CHANGE_PASSWORD),
    }
}

/// Back to where a sign-in begins, for one that took too long.
pub(super) fn sign_in_again(visit: &Visit, kind: Kind) -> Response {
    let mut response = see_other(&address(super::SIGN_IN, &[("notice", "sign_in_again")]));
    visit.forget(kind, &mut response);
    response
}

/// `GET /sign-in/code`: the second step, for whoever has a second factor.
#[handler]
pub(super) async fn ask_code(visit: Visit) -> ApiResult<Response> {
    let (app, ticket) = (&visit.app, visit.ticket(Kind::SignInCode));
    if !sessions::is_unfinished(&app.db, &app.sign_in_keys, &ticket).await? {
        app.limiter.wrong_link(&visit.origin).await?;
        return Ok(sign_in_again(&visit, Kind::SignInCode));
    }
    show_code(&visit, StatusCode::OK, false, None)
}

/// `POST /sign-in/code`. The ticket is in a cookie of this page alone, the password nowhere.
#[handler]
pub(super) async fn enter_code(visit: Visit, sent: Form) -> ApiResult<Response> {
    let (app, ticket) = (&visit.app, visit.ticket(Kind::SignInCode));
    let finished = sessions::finish(&app.door(), &ticket, sent.get("code"), visit.origin.clone()).await;
    match visit.app.of_link(&visit.origin, finished).await {
        Ok(entry) => {
            let mut response = go_in(&visit, entry).await;
            visit.forget(Kind::SignInCode, &mut response);
            Ok(response)
        }
        Err(Error::Refused(refusal)) if refusal.code == "invalid_code" => {
            show_code(&visit, StatusCode::UNAUTHORIZED, true, None)
        }
        Err(Error::Refused(Refusal { code: "too_many_codes", kind: Refused::TooOften(seconds), .. })) => {
            show_code(&visit, StatusCode::TOO_MANY_REQUESTS, false, Some(seconds))
                .map(|page| retry_after(page, seconds))
        }
        Err(Error::Refused(refusal)) if refusal.kind == Refused::Unauthenticated => {
            Ok(sign_in_again(&visit, Kind::SignInCode))
        }
        Err(error) => Err(error.into()),
    }
}

fn show_code(visit: &Visit, status: StatusCode, is_wrong: bool, wait: Option<u64>) -> ApiResult<Response> {
    render::page(visit.words(""), "sign_in_code.html", status, context! { is_wrong, wait })
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
