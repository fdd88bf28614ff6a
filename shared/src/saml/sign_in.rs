//! An identity provider's answer, from the form that the browser posts to a session.
//!
//! What the message itself must be is checked by `tenantry-saml`; what only a database knows is checked here: that it answers
//! a request of ours, of this connection and this browser, that nobody took it before, and whom it lets in.

use chrono::{DateTime, Utc};
use tenantry_saml::{Expected, PrivateKey, Received, SignIn};

use super::noted::{self, Kind, NewEvent, Seen};
use super::own::{self, Own};
use super::person::Person;
use super::provision::{self, Account, Arrival};
use super::refused::{Halt, Refused, Told};
use super::requests::{self, Browser, Purpose, Request};
use super::test_sign_in::{self, TestResult};
use super::{Connection, ServiceUrls, Sso, connect, connections};
use crate::access::{self, Actor, Origin};
use crate::db::Tx;
use crate::error::{Error, Refusal, Result};
use crate::ids::{SessionId, UserId};
use crate::sessions::{self, AtProvider, NewSession};
use crate::tenant::Tenant;

/// What a browser posts.
#[derive(Clone, Copy, Debug)]
pub struct Posted<'a> {
    /// `SAMLResponse`.
    pub response: &'a str,
    /// `RelayState`.
    pub relay_state: Option<&'a str>,
    /// From its cookie.
    pub browser: Option<&'a Browser>,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// He is in.
    SignedIn {
        /// His session.
        session: NewSession,
        /// A path of ours.
        return_to: String,
    },
    /// His company account is connected to the one that he is signed in to.
    Connected {
        /// A path of ours.
        return_to: String,
    },
    /// It was an administrator's test.
    Tested(Box<TestResult>),
}

/// Takes the answer of an identity provider.
///
/// Errors: 403 `sso_refused`, `sso_again`, `sso_no_account`, `sso_account_ended`, `sso_other_address`, `sso_invitation_over`,
/// `sso_identity_taken`, `sso_other_account`; 404. Why, is in the list of events.
pub async fn receive(sso: &Sso<'_>, slug: &str, posted: &Posted<'_>, origin: Origin) -> Result<Outcome> {
    let tenant = Tenant::find(sso.db, slug).await?.ok_or_else(Refusal::not_found)?;
    let counted = sso.limiter.company_message(&origin).await?;
    let outcome = take(sso, tenant, posted, origin).await;
    counted.judge_message(outcome).await
}

async fn take(sso: &Sso<'_>, tenant: Tenant, posted: &Posted<'_>, origin: Origin) -> Result<Outcome> {
    let browser = posted.browser;
    let mut attempt = Attempt { sso, tenant, origin, browser, connection: None, request: None, seen: Seen::default() };
    match attempt.take(posted).await {
        Ok(outcome) => Ok(outcome),
        Err(Halt::Refused(refused)) => attempt.refuse(&refused).await,
        Err(Halt::Trouble(error)) => Err(error),
    }
}

/// What is known so far.
struct Attempt<'a> {
    sso: &'a Sso<'a>,
    tenant: Tenant,
    origin: Origin,
    browser: Option<&'a Browser>,
    connection: Option<Connection>,
    /// Known to be of this browser.
    request: Option<Request>,
    seen: Seen,
}

impl Attempt<'_> {
    async fn begin(&self) -> Result<Tx> {
        self.sso.db.begin(&self.tenant, Actor::Anonymous, self.origin.clone()).await
    }

    fn is_test(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.is_for(Purpose::Test))
    }

    /// Who connects his account, and in which session.
    fn asker(&self) -> Option<(UserId, SessionId)> {
        self.request.as_ref().and_then(Request::asker)
    }

    fn kind(&self) -> Kind {
        if self.asker().is_some() { Kind::Connect } else { Kind::SignIn }
    }

    fn return_to(&self) -> String {
        self.request.as_ref().map_or_else(|| "/".to_owned(), |request| request.return_to.clone())
    }

    async fn take(&mut self, posted: &Posted<'_>) -> Result<Outcome, Halt> {
        let response = posted.response.to_owned();
        let received = self.sso.workers.run(move || Received::parse(&response)).await?;
        let mut tx = self.sso.db.look(&self.tenant, Actor::Anonymous, self.origin.clone()).await?;
        // A message that can't be read at all is known by this, too: an administrator sees what came of his test.
        if let Some(relay_state) = posted.relay_state
            && let Some(request) = requests::find_by_relay_state(&mut tx, relay_state).await?
            && request.is_of(posted.browser)
        {
            self.connection = connections::find(&mut tx, request.connection_id).await?;
            self.request = Some(request);
        }
        let received = received.map_err(|refusal| self.seen.refuse(refusal))?;
        self.seen.issuer = Some(received.issuer().to_owned());
        let connection = match received.in_response_to() {
            Some(id) => self.find_request(&mut tx, id, posted).await?,
            None => self.find_unasked(&mut tx, received.issuer()).await?,
        };
        let (urls, decryption_keys) = if received.is_encrypted() {
            let Own { urls, keys, .. } = Own::load(&mut tx, self.sso).await?;
            (urls, keys.map(|keys| keys.decryption).unwrap_or_default())
        } else {
            (own::load_urls(&mut tx, self.sso).await?, Vec::new())
        };
        let now = tx.now();
        // Nobody keeps a connection to Postgres while he verifies.
        tx.commit().await?;
        let said = self.verify(received, &connection, (urls, decryption_keys), now).await?;
        if said.name_id.is_transient() {
            let detail = "The NameID is transient: it changes at each sign-in, so that nobody can be known by it again. Have the \
                          provider send a persistent NameID or the e-mail address.";
            return Err(Refused::new(Told::Refused, "transient_name_id", detail).into());
        }
        match self.finish(&connection, &said, false).await? {
            Some(outcome) => Ok(outcome),
            // There is more to do, which needs the lock.
            None => match self.finish(&connection, &said, true).await? {
                Some(outcome) => Ok(outcome),
                None => Err(Error::Internal("a sign-in that never ends".into()).into()),
            },
        }
    }

    /// The connection that a request of ours went to.
    async fn find_request(&mut self, tx: &mut Tx, id: &str, posted: &Posted<'_>) -> Result<Connection, Halt> {
        let again = |reason, detail: &'static str| Err(Refused::new(Told::Again, reason, detail).into());
        let known = self.request.as_ref().filter(|request| request.id == id).cloned();
        let is_known = known.is_some();
        let request = if is_known { known } else { requests::find(tx, id).await? };
        let Some(request) = request.filter(|request| !request.is_for(Purpose::Logout)) else {
            return again(
                "unknown_request",
                "It answers no request of ours that is open: perhaps it was answered before.",
            );
        };
        if !is_known {
            self.connection = connections::find(tx, request.connection_id).await?;
        }
        let connection = self.connection.clone();
        if !request.is_of(posted.browser) {
            return again(
                "other_browser",
                "Another browser was sent to the identity provider than the one that came back.",
            );
        }
        let (is_test, is_late) = (request.is_for(Purpose::Test), request.expires_at <= tx.now());
        let is_its_state = posted.relay_state == Some(request.relay_state.as_str());
        self.request = Some(request);
        if !is_its_state {
            return again(
                "wrong_relay_state",
                "The identity provider did not give back the RelayState that it was sent.",
            );
        }
        if is_late {
            return again("request_expired", "The answer came more than 20 minutes after the request.");
        }
        match connection.filter(|connection| connection.is_active || is_test) {
            Some(connection) => Ok(connection),
            None => Err(Refused::new(Told::Refused, "connection_off", "The connection is not active.").into()),
        }
    }

    /// The connection that a message is of which nobody asked for.
    async fn find_unasked(&mut self, tx: &mut Tx, issuer: &str) -> Result<Connection, Halt> {
        let refused = |reason, detail: &'static str| Err(Refused::new(Told::Refused, reason, detail).into());
        if self.request.is_some() {
            return refused("not_an_answer", "The message does not say which request it answers (InResponseTo).");
        }
        let found =
            if issuer.contains('\0') { None } else { connections::find_active_by_entity_id(tx, issuer).await? };
        self.connection.clone_from(&found);
        match found {
            Some(connection) if connection.idp_initiated => Ok(connection),
            Some(_) => refused(
                "unsolicited",
                "Nobody asked for this sign-in here. Switch idp_initiated on if people shall begin at the identity provider.",
            ),
            None => refused("unknown_issuer", "No active connection has this issuer as its entity id."),
        }
    }

    async fn verify(
        &mut self,
        received: Received,
        connection: &Connection,
        (urls, decryption_keys): (ServiceUrls, Vec<PrivateKey>),
        now: DateTime<Utc>,
    ) -> Result<SignIn, Halt> {
        let certificates = connection.trusted()?;
        let (issuer, allow_cbc) = (connection.entity_id.clone(), connection.allow_cbc);
        let in_response_to = self.request.as_ref().map(|request| request.id.clone());
        let verified = self.sso.workers.run(move || {
            received.verify(&Expected {
                entity_id: &urls.entity_id,
                acs_url: &urls.acs_url,
                issuer: &issuer,
                certificates: &certificates,
                in_response_to: in_response_to.as_deref(),
                now,
                allow_cbc,
                decryption_keys: &decryption_keys,
            })
        });
        let said = verified.await?.map_err(|refusal| self.seen.refuse(refusal))?;
        self.seen = Seen {
            issuer: Some(said.issuer.clone()),
            assertion_id: Some(said.assertion_id.clone()),
            fingerprint: Some(said.fingerprint.clone()),
        };
        Ok(said)
    }

    /// One transaction: takes request and assertion, so that they count once, and lets him in. None if that takes the lock of
    /// the organization's rights, which comes before all others, and was not taken.
    async fn finish(&mut self, connection: &Connection, said: &SignIn, locked: bool) -> Result<Option<Outcome>, Halt> {
        let person = Person::of(said, &connection.attribute_mapping);
        let invitation = self.request.as_ref().and_then(Request::invitation);
        let arrival = Arrival { connection, said, person: &person, invitation };
        let mut tx = self.begin().await?;
        if locked {
            access::lock(&mut tx).await?;
        }
        let known = match self.asker() {
            Some((user, _)) => provision::lock_user(&mut tx, user).await?,
            None => provision::lock_known(&mut tx, &arrival).await?,
        };
        if !locked && !self.is_settled(&mut tx, &arrival, known.as_ref()).await? {
            return Ok(None);
        }
        self.consume(&mut tx, connection, said).await?;
        let admitted = if locked {
            self.admit(&mut tx, &arrival, known).await
        } else {
            // Whoever is refused here has changed nothing.
            provision::admit(&mut tx, &arrival, known, true).await
        };
        let account = match admitted {
            Err(Halt::Trouble(error)) => return Err(error.into()),
            admitted if self.is_test() => {
                let result = self.pass_test(tx, &arrival, admitted).await?;
                return Ok(Some(Outcome::Tested(Box::new(result))));
            }
            Err(halt) => {
                // It was used up all the same.
                tx.commit().await?;
                return Err(halt);
            }
            Ok(account) => account,
        };
        match self.asker() {
            Some(_) => self.end(tx, account.id, Outcome::Connected { return_to: self.return_to() }).await.map(Some),
            None => self.enter(tx, &arrival, &account).await.map(Some),
        }
    }

    /// Whether he is known and stays where he is, so that nobody's rights change.
    async fn is_settled(&self, tx: &mut Tx, arrival: &Arrival<'_>, known: Option<&Account>) -> Result<bool> {
        match known {
            Some(account) if !self.is_test() && self.asker().is_none() => {
                Ok(provision::moves(tx, arrival, account).await?.are_none())
            }
            _ => Ok(false),
        }
    }

    /// Under the lock of the organization's rights. Nothing is kept of a test, or of a refusal.
    async fn admit(&self, tx: &mut Tx, arrival: &Arrival<'_>, known: Option<Account>) -> Result<Account, Halt> {
        tx.savepoint().await?;
        let admitted = match self.asker() {
            Some((_, session)) => connect::attach(tx, arrival, known, session).await,
            None => provision::admit(tx, arrival, known, false).await,
        };
        if !matches!(admitted, Err(Halt::Trouble(_))) {
            tx.end_savepoint(admitted.is_ok() && !self.is_test()).await?;
        }
        admitted
    }

    async fn consume(&self, tx: &mut Tx, connection: &Connection, said: &SignIn) -> Result<(), Halt> {
        let again = |reason, detail: &'static str| Err(Refused::new(Told::Again, reason, detail).into());
        if let Some(request) = &self.request
            && !requests::take(tx, request).await?
        {
            return again(
                "request_used",
                "The request was answered at the same moment by another message, or too late.",
            );
        }
        if !requests::remember(tx, connection.id.into(), &said.assertion_id, said.expires_at).await? {
            return again("replayed", "This assertion was used before. Each is good once.");
        }
        if connections::version(tx, connection.id.into()).await? != Some(connection.version) {
            return again("connection_changed", "The connection was changed while the message was looked at.");
        }
        Ok(())
    }

    async fn enter(&self, mut tx: Tx, arrival: &Arrival<'_>, account: &Account) -> Result<Outcome, Halt> {
        let Arrival { connection, said, .. } = arrival;
        let at = AtProvider::new(connection.id.into(), &said.name_id, said.session_index.clone());
        let who = (account.id, account.email.as_str());
        let details = provision::of(arrival);
        let session = sessions::create_at_provider(&mut tx, who, at, said.session_not_on_or_after, details).await?;
        if let Some(browser) = self.browser {
            requests::end_of_others(&mut tx, browser, account.id).await?;
        }
        self.end(tx, account.id, Outcome::SignedIn { session, return_to: self.return_to() }).await
    }

    /// Writes down that all was well, and makes it real.
    async fn end(&self, mut tx: Tx, user: UserId, outcome: Outcome) -> Result<Outcome, Halt> {
        let connection = self.connection.as_ref().map(|connection| (connection.id.into(), connection.name.as_str()));
        let event = NewEvent { kind: self.kind(), refused: None, connection, seen: &self.seen, user: Some(user) };
        noted::note(&mut tx, &event).await?;
        tx.commit().await?;
        Ok(outcome)
    }

    async fn pass_test(
        &self,
        mut tx: Tx,
        arrival: &Arrival<'_>,
        admitted: Result<Account, Halt>,
    ) -> Result<TestResult, Halt> {
        let account = match admitted {
            Ok(account) => Ok(account.email),
            Err(Halt::Refused(refused)) => Err(refused),
            Err(halt) => return Err(halt),
        };
        // Nobody who is new could get in so: others than him were not tested.
        let lets_people_in = account.as_ref().err().is_none_or(|refused| refused.reason != "no_email");
        let result = TestResult::passed(arrival, account);
        self.keep_test(&mut tx, &result).await?;
        if lets_people_in {
            test_sign_in::mark_tested(&mut tx, arrival.connection).await?;
        }
        tx.commit().await?;
        Ok(result)
    }

    async fn keep_test(&self, tx: &mut Tx, result: &TestResult) -> Result<()> {
        let Some(Request { user_id: Some(user), connection_id, .. }) = &self.request else { return Ok(()) };
        tx.act_as(Actor::Anonymous);
        test_sign_in::keep(tx, *connection_id, *user, result).await?;
        self.note(tx, Kind::Test, result.failed.as_ref().map(|failed| (failed.reason.as_str(), failed.detail.as_str())))
            .await
    }

    async fn note(&self, tx: &mut Tx, kind: Kind, refused: Option<(&str, &str)>) -> Result<()> {
        let connection = self.connection.as_ref().map(|connection| (connection.id.into(), connection.name.as_str()));
        noted::note(tx, &NewEvent { kind, refused, connection, seen: &self.seen, user: None }).await
    }

    /// Writes down why, and says little. An administrator who tests is told all.
    async fn refuse(&mut self, refused: &Refused) -> Result<Outcome> {
        if self.is_test() {
            let result = TestResult::failed(refused);
            let mut tx = self.begin().await?;
            if let Some(request) = &self.request {
                requests::take(&mut tx, request).await?;
            }
            self.keep_test(&mut tx, &result).await?;
            tx.commit().await?;
            return Ok(Outcome::Tested(Box::new(result)));
        }
        // No more than the limit, or a stranger could fill the disk.
        if self.sso.limiter.may_note_message(&self.tenant) {
            let mut tx = self.begin().await?;
            self.note(&mut tx, self.kind(), Some((refused.reason, &refused.detail))).await?;
            tx.commit().await?;
        }
        Err(refused.told.refusal().into())
    }
}
