//! The parameters and the envelope of every list.

use poem::http::Uri;
use poem::{FromRequest, Request, RequestBody, Result};
use poem_openapi::Object;
use poem_openapi::types::{ParseFromJSON, ToJSON};
use serde_json::{Value, json};
use tenantry_shared::error::Refusal;
use tenantry_shared::page::{Page, PageRequest, Position};
use url::form_urlencoded;

use crate::app::App;
use crate::problem::Problem;

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;
const MAX_OFFSET: i64 = 1_000_000_000;
const MAX_PAGE: i64 = 10_000_000;

/// What the document says of the parameters of every list; `ordering` is each list's own.
pub(crate) fn parameters() -> [Value; 6] {
    let number = |least, most| json!({ "type": "integer", "format": "int64", "minimum": least, "maximum": most });
    let parameter = |name, description, schema| json!({ "name": name, "description": description, "schema": schema });
    [
        parameter("limit", "How many at most; 50 if not given.", number(1, MAX_LIMIT)),
        parameter("offset", "How many to skip. Not together with `page` or `cursor`.", number(0, MAX_OFFSET)),
        parameter("page", "Which page, from 1, of `page_size` objects.", number(1, MAX_PAGE)),
        parameter(
            "page_size",
            "How many on a page; 50 if not given. Not together with `limit` or `offset`.",
            number(1, MAX_LIMIT),
        ),
        parameter(
            "cursor",
            "Walks the whole list at constant cost: empty to begin, then follow `next`. `count` is null.",
            json!({ "type": "string" }),
        ),
        parameter("search", "A term to find, whatever its case.", json!({ "type": "string" })),
    ]
}

/// A part of a list.
#[derive(Debug, Object)]
pub(crate) struct List<T: ParseFromJSON + ToJSON> {
    /// How many there are in all; null where a cursor walks.
    count: Option<i64>,
    /// Where the list goes on.
    next: Option<String>,
    /// Where the part before this one is; null where a cursor walks.
    previous: Option<String>,
    /// The objects.
    results: Vec<T>,
}

/// What a request asks of a list, and where its answer's links lead.
#[derive(Debug)]
pub(crate) struct Paging {
    /// What is asked.
    pub(crate) request: PageRequest,
    address: String,
    others: Vec<(String, String)>,
    by_page: bool,
}

impl<'a> FromRequest<'a> for Paging {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let app: &App = request.data().ok_or_else(|| Problem::internal(&"the app is missing"))?;
        Ok(Self::read(request.original_uri(), &app.public_url.join("")).map_err(Problem::from)?)
    }
}

fn number(pairs: &[(String, String)], name: &'static str, least: i64, most: i64) -> Result<Option<i64>, Refusal> {
    let Some((_, text)) = pairs.iter().find(|(n, _)| n == name) else { return Ok(None) };
    text.parse().ok().filter(|n| (least..=most).contains(n)).map(Some).ok_or_else(|| {
        Refusal::invalid_field(name, "out_of_range", format!("{name} is a whole number from {least} to {most}."))
    })
}

impl Paging {
    fn read(uri: &Uri, origin: &str) -> Result<Self, Refusal> {
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let text = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        let limit = number(&pairs, "limit", 1, MAX_LIMIT)?;
        let offset = number(&pairs, "offset", 0, MAX_OFFSET)?;
        let page = number(&pairs, "page", 1, MAX_PAGE)?;
        let page_size = number(&pairs, "page_size", 1, MAX_LIMIT)?;
        let cursor = text("cursor");
        let by_page = page.is_some() || page_size.is_some();
        if [offset.is_some() && by_page, limit.is_some() && by_page, cursor.is_some() && (by_page || offset.is_some())]
            .contains(&true)
        {
            return Err(Refusal::invalid_field(
                "cursor",
                "ambiguous_paging",
                "Use either limit and offset, or page and page_size, or cursor with limit.",
            ));
        }
        if pairs.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(Refusal::invalid_field("search", "invalid", "A parameter has no NUL characters."));
        }
        let limit = limit.or(page_size).unwrap_or(DEFAULT_LIMIT);
        let position = match cursor {
            Some(cursor) => Position::Cursor(Some(cursor).filter(|c| !c.is_empty())),
            None => Position::Offset(offset.unwrap_or_else(|| (page.unwrap_or(1) - 1) * limit)),
        };
        let ours = ["limit", "offset", "page", "page_size", "cursor"];
        Ok(Self {
            request: PageRequest { limit, position, ordering: text("ordering"), search: text("search") },
            address: format!("{origin}{}", uri.path()),
            others: pairs.into_iter().filter(|(name, _)| !ours.contains(&name.as_str())).collect(),
            by_page,
        })
    }

    /// The envelope around a part of the list.
    pub(crate) fn envelope<S, T: ParseFromJSON + ToJSON + From<S>>(&self, page: Page<S>) -> List<T> {
        self.envelope_with(page, Into::into)
    }

    /// The same, where making the wire's shape takes more than the row.
    pub(crate) fn envelope_with<S, T: ParseFromJSON + ToJSON>(&self, page: Page<S>, shape: impl Fn(S) -> T) -> List<T> {
        let limit = self.request.limit;
        let (next, previous) = match &self.request.position {
            Position::Cursor(_) => {
                (page.next_cursor.map(|cursor| self.link(&[("cursor", cursor), ("limit", limit.to_string())])), None)
            }
            Position::Offset(offset) => {
                let total = page.count.unwrap_or(0);
                let next = (offset + limit < total).then(|| self.link_at(offset + limit));
                (next, (*offset > 0).then(|| self.link_at((offset - limit).max(0))))
            }
        };
        List { count: page.count, next, previous, results: page.results.into_iter().map(shape).collect() }
    }

    fn link_at(&self, offset: i64) -> String {
        let limit = self.request.limit;
        if self.by_page {
            self.link(&[("page", (offset / limit + 1).to_string()), ("page_size", limit.to_string())])
        } else {
            self.link(&[("limit", limit.to_string()), ("offset", offset.to_string())])
        }
    }

    fn link(&self, position: &[(&str, String)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.others).extend_pairs(position);
        format!("{}?{}", self.address, query.finish())
    }
}
