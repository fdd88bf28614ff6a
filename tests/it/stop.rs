//! SIGTERM under load: nothing that was begun is cut, in neither process.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Caller, Processes, Which, eventually};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Asks over a connection that is kept, and answers the status, or nothing where the server closed the connection before it
/// had said a word: then it had not taken the request.
///
/// Panics if an answer ends in the middle.
async fn ask(connection: &mut BufReader<TcpStream>, request: &str) -> Option<u16> {
    connection.write_all(request.as_bytes()).await.ok()?;
    let mut line = String::new();
    if !connection.read_line(&mut line).await.is_ok_and(|length| length > 0) {
        return None;
    }
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line, whole");
    let mut length = None;
    loop {
        line.clear();
        connection.read_line(&mut line).await.expect("the rest of the headers");
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok(),
            Some(_) => {}
            None => break,
        }
    }
    assert_eq!(line, "\r\n", "the headers end in the middle");
    let mut body = vec![0; length.expect("a length")];
    connection.read_exact(&mut body).await.expect("the whole body");
    serde_json::from_slice::<serde_json::Value>(&body).expect("JSON, whole");
    Some(status)
}

/// Invites one after the other until nobody listens any more, and answers who was invited as the answers say.
async fn invite_until_it_is_gone(admin: &Caller, url: &str, client: usize, answered: &AtomicUsize) -> Vec<String> {
    let host = url.trim_start_matches("http://");
    let mut invited = Vec::new();
    let mut count = 0;
    while let Ok(stream) = TcpStream::connect(host).await {
        let mut connection = BufReader::new(stream);
        loop {
            count += 1;
            let address = format!("bob-{client}-{count}@example.com");
            let body = json!({ "invitee_identifier": address, "role": "reader" }).to_string();
            let request = format!(
                "POST /v1/orgs/acme/invitations HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                admin.token(),
                body.len()
            );
            match ask(&mut connection, &request).await {
                Some(201) => {
                    invited.push(address);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Some(status) => assert_eq!(status, 503, "an answer that has no reason"),
                None => break,
            }
        }
    }
    invited
}

#[tokio::test]
async fn an_api_that_stops_under_load_answers_all_it_has_taken_and_does_nothing_it_does_not_answer() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    // Without a worker, what was asked for stays in the outbox.
    tenantry.terminate(Which::Worker).await;

    let (url, answered) = (tenantry.url().to_owned(), AtomicUsize::new(0));
    let clients = (0..24).map(|client| invite_until_it_is_gone(&admin, &url, client, &answered));
    let stop = async {
        eventually("some invitations", || async { (answered.load(Ordering::Relaxed) > 60).then_some(()) }).await;
        tenantry.terminate(Which::Api).await;
    };
    let (invited, ()) = futures_util::join!(futures_util::future::join_all(clients), stop);

    let invited: BTreeSet<String> = invited.into_iter().flatten().collect();
    assert!(invited.len() > 30, "there was load: {}", invited.len());
    let addresses = async |select: &str| {
        let rows = tenantry.database().rows(select).await;
        rows.iter().filter_map(|row| row["address"].as_str().map(str::to_owned)).collect::<BTreeSet<_>>()
    };
    let there = addresses("select invitee_identifier as address from invitations").await;
    assert_eq!(there, invited, "what was done and what was answered are the same");
    let queued = "select m.to_address as address from outbox o join email_messages m on m.id = o.id";
    assert_eq!(addresses(queued).await, invited, "a mail waits for each");

    tenantry.start_one(Which::Api).await;
    tenantry.start_one(Which::Worker).await;
    tenantry.settle().await;
    for address in &invited {
        assert_eq!(tenantry.mailbox().count_to(address), 1, "{address}");
    }
}

#[tokio::test]
async fn a_worker_that_stops_in_the_middle_of_mails_finishes_them_and_leaves_the_rest() {
    let mut tenantry = Processes::start().await;
    let admin = tenantry.administrator_of("acme").await;
    tenantry.smtp().hold_answers();
    let addresses: Vec<String> = (0..40).map(|n| format!("bob{n}@example.com")).collect();
    for address in &addresses {
        admin.invite(address, "reader").await;
    }
    tenantry.smtp().until_messages_hang(3).await;

    tenantry.signal_to_stop(Which::Worker).await;
    eventually("the worker to heed the signal", || async {
        tenantry.log(Which::Worker).contains("stopping: jobs that run may finish").then_some(())
    })
    .await;
    tenantry.smtp().release_answers();
    tenantry.until_stopped(Which::Worker).await;

    // It took no more than it had begun, and what it had begun, it has recorded.
    let sent = tenantry.mailbox().all().len();
    let left = tenantry.database().rows("select claim from outbox").await;
    assert!((3..=24).contains(&sent) && left.len() == addresses.len() - sent, "{sent} sent, {} left", left.len());
    assert!(left.iter().all(|row| row["claim"].is_null()), "nothing is left half-done: {left:?}");

    tenantry.start_one(Which::Worker).await;
    eventually_all(&tenantry, &addresses).await;
    for address in &addresses {
        assert_eq!(tenantry.mailbox().count_to(address), 1, "{address}");
    }
    let attempts = tenantry.database().rows("select attempts from email_messages where attempts <> 1").await;
    assert!(attempts.is_empty(), "{attempts:?}");
}

/// What was in Redis for the worker that stopped is pushed again after a minute at most.
async fn eventually_all(tenantry: &Processes, addresses: &[String]) {
    harness::eventually_within(Duration::from_secs(90), "the other mails", || async {
        (tenantry.mailbox().all().len() >= addresses.len()).then_some(())
    })
    .await;
    tenantry.settle().await;
}
