//! The page that a reminder's link leads to, and the button of mail programs that asks for the same: no more reminders.

use minijinja::context;
use poem::http::StatusCode;
use poem::{FromRequest, Request, RequestBody, Response, handler};
use tenantry_shared::emails;

use super::cookies::Kind;
use super::forms::Form;
use super::render;
use super::visit::{Visit, branding, see_other};
use crate::problem::{ApiResult, Problem};

/// `GET /reminders/stop`: with `?token=`, on to itself without.
#[handler]
pub(super) async fn ask(visit: Visit) -> ApiResult<Response> {
    if let Some(response) = visit.stow(Kind::Reminders, super::STOP_REMINDERS) {
        return Ok(response);
    }
    let token = visit.token(Kind::Reminders)?;
    let preview = visit.of_link(emails::preview_opt_out(&visit.app.db, &visit.app.links, &token).await).await?;
    let values = context! {
        token,
        email => &*preview.invitee_identifier,
        ..branding(&preview.organization_name, &preview.organization_slug, &preview.branding)
    };
    render::page(visit.words(&preview.locale), "reminders_stop.html", StatusCode::OK, values)
}

/// `POST /reminders/stop`: the button of the page; with `?token=`, that of a mail program (RFC 8058).
#[handler]
pub(super) async fn stop(visit: Visit, request: &Request, body: poem::Body) -> poem::Result<Response> {
    let mut body = RequestBody::new(body);
    if let Some(token) = visit.query("token") {
        let sent = body.take()?.into_vec().await?;
        return Ok(stop_in_one_click(&visit, token, &sent).await?);
    }
    let form = Form::from_request(request, &mut body).await?;
    stop_for(&visit, form.get("token")).await?;
    let mut response = see_other(super::REMINDERS_STOPPED);
    visit.forget(Kind::Reminders, &mut response);
    Ok(response)
}

/// Comes from the mail provider's servers, with no cookie and from no page of ours: the token alone says that he may, and
/// whoever has it has the mail. Redirects are not followed, so the answer is here.
async fn stop_in_one_click(visit: &Visit, token: &str, sent: &[u8]) -> ApiResult<Response> {
    if !asks_to_unsubscribe(sent) {
        let detail = "The body must say List-Unsubscribe=One-Click (RFC 8058).";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_body", detail));
    }
    stop_for(visit, token).await?;
    visit.page("reminders_stopped.html", context! {})
}

async fn stop_for(visit: &Visit, token: &str) -> ApiResult<()> {
    let outcome = emails::stop_reminders(&visit.app.db, &visit.app.links, token, visit.origin.clone()).await;
    visit.of_link(outcome).await.map(drop)
}

/// RFC 8058 lets them send a multipart form as well as an encoded one; both hold these two words.
fn asks_to_unsubscribe(sent: &[u8]) -> bool {
    let sent = String::from_utf8_lossy(sent);
    sent.contains("List-Unsubscribe") && sent.contains("One-Click")
}

/// `GET /reminders/stopped`: where the button leads.
#[handler]
pub(super) async fn stopped(visit: Visit) -> ApiResult<Response> {
    visit.page("reminders_stopped.html", context! {})
}
