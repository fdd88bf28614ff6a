//! What the API does not wait for.

use std::time::Duration;

use harness::{TestApp, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn whoever_sends_his_body_too_slowly_is_cut() {
    let app = TestApp::start().await;
    let address = app.url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("the API listens");
    let head = format!(
        "POST /v1/orgs/acme/iam/login HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: 100\r\nconnection: close\r\n\r\n{{\"username\""
    );
    stream.write_all(head.as_bytes()).await.expect("the API reads");
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(40), stream.read_to_string(&mut answer)).await;
    read.expect("the API does not wait for ever").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("body_too_slow"), "{answer}");
    app.finish().await;
}

#[tokio::test]
async fn while_all_connections_to_postgres_are_busy_others_are_told_to_come_again() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let held = app.database().hold("lock table users in access exclusive mode").await;
    // As many as the API has connections.
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let admin = admin.clone();
            tokio::spawn(async move { admin.get("/users").await })
        })
        .collect();
    eventually("all connections to wait", || async {
        let waits = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        (app.database().rows(waits).await.len() == 5).then_some(())
    })
    .await;
    let refused = admin.get("/users").await;
    assert!(!refused.header("retry-after").is_empty(), "{}", refused.whole());
    refused.problem(503, "unavailable");

    held.release().await;
    for waiting in waiting {
        waiting.await.expect("it does not panic").ok();
    }
    app.finish().await;
}
