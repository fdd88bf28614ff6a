//! Signing in and out through a company's identity provider: what browsers and providers open below `/v1/saml/{slug}`.
//!
//! Messages travel through the browser, so these are pages: a refusal is one that a person can read, unless a program asks.

use minijinja::context;
use poem::http::{HeaderValue, StatusCode, header};
use poem::web::Path;
use poem::{Request, Response, handler};
use tenantry_shared::ids::SamlConnectionId;
use tenantry_shared::saml::{self, Asked, Browser, LoggedOut, Outcome, Posted, RawMessage, TestResult, Way};
use uuid::Uuid;

use super::forms::{ForeignForm, RawForm};
use super::render;
use super::visit::{Visit, address, see_other};
use crate::problem::{ApiResult, Problem};

/// The media type of metadata (SAML 2.0 Metadata, appendix A).
const METADATA: &str = "application/samlmetadata+xml";

/// `GET /v1/saml/{slug}/metadata`.
#[handler]
pub(super) async fn metadata(visit: Visit, Path(slug): Path<String>) -> ApiResult<Response> {
    let xml = saml::metadata(&visit.app.sso(), &slug, &visit.origin).await?;
    Ok(Response::builder().content_type(METADATA).body(xml))
}

/// `GET /v1/saml/{slug}/login?connection=&return_to=`: on to the identity provider. With `?test=`, an administrator's test.
#[handler]
pub(super) async fn login(visit: Visit, Path(slug): Path<String>) -> ApiResult<Response> {
    let (browser, sso) = (visit.company_browser()?, visit.app.sso());
    let origin = visit.origin.clone();
    if let Some(token) = visit.query("test") {
        let way = saml::ask_for_test(&sso, &slug, token, &browser, origin).await?;
        return travel(&visit, &browser, way);
    }
    let return_to = visit.query("return_to").filter(|path| !path.is_empty()).unwrap_or(super::HOME);
    if !saml::is_own_path(return_to) {
        let detail = "return_to is a path of this service, such as /second-factor, and nothing else.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_return_to", detail));
    }
    let connection = match visit.query("connection").filter(|id| !id.is_empty()) {
        Some(id) => Some(id.parse::<Uuid>().map_err(|_| Problem::not_found())?.into()),
        None => None,
    };
    let asked = Asked { slug: &slug, connection, return_to, browser: &browser };
    match saml::ask(&sso, &asked, origin).await? {
        Some(way) => travel(&visit, &browser, way),
        None => Ok(see_other(&address(super::SIGN_IN, &[("organization", &slug)]))),
    }
}

/// `POST /v1/saml/{slug}/acs`: what the identity provider says, which any site may send.
#[handler]
pub(super) async fn acs(visit: Visit, Path(slug): Path<String>, form: ForeignForm) -> ApiResult<Response> {
    let browser = visit.find_company_browser();
    // A field that is there twice is none: nobody knows which one the sender means.
    let posted = Posted {
        response: form.0.only("SAMLResponse").unwrap_or_default(),
        relay_state: form.0.only("RelayState"),
        browser: browser.as_ref(),
    };
    match saml::receive(&visit.app.sso(), &slug, &posted, visit.origin.clone()).await? {
        Outcome::SignedIn { session, return_to } => Ok(visit.begin_session_at(&session, &return_to).await),
        Outcome::Connected { return_to } => Ok(see_other(&return_to)),
        Outcome::Tested(result) => show_test(&visit, &result),
    }
}

fn show_test(visit: &Visit, result: &TestResult) -> ApiResult<Response> {
    let failure = |failed: &saml::Failure| context! { reason => &*failed.reason, detail => &*failed.detail };
    let said = result.said.as_ref().map(|said| {
        let attributes: Vec<_> = said
            .attributes
            .iter()
            .map(|attribute| context! { name => &*attribute.name, values => attribute.values.clone() })
            .collect();
        context! {
            name_id => &*said.name_id,
            name_id_format => said.name_id_format.as_deref(),
            email => said.email.as_deref(),
            name => format!("{} {}", said.first_name, said.last_name).trim(),
            groups => said.groups.clone(),
            account => said.account.as_deref(),
            no_account => said.no_account.as_ref().map(failure),
            attributes,
        }
    });
    visit.page("company_test.html", context! { failed => result.failed.as_ref().map(failure), said })
}

/// `GET /v1/saml/{slug}/slo`: by redirect, someone signed out there, or what we asked for is done.
#[handler]
pub(super) async fn slo_by_redirect(visit: Visit, Path(slug): Path<String>, request: &Request) -> ApiResult<Response> {
    sign_out(&visit, &slug, RawMessage::Query(request.uri().query().unwrap_or_default().to_owned())).await
}

/// `POST /v1/saml/{slug}/slo`: the same by a form, which any site may send.
#[handler]
pub(super) async fn slo_by_form(visit: Visit, Path(slug): Path<String>, form: RawForm) -> ApiResult<Response> {
    sign_out(&visit, &slug, RawMessage::Form(form.0)).await
}

async fn sign_out(visit: &Visit, slug: &str, message: RawMessage) -> ApiResult<Response> {
    let browser = visit.find_company_browser();
    let origin = visit.origin.clone();
    match saml::receive_logout(&visit.app.sso(), slug, message, browser.as_ref(), origin).await? {
        LoggedOut::Answer(way) => answer(visit, way),
        LoggedOut::Done { slug, everywhere } => {
            let notice = if everywhere { "signed_out" } else { "signed_out_here" };
            Ok(see_other(&address(super::SIGN_IN, &[("organization", &slug), ("notice", notice)])))
        }
    }
}

/// On to the identity provider; this browser is known again by its cookie when it comes back.
fn travel(visit: &Visit, browser: &Browser, way: Way) -> ApiResult<Response> {
    let mut response = answer(visit, way)?;
    visit.keep_company_browser(browser, &mut response);
    Ok(response)
}

fn answer(visit: &Visit, way: Way) -> ApiResult<Response> {
    match way {
        Way::Redirect(address) => {
            let address = HeaderValue::from_str(&address).map_err(|e| Problem::internal(&e))?;
            Ok(Response::builder().status(StatusCode::FOUND).header(header::LOCATION, address).finish())
        }
        Way::Post(form, relay_state) => {
            let values = context! { action => form.action, field => form.field, value => form.value, relay_state };
            render::page_to_elsewhere(visit.words(""), "company_post.html", values)
        }
    }
}

/// On to an identity provider from a page whose form was sent: browsers hold a form's redirects to the policy of its page, which
/// names no site but ours. So the next page leads there.
pub(super) fn go_on(visit: &Visit, browser: &Browser, way: Way) -> ApiResult<Response> {
    let mut response = match way {
        Way::Redirect(address) => visit.page("company_go.html", context! { address })?,
        way @ Way::Post(..) => answer(visit, way)?,
    };
    visit.keep_company_browser(browser, &mut response);
    Ok(response)
}

/// The same to the beginning of a sign-in.
pub(super) fn go_to_login(visit: &Visit, slug: &str, connection: SamlConnectionId) -> ApiResult<Response> {
    visit.page("company_go.html", context! { address => login_address(slug, connection) })
}

/// Where a sign-in through a connection begins.
pub(super) fn login_address(slug: &str, connection: SamlConnectionId) -> String {
    let slug: String = url::form_urlencoded::byte_serialize(slug.as_bytes()).collect();
    address(&format!("/v1/saml/{slug}/login"), &[("connection", &connection.to_string())])
}

/// What a path here takes.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    let (_, last) = path.strip_prefix("/v1/saml/")?.split_once('/')?;
    match last {
        "metadata" | "login" => Some("GET, HEAD"),
        "acs" => Some("POST"),
        "slo" => Some("GET, HEAD, POST"),
        _ => None,
    }
}

/// Where all of them are.
pub(super) fn is_at(path: &str) -> bool {
    methods(path).is_some()
}
