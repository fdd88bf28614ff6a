//! What lists, counts, single reads and `permissions/check` say of a random organization is what a model says that knows
//! nothing of ours: it walks up the tree, one grant at a time.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Caller, TestApp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::roles::{folder, holder, id, nobody, root};

/// What is listed where, and what it takes.
const KINDS: [(&str, &str); 5] = [
    ("folders", "view_folder"),
    ("user-groups", "view_user_group"),
    ("roles", "view_role"),
    ("role-assignments", "view_role_assignment"),
    ("users", "view_user"),
];

/// All that there is, as one who sees everything is shown it: kind, id, object.
struct Model(BTreeMap<&'static str, BTreeMap<String, Value>>);

fn one(value: &Value) -> Option<&str> {
    value["id"].as_str()
}

fn ids(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(one)
}

impl Model {
    async fn read(admin: &Caller) -> Self {
        let mut all = BTreeMap::new();
        for (kind, _) in KINDS {
            let listed = list(admin, kind).await.expect("he sees everything");
            all.insert(kind, listed);
        }
        Self(all)
    }

    fn of(&self, kind: &str) -> &BTreeMap<String, Value> {
        &self.0[kind]
    }

    fn parent(&self, folder: &str) -> Option<&str> {
        one(&self.of("folders")[folder]["parent_folder"])
    }

    /// The folder and those above it.
    fn way_up<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        std::iter::successors(Some(folder), |at| self.parent(at))
    }

    fn groups_of<'a>(&'a self, user: &str) -> BTreeSet<&'a str> {
        ids(&self.of("users")[user]["user_groups"]).collect()
    }

    /// Assignments that give a user a permission, by folder: id, whether recursive.
    fn grants<'a>(&'a self, user: &str, permission: &str) -> Vec<(&'a str, &'a str, bool)> {
        let groups = self.groups_of(user);
        let mut grants = Vec::new();
        for (id, given) in self.of("role-assignments") {
            let is_his =
                one(&given["user"]) == Some(user) || one(&given["user_group"]).is_some_and(|g| groups.contains(g));
            let role = &self.of("roles")[one(&given["role"]).expect("a role")];
            let allows = role["permissions"].as_array().expect("a list").contains(&json!(permission));
            if is_his && allows {
                let is_recursive = given["is_recursive"] == true;
                grants.extend(ids(&given["perimeter_folders"]).map(|folder| (folder, id.as_str(), is_recursive)));
            }
        }
        grants
    }

    /// The assignments by which a user holds a permission over a folder.
    fn reasons(&self, user: &str, permission: &str, folder: &str) -> BTreeSet<&str> {
        let mut reasons = BTreeSet::new();
        for (over, id, is_recursive) in self.grants(user, permission) {
            if over == folder || is_recursive && self.way_up(folder).any(|at| at == over) {
                reasons.insert(id);
            }
        }
        reasons
    }

    fn holds(&self, user: &str, permission: &str, folder: &str) -> bool {
        !self.reasons(user, permission, folder).is_empty()
    }

    /// Members of the folder's groups, and whoever was given a role over it.
    fn people(&self, folder: &str) -> BTreeSet<&str> {
        let groups = self.of("user-groups").iter().filter(|(_, group)| one(&group["folder"]) == Some(folder));
        let mut holding: BTreeSet<&str> = groups.map(|(id, _)| id.as_str()).collect();
        let mut people = BTreeSet::new();
        for given in self.of("role-assignments").values().filter(|a| ids(&a["perimeter_folders"]).any(|f| f == folder))
        {
            holding.extend(one(&given["user_group"]));
            people.extend(one(&given["user"]));
        }
        let users = self.of("users").keys().map(String::as_str);
        people.extend(users.filter(|user| !self.groups_of(user).is_disjoint(&holding)));
        people
    }

    fn sees(&self, user: &str, (kind, permission): (&str, &str), id: &str) -> bool {
        let object = &self.of(kind)[id];
        let grants = self.grants(user, permission);
        match kind {
            "folders" => {
                let parent = self.parent(id);
                self.holds(user, permission, id) || grants.iter().any(|(over, ..)| Some(*over) == parent)
            }
            "users" => {
                let everywhere = grants.iter().any(|(over, _, deep)| *deep && self.parent(over).is_none());
                let mut folders = self.of("folders").keys();
                everywhere
                    || id == user
                    || folders.any(|f| self.holds(user, permission, f) && self.people(f).contains(id))
            }
            _ => {
                let folder = one(&object["folder"]).expect("a folder");
                let from_below = grants.iter().any(|(over, ..)| self.way_up(over).any(|at| at == folder));
                self.holds(user, permission, folder) || object["is_published"] == true && from_below
            }
        }
    }
}

/// All of a list, a few at a time; none for whoever holds the permission nowhere. What is counted is what is listed.
async fn list(caller: &Caller, kind: &str) -> Option<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    loop {
        let answer = caller.get(&format!("/{kind}?limit=50&offset={}", found.len())).await;
        if answer.status == 403 {
            return None;
        }
        let page = answer.ok();
        let before = found.len();
        for object in page["results"].as_array().expect("results") {
            found.insert(id(object), object.clone());
        }
        if page["count"].as_u64() == Some(found.len() as u64) {
            return Some(found);
        }
        assert!(found.len() > before, "{kind}: as many as are counted: {page}");
    }
}

fn pick<'a>(rng: &mut StdRng, from: &'a [String]) -> &'a str {
    &from[rng.random_range(0..from.len())]
}

fn some<'a>(rng: &mut StdRng, from: &'a [String], most: usize) -> BTreeSet<&'a str> {
    (0..rng.random_range(1..=most)).map(|_| pick(rng, from)).collect()
}

/// Folders, roles, groups, people and assignments, by chance.
async fn populate(rng: &mut StdRng, admin: &Caller) -> Vec<Caller> {
    let mut folders = vec![root(admin).await];
    for n in 1..12 {
        let parent = pick(rng, &folders[folders.len().saturating_sub(4)..]).to_owned();
        folders.push(folder(admin, &format!("F{n}"), &parent).await);
    }
    let (mut roles, mut groups, mut people) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..5 {
        let permissions: Vec<&str> = KINDS.iter().map(|(_, view)| *view).filter(|_| rng.random_bool(0.5)).collect();
        let body = json!({
            "name": format!("R{n}"), "folder": pick(rng, &folders), "permissions": permissions, "is_published": rng.random_bool(0.5),
        });
        roles.push(id(&admin.post("/roles", body).await.created()));
        let body =
            json!({ "name": format!("G{n}"), "folder": pick(rng, &folders), "is_published": rng.random_bool(0.5) });
        groups.push(id(&admin.post("/user-groups", body).await.created()));
    }
    let all: Vec<String> = list(admin, "user-groups").await.expect("he sees them").into_keys().collect();
    for n in 0..5 {
        let user = nobody(admin, &format!("u{n}@example.com")).await;
        let mut his = some(rng, &groups, 2);
        if rng.random_bool(0.5) {
            // Not of the root's own, who would see everything.
            his.insert(pick(rng, &all[6..]));
        }
        admin.patch(&format!("/users/{}", user.id), json!({ "user_groups": his })).await.ok();
        people.push(user);
    }
    for n in 0..14 {
        let mut body = json!({
            "name": format!("A{n}"), "folder": pick(rng, &folders), "role": pick(rng, &roles),
            "perimeter_folders": some(rng, &folders, 3), "is_recursive": rng.random_bool(0.5), "is_published": rng.random_bool(0.3),
        });
        if rng.random_bool(0.5) {
            body["user"] = json!(people[rng.random_range(0..people.len())].id);
        } else {
            body["user_group"] = json!(pick(rng, &groups));
        }
        admin.post("/role-assignments", body).await.created();
    }
    people
}

async fn compare_sight(model: &Model, who: &Caller) -> usize {
    let (me, mut seen) = (who.id.to_string(), 0);
    for (kind, permission) in KINDS {
        let holds_it = !model.grants(&me, permission).is_empty();
        let expected: BTreeSet<&String> =
            model.of(kind).keys().filter(|id| model.sees(&me, (kind, permission), id)).collect();
        let listed = list(who, kind).await;
        assert_eq!(listed.is_some(), holds_it, "{} and {kind}", who.email);
        let listed = listed.unwrap_or_default();
        if holds_it {
            assert_eq!(listed.keys().collect::<BTreeSet<_>>(), expected, "{} and {kind}", who.email);
            seen += listed.len();
        }
        // Every object that is not of those that folders are born with, and some that are.
        let objects =
            model.of(kind).iter().enumerate().filter(|(n, (_, object))| object["builtin"] != true || n % 7 == 0);
        for (_, (id, object)) in objects {
            let statuses = if kind == "users" { vec![""] } else { vec!["", "/object"] };
            for part in statuses {
                let answer = who.get(&format!("/{kind}/{id}{part}")).await;
                let expected = match (holds_it, expected.contains(id)) {
                    (true, true) => 200,
                    (true, false) => 404,
                    (false, _) => 403,
                };
                assert_eq!(answer.status, expected, "{} and {object}:\n{}", who.email, answer.whole());
            }
        }
    }
    seen
}

async fn compare_checks(model: &Model, admin: &Caller, people: &[Caller]) -> usize {
    let folders: Vec<&String> = model.of("folders").keys().collect();
    let (mut questions, mut expected) = (Vec::new(), Vec::new());
    for who in people {
        for (_, permission) in KINDS {
            for folder in &folders {
                let reasons = model.reasons(&who.id.to_string(), permission, folder);
                questions.push(json!({ "user": who.id, "permission": permission, "folder": folder }));
                expected.push(json!({ "allowed": !reasons.is_empty(), "reason": reasons }));
            }
        }
    }
    for (questions, expected) in questions.chunks(100).zip(expected.chunks(100)) {
        let answer = admin.post("/permissions/check", json!({ "checks": questions })).await.ok();
        for (n, question) in questions.iter().enumerate() {
            assert_eq!(answer["results"][n], expected[n], "{question}");
        }
    }
    expected.iter().filter(|answer| answer["allowed"] == true).count()
}

#[tokio::test]
async fn everything_agrees_with_a_walk_up_the_tree() {
    let app = TestApp::start().await;
    for seed in 1..=2 {
        let admin = app.organization(&format!("acme{seed}")).administrator().await;
        let people = populate(&mut StdRng::seed_from_u64(seed), &admin).await;
        let model = Model::read(&admin).await;
        let mut seen = 0;
        for who in &people {
            seen += compare_sight(&model, who).await;
        }
        let allowed = compare_checks(&model, &admin, &people).await;
        assert!(seen > 50 && allowed > 20, "seed {seed} tries something: {seen} seen, {allowed} allowed");
    }
    app.finish().await;
}

/// What Postgres is asked differs: it is told which folders those are while they are few, and else where in the tree.
#[tokio::test]
async fn a_reach_of_no_few_or_many_folders_holds_the_mails_and_invitations_that_lie_there() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let root = root(&admin).await;
    let (north, south) = (folder(&admin, "north", &root).await, folder(&admin, "south", &root).await);
    for n in 0..201 {
        folder(&admin, &format!("north {n}"), &north).await;
    }
    let all = ["view_invitation", "invite_user", "view_email", "retry_email"];
    let many = holder(&admin, "many@example.com", &all, &north).await;
    let few = holder(&admin, "few@example.com", &all, &south).await;
    let none = holder(&admin, "none@example.com", &["invite_user", "retry_email"], &north).await;
    let uuid = |invitation: &Value| invitation["uuid"].as_str().expect("an id").to_owned();
    let mut made = Vec::new();
    for folder in [&north, &south] {
        let body = json!({ "invitee_identifier": format!("{folder}@example.com"), "role": "reader", "folder": folder });
        let invitation = uuid(&admin.post("/invitations", body).await.created());
        let mails = admin.get(&format!("/emails?invitation={invitation}")).await.ok();
        made.push((format!("/invitations/{invitation}"), format!("/emails/{}", id(&mails["results"][0]))));
    }
    let [in_north, in_south] = [&made[0], &made[1]];
    for (who, (invitation, mail), other) in [(&many, in_north, in_south), (&few, in_south, in_north)] {
        let invitations = who.get("/invitations").await.ok();
        assert_eq!(invitations["count"], 1, "{} sees {invitations}", who.email);
        assert_eq!(format!("/invitations/{}", uuid(&invitations["results"][0])), *invitation);
        let mails = who.get("/emails").await.ok();
        assert_eq!(mails["count"], 1, "{} sees {mails}", who.email);
        assert_eq!(format!("/emails/{}", id(&mails["results"][0])), *mail);
        who.get(invitation).await.ok();
        who.get(mail).await.ok();
        who.get(&other.0).await.problem(404, "not_found");
        who.get(&other.1).await.problem(404, "not_found");
    }
    for who in [&many, &none] {
        who.delete(&in_south.0).await.problem(404, "not_found");
        who.post(&format!("{}/resend", in_south.0), json!({})).await.problem(404, "not_found");
        who.post(&format!("{}/retry", in_south.1), json!({})).await.problem(404, "not_found");
    }
    app.finish().await;
}
