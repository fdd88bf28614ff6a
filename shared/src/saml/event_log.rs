//! What came of sign-ins through identity providers, for administrators who look for what is wrong.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::{Access, ManageSso};
use crate::db::Tx;
use crate::error::Result;
use crate::page::{Listed, Page, PageRequest, Query, Sort};

/// One attempt.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct SamlEvent {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
    pub kind: String,
    pub outcome: String,
    pub reason: Option<String>,
    pub detail: Option<String>,
    pub connection_id: Option<Uuid>,
    pub connection_name: Option<String>,
    pub issuer: Option<String>,
    pub assertion_id: Option<String>,
    pub fingerprint: Option<String>,
    pub user_id: Option<Uuid>,
    pub client_address: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
}

impl Listed for SamlEvent {
    const SORTS: &'static [Sort] = &[
        Sort::time("created_at", "e.created_at"),
        Sort::text("outcome", "e.outcome"),
        Sort::text("reason", "coalesce(e.reason, '')"),
    ];
    const DEFAULT_SORT: &'static str = "-created_at";
    const ID: &'static str = "e.id";
}

/// Which attempts.
#[derive(Clone, Debug, Default)]
pub struct SamlEventFilter {
    /// `sign_in`, `connect`, `test` or `logout`.
    pub kind: Option<String>,
    /// `accepted` or `refused`.
    pub outcome: Option<String>,
    /// Through this connection.
    pub connection: Option<Uuid>,
}

/// The attempts of the last thirty days, newest first.
pub async fn list_events(
    tx: &mut Tx,
    _by: &Access<ManageSso>,
    filter: &SamlEventFilter,
    page: &PageRequest,
) -> Result<Page<SamlEvent>> {
    let mut query = Query::new("e.*", "saml_events e", "e.organization_id", tx);
    query.equals("e.kind", filter.kind.as_deref());
    query.equals("e.outcome", filter.outcome.as_deref());
    query.equals("e.connection_id", filter.connection);
    let columns = ["coalesce(e.reason, '')", "coalesce(e.detail, '')", "coalesce(e.issuer, '')"];
    query.search(&columns, page.search.as_deref());
    query.fetch(tx, page).await
}
