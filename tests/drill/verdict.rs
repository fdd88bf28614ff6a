//! What was lost, and what it all cost.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use harness::{Mail, PASSWORD, Processes, Which};

use crate::PATIENCE;
use crate::blows::{Blows, times_taken};
use crate::people::{Invited, Person};

/// Of every organization so many really accept.
const ACCEPTING: usize = 20;

/// What came of it.
pub(crate) struct Verdict {
    seed: u64,
    invited: usize,
    revoked: usize,
    twice: usize,
    may_be_twice: usize,
    blows: String,
    longest_wait: Duration,
    /// Everything that must not be.
    pub(crate) troubles: Vec<String>,
}

impl Verdict {
    /// Nothing was lost.
    pub(crate) fn is_good(&self) -> bool {
        self.troubles.is_empty()
    }

    /// The last line.
    pub(crate) fn summary(&self) -> String {
        format!(
            "drill: {}: {} invited, {} of them revoked; {} troubles; {} mails sent twice, of {} that a kill hit after \
             their 250; {}; longest wait {:.1} s; seed {}",
            if self.is_good() { "NOTHING LOST" } else { "FAILED" },
            self.invited,
            self.revoked,
            self.troubles.len(),
            self.twice,
            self.may_be_twice,
            self.blows,
            self.longest_wait.as_secs_f64(),
            self.seed
        )
    }
}

/// The mail's row, which its Message-ID begins with.
pub(crate) fn email_id(mail: &Mail) -> String {
    let id = mail.header("message-id").unwrap_or_default();
    id.trim_start_matches('<').split(['@', '.']).next().unwrap_or_default().to_owned()
}

/// Waits until all is done and looks at everything.
pub(crate) async fn find(seed: u64, tenantry: &mut Processes, invited: &[Invited], blows: &Blows) -> Verdict {
    let mut troubles = Vec::new();
    wait_for_an_empty_outbox(tenantry, &mut troubles).await;
    look_at_the_rows(tenantry, &mut troubles).await;

    let mut mails: HashMap<String, Vec<Mail>> = HashMap::new();
    for mail in tenantry.mailbox().all() {
        let address = mail.recipients.first().cloned().unwrap_or_default();
        mails.entry(address).or_default().push(mail);
    }
    let twice = count_doubles(&mails, blows, &mut troubles);
    let mut longest_wait = Duration::ZERO;
    for organization in invited {
        let mut accepting = ACCEPTING;
        for person in &organization.people {
            let theirs = mails.get(&person.address).map_or(&[][..], Vec::as_slice);
            if let Some(first) = theirs.first().filter(|_| !person.is_revoked) {
                longest_wait = longest_wait.max(first.received.saturating_duration_since(person.since));
            }
            let accept = !person.is_revoked && accepting > 0;
            accepting -= usize::from(accept);
            if let Err(trouble) = look_at(organization, person, theirs, accept).await {
                troubles.push(trouble);
            }
        }
    }
    look_at_the_logs(tenantry, invited, &mails, &mut troubles);
    let people = || invited.iter().flat_map(|organization| &organization.people);
    Verdict {
        seed,
        invited: people().count(),
        revoked: people().filter(|person| person.is_revoked).count(),
        twice,
        may_be_twice: blows.hit_after_250.len(),
        blows: blows.summary(),
        longest_wait,
        troubles,
    }
}

async fn wait_for_an_empty_outbox(tenantry: &Processes, troubles: &mut Vec<String>) {
    let start = Instant::now();
    loop {
        let left =
            tenantry.database().rows("select id, job, due_at, claimed_until, takes, parked_at from outbox").await;
        if left.is_empty() {
            return;
        }
        if start.elapsed() > PATIENCE {
            troubles.extend(left.iter().map(|row| format!("still in the outbox: {row}")));
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn look_at_the_rows(tenantry: &Processes, troubles: &mut Vec<String>) {
    let wrong = "select id, status, last_error from email_messages where status not in ('sent', 'canceled')";
    troubles.extend(tenantry.database().rows(wrong).await.iter().map(|row| format!("not sent: {row}")));
}

/// Mails that came twice. Each must be one that a kill hit between its 250 and our record of it.
fn count_doubles(mails: &HashMap<String, Vec<Mail>>, blows: &Blows, troubles: &mut Vec<String>) -> usize {
    let mut twice = 0;
    for (id, times) in times_taken(mails.values().flatten()) {
        let excused = blows.hit_after_250.iter().filter(|(hit, _)| *hit == id).count();
        twice += times - 1;
        if times - 1 > excused {
            troubles.push(format!("the mail {id} came {times} times, and {excused} kills excuse that"));
        }
    }
    twice
}

/// The link of the newest mail works, or says that it was revoked.
async fn look_at(organization: &Invited, person: &Person, mails: &[Mail], accept: bool) -> Result<(), String> {
    // As a mail program sorts them.
    let newest = mails.iter().max_by_key(|mail| mail.date());
    let Some(newest) = newest else {
        return if person.is_revoked { Ok(()) } else { Err(format!("{} has got no mail", person.address)) };
    };
    let (anonymous, link) = (organization.admin.with_authorization(None), newest.link());
    let preview = anonymous.preview(&link).await;
    let expected = if person.is_revoked { (409, "invitation_revoked") } else { (200, "") };
    let answer = (preview.status.as_u16(), preview.json()["code"].as_str().unwrap_or_default().to_owned());
    if (answer.0, answer.1.as_str()) != expected {
        return Err(format!("the link of {} answers {answer:?} in place of {expected:?}", person.address));
    }
    if accept {
        let accepted = anonymous.accept(&link).await;
        if accepted.status != 201 {
            return Err(format!("{} could not accept: {}", person.address, accepted.whole()));
        }
    }
    Ok(())
}

/// No address in full, and nothing that opens a door. Of the links' tokens, a sample.
fn look_at_the_logs(
    tenantry: &Processes,
    invited: &[Invited],
    mails: &HashMap<String, Vec<Mail>>,
    troubles: &mut Vec<String>,
) {
    let domains = invited.iter().map(|organization| format!("@{}.example", organization.admin.slug()));
    let sessions = invited.iter().map(|organization| organization.admin.token().to_owned());
    let people = invited.iter().flat_map(|organization| &organization.people);
    let sample = people.filter_map(|person| mails.get(&person.address)?.first()).step_by(10);
    let tokens = sample.map(|mail| mail.link().token());
    let secrets: Vec<String> = domains.chain(sessions).chain(tokens).chain([PASSWORD.to_owned()]).collect();
    for (which, sign) in [(Which::Api, "/invitations"), (Which::Worker, "p***@")] {
        let log = tenantry.log(which);
        if !log.contains(sign) {
            troubles.push(format!("the log of {which:?} does not even have {sign}"));
        }
        for line in log.lines() {
            if let Some(secret) = secrets.iter().find(|secret| line.contains(secret.as_str())) {
                troubles.push(format!("the log of {which:?} has {secret}: {line}"));
            }
        }
    }
}
