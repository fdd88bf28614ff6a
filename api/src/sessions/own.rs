//! One's own sessions, and how one of them gets into a browser.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::access::InPerson;
use tenantry_shared::ids::SessionId;
use tenantry_shared::sessions::{self, Session};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{NoContent, Once};

pub(crate) struct Api;

/// A session of the caller.
#[derive(Debug, Object)]
#[oai(rename = "Session")]
pub(crate) struct OwnSessionOut {
    /// Its id.
    id: Uuid,
    /// When it began.
    created: DateTime<Utc>,
    /// Until when it is good.
    expiry: DateTime<Utc>,
    /// The address it began from.
    client_address: Option<String>,
    /// The browser or program it began with, as that calls itself.
    user_agent: Option<String>,
    /// When it was last used, to the minute.
    last_seen_at: DateTime<Utc>,
    /// Whether it is the one of this request.
    is_current: bool,
}

impl OwnSessionOut {
    fn new(session: Session, current: Option<SessionId>) -> Self {
        Self {
            id: session.id,
            created: session.created_at,
            expiry: session.expires_at,
            client_address: session.client_address,
            user_agent: session.user_agent,
            last_seen_at: session.last_seen_at,
            is_current: current == Some(session.id.into()),
        }
    }
}

/// A token that a browser exchanges for a session.
#[derive(Object)]
#[oai(rename = "SessionToken")]
pub(crate) struct SessionTokenOut {
    /// To be sent to `/sign-in/with-token`. It is shown this once.
    token: String,
}

#[OpenApi(tag = "crate::openapi::Tags::Iam")]
impl Api {
    /// List one's own sessions
    ///
    /// Those that live, newest first. Ordered by `created`, `expiry` or `last_seen_at`; `search` looks at address and user
    /// agent. Errors: 403 `session_required`, for a personal access token.
    #[oai(path = "/orgs/:organization_slug/iam/sessions", method = "get", operation_id = "iam_list_sessions")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<List<OwnSessionOut>>> {
        let (mut tx, by) = app.enter::<InPerson>(&caller, &organization_slug).await?;
        let page = sessions::list(&mut tx, &by, &paging.request).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope_with(page, |session| OwnSessionOut::new(session, by.caller().session()))))
    }

    /// End one of one's own sessions
    ///
    /// At once; also the one of this request. Errors: 403 `session_required`, for a personal access token.
    #[oai(path = "/orgs/:organization_slug/iam/sessions/:id", method = "delete", operation_id = "iam_end_session")]
    async fn end(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Its id.
        id: Path<Uuid>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<InPerson>(&caller, &organization_slug).await?;
        sessions::end(&mut tx, &by, id.0.into()).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }

    /// Take a session into a browser
    ///
    /// Gives a token for the sign-in page, good once and for 60 seconds. Let the browser send it there, best as the field
    /// `token` of a form that is posted to `/sign-in/with-token`, else as `/sign-in/with-token?token=…`. Its reader is asked
    /// whether he wants to go on as the caller; then the browser has a session of its own, which ends when the caller's
    /// present one would have ended, and dies with all others by `iam_logoutall`.
    /// Errors: 403 `session_required`, for a personal access token; 409 `secret_already_shown`, for a repeated request.
    #[oai(path = "/orgs/:organization_slug/iam/session-token", method = "post", operation_id = "iam_session_token")]
    async fn session_token(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> ApiResult<Json<SessionTokenOut>> {
        let (mut tx, by) = app.enter::<InPerson>(&caller, &organization_slug).await?;
        let (operation, key) = ("iam_session_token", idempotency_key.0);
        let once = Once::begin_secret(&mut tx, by.caller(), operation, key, &String::new()).await?;
        let made = sessions::hand_over(&mut tx, &by).await?;
        once.remember_made(&mut tx, made.id).await?;
        tx.commit().await?;
        Ok(Json(SessionTokenOut { token: made.token.expose().to_owned() }))
    }
}
