//! What came of sign-ins through identity providers.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use tenantry_shared::access::ManageSso;
use tenantry_shared::saml::{self, SamlEvent, SamlEventFilter};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::paging::{List, Paging};
use crate::problem::ApiResult;

pub(crate) struct Api;

/// What was tried.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum SamlEventKind {
    /// Someone came to sign in.
    SignIn,
    /// Someone who was signed in came to connect his company account.
    Connect,
    /// An administrator tested a connection.
    Test,
    /// A message was about signing out.
    Logout,
}

impl SamlEventKind {
    fn from_name(name: &str) -> Self {
        match name {
            "connect" => Self::Connect,
            "test" => Self::Test,
            "logout" => Self::Logout,
            _ => Self::SignIn,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Connect => "connect",
            Self::Test => "test",
            Self::Logout => "logout",
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum SamlEventOutcome {
    /// All was well.
    Accepted,
    /// Something was not: `reason` and `detail` say what.
    Refused,
}

impl SamlEventOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}

/// An attempt to sign in, or out, through an identity provider. Nothing of the content of an assertion is kept.
#[derive(Debug, Object)]
#[oai(rename = "SamlEvent")]
pub(crate) struct SamlEventOut {
    /// Its id.
    id: Uuid,
    /// When it was.
    created_at: DateTime<Utc>,
    /// What was tried.
    kind: SamlEventKind,
    /// What came of it.
    outcome: SamlEventOutcome,
    /// A code of why it was refused.
    reason: Option<String>,
    /// The same in words.
    detail: Option<String>,
    /// Through which connection, as far as that is known.
    connection: Option<Uuid>,
    /// What that was called.
    connection_name: Option<String>,
    /// Who the message says it is from.
    issuer: Option<String>,
    /// The id of the assertion or message.
    assertion_id: Option<String>,
    /// SHA-256 of the certificate that verified it, hexadecimal.
    fingerprint: Option<String>,
    /// Who signed in, or tested.
    user: Option<Uuid>,
    /// From which address.
    client_address: Option<String>,
    /// With which browser, as it calls itself.
    user_agent: Option<String>,
    /// The id of the request, as its answer had it in `X-Request-Id`.
    request_id: Option<String>,
}

impl From<SamlEvent> for SamlEventOut {
    fn from(event: SamlEvent) -> Self {
        Self {
            id: event.id,
            created_at: event.created_at,
            kind: SamlEventKind::from_name(&event.kind),
            outcome: match event.outcome.as_str() {
                "accepted" => SamlEventOutcome::Accepted,
                _ => SamlEventOutcome::Refused,
            },
            reason: event.reason,
            detail: event.detail,
            connection: event.connection_id,
            connection_name: event.connection_name,
            issuer: event.issuer,
            assertion_id: event.assertion_id,
            fingerprint: event.fingerprint,
            user: event.user_id,
            client_address: event.client_address,
            user_agent: event.user_agent,
            request_id: event.request_id,
        }
    }
}

#[OpenApi(tag = "crate::openapi::Tags::Saml")]
impl Api {
    /// List sign-ins through identity providers
    ///
    /// The attempts of the last thirty days, the refused ones too, newest first. Where attempts are many, not every refusal is
    /// kept. Needs `manage_sso`. Ordered by `created_at`, `outcome` or `reason`; `search` looks at reason, detail and issuer.
    #[oai(path = "/orgs/:organization_slug/saml/events", method = "get", operation_id = "list_saml_events")]
    #[expect(clippy::too_many_arguments, reason = "a handler's arguments are its parameters")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Only of this kind.
        kind: Query<Option<SamlEventKind>>,
        /// Only with this outcome.
        outcome: Query<Option<SamlEventOutcome>>,
        /// Only through the connection of this id.
        connection: Query<Option<Uuid>>,
    ) -> ApiResult<Json<List<SamlEventOut>>> {
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        let filter = SamlEventFilter {
            kind: kind.0.map(|kind| kind.name().to_owned()),
            outcome: outcome.0.map(|outcome| outcome.name().to_owned()),
            connection: connection.0,
        };
        let page = saml::list_events(&mut tx, &by, &filter, &paging.request).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope(page)))
    }
}
