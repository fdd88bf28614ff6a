//! The transport against a server that answers as a test tells it to.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use lettre::Message;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use tenantry_shared::outbox::Lane;

use super::{SendError, SmtpTransport};

/// An answer out of the ordinary: the number of the connection (from 1) and the command it got, "." after a
/// message and then "idle".
type Script = fn(usize, &str) -> Option<&'static str>;

const HANG_UP: &str = "hang up";

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    commands: Mutex<Vec<String>>,
}

struct FakeServer {
    port: u16,
    seen: Arc<Seen>,
}

impl FakeServer {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let seen = Arc::clone(&shared);
                tokio::spawn(async move {
                    let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                    seen.most_open.fetch_max(open, Ordering::SeqCst);
                    // An error is the client hanging up.
                    let _ = converse(stream, number, script, &seen).await;
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, seen }
    }

    fn transport(&self, connections: usize) -> SmtpTransport {
        SmtpTransport::new(&format!("smtp://127.0.0.1:{}", self.port), connections, None).expect("a good URL")
    }

    fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    fn commands(&self, verb: &str) -> Vec<String> {
        let commands = self.seen.commands.lock().expect("not poisoned");
        commands.iter().filter(|command| command.starts_with(verb)).cloned().collect()
    }
}

async fn converse(stream: TcpStream, number: usize, script: Script, seen: &Seen) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 fake\r\n").await?;
    let mut is_message = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end();
        if is_message && command != "." {
            continue;
        }
        seen.commands.lock().expect("not poisoned").push(command.to_owned());
        let reply = script(number, command).unwrap_or(match command {
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            "." => "250 2.0.0 queued as 4711",
            _ if command.starts_with("EHLO") => "250-fake\r\n250-AUTH PLAIN\r\n250 8BITMIME",
            _ => "250 ok",
        });
        if reply == HANG_UP {
            return Ok(());
        }
        is_message = reply.starts_with("354");
        let last = reply.lines().last().unwrap_or_default();
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        if last.starts_with("221") || last.starts_with("421") {
            return Ok(());
        }
        if command == "." && script(number, "idle") == Some(HANG_UP) {
            return Ok(());
        }
    }
}

fn mail_to(recipient: &str) -> Message {
    Message::builder()
        .from("accounts@example.com".parse().expect("an address"))
        .to(recipient.parse().expect("an address"))
        .body("Hello".to_owned())
        .expect("a message")
}

fn words(error: SendError) -> String {
    match error {
        SendError::Permanent(words) => format!("permanent: {words}"),
        SendError::Transient(words) => format!("transient: {words}"),
    }
}

async fn failure(server: &FakeServer) -> String {
    words(
        server
            .transport(1)
            .turn(Lane::Interactive)
            .await
            .send(&mail_to("bob@example.com"))
            .await
            .expect_err("should fail"),
    )
}

#[tokio::test]
async fn two_mails_share_a_connection() {
    let server = FakeServer::start(|_, _| None).await;
    let transport = server.transport(4);
    for _ in 0..2 {
        let accepted = transport.turn(Lane::Interactive).await.send(&mail_to("bob@example.com")).await.expect("sent");
        assert_eq!(accepted.reply, "250 2.0.0 queued as 4711");
    }
    assert_eq!((server.connections(), server.commands("RCPT").len()), (1, 2));
}

#[tokio::test]
async fn there_are_never_more_connections_than_allowed() {
    let server = FakeServer::start(|_, _| None).await;
    let (transport, mail) = (server.transport(2), mail_to("bob@example.com"));
    let sent = join_all((0..40).map(|_| async { transport.turn(Lane::Interactive).await.send(&mail).await })).await;
    assert!(sent.iter().all(Result::is_ok));
    assert_eq!(server.seen.most_open.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn mails_go_out_no_faster_than_the_server_is_to_get_them() {
    let server = FakeServer::start(|_, _| None).await;
    let url = format!("smtp://127.0.0.1:{}", server.port);
    let transport = SmtpTransport::new(&url, 4, NonZeroU32::new(20)).expect("a good URL");
    let (mail, start) = (mail_to("bob@example.com"), Instant::now());
    let sent = join_all(
        [Lane::Bulk, Lane::Interactive]
            .repeat(3)
            .into_iter()
            .map(async |lane| transport.turn(lane).await.send(&mail).await),
    );
    assert!(sent.await.iter().all(Result::is_ok));
    assert!(start.elapsed() >= Duration::from_millis(5 * 1_000 / 20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced() {
    let says_good_bye: Script =
        |number, command| (number == 1 && command == ".").then_some("250 ok\r\n421 too long idle");
    let just_goes: Script = |number, command| (number == 1 && command == "idle").then_some(HANG_UP);
    for script in [says_good_bye, just_goes] {
        let server = FakeServer::start(script).await;
        let transport = server.transport(1);
        for _ in 0..2 {
            transport.turn(Lane::Interactive).await.send(&mail_to("bob@example.com")).await.expect("sent");
        }
        assert_eq!(server.connections(), 2);
    }
}

#[tokio::test]
async fn replies_out_of_step_are_not_taken_for_an_acceptance() {
    let server = FakeServer::start(|_, command| command.starts_with("MAIL").then_some("250 ok\r\n250 ok")).await;
    assert_eq!(failure(&server).await, "transient: DATA: unexpected reply 250 ok");
}

#[tokio::test]
async fn a_refused_recipient_is_final_and_its_connection_not_used_again() {
    let server = FakeServer::start(|_, command| {
        command.starts_with("RCPT TO:<nobody").then_some("550-5.1.1 No such\r\n550 5.1.1 user")
    })
    .await;
    let transport = server.transport(1);
    let error =
        transport.turn(Lane::Interactive).await.send(&mail_to("nobody@example.com")).await.expect_err("refused");
    assert_eq!(words(error), "permanent: 550 5.1.1 No such user");
    assert_eq!(server.commands("QUIT").len(), 1);
    transport.turn(Lane::Interactive).await.send(&mail_to("bob@example.com")).await.expect("sent");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_refused_message_is_final() {
    let server = FakeServer::start(|_, command| (command == ".").then_some("554 5.7.1 looks like spam")).await;
    assert_eq!(failure(&server).await, "permanent: 554 5.7.1 looks like spam");
}

#[tokio::test]
async fn what_may_pass_or_be_mended_is_tried_again() {
    let cases: [(Script, &str); 6] = [
        (|_, command| command.starts_with("RCPT").then_some("451 4.7.1 later"), "451 4.7.1 later"),
        (|_, command| command.starts_with("RCPT").then_some("530 5.7.0 sign in first"), "530 5.7.0 sign in first"),
        (
            |_, command| command.starts_with("MAIL").then_some("550 5.7.1 not your address"),
            "550 5.7.1 not your address",
        ),
        (|_, command| command.starts_with("EHLO").then_some("554 5.3.2 go away"), "554 5.3.2 go away"),
        (|_, command| (command == "DATA").then_some("421 4.3.2 shutting down"), "421 4.3.2 shutting down"),
        (
            |_, command| (command == ".").then_some(HANG_UP),
            "sending the message: the mail server closed the connection",
        ),
    ];
    for (script, expected) in cases {
        let server = FakeServer::start(script).await;
        assert_eq!(failure(&server).await, format!("transient: {expected}"));
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let transport = SmtpTransport::new(&format!("smtp://127.0.0.1:{port}"), 1, None).expect("a good URL");
    let error =
        transport.turn(Lane::Interactive).await.send(&mail_to("bob@example.com")).await.expect_err("nobody there");
    assert!(words(error).starts_with("transient: connecting: Connection refused"));
}

#[tokio::test]
async fn a_refused_login_shows_no_credentials() {
    let server = FakeServer::start(|_, command| {
        command.starts_with("AUTH").then_some("535 5.7.8 mailer@example.com with pass word: wrong")
    })
    .await;
    let url = format!("smtp://mailer%40example.com:pass%20word@127.0.0.1:{}", server.port);
    let transport = SmtpTransport::new(&url, 1, None).expect("a good URL");
    let error = transport.turn(Lane::Interactive).await.send(&mail_to("bob@example.com")).await.expect_err("refused");
    assert_eq!(words(error), "transient: 535 5.7.8 … with …: wrong");
    assert!(!format!("{transport:?}").contains("mailer"));
}

#[tokio::test]
async fn an_address_beyond_ascii_needs_a_server_that_takes_it() {
    let server = FakeServer::start(|_, _| None).await;
    let transport = server.transport(1);
    let error =
        transport.turn(Lane::Interactive).await.send(&mail_to("ü@bücher.example")).await.expect_err("not offered");
    assert!(words(error).starts_with("permanent: the address has letters beyond ASCII"));
    transport.turn(Lane::Interactive).await.send(&mail_to("bob@example.com")).await.expect("sent");
    assert_eq!(server.connections(), 1);

    let server = FakeServer::start(|_, command| {
        command.starts_with("EHLO").then_some("250-fake\r\n250-8BITMIME\r\n250 SMTPUTF8")
    })
    .await;
    server.transport(1).turn(Lane::Interactive).await.send(&mail_to("ü@bücher.example")).await.expect("sent");
    assert_eq!(server.commands("MAIL"), ["MAIL FROM:<accounts@example.com> SMTPUTF8 BODY=8BITMIME"]);
    assert_eq!(server.commands("RCPT"), ["RCPT TO:<ü@bücher.example>"]);
}

#[test]
fn a_url_that_cannot_be_used_is_refused_without_repeating_it() {
    for url in [
        "smtp://",
        "http://user:secret@mail.example.com",
        "smtp://user:secret@mail.example.com/path",
        "smtp://user:secret@mail.example.com?tls=required",
        "smtp://:secret@mail.example.com",
        "smtp://secret@mail.example.com",
        "smtp://user:%ffsecret@mail.example.com",
        "smtp://user:secret@mail.example.com:port",
        "secret",
    ] {
        let error = SmtpTransport::new(url, 1, None).expect_err(url).to_string();
        assert!(error.starts_with("the SMTP URL ") && !error.contains("secret"), "{url}: {error}");
    }
}
