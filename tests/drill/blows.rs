//! What falls on a running Tenantry.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use harness::{Mail, PostgresServer, Processes, Stage, Which};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::say;
use crate::verdict::email_id;

/// What can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Postgres,
    Redis,
    Api,
    Worker,
}

impl Victim {
    /// In the order in which they are started again.
    const ALL: [Self; 4] = [Self::Postgres, Self::Redis, Self::Api, Self::Worker];
}

/// What a mail server does to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Misdeed {
    RefuseConnections,
    Hang,
    HangUpBefore250,
    HangUpAfter250,
    PutOffMessages,
    PutOffRecipients,
}

impl Misdeed {
    const ALL: [Self; 6] = [
        Self::RefuseConnections,
        Self::Hang,
        Self::HangUpBefore250,
        Self::HangUpAfter250,
        Self::PutOffMessages,
        Self::PutOffRecipients,
    ];
}

#[derive(Clone, Copy, Debug)]
enum Blow {
    Kill(Victim),
    Misdeed(Misdeed),
}

/// What has fallen.
#[derive(Debug, Default)]
pub(crate) struct Blows {
    /// How often each was killed, in the order of [`Victim::ALL`].
    kills: [u32; 4],
    misdeeds: u32,
    /// Each 250 that a kill of the worker came upon before its record: the mail's id, and how often the server had taken it
    /// by then. One more copy of each is excused, and no other.
    pub(crate) hit_after_250: HashSet<(String, usize)>,
}

impl Blows {
    /// All kills.
    pub(crate) fn kills(&self) -> u32 {
        self.kills.iter().sum()
    }

    /// In words.
    pub(crate) fn summary(&self) -> String {
        let [postgres, redis, api, worker] = self.kills;
        format!(
            "{} kills (API {api}, worker {worker}, Redis {redis}, Postgres {postgres}) and {} misdeeds of the mail server",
            self.kills(),
            self.misdeeds
        )
    }
}

/// Lets blows fall for a while. Afterwards everything runs, and the mail server behaves.
pub(crate) async fn fall(
    tenantry: &mut Processes,
    postgres: &mut PostgresServer,
    random: &mut StdRng,
    time: Duration,
) -> Blows {
    let (start, mut blows) = (Instant::now(), Blows::default());
    // Each once at the least, in any order; then at random.
    let kills = Victim::ALL.map(Blow::Kill).into_iter();
    let mut first: Vec<Blow> = kills.chain(Misdeed::ALL.map(Blow::Misdeed)).collect();
    first.shuffle(random);
    while start.elapsed() < time || !first.is_empty() {
        pause(random, 200..1_500).await;
        match first.pop().unwrap_or_else(|| any(random)) {
            Blow::Misdeed(misdeed) => {
                misbehave(tenantry, random, misdeed).await;
                blows.misdeeds += 1;
            }
            Blow::Kill(victim) => {
                // Mostly one at a time; two at once is the worse kind of day.
                let second = random.random_bool(0.25).then(|| pick(random, &Victim::ALL));
                let victims: Vec<Victim> = std::iter::once(victim).chain(second).collect();
                kill(tenantry, postgres, random, &victims, &mut blows).await;
            }
        }
    }
    tenantry.smtp().forget_plans();
    tenantry.smtp().accept_connections();
    blows
}

fn any(random: &mut StdRng) -> Blow {
    if random.random_bool(0.6) {
        Blow::Kill(pick(random, &Victim::ALL))
    } else {
        Blow::Misdeed(pick(random, &Misdeed::ALL))
    }
}

fn pick<T: Copy>(random: &mut StdRng, all: &[T]) -> T {
    all[random.random_range(0..all.len())]
}

async fn pause(random: &mut StdRng, milliseconds: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.random_range(milliseconds))).await;
}

async fn kill(
    tenantry: &mut Processes,
    postgres: &mut PostgresServer,
    random: &mut StdRng,
    victims: &[Victim],
    blows: &mut Blows,
) {
    let struck = Victim::ALL.into_iter().enumerate().filter(|(_, victim)| victims.contains(victim));
    let struck: Vec<(usize, Victim)> = struck.collect();
    say(&format!("kill -9 {:?}", struck.iter().map(|(_, victim)| victim).collect::<Vec<_>>()));
    for (index, victim) in &struck {
        blows.kills[*index] += 1;
        match victim {
            Victim::Postgres => postgres.kill().await,
            Victim::Redis => tenantry.redis.kill().await,
            Victim::Api => tenantry.kill(Which::Api).await,
            Victim::Worker => tenantry.kill(Which::Worker).await,
        }
    }
    pause(random, 0..1_500).await;
    for (_, victim) in &struck {
        match victim {
            Victim::Postgres => postgres.restart().await,
            Victim::Redis => tenantry.redis.restart_empty().await,
            Victim::Api => tenantry.start_one(Which::Api).await,
            Victim::Worker => {
                // Before another worker can take them: their leases have not run out.
                blows.hit_after_250.extend(taken_but_not_recorded(tenantry).await);
                tenantry.start_one(Which::Worker).await;
            }
        }
    }
}

async fn taken_but_not_recorded(tenantry: &Processes) -> HashMap<String, usize> {
    let open = tenantry.database().rows("select id from email_messages where status = 'sending'").await;
    let open: HashSet<&str> = open.iter().filter_map(|row| row["id"].as_str()).collect();
    let mut taken = times_taken(&tenantry.mailbox().all());
    taken.retain(|id, _| open.contains(id.as_str()));
    taken
}

/// How often the server took each mail.
pub(crate) fn times_taken<'a>(mails: impl IntoIterator<Item = &'a Mail>) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for mail in mails {
        *times.entry(email_id(mail)).or_default() += 1;
    }
    times
}

async fn misbehave(tenantry: &Processes, random: &mut StdRng, misdeed: Misdeed) {
    let smtp = tenantry.smtp();
    let times = random.random_range(1..=5);
    say(&format!("mail server: {misdeed:?}"));
    match misdeed {
        Misdeed::RefuseConnections => {
            smtp.refuse_connections();
            pause(random, 500..4_000).await;
            smtp.accept_connections();
        }
        Misdeed::Hang => smtp.hang_at_next_message(),
        Misdeed::HangUpBefore250 => (0..times).for_each(|_| smtp.close_before_next_250()),
        Misdeed::HangUpAfter250 => (0..times).for_each(|_| smtp.close_after_next_250()),
        Misdeed::PutOffMessages => smtp.answer_next(Stage::Message, times, "451 4.3.0 Not now"),
        Misdeed::PutOffRecipients => smtp.answer_next(Stage::Recipient, times, "450 4.2.1 Busy"),
    }
}
