//! Lists of a thousand objects, walked by cursor while others come and go.

use std::collections::HashSet;

use harness::{Caller, TestApp};
use serde_json::Value;

/// A list, and how to make what it shows.
struct Walked {
    path: &'static str,
    /// Orders that it is walked in.
    orderings: [&'static str; 2],
    table: &'static str,
    /// The column that holds the name.
    name: &'static str,
    /// Other columns, beside organization and id,
    columns: &'static str,
    /// and what they hold: `f` is the root, `n` a number, `r` a name that is unique.
    values: &'static str,
}

const FOLDERS: Walked = Walked {
    path: "/folders",
    orderings: ["name", "-created_at"],
    table: "folders",
    name: "name",
    columns: "parent_folder_id, created_at",
    values: "f.id, now()",
};
const USER_GROUPS: Walked = Walked {
    path: "/user-groups",
    orderings: ["-name", "updated_at"],
    table: "user_groups",
    name: "name",
    columns: "folder_id, created_at",
    values: "f.id, now()",
};
const TEAMS: Walked = Walked {
    path: "/teams",
    orderings: ["name", "-updated_at"],
    table: "teams",
    name: "name",
    columns: "folder_id, created_at, updated_at",
    values: "f.id, now(), now()",
};
const ROLES: Walked = Walked {
    path: "/roles",
    orderings: ["name", "-created_at"],
    table: "roles",
    name: "name",
    columns: "folder_id, permissions, created_at",
    values: "f.id, '{}', now()",
};
const ROLE_ASSIGNMENTS: Walked = Walked {
    path: "/role-assignments",
    orderings: ["name", "-created_at"],
    table: "role_assignments",
    name: "name",
    columns: "folder_id, user_id, role_id, created_at",
    values: "f.id, (select id from users), (select id from roles where name = 'reader'), now()",
};
const USERS: Walked = Walked {
    path: "/users",
    orderings: ["email", "-date_joined"],
    table: "users",
    name: "email",
    columns: "number, username, username_key, email_key, date_joined, updated_at",
    values: "(select max(number) from users) + n, r, r, r, now(), now()",
};
const ACTORS: Walked = Walked { path: "/actors", orderings: ["name", "-type"], ..USERS };

impl Walked {
    /// Makes objects whose names, spread over the alphabet, end with a word.
    async fn make(&self, app: &TestApp, count: usize, word: &str) {
        let Self { table, name, columns, values, .. } = self;
        app.database()
            .execute(&format!(
                "insert into {table} (organization_id, id, {name}, {columns})
                 select f.organization_id, gen_random_uuid(), r, {values}
                 from folders f, generate_series(1, {count}) n,
                     lateral (select md5(n || '{word}') || '-{word}' as r) r
                 where f.parent_folder_id is null"
            ))
            .await;
    }

    async fn drop(&self, app: &TestApp, word: &str) {
        let Self { table, name, .. } = self;
        app.database().execute(&format!("delete from {table} where {name} like '%-{word}'")).await;
    }

    async fn ids(&self, app: &TestApp, word: &str) -> HashSet<String> {
        let Self { table, name, .. } = self;
        let rows = app.database().rows(&format!("select id from {table} where {name} like '%-{word}'")).await;
        rows.iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect()
    }

    /// Walks the list in an order, while before each step some others are made and those of the step before are deleted.
    async fn walk(&self, app: &TestApp, admin: &Caller, ordering: &str) -> Vec<String> {
        let mut next = Some(format!("{}?cursor=&limit=90&ordering={ordering}", self.path));
        let (mut seen, mut step) = (Vec::new(), 0);
        while let Some(page) = next {
            self.make(app, 40, &format!("passing{step}")).await;
            if step > 0 {
                self.drop(app, &format!("passing{}", step - 1)).await;
            }
            step += 1;
            assert!(step < 100, "the walk ends");
            let list = admin.get(&page).await.ok();
            let ids = list["results"].as_array().expect("a list").iter().map(|object| object["id"].as_str());
            seen.extend(ids.map(|id| id.expect("an id").to_owned()));
            next = list["next"].as_str().map(str::to_owned);
            assert_eq!(list["count"], Value::Null);
        }
        self.drop(app, &format!("passing{}", step - 1)).await;
        seen
    }

    async fn is_walked_without_a_gap_or_a_double(&self) {
        let app = TestApp::start().await;
        let admin = app.organization("acme").administrator().await;
        self.make(&app, 1_000, "stays").await;
        let stays = self.ids(&app, "stays").await;
        assert_eq!(stays.len(), 1_000);
        for ordering in self.orderings {
            let seen = self.walk(&app, &admin, ordering).await;
            let once: HashSet<String> = seen.iter().cloned().collect();
            assert_eq!(once.len(), seen.len(), "{} by {ordering}: nothing twice", self.path);
            assert_eq!(stays.difference(&once).count(), 0, "{} by {ordering}: nothing left out", self.path);
        }
        app.finish().await;
    }
}

macro_rules! each_is_walked {
    ($($test:ident $list:ident;)*) => {$(
        #[tokio::test]
        async fn $test() {
            $list.is_walked_without_a_gap_or_a_double().await;
        }
    )*};
}

each_is_walked! {
    folders_are_walked_without_a_gap_or_a_double FOLDERS;
    user_groups_are_walked_without_a_gap_or_a_double USER_GROUPS;
    roles_are_walked_without_a_gap_or_a_double ROLES;
    role_assignments_are_walked_without_a_gap_or_a_double ROLE_ASSIGNMENTS;
    teams_are_walked_without_a_gap_or_a_double TEAMS;
    users_are_walked_without_a_gap_or_a_double USERS;
    actors_are_walked_without_a_gap_or_a_double ACTORS;
}
