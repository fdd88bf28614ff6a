//! The audit log as a file, however long it is: read in parts, each in a unit of work of its own, as fast as the caller takes
//! them. None of it is held but the part that is under way.

use std::io;

use futures_util::stream;
use poem::http::header;
use poem::{Body, IntoResponse, Response};
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::ToJSON;
use poem_openapi::{ApiResponse, Enum};
use tenantry_shared::access::ViewAuditLog;
use tenantry_shared::audit::{self, AuditFilter};
use tenantry_shared::page::{PageRequest, Position};

use super::AuditEventOut;
use crate::app::App;
use crate::auth::SignedIn;
use crate::problem::{ApiResult, Problem};

/// How many events are read at a time.
const PART: i64 = 500;

/// How the log is written.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[oai(rename = "AuditExportFormat", rename_all = "lowercase")]
pub(crate) enum Format {
    /// A JSON object a line.
    Ndjson,
    /// Comma-separated values with a header (RFC 4180).
    Csv,
}

impl Format {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    const fn file_name(self) -> &'static str {
        match self {
            Self::Ndjson => "attachment; filename=\"audit-events.ndjson\"",
            Self::Csv => "attachment; filename=\"audit-events.csv\"",
        }
    }
}

/// 200 with the log as a file.
pub(crate) struct Export {
    format: Format,
    body: Body,
}

impl IntoResponse for Export {
    fn into_response(self) -> Response {
        Response::builder()
            .header(header::CONTENT_TYPE, self.format.content_type())
            .header(header::CONTENT_DISPOSITION, self.format.file_name())
            .body(self.body)
    }
}

impl ApiResponse for Export {
    fn meta() -> MetaResponses {
        let text = || MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let media = |format: Format| MetaMediaType { content_type: format.content_type(), schema: text() };
        let file = MetaHeader {
            name: "Content-Disposition".into(),
            description: Some("That it is a file, and how it is called.".into()),
            required: true,
            deprecated: false,
            schema: text(),
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The log.",
                status: Some(200),
                status_range: None,
                content: vec![media(Format::Ndjson), media(Format::Csv)],
                headers: vec![file],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// Where an export has got to.
struct Walk {
    app: App,
    caller: SignedIn,
    filter: AuditFilter,
    search: Option<String>,
    format: Format,
    /// Where the next part begins; none at the end.
    next: Option<Position>,
}

impl Walk {
    /// The next part. Whoever may not read the log any more, gets no more of it.
    async fn part(&mut self) -> ApiResult<Option<Vec<u8>>> {
        let Some(position) = self.next.take() else { return Ok(None) };
        let is_first = matches!(position, Position::Cursor(None));
        let request = PageRequest { limit: PART, position, ordering: None, search: self.search.clone() };
        let (mut tx, by) = self.app.enter_own::<ViewAuditLog>(&self.caller).await?;
        let page = audit::list(&mut tx, &by, &self.filter, &request).await?;
        tx.commit().await?;
        self.next = page.next_cursor.map(|cursor| Position::Cursor(Some(cursor)));
        let events: Vec<AuditEventOut> = page.results.into_iter().map(Into::into).collect();
        let text = match self.format {
            Format::Ndjson => {
                Ok(events.iter().flat_map(|event| (event.to_json_string() + "\n").into_bytes()).collect())
            }
            Format::Csv => as_csv(&events, is_first),
        };
        text.map(Some).map_err(|error| Problem::internal(&error))
    }
}

/// Begins an export. What is wrong with the request is said before the first byte; what goes wrong later breaks the answer off.
pub(super) async fn begin(
    app: &App,
    caller: SignedIn,
    filter: AuditFilter,
    search: Option<String>,
    format: Format,
) -> ApiResult<Export> {
    let next = Some(Position::Cursor(None));
    let mut walk = Walk { app: app.clone(), caller, filter, search, format, next };
    let first = walk.part().await?;
    let parts = stream::try_unfold((walk, first), |(mut walk, ready)| async {
        let part = match ready {
            Some(part) => Some(part),
            None => walk.part().await.map_err(|problem| io::Error::other(problem.detail))?,
        };
        Ok::<_, io::Error>(part.map(|part| (part, (walk, None))))
    });
    Ok(Export { format, body: Body::from_bytes_stream(parts) })
}

const COLUMNS: [&str; 13] = [
    "id",
    "at",
    "action",
    "object_type",
    "object_id",
    "object_name",
    "actor_id",
    "actor_name",
    "credential",
    "client_address",
    "client_id",
    "request_id",
    "details",
];

fn as_csv(events: &[AuditEventOut], with_header: bool) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    if with_header {
        writer.write_record(COLUMNS)?;
    }
    for event in events {
        let event = event.to_json().unwrap_or_default();
        writer.write_record(COLUMNS.map(|column| match &event[column] {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => harmless(text),
            other => other.to_string(),
        }))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// What a spreadsheet would take for a formula begins with an apostrophe: names are other people's words.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}
