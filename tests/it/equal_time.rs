//! A stranger learns nothing from how long an answer takes.
//!
//! Never how long: only whether one kind of question takes longer than another, asked in turns on the same machine.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::{Caller, PASSWORD, TestApp};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::json;

const ROUNDS: usize = 150;
/// How often one kind may be the slower of two, beyond the half that chance gives. Chance alone strays by 0.03 (one standard
/// deviation, 150 rounds); what a stranger can use strays far more.
const BOUND: f64 = 0.17;

/// What no limit of these tests is to stop.
const OPEN: [(&str, &str); 6] = [
    ("limit-account-and-client", "100000/1"),
    ("limit-client", "100000/1"),
    ("limit-account", "100000/1"),
    ("limit-password-resets", "100000/1"),
    ("limit-login-urls", "100000/1"),
    ("limit-refusals-noted", "100000/1"),
];

/// How often a sample of `one` takes longer than one of `other`: Mann and Whitney's U, as a share of all pairs, less a half.
fn lean(one: &[Duration], other: &[Duration]) -> f64 {
    let mut wins = 0.0;
    for a in one {
        for b in other {
            wins += match a.cmp(b) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    wins / (one.len() * other.len()) as f64 - 0.5
}

fn spread(samples: &[Duration]) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() * 3 / 4] - sorted[sorted.len() / 4]
}

/// Asks in turns, in another order each round, and holds every kind against the first.
async fn take_alike(kinds: &[&'static str], ask: impl AsyncFn(&'static str)) {
    for kind in kinds {
        for _ in 0..3 {
            ask(kind).await;
        }
    }
    let mut took: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let (mut order, mut random) = (kinds.to_vec(), StdRng::seed_from_u64(7));
    for _ in 0..ROUNDS {
        order.shuffle(&mut random);
        for kind in &order {
            let start = Instant::now();
            ask(kind).await;
            took.entry(kind).or_default().push(start.elapsed());
        }
    }
    let first = &took[kinds[0]];
    for kind in &kinds[1..] {
        let lean = lean(&took[kind], first);
        assert!(lean.abs() < BOUND, "{kind} leans by {lean:.3} against {}: {took:?}", kinds[0]);
    }
    // Would it be seen? As much more as half of the samples differ among themselves is.
    let slower: Vec<Duration> = first.iter().map(|sample| *sample + spread(first)).collect();
    assert!(lean(&slower, first) > BOUND, "an injected difference is not seen: {first:?}");
}

async fn people(app: &TestApp) -> Caller {
    app.organization("platform").administrator().await;
    let admin = app.organization("acme").administrator().await;
    let gone = admin.member("inactive@acme.example", "reader").await;
    admin.patch(&format!("/users/{}", gone.id), json!({ "is_active": false })).await.ok();
    admin.post("/users", json!({ "email": "new@acme.example" })).await.created();
    app.settle().await;
    admin
}

#[tokio::test]
async fn a_refused_sign_in_takes_as_long_for_anyone() {
    let app = TestApp::start_with(&OPEN).await;
    people(&app).await;
    let stranger = app.anonymous();
    take_alike(&["known", "unknown", "inactive", "new", "nowhere"], async |kind| {
        let (slug, username, password) = match kind {
            "known" => ("acme", "admin@acme.example", "a wrong password of his"),
            "inactive" => ("acme", "inactive@acme.example", PASSWORD),
            "new" => ("acme", "new@acme.example", PASSWORD),
            "nowhere" => ("elsewhere", "admin@acme.example", PASSWORD),
            _ => ("acme", "nobody@acme.example", PASSWORD),
        };
        stranger.sign_in(slug, username, password).await.problem(401, "invalid_credentials");
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn a_request_for_a_new_password_takes_as_long_for_any_address() {
    let mut app = TestApp::start_with(&OPEN).await;
    people(&app).await;
    // What comes of the requests is done by others, elsewhere; here it would only add noise.
    app.stop_worker().await;
    let stranger = app.anonymous();
    take_alike(&["known", "unknown", "inactive", "nowhere"], async |kind| {
        let (slug, email) = match kind {
            "known" => ("acme", "admin@acme.example"),
            "inactive" => ("acme", "inactive@acme.example"),
            "nowhere" => ("elsewhere", "admin@acme.example"),
            _ => ("acme", "nobody@acme.example"),
        };
        stranger.under(slug).post("/iam/password-reset", json!({ "email": email })).await.accepted();
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn to_be_told_where_one_signs_in_takes_as_long_for_any_address() {
    let mut app = TestApp::start_with(&OPEN).await;
    let admin = people(&app).await;
    let globex = app.organization("globex").administrator().await;
    admin.member("both@acme.example", "reader").await;
    globex.member("both@acme.example", "reader").await;
    // An organization that lets its accounts be found gives nobody else's away.
    let open = app.organization("open").administrator().await;
    open.patch("/settings", json!({ "login_discovery": "account" })).await.ok();
    app.settle().await;
    app.stop_worker().await;
    let stranger = app.anonymous();
    take_alike(&["known", "unknown", "inactive", "both"], async |kind| {
        let email = match kind {
            "known" => "admin@acme.example",
            "inactive" => "inactive@acme.example",
            "both" => "both@acme.example",
            _ => "nobody@acme.example",
        };
        let found = stranger.post("/v1/login-url", json!({ "email": email })).await.ok();
        assert_eq!(found, json!({ "params": "manual=true" }));
    })
    .await;
    app.finish().await;
}
