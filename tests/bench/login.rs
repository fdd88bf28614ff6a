//! `POST /iam/login`, beside nothing but its hash on all processors; and what a flood of sign-ins does to everybody else.

use std::time::{Duration, Instant};

use argon2::{Argon2, PasswordHasher};
use harness::{Caller, PASSWORD, Processes};
use serde_json::{Value, json};

use crate::Effort;
use crate::load::{Asked, Load, Pace, enough_for_processors};
use crate::report::{Comparison, Target};
use crate::usage::processors;
use crate::world::{World, settle, statements};

/// So many people sign in.
const PEOPLE: u32 = 200;
/// Who asks beside them, a second.
const BESIDE: Pace = Pace::PerSecond(100.0);

/// People who all have the administrator's password.
async fn make_people(tenantry: &Processes) {
    let people = format!(
        "insert into users (organization_id, id, number, username, email, username_key, email_key, date_joined, updated_at,
             password_hash, password_changed_at)
         select u.organization_id, gen_random_uuid(), 1000 + n, p, p, p, p, now(), now(), u.password_hash, now()
         from users u cross join generate_series(1, {PEOPLE}) n cross join lateral (select 'p' || n || '@acme.example' as p) p
         where u.email_key = 'admin@acme.example'"
    );
    tenantry.database().execute(&people).await;
    settle(tenantry).await;
}

fn credentials(n: u32) -> Value {
    json!({ "username": format!("p{n}@acme.example"), "password": PASSWORD })
}

/// Hashes a second, one after the other on each processor.
async fn raw_hashes(time: Duration) -> f64 {
    let hash_for_a_while = move || {
        let argon2 = Argon2::default();
        let (since, mut count) = (Instant::now(), 0_u32);
        while since.elapsed() < time {
            argon2.hash_password(PASSWORD.as_bytes()).expect("a hash");
            count += 1;
        }
        f64::from(count) / since.elapsed().as_secs_f64()
    };
    let threads: Vec<_> = (0..processors()).map(|_| tokio::task::spawn_blocking(hash_for_a_while)).collect();
    let mut sum = 0.0;
    for thread in threads {
        sum += thread.await.expect("it hashes");
    }
    sum
}

pub(crate) async fn measure(effort: &Effort) -> Vec<Comparison> {
    let world = World::start().await;
    let admin = world.tenantry.administrator_of("acme").await;
    make_people(&world.tenantry).await;
    let bodies: Vec<Value> = (1..=PEOPLE).map(credentials).collect();
    let url = format!("{}/v1/orgs/acme/iam/login", world.tenantry.url());
    let logins = Asked::post(url, None, world.tenantry.folder(), &bodies).over(enough_for_processors());
    let mut found =
        vec![against_the_hash(effort, &logins).await, beside_sign_ins(effort, &world, &admin, &logins).await];
    let count = statements(&world.tenantry, |n| {
        let body = credentials(u32::try_from(n).unwrap_or_default() + 1);
        world.tenantry.anonymous().post("/v1/orgs/acme/iam/login", body)
    });
    found[0].notes.push(format!("{} statements a sign-in", count.await));
    world.end().await;
    found
}

async fn against_the_hash(effort: &Effort, logins: &Asked) -> Comparison {
    logins.load("sign-ins", Pace::Closed, effort.turn).await;
    let (mut loads, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..effort.rounds {
        if round % 2 == 0 {
            theirs.push(raw_hashes(effort.turn).await);
        }
        loads.push(logins.load("sign-ins", Pace::Closed, effort.turn).await);
        if round % 2 == 1 {
            theirs.push(raw_hashes(effort.turn).await);
        }
    }
    let ours: Vec<f64> = loads.iter().map(|load| load.per_second).collect();
    let rate = Pace::PerSecond((ours.iter().copied().fold(f64::INFINITY, f64::min) * 0.6).ceil());
    loads.push(logins.load("sign-ins", rate, effort.turn * 2).await);
    Comparison {
        figure: "POST /iam/login".into(),
        against: format!("argon2id with the same parameters on {} processors", processors()),
        unit: "/s",
        ours,
        theirs,
        target: Target::AtLeast(0.9),
        loads,
        notes: Vec::new(),
    }
}

async fn beside_sign_ins(effort: &Effort, world: &World, admin: &Caller, logins: &Asked) -> Comparison {
    let url = format!("{}/v1/orgs/acme/iam/current-user", world.tenantry.url());
    let who_am_i = Asked::get(url, admin.token());
    let (mut loads, mut beside, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    // A second more of sign-ins at either end.
    let longer = effort.turn * 2 + Duration::from_secs(2);
    for _ in 0..effort.rounds {
        let alone = who_am_i.load("current-user alone", BESIDE, effort.turn * 2).await;
        let flood = logins.load("sign-ins meanwhile", Pace::Closed, longer);
        let asked = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            who_am_i.load("current-user beside sign-ins", BESIDE, effort.turn * 2).await
        };
        let (flood, asked) = tokio::join!(flood, asked);
        idle.push(alone.percentiles[1]);
        beside.push(asked.percentiles[1]);
        loads.extend([alone, asked, flood]);
    }
    Comparison {
        figure: "p99 of current-user beside sign-ins in a closed loop".into(),
        against: "its p99 on an idle system".into(),
        unit: "ms",
        ours: beside,
        theirs: idle,
        target: Target::AtMost(5.0),
        loads: middle_of(loads),
        notes: Vec::new(),
    }
}

/// One line of each kind.
fn middle_of(loads: Vec<Load>) -> Vec<Load> {
    let mut kinds: Vec<Vec<Load>> = Vec::new();
    for load in loads {
        match kinds.iter_mut().find(|kind| kind[0].who == load.who) {
            Some(kind) => kind.push(load),
            None => kinds.push(vec![load]),
        }
    }
    kinds.iter().map(|kind| Load::middle(kind)).collect()
}
