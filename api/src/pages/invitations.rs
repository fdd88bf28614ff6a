//! An invitee's pages: look at the invitation, accept, decline.

use minijinja::{Value, context};
use poem::http::StatusCode;
use poem::{Response, handler};
use tenantry_shared::Error;
use tenantry_shared::error::FieldError;
use tenantry_shared::invitations::{self, Accept, Accepted, Preview};
use tenantry_shared::saml::{self, Choice, Ways};
use tenantry_shared::users::PersonName;
use uuid::Uuid;

use super::company;
use super::cookies::Kind;
use super::forms::Form;
use super::render;
use super::visit::{Visit, branding, field_errors, see_other, wrong_fields};
use super::words::Words;
use crate::problem::{ApiResult, Problem};

/// What the invitee has typed so far, and what was wrong with it.
#[derive(Default)]
struct Typed<'a> {
    first_name: &'a str,
    last_name: &'a str,
    errors: Vec<FieldError>,
}

/// `GET /invitations/accept`: with `?token=`, on to itself without.
#[handler]
pub(super) async fn ask(visit: Visit) -> ApiResult<Response> {
    if let Some(response) = visit.stow(Kind::Invitation, super::ACCEPT) {
        return Ok(response);
    }
    let token = visit.token(Kind::Invitation)?;
    show(&visit, &token, &Typed::default()).await
}

/// `POST /invitations/accept`.
#[handler]
pub(super) async fn accept(visit: Visit, form: Form) -> ApiResult<Response> {
    // From the form, not the cookie: it is the invitation that he saw, whatever else he opened meanwhile, and however long
    // he thought about a password.
    let token = form.get("token");
    match try_accept(&visit, &form, token).await {
        // Demanded since he opened the page: it shows the other way now.
        Ok(Accepted::ByCompany { .. }) => show(&visit, token, &Typed::default()).await,
        Ok(Accepted::In { session, .. }) => {
            let mut response = visit.begin_session(&session).await;
            visit.forget(Kind::Invitation, &mut response);
            Ok(response)
        }
        Err(error) => {
            let errors = wrong_fields(error)?;
            let typed = Typed { first_name: form.get("first_name"), last_name: form.get("last_name"), errors };
            show(&visit, token, &typed).await
        }
    }
}

/// `POST /invitations/accept/company`: on to his company, where he shows that he is whom it was sent to.
#[handler]
pub(super) async fn accept_by_company(visit: Visit, form: Form) -> ApiResult<Response> {
    let connection = form.get("connection").parse::<Uuid>().map_err(|_| Problem::not_found())?.into();
    let (app, browser) = (&visit.app, visit.company_browser()?);
    let origin = visit.origin.clone();
    let asked =
        saml::ask_with_invitation(&app.sso(), &app.links, form.get("token"), connection, &browser, origin).await;
    company::go_on(&visit, &browser, visit.of_link(asked).await?)
}

async fn try_accept(visit: &Visit, form: &Form, token: &str) -> Result<Accepted, Error> {
    let name = PersonName::check(form.get("first_name"), form.get("last_name"))?;
    let new = Accept { name, password: form.secret("password") };
    let app = &visit.app;
    let accepted = invitations::accept(&app.db, &app.links, &app.hasher, token, new, visit.origin.clone()).await;
    app.of_link(&visit.origin, accepted).await
}

async fn show(visit: &Visit, token: &str, typed: &Typed<'_>) -> ApiResult<Response> {
    let preview = visit.of_link(invitations::preview(&visit.app.db, &visit.app.links, token).await).await?;
    let words = visit.words(&preview.locale);
    let (slug, email) = (&preview.organization_slug, &preview.invitee_identifier);
    let ways = saml::ways_in(&visit.app.db, slug, email, &visit.app.platform_slug).await?;
    let values = context! {
        ..described(&preview, words, token),
        ..context! {
            is_sso_required => preview.is_sso_required,
            companies => companies(&ways),
            first_name => typed.first_name,
            last_name => typed.last_name,
            min_length => preview.password_min_length,
            errors => field_errors(words, &typed.errors, preview.password_min_length),
        }
    };
    let status = if typed.errors.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    render::page(words, "accept.html", status, values)
}

/// The companies that can speak for the invitee.
fn companies(ways: &Ways) -> Value {
    let can_speak = |choice: &&Choice| ways.bound.is_none_or(|bound| bound == choice.id);
    let shown = |choice: &Choice| context! { id => choice.id.to_string(), name => &*choice.name };
    ways.connections.iter().filter(can_speak).map(shown).collect()
}

fn described(preview: &Preview, words: &Words, token: &str) -> Value {
    context! {
        token,
        email => &*preview.invitee_identifier,
        inviter => preview.inviter.as_deref(),
        role => preview.role.as_deref().map(|role| words.role(role)),
        message => preview.message.as_deref(),
        valid_until => words.date_time(preview.valid_until),
        valid_until_machine => preview.valid_until.to_rfc3339(),
        ..branding(&preview.organization_name, &preview.organization_slug, &preview.branding)
    }
}

/// `GET /invitations/decline`: with `?token=`, on to itself without.
#[handler]
pub(super) async fn ask_decline(visit: Visit) -> ApiResult<Response> {
    if let Some(response) = visit.stow(Kind::Invitation, super::DECLINE) {
        return Ok(response);
    }
    let token = visit.token(Kind::Invitation)?;
    let preview = visit.of_link(invitations::preview(&visit.app.db, &visit.app.links, &token).await).await?;
    let words = visit.words(&preview.locale);
    render::page(words, "decline.html", StatusCode::OK, described(&preview, words, &token))
}

/// `POST /invitations/decline`.
#[handler]
pub(super) async fn decline(visit: Visit, form: Form) -> ApiResult<Response> {
    let outcome = invitations::decline(&visit.app.db, &visit.app.links, form.get("token"), visit.origin.clone()).await;
    visit.of_link(outcome).await?;
    let mut response = see_other(super::DECLINED);
    visit.forget(Kind::Invitation, &mut response);
    Ok(response)
}

/// `GET /invitations/declined`: where declining leads.
#[handler]
pub(super) async fn declined(visit: Visit) -> ApiResult<Response> {
    visit.page("declined.html", context! {})
}
