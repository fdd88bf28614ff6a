//! What Prometheus finds, held against what `docs/operations.md` says.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Processes, Which, eventually, repository};
use prometheus_parse::{LineInfo, Scrape, Value};
use reqwest::Method;

/// A metric: its type, and the names of its labels.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

fn operations() -> String {
    std::fs::read_to_string(repository("docs/operations.md")).expect("docs/operations.md")
}

/// The table below a heading.
fn documented(heading: &str) -> Metrics {
    let document = operations();
    let (_, section) = document.split_once(&format!("\n### {heading}\n")).expect("the heading is there");
    let section = section.split("\n#").next().unwrap_or_default();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = names(cells[1]).pop_first().expect("a name");
        (name, (cells[2].to_owned(), names(cells[3])))
    })
    .collect()
}

/// Panics at what Prometheus would not read: the parser leaves that out, without a word.
fn parse(text: &str) -> Scrape {
    for line in text.lines() {
        match LineInfo::parse(line) {
            LineInfo::Sample { value, timestamp: None, .. } if value.parse::<f64>().is_ok() => {}
            LineInfo::Doc { .. } | LineInfo::Type { .. } | LineInfo::Empty => {}
            LineInfo::Sample { .. } | LineInfo::Ignored => panic!("no line of a scrape: {line:?}"),
        }
    }
    Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("a scrape that Prometheus reads")
}

/// What a process exports, as the parser understands it. The parts of a histogram count as one.
fn exported(scrape: &Scrape) -> Metrics {
    let mut metrics = Metrics::new();
    for sample in &scrape.samples {
        let kind = match &sample.value {
            Value::Counter(_) => "counter",
            Value::Gauge(_) => "gauge",
            Value::Histogram(_) => "histogram",
            Value::Summary(_) => "summary",
            Value::Untyped(_) if is_part_of_a_histogram(&sample.metric) => continue,
            Value::Untyped(_) => "untyped",
        };
        let labels = sample.labels.keys().filter(|name| *name != "le").cloned().collect();
        let known = metrics.entry(sample.metric.clone()).or_insert_with(|| (kind.to_owned(), labels));
        assert_eq!(known.0, kind, "{} is of two types", sample.metric);
    }
    metrics
}

fn is_part_of_a_histogram(name: &str) -> bool {
    name.ends_with("_seconds_sum") || name.ends_with("_seconds_count")
}

/// Some of everything: answers good and bad, pages, mails of each outcome, strangers with inventions.
async fn traffic(tenantry: &Processes) {
    let admin = tenantry.administrator_of("acme").await;
    let invitation = admin.invite("bob@example.com", "reader").await;
    tenantry.mailbox().last_to("bob@example.com").await;
    admin.get(&format!("/invitations/{}", invitation["uuid"].as_str().expect("an id"))).await.ok();
    let stranger = tenantry.anonymous();
    for n in 0..60 {
        stranger.get(&format!("/v1/orgs/invented-{n}/users")).await;
        stranger.get(&format!("/invented-{n}")).await;
        let method = Method::from_bytes(format!("INVENTED{n}").as_bytes()).expect("a method");
        stranger.call(method, &format!("/v1/orgs/invented-{n}/invitations")).await;
        admin.get(&format!("/users/invented-{n}@example.com")).await;
    }
    stranger.sign_in("acme", "bob@example.com", "wrong").await.problem(401, "invalid_credentials");
    tenantry.settle().await;
}

#[tokio::test]
async fn a_scrape_holds_what_the_documentation_says_and_nothing_else() {
    let tenantry = Processes::start().await;
    traffic(&tenantry).await;
    for (which, heading) in [(Which::Api, "API"), (Which::Worker, "Worker")] {
        let documented = documented(heading);
        assert!(documented.len() > 4, "{documented:?}");
        // Some are measured every few seconds.
        eventually(&format!("the metrics that are documented below {heading}"), || async {
            let exported = exported(&parse(&tenantry.metrics(which).await));
            documented.keys().all(|name| exported.contains_key(name)).then_some(())
        })
        .await;
        let text = tenantry.metrics(which).await;
        let scrape = parse(&text);
        assert_eq!(exported(&scrape), documented, "{heading}");
        for name in documented.keys() {
            let help = text.lines().filter(|line| line.starts_with(&format!("# HELP {name} ")));
            assert_eq!(help.count(), 1, "{name} has no HELP");
        }
    }
}

#[tokio::test]
async fn labels_are_few_and_tell_nothing_of_people_or_organizations() {
    let tenantry = Processes::start().await;
    traffic(&tenantry).await;
    for which in [Which::Api, Which::Worker] {
        let text = tenantry.metrics(which).await;
        let mut series: BTreeMap<String, usize> = BTreeMap::new();
        for sample in parse(&text).samples {
            *series.entry(sample.metric).or_default() += 1;
            for (name, value) in sample.labels.iter() {
                let is_word =
                    value.len() <= 40 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.+".contains(&b));
                let is_told = ["acme", "bob", "invented"].iter().any(|word| value.to_lowercase().contains(word));
                assert!(is_word && !is_told, "the label {name} is {value:?}");
            }
        }
        for (name, count) in series {
            assert!(count <= 40, "{count} series of {name}");
        }
    }
}

#[tokio::test]
async fn the_port_of_metrics_serves_nothing_else() {
    let tenantry = Processes::start().await;
    for which in [Which::Api, Which::Worker] {
        let port = tenantry.metrics_url(which).replace("/metrics", "");
        for path in ["/v1/orgs/acme/users", "/docs", "/openapi.json", "/readyz", "/sign-in", "/debug"] {
            let answer = tenantry.anonymous().get(&format!("{port}{path}")).await;
            assert!(exported(&parse(&answer.text)).contains_key("tenantry_build_info"), "{path}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn alert_rules_name_metrics_that_are_there() {
    let document = operations();
    let yaml = document.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the rules");
    let rules: serde_json::Value = serde_saphyr::from_str(yaml).expect("YAML");
    let known: BTreeSet<String> =
        ["API", "Worker"].into_iter().flat_map(|heading| documented(heading).into_keys()).collect();
    let rules = rules["groups"][0]["rules"].as_array().expect("rules");
    assert!(rules.len() >= 5);
    for rule in rules {
        let expression = rule["expr"].as_str().expect("an expression");
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named: Vec<&str> = words.filter(|word| word.starts_with("tenantry_")).collect();
        assert!(!named.is_empty() && rule["alert"].is_string() && rule["annotations"]["summary"].is_string(), "{rule}");
        for name in named {
            let name = name.strip_suffix("_count").unwrap_or(name);
            assert!(known.contains(name), "{expression} names {name}, which no process exports");
        }
    }
}
