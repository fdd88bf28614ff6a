//! `docs/asvs.md`, held against the numbers of the standard and against the tests that there are.

use std::collections::BTreeSet;

use harness::repository;

/// The sections of ASVS 5.0.0, V6 to V9, and how many requirements of levels 1 and 2 each has: they are its first ones.
const SECTIONS: [(&str, usize); 19] = [
    ("6.1", 3),
    ("6.2", 12),
    ("6.3", 4),
    ("6.4", 4),
    ("6.5", 5),
    ("6.6", 3),
    ("6.8", 4),
    ("7.1", 3),
    ("7.2", 4),
    ("7.3", 2),
    ("7.4", 5),
    ("7.5", 2),
    ("7.6", 2),
    ("8.1", 2),
    ("8.2", 3),
    ("8.3", 1),
    ("8.4", 1),
    ("9.1", 3),
    ("9.2", 4),
];

/// The number of each requirement in the list, and what is said of it.
fn rows() -> Vec<(String, String)> {
    let document = std::fs::read_to_string(repository("docs/asvs.md")).expect("docs/asvs.md");
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, _, shown] = cells[..] else { return None };
        number.starts_with(|c: char| c.is_ascii_digit()).then(|| (number.to_owned(), shown.to_owned()))
    });
    rows.collect()
}

#[test]
fn every_requirement_of_who_one_is_and_what_he_may_do_is_there_once_and_says_something() {
    let wanted: Vec<String> =
        SECTIONS.iter().flat_map(|(section, count)| (1..=*count).map(move |n| format!("{section}.{n}"))).collect();
    let rows = rows();
    let found: Vec<&String> = rows.iter().map(|(number, _)| number).collect();
    assert_eq!(found, wanted.iter().collect::<Vec<_>>());
    for (number, shown) in &rows {
        assert!(!shown.is_empty(), "{number} says nothing");
        assert!(!shown.contains("open: ("), "{number} does not say in words what is missing");
    }
}

#[test]
fn every_test_that_is_named_there_exists() {
    let rows = rows();
    let named: BTreeSet<&str> = rows
        .iter()
        .flat_map(|(_, shown)| shown.split('`').skip(1).step_by(2))
        .filter(|text| text.contains("::"))
        .collect();
    assert!(named.len() > 30, "{named:?}");
    for test in named {
        let (file, name) = test.split_once("::").expect("a file and a name");
        let source =
            std::fs::read_to_string(repository(file)).unwrap_or_else(|_| panic!("{test}: there is no such file"));
        let lines: Vec<&str> = source.lines().map(str::trim).collect();
        let at = lines.iter().position(|line| {
            line.trim_start_matches("async ")
                .strip_prefix("fn ")
                .is_some_and(|rest| rest.starts_with(&format!("{name}(")))
        });
        let at = at.unwrap_or_else(|| panic!("{test}: there is no such test"));
        assert!(matches!(lines[at - 1], "#[test]" | "#[tokio::test]"), "{test} is no test");
    }
}
