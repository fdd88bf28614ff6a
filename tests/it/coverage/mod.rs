//! `docs/coverage.md`, held against the three descriptions, the OpenAPI document, and the tests that there are.

mod theirs;

use std::collections::{BTreeMap, BTreeSet};

use harness::repository;
use serde_json::Value;

use crate::named::{demand_test, quoted, rows};
use theirs::{OF_ACCOUNTS, OF_ENTERPRISE, OF_IAM, Theirs};

const DOCUMENT: &str = "docs/coverage.md";

/// One line: an operation of theirs, ours with its method and path, how fields differ, and the tests.
type Line = [String; 4];

fn lines() -> Vec<Line> {
    let of_operation = |cells: Vec<String>| <Line>::try_from(cells).ok().filter(|line| line[0].starts_with('`'));
    rows(DOCUMENT).into_iter().filter_map(of_operation).collect()
}

fn all_of_theirs() -> impl Iterator<Item = &'static Theirs> {
    OF_IAM.iter().chain(&OF_ENTERPRISE).chain(&OF_ACCOUNTS)
}

/// What stands between the first two backticks after so many others.
fn word(cell: &str, n: usize) -> &str {
    quoted(cell).nth(n).unwrap_or_else(|| panic!("`{cell}` has no word {n}"))
}

/// The OpenAPI document, which another test holds against the one that is served.
struct Ours(Value);

impl Ours {
    fn read() -> Self {
        let text = std::fs::read_to_string(repository("openapi.json")).expect("openapi.json");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    /// Operations by id, with `GET /path`.
    fn operations(&self) -> BTreeMap<&str, (String, &Value)> {
        let mut all = BTreeMap::new();
        for (path, methods) in self.0["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                if let Some(id) = operation["operationId"].as_str() {
                    let short = path.strip_prefix("/v1/orgs/{organization_slug}").filter(|rest| !rest.is_empty());
                    let at = format!("{} {}", method.to_uppercase(), short.unwrap_or(path));
                    all.insert(id, (at, operation));
                }
            }
        }
        all
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} is not there")),
            None => value,
        }
    }

    /// Names of the fields of a JSON object in a request or an answer.
    fn fields(&self, content: &Value) -> BTreeSet<String> {
        let schemas = content["content"].as_object().into_iter().flatten().map(|(_, media)| &media["schema"]);
        let objects = schemas.filter_map(|schema| self.resolve(schema)["properties"].as_object());
        objects.flat_map(|properties| properties.keys().cloned()).collect()
    }

    /// Names of parameters, fields of the body, and fields of what a success answers.
    fn named(&self, operation: &Value) -> [BTreeSet<String>; 3] {
        let parameters = operation["parameters"].as_array().into_iter().flatten().map(|one| self.resolve(one));
        let parameters = parameters.filter_map(|one| one["name"].as_str().map(str::to_owned)).collect();
        let answers = operation["responses"].as_object().into_iter().flatten();
        let successes = answers.filter(|(status, _)| status.starts_with('2'));
        let answer = successes.flat_map(|(_, answer)| self.fields(self.resolve(answer))).collect();
        [parameters, self.fields(self.resolve(&operation["requestBody"])), answer]
    }
}

#[test]
fn every_operation_of_the_three_descriptions_is_there_once_and_answered() {
    assert_eq!(all_of_theirs().count(), 88);
    let lines = lines();
    let found: Vec<&str> = lines.iter().map(|line| word(&line[0], 0)).collect();
    assert_eq!(found, all_of_theirs().map(|theirs| theirs.name).collect::<Vec<_>>());
    let (ours, mut distinct) = (Ours::read(), BTreeSet::new());
    let operations = ours.operations();
    for line in &lines {
        assert!(distinct.insert(&line[0]), "{} is there twice", line[0]);
        let (id, at) = (word(&line[1], 0), word(&line[1], 1));
        let known = operations.get(id).unwrap_or_else(|| panic!("{}: there is no operation {id}", line[0]));
        assert_eq!(known.0, at, "{id} is elsewhere");
        assert!(!line[2].is_empty(), "{}: say `none` where no field differs", line[0]);
        assert!(!line.iter().any(|cell| cell.to_lowercase().contains("open:")), "{} is open", line[0]);
    }
}

#[test]
fn every_field_of_theirs_is_one_of_ours_or_its_line_tells_of_it() {
    let ours = Ours::read();
    let operations = ours.operations();
    let mut missing = Vec::new();
    for (line, theirs) in lines().iter().zip(all_of_theirs()) {
        let named = ours.named(operations[word(&line[1], 0)].1);
        let told: BTreeSet<&str> = quoted(&line[2]).collect();
        for (what, (fields, known)) in
            ["parameter", "field of the body", "field of the answer"].iter().zip(theirs.fields().iter().zip(&named))
        {
            let untold = fields.iter().filter(|field| !known.contains(**field) && !told.contains(**field));
            missing.extend(untold.map(|field| format!("{}: {what} `{field}`", theirs.name)));
        }
    }
    assert!(missing.is_empty(), "we have none of these, and {DOCUMENT} does not say so:\n{}", missing.join("\n"));
}

#[test]
fn every_line_names_tests_and_they_exist() {
    for line in lines() {
        let tests: Vec<&str> = quoted(&line[3]).collect();
        assert!(!tests.is_empty(), "{} is shown by no test", line[0]);
        for test in tests {
            let (module, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("{test} is in no module"));
            let path = format!("tests/it/{}", module.replace("::", "/"));
            let files = [format!("{path}.rs"), format!("{path}/mod.rs")];
            let file = files.iter().find(|file| repository(file).exists());
            demand_test(file.unwrap_or_else(|| panic!("{test}: there is no such module")), name);
        }
    }
}

#[test]
fn every_other_operation_of_ours_is_listed() {
    let ours = Ours::read();
    let lines = lines();
    let mut known: Vec<&str> = lines.iter().map(|line| word(&line[1], 0)).collect();
    let text = std::fs::read_to_string(repository(DOCUMENT)).expect(DOCUMENT);
    let (_, others) = text.split_once("\n## Beyond them\n").expect("a part that lists them");
    let others: Vec<&str> = quoted(others).collect();
    let distinct: BTreeSet<&str> = others.iter().copied().collect();
    assert!(distinct.len() == others.len() && known.iter().all(|id| !distinct.contains(id)), "each is there once");
    known.extend(others);
    assert_eq!(known.into_iter().collect::<BTreeSet<_>>(), ours.operations().into_keys().collect::<BTreeSet<_>>());
}
