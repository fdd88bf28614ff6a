//! Load, made by oha: in a closed loop, in which whoever waits for an answer asks nothing; and at a fixed rate, where the time
//! counts from when a request was due, so that what queues up is not hidden.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{required, run_within};
use serde_json::{Value, json};

use crate::Effort;
use crate::report::{Comparison, Target, median, number};
use crate::usage::{Watch, Work, processors};

/// Of a closed loop: more than there are connections to Postgres, so that those are always busy.
const CONNECTIONS: usize = 32;
/// How long each is asked before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);
/// The fixed rate, as a share of what the slower of two can do.
const SHARE: f64 = 0.6;

/// What is asked again and again.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    method: &'static str,
    url: String,
    authorization: Option<String>,
    bodies: Option<PathBuf>,
    connections: usize,
}

impl Asked {
    pub(crate) fn get(url: String, token: &str) -> Self {
        let authorization = Some(format!("Bearer {token}"));
        Self { method: "GET", url, authorization, bodies: None, connections: CONNECTIONS }
    }

    /// With one of these bodies each time, whichever. They are kept in a file of `folder`.
    pub(crate) fn post(url: String, token: Option<&str>, folder: &Path, bodies: &[Value]) -> Self {
        let name: String = url.chars().filter(char::is_ascii_alphanumeric).collect();
        let file = folder.join(format!("{name}.bodies"));
        let lines: Vec<String> = bodies.iter().map(Value::to_string).collect();
        std::fs::write(&file, lines.join("\n")).expect("a file of bodies");
        let authorization = token.map(|token| format!("Bearer {token}"));
        Self { method: "POST", url, authorization, bodies: Some(file), connections: CONNECTIONS }
    }

    pub(crate) fn over(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// Asks for a while.
    pub(crate) async fn load(&self, who: &str, pace: Pace, time: Duration) -> Load {
        let watch = Watch::begin();
        let seconds = format!("{}ms", time.as_millis());
        let connections = self.connections.to_string();
        let rate = if let Pace::PerSecond(rate) = pace { rate.to_string() } else { String::new() };
        let mut arguments = vec!["--no-tui", "--no-color", "--output-format", "json", "-r", "0", "-w", "-z", &seconds];
        arguments.extend(["-c", &connections, "-m", self.method]);
        if matches!(pace, Pace::PerSecond(_)) {
            arguments.extend(["-q", &rate, "--latency-correction"]);
        }
        let authorization = self.authorization.as_ref().map(|value| format!("Authorization: {value}"));
        arguments.extend(authorization.iter().flat_map(|header| ["-H", header]));
        let bodies = self.bodies.as_ref().map(|file| file.display().to_string());
        arguments.extend(bodies.iter().flat_map(|file| ["-T", "application/json", "-Z", file]));
        arguments.push(&self.url);
        let (code, said) = run_within(time * 3 + Duration::from_secs(60), required("TEST_OHA"), &arguments, &[]).await;
        assert_eq!(code, Some(0), "oha {arguments:?}:\n{said}");
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("oha: {e}:\n{said}"));
        Load::read(who, pace, &said, watch.end())
    }
}

/// How fast it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As fast as answers come, over so many connections.
    Closed,
    PerSecond(f64),
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "closed loop"),
            Self::PerSecond(rate) => write!(f, "{}/s", number(*rate)),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) who: String,
    pub(crate) pace: Pace,
    /// Good answers.
    pub(crate) per_second: f64,
    /// Milliseconds of the 50th, the 99th and the 99.9th of a hundred.
    pub(crate) percentiles: [f64; 3],
    pub(crate) errors: u64,
    count: u64,
    work: Work,
}

impl Load {
    fn read(who: &str, pace: Pace, said: &Value, work: Work) -> Self {
        let counts = |name: &str| {
            let counts = said[name].as_object().into_iter().flatten();
            counts.map(|(what, count)| (what.clone(), count.as_u64().unwrap_or_default())).collect::<Vec<_>>()
        };
        let (good, bad): (Vec<_>, Vec<_>) =
            counts("statusCodeDistribution").into_iter().partition(|(status, _)| status.starts_with('2'));
        let failed = counts("errorDistribution").into_iter().filter(|(what, _)| !what.contains("deadline"));
        let sum = |counts: &[(String, u64)]| counts.iter().map(|(_, count)| count).sum::<u64>();
        let milliseconds = |name: &str| said["latencyPercentiles"][name].as_f64().unwrap_or(f64::NAN) * 1_000.0;
        Self {
            who: who.to_owned(),
            pace,
            per_second: sum(&good) as f64 / said["summary"]["total"].as_f64().unwrap_or(f64::NAN),
            percentiles: ["p50", "p99", "p99.9"].map(milliseconds),
            errors: sum(&bad) + failed.map(|(_, count)| count).sum::<u64>(),
            count: sum(&good),
            work,
        }
    }

    /// Of something that we did ourselves: how long each took.
    pub(crate) fn of(who: &str, pace: Pace, mut took: Vec<Duration>, errors: u64, time: Duration, work: Work) -> Self {
        took.sort_unstable();
        let at =
            |share: f64| took.get((took.len() as f64 * share) as usize).map_or(f64::NAN, |it| it.as_secs_f64() * 1e3);
        Self {
            who: who.to_owned(),
            pace,
            per_second: took.len() as f64 / time.as_secs_f64(),
            percentiles: [at(0.5), at(0.99), at(0.999)],
            errors,
            count: took.len() as u64,
            work,
        }
    }

    /// The median of all that several rounds have told.
    pub(crate) fn middle(loads: &[Self]) -> Self {
        let mut by_speed: Vec<&Self> = loads.iter().collect();
        by_speed.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        let mut middle = by_speed[by_speed.len() / 2].clone();
        let of = |at: usize| median(&loads.iter().map(|load| load.percentiles[at]).collect::<Vec<_>>());
        middle.percentiles = [of(0), of(1), of(2)];
        middle.errors = loads.iter().map(|load| load.errors).sum();
        middle
    }

    /// As a table has it.
    pub(crate) fn line(&self) -> Vec<String> {
        let each = |time: &Duration| time.as_secs_f64() * 1e6 / self.count.max(1) as f64;
        let cpu = self.work.cpu.iter().filter(|(_, time)| each(time) >= 0.5);
        let mut cpu: Vec<String> = cpu.map(|(name, time)| format!("{name} {}", number(each(time)))).collect();
        cpu.push(format!("others {:.0} %", self.work.others * 100.0));
        let memory = self.work.memory.iter().map(|(name, (size, count))| match count {
            1 => format!("{name} {size:.0}"),
            count => format!("{name} ×{count} {size:.0}"),
        });
        let [p50, p99, p999] = self.percentiles.map(number);
        let (per_second, errors) = (number(self.per_second), self.errors.to_string());
        let memory = memory.collect::<Vec<_>>().join(", ");
        vec![self.who.clone(), self.pace.to_string(), per_second, p50, p99, p999, errors, cpu.join(", "), memory]
    }

    pub(crate) fn json(&self) -> Value {
        let [p50, p99, p999] = self.percentiles;
        let seconds = |(name, time): (&String, &Duration)| (name.clone(), json!(time.as_secs_f64()));
        let memory = |(name, (size, count)): (&String, &(f64, usize))| (name.clone(), json!([size, count]));
        json!({
            "who": self.who,
            "pace": self.pace.to_string(),
            "per_second": self.per_second,
            "p50_ms": p50,
            "p99_ms": p99,
            "p99_9_ms": p999,
            "errors": self.errors,
            "requests": self.count,
            "cpu_seconds": self.work.cpu.iter().map(seconds).collect::<serde_json::Map<_, _>>(),
            "memory_mb_and_processes": self.work.memory.iter().map(memory).collect::<serde_json::Map<_, _>>(),
            "others_share_of_processors": self.work.others,
        })
    }
}

/// Two that are asked in turns, so that what else the machine does falls upon both.
pub(crate) struct Turns {
    ours: Vec<Load>,
    theirs: Vec<Load>,
    fixed: [Load; 2],
}

impl Turns {
    /// Good answers a second, of each round.
    pub(crate) fn compare(self, figure: &str, against: &str, target: Target, notes: Vec<String>) -> Comparison {
        let [ours, theirs] =
            [&self.ours, &self.theirs].map(|loads| loads.iter().map(|load| load.per_second).collect::<Vec<_>>());
        let mut loads = vec![Load::middle(&self.ours), Load::middle(&self.theirs)];
        loads.extend(self.fixed);
        let (figure, against) = (figure.to_owned(), against.to_owned());
        Comparison { figure, against, unit: "/s", ours, theirs, target, loads, notes }
    }
}

/// Asks both in turns, ours first in one round and last in the next; then both at one fixed rate.
pub(crate) async fn take_turns(effort: &Effort, ours: (&str, &Asked), theirs: (&str, &Asked)) -> Turns {
    let sides = [ours, theirs];
    for (who, asked) in sides {
        asked.load(who, Pace::Closed, WARM_UP).await;
    }
    let mut loads = [Vec::new(), Vec::new()];
    for round in 0..effort.rounds {
        for turn in 0..2 {
            let side = (round + turn) % 2;
            let (who, asked) = sides[side];
            loads[side].push(asked.load(who, Pace::Closed, effort.turn).await);
        }
    }
    let slower = loads.iter().map(|loads| Load::middle(loads).per_second).fold(f64::INFINITY, f64::min);
    let pace = Pace::PerSecond((slower * SHARE).ceil());
    let time = effort.turn * 2;
    let fixed = [ours.1.load(ours.0, pace, time).await, theirs.1.load(theirs.0, pace, time).await];
    let [ours, theirs] = loads;
    Turns { ours, theirs, fixed }
}

/// As many at once as keep all processors busy with what is all computing.
pub(crate) fn enough_for_processors() -> usize {
    processors() * 4
}
