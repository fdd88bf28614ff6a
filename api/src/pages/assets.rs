//! What pages load: a style sheet, an icon, and the accent of an organization.

use std::sync::LazyLock;

use poem::http::{StatusCode, header};
use poem::web::Path;
use poem::{IntoResponse, Request, Response, Result, handler};
use tenantry_shared::secret::sha256;

use super::accent;
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
    let is_current = request.uri().query().is_some_and(|query| query.strip_prefix("v=") == Some(&**VERSION));
    serve(request, STYLE, "text/css; charset=utf-8", if is_current { FOR_EVER } else { "no-cache" })
}

/// `GET /assets/icon.svg`.
#[handler]
pub(super) fn icon(request: &Request) -> Response {
    serve(request, ICON, "image/svg+xml", A_DAY)
}

/// `GET /assets/accent/<rrggbb>.css`.
#[handler]
pub(super) fn accent_sheet(request: &Request, Path(file): Path<String>) -> Result<Response> {
    let sheet = file.strip_suffix(".css").and_then(accent::sheet).ok_or_else(Problem::not_found)?;
    Ok(serve(request, &sheet, "text/css; charset=utf-8", A_DAY))
}

fn serve(request: &Request, content: &str, kind: &str, cache: &str) -> Response {
    let tag = format!("\"{}\"", hex(&sha256(content.as_bytes())));
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let answer = Response::builder().header(header::ETAG, &tag).header(header::CACHE_CONTROL, cache);
    if known {
        return answer.status(StatusCode::NOT_MODIFIED).finish();
    }
    answer.content_type(kind).body(content.to_owned()).into_response()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
