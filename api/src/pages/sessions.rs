//! Signing in and out, and where one lands.

use minijinja::{Value, context};
use poem::http::StatusCode;
use poem::{Response, handler};
use tenantry_shared::access::{InPerson, Oneself};
use tenantry_shared::error::Kind as Refused;
use tenantry_shared::saml::{self, Choice, Next, Ways};
use tenantry_shared::sessions::{self, Credentials, Entry};
use tenantry_shared::settings::Look;
use tenantry_shared::{Error, Refusal, organizations, roles, users};

use super::cookies::Kind;
use super::find;
use super::forms::Form;
use super::render;
use super::visit::{Visit, address, branding, retry_after, see_other, shown};
use super::{company, company_accounts};
use crate::problem::ApiResult;

/// What another page may have the sign-in page say: `notice.<it>` in the catalogue.
pub(super) const NOTICES: [&str; 4] = ["password_changed", "signed_out", "signed_out_here", "sign_in_again"];

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
    let user = users::current(&mut tx, &by).await?;
    let roles = roles::list_own_names(&mut tx, &by).await?;
    let organization = organizations::get(&mut tx, None, &signed_in.caller.organization_slug).await?;
    let companies = saml::list_company_accounts(&mut tx, &by).await?;
    tx.commit().await?;

    let words = visit.words(user.preferences["lang"].as_str().unwrap_or_default());
    let roles: Vec<String> = roles.iter().map(|role| words.role(role)).collect();
    let values = context! {
        name => format!("{} {}", user.first_name, user.last_name).trim(),
        email => &*user.email,
        username => Some(user.username.as_str()).filter(|name| !name.eq_ignore_ascii_case(&user.email)),
        is_superuser => user.is_superuser,
        roles,
        companies => company_accounts::shown(&companies),
        notice => visit.notice(&company_accounts::NOTICES),
        ..branding(&organization.name, &organization.slug, &organization.branding)
    };
    render::page(words, "home.html", StatusCode::OK, values)
}

/// `GET /sign-in?organization=&login_hint=`: who it is. Where both are given, on to how he signs in; without an organization,
/// his address alone, unless he wants to name it himself (`manual=true`).
#[handler]
pub(super) async fn ask(visit: Visit) -> ApiResult<Response> {
    let given = |name| visit.query(name).map(str::trim).unwrap_or_default();
    let (slug, username) = (given("organization"), given("login_hint"));
    if slug.is_empty() && given("manual") != "true" {
        return find::ask(&visit, username);
    }
    if slug.is_empty() || username.is_empty() {
        let values = context! { notice => visit.notice(&NOTICES), ..visit.look(slug).await? };
        return visit.page("sign_in.html", context! { ..values, ..form(slug, username) });
    }
    go_to_way(&visit, slug, username).await
}

/// `POST /sign-in`: the same from the form.
#[handler]
pub(super) async fn begin(visit: Visit, sent: Form) -> ApiResult<Response> {
    if sent.has("email") {
        return find::find(&visit, sent.get("email")).await;
    }
    go_to_way(&visit, sent.get("organization").trim(), sent.get("username").trim()).await
}

/// On to the password, to his company, or to a page where he chooses. His address's domain decides, not whether he has an
/// account: strangers learn nothing of accounts.
pub(super) async fn go_to_way(visit: &Visit, slug: &str, username: &str) -> ApiResult<Response> {
    let ways = saml::ways_in(&visit.app.db, slug, username, &visit.app.platform_slug).await?;
    match ways.next() {
        Next::Provider(connection) => company::go_to_login(visit, slug, connection),
        Next::Choose => {
            let password_address = password_address(visit, slug, username);
            let values = context! { choices => choices(slug, &ways), password_address, ..visit.look(slug).await? };
            let values = context! { ..values, ..form(slug, username) };
            visit.page("sign_in_choose.html", values)
        }
        Next::Password => Ok(see_other(&password_address(visit, slug, username))),
    }
}

fn password_address(visit: &Visit, slug: &str, username: &str) -> String {
    let mut query = vec![("organization", slug), ("login_hint", username)];
    query.extend(visit.notice(&NOTICES).map(|notice| ("notice", notice)));
    address(super::SIGN_IN_PASSWORD, &query)
}

/// The companies' ways into an organization.
fn choices(slug: &str, ways: &Ways) -> Vec<Value> {
    let choice = |choice: &Choice| {
        context! { name => &*choice.name, address => company::login_address(slug, choice.id) }
    };
    ways.connections.iter().map(choice).collect()
}

/// `GET /sign-in/password?organization=&login_hint=`.
#[handler]
pub(super) async fn ask_password(visit: Visit) -> ApiResult<Response> {
    let given = |name| visit.query(name).unwrap_or_default();
    let again = Again { notice: visit.notice(&NOTICES), ..Again::default() };
    show_password(&visit, given("organization"), given("login_hint"), &again, StatusCode::OK).await
}

/// Why someone sees the page of the password.
#[derive(Clone, Copy, Default)]
struct Again<'a> {
    notice: Option<&'a str>,
    is_wrong: bool,
    wait: Option<u64>,
}

async fn show_password(
    visit: &Visit,
    slug: &str,
    username: &str,
    again: &Again<'_>,
    status: StatusCode,
) -> ApiResult<Response> {
    let ways = saml::ways_in(&visit.app.db, slug, "", &visit.app.platform_slug).await?;
    let Again { notice, is_wrong, wait } = *again;
    let values = context! { notice, is_wrong, wait, choices => choices(slug, &ways), ..visit.look(slug).await? };
    let values = context! { ..values, ..form(slug, username) };
    render::page(visit.words(""), "sign_in_password.html", status, values)
}

/// `POST /sign-in/password`: one answer for everything that can be wrong.
#[handler]
pub(super) async fn sign_in(visit: Visit, sent: Form) -> ApiResult<Response> {
    let (slug, username) = (sent.get("organization").trim(), sent.get("username").trim());
    let password = sent.secret("password");
    let given = Credentials { slug, username, password: &password, code: None };
    match sessions::login(&visit.app.door(), &given, visit.origin.clone()).await {
        Ok(entry) => Ok(go_in(&visit, entry).await),
        Err(Error::Refused(refusal)) => match refusal.kind {
            Refused::Unauthenticated => {
                let again = Again { is_wrong: true, ..Again::default() };
                show_password(&visit, slug, username, &again, StatusCode::UNAUTHORIZED).await
            }
            Refused::TooOften(seconds) => {
                let again = Again { wait: Some(seconds), ..Again::default() };
                let page = show_password(&visit, slug, username, &again, StatusCode::TOO_MANY_REQUESTS).await?;
                Ok(retry_after(page, seconds))
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
    let Some(look) = sessions::find_unfinished(&app.db, &app.sign_in_keys, &ticket).await? else {
        app.limiter.wrong_link(&visit.origin).await?;
        return Ok(sign_in_again(&visit, Kind::SignInCode));
    };
    show_code(&visit, StatusCode::OK, false, None, Some(look))
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
            let look = sessions::find_unfinished(&app.db, &app.sign_in_keys, &ticket).await?;
            show_code(&visit, StatusCode::UNAUTHORIZED, true, None, look)
        }
        Err(Error::Refused(Refusal { code: "too_many_codes", kind: Refused::TooOften(seconds), .. })) => {
            let look = sessions::find_unfinished(&app.db, &app.sign_in_keys, &ticket).await?;
            let page = show_code(&visit, StatusCode::TOO_MANY_REQUESTS, false, Some(seconds), look)?;
            Ok(retry_after(page, seconds))
        }
        Err(Error::Refused(refusal)) if refusal.kind == Refused::Unauthenticated => {
            Ok(sign_in_again(&visit, Kind::SignInCode))
        }
        Err(error) => Err(error.into()),
    }
}

fn show_code(
    visit: &Visit,
    status: StatusCode,
    is_wrong: bool,
    wait: Option<u64>,
    look: Option<Look>,
) -> ApiResult<Response> {
    render::page(visit.words(""), "sign_in_code.html", status, context! { is_wrong, wait, ..shown(look) })
}

fn form(slug: &str, username: &str) -> Value {
    context! { slug, username }
}

/// `POST /sign-out`. Whoever came from his company is signed out there, too.
#[handler]
pub(super) async fn sign_out(visit: Visit, _: Form) -> ApiResult<Response> {
    let mut slug = String::new();
    let mut way = None;
    let browser = visit.company_browser()?;
    if let Some(signed_in) = visit.signed_in().await? {
        let (tx, by) = visit.app.enter_own::<InPerson>(&signed_in).await?;
        way = saml::sign_out(&visit.app.sso(), tx, &by, &browser).await?;
        slug = signed_in.caller.organization_slug;
    }
    let mut response = match way {
        Some(way) => company::go_on(&visit, &browser, way)?,
        None => see_other(&address(super::SIGN_IN, &[("organization", &*slug), ("notice", "signed_out")])),
    };
    visit.forget(Kind::Session, &mut response);
    Ok(response)
}
