//! `GET /iam/current-user`, which the product beside us asks with every request of its own.

use crate::Effort;
use crate::bare::Bare;
use crate::load::{Asked, take_turns};
use crate::report::{Comparison, Target};
use crate::world::{World, settle, statements};

pub(crate) async fn measure(effort: &Effort) -> Vec<Comparison> {
    let world = World::start().await;
    let admin = world.tenantry.administrator_of("acme").await;
    let bob = admin.member("bob@acme.example", "reader").await;
    let bare = Bare::start(&world.tenantry, bob.token()).await;
    settle(&world.tenantry).await;

    let ours = Asked::get(format!("{}/v1/orgs/acme/iam/current-user", world.tenantry.url()), bob.token());
    let theirs = Asked::get(bare.url.clone(), bob.token());
    let turns = take_turns(effort, ("Tenantry", &ours), ("bare handler", &theirs)).await;
    let count = statements(&world.tenantry, |_| bob.get("/iam/current-user")).await;
    drop(bare);
    world.end().await;
    let notes = vec![format!("{count} statements a request; the bare handler has 1")];
    vec![turns.compare(
        "GET /iam/current-user",
        "a bare handler: token, SHA-256, one select",
        Target::AtLeast(0.6),
        notes,
    )]
}
