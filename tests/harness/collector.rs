//! A collector of traces: takes OTLP over HTTP and keeps what it is given.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct TracedSpan {
    /// `service.name` of who sent it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// `server`, `producer`, `consumer`, `client` or `internal`.
    pub kind: &'static str,
    /// In hexadecimal.
    pub trace_id: String,
    /// In hexadecimal.
    pub span_id: String,
    /// In hexadecimal; empty for a root.
    pub parent_id: String,
    /// When it began and when it ended, in nanoseconds since 1970.
    pub time: std::ops::Range<u64>,
    /// Whether its status is an error.
    pub is_error: bool,
    /// All that it and its resource say, in one text.
    pub whole: String,
    attributes: Vec<KeyValue>,
}

impl TracedSpan {
    /// An attribute as text; empty if it has none of that name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> String {
        self.attributes.iter().find(|pair| pair.key == name).map(|pair| text(pair.value.as_ref())).unwrap_or_default()
    }
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// See the module.
#[derive(Debug)]
pub struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<TracedSpan>>>,
    task: JoinHandle<()>,
}

impl Collector {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let spans = Arc::new(Mutex::default());
        let kept = Arc::clone(&spans);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self { url, spans, task }
    }

    /// As `OTEL_EXPORTER_OTLP_ENDPOINT` says it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All that has arrived.
    #[must_use]
    pub fn spans(&self) -> Vec<TracedSpan> {
        self.spans.lock().expect("nobody panics while holding it").clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, kept: Arc<Mutex<Vec<TracedSpan>>>) {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = request(&mut stream).await {
        assert!(head.starts_with("post /v1/traces ") && head.contains("application/x-protobuf"), "{head}");
        let request = ExportTraceServiceRequest::decode(&*body).expect("OTLP");
        kept.lock().expect("nobody panics while holding it").extend(spans(request));
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    head.make_ascii_lowercase();
    let length = head.split_once("content-length: ")?.1.lines().next()?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

fn spans(request: ExportTraceServiceRequest) -> Vec<TracedSpan> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut all = Vec::new();
    for group in request.resource_spans {
        let resource = group.resource.unwrap_or_default();
        let service = resource.attributes.iter().find(|pair| pair.key == "service.name");
        let service = service.map(|pair| text(pair.value.as_ref())).unwrap_or_default();
        for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            all.push(TracedSpan {
                service: service.clone(),
                name: span.name.clone(),
                kind: ["unspecified", "internal", "server", "client", "producer", "consumer"]
                    [usize::try_from(span.kind).unwrap_or(0)],
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                parent_id: hex(&span.parent_span_id),
                time: span.start_time_unix_nano..span.end_time_unix_nano,
                is_error: span.status.as_ref().is_some_and(|status| status.code == 2),
                whole: format!("{resource:?} {span:?}"),
                attributes: span.attributes,
            });
        }
    }
    all
}
