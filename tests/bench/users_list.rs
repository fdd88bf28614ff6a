//! `GET /users` of one organization, in a database that is full of others' people, and in one where it is alone.

use harness::{Caller, Processes};

use crate::Effort;
use crate::load::{Asked, take_turns};
use crate::report::{Comparison, Target};
use crate::world::{World, settle, statements};

const ORGANIZATIONS: u32 = 10_000;
const PEOPLE: u32 = 1_000_000;
/// Of acme.
const OWN: u32 = 1_000;

/// Makes acme, with [`OWN`] people, and others around it.
pub(crate) async fn fill(tenantry: &Processes, others: u32, people: u32) -> Caller {
    let admin = tenantry.administrator_of("acme").await;
    let sql = include_str!("organizations.sql")
        .replace("{others}", &others.to_string())
        .replace("{people}", &people.to_string())
        .replace("{every}", &(people / OWN).to_string());
    tenantry.database().execute(&sql).await;
    settle(tenantry).await;
    let seen = admin.get("/users?limit=50").await.ok();
    assert_eq!(seen["count"], OWN + 1, "the administrator, too: {}", seen["count"]);
    admin
}

pub(crate) async fn measure(effort: &Effort) -> Vec<Comparison> {
    let world = World::start().await;
    let alone = world.another("alone").await;
    let one_of_many = fill(&world.tenantry, ORGANIZATIONS - 1, PEOPLE).await;
    let only_one = fill(&alone, 0, OWN).await;

    let asked = |tenantry: &Processes, admin: &Caller| {
        Asked::get(format!("{}/v1/orgs/acme/users?limit=50", tenantry.url()), admin.token())
    };
    let (ours, theirs) = (asked(&world.tenantry, &one_of_many), asked(&alone, &only_one));
    let turns = take_turns(effort, ("one of 10,000 organizations", &ours), ("alone", &theirs)).await;
    let count = statements(&world.tenantry, |_| one_of_many.get("/users?limit=50")).await;
    drop(alone);
    world.end().await;
    let notes = vec![format!("{count} statements a request")];
    vec![turns.compare(
        "GET /users?limit=50 of 1,000, among 1,000,000 of 10,000 organizations",
        "the same where there is only that organization",
        Target::AtLeast(0.9),
        notes,
    )]
}
