//! Administrators who invite people, whatever happens, and do not give up.

use std::time::{Duration, Instant};

use harness::{Answer, Call, Caller};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

/// How long a request is repeated before that counts as a loss.
const PATIENCE: Duration = Duration::from_secs(120);

/// One organization, and whom its administrator has invited.
pub(crate) struct Invited {
    pub(crate) admin: Caller,
    pub(crate) people: Vec<Person>,
}

/// Someone whose invitation the API has acknowledged.
pub(crate) struct Person {
    pub(crate) address: String,
    invitation: String,
    /// When it was acknowledged.
    pub(crate) since: Instant,
    pub(crate) is_revoked: bool,
}

/// Invites `count` people, some alone and some in batches, over about `time`; now and then resends or revokes one, and once
/// resends all.
pub(crate) async fn invite(admin: Caller, count: usize, time: Duration, mut random: StdRng) -> Invited {
    let mut people: Vec<Person> = Vec::new();
    let (mut step, mut all_resent) = (0, false);
    while people.len() < count {
        let many = if random.random_bool(0.5) { 1 } else { random.random_range(2..=20) }.min(count - people.len());
        let addresses: Vec<String> =
            (people.len()..people.len() + many).map(|n| format!("person{n}@{}.example", admin.slug())).collect();
        step += 1;
        people.extend(invite_some(&admin, &addresses, &format!("invite-{step}")).await);
        let one = random.random_range(0..people.len());
        match random.random_range(0..4) {
            0 => resend(&admin, &people[one], &format!("resend-{step}")).await,
            1 => revoke(&admin, &mut people[one]).await,
            _ => {}
        }
        if people.len() > count / 2 && !std::mem::replace(&mut all_resent, true) {
            let everyone = || admin.post("/invitations/resend", json!({ "status": "pending" }));
            insist(|| everyone().header("idempotency-key", "resend-all")).await.accepted();
        }
        // A batch is about six on average, so there are about so many steps.
        let pause = time.mul_f64(6.0 / count as f64);
        tokio::time::sleep(pause.mul_f64(random.random_range(0.2..1.4))).await;
    }
    Invited { admin, people }
}

async fn invite_some(admin: &Caller, addresses: &[String], key: &str) -> Vec<Person> {
    let row = |address: &String| json!({ "invitee_identifier": address, "role": "reader" });
    let invitations: Vec<Value> = if let [address] = addresses {
        let answer = insist(|| admin.post("/invitations", row(address)).header("idempotency-key", key)).await;
        vec![answer.created()]
    } else {
        let rows: Vec<Value> = addresses.iter().map(row).collect();
        let answer =
            insist(|| admin.post("/invitations/batch", rows.clone().into()).header("idempotency-key", key)).await;
        let answer = answer.ok();
        let results = answer["results"].as_array().expect("a result for each row");
        results.iter().map(|result| result["invitation"].clone()).collect()
    };
    let people = addresses.iter().zip(&invitations).map(|(address, invitation)| Person {
        address: address.clone(),
        invitation: invitation["uuid"].as_str().unwrap_or_else(|| panic!("invited: {invitation}")).to_owned(),
        since: Instant::now(),
        is_revoked: false,
    });
    people.collect()
}

async fn resend(admin: &Caller, person: &Person, key: &str) {
    let path = format!("/invitations/{}/resend", person.invitation);
    let answer = insist(|| admin.post(&path, json!({})).header("idempotency-key", key)).await;
    // Revoked before, or resent within this minute.
    assert!([200, 409, 429].contains(&answer.status.as_u16()), "{}", answer.whole());
}

async fn revoke(admin: &Caller, person: &mut Person) {
    let answer = insist(|| admin.delete(&format!("/invitations/{}", person.invitation))).await;
    // The answer to the first attempt may have been lost.
    assert!([204, 409].contains(&answer.status.as_u16()), "{}", answer.whole());
    person.is_revoked = true;
}

/// Repeats a request until the API answers it, as a client that heeds 503 does.
async fn insist(call: impl Fn() -> Call) -> Answer {
    let start = Instant::now();
    loop {
        match call().attempt().await {
            Ok(answer) if !answer.status.is_server_error() => return answer,
            Ok(answer) if start.elapsed() > PATIENCE => panic!("for {PATIENCE:?}: {}", answer.whole()),
            Err(error) if start.elapsed() > PATIENCE => panic!("for {PATIENCE:?}: {error}"),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
