//! Delivery events: what the mail system reports about mails that it has taken.

use chrono::{DateTime, TimeDelta, Utc};
use poem::web::Data;
use poem::{Request, RequestBody, Result};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaRequest, MetaSchemaRef, MetaSecurityScheme, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, Enum, ExtractParamOptions, Object, OpenApi};
use serde_json::Value;
use tenantry_shared::emails::{self, DeliveryEvent, Happened};
use tenantry_shared::error::{FieldError, Refusal};

use crate::app::App;
use crate::auth::From;
use crate::input::{Input, json};
use crate::problem::{ApiResult, FieldProblem, Problem};

pub(crate) struct Api;

/// Events of a request at most.
const BATCH: usize = 1000;
/// How far a reporter's clock may be ahead: an event from the far future would outlast every later one.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// What happened to a mail.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum DeliveryEventKind {
    /// The recipient's mail server has it.
    Delivered,
    /// It came back.
    Bounced,
    /// The recipient called it spam.
    Complained,
}

/// A report about one mail.
#[derive(Debug, Object)]
#[oai(rename = "DeliveryEvent", deny_unknown_fields)]
pub(crate) struct DeliveryEventIn {
    /// The `Message-ID` of the mail, with or without its angle brackets.
    message_id: String,
    /// What happened.
    event: DeliveryEventKind,
    /// When, at most a day in the future.
    at: DateTime<Utc>,
    /// The words of whoever refused the mail. One line of 500 characters of it is kept and shown to administrators, and to
    /// whoever invited.
    detail: Option<String>,
}

impl Input for DeliveryEventIn {}

impl DeliveryEventIn {
    fn shared(self) -> DeliveryEvent {
        let happened = match self.event {
            DeliveryEventKind::Delivered => Happened::Delivered,
            DeliveryEventKind::Bounced => Happened::Bounced,
            DeliveryEventKind::Complained => Happened::Complained,
        };
        DeliveryEvent { message_id: self.message_id, happened, at: self.at, detail: self.detail }
    }
}

/// What became of the events.
#[derive(Debug, Object)]
#[oai(rename = "DeliveryEventsRecorded")]
pub(crate) struct DeliveryEventsOut {
    /// How many were about mails of this service, also where they told nothing new.
    recorded: u64,
    /// How many were not.
    unknown: u64,
}

/// Events whose signature is good. It is checked over the bytes as they came, before any of them is interpreted.
#[derive(Debug)]
pub(crate) struct Signed(Vec<DeliveryEvent>);

const SCHEME: &str = "signature";
const HEADER: &str = "X-Tenantry-Signature";

impl<'a> ApiExtractor<'a> for Signed {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme, ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Vec::<DeliveryEventIn>::register(registry);
        registry.create_security_scheme(
            SCHEME,
            MetaSecurityScheme {
                ty: "apiKey",
                description: Some(
                    "`t=<unix seconds>,v1=<hex>`, where `hex` is the HMAC-SHA256 of `t`, a dot and the body, with the secret \
                     that the deployment shares with whoever reports (`EMAIL_EVENTS_SECRET`).",
                ),
                name: Some(HEADER),
                key_in: Some("header"),
                scheme: None,
                bearer_format: None,
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn request_meta() -> Option<MetaRequest> {
        let mut meta = <Json<Vec<DeliveryEventIn>> as ApiExtractor>::request_meta()?;
        for media in &mut meta.content {
            if let MetaSchemaRef::Inline(list) = &mut media.schema {
                (list.min_items, list.max_items) = (Some(1), Some(BATCH));
            }
        }
        Some(meta)
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(request: &'a Request, body: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let app: &App = request.data().ok_or_else(|| Problem::internal(&"the app is missing"))?;
        let secret = app.email_events_secret.as_ref().ok_or_else(Problem::not_found)?;
        let bytes: Vec<u8> = body.take()?.into_vec().await?;
        let now = app.db.clock().now();
        let mut headers = request.headers().get_all(HEADER).iter();
        let good = match (headers.next().and_then(|value| value.to_str().ok()), headers.next()) {
            (Some(header), None) => secret.verifies(header, &bytes, now),
            _ => false,
        };
        if !good {
            let detail = "The signature is missing, wrong, or more than five minutes off.";
            return Err(Problem::from(Refusal::unauthenticated("signature_invalid", detail)).into());
        }
        Ok(Self(read(json::<Vec<DeliveryEventIn>>(request, &bytes)?, now)?))
    }
}

fn read(body: Value, now: DateTime<Utc>) -> Result<Vec<DeliveryEvent>, Problem> {
    let rows = match body {
        Value::Array(rows) if (1..=BATCH).contains(&rows.len()) => rows,
        _ => {
            let message = format!("The body is a list of 1 to {BATCH} events.");
            return Err(Refusal::invalid_field("body", "out_of_range", message).into());
        }
    };
    let read = |(index, row): (usize, Value)| {
        let event = DeliveryEventIn::read(row).and_then(|event| {
            let ahead = || FieldError::new("at", "in_the_future", "An event lies at most a day in the future.");
            if event.at > now + AHEAD { Err(Refusal::invalid(vec![ahead()]).into()) } else { Ok(event.shared()) }
        });
        event.map_err(|problem| of_row(index, problem))
    };
    rows.into_iter().enumerate().map(read).collect()
}

/// Says in which event of the list a field is wrong.
fn of_row(index: usize, mut problem: Problem) -> Problem {
    problem.errors = problem.errors.into_iter().map(|error| error.of_row(index)).collect();
    if problem.errors.is_empty() {
        problem.errors.push(FieldProblem::new(&index.to_string(), problem.code, &problem.detail));
    }
    problem
}

#[OpenApi(tag = "super::openapi::Tags::Emails")]
impl Api {
    /// Report what became of mails
    ///
    /// For the mail system, or whatever translates its reports: which mails were delivered, came back, or were called spam.
    /// `bounced` and `complained` show at the mail and put its address on the organization's suppression list. Reports may
    /// come twice and in any order: the result is the same.
    ///
    /// The header `X-Tenantry-Signature: t=<unix seconds>,v1=<hex>` proves who sends. To compute it, take the time, a dot,
    /// and the body, byte by byte as it is sent; `hex` is the HMAC-SHA256 of that with the shared secret:
    ///
    /// ```sh
    /// t=$(date +%s)
    /// v1=$({ printf '%s.' "$t"; cat body.json; } | openssl dgst -sha256 -hmac "$EMAIL_EVENTS_SECRET" | sed 's/.* //')
    /// curl "$TENANTRY_URL/v1/email-events" -H 'Content-Type: application/json' \
    ///   -H "X-Tenantry-Signature: t=$t,v1=$v1" --data-binary @body.json
    /// ```
    ///
    /// A signature is good for five minutes. While the secret is being changed, a sender may send several `v1=`, one a
    /// secret, in one header; one must be right. Errors: 401 `signature_invalid`; 404 where the deployment takes no reports.
    #[oai(path = "/email-events", method = "post", operation_id = "record_email_events")]
    async fn record(&self, app: Data<&App>, from: From, events: Signed) -> ApiResult<Json<DeliveryEventsOut>> {
        let done = emails::record_events(&app.db, &events.0, &from.0).await?;
        Ok(Json(DeliveryEventsOut { recorded: done.recorded as u64, unknown: done.unknown as u64 }))
    }
}
