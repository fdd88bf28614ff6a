//! Single logout: whoever signs out here is signed out at the company, and the other way round.

use chrono::TimeDelta;
use serde_json::json;
use tenantry_saml::{
    ExpectedLogout, LogoutMessage, LogoutRequest, NewLogoutRequest, NewLogoutResponse, ReceivedLogout, message_id,
};

use super::ask::{Way, begin_logout, travel};
use super::noted::{self, Kind, NewEvent, Seen};
use super::own::{Own, internal};
use super::refused::{Halt, Refused, Told};
use super::requests::{self, Browser, Purpose, Request};
use super::{Connection, Sso, connections};
use crate::access::{Access, Actor, InPerson, Origin};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Error, Refusal, Result};
use crate::secret::fill_random;
use crate::sessions::{self, AtProvider};
use crate::tenant::Tenant;

/// How long a provider may take for a request of ours.
const STALE_AFTER: TimeDelta = TimeDelta::minutes(5);

/// A logout message as it came. Its signature is over these very bytes.
#[derive(Clone, Debug)]
pub enum RawMessage {
    /// The query of the redirect binding.
    Query(String),
    /// The form of the POST binding.
    Form(String),
}

/// What came of it.
#[derive(Debug)]
pub enum LoggedOut {
    /// They asked: this is the answer.
    Answer(Way),
    /// They answered, or want no answer. Whether all are signed out there.
    Done {
        /// The organization's slug.
        slug: String,
        /// Whether the provider signed him out everywhere.
        everywhere: bool,
    },
}

/// Ends the caller's session, and begins to tell the identity provider, if it is one of those that want to know.
pub async fn sign_out(sso: &Sso<'_>, mut tx: Tx, by: &Access<InPerson>, browser: &Browser) -> Result<Option<Way>> {
    let at = match by.caller().session() {
        Some(session) => sessions::at_provider(&mut tx, session).await?,
        None => None,
    };
    sessions::logout(&mut tx, by).await?;
    let told = match at {
        Some(at) => begin_to_tell(sso, &mut tx, &at, browser).await,
        None => Ok(None),
    };
    let told = match told {
        Ok(told) => told,
        Err(Error::Refused(refusal)) => {
            // A key that can't be read keeps nobody from signing out.
            tracing::warn!(%refusal, "an identity provider can't be told of a sign-out");
            None
        }
        Err(error) => return Err(error),
    };
    let now = tx.now();
    tx.commit().await?;
    let Some(Telling { own, connection, request, at, slo_url, binding }) = told else { return Ok(None) };
    let message = NewLogoutRequest {
        id: &request.id,
        issue_instant: now,
        not_on_or_after: now + STALE_AFTER,
        destination: &slo_url,
        issuer: &own.urls.entity_id,
        name_id: &at.name_id(),
        session_indexes: &at.session_index.as_deref().into_iter().collect::<Vec<_>>(),
    };
    let message = message.message().map_err(internal)?;
    let way = travel(sso, &own, message, &binding, true, Some(request.relay_state)).await;
    way.map(Some).inspect_err(|error| tracing::error!(%error, connection = %connection.id, "a logout request"))
}

struct Telling {
    own: Own,
    connection: Connection,
    request: Request,
    at: AtProvider,
    slo_url: String,
    binding: String,
}

async fn begin_to_tell(sso: &Sso<'_>, tx: &mut Tx, at: &AtProvider, browser: &Browser) -> Result<Option<Telling>> {
    let Some(connection) = connections::find(tx, at.connection).await? else { return Ok(None) };
    let Some((slo_url, binding)) = connection.slo_url.clone().zip(connection.slo_binding.clone()) else {
        return Ok(None);
    };
    let own = Own::load(tx, sso).await?;
    if own.keys.is_none() {
        return Ok(None);
    }
    let request = begin_logout(tx, at.connection, browser).await?;
    Ok(Some(Telling { own, connection, request, at: at.clone(), slo_url, binding }))
}

/// Takes a logout message.
///
/// Errors: 403 `sso_logout_refused`; 404.
pub async fn receive_logout(
    sso: &Sso<'_>,
    slug: &str,
    raw: RawMessage,
    browser: Option<&Browser>,
    origin: Origin,
) -> Result<LoggedOut> {
    let tenant = Tenant::find(sso.db, slug).await?.ok_or_else(Refusal::not_found)?;
    let counted = sso.limiter.company_message(&origin).await?;
    let outcome = take(sso, tenant, raw, browser, origin).await;
    counted.judge_message(outcome).await
}

async fn take(
    sso: &Sso<'_>,
    tenant: Tenant,
    raw: RawMessage,
    browser: Option<&Browser>,
    origin: Origin,
) -> Result<LoggedOut> {
    let mut attempt = Attempt { sso, tenant, origin, connection: None, seen: Seen::default() };
    match attempt.take(raw, browser).await {
        Ok(done) => Ok(done),
        Err(Halt::Refused(refused)) => {
            if sso.limiter.may_note_message(&attempt.tenant) {
                let mut tx = attempt.begin().await?;
                attempt.note(&mut tx, Some((refused.reason, &refused.detail))).await?;
                tx.commit().await?;
            }
            Err(Refusal::forbidden("sso_logout_refused", "The identity provider's message was not accepted.").into())
        }
        Err(Halt::Trouble(error)) => Err(error),
    }
}

struct Attempt<'a> {
    sso: &'a Sso<'a>,
    tenant: Tenant,
    origin: Origin,
    connection: Option<Connection>,
    seen: Seen,
}

impl Attempt<'_> {
    async fn begin(&self) -> Result<Tx> {
        self.sso.db.begin(&self.tenant, Actor::System("identity provider"), self.origin.clone()).await
    }

    async fn note(&self, tx: &mut Tx, refused: Option<(&str, &str)>) -> Result<()> {
        let connection = self.connection.as_ref().map(|connection| (connection.id.into(), connection.name.as_str()));
        noted::note(tx, &NewEvent { kind: Kind::Logout, refused, connection, seen: &self.seen, user: None }).await
    }

    async fn take(&mut self, raw: RawMessage, browser: Option<&Browser>) -> Result<LoggedOut, Halt> {
        let read = move || match raw {
            RawMessage::Query(query) => ReceivedLogout::from_query(&query),
            RawMessage::Form(form) => ReceivedLogout::from_form(&form),
        };
        let received = self.sso.workers.run(read).await?.map_err(|refusal| self.seen.refuse(refusal))?;
        self.seen.issuer = Some(received.issuer().to_owned());
        let relay_state = received.relay_state().map(str::to_owned);
        let mut tx = self.begin().await?;
        let connection = self.find_connection(&mut tx, received.issuer()).await?;
        let request = self.find_request(&mut tx, &connection, &received, browser).await?;
        let own = Own::load(&mut tx, self.sso).await?;
        let now = tx.now();
        tx.commit().await?;
        let certificates = connection.trusted()?;
        let (issuer, slo_url) = (connection.entity_id.clone(), own.urls.slo_url.clone());
        let in_response_to = request.as_ref().map(|request| request.id.clone());
        let verified = self.sso.workers.run(move || {
            received.verify(&ExpectedLogout {
                issuer: &issuer,
                slo_url: &slo_url,
                certificates: &certificates,
                in_response_to: in_response_to.as_deref(),
                now,
            })
        });
        match (verified.await?.map_err(|refusal| self.seen.refuse(refusal))?, request) {
            (LogoutMessage::Request(theirs), None) => self.end(&connection, own, &theirs, relay_state).await,
            (LogoutMessage::Response(theirs), Some(request)) => {
                self.seen.assertion_id = Some(theirs.id);
                self.seen.fingerprint = Some(theirs.fingerprint);
                let mut tx = self.begin().await?;
                if !requests::take(&mut tx, &request).await? {
                    return Err(used().into());
                }
                self.note(&mut tx, None).await?;
                tx.commit().await?;
                Ok(LoggedOut::Done { slug: own.slug, everywhere: theirs.success })
            }
            _ => Err(used().into()),
        }
    }

    async fn find_connection(&mut self, tx: &mut Tx, issuer: &str) -> Result<Connection, Halt> {
        let found =
            if issuer.contains('\0') { None } else { connections::find_active_by_entity_id(tx, issuer).await? };
        self.connection.clone_from(&found);
        let unknown =
            || Refused::new(Told::Refused, "unknown_issuer", "No active connection has this issuer as its entity id.");
        Ok(found.ok_or_else(unknown)?)
    }

    /// The request of ours that a message answers, if it answers any.
    async fn find_request(
        &mut self,
        tx: &mut Tx,
        connection: &Connection,
        received: &ReceivedLogout,
        browser: Option<&Browser>,
    ) -> Result<Option<Request>, Halt> {
        let Some(id) = received.in_response_to() else { return Ok(None) };
        let request = requests::find(tx, id).await?.filter(|request| {
            request.is_for(Purpose::Logout)
                && request.connection_id == connection.id.into()
                && request.is_of(browser)
                && received.relay_state() == Some(request.relay_state.as_str())
        });
        request.map(Some).ok_or_else(|| used().into())
    }

    /// Ends what they want ended, and answers.
    async fn end(
        &mut self,
        connection: &Connection,
        own: Own,
        theirs: &LogoutRequest,
        relay_state: Option<String>,
    ) -> Result<LoggedOut, Halt> {
        self.seen = Seen {
            issuer: Some(theirs.issuer.clone()),
            assertion_id: Some(theirs.id.clone()),
            fingerprint: Some(theirs.fingerprint.clone()),
        };
        let mut tx = self.begin().await?;
        let now = tx.now();
        if !requests::remember(&mut tx, connection.id.into(), &theirs.id, theirs.expires_at).await? {
            return Err(
                Refused::new(Told::Refused, "replayed", "This message was taken before. Each is good once.").into()
            );
        }
        let indexes = &theirs.session_indexes;
        let ended = sessions::end_at_provider(&mut tx, connection.id.into(), &theirs.name_id.value, indexes).await?;
        for user in ended {
            let details = json!({ "by": "identity provider", "connection": connection.id, "sessions": user.sessions });
            tx.audit(Event::new("sessions.ended", "user", user.id, &user.email).with(details)).await?;
        }
        self.note(&mut tx, None).await?;
        tx.commit().await?;
        let answer_to = connection.slo_response_url.clone().or_else(|| connection.slo_url.clone());
        let Some((destination, binding)) =
            answer_to.zip(connection.slo_binding.as_deref()).filter(|_| own.keys.is_some())
        else {
            return Ok(LoggedOut::Done { slug: own.slug, everywhere: true });
        };
        let mut id = [0; 20];
        fill_random(&mut id)?;
        let answer = NewLogoutResponse {
            id: &message_id(&id),
            issue_instant: now,
            destination: &destination,
            issuer: &own.urls.entity_id,
            in_response_to: &theirs.id,
            success: true,
        };
        let answer = answer.message().map_err(internal)?;
        Ok(LoggedOut::Answer(travel(self.sso, &own, answer, binding, true, relay_state).await?))
    }
}

fn used() -> Refused {
    let detail = "It answers no logout request of ours that is open, of this connection and this browser.";
    Refused::new(Told::Again, "unknown_request", detail)
}
