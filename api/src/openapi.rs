//! The OpenAPI document: generated from the handlers, completed with what the generator can't say, served with a reader.

use poem::endpoint::make_sync;
use poem::http::header;
use poem::web::Html;
use poem::{Endpoint, IntoResponse, Response, Route, get};
use poem_openapi::OpenApiService;
use serde_json::{Value, json};

use crate::paging::PARAMETERS;
use crate::{
    audit_events, email_events, email_suppressions, emails, invitations, jobs, organizations, passwords, sessions,
    users,
};

const ABOUT: &str = "\
Organizations, their people, invitations by mail and sign-in, for a B2B product.

**Organizations.** Everything below `/v1/orgs/{organization_slug}` belongs to one organization. A credential belongs to one \
organization too: under another's slug, and for another's ids, every answer is 404.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`; `errors` names wrong fields.

**Lists** answer `{count, next, previous, results}`. Page with `limit` and `offset`, with `page` and `page_size`, or, to walk \
everything at constant cost, with `cursor`.

**Repeating** a `POST` is safe with an `Idempotency-Key`: the same key and body within 24 hours give the first answer again; \
another body gives 409 `idempotency_key_reused`.

**Lost updates** are prevented by `ETag` and `If-Match`: a change to an object that is not what you read gets 412.

**Bodies** may carry fields that are read-only; they are ignored. Unknown fields are refused. `PATCH` follows RFC 7396: \
`null` clears.

Every answer carries `X-Request-Id`: yours, if you sent one.";

/// How operations are grouped.
#[derive(poem_openapi::Tags)]
pub(crate) enum Tags {
    /// The tenants themselves.
    Organizations,
    /// The people of an organization.
    Users,
    /// Signing in, passwords, who I am.
    Iam,
    /// From an administrator's request to a signed-in invitee.
    Invitations,
    /// Mails, how their delivery stands, and whom not to mail.
    Emails,
    /// Who did what.
    Audit,
    /// Long-running jobs.
    Jobs,
}

type Apis = (
    organizations::Api,
    users::Api,
    sessions::Api,
    passwords::Api,
    invitations::Api,
    invitations::invitees::Api,
    emails::Api,
    email_suppressions::Api,
    email_events::Api,
    audit_events::Api,
    jobs::Api,
);

/// The operations, as an endpoint to nest at `/v1`.
pub(crate) fn service() -> OpenApiService<Apis, ()> {
    let apis = (
        organizations::Api,
        users::Api,
        sessions::Api,
        passwords::Api,
        invitations::Api,
        invitations::invitees::Api,
        emails::Api,
        email_suppressions::Api,
        email_events::Api,
        audit_events::Api,
        jobs::Api,
    );
    OpenApiService::new(apis, "Tenantry", env!("CARGO_PKG_VERSION")).description(ABOUT).url_prefix("/v1")
}

/// The document, as it is checked in and served at `/openapi.json`.
#[must_use]
pub fn document() -> String {
    let mut document: Value = serde_json::from_str(&service().spec()).unwrap_or_default();
    complete(&mut document);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// Adds the parameters that every list has, and describes answers that are not.
fn complete(document: &mut Value) {
    describe_answers(document);
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for operation in paths.values_mut().filter_map(|path| path.get_mut("get")) {
        let schema = &operation["responses"]["200"]["content"]["application/json; charset=utf-8"]["schema"]["$ref"];
        if !schema.as_str().is_some_and(|name| name.contains("/List_")) {
            continue;
        }
        let refs = PARAMETERS.iter().map(|(name, ..)| json!({ "$ref": format!("#/components/parameters/{name}") }));
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.extend(refs),
            None => operation["parameters"] = refs.collect(),
        }
    }
    for (name, kind, description) in PARAMETERS {
        document["components"]["parameters"][name] = json!({
            "name": name, "in": "query", "required": false, "description": description, "schema": { "type": kind }
        });
    }
}

/// A plain `Json<T>` comes without a word; the schema says the rest.
fn describe_answers(document: &mut Value) {
    let operations =
        document["paths"].as_object_mut().into_iter().flatten().filter_map(|(_, path)| path.as_object_mut());
    let responses = operations.flatten().filter_map(|(_, operation)| operation["responses"].as_object_mut());
    for (_, response) in responses.flatten().filter(|(_, response)| response["description"] == "") {
        response["description"] = json!("What was asked for.");
    }
}

/// `GET /openapi.json`.
pub(crate) fn serve(document: String) -> impl Endpoint {
    get(make_sync(move |_| document.clone().with_content_type("application/json").into_response()))
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
    let reader = reader();
    Route::new()
        .at("/", get(make_sync(|_| page_with_policy())))
        .at("/page.css", get(make_sync(|_| DOCS_STYLE.with_content_type("text/css").into_response())))
        .at("/reader.js", get(make_sync(move |_| reader.clone().with_content_type("text/javascript").into_response())))
}

fn page_with_policy() -> Response {
    Html(DOCS_PAGE).with_header(header::CONTENT_SECURITY_POLICY, DOCS_POLICY).into_response()
}

/// Redoc, as the framework ships it: within a page of its own, whose inline scripts and foreign fonts our policy forbids.
fn reader() -> String {
    let page = service().redoc_html();
    let script = page.split_once("<script charset=\"UTF-8\">").and_then(|(_, rest)| rest.split_once("</script>"));
    script.map(|(script, _)| script.to_owned()).unwrap_or_default()
}
