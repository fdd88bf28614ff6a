//! Signing in with a token that a program got for its user (`iam_session_token`): he is asked first, by name.
//!
//! Whoever has such a token of his own could otherwise sign someone else's browser in to his account, and read later what that
//! person does there. So no request from elsewhere signs in: it leads to a page whose button does.

use minijinja::context;
use poem::http::StatusCode;
use poem::{Response, handler};
use tenantry_shared::sessions;

use super::cookies::Kind;
use super::forms::{ForeignForm, Form};
use super::render;
use super::visit::{Visit, branding};
use crate::problem::ApiResult;

/// `GET /sign-in/with-token`: with `?token=`, on to itself without.
#[handler]
pub(super) async fn ask(visit: Visit) -> ApiResult<Response> {
    if let Some(response) = visit.stow(Kind::SessionToken, super::SIGN_IN_WITH_TOKEN) {
        return Ok(response);
    }
    let token = visit.token(Kind::SessionToken)?;
    let preview = visit.of_link(sessions::preview_hand_over(&visit.app.db, &token).await).await?;
    let current = visit.signed_in().await?.map(|signed_in| signed_in.caller.email);
    let words = visit.words(&preview.locale);
    let values = context! {
        token,
        name => if preview.name.is_empty() { &preview.email } else { &preview.name },
        email => &*preview.email,
        current,
        ..branding(&preview.organization_name, &preview.organization_slug, &preview.branding)
    };
    render::page(words, "sign_in_with_token.html", StatusCode::OK, values)
}

/// `POST /sign-in/with-token`: the same with the token in a form, which any site may send: so it is in no address at all.
#[handler]
pub(super) async fn receive(visit: Visit, sent: ForeignForm) -> ApiResult<Response> {
    Ok(visit.stow_token(Kind::SessionToken, super::SIGN_IN_WITH_TOKEN, sent.0.get("token")))
}

/// `POST /sign-in/with-token/continue`: the button.
#[handler]
pub(super) async fn sign_in(visit: Visit, form: Form) -> ApiResult<Response> {
    let taken = sessions::take_over(&visit.app.db, form.get("token"), visit.origin.clone()).await;
    let session = visit.of_link(taken).await?;
    let mut response = visit.begin_session(&session).await;
    visit.forget(Kind::SessionToken, &mut response);
    Ok(response)
}
