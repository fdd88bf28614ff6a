//! Where someone signs in who knows no more than his address.

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::Refusal;
use tenantry_shared::email_address::EmailAddress;
use tenantry_shared::login_urls::{self, LoginUrl};
use url::form_urlencoded::Serializer;

use crate::app::App;
use crate::auth::From;
use crate::input::{Body, Input};
use crate::problem::ApiResult;

pub(crate) struct Api;

/// Who wants to sign in.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct LoginUrlIn {
    /// The address.
    email: String,
}

/// Where the sign-in page goes on.
#[derive(Debug, Object)]
#[oai(rename = "LoginUrl")]
pub(crate) struct LoginUrlOut {
    /// The query of the sign-in page, `/sign-in?…`: `organization=acme&login_hint=bob%40acme.example`, with `sso=true` where it goes on
    /// at an identity provider; or `manual=true`, where the organization has to be typed in, or found in the mail.
    params: String,
}

impl Input for LoginUrlIn {}

#[OpenApi(tag = "super::openapi::Tags::Iam")]
impl Api {
    /// Find out where an address signs in
    ///
    /// Any address of an e-mail domain that an organization has proven to be its own leads to that organization, whether there is
    /// such an account or not. Any other is `manual=true`; then, if it has accounts, a mail to it lists its organizations with
    /// links to their sign-in pages. So nobody learns from the answer, or from the time that it takes, whether an address has an account;
    /// but for organizations that choose otherwise (`login_discovery` of their settings).
    /// Errors: 429 `too_many_attempts`.
    #[oai(path = "/login-url", method = "post", operation_id = "find_login_url")]
    async fn find(&self, app: Data<&App>, from: From, body: Body<LoginUrlIn>) -> ApiResult<Json<LoginUrlOut>> {
        let email = EmailAddress::parse("email", &body.0.email).map_err(|e| Refusal::invalid(vec![e]))?;
        let found = login_urls::find(&app.door(), &email, from.0).await?;
        let mut params = Serializer::new(String::new());
        match found {
            LoginUrl::Organization { slug, is_sso } => {
                params.append_pair("organization", &slug).append_pair("login_hint", email.as_str());
                if is_sso {
                    params.append_pair("sso", "true");
                }
            }
            LoginUrl::Manual => drop(params.append_pair("manual", "true")),
        }
        Ok(Json(LoginUrlOut { params: params.finish() }))
    }
}
