//! The pages of passwords: ask for a link, choose a new one with it, or in place of an administrator's.

use minijinja::{Value, context};
use poem::http::StatusCode;
use poem::{Response, handler};
use tenantry_shared::email_address::EmailAddress;
use tenantry_shared::error::{Check, FieldError, Kind as Refused};
use tenantry_shared::passwords::{self, PasswordPreview};
use tenantry_shared::secret::LinkKind;
use tenantry_shared::tenant::Tenant;
use tenantry_shared::{Error, Refusal};

use super::cookies::Kind;
use super::forms::Form;
use super::render;
use super::sessions::sign_in_again;
use super::visit::{Visit, address, branding, field_errors, retry_after, see_other, wrong_fields};
use crate::problem::ApiResult;

/// `GET /password-reset?organization=&login_hint=`.
#[handler]
pub(super) async fn ask(visit: Visit) -> ApiResult<Response> {
    let organization = visit.query("organization").unwrap_or_default();
    show_ask(&visit, organization, visit.query("login_hint").unwrap_or_default(), &Again::default()).await
}

/// `POST /password-reset`: the same answer, whether anyone has this address or not.
#[handler]
pub(super) async fn request(visit: Visit, form: Form) -> ApiResult<Response> {
    let (organization, email) = (form.get("organization").trim(), form.get("email"));
    let mut check = Check::default();
    check.that(!organization.is_empty(), "organization", "required", "An organization is needed.");
    let parsed = check.take(EmailAddress::parse("email", email));
    let checked = check.done();
    match (parsed, checked) {
        (Some(email), Ok(())) => {
            match passwords::request_reset(&visit.app.door(), organization, &email, visit.origin.clone()).await {
                Ok(()) => Ok(see_other(&address(super::RESET_ASKED, &[("organization", organization)]))),
                Err(Error::Refused(Refusal { kind: Refused::TooOften(seconds), .. })) => {
                    let again = Again { wait: Some(seconds), ..Again::default() };
                    show_ask(&visit, organization, email.as_str(), &again).await.map(|page| retry_after(page, seconds))
                }
                Err(error) => Err(error.into()),
            }
        }
        (_, checked) => {
            let errors = checked.err().unwrap_or_else(Refusal::not_found).errors;
            show_ask(&visit, organization, email, &Again { errors, wait: None }).await
        }
    }
}

/// Why someone has to ask once more.
#[derive(Default)]
struct Again {
    errors: Vec<FieldError>,
    wait: Option<u64>,
}

async fn show_ask(visit: &Visit, organization: &str, email: &str, again: &Again) -> ApiResult<Response> {
    let words = visit.words("");
    let errors = field_errors(words, &again.errors, 0);
    let look = visit.look(organization).await?;
    let values = context! { slug => organization, email, errors, wait => again.wait, ..look };
    let status = match again {
        Again { wait: Some(_), .. } => StatusCode::TOO_MANY_REQUESTS,
        Again { errors, .. } if !errors.is_empty() => StatusCode::BAD_REQUEST,
        Again { .. } => StatusCode::OK,
    };
    render::page(words, "password_reset.html", status, values)
}

/// `GET /password-reset/sent`: where asking leads.
#[handler]
pub(super) async fn requested(visit: Visit) -> ApiResult<Response> {
    let slug = visit.query("organization").unwrap_or_default();
    visit.page("password_reset_sent.html", context! { slug, ..visit.look(slug).await? })
}

/// `GET /password-reset/confirm`: with `?token=`, on to itself without.
#[handler]
pub(super) async fn choose(visit: Visit) -> ApiResult<Response> {
    if let Some(response) = visit.stow(Kind::PasswordReset, super::CONFIRM_RESET) {
        return Ok(response);
    }
    let token = visit.token(Kind::PasswordReset)?;
    let preview = visit.of_link(passwords::preview_reset(&visit.app.db, &visit.app.links, &token).await).await?;
    show_choose(&visit, &token, &preview, &[])
}

/// `POST /password-reset/confirm`.
#[handler]
pub(super) async fn confirm(visit: Visit, form: Form) -> ApiResult<Response> {
    let token = form.get("token");
    let preview = visit.of_link(passwords::preview_reset(&visit.app.db, &visit.app.links, token).await).await?;
    if let Err(error) = try_confirm(&visit, &form, token).await {
        return show_choose(&visit, token, &preview, &wrong_fields(error)?);
    }
    let mut response = see_other(&sign_in_with_new(&preview));
    visit.forget(Kind::PasswordReset, &mut response);
    Ok(response)
}

async fn try_confirm(visit: &Visit, form: &Form, token: &str) -> Result<(), Error> {
    let (app, password) = (&visit.app, form.secret("new_password"));
    passwords::check_same("confirm_new_password", &password, &form.secret("confirm_new_password"))?;
    let tenant = app.links.read(LinkKind::Password, token).map(|link| link.tenant);
    let origin = visit.origin.clone();
    passwords::confirm_reset(&app.db, &app.links, &app.hasher, tenant.as_ref(), token, &password, origin).await
}

fn show_choose(visit: &Visit, token: &str, preview: &PasswordPreview, errors: &[FieldError]) -> ApiResult<Response> {
    show_new_password(visit, "password_reset_confirm.html", preview, errors, context! { token })
}

/// A page that asks for a new password.
fn show_new_password(
    visit: &Visit,
    template: &str,
    preview: &PasswordPreview,
    errors: &[FieldError],
    values: Value,
) -> ApiResult<Response> {
    let words = visit.words(&preview.locale);
    let look = branding(&preview.organization_name, &preview.organization_slug, &preview.branding);
    let values = context! {
        email => &*preview.email,
        min_length => preview.password_min_length,
        errors => field_errors(words, errors, preview.password_min_length),
        ..context! { ..values, ..look }
    };
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    render::page(words, template, status, values)
}

/// Where a new password is used first.
fn sign_in_with_new(preview: &PasswordPreview) -> String {
    let hints = [
        ("organization", preview.organization_slug.as_str()),
        ("login_hint", preview.email.as_str()),
        ("notice", "password_changed"),
    ];
    address(super::SIGN_IN, &hints)
}

/// `GET /password-change`: after a sign-in with a password that an administrator has set.
#[handler]
pub(super) async fn ask_change(visit: Visit) -> ApiResult<Response> {
    match preview_change(&visit).await? {
        Some((_, preview)) => show_change(&visit, &preview, &[]),
        None => Ok(sign_in_again(&visit, Kind::PasswordChange)),
    }
}

/// `POST /password-change`.
#[handler]
pub(super) async fn change(visit: Visit, form: Form) -> ApiResult<Response> {
    let Some((ticket, preview)) = preview_change(&visit).await? else {
        return Ok(sign_in_again(&visit, Kind::PasswordChange));
    };
    if let Err(error) = try_change(&visit, &form, &ticket, &preview).await {
        return show_change(&visit, &preview, &wrong_fields(error)?);
    }
    let mut response = see_other(&sign_in_with_new(&preview));
    visit.forget(Kind::PasswordChange, &mut response);
    Ok(response)
}

/// The ticket in hand and what it is for, if it is still good.
async fn preview_change(visit: &Visit) -> ApiResult<Option<(String, PasswordPreview)>> {
    let ticket = visit.ticket(Kind::PasswordChange);
    let preview = passwords::preview_change(&visit.app.db, &visit.app.sign_in_keys, &ticket).await;
    match visit.app.of_link(&visit.origin, preview).await {
        Ok(preview) => Ok(Some((ticket, preview))),
        Err(Error::Refused(refusal)) if refusal.kind == Refused::Unauthenticated => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn try_change(visit: &Visit, form: &Form, ticket: &str, preview: &PasswordPreview) -> Result<(), Error> {
    let (app, password) = (&visit.app, form.secret("new_password"));
    passwords::check_same("confirm_new_password", &password, &form.secret("confirm_new_password"))?;
    let tenant = Tenant::find(&app.db, &preview.organization_slug).await?;
    passwords::change_by_ticket(&app.door(), tenant.as_ref(), ticket, &password, visit.origin.clone()).await
}

fn show_change(visit: &Visit, preview: &PasswordPreview, errors: &[FieldError]) -> ApiResult<Response> {
    show_new_password(visit, "password_change.html", preview, errors, context! {})
}
