//! The OpenAPI document: generated from the handlers, completed with what the generator can't say, served with a reader.

mod complete;
mod fields;
mod names;

use std::collections::HashMap;
use std::sync::LazyLock;

use poem::endpoint::make_sync;
use poem::http::header;
use poem::web::Html;
use poem::{Endpoint, IntoResponse, Response, Route, get};
use poem_openapi::OpenApiService;
use serde_json::{Map, Value};

use crate::{
    actors, analysts, audit_events, email_domains, email_events, email_suppressions, emails, enterprise_bindings,
    folders, invitations, jobs, login_urls, organizations, passwords, permissions, personal_access_tokens,
    role_assignments, roles, saml, sessions, settings, teams, totp, usage, user_groups, user_info, user_preferences,
    users,
};

const ABOUT: &str = "\
Organizations, their people, invitations by mail and sign-in, for a B2B product.

**Organizations.** Everything below `/v1/orgs/{organization_slug}` belongs to one organization. A credential belongs to one \
organization too: under another's slug, and for another's ids, every answer is 404.

**A second factor** may be demanded by an organization: whoever has none then gets 403 `mfa_enrollment_required` from every \
operation but those that set one up (`iam_totp`, `iam_set_up_totp`) and `iam_logout`, with a session and with a personal access \
token alike.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`; `errors` names wrong fields.

**Lists** answer `{count, next, previous, results}`. Page with `limit` and `offset`, with `page` and `page_size`, or, to walk \
everything at constant cost, with `cursor`.

**Repeating** a `POST` is safe with an `Idempotency-Key`: the same key and body within 24 hours give the first answer again; \
another body gives 409 `idempotency_key_reused`. An answer that held a secret is not given again: 409 \
`secret_already_shown` names the `id` of what was made.

**Lost updates** are prevented by `ETag` and `If-Match`: a change to an object that is not what you read gets 412.

**Bodies** may carry fields that are read-only; they are ignored. Unknown fields are refused. `PATCH` follows RFC 7396: \
`null` clears.

**Headers.** Every answer carries `X-Request-Id`: yours, if you sent one. `X-Tenant`, where you send it below an organization, \
must be the slug in the path, else 400. `X-Client-Id` names your program: it is kept with the sessions that it begins, and in the \
audit log.";

/// How operations are grouped.
#[derive(poem_openapi::Tags)]
pub(crate) enum Tags {
    /// The tenants themselves.
    Organizations,
    /// The people of an organization.
    Users,
    /// The tree that an organization's objects lie in, and that rights are held over.
    Folders,
    /// Users who get the same rights.
    UserGroups,
    /// People who work together.
    Teams,
    /// Users and teams, for whatever points at "someone".
    Actors,
    /// Named sets of permissions, built-in and of one's own.
    Roles,
    /// Who holds which role over which folders.
    RoleAssignments,
    /// What a role can allow, and who may do what where.
    Permissions,
    /// Signing in, passwords, second factors, who I am.
    Iam,
    /// Single sign-on: an organization's own keys, its identity providers, and what came of sign-ins.
    Saml,
    /// From an administrator's request to a signed-in invitee.
    Invitations,
    /// Mails, how their delivery stands, and whom not to mail.
    Emails,
    /// Who did what.
    Audit,
    /// Long-running jobs.
    Jobs,
}

/// By what they are about: the framework takes no more than sixteen side by side.
type Apis = (
    (
        organizations::Api,
        settings::Api,
        settings::logo::Api,
        usage::Api,
        enterprise_bindings::Api,
        email_domains::Api,
        jobs::Api,
    ),
    (users::Api, actors::Api, analysts::Api, user_info::Api, user_preferences::Api),
    (folders::Api, roles::Api, role_assignments::Api, user_groups::Api, teams::Api, permissions::Api),
    (login_urls::Api, sessions::Api, sessions::own::Api, personal_access_tokens::Api, passwords::Api, totp::Api),
    (saml::keys::Api, saml::connections::Api, saml::events::Api, saml::test_sign_ins::Api),
    (invitations::Api, invitations::invitees::Api),
    (emails::Api, email_suppressions::Api, email_events::Api),
    audit_events::Api,
);

/// The operations, as an endpoint to nest at `/v1`.
pub(crate) fn service() -> OpenApiService<Apis, ()> {
    let apis = (
        (
            organizations::Api,
            settings::Api,
            settings::logo::Api,
            usage::Api,
            enterprise_bindings::Api,
            email_domains::Api,
            jobs::Api,
        ),
        (users::Api, actors::Api, analysts::Api, user_info::Api, user_preferences::Api),
        (folders::Api, roles::Api, role_assignments::Api, user_groups::Api, teams::Api, permissions::Api),
        (login_urls::Api, sessions::Api, sessions::own::Api, personal_access_tokens::Api, passwords::Api, totp::Api),
        (saml::keys::Api, saml::connections::Api, saml::events::Api, saml::test_sign_ins::Api),
        (invitations::Api, invitations::invitees::Api),
        (emails::Api, email_suppressions::Api, email_events::Api),
        audit_events::Api,
    );
    OpenApiService::new(apis, "Tenantry", env!("CARGO_PKG_VERSION")).description(ABOUT).url_prefix("/v1")
}

/// The same in each process and at each start: made when it is first asked for, once.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(&service().spec()).unwrap_or_default();
    complete::complete(&mut document);
    document
});
static TEXT: LazyLock<String> = LazyLock::new(|| serde_json::to_string_pretty(&*DOCUMENT).unwrap_or_default() + "\n");

/// The document, as it is checked in and served at `/openapi.json`.
#[must_use]
pub fn document() -> &'static str {
    &TEXT
}

/// Its paths, as templates, with their operations by method.
pub(crate) fn paths() -> impl Iterator<Item = (&'static String, &'static Map<String, Value>)> {
    let paths = DOCUMENT["paths"].as_object().into_iter().flatten();
    paths.filter_map(|(path, operations)| Some((path, operations.as_object()?)))
}

/// The path of each operation by its id, as a template.
pub(crate) fn routes() -> HashMap<&'static str, &'static str> {
    let of = |(path, operations): (&'static String, &'static Map<String, Value>)| {
        let ids = operations.values().filter_map(|operation| operation["operationId"].as_str());
        ids.map(|id| (id, path.as_str()))
    };
    paths().flat_map(of).collect()
}

/// `GET /openapi.json`.
pub(crate) fn serve() -> impl Endpoint {
    get(make_sync(|_| document().with_content_type("application/json").into_response()))
}

const DOCS_PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Tenantry API</title>\n\
    <link rel=\"stylesheet\" href=\"/docs/page.css\">\n\
    <redoc spec-url=\"/openapi.json\" disable-search=\"false\"></redoc>\n<script src=\"/docs/reader.js\"></script>\n</html>\n";
const DOCS_STYLE: &str = "body { margin: 0 }\n";
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; worker-src blob:; base-uri 'none'; frame-ancestors 'none'";

/// `GET /docs`: a reader for people, all of it from this binary.
pub(crate) fn docs() -> impl Endpoint {
    Route::new()
        .at("/", get(make_sync(|_| page_with_policy())))
        .at("/page.css", get(make_sync(|_| DOCS_STYLE.with_content_type("text/css").into_response())))
        .at("/reader.js", get(make_sync(|_| READER.as_str().with_content_type("text/javascript").into_response())))
}

fn page_with_policy() -> Response {
    Html(DOCS_PAGE).with_header(header::CONTENT_SECURITY_POLICY, DOCS_POLICY).into_response()
}

/// Redoc, as the framework ships it: within a page of its own, whose inline scripts and foreign fonts our policy forbids.
static READER: LazyLock<String> = LazyLock::new(|| {
    let page = OpenApiService::new((), "", "").redoc_html();
    let script = page.split_once("<script charset=\"UTF-8\">").and_then(|(_, rest)| rest.split_once("</script>"));
    script.map(|(script, _)| script.to_owned()).unwrap_or_default()
});
