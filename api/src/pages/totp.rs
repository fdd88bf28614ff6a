//! The page of one's own second factor: what it is, set one up, and its recovery codes.

use minijinja::{Value, context};
use poem::http::StatusCode;
use poem::{Response, handler};
use qrcode::QrCode;
use qrcode::render::svg;
use tenantry_shared::access::{Access, InPerson};
use tenantry_shared::db::Tx;
use tenantry_shared::error::Kind as Refused;
use tenantry_shared::totp::{self, Proof};
use tenantry_shared::{Error, Refusal, organizations};

use super::forms::Form;
use super::render;
use super::visit::{Visit, branding, field_errors, retry_after, see_other, wrong_fields};
use crate::auth::SignedIn;
use crate::problem::{ApiResult, Problem};

/// `GET /second-factor`.
#[handler]
pub(super) async fn show(visit: Visit) -> ApiResult<Response> {
    let Some(signed_in) = visit.signed_in().await? else { return Ok(see_other(super::SIGN_IN)) };
    let (mut tx, by) = visit.app.enter_own::<InPerson>(&signed_in).await?;
    let look = look(&mut tx, &by).await?;
    let status = totp::status(&mut tx, &by).await?;
    tx.commit().await?;
    let step = if status.is_enabled { "on" } else { "start" };
    let left = status.recovery_codes_left;
    page(&visit, &signed_in, StatusCode::OK, context! { step, left, ..look })
}

/// `POST /second-factor`: without a code the first step, with one the second.
#[handler]
pub(super) async fn set_up(visit: Visit, form: Form) -> ApiResult<Response> {
    let Some(signed_in) = visit.signed_in().await? else { return Ok(see_other(super::SIGN_IN)) };
    let (mut tx, by) = visit.app.enter_own::<InPerson>(&signed_in).await?;
    let look = look(&mut tx, &by).await?;
    let takes_password = totp::status(&mut tx, &by).await?.takes_password;
    let look = context! { takes_password, ..look };
    if form.has("code") {
        let proof = Proof { code: form.get("code").to_owned(), password: Some(form.secret("password")) };
        let origin = visit.origin.clone();
        return match totp::confirm(&visit.app.door(), tx, &by, proof, origin).await {
            Ok(codes) => {
                let values = context! { step => "codes", codes => codes.expose(), ..look };
                page(&visit, &signed_in, StatusCode::OK, values)
            }
            Err(error) => again(&visit, &signed_in, error, look),
        };
    }
    let enrollment = totp::begin(&mut tx, &by, &visit.app.sign_in_keys.seals).await?;
    tx.commit().await?;
    let values = context! {
        step => "scan",
        secret => grouped(&enrollment.secret()),
        qr => qr(&enrollment.otpauth_url()?)?,
    };
    page(&visit, &signed_in, StatusCode::OK, context! { ..values, ..look })
}

/// The secret is not shown again: it is in the app, or one begins anew.
fn again(visit: &Visit, signed_in: &SignedIn, error: Error, look: Value) -> ApiResult<Response> {
    if let Error::Refused(Refusal { kind: Refused::TooOften(seconds), .. }) = error {
        let values = context! { step => "again", wait => seconds, ..look };
        return page(visit, signed_in, StatusCode::TOO_MANY_REQUESTS, values).map(|page| retry_after(page, seconds));
    }
    let errors = field_errors(visit.words(""), &wrong_fields(error)?, 0);
    page(visit, signed_in, StatusCode::BAD_REQUEST, context! { step => "again", errors, ..look })
}

/// How the caller's organization looks, and whether it leaves him a choice.
async fn look(tx: &mut Tx, by: &Access<InPerson>) -> ApiResult<Value> {
    let organization = organizations::get(tx, None, &by.caller().organization_slug).await?;
    let look = branding(&organization.name, &organization.slug, &organization.branding);
    Ok(context! { is_demanded => by.caller().must_enroll, ..look })
}

fn page(visit: &Visit, signed_in: &SignedIn, status: StatusCode, values: Value) -> ApiResult<Response> {
    let defaults = context! { errors => Vec::<Value>::new(), wait => (), email => &*signed_in.caller.email };
    render::page(visit.words(""), "second_factor.html", status, context! { ..values, ..defaults })
}

/// In groups of four, to be typed.
fn grouped(secret: &str) -> String {
    let groups: Vec<&str> =
        (0..secret.len()).step_by(4).filter_map(|at| secret.get(at..secret.len().min(at + 4))).collect();
    groups.join(" ")
}

/// A picture of it, drawn into the page: nothing is loaded, and nothing but the page has the secret.
fn qr(text: &str) -> ApiResult<Value> {
    let code = QrCode::new(text).map_err(|error| Problem::internal(&error))?;
    let svg = code.render::<svg::Color<'_>>().min_dimensions(220, 220).build();
    // Within HTML it has no XML declaration.
    Ok(Value::from_safe_string(svg.split_once("?>").map_or(svg.as_str(), |(_, svg)| svg).to_owned()))
}
