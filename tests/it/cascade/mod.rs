//! Previews and batches tell the truth: what a preview says is what the delete then does, row by row, and a batch does what the
//! same single calls do. Tried on organizations drawn at random; the seed is part of what a failure prints.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use harness::{Answer, Caller, TestApp};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use uuid::Uuid;
use world::{KINDS, World, difference, fields, rows};

type Rows = BTreeMap<String, BTreeSet<String>>;

/// Ids by kind.
type Sets = BTreeMap<String, BTreeSet<String>>;

fn gone<'a>(before: &'a Rows, after: &'a Rows, table: &str) -> Vec<Vec<Value>> {
    let empty = BTreeSet::new();
    let after = after.get(table).unwrap_or(&empty);
    before.get(table).unwrap_or(&empty).difference(after).map(|row| fields(row)).collect()
}

fn ids(rows: &Rows, kind: &str) -> BTreeSet<String> {
    rows.get(kind).into_iter().flatten().map(|row| id(&fields(row)[0])).collect()
}

fn id(value: &Value) -> String {
    value.as_str().expect("an id").to_owned()
}

/// What happened between two looks at the rows: what is gone, and what is still there but lost something.
fn happened(before: &Rows, after: &Rows) -> (Sets, Sets) {
    let (mut deleted, mut affected) = (Sets::new(), Sets::new());
    for (kind, _) in KINDS {
        deleted.insert(kind.into(), ids(before, kind).difference(&ids(after, kind)).cloned().collect());
    }
    let mut touched = |kind: &str, value: &Value| {
        if ids(after, kind).contains(&id(value)) {
            affected.entry(kind.into()).or_default().insert(id(value));
        }
    };
    for row in gone(before, after, "membership") {
        touched("user_group", &row[0]);
        touched("user", &row[1]);
    }
    for row in gone(before, after, "team_people") {
        touched("team", &row[0]);
    }
    for row in gone(before, after, "team") {
        touched("team", &row[0]);
    }
    for row in gone(before, after, "perimeter") {
        touched("role_assignment", &row[0]);
    }
    for table in ["invitation", "invitation_group", "invitation_team"] {
        for row in gone(before, after, table) {
            touched("invitation", &row[0]);
        }
    }
    (deleted, affected)
}

/// The ids that a part of a preview names, by kind; its two lists must agree.
fn named(part: &Value) -> Sets {
    let mut sets = Sets::new();
    for group in part["grouped_objects"].as_array().expect("groups") {
        let ids = group["objects"].as_array().expect("objects").iter().map(|object| id(&object["id"])).collect();
        sets.insert(group["model"].as_str().expect("a model").to_owned(), ids);
    }
    let mut related = Sets::new();
    for object in part["related_objects"].as_array().expect("objects") {
        related.entry(object["model"].as_str().expect("a model").to_owned()).or_default().insert(id(&object["id"]));
    }
    assert_eq!(sets, related, "the two lists of a preview");
    sets
}

fn drop_empty(sets: Sets) -> Sets {
    sets.into_iter().filter(|(_, ids)| !ids.is_empty()).collect()
}

fn count(sets: &Sets) -> usize {
    sets.values().map(BTreeSet::len).sum()
}

#[tokio::test]
async fn what_a_preview_says_is_what_the_delete_then_does() {
    let app = TestApp::start().await;
    for seed in 1..=3 {
        let slug = format!("seed{seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let world = World::make(&app, &slug, &mut rng).await;
        for _ in 0..12 {
            let (kind, path) = *KINDS.choose(&mut rng).expect("a kind");
            let victim = *world.ids[kind].choose(&mut rng).expect("an object");
            let path = format!("/{path}/{victim}");
            let before = rows(app.database(), &slug).await;
            let preview = world.admin.get(&format!("{path}/cascade-info")).await;
            let delete = world.admin.delete(&path).await;
            let after = rows(app.database(), &slug).await;
            let context = format!("seed {seed}, {path}\n{}", preview.whole());
            assert_eq!(preview.status == 200, delete.status == 204, "both or neither: {context}\n{}", delete.whole());
            if delete.status != 204 {
                assert_eq!(delete.status, 404, "it went with another: {context}\n{}", delete.whole());
                assert_eq!(before, after, "a refusal changes nothing: {context}");
                continue;
            }
            let preview = preview.ok();
            let (mut deleted, affected) = happened(&before, &after);
            assert!(deleted.get_mut(kind).expect("a kind").remove(&victim.to_string()), "it is gone: {context}");
            let sessions = gone(&before, &after, "credential").len();
            assert_eq!(preview["deleted"]["count"], json!(count(&deleted) + sessions), "{context}");
            assert_eq!(named(&preview["deleted"]), drop_empty(deleted), "deleted: {context}");
            assert_eq!(preview["affected"]["count"], json!(count(&affected)), "{context}");
            assert_eq!(named(&preview["affected"]), affected, "affected: {context}");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn a_preview_counts_what_its_reader_may_not_see_and_does_not_name_it() {
    let app = TestApp::start().await;
    let mut previews = 0;
    for seed in 11..=14 {
        let slug = format!("seed{seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let world = World::make(&app, &slug, &mut rng).await;
        for (kind, path) in KINDS {
            for object in &world.ids[kind] {
                let path = format!("/{path}/{object}/cascade-info");
                let (all, some) = (world.admin.get(&path).await.ok(), world.manager.get(&path).await);
                if some.status != 200 {
                    assert!([403, 404].contains(&some.status.as_u16()), "{}", some.whole());
                    continue;
                }
                previews += 1;
                let some = some.ok();
                for part in ["deleted", "affected"] {
                    assert_eq!(some[part]["count"], all[part]["count"], "seed {seed}, {path}");
                    let (named, all) = (named(&some[part]), named(&all[part]));
                    for (kind, ids) in all {
                        for id in ids {
                            let told = named.get(&kind).is_some_and(|ids| ids.contains(&id));
                            let place =
                                KINDS.iter().find(|(known, _)| *known == kind).map_or("invitations", |(_, p)| p);
                            let sees = world.manager.get(&format!("/{place}/{id}")).await.status == 200;
                            assert_eq!(told, sees, "seed {seed}, {path}: {kind} {id}");
                        }
                    }
                }
            }
        }
    }
    assert!(previews > 10, "the manager may delete some: {previews}");
    app.finish().await;
}

/// Something to do with many objects of a kind: a batch, and for one of them the same single call.
struct Deed {
    batch: Value,
    single: Option<Value>,
}

fn deed(world: &World, kind: &str, rng: &mut StdRng) -> Deed {
    let folder = *world.ids["folder"].choose(rng).expect("a folder");
    let user = *world.ids["user"].choose(rng).expect("a user");
    let change = |batch: Value, single: Value| Deed { batch, single: Some(single) };
    let lists: &[&str] = match kind {
        "user" => &["user_groups"],
        "team" => &["members", "deputies"],
        "role_assignment" => &["perimeter_folders"],
        _ => &[],
    };
    match rng.random_range(0..4) {
        0 => Deed { batch: json!({ "action": "delete" }), single: None },
        1 if kind == "user" => change(
            json!({ "action": "change_field", "field": "is_active", "value": false }),
            json!({ "is_active": false }),
        ),
        1 => change(
            json!({ "action": "change_field", "field": "description", "value": "together" }),
            json!({ "description": "together" }),
        ),
        2 if !lists.is_empty() => {
            let field = lists.choose(rng).expect("a list");
            let value = match *field {
                "user_groups" => *world.ids["user_group"].choose(rng).expect("a group"),
                "perimeter_folders" => folder,
                _ => user,
            };
            change(json!({ "action": "change_m2m", "field": field, "value": [value] }), json!({ *field: [value] }))
        }
        _ if kind == "user" => change(
            json!({ "action": "change_field", "field": "first_name", "value": "Same" }),
            json!({ "first_name": "Same" }),
        ),
        _ => {
            let field = if kind == "folder" { "parent_folder" } else { "folder" };
            change(json!({ "action": "change_folder", "value": folder }), json!({ field: folder }))
        }
    }
}

async fn single(caller: &Caller, path: &str, deed: &Deed) -> Answer {
    match &deed.single {
        None => caller.delete(path).await,
        Some(body) => caller.patch(path, body.clone()).await,
    }
}

#[tokio::test]
async fn a_batch_does_what_the_same_single_calls_do() {
    let app = TestApp::start().await;
    let mut done = (0, 0);
    for seed in 21..=23 {
        let (one, other) = (format!("batch{seed}"), format!("single{seed}"));
        // The same ids in both organizations: nothing of one is the other's.
        let batched = World::make(&app, &one, &mut StdRng::seed_from_u64(seed)).await;
        let singly = World::make(&app, &other, &mut StdRng::seed_from_u64(seed)).await;
        let mut rng = StdRng::seed_from_u64(seed + 1000);
        for _ in 0..10 {
            let (kind, path) = *KINDS.choose(&mut rng).expect("a kind");
            let deed = deed(&batched, kind, &mut rng);
            let mut ids: Vec<Uuid> = (0..5).map(|_| *batched.ids[kind].choose(&mut rng).expect("an id")).collect();
            ids.push(Uuid::nil());
            let as_admin = rng.random_bool(0.4);
            let who = |world: &World| if as_admin { world.admin.clone() } else { world.manager.clone() };
            let mut body = deed.batch.clone();
            body["ids"] = json!(ids);
            let context = format!("seed {seed}, {path}, {body}, as admin: {as_admin}");

            let before = rows(app.database(), &one).await;
            let batch = who(&batched).post(&format!("/{path}/batch-action"), body).await;
            let mut seen = BTreeSet::new();
            ids.retain(|id| seen.insert(*id));
            if [400, 403].contains(&batch.status.as_u16()) {
                // A value that is not there for the caller, or a permission that he holds nowhere: as for a single call.
                assert_eq!(rows(app.database(), &one).await, before, "nothing is done: {context}\n{}", batch.whole());
                continue;
            }
            let batch = batch.ok();
            let mut expected = (Vec::new(), Vec::new());
            for id in &ids {
                let answer = single(&who(&singly), &format!("/{path}/{id}"), &deed).await;
                if answer.status.is_success() {
                    expected.0.push(json!(id));
                } else {
                    expected.1.push(json!([id, answer.any_problem()["code"]]));
                }
            }
            let list = |name: &str| batch[name].as_array().expect("a list").clone();
            let succeeded: Vec<Value> = list("succeeded").iter().map(|done| done["id"].clone()).collect();
            let failed: Vec<Value> =
                list("failed").iter().map(|failed| json!([failed["id"], failed["code"]])).collect();
            assert_eq!((succeeded, failed), expected, "{context}\n{batch:#}");
            done = (done.0 + expected.0.len(), done.1 + expected.1.len());
            let differs = difference(&rows(app.database(), &one).await, &rows(app.database(), &other).await);
            assert_eq!(differs, [], "{context}\n{batch:#}");
        }
    }
    assert!(done.0 > 20 && done.1 > 20, "both happen: {done:?}");
    app.finish().await;
}
