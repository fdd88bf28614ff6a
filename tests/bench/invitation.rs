//! One invitation on an idle system, from the request to the mail server's "taken"; beside the sum of what it can't do without,
//! each done alone: to write a row and commit, to push and pop in Redis, to render, to talk to the mail server.

use std::time::{Duration, Instant};

use harness::{Collector, Processes, TracedSpan, Which};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde_json::json;
use sqlx::PgConnection;
use tenantry_shared::outbox::Lane;
use tenantry_worker::mail::SmtpTransport;
use uuid::Uuid;

use crate::Effort;
use crate::batch::{CONNECTIONS, letter};
use crate::report::{Comparison, Target, median, number};
use crate::world::World;

/// In one round.
const INVITATIONS: usize = 20;
/// Between two, so that nothing is left to do.
const PAUSE: Duration = Duration::from_millis(150);

const PARTS: [&str; 4] = ["insert and commit", "push and pop", "rendering", "SMTP conversation"];

/// What does the parts.
struct Parts {
    postgres: PgConnection,
    redis: MultiplexedConnection,
    smtp: SmtpTransport,
}

impl Parts {
    async fn new(tenantry: &Processes) -> Self {
        let table = "create table bare_invitations (id uuid primary key, address text not null, role text not null,
             created_at timestamptz not null default now());
             grant insert on bare_invitations to tenantry_app";
        tenantry.database().execute(table).await;
        let client = redis::Client::open(tenantry.redis.url()).expect("our own URL");
        Self {
            postgres: tenantry.database().connect_as_application().await,
            redis: client.get_multiplexed_async_connection().await.expect("Redis answers"),
            smtp: SmtpTransport::new(&tenantry.smtp().url(), CONNECTIONS, None).expect("our own URL"),
        }
    }

    /// Each of [`PARTS`], in milliseconds.
    async fn run(&mut self, address: &str) -> [f64; 4] {
        let insert = timed(self.insert(address)).await;
        let travel = timed(self.push_and_pop(address)).await;
        let since = Instant::now();
        let letter = letter(address);
        let _ = letter.formatted();
        let rendering = since.elapsed();
        let sent = timed(async { self.smtp.turn(Lane::Interactive).await.send(&letter).await.expect("it is taken") });
        [insert, travel, rendering, sent.await].map(|took| took.as_secs_f64() * 1e3)
    }

    #[expect(clippy::disallowed_methods, reason = "its table is made by the benchmark alone")]
    async fn insert(&mut self, address: &str) {
        let insert = sqlx::query("insert into bare_invitations (id, address, role) values ($1, $2, 'reader')");
        // From the address: an id like any other.
        let id = Uuid::from_u128(address.bytes().fold(0, |id, byte| id << 5 ^ id >> 90 ^ u128::from(byte)));
        insert.bind(id).bind(address).execute(&mut self.postgres).await.expect("inserted");
    }

    async fn push_and_pop(&mut self, address: &str) {
        let _: i64 = self.redis.lpush("bare", address).await.expect("pushed");
        let _: (String, String) = self.redis.brpop("bare", 1.0).await.expect("popped");
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> Duration {
    let since = Instant::now();
    work.await;
    since.elapsed()
}

async fn until_accepted(tenantry: &Processes, admin: &harness::Caller, address: &str, trace: Option<&str>) -> f64 {
    let before = tenantry.smtp().count();
    let call = admin.post("/invitations", json!({ "invitee_identifier": address, "role": "reader" }));
    let call = if let Some(trace) = trace { call.header("traceparent", trace) } else { call };
    let since = Instant::now();
    call.await.created();
    tenantry.smtp().until_taken(before + 1).await;
    since.elapsed().as_secs_f64() * 1e3
}

pub(crate) async fn measure(effort: &Effort) -> Vec<Comparison> {
    let mut world = World::start().await;
    let admin = world.tenantry.administrator_of("acme").await;
    let mut parts = Parts::new(&world.tenantry).await;
    let (mut ours, mut theirs, mut alone) = (Vec::new(), Vec::new(), PARTS.map(|_| Vec::new()));
    // The first round warms up.
    for round in 0..=effort.rounds {
        let (mut whole, mut sums) = (Vec::new(), Vec::new());
        for n in 0..INVITATIONS {
            tokio::time::sleep(PAUSE).await;
            whole.push(until_accepted(&world.tenantry, &admin, &format!("p{n}@round{round}.example"), None).await);
            tokio::time::sleep(PAUSE).await;
            let took = parts.run(&format!("p{n}@bare{round}.example")).await;
            sums.push(took.iter().sum());
            if round > 0 {
                alone.iter_mut().zip(took).for_each(|(all, took)| all.push(took));
            }
        }
        if round > 0 {
            ours.push(median(&whole));
            theirs.push(median(&sums));
        }
    }
    let each = PARTS.iter().zip(&alone).map(|(name, took)| format!("{name} {} ms", number(median(took))));
    let parts = format!("the parts alone: {}", each.collect::<Vec<_>>().join(", "));
    let split = split(&mut world.tenantry, &admin).await;
    world.end().await;
    vec![Comparison {
        figure: "POST /invitations on an idle system until the mail is accepted".into(),
        against: "the sum of its parts alone".into(),
        unit: "ms",
        ours,
        theirs,
        target: Target::AtMost(3.0),
        loads: Vec::new(),
        notes: vec![parts, split],
    }]
}

/// When each step of the way was reached, as traces tell it; tracing itself takes some time.
async fn split(tenantry: &mut Processes, admin: &harness::Caller) -> String {
    let collector = Collector::start().await;
    tenantry.set("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    restart(tenantry).await;
    for n in 0..INVITATIONS + 5 {
        tokio::time::sleep(PAUSE).await;
        let trace = format!("00-{:032x}-00000000000000ff-01", n + 1);
        until_accepted(tenantry, admin, &format!("p{n}@traced.example"), Some(&trace)).await;
    }
    tenantry.settle().await;
    // What was not sent yet is sent at the end.
    restart(tenantry).await;
    let spans = collector.spans();
    let steps = ["answered", "pushed to Redis", "at the worker", "SMTP begun", "accepted"];
    let mut reached = steps.map(|_| Vec::new());
    // The first few make connections.
    for n in 5..INVITATIONS + 5 {
        let trace = format!("{:032x}", n + 1);
        let span = |kind: &str| -> Option<&TracedSpan> {
            spans.iter().find(|span| span.trace_id == trace && span.kind == kind)
        };
        if let (Some(request), Some(push), Some(job), Some(smtp)) =
            (span("server"), span("producer"), span("consumer"), span("client"))
        {
            let moments = [request.time.end, push.time.end, job.time.start, smtp.time.start, smtp.time.end];
            for (all, moment) in reached.iter_mut().zip(moments) {
                all.push(moment.saturating_sub(request.time.start) as f64 / 1e6);
            }
        }
    }
    let each = steps.iter().zip(&reached).map(|(step, after)| format!("{step} after {} ms", number(median(after))));
    format!("its way, traced: {}", each.collect::<Vec<_>>().join(", "))
}

async fn restart(tenantry: &mut Processes) {
    for which in [Which::Api, Which::Worker] {
        tenantry.terminate(which).await;
        tenantry.start_one(which).await;
    }
}
