//! The fault drill: people are invited while everything that can die is killed at random moments, and then it is counted
//! what was lost. `./dev drill` runs it.

mod blows;
mod people;
mod verdict;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use futures_util::FutureExt;
use harness::{Database, PostgresServer, Processes};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How many people are invited, into how many organizations.
const PEOPLE: usize = 1_000;
const ORGANIZATIONS: [&str; 3] = ["north", "south", "west"];
/// How long blows fall, and people are invited.
const LONG: Duration = Duration::from_secs(300);
const SHORT: Duration = Duration::from_secs(45);
/// How much longer it may take until everyone is invited and has his mail: a few attempts that failed double their pauses.
const PATIENCE: Duration = Duration::from_secs(240);

/// Invites a thousand people while processes are killed and the mail server misbehaves; exits with 1 if anything was lost.
#[derive(Debug, Parser)]
struct Options {
    /// Decides which blows fall and when; a random one, if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// 45 seconds of blows instead of five minutes.
    #[arg(long)]
    short: bool,
}

#[expect(clippy::print_stdout, reason = "a person reads it")]
fn say(line: &str) {
    println!("{line}");
}

fn main() -> ExitCode {
    let options = Options::parse();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = options.seed.unwrap_or_else(|| u64::from(now.subsec_nanos()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (start, time) = (Instant::now(), if options.short { SHORT } else { LONG });
    let Ok(mut verdict) = runtime.block_on(AssertUnwindSafe(drill(seed, time)).catch_unwind()) else {
        say(&format!("drill: FAILED: it panicked, the reason stands above; seed {seed}"));
        return ExitCode::FAILURE;
    };
    if start.elapsed() > time + PATIENCE {
        verdict.troubles.push(format!("it took {:?}, longer than mails may take", start.elapsed()));
    }
    for trouble in verdict.troubles.iter().take(20) {
        say(&format!("  {trouble}"));
    }
    say(&verdict.summary());
    ExitCode::from(u8::from(!verdict.is_good()))
}

async fn drill(seed: u64, time: Duration) -> verdict::Verdict {
    say(&format!("seed {seed}: {PEOPLE} people in {} organizations, blows for {time:?}", ORGANIZATIONS.len()));
    let mut random = StdRng::seed_from_u64(seed);
    let mut postgres = PostgresServer::start().await;
    let mut tenantry = Processes::start_on(Arc::new(Database::on(&postgres).await)).await;

    let each = PEOPLE.div_ceil(ORGANIZATIONS.len());
    let mut inviting = Vec::new();
    for (index, slug) in ORGANIZATIONS.into_iter().enumerate() {
        let admin = tenantry.administrator_of(slug).await;
        let count = each.min(PEOPLE - index * each);
        let random = StdRng::seed_from_u64(random.random());
        inviting.push(tokio::spawn(people::invite(admin, count, time, random)));
    }
    let blows = blows::fall(&mut tenantry, &mut postgres, &mut random, time).await;
    say(&format!("calm again after {}; waiting for everyone to be invited and every mail to go out", blows.summary()));
    let mut invited = Vec::new();
    for inviting in inviting {
        invited.push(inviting.await.expect("inviting does not panic"));
    }
    let verdict = verdict::find(seed, &mut tenantry, &invited, &blows).await;
    postgres.stop().await;
    verdict
}
