//! Ways to come by rights that nobody gave: none of them leads there.

mod domains;
mod oneself;
mod small;

use harness::{Caller, TestApp};
use serde_json::{Value, json};

use crate::roles::{assign, folder, holder, id, role, root};

fn path(user: &Caller) -> String {
    format!("/users/{}", user.id)
}

/// An organization with two folders, and one who manages the people, roles and assignments of the first.
struct World {
    app: TestApp,
    admin: Caller,
    root: String,
    home: String,
    away: String,
    manager: Caller,
}

const MANAGES: [&str; 11] = [
    "view_user",
    "change_user",
    "delete_user",
    "set_password",
    "manage_tokens",
    "view_role",
    "view_role_assignment",
    "add_role_assignment",
    "change_role_assignment",
    "view_folder",
    "view_user_group",
];

impl World {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let admin = app.organization("acme").administrator().await;
        let root = root(&admin).await;
        let (home, away) = (folder(&admin, "Home", &root).await, folder(&admin, "Away", &root).await);
        let manager = holder(&admin, "manager@example.com", &MANAGES, &home).await;
        Self { app, admin, root, home, away, manager }
    }

    /// Someone who holds one role over these folders.
    async fn tied(&self, email: &str, folders: &[&str]) -> Caller {
        let user = crate::roles::nobody(&self.admin, email).await;
        let reads = role(&self.admin, email, &["view_folder"]).await;
        assign(&self.admin, &user, &reads, folders, false).await;
        user
    }
}

/// A group in a folder.
async fn group(admin: &Caller, name: &str, folder: &str) -> String {
    id(&admin.post("/user-groups", json!({ "name": name, "folder": folder, "is_published": true })).await.created())
}

fn count(list: &Value) -> u64 {
    list["count"].as_u64().expect("a count")
}
