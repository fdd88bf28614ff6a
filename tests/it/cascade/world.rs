//! A random organization, and what is in it row by row.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Caller, Database, TestApp};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::Value;
use uuid::Uuid;

/// Kinds of objects, with the path of each.
pub(super) const KINDS: [(&str, &str); 6] = [
    ("folder", "folders"),
    ("user_group", "user-groups"),
    ("team", "teams"),
    ("role", "roles"),
    ("role_assignment", "role-assignments"),
    ("user", "users"),
];

/// An organization with a tree, groups, teams, roles, assignments, users and invitations, all drawn at random; and one who
/// manages a part of it.
pub(super) struct World {
    pub(super) admin: Caller,
    pub(super) manager: Caller,
    /// Ids by kind.
    pub(super) ids: BTreeMap<&'static str, Vec<Uuid>>,
}

fn draw(rng: &mut StdRng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.random()).into_uuid()
}

impl World {
    /// The same for the same seed, but for the ids of what an organization is born with and of these two callers.
    pub(super) async fn make(app: &TestApp, slug: &str, rng: &mut StdRng) -> Self {
        let admin = app.organization(slug).administrator().await;
        let manager = admin.member(&format!("manager@{slug}.example"), "reader").await;
        let mut world = Self { admin, manager, ids: BTreeMap::new() };
        let mut sql = String::new();
        world.folders(rng, &mut sql);
        world.people(rng, &mut sql);
        world.groups_and_teams(rng, &mut sql);
        world.roles(rng, &mut sql);
        world.invitations(rng, &mut sql);
        // A session of someone who may be deleted is counted, not named.
        let user = world.any(rng, "user");
        sql.push_str(&format!(
            "insert into sessions (organization_id, id, user_id, token_digest, created_at, expires_at)
             select o, '{}', '{user}', sha256('{user}'), now(), now() + interval '1 day' from org;\n",
            draw(rng)
        ));
        app.database().execute(&with_organization(slug, &sql)).await;
        world
    }

    fn any(&self, rng: &mut StdRng, kind: &str) -> Uuid {
        *self.ids[kind].choose(rng).expect("some")
    }

    fn some(&self, rng: &mut StdRng, kind: &str, most: usize) -> BTreeSet<Uuid> {
        (0..rng.random_range(0..=most)).map(|_| self.any(rng, kind)).collect()
    }

    fn folders(&mut self, rng: &mut StdRng, sql: &mut String) {
        for n in 0..9 {
            let id = draw(rng);
            let parent = match self.ids.get("folder").and_then(|ids| ids.choose(rng)) {
                Some(parent) if rng.random_bool(0.7) => format!("'{parent}'"),
                _ => "root".into(),
            };
            sql.push_str(&format!(
                "insert into folders (organization_id, id, parent_folder_id, name, created_at)
                 select o, '{id}', {parent}, 'folder {n}', now() from org;\n"
            ));
            self.ids.entry("folder").or_default().push(id);
        }
    }

    fn people(&mut self, rng: &mut StdRng, sql: &mut String) {
        for n in 0..7 {
            let id = draw(rng);
            sql.push_str(&format!(
                "insert into users (organization_id, id, number, username, email, username_key, email_key, date_joined, updated_at)
                 select o, '{id}', {number}, 'user{n}', 'user{n}@example.com', 'user{n}', 'user{n}@example.com', now(), now()
                 from org;\n",
                number = 1000 + n
            ));
            self.ids.entry("user").or_default().push(id);
        }
    }

    fn groups_and_teams(&mut self, rng: &mut StdRng, sql: &mut String) {
        for n in 0..6 {
            let (group, team) = (draw(rng), draw(rng));
            let (of_group, of_team) = (self.any(rng, "folder"), self.any(rng, "folder"));
            let leader = if rng.random_bool(0.5) { format!("'{}'", self.any(rng, "user")) } else { "null".into() };
            sql.push_str(&format!(
                "insert into user_groups (organization_id, id, folder_id, name, created_at)
                 select o, '{group}', '{of_group}', 'group {n}', now() from org;
                 insert into teams (organization_id, id, folder_id, name, leader_id, created_at, updated_at)
                 select o, '{team}', '{of_team}', 'team {n}', {leader}, now(), now() from org;\n"
            ));
            for user in self.some(rng, "user", 3) {
                sql.push_str(&format!("insert into user_group_members select o, '{group}', '{user}' from org;\n"));
            }
            for part in ["deputy", "member"] {
                for user in self.some(rng, "user", 2) {
                    sql.push_str(&format!(
                        "insert into team_people select o, '{team}', '{part}', '{user}' from org;\n"
                    ));
                }
            }
            self.ids.entry("user_group").or_default().push(group);
            self.ids.entry("team").or_default().push(team);
        }
    }

    fn roles(&mut self, rng: &mut StdRng, sql: &mut String) {
        for n in 0..4 {
            let (id, folder) = (draw(rng), self.any(rng, "folder"));
            let permissions = ["view_folder,view_user_group", "view_user", "view_team,view_role", ""][n];
            sql.push_str(&format!(
                "insert into roles (organization_id, id, folder_id, name, permissions, created_at)
                 select o, '{id}', '{folder}', 'role {n}', string_to_array('{permissions}', ','), now() from org;\n"
            ));
            self.ids.entry("role").or_default().push(id);
        }
        for n in 0..8 {
            let (id, folder, role) = (draw(rng), self.any(rng, "folder"), self.any(rng, "role"));
            let holder = if rng.random_bool(0.5) { ("user_id", "user") } else { ("user_group_id", "user_group") };
            let held_by = self.any(rng, holder.1);
            sql.push_str(&format!(
                "insert into role_assignments (organization_id, id, folder_id, name, {}, role_id, is_recursive, created_at)
                 select o, '{id}', '{folder}', 'assignment {n}', '{held_by}', '{role}', {}, now() from org;\n",
                holder.0,
                rng.random_bool(0.5)
            ));
            let mut perimeter = self.some(rng, "folder", 2);
            perimeter.insert(self.any(rng, "folder"));
            for folder in perimeter {
                sql.push_str(&format!("insert into role_assignment_folders select o, '{id}', '{folder}' from org;\n"));
            }
            self.ids.entry("role_assignment").or_default().push(id);
        }
        // The manager holds all that a domain manager does over some folder, and may see nothing of roles elsewhere.
        let (id, domain) = (draw(rng), self.any(rng, "folder"));
        sql.push_str(&format!(
            "insert into role_assignments (organization_id, id, folder_id, name, user_id, role_id, is_recursive, created_at)
             select o, '{id}', root, 'the manager', (select id from users where organization_id = o and email like 'manager@%'),
                 (select id from roles where organization_id = o and builtin and name = 'domain_manager'), true, now() from org;
             insert into role_assignment_folders select o, '{id}', '{domain}' from org;
             delete from user_group_members using org, users u
             where user_group_members.organization_id = o and u.organization_id = o and u.id = user_group_members.user_id
               and u.email like 'manager@%';\n"
        ));
    }

    fn invitations(&mut self, rng: &mut StdRng, sql: &mut String) {
        for n in 0..4 {
            let (id, folder) = (draw(rng), self.any(rng, "folder"));
            let by = self.any(rng, "user");
            sql.push_str(&format!(
                "insert into invitations (organization_id, id, invitee_identifier, email_key, folder_id, locale, invited_by,
                     created_at, sent_at, valid_for, valid_until)
                 select o, '{id}', 'invited{n}@example.com', 'invited{n}@example.com', '{folder}', 'en', '{by}', now(), now(),
                     86400, now() + interval '1 day' from org;\n"
            ));
            for group in self.some(rng, "user_group", 2) {
                sql.push_str(&format!("insert into invitation_user_groups select o, '{id}', '{group}' from org;\n"));
            }
            for team in self.some(rng, "team", 1) {
                sql.push_str(&format!("insert into invitation_teams select o, '{id}', '{team}' from org;\n"));
            }
        }
    }
}

/// Lets statements name the organization and its root.
fn with_organization(slug: &str, sql: &str) -> String {
    format!(
        "create temporary table org on commit drop as
             select o.organization_id as o, f.id as root from organizations o
             join folders f on f.organization_id = o.organization_id and f.parent_folder_id is null
             where o.slug = '{slug}';
         {sql}"
    )
}

/// Every row of an organization that a delete or a change could touch, as text by table. What an organization is born with is
/// called by its name, so that two of them can be compared.
pub(super) async fn rows(database: &Database, slug: &str) -> BTreeMap<String, BTreeSet<String>> {
    let org = format!("with org as (select organization_id as o from organizations where slug = '{slug}')");
    let called = format!(
        "{org} select id, 'root' as name from folders, org where organization_id = o and parent_folder_id is null
         union all select id, 'builtin role ' || name from roles, org where organization_id = o and builtin
         union all select g.id, 'builtin group ' || g.name from user_groups g, org
             where g.organization_id = o and g.builtin_role_id is not null
         union all select id, split_part(email, '@', 1) from users, org where organization_id = o and password_hash is not null"
    );
    let called = database.rows(&called).await;
    let sql = format!(
        "{org}, r as (
             select 'folder' as what, jsonb_build_array(f.id, f.parent_folder_id, f.name, f.description, f.version, f.ancestors) as row
                 from folders f, org where organization_id = o
             union all select 'user_group', jsonb_build_array(g.id, g.folder_id, g.name, g.description, g.version, g.is_published)
                 from user_groups g, org where organization_id = o
             union all select 'team', jsonb_build_array(t.id, t.folder_id, t.name, t.description, t.version, t.leader_id)
                 from teams t, org where organization_id = o
             union all select 'role', jsonb_build_array(r.id, r.folder_id, r.name, r.description, r.version, r.permissions)
                 from roles r, org where organization_id = o
             union all select 'role_assignment', jsonb_build_array(a.id, a.folder_id, a.name, a.description, a.version, a.user_id,
                     a.user_group_id, a.role_id, a.is_recursive)
                 from role_assignments a, org where organization_id = o and not (a.builtin)
             union all select 'user', jsonb_build_array(u.id, u.first_name, u.observation, u.is_active, u.version)
                 from users u, org where organization_id = o
             union all select 'invitation', jsonb_build_array(i.id, i.invited_by, i.state) from invitations i, org
                 where organization_id = o and invitee_identifier like 'invited%'
             union all select 'membership', jsonb_build_array(m.user_group_id, m.user_id) from user_group_members m, org
                 where organization_id = o
             union all select 'team_people', jsonb_build_array(p.team_id, p.user_id, p.part) from team_people p, org
                 where organization_id = o
             union all select 'perimeter', jsonb_build_array(p.role_assignment_id, p.folder_id)
                 from role_assignment_folders p join role_assignments a on a.organization_id = p.organization_id
                     and a.id = p.role_assignment_id, org where p.organization_id = o and not a.builtin
             union all select 'invitation_group', jsonb_build_array(g.invitation_id, g.user_group_id)
                 from invitation_user_groups g, org where organization_id = o
             union all select 'invitation_team', jsonb_build_array(t.invitation_id, t.team_id) from invitation_teams t, org
                 where organization_id = o
             union all select 'credential', jsonb_build_array(s.user_id) from sessions s, org where organization_id = o)
         select what, row from r"
    );
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in database.rows(&sql).await {
        let what = row["what"].as_str().expect("a table").to_owned();
        let mut text = row["row"].to_string();
        for known in &called {
            let (id, name) = (known["id"].as_str().expect("an id"), known["name"].as_str().expect("a name"));
            text = text.replace(id, name);
        }
        tables.entry(what).or_default().insert(text);
    }
    tables
}

/// What one of two looks has and the other has not.
pub(super) fn difference(
    one: &BTreeMap<String, BTreeSet<String>>,
    other: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<(String, String)> {
    let flat = |rows: &BTreeMap<String, BTreeSet<String>>| -> BTreeSet<(String, String)> {
        rows.iter().flat_map(|(table, rows)| rows.iter().map(|row| (table.clone(), row.clone()))).collect()
    };
    flat(one).symmetric_difference(&flat(other)).cloned().collect()
}

/// The fields of a row.
pub(super) fn fields(row: &str) -> Vec<Value> {
    serde_json::from_str(row).expect("a row")
}
