//! What one organization pays for all the others: the same questions where there are few people and organizations, more, and
//! very many. Each has a database of its own in one server, and they take turns.

use std::time::{Duration, Instant};

use harness::{Caller, PASSWORD, Processes};
use serde_json::{Value, json};

use crate::Effort;
use crate::load::{Asked, enough_for_processors, take_turns};
use crate::report::{Comparison, Target, number};
use crate::users_list::fill;
use crate::world::World;

/// Organizations and people.
const SIZES: [(u32, u32); 3] = [(10, 1_000), (1_000, 100_000), (10_000, 1_000_000)];
/// Invitations of one batch: enough to take a second.
const INVITED: usize = 1_000;
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

    /// How large its database is.
    async fn megabytes(&self) -> String {
        let size = self
            .tenantry
            .database()
            .value("select pg_database_size(current_database())::float8 / 1000000 as megabytes")
            .await;
        number(size.as_f64().unwrap_or(f64::NAN))
    }

    fn questions(&self) -> [(&'static str, Asked); 4] {
        let url = |path: &str| format!("{}/v1/orgs/acme/{path}", self.tenantry.url());
        let get = |path: &str| Asked::get(url(path), self.admin.token());
        let check = [json!({ "checks": [{ "permission": "view_user" }] })];
        let login = [json!({ "username": "admin@acme.example", "password": PASSWORD })];
        [
            ("GET /iam/current-user", get("iam/current-user")),
            ("GET /users?limit=50", get("users?limit=50")),
            (
                "POST /permissions/check",
                Asked::post(url("permissions/check"), Some(self.admin.token()), self.tenantry.folder(), &check),
            ),
            (
                "POST /iam/login",
                Asked::post(url("iam/login"), None, self.tenantry.folder(), &login).over(enough_for_processors()),
            ),
        ]
    }

    /// Invites some, and tells how many a second had their mail.
    async fn invite(&mut self) -> f64 {
        self.batches += 1;
        let address = |n: usize| format!("p{n}@batch{}.example", self.batches);
        let rows: Vec<Value> =
            (0..INVITED).map(|n| json!({ "invitee_identifier": address(n), "role": "reader" })).collect();
        let (smtp, since) = (self.tenantry.smtp(), Instant::now());
        let before = smtp.count();
        self.admin.post("/invitations/batch", rows.into()).await.ok();
        tokio::time::timeout(Duration::from_secs(120), smtp.until_taken(before + INVITED)).await.expect("all are sent");
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
            // They take turns in being first.
            let mut pair = [(0, &mut *size), (1, &mut least)];
            pair.rotate_left(round % 2);
            for (which, size) in pair {
                let speed = size.invite().await;
                // The first of each plans its statements.
                if round > 0 {
                    invited[which].push(speed);
                }
            }
        }
        let [ours, theirs] = invited;
        let figure = format!("POST /invitations/batch of {INVITED} until the last mail is accepted, {}", size.name);
        let notes = vec![format!("databases of {} and {} MB", size.megabytes().await, least.megabytes().await)];
        let alone = Comparison::alone(&figure, "mails/s", ours, TARGET);
        all.push(Comparison { against: least.name.clone(), theirs, notes, ..alone });
    }
    drop((least, sizes));
    world.end().await;
    all
}
