//! The sign-in of someone who knows no more than his address.

use minijinja::context;
use poem::http::StatusCode;
use poem::{Response, handler};
use tenantry_shared::email_address::EmailAddress;
use tenantry_shared::error::{FieldError, Kind as Refused};
use tenantry_shared::login_urls::{self, LoginUrl};
use tenantry_shared::{Error, Refusal};

use super::sessions::{NOTICES, go_to_way};
use super::visit::{Visit, field_errors, retry_after, see_other};
use super::{SIGN_IN_SENT, render};
use crate::problem::ApiResult;

/// Why someone has to ask once more.
#[derive(Default)]
struct Again {
    errors: Vec<FieldError>,
    wait: Option<u64>,
}

/// The page that asks for the address.
pub(super) fn ask(visit: &Visit, email: &str) -> ApiResult<Response> {
    show(visit, email, &Again::default())
}

/// On to the organization's sign-in, or to a page that tells of a mail: the same for addresses that someone has and others.
pub(super) async fn find(visit: &Visit, typed: &str) -> ApiResult<Response> {
    let email = match EmailAddress::parse("email", typed) {
        Ok(email) => email,
        Err(error) => return show(visit, typed, &Again { errors: vec![error], wait: None }),
    };
    match login_urls::find(&visit.app.door(), &email, visit.origin.clone()).await {
        Ok(LoginUrl::Organization { slug, .. }) => go_to_way(visit, &slug, email.as_str()).await,
        Ok(LoginUrl::Manual) => Ok(see_other(SIGN_IN_SENT)),
        Err(Error::Refused(Refusal { kind: Refused::TooOften(seconds), .. })) => {
            let again = Again { wait: Some(seconds), ..Again::default() };
            show(visit, typed, &again).map(|page| retry_after(page, seconds))
        }
        Err(error) => Err(error.into()),
    }
}

fn show(visit: &Visit, email: &str, again: &Again) -> ApiResult<Response> {
    let words = visit.words("");
    let errors = field_errors(words, &again.errors, 0);
    let values = context! { notice => visit.notice(&NOTICES), email, errors, wait => again.wait };
    let status = match again {
        Again { wait: Some(_), .. } => StatusCode::TOO_MANY_REQUESTS,
        Again { errors, .. } if !errors.is_empty() => StatusCode::BAD_REQUEST,
        Again { .. } => StatusCode::OK,
    };
    render::page(words, "sign_in_find.html", status, values)
}

/// `GET /sign-in/sent`: where asking leads.
#[handler]
pub(super) async fn sent(visit: Visit) -> ApiResult<Response> {
    visit.page("sign_in_sent.html", context! {})
}
