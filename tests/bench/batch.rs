//! `POST /invitations/batch` of a thousand, until the mail server has taken the last one; beside a loop that does nothing but
//! send a thousand mails that are rendered already, over as many connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{Caller, Smtp};
use serde_json::{Value, json};
use tenantry_shared::clock::Clock;
use tenantry_shared::outbox::Lane;
use tenantry_worker::mail::{self, Branding, Context, InvitationMail, Message, SmtpTransport};

use crate::Effort;
use crate::load::{Load, Pace};
use crate::report::{Comparison, Target, median, number};
use crate::usage::Watch;
use crate::world::World;

const PEOPLE: usize = 1_000;
/// What the worker has, if not told otherwise.
pub(crate) const CONNECTIONS: usize = 4;

/// An invitation's mail, as the worker would send it.
pub(crate) fn letter(to: &str) -> Message {
    let mail = InvitationMail { message: None, ..InvitationMail::sample() };
    let branding = Branding { name: mail.organization.clone(), ..Branding::default() };
    let context = Context { locale: "en".into(), branding, public_url: "http://127.0.0.1".into() };
    let rendered = mail::render(&mail.into(), &context).expect("it can be rendered");
    let from = mail::sender("Tenantry <accounts@tenantry.test>").expect("an address");
    let id = format!("<{to}.bare>");
    mail::message(rendered, &from, to, None, &id, Clock::default().now()).expect("a message")
}

/// Our own transport, for it is the one with TCP_NODELAY; and nothing else of ours.
async fn send_all(transport: &SmtpTransport, letters: &Arc<Vec<Message>>) {
    let senders = (0..CONNECTIONS).map(|first| {
        let (transport, letters) = (transport.clone(), Arc::clone(letters));
        tokio::spawn(async move {
            for letter in letters.iter().skip(first).step_by(CONNECTIONS) {
                transport.turn(Lane::Interactive).await.send(letter).await.expect("the server takes it");
            }
        })
    });
    for sender in join_all(senders).await {
        sender.expect("it sends");
    }
}

/// What one batch took.
struct Sent {
    answered: Duration,
    load: Load,
}

async fn invite(admin: &Caller, smtp: &Smtp, round: usize) -> Sent {
    let rows: Vec<Value> = (0..PEOPLE)
        .map(|n| json!({ "invitee_identifier": format!("p{n}@round{round}.example"), "role": "reader" }))
        .collect();
    let before = smtp.count();
    let (watch, since) = (Watch::begin(), Instant::now());
    let answer = admin.post("/invitations/batch", rows.into()).await.ok();
    let answered = since.elapsed();
    tokio::time::timeout(Duration::from_secs(120), smtp.until_taken(before + PEOPLE)).await.expect("all are sent");
    let whole = since.elapsed();
    let work = watch.end();
    let results = answer["results"].as_array().map_or(0, Vec::len);
    assert_eq!(results, PEOPLE, "{answer}");
    let took = smtp.mails()[before..].iter().map(|mail| mail.received.saturating_duration_since(since)).collect();
    Sent { answered, load: Load::of("Tenantry", Pace::Closed, took, 0, whole, work) }
}

async fn send(smtp: &Smtp, transport: &SmtpTransport, letters: &Arc<Vec<Message>>) -> Load {
    let before = smtp.count();
    let (watch, since) = (Watch::begin(), Instant::now());
    send_all(transport, letters).await;
    let whole = since.elapsed();
    let work = watch.end();
    let took = smtp.mails()[before..].iter().map(|mail| mail.received.saturating_duration_since(since)).collect();
    Load::of("bare loop", Pace::Closed, took, 0, whole, work)
}

pub(crate) async fn measure(effort: &Effort) -> Vec<Comparison> {
    let world = World::start().await;
    let admin = world.tenantry.administrator_of("acme").await;
    let smtp = world.tenantry.smtp();
    let transport = SmtpTransport::new(&smtp.url(), CONNECTIONS, None).expect("our own URL");
    let letters = Arc::new((0..PEOPLE).map(|n| letter(&format!("p{n}@bare.example"))).collect::<Vec<_>>());

    // The first of each makes connections, and counts for nothing.
    invite(&admin, smtp, effort.rounds).await;
    send(smtp, &transport, &letters).await;
    let (mut ours, mut theirs, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..effort.rounds {
        if round % 2 == 0 {
            theirs.push(send(smtp, &transport, &letters).await);
        }
        let sent = invite(&admin, smtp, round).await;
        world.tenantry.settle().await;
        answered.push(sent.answered.as_secs_f64() * 1e3);
        ours.push(sent.load);
        if round % 2 == 1 {
            theirs.push(send(smtp, &transport, &letters).await);
        }
    }
    world.end().await;
    let speed = |loads: &[Load]| loads.iter().map(|load| load.per_second).collect::<Vec<f64>>();
    vec![Comparison {
        figure: "POST /invitations/batch of 1,000 until the last mail is accepted".into(),
        against: format!("a loop that sends 1,000 rendered mails over {CONNECTIONS} connections"),
        unit: "mails/s",
        ours: speed(&ours),
        theirs: speed(&theirs),
        target: Target::AtLeast(0.3),
        loads: vec![Load::middle(&ours), Load::middle(&theirs)],
        notes: vec![format!("the batch was answered after {} ms", number(median(&answered)))],
    }]
}
