//! Two processes of the API beside each other, as a deployment has them, against one.

use tokio::join;

use crate::Effort;
use crate::load::{Asked, Load, Pace};
use crate::report::{Comparison, Target};
use crate::world::{World, settle};

/// Of both together.
const CONNECTIONS: usize = 32;

pub(crate) async fn measure(effort: &Effort) -> Vec<Comparison> {
    let mut world = World::start().await;
    let admin = world.tenantry.administrator_of("acme").await;
    let bob = admin.member("bob@acme.example", "reader").await;
    let other = world.tenantry.start_another_api().await;
    settle(&world.tenantry).await;
    let asked = |address: &str| Asked::get(format!("{address}/v1/orgs/acme/iam/current-user"), bob.token());
    let alone = asked(world.tenantry.url()).over(CONNECTIONS);
    let pair = [asked(world.tenantry.url()).over(CONNECTIONS / 2), asked(&other).over(CONNECTIONS / 2)];
    let (mut two, mut one, mut loads) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new(), Vec::new()]);
    // One more, which makes connections and plans statements.
    for round in 0..=effort.rounds {
        let (first, second) = join!(
            pair[0].load("first of two", Pace::Closed, effort.turn),
            pair[1].load("second of two", Pace::Closed, effort.turn)
        );
        let only = alone.load("one", Pace::Closed, effort.turn).await;
        if round > 0 {
            two.push(first.per_second + second.per_second);
            one.push(only.per_second);
            loads.iter_mut().zip([first, second, only]).for_each(|(all, load)| all.push(load));
        }
    }
    world.end().await;
    vec![Comparison {
        figure: "GET /iam/current-user of two API processes".into(),
        against: "of one".into(),
        unit: "/s",
        ours: two,
        theirs: one,
        target: Target::None,
        loads: loads.iter().map(|loads| Load::middle(loads)).collect(),
        notes: vec!["Postgres and the load generator share the processors with them".into()],
    }]
}
