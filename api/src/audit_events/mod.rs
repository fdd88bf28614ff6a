//! The audit log.

mod export;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;
use tenantry_shared::access::ViewAuditLog;
use tenantry_shared::audit::{self, AuditEvent, AuditFilter};
use uuid::Uuid;

use export::{Export, Format};

use crate::app::App;
use crate::auth::SignedIn;
use crate::paging::{List, Paging};
use crate::problem::ApiResult;

pub(crate) struct Api;

/// Something that happened.
#[derive(Debug, Object)]
#[oai(rename = "AuditEvent")]
pub(crate) struct AuditEventOut {
    /// Its id.
    id: Uuid,
    /// When.
    at: DateTime<Utc>,
    /// What: `object.verb`, in the past tense.
    action: String,
    /// To which kind of object.
    object_type: String,
    /// To which one.
    object_id: Option<Uuid>,
    /// What it was called then.
    object_name: Option<String>,
    /// By which user; null for a stranger or ourselves.
    actor_id: Option<Uuid>,
    /// What he was called then.
    actor_name: Option<String>,
    /// With which credential: `session:<id>`.
    credential: Option<String>,
    /// From which address.
    client_address: Option<String>,
    /// The `X-Client-Id` of the request.
    client_id: Option<String>,
    /// The request.
    request_id: Option<String>,
    /// What else there is to know.
    details: Any<Value>,
}

impl From<AuditEvent> for AuditEventOut {
    fn from(event: AuditEvent) -> Self {
        Self {
            id: event.id,
            at: event.at,
            action: event.action,
            object_type: event.object_type,
            object_id: event.object_id,
            object_name: event.object_name,
            actor_id: event.actor_id,
            actor_name: event.actor_name,
            credential: event.credential,
            client_address: event.client_address,
            client_id: event.client_id,
            request_id: event.request_id,
            details: Any(event.details),
        }
    }
}

#[OpenApi(tag = "super::openapi::Tags::Audit")]
impl Api {
    /// List audit events
    ///
    /// Newest first. Needs `view_audit_log`. Ordered by `at`, `action` or `actor_name`. Nothing is ever changed or removed.
    #[oai(path = "/orgs/:organization_slug/audit-events", method = "get", operation_id = "list_audit_events")]
    #[expect(clippy::too_many_arguments, reason = "a handler's arguments are its parameters")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Only of this action.
        action: Query<Option<String>>,
        /// Only by this user.
        actor_id: Query<Option<Uuid>>,
        /// Only about this object.
        object_id: Query<Option<Uuid>>,
        /// Only about this kind of object.
        object_type: Query<Option<String>>,
        /// Only at or after this time.
        since: Query<Option<DateTime<Utc>>>,
        /// Only before this time.
        until: Query<Option<DateTime<Utc>>>,
    ) -> ApiResult<Json<List<AuditEventOut>>> {
        let (mut tx, by) = app.enter::<ViewAuditLog>(&caller, &organization_slug).await?;
        let filter = AuditFilter {
            action: action.0,
            actor: actor_id.0,
            object: object_id.0,
            object_type: object_type.0,
            since: since.0,
            until: until.0,
        };
        let page = audit::list(&mut tx, &by, &filter, &paging.request).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope(page)))
    }

    /// Export audit events
    ///
    /// All that the list shows under the same filters, newest first, as a file that may be long: a JSON object a line (`ndjson`), or
    /// comma-separated values with a header (`csv`), where a text that a spreadsheet would take for a formula begins with an
    /// apostrophe. A transfer that breaks off was not finished. Needs `view_audit_log`.
    #[oai(path = "/orgs/:organization_slug/audit-events/export", method = "get", operation_id = "export_audit_events")]
    #[expect(clippy::too_many_arguments, reason = "a handler's arguments are its parameters")]
    async fn export(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// How it is written; `ndjson` if not given.
        format: Query<Option<Format>>,
        /// Only of this action.
        action: Query<Option<String>>,
        /// Only by this user.
        actor_id: Query<Option<Uuid>>,
        /// Only about this object.
        object_id: Query<Option<Uuid>>,
        /// Only about this kind of object.
        object_type: Query<Option<String>>,
        /// Only at or after this time.
        since: Query<Option<DateTime<Utc>>>,
        /// Only before this time.
        until: Query<Option<DateTime<Utc>>>,
        /// A term to find, whatever its case.
        search: Query<Option<String>>,
    ) -> ApiResult<Export> {
        let (tx, _by) = app.enter::<ViewAuditLog>(&caller, &organization_slug).await?;
        tx.commit().await?;
        let filter = AuditFilter {
            action: action.0,
            actor: actor_id.0,
            object: object_id.0,
            object_type: object_type.0,
            since: since.0,
            until: until.0,
        };
        export::begin(&app, caller, filter, search.0, format.0.unwrap_or(Format::Ndjson)).await
    }
}
