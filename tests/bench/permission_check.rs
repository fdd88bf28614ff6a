//! `POST /permissions/check`, one question, in a large organization and in a small one.

use harness::{Caller, Processes};
use serde_json::{Value, json};

use crate::Effort;
use crate::load::{Asked, take_turns};
use crate::report::{Comparison, Target};
use crate::world::{World, settle, statements};

/// An organization as the tests of scale have it: `assignments` is also the number of its people.
struct Size {
    slug: &'static str,
    folders: u32,
    assignments: u32,
    groups: u32,
}

const LARGE: Size = Size { slug: "large", folders: 10_000, assignments: 100_000, groups: 1_000 };
const SMALL: Size = Size { slug: "small", folders: 100, assignments: 1_000, groups: 10 };

/// So many questions, about as many people and folders.
const QUESTIONS: u32 = 500;

impl Size {
    async fn make(&self, tenantry: &Processes) -> Caller {
        let admin = tenantry.administrator_of(self.slug).await;
        let sql = include_str!("../it/scale/organization.sql")
            .replace("{slug}", self.slug)
            // The root is there.
            .replace("{folders}", &(self.folders - 1).to_string())
            .replace("{users}", &self.assignments.to_string())
            .replace("{groups}", &self.groups.to_string());
        tenantry.database().execute(&sql).await;
        admin
    }

    fn question(&self, n: u32) -> Value {
        let made = |kind: u32, n: u32| format!("{kind:08x}-0000-7000-8000-{n:012x}");
        let (folder, user) = (made(1, n * 7 % (self.folders - 1) + 1), made(2, n * 13 % self.assignments + 1));
        json!({ "checks": [{ "user": user, "permission": "view_user", "folder": folder }] })
    }

    fn asked(&self, tenantry: &Processes, admin: &Caller) -> Asked {
        let questions: Vec<Value> = (0..QUESTIONS).map(|n| self.question(n)).collect();
        let url = format!("{}/v1/orgs/{}/permissions/check", tenantry.url(), self.slug);
        Asked::post(url, Some(admin.token()), tenantry.folder(), &questions)
    }
}

pub(crate) async fn measure(effort: &Effort) -> Vec<Comparison> {
    let world = World::start().await;
    let tenantry = &world.tenantry;
    let (of_large, of_small) = (LARGE.make(tenantry).await, SMALL.make(tenantry).await);
    settle(tenantry).await;

    let (large, small) = (LARGE.asked(tenantry, &of_large), SMALL.asked(tenantry, &of_small));
    let turns = take_turns(effort, ("large organization", &large), ("small organization", &small)).await;
    let question = |n: usize| LARGE.question(u32::try_from(n).unwrap_or_default());
    let count = statements(tenantry, |n| of_large.post("/permissions/check", question(n))).await;
    world.end().await;
    let notes = vec![format!("{count} statements a request")];
    vec![turns.compare(
        "POST /permissions/check, 10,000 folders and 100,000 assignments",
        "the same with 100 and 1,000",
        Target::AtLeast(0.9),
        notes,
    )]
}
