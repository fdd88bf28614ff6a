//! The organization, and three who call.

use harness::{Caller, TestApp};

use crate::roles::nobody;

/// What is made by number.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Folder = 1,
    User = 2,
    Role = 3,
    UserGroup = 4,
}

pub(super) struct World {
    /// Sees everything.
    pub(super) admin: Caller,
    /// Manages eleven folders.
    pub(super) small: Caller,
    /// Manages most of the tree.
    pub(super) big: Caller,
}

impl World {
    /// Fills an organization, and a smaller one beside it.
    pub(super) async fn make(app: &TestApp) -> Self {
        let admin = app.organization("acme").administrator().await;
        app.organization("other").administrator().await;
        let small = nobody(&admin, "small@acme.example").await;
        let big = nobody(&admin, "big@acme.example").await;
        fill(app, "acme", 9_999, 100_000, 1_000).await;
        fill(app, "other", 100, 1_000, 20).await;
        let world = Self { admin, small, big };
        world.give(app, &world.small, &folder(990), false).await;
        world.give(app, &world.big, &folder(1), true).await;
        app.database().execute("analyze").await;
        world
    }

    async fn give(&self, app: &TestApp, user: &Caller, folder: &str, is_recursive: bool) {
        let select = "select r.id from roles r join organizations o on o.organization_id = r.organization_id \
             where o.slug = 'acme' and r.name = 'administrator'";
        let role = app.database().value(select).await;
        let body = serde_json::json!({ "name": "manages", "user": user.id, "role": role, "perimeter_folders": [folder], "is_recursive": is_recursive });
        self.admin.post("/role-assignments", body).await.created();
    }
}

/// The id of what was made under a number.
pub(super) fn made(kind: Kind, n: u32) -> String {
    format!("{:08x}-0000-7000-8000-{n:012x}", kind as u32)
}

pub(super) fn folder(n: u32) -> String {
    made(Kind::Folder, n)
}

pub(super) fn user(n: u32) -> String {
    made(Kind::User, n)
}

pub(super) fn group(n: u32) -> String {
    made(Kind::UserGroup, n)
}

async fn fill(app: &TestApp, slug: &str, folders: u32, users: u32, groups: u32) {
    let sql = include_str!("organization.sql")
        .replace("{slug}", slug)
        .replace("{folders}", &folders.to_string())
        .replace("{users}", &users.to_string())
        .replace("{groups}", &groups.to_string());
    app.database().execute(&sql).await;
}
