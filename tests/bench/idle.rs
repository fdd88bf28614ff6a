//! Memory of processes that do nothing, and how long they take to begin.

use std::time::{Duration, Instant};

use harness::{Processes, Which, eventually};
use serde_json::json;

use crate::Effort;
use crate::load::{Asked, Pace};
use crate::report::{Comparison, Target};
use crate::world::World;

/// MB, as one counts the memory of a process: what is in memory of it.
const API: Target = Target::AtMost(60.0);
const WORKER: Target = Target::AtMost(40.0);
/// Until what belongs to the start is over.
const CALM: Duration = Duration::from_secs(5);

async fn start(tenantry: &mut Processes, which: Which) -> f64 {
    tenantry.terminate(which).await;
    let since = Instant::now();
    tenantry.start_one(which).await;
    if which == Which::Api {
        let ready = || async { (tenantry.anonymous().get("/readyz").await.status == 200).then_some(()) };
        eventually("the API to be ready", ready).await;
    }
    since.elapsed().as_secs_f64()
}

async fn memory(tenantry: &mut Processes, which: Which) -> f64 {
    tenantry.memory(which).await as f64 / 1024.0
}

pub(crate) async fn measure(effort: &Effort) -> Vec<Comparison> {
    let mut world = World::start().await;
    let tenantry = &mut world.tenantry;
    let admin = tenantry.administrator_of("acme").await;
    let mut found = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..effort.rounds {
        found[0].push(start(tenantry, Which::Api).await);
        found[1].push(start(tenantry, Which::Worker).await);
        tokio::time::sleep(CALM).await;
        found[2].push(memory(tenantry, Which::Api).await);
        found[3].push(memory(tenantry, Which::Worker).await);
    }
    // As they are after a day's work.
    let url = |path: &str| format!("{}/v1/orgs/acme/{path}", tenantry.url());
    let credentials = json!({ "username": admin.email, "password": harness::PASSWORD });
    let rows: Vec<_> =
        (0..1_000).map(|n| json!({ "invitee_identifier": format!("p{n}@example.com"), "role": "reader" })).collect();
    admin.post("/invitations/batch", rows.into()).await.ok();
    let me = Asked::get(url("iam/current-user"), admin.token());
    let loads = vec![
        me.load("current-user", Pace::Closed, effort.turn).await,
        Asked::post(url("iam/login"), None, tenantry.folder(), &[credentials])
            .over(4)
            .load("sign-ins", Pace::Closed, effort.turn)
            .await,
    ];
    tenantry.settle().await;
    tokio::time::sleep(CALM).await;
    let after = [memory(tenantry, Which::Api).await, memory(tenantry, Which::Worker).await];
    world.end().await;
    let [api_ready, worker_ready, api, worker] = found;
    vec![
        Comparison::alone("memory of the API, idle after its start", "MB", api, API),
        Comparison::alone("memory of the worker, idle after its start", "MB", worker, WORKER),
        Comparison { loads, ..Comparison::alone("memory of the API, idle after work", "MB", vec![after[0]], API) },
        Comparison::alone("memory of the worker, idle after work", "MB", vec![after[1]], WORKER),
        Comparison::alone("start of the API until it is ready", "s", api_ready, Target::None),
        Comparison::alone("start of the worker until it serves", "s", worker_ready, Target::None),
    ]
}
