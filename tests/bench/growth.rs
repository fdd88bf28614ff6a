//! What one organization pays for all the others: the same questions where there are few people and organizations, more, and
//! very many. Each has a database of its own in one server, and they take turns.

use std::time::Instant;

use harness::{Caller, Processes};
use serde_json::{Value, json};

use crate::Effort;
use crate::load::{Asked, take_turns};
use crate::report::{Comparison, Target};
use crate::users_list::fill;
use crate::world::World;

/// Organizations and people.
const SIZES: [(u32, u32); 3] = [(10, 1_000), (1_000, 100_000), (10_000, 1_000_000)];
/// Invitations of one batch.
const INVITED: usize = 200;
/// What rises by more than a tenth is a defect.
const TARGET: Target = Target::AtLeast(0.9);

/// One of them, with an administrator of the organization that is looked at: it is as large everywhere.
struct Size {
    name: String,
    tenantry: Processes,
    admin: Caller,
    batches: usize,
}

impl Size {
    async fn make(world: &World, organizations: u32, people: u32) -> Self {
        let tenantry = world.another(&format!("growth_{organizations}")).await;
        let admin = fill(&tenantry, organizations - 1, people).await;
        let name = format!("{people} people of {organizations} organizations");
        Self { name, tenantry, admin, batches: 0 }
    }

    fn questions(&self) -> [(&'static str, Asked); 3] {
        let url = |path: &str| format!("{}/v1/orgs/acme/{path}", self.tenantry.url());
        let get = |path: &str| Asked::get(url(path), self.admin.token());
        let check = [json!({ "checks": [{ "permission": "view_user" }] })];
        [
            ("GET /iam/current-user", get("iam/current-user")),
            ("GET /users?limit=50", get("users?limit=50")),
            (
                "POST /permissions/check",
                Asked::post(url("permissions/check"), Some(self.admin.token()), self.tenantry.folder(), &check),
            ),
        ]
    }

    /// Invites some, and tells how many a second were answered for.
    async fn invite(&mut self) -> f64 {
        self.batches += 1;
        let address = |n: usize| format!("p{n}@batch{}.example", self.batches);
        let rows: Vec<Value> =
            (0..INVITED).map(|n| json!({ "invitee_identifier": address(n), "role": "reader" })).collect();
        let since = Instant::now();
        self.admin.post("/invitations/batch", rows.into()).await.ok();
        let speed = INVITED as f64 / since.elapsed().as_secs_f64();
        self.tenantry.settle().await;
        speed
    }
}

pub(crate) async fn measure(effort: &Effort) -> Vec<Comparison> {
    let world = World::start().await;
    let mut sizes = Vec::new();
    for (organizations, people) in SIZES {
        sizes.push(Size::make(&world, organizations, people).await);
    }
    let mut least = sizes.remove(0);
    let mut all = Vec::new();
    for size in &mut sizes {
        for ((what, ours), (_, theirs)) in size.questions().into_iter().zip(least.questions()) {
            let turns = take_turns(effort, (&size.name, &ours), (&least.name, &theirs)).await;
            all.push(turns.compare(&format!("{what}, {}", size.name), &least.name, TARGET, Vec::new()));
        }
        let mut invited = [Vec::new(), Vec::new()];
        for round in 0..=effort.rounds {
            let speeds = [size.invite().await, least.invite().await];
            // The first of each plans its statements.
            if round > 0 {
                invited.iter_mut().zip(speeds).for_each(|(all, speed)| all.push(speed));
            }
        }
        let [ours, theirs] = invited;
        let figure = format!("POST /invitations/batch of {INVITED}, {}", size.name);
        all.push(Comparison { against: least.name.clone(), theirs, ..Comparison::alone(&figure, "/s", ours, TARGET) });
    }
    drop((least, sizes));
    world.end().await;
    all
}
