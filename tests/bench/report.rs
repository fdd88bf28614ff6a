//! Figures, side by side with their targets: for people as a table, for programs as JSON.

use serde_json::{Value, json};
use tenantry_shared::clock::Clock;

use crate::load::Load;
use crate::usage;

/// What the ratio, or the figure itself where it stands alone, shall be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing: it is only told.
    None,
}

impl Target {
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(value >= least),
            Self::AtMost(most) => Some(value <= most),
            Self::None => None,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::AtMost(most) => format!("≤ {most}"),
            Self::None => "–".to_owned(),
        }
    }
}

/// A figure of ours, and of what it is compared with: one of each round.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) figure: String,
    /// Empty where the figure stands alone.
    pub(crate) against: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Vec<f64>,
    pub(crate) theirs: Vec<f64>,
    pub(crate) target: Target,
    /// What they are made of.
    pub(crate) loads: Vec<Load>,
    /// What else was seen.
    pub(crate) notes: Vec<String>,
}

impl Comparison {
    /// A figure that is not compared.
    pub(crate) fn alone(figure: &str, unit: &'static str, ours: Vec<f64>, target: Target) -> Self {
        let (figure, against) = (figure.to_owned(), String::new());
        Self { figure, against, unit, ours, theirs: Vec::new(), target, loads: Vec::new(), notes: Vec::new() }
    }

    /// The ratio of the medians; of one that stands alone, its median.
    fn value(&self) -> f64 {
        if self.theirs.is_empty() { median(&self.ours) } else { median(&self.ours) / median(&self.theirs) }
    }

    /// The least and the largest of single rounds.
    fn spread(&self) -> (f64, f64) {
        let theirs = self.theirs.iter().copied().chain(std::iter::repeat(1.0));
        let values: Vec<f64> = self.ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(0.0, f64::max))
    }

    fn errors(&self) -> u64 {
        self.loads.iter().map(|load| load.errors).sum()
    }

    /// A fast answer that is an error is none.
    fn is_met(&self) -> Option<bool> {
        self.target.is_met(self.value()).map(|is_met| is_met && self.errors() == 0)
    }

    fn line(&self) -> Vec<String> {
        let (least, most) = self.spread();
        let theirs = if self.theirs.is_empty() { "–".to_owned() } else { number(median(&self.theirs)) };
        let ratio = if self.theirs.is_empty() { "–".to_owned() } else { number(self.value()) };
        let met = match self.is_met() {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "–",
        };
        vec![
            self.figure.clone(),
            format!("{} {}", number(median(&self.ours)), self.unit),
            self.against.clone(),
            theirs,
            ratio,
            format!("{}–{}", number(least), number(most)),
            self.target.words(),
            met.to_owned(),
        ]
    }

    /// What was asked of each, how fast, and what it took.
    pub(crate) fn loads_table(&self) -> String {
        let mut text = format!("\n{}\n", self.figure);
        if !self.loads.is_empty() {
            let head = ["who", "pace", "per second", "p50 ms", "p99 ms", "p99.9 ms", "errors", "CPU µs each", "MB"];
            text.push_str(&table(&head, &self.loads.iter().map(Load::line).collect::<Vec<_>>()));
        }
        for note in &self.notes {
            text.push_str(&format!("  {note}\n"));
        }
        text
    }

    fn json(&self) -> Value {
        let (least, most) = self.spread();
        json!({
            "figure": self.figure,
            "against": self.against,
            "unit": self.unit,
            "ours": self.ours,
            "theirs": self.theirs,
            "value": self.value(),
            "spread": [least, most],
            "target": self.target.words(),
            "errors": self.errors(),
            "met": self.is_met(),
            "loads": self.loads.iter().map(Load::json).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

/// All rows.
#[derive(Debug)]
pub(crate) struct Report {
    is_short: bool,
    rows: Vec<(String, Vec<Comparison>)>,
}

impl Report {
    pub(crate) fn new(is_short: bool) -> Self {
        Self { is_short, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: &str, comparisons: Vec<Comparison>) {
        self.rows.push((row.to_owned(), comparisons));
    }

    /// A row that could not be measured has met nothing.
    pub(crate) fn fail(&mut self, row: &str) {
        self.add(row, Vec::new());
    }

    /// Whether everything was measured, and every target met.
    pub(crate) fn is_good(&self) -> bool {
        self.rows.iter().all(|(_, row)| !row.is_empty() && row.iter().all(|it| it.is_met() != Some(false)))
    }

    pub(crate) fn table(&self) -> String {
        let head = ["figure", "ours", "against", "theirs", "ratio", "of single rounds", "target", ""];
        let mut lines: Vec<Vec<String>> = Vec::new();
        for (row, comparisons) in &self.rows {
            lines.extend(comparisons.iter().map(Comparison::line));
            if comparisons.is_empty() {
                lines.push([row, "could not be measured", "", "", "", "", "", "NOT MET"].map(str::to_owned).to_vec());
            }
        }
        let short = if self.is_short { " Rounds were short: not for the record." } else { "" };
        format!("\n{}\nMedians of rounds that took turns.{short}\n", table(&head, &lines))
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|(row, comparisons)| {
            json!({ "row": row, "comparisons": comparisons.iter().map(Comparison::json).collect::<Vec<_>>() })
        });
        json!({
            "at": Clock::default().now().to_rfc3339(),
            "processors": usage::processors(),
            "short": self.is_short,
            "good": self.is_good(),
            "rows": rows.collect::<Vec<_>>(),
        })
    }
}

/// The one in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// With as many digits as mean something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Lines of columns.
fn table(head: &[&str], lines: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let all = || std::iter::once(&head).chain(lines);
    let width = |column: usize| all().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let show = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule: String = widths.iter().map(|width| format!("|{}", "-".repeat(width + 2))).collect();
    format!("{}{rule}|\n{}", show(&head), lines.iter().map(show).collect::<String>())
}
