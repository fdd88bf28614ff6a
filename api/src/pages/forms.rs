//! Forms: sent by our own pages only, and read without trust.

use poem::http::{HeaderMap, StatusCode, header};
use poem::{FromRequest, Request, RequestBody, Result};
use secrecy::SecretString;

use crate::app::App;
use crate::problem::Problem;

/// The fields of a form that one of our own pages sent: asking for it is the defence against cross-site requests.
pub(super) struct Form(Vec<(String, String)>);

impl<'a> FromRequest<'a> for Form {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> Result<Self> {
        let app: &App = request.data().ok_or_else(|| Problem::internal(&"the app is missing"))?;
        if !is_same_origin(request.headers(), app.public_url.origin()) {
            return Err(cross_site().into());
        }
        Self::read(request, body).await
    }
}

/// The fields of a form that any site may have sent: only for what leads to a page, and changes nothing.
pub(super) struct ForeignForm(pub(super) Form);

impl<'a> FromRequest<'a> for ForeignForm {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> Result<Self> {
        Form::read(request, body).await.map(Self)
    }
}

/// A form that any site may have sent, as it came: signatures are over its very bytes.
pub(super) struct RawForm(pub(super) String);

impl<'a> FromRequest<'a> for RawForm {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> Result<Self> {
        let bytes = read(request, body).await?;
        let unreadable = || Problem::new(StatusCode::BAD_REQUEST, "bad_body", "The form is not UTF-8.");
        Ok(Self(String::from_utf8(bytes).map_err(|_| unreadable())?))
    }
}

async fn read(request: &Request, body: &mut RequestBody) -> Result<Vec<u8>> {
    let kind = request.content_type().and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let detail = "A form is sent as application/x-www-form-urlencoded.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail).into());
    }
    Ok(body.take()?.into_vec().await?)
}

impl Form {
    async fn read(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let bytes = read(request, body).await?;
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(&bytes).into_owned().collect();
        // Postgres' texts hold everything but NUL, and nobody means it.
        if fields.iter().any(|(_, value)| value.contains('\0')) {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_body", "A text contains a NUL character.").into());
        }
        Ok(Self(fields))
    }

    /// What a field holds; nothing, where it is missing.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// What a field holds that is there exactly once.
    pub(super) fn only(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str());
        found.next().filter(|_| found.next().is_none())
    }

    /// Whether it was sent at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// The same, for what must not be shown.
    pub(super) fn secret(&self, name: &str) -> SecretString {
        self.get(name).into()
    }
}

fn cross_site() -> Problem {
    let detail = "This form was not sent from a page of ours.";
    Problem::new(StatusCode::FORBIDDEN, "cross_site", detail)
}

/// Whether a page of ours sent this request, as the browser says. `none` is the person himself, by reloading. One that
/// says nothing is no browser, or one too old to be protected.
fn is_same_origin(headers: &HeaderMap, own: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin == own,
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_our_own_pages_may_send_forms() {
        let own = "https://accounts.example.com";
        let asked = |sent: &[(&'static str, &'static str)]| {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            is_same_origin(&HeaderMap::from_iter(sent.iter().map(pair)), own)
        };
        assert!(asked(&[("sec-fetch-site", "same-origin")]));
        assert!(asked(&[("sec-fetch-site", "none")]));
        assert!(asked(&[("origin", own)]));
        assert!(asked(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        for site in ["same-site", "cross-site", "", "Same-Origin"] {
            assert!(!asked(&[("sec-fetch-site", site), ("origin", own)]), "{site}");
        }
        for origin in ["null", "", "http://accounts.example.com", "https://accounts.example.com.evil.example"] {
            assert!(!asked(&[("origin", origin)]), "{origin}");
        }
        assert!(!asked(&[("referer", "https://accounts.example.com/")]));
    }
}
