//! A mail server that records what it is given and can be told to misbehave. It holds a real conversation over TCP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::{Mail, free_port};

/// At which point of a conversation something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// As the answer to `RCPT TO`.
    Recipient,
    /// As the answer to the message, after its last dot.
    Message,
}

#[derive(Clone, Debug)]
enum Act {
    Answer(Stage, String),
    Hang,
    CloseBefore250,
    CloseAfter250,
}

impl Act {
    fn stage(&self) -> Stage {
        match self {
            Self::Answer(stage, _) => *stage,
            Self::Hang | Self::CloseBefore250 | Self::CloseAfter250 => Stage::Message,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    script: Vec<Act>,
    mails: Vec<Mail>,
    transcript: Vec<String>,
    /// Messages that were received whole and have had no answer.
    hanging: usize,
    /// How long each message waits for its answer.
    delay: Duration,
    is_read: Vec<bool>,
    refuses_logins: bool,
}

#[derive(Debug)]
struct Server {
    state: Mutex<State>,
    changed: Notify,
    /// Odd: the port is closed. Each change ends every connection.
    phase: watch::Sender<u64>,
    is_held: watch::Sender<bool>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Smtp {
    server: Arc<Server>,
    address: SocketAddr,
    _task: Arc<Task>,
}

#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Smtp {
    /// Starts one on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        // None that an outgoing connection could be given while it is closed.
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let listener = TcpListener::bind(address).await.expect("a free port");
        let (phase, _) = watch::channel(0);
        let server = Arc::new(Server {
            state: Mutex::default(),
            changed: Notify::new(),
            phase,
            is_held: watch::Sender::new(false),
        });
        let task = Task(tokio::spawn(serve(Arc::clone(&server), listener, address)));
        Self { server, address, _task: Arc::new(task) }
    }

    /// Where it is, as `SMTP_URL` says it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.server.state()
    }

    fn plan(&self, times: usize, act: &Act) {
        self.state().script.extend(std::iter::repeat_n(act.clone(), times));
    }

    /// Answers the next `times` times at `stage` with `reply`: `451 4.3.0 Not now`.
    pub fn answer_next(&self, stage: Stage, times: usize, reply: &str) {
        self.plan(times, &Act::Answer(stage, reply.to_owned()));
    }

    /// Takes the next message whole and never answers it.
    pub fn hang_at_next_message(&self) {
        self.plan(1, &Act::Hang);
    }

    /// Drops the connection instead of answering the next message with 250. The mail is not taken.
    pub fn close_before_next_250(&self) {
        self.plan(1, &Act::CloseBefore250);
    }

    /// Takes the next message, answers 250, and drops the connection.
    pub fn close_after_next_250(&self) {
        self.plan(1, &Act::CloseAfter250);
    }

    /// Answers each message only after `delay`, from now on.
    pub fn slow_down(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Takes messages whole from now on, and answers them when [`Smtp::release_answers`] says so.
    pub fn hold_answers(&self) {
        self.server.is_held.send_replace(true);
    }

    /// Gives the answers that were held back.
    pub fn release_answers(&self) {
        self.server.is_held.send_replace(false);
    }

    /// Takes no password from now on.
    pub fn refuse_logins(&self) {
        self.state().refuses_logins = true;
    }

    /// Closes the port and all connections, until [`Smtp::accept_connections`].
    pub fn refuse_connections(&self) {
        self.server.phase.send_modify(|phase| *phase |= 1);
    }

    /// Opens the port again.
    pub fn accept_connections(&self) {
        self.server.phase.send_modify(|phase| *phase += *phase % 2);
    }

    /// Whether everything that was planned has happened.
    #[must_use]
    pub fn is_script_over(&self) -> bool {
        self.state().script.is_empty()
    }

    /// Does nothing of what was planned and has not happened.
    pub fn forget_plans(&self) {
        self.state().script.clear();
    }

    /// How many messages hang: received whole, not answered.
    #[must_use]
    pub fn hanging(&self) -> usize {
        self.state().hanging
    }

    /// Waits until a message hangs: received whole, not answered.
    pub async fn until_a_message_hangs(&self) {
        self.until_messages_hang(1).await;
    }

    /// Waits until so many do.
    pub async fn until_messages_hang(&self, count: usize) {
        let what = format!("{count} messages that hang");
        crate::eventually(&what, || async { (self.hanging() >= count).then_some(()) }).await;
    }

    /// How many mails were taken.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state().mails.len()
    }

    /// Waits until so many were taken, and returns at that moment.
    pub async fn until_taken(&self, count: usize) {
        loop {
            let changed = self.server.changed.notified();
            if self.count() >= count {
                return;
            }
            changed.await;
        }
    }

    /// Every mail that was taken, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.state().mails.clone()
    }

    /// What clients said, line by line, without messages.
    #[must_use]
    pub fn transcript(&self) -> Vec<String> {
        self.state().transcript.clone()
    }

    /// The newest mail to an address that was not given out yet; it and all older ones to it are read then.
    pub(crate) fn take_newest_to(&self, address: &str) -> Option<Mail> {
        let mut state = self.state();
        let State { mails, is_read, .. } = &mut *state;
        is_read.resize(mails.len(), false);
        let mut newest = None;
        for (mail, is_read) in mails.iter().zip(is_read.iter_mut()) {
            if mail.recipients.iter().any(|recipient| recipient == address) && !std::mem::replace(is_read, true) {
                newest = Some(mail.clone());
            }
        }
        newest
    }

    pub(crate) fn read_all(&self) {
        let mut state = self.state();
        let count = state.mails.len();
        state.is_read.clear();
        state.is_read.resize(count, true);
    }

    pub(crate) async fn changed(&self) {
        self.server.changed.notified().await;
    }
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    /// What is planned for this stage, if it is its turn.
    fn next_act(&self, stage: Stage) -> Option<Act> {
        let mut state = self.state();
        let first = state.script.first().filter(|act| act.stage() == stage).is_some();
        first.then(|| state.script.remove(0))
    }

    fn take(&self, mail: Mail) {
        self.state().mails.push(mail);
        self.changed.notify_waiters();
    }
}

async fn serve(server: Arc<Server>, listener: TcpListener, address: SocketAddr) {
    let mut listener = Some(listener);
    let mut phase = server.phase.subscribe();
    loop {
        let now = *phase.borrow_and_update();
        if now % 2 == 1 {
            // Before waiting: a port that listens and answers nobody is another thing than one that refuses.
            listener = None;
            if phase.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Some(listening) = &listener else {
            listener = TcpListener::bind(address).await.ok();
            if listener.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            continue;
        };
        tokio::select! {
            accepted = listening.accept() => if let Ok((stream, _)) = accepted {
                let (server, mut phase) = (Arc::clone(&server), phase.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = converse(&server, stream) => {}
                        _ = phase.wait_for(|phase| *phase != now) => {}
                    }
                });
            },
            _ = phase.changed() => {}
        }
    }
}

/// Who says what in one conversation.
struct Conversation<'s> {
    server: &'s Server,
    stream: BufReader<TcpStream>,
    sender: String,
    recipients: Vec<String>,
}

async fn converse(server: &Server, stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut talk =
        Conversation { server, stream: BufReader::new(stream), sender: String::new(), recipients: Vec::new() };
    talk.say("220 mail.test ready").await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if talk.stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let command = String::from_utf8_lossy(&line).trim_end().to_owned();
        server.state().transcript.push(command.clone());
        if !talk.answer(&command).await? {
            return Ok(());
        }
    }
}

impl Conversation<'_> {
    async fn say(&mut self, reply: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{reply}\r\n").as_bytes()).await
    }

    /// False ends the conversation.
    async fn answer(&mut self, command: &str) -> std::io::Result<bool> {
        let upper = command.to_ascii_uppercase();
        if upper.starts_with("EHLO") {
            self.say("250-mail.test\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250-8BITMIME\r\n250 SMTPUTF8").await?;
        } else if upper.starts_with("AUTH PLAIN ") {
            let is_refused = self.server.state().refuses_logins;
            self.say(if is_refused { "535 5.7.8 Wrong user or password" } else { "235 2.7.0 Welcome" }).await?;
        } else if upper.starts_with("MAIL FROM:") {
            self.sender = address_in(command);
            self.recipients.clear();
            self.say("250 2.1.0 Ok").await?;
        } else if upper.starts_with("RCPT TO:") {
            match self.server.next_act(Stage::Recipient) {
                Some(Act::Answer(_, reply)) => self.say(&reply).await?,
                _ => {
                    self.recipients.push(address_in(command));
                    self.say("250 2.1.5 Ok").await?;
                }
            }
        } else if upper == "DATA" {
            if self.recipients.is_empty() {
                self.say("554 5.5.1 No valid recipients").await?;
                return Ok(true);
            }
            self.say("354 Go ahead").await?;
            let raw = self.message().await?;
            return self.decide(raw).await;
        } else if upper == "QUIT" {
            self.say("221 2.0.0 Bye").await?;
            return Ok(false);
        } else {
            // RSET, NOOP.
            self.recipients.clear();
            self.say("250 2.0.0 Ok").await?;
        }
        Ok(true)
    }

    async fn message(&mut self) -> std::io::Result<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let start = message.len();
            if self.stream.read_until(b'\n', &mut message).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            match &message[start..] {
                b".\r\n" => {
                    message.truncate(start);
                    return Ok(message);
                }
                [b'.', ..] => drop(message.remove(start)),
                _ => {}
            }
        }
    }

    async fn decide(&mut self, raw: Vec<u8>) -> std::io::Result<bool> {
        let delay = self.server.state().delay;
        tokio::time::sleep(delay).await;
        let mail = Mail::new(self.sender.clone(), std::mem::take(&mut self.recipients), raw);
        let mut held = self.server.is_held.subscribe();
        if *held.borrow_and_update() {
            self.server.state().hanging += 1;
            let _ = held.wait_for(|is_held| !is_held).await;
            self.server.state().hanging -= 1;
        }
        match self.server.next_act(Stage::Message) {
            Some(Act::Answer(_, reply)) => self.say(&reply).await?,
            Some(Act::Hang) => {
                self.server.state().hanging += 1;
                // Until the client goes away.
                let mut rest = Vec::new();
                let _ = self.stream.read_until(b'\n', &mut rest).await;
                self.server.state().hanging -= 1;
                return Ok(false);
            }
            Some(Act::CloseBefore250) => return Ok(false),
            Some(Act::CloseAfter250) => {
                self.server.take(mail);
                self.say("250 2.0.0 Taken").await?;
                return Ok(false);
            }
            None => {
                self.server.take(mail);
                self.say("250 2.0.0 Taken").await?;
            }
        }
        Ok(true)
    }
}

fn address_in(command: &str) -> String {
    command
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(String::new(), |(address, _)| address.to_owned())
}
