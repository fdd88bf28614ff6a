//! `docs/asvs.md`, held against the numbers of the standard and against the tests that there are.

use std::collections::BTreeSet;

use crate::named::{demand_test, quoted, rows};

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
fn requirements() -> Vec<(String, String)> {
    let of_requirement = |cells: Vec<String>| {
        let [number, _, _, shown] = <[String; 4]>::try_from(cells).ok()?;
        number.starts_with(|c: char| c.is_ascii_digit()).then_some((number, shown))
    };
    rows("docs/asvs.md").into_iter().filter_map(of_requirement).collect()
}

#[test]
fn every_requirement_of_who_one_is_and_what_he_may_do_is_there_once_and_says_something() {
    let wanted: Vec<String> =
        SECTIONS.iter().flat_map(|(section, count)| (1..=*count).map(move |n| format!("{section}.{n}"))).collect();
    let rows = requirements();
    let found: Vec<&String> = rows.iter().map(|(number, _)| number).collect();
    assert_eq!(found, wanted.iter().collect::<Vec<_>>());
    for (number, shown) in &rows {
        assert!(!shown.is_empty(), "{number} says nothing");
        assert!(!shown.contains("open: ("), "{number} does not say in words what is missing");
    }
}

#[test]
fn every_test_that_is_named_there_exists() {
    let rows = requirements();
    let named: BTreeSet<&str> =
        rows.iter().flat_map(|(_, shown)| quoted(shown)).filter(|text| text.contains("::")).collect();
    assert!(named.len() > 30, "{named:?}");
    for test in named {
        let (file, name) = test.split_once("::").expect("a file and a name");
        demand_test(file, name);
    }
}
