//! The credential of a request.

use poem::http::{Method, header};
use poem::{Body, FromRequest, Request, RequestBody, Result};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::Value;
use tenantry_shared::access::{Caller, Origin, Standing};
use tenantry_shared::users::User;
use tenantry_shared::{Refusal, sessions};
use tracing::record_all;

use crate::app::App;
use crate::problem::Problem;

/// A caller with a live credential: `Authorization: Bearer <token>`, or `Token <token>` as older clients send it.
///
/// As a handler's first argument it is looked at before the body: a stranger gets 401 and no hint about the rest.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) caller: Caller,
    pub(crate) origin: Origin,
    /// Whether the request only reads.
    pub(crate) only_reads: bool,
}

impl SignedIn {
    /// Refuses the slug of another organization than his own, as one that does not exist.
    pub(crate) fn demand_own(&self, slug: &str) -> Result<(), Problem> {
        if slug.eq_ignore_ascii_case(&self.caller.organization_slug) { Ok(()) } else { Err(Problem::not_found()) }
    }
}

const SCHEME: &str = "token";

impl<'a> ApiExtractor<'a> for SignedIn {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            SCHEME,
            MetaSecurityScheme {
                ty: "http",
                description: Some(
                    "A session token (`tnt_s_…`), as `iam_login` or `accept_invitation` gives it, or a personal access \
                     token (`tnt_p_…`), as `create_auth_token` gives it. `Authorization: Token …` is taken too.",
                ),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: Some("tnt_s_… or tnt_p_…"),
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        demand_enrolled(resolve(request).await?)
    }
}

/// What the document says of an extractor that takes the same credential.
macro_rules! documented_as_signed_in {
    () => {
        const TYPES: &'static [ApiExtractorType] = SignedIn::TYPES;
        type ParamType = ();
        type ParamRawType = ();

        fn register(registry: &mut Registry) {
            SignedIn::register(registry);
        }

        fn security_schemes() -> Vec<&'static str> {
            SignedIn::security_schemes()
        }
    };
}

fn demand_enrolled(signed_in: SignedIn) -> Result<SignedIn> {
    if signed_in.caller.must_enroll {
        return Err(Problem::from(sessions::enrollment_required()).into());
    }
    Ok(signed_in)
}

/// The same, with all that the caller may know of himself.
#[derive(Debug)]
pub(crate) struct Introduced {
    pub(crate) signed_in: SignedIn,
    pub(crate) user: User,
    pub(crate) standing: Standing,
}

impl<'a> ApiExtractor<'a> for Introduced {
    documented_as_signed_in!();

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let (app, token) = app_and_token(request)?;
        let (caller, user, standing) = sessions::introduce(&app.db, token).await.map_err(Problem::from)?;
        Ok(Self { signed_in: demand_enrolled(admit(request, caller)?)?, user, standing })
    }
}

/// The same, also of someone who has yet to set up the second factor that his organization demands: for the few operations
/// that take him there, and out.
#[derive(Clone, Debug)]
pub(crate) struct Enrolling(pub(crate) SignedIn);

impl<'a> ApiExtractor<'a> for Enrolling {
    documented_as_signed_in!();

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        Ok(Self(resolve(request).await?))
    }
}

/// Who changes his password: someone who is signed in, or someone without a credential whose body has a `change_token`.
#[derive(Debug)]
pub(crate) enum Changing {
    SignedIn(Box<SignedIn>),
    ByTicket(Origin),
}

impl<'a> ApiExtractor<'a> for Changing {
    documented_as_signed_in!();

    fn has_security_fallback() -> bool {
        true
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        if request.headers().contains_key(header::AUTHORIZATION) {
            return Ok(Self::SignedIn(Box::new(SignedIn::from_request(request, body, options).await?)));
        }
        // Whether it has one; what else is right or wrong with it is told to nobody who has none.
        let bytes = body.take()?.into_bytes().await?;
        let has_ticket = serde_json::from_slice::<Value>(&bytes).is_ok_and(|body| body["change_token"].is_string());
        *body = RequestBody::new(Body::from(bytes));
        if has_ticket {
            Ok(Self::ByTicket(origin(request)))
        } else {
            Err(Problem::from(sessions::not_signed_in()).into())
        }
    }
}

/// Who sent this request.
async fn resolve(request: &Request) -> Result<SignedIn> {
    let (app, token) = app_and_token(request)?;
    let caller = sessions::authenticate(&app.db, token).await.map_err(Problem::from)?;
    Ok(admit(request, caller)?)
}

fn app_and_token(request: &Request) -> Result<(&App, &str), Problem> {
    let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Problem::from(sessions::not_signed_in()))?;
    let app = request.data().ok_or_else(|| Problem::internal(&"the app is missing"))?;
    Ok((app, token))
}

fn admit(request: &Request, caller: Caller) -> Result<SignedIn, Problem> {
    let span = tracing::Span::current();
    record_all!(span, organization = caller.organization_slug, actor = %caller.user_id);
    demand_its_tenant(request)?;
    Ok(SignedIn { caller, origin: origin(request), only_reads: request.method() == Method::GET })
}

/// Refuses a request whose `X-Tenant`, where it is sent below an organization, is not that organization's slug.
fn demand_its_tenant(request: &Request) -> Result<(), Problem> {
    let Some(below) = request.original_uri().path().strip_prefix("/v1/orgs/") else { return Ok(()) };
    let slug = below.split('/').next().unwrap_or_default();
    let mut names = request.headers().get_all("x-tenant").iter();
    if names.all(|name| name.as_bytes().eq_ignore_ascii_case(slug.as_bytes())) {
        return Ok(());
    }
    let message = "X-Tenant names another organization than the address.";
    Err(Refusal::invalid_field("X-Tenant", "other_tenant", message).into())
}

/// Where a request came from, as the edge found it.
pub(crate) fn origin(request: &Request) -> Origin {
    request.extensions().get::<Origin>().cloned().unwrap_or_default()
}

/// The same, for handlers of requests without a credential.
#[derive(Clone, Debug)]
pub(crate) struct From(pub(crate) Origin);

impl<'a> FromRequest<'a> for From {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        demand_its_tenant(request)?;
        Ok(Self(origin(request)))
    }
}
