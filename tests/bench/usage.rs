//! What processes take while something is measured: processor time and memory, of each program that runs under us, and how
//! much of the processors others had meanwhile. From `/proc`; elsewhere than on Linux nothing is told.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// So many ticks of `/proc`, which has a hundred a second wherever Linux runs.
fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 10)
}

/// How many processors there are.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// One process of ours.
struct Process {
    id: u32,
    parent: u32,
    name: String,
    /// Its own time.
    own: Duration,
    /// That of children of its that are gone.
    gone: Duration,
}

impl Process {
    fn read(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name is in brackets, and may hold anything.
        let (start, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let sum =
            |from: usize| fields.get(from..from + 2)?.iter().map(|it| it.parse::<u64>().ok()).sum::<Option<u64>>();
        Some(Self {
            id,
            parent: fields.get(1)?.parse().ok()?,
            name: start.split_once('(')?.1.to_owned(),
            own: ticks(sum(11)?),
            gone: ticks(sum(13)?),
        })
    }

    /// Ourselves, and all below us.
    fn ours() -> Vec<Self> {
        let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut others: Vec<Self> = ids.filter_map(Self::read).collect();
        let me = std::process::id();
        let (mut ours, rest): (Vec<Self>, Vec<Self>) = others.drain(..).partition(|process| process.id == me);
        others = rest;
        loop {
            let (found, rest): (Vec<Self>, Vec<Self>) =
                others.into_iter().partition(|process| ours.iter().any(|it| it.id == process.parent));
            if found.is_empty() {
                return ours;
            }
            ours.extend(found);
            others = rest;
        }
    }

    /// In KiB, what it shares with others divided among them.
    fn memory(&self) -> u64 {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id)).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    }
}

/// The time that each program has used so far, and the machine. Children that are gone count for what started them.
fn times() -> (BTreeMap<String, Duration>, Duration) {
    let me = std::process::id();
    let mut of: BTreeMap<String, Duration> = BTreeMap::new();
    for process in Process::ours() {
        *of.entry(process.name.clone()).or_default() += process.own;
        // What we start and wait for is the generator.
        let gone = if process.id == me { "oha" } else { &process.name };
        *of.entry(gone.to_owned()).or_default() += process.gone;
    }
    (of, busy().unwrap_or_default())
}

/// How long all processors together have worked since the machine began.
fn busy() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).filter_map(|it| it.parse().ok()).collect();
    // user, nice, system, and behind idle and waiting: interrupts, and what the host has taken from this machine.
    Some(ticks(fields.get(..3)?.iter().sum::<u64>() + fields.get(5..8)?.iter().sum::<u64>()))
}

/// What was used while something ran.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    /// Processor time by program.
    pub(crate) cpu: BTreeMap<String, Duration>,
    /// MB by program at the end, and how many processes of it.
    pub(crate) memory: BTreeMap<String, (f64, usize)>,
    /// The share of the processors that was neither ours nor idle: noise.
    pub(crate) others: f64,
}

/// Looks from now on.
pub(crate) struct Watch {
    since: Instant,
    before: (BTreeMap<String, Duration>, Duration),
}

impl Watch {
    pub(crate) fn begin() -> Self {
        Self { since: Instant::now(), before: times() }
    }

    pub(crate) fn end(self) -> Work {
        let mut memory: BTreeMap<String, (f64, usize)> = BTreeMap::new();
        for process in Process::ours() {
            let (sum, count) = memory.entry(process.name.clone()).or_default();
            *sum += process.memory() as f64 / 1024.0;
            *count += 1;
        }
        let (wall, (after, busy)) = (self.since.elapsed(), times());
        let (before, busy_before) = self.before;
        let used = |(name, time): (String, Duration)| {
            let time = time.saturating_sub(before.get(&name).copied().unwrap_or_default());
            (name, time)
        };
        let cpu: BTreeMap<String, Duration> = after.into_iter().map(used).collect();
        let all = wall.as_secs_f64() * processors() as f64;
        let others = busy.saturating_sub(busy_before).saturating_sub(cpu.values().sum());
        Work { cpu, memory, others: (others.as_secs_f64() / all).min(1.0) }
    }
}
