//! One trace from a request through Redis to the mail server, as a collector gets it.

use std::time::Instant;

use harness::{Caller, Collector, PASSWORD, Processes, Stage, TracedSpan, Which};
use serde_json::json;
use tokio::net::TcpListener;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const UNSAMPLED: &str = "1bf7651916cd43dd8448eb211c80319c";

/// A Tenantry that is traced.
async fn traced(endpoint: &str) -> Processes {
    let mut tenantry = Processes::start().await;
    tenantry.set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    for which in [Which::Api, Which::Worker] {
        tenantry.terminate(which).await;
        tenantry.start_one(which).await;
    }
    tenantry
}

async fn invite(admin: &Caller, address: &str, trace_parent: &str) {
    let body = json!({ "invitee_identifier": address, "role": "reader", "message": "Welcome aboard." });
    admin.post("/invitations", body).header("traceparent", trace_parent).await.created();
}

#[track_caller]
fn only<'a>(spans: &'a [TracedSpan], kind: &str, parent: &str) -> &'a TracedSpan {
    let found: Vec<_> = spans.iter().filter(|span| span.kind == kind && span.parent_id == parent).collect();
    assert_eq!(found.len(), 1, "one {kind} span below {parent:?} in {spans:#?}");
    found[0]
}

#[tokio::test]
async fn one_trace_leads_from_the_request_through_redis_to_the_mail_server() {
    let collector = Collector::start().await;
    let mut tenantry = traced(collector.url()).await;
    let admin = tenantry.administrator_of("acme").await;
    invite(&admin, "bob.builder@example.com", &format!("00-{TRACE}-{CALLER}-01")).await;
    let link = tenantry.mailbox().last_to("bob.builder@example.com").await.link();
    invite(&admin, "carol@example.com", &format!("00-{UNSAMPLED}-{CALLER}-00")).await;
    tenantry.mailbox().last_to("carol@example.com").await;
    tenantry.anonymous().get(&format!("/invitations/accept?token={}", link.token())).await;
    tenantry.anonymous().accept(&link).await.created();
    tenantry.settle().await;
    // What was not sent yet is sent at the end.
    tenantry.terminate(Which::Api).await;
    tenantry.terminate(Which::Worker).await;

    let all = collector.spans();
    let trace: Vec<TracedSpan> = all.iter().filter(|span| span.trace_id == TRACE).cloned().collect();
    assert_eq!(trace.len(), 4, "{trace:#?}");
    let request = only(&trace, "server", CALLER);
    let push = only(&trace, "producer", &request.span_id);
    let job = only(&trace, "consumer", &push.span_id);
    let smtp = only(&trace, "client", &job.span_id);
    assert_eq!([&*request.service, &*push.service], ["tenantry-api"; 2]);
    assert_eq!([&*job.service, &*smtp.service], ["tenantry-worker"; 2]);
    assert_eq!(request.name, "POST /v1/orgs/{organization_slug}/invitations");
    assert_eq!((&*push.name, &*job.name, &*smtp.name), ("push interactive", "process interactive", "SMTP send"));
    assert!(trace.iter().all(|span| !span.is_error), "{trace:#?}");
    for (span, name, value) in [
        (request, "http.request.method", "POST"),
        (request, "http.route", "/v1/orgs/{organization_slug}/invitations"),
        (request, "http.response.status_code", "201"),
        (push, "messaging.system", "redis"),
        (push, "messaging.destination.name", "interactive"),
        (job, "messaging.operation.type", "process"),
        (job, "messaging.destination.name", "interactive"),
        (job, "tenantry.job", "send_email"),
        (smtp, "network.protocol.name", "smtp"),
        (smtp, "server.address", "127.0.0.1"),
        (smtp, "tenantry.email.outcome", "accepted"),
    ] {
        assert_eq!(span.attribute(name), value, "{name} of {}", span.name);
    }
    for which in [Which::Api, Which::Worker] {
        assert!(tenantry.log(which).contains(&format!("\"trace_id\":\"{TRACE}\"")), "{}", tenantry.log(which));
    }

    assert!(all.iter().all(|span| span.trace_id != UNSAMPLED), "the caller wished this one not to be traced");
    let end_of = |secret: &str| secret[secret.len() - 30..].to_owned();
    let secrets = [end_of(&link.token()), end_of(admin.token()), PASSWORD.to_owned(), "Welcome aboard".to_owned()];
    let people = ["bob.builder", "carol", "admin@", "example.com", "acme"].map(str::to_owned);
    assert!(all.len() > 8, "requests without a caller's trace are there, too");
    for span in &all {
        for word in secrets.iter().chain(&people) {
            assert!(!span.whole.contains(word.as_str()), "{word} stands in {}", span.whole);
        }
    }
}

#[tokio::test]
async fn a_mail_that_is_put_off_goes_on_in_the_same_trace_without_the_server_s_words() {
    let collector = Collector::start().await;
    let mut tenantry = traced(collector.url()).await;
    let admin = tenantry.administrator_of("acme").await;
    tenantry.smtp().answer_next(Stage::Message, 1, "451 4.7.1 <bob@example.com> greylisted");
    invite(&admin, "bob@example.com", &format!("00-{TRACE}-{CALLER}-01")).await;
    tenantry.mailbox().last_to("bob@example.com").await;
    tenantry.settle().await;
    tenantry.terminate(Which::Api).await;
    tenantry.terminate(Which::Worker).await;

    let trace: Vec<TracedSpan> = collector.spans().into_iter().filter(|span| span.trace_id == TRACE).collect();
    let request = only(&trace, "server", CALLER);
    let pushes: Vec<_> = trace.iter().filter(|span| span.kind == "producer").collect();
    assert!(pushes.len() == 2 && pushes.iter().all(|push| push.parent_id == request.span_id), "{trace:#?}");
    let outcomes: Vec<_> = pushes
        .iter()
        .map(|push| only(&trace, "client", &only(&trace, "consumer", &push.span_id).span_id))
        .map(|smtp| (smtp.attribute("tenantry.email.outcome"), smtp.is_error))
        .collect();
    assert_eq!(outcomes, [("deferred".to_owned(), true), ("accepted".to_owned(), false)]);
    assert!(trace.iter().all(|span| !span.whole.contains("bob") && !span.whole.contains("greylisted")), "{trace:#?}");
}

#[tokio::test]
async fn a_collector_that_is_away_or_silent_slows_and_breaks_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let silent = format!("http://{}", silent.local_addr().expect("an address"));
    for endpoint in ["http://127.0.0.1:1", &silent] {
        let mut tenantry = traced(endpoint).await;
        let admin = tenantry.administrator_of("acme").await;
        let started = Instant::now();
        for n in 0..30 {
            invite(&admin, &format!("bob{n}@example.com"), &format!("00-{TRACE}-{CALLER}-01")).await;
        }
        tenantry.settle().await;
        // If anyone waited for the collector, it would be five seconds each.
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
        assert_eq!(tenantry.mailbox().all().len(), 30);
        for which in [Which::Api, Which::Worker] {
            tenantry.terminate(which).await;
            let log = tenantry.log(which);
            assert!((1..=2).contains(&log.matches("traces are lost").count()), "it is said once:\n{log}");
        }
    }
}

#[tokio::test]
async fn without_a_collector_nothing_is_traced() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    tenantry.terminate(Which::Worker).await;
    invite(&admin, "bob@example.com", &format!("00-{TRACE}-{CALLER}-01")).await;
    assert!(tenantry.database().value("select trace_parent from outbox").await.is_null());
    assert!(!tenantry.log(Which::Api).contains("trace_id"), "{}", tenantry.log(Which::Api));
}
