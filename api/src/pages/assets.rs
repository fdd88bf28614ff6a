//! What pages load: a style sheet, an icon, and the accent and the logo of an organization. Mails show the logo, too.

use std::sync::LazyLock;

use poem::http::{HeaderName, StatusCode, header};
use poem::web::{Data, Path};
use poem::{IntoResponse, Request, Response, Result, handler};
use tenantry_shared::secret::sha256;
use tenantry_shared::settings::find_logo;

use super::accent;
use crate::app::App;
use crate::problem::Problem;

const STYLE: &str = include_str!("../../assets/app.css");
const ICON: &str = include_str!("../../assets/icon.svg");

/// Its address holds a hash of its content, so that browsers may keep it for ever.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const A_DAY: &str = "public, max-age=86400";

static VERSION: LazyLock<String> = LazyLock::new(|| hex(&sha256(STYLE.as_bytes())[..8]));

/// What the style sheet's address ends with, so that a new one is a new address.
pub(super) fn style_version() -> &'static str {
    &VERSION
}

/// `GET /assets/app.css`.
#[handler]
pub(super) fn style(request: &Request) -> Response {
    serve(request, STYLE.as_bytes(), "text/css; charset=utf-8", while_current(request, &VERSION))
}

/// For how long to keep what is at an address that ends with a version, or should.
fn while_current(request: &Request, version: &str) -> &'static str {
    let is_current = request.uri().query().is_some_and(|query| query.strip_prefix("v=") == Some(version));
    if is_current { FOR_EVER } else { "no-cache" }
}

/// `GET /assets/icon.svg`.
#[handler]
pub(super) fn icon(request: &Request) -> Response {
    serve(request, ICON.as_bytes(), "image/svg+xml", A_DAY)
}

/// `GET /assets/accent/<rrggbb>.css`.
#[handler]
pub(super) fn accent_sheet(request: &Request, Path(file): Path<String>) -> Result<Response> {
    let sheet = file.strip_suffix(".css").and_then(accent::sheet).ok_or_else(Problem::not_found)?;
    Ok(serve(request, sheet.as_bytes(), "text/css; charset=utf-8", A_DAY))
}

/// `GET /assets/logos/<slug>.png?v=<version>`: for strangers, and to be shown within the pages of others, for so mails are read.
/// At the address of an earlier logo is the present one: mails that were sent are not mended.
#[handler]
pub(super) async fn logo(request: &Request, app: Data<&App>, Path(file): Path<String>) -> Result<Response> {
    let slug = file.strip_suffix(".png").ok_or_else(Problem::not_found)?;
    let found = find_logo(&app.db, slug, &app.platform_slug).await.map_err(Problem::from)?;
    let logo = found.ok_or_else(Problem::not_found)?;
    let response = serve(request, &logo.content, "image/png", while_current(request, &logo.version));
    let policy = (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox");
    let shown_by_others = (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    Ok(response.with_header(policy.0, policy.1).with_header(shown_by_others.0, shown_by_others.1).into_response())
}

fn serve(request: &Request, content: &[u8], kind: &str, cache: &str) -> Response {
    let tag = format!("\"{}\"", hex(&sha256(content)));
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let answer = Response::builder().header(header::ETAG, &tag).header(header::CACHE_CONTROL, cache);
    if known {
        return answer.status(StatusCode::NOT_MODIFIED).finish();
    }
    answer.content_type(kind).body(content.to_vec()).into_response()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
