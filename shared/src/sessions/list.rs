//! Looking at one's own sessions, and ending one of them.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::access::{Access, InPerson};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, SessionId, UserId};
use crate::page::{Listed, Page, PageRequest, Query, Sort};

/// A session.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct Session {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub client_address: Option<String>,
    pub user_agent: Option<String>,
}

const COLUMNS: &str = "s.id, s.created_at, s.expires_at, coalesce(s.last_seen_at, s.created_at) as last_seen_at, \
     s.client_address, s.user_agent";

impl Listed for Session {
    const SORTS: &'static [Sort] = &[
        Sort::time("created", "s.created_at"),
        Sort::time("expiry", "s.expires_at"),
        Sort::time("last_seen_at", "coalesce(s.last_seen_at, s.created_at)"),
    ];
    const DEFAULT_SORT: &'static str = "-created";
    const ID: &'static str = "s.id";
}

/// One's own sessions that live, newest first.
pub async fn list(tx: &mut Tx, by: &Access<InPerson>, page: &PageRequest) -> Result<Page<Session>> {
    let mut query = Query::new(COLUMNS, "sessions s", "s.organization_id", tx);
    query.equals("s.user_id", Some(by.caller().user_id));
    query.compare("s.expires_at > ", Some(tx.now()));
    query.search(&["coalesce(s.client_address, '')", "coalesce(s.user_agent, '')"], page.search.as_deref());
    query.fetch(tx, page).await
}

/// Ends one of one's own sessions.
pub async fn end(tx: &mut Tx, by: &Access<InPerson>, id: SessionId) -> Result<()> {
    let caller = by.caller();
    let ended = sqlx::query!(
        "delete from sessions where organization_id = $1 and id = $2 and user_id = $3 and expires_at > $4",
        tx.organization_id() as OrganizationId,
        id as SessionId,
        caller.user_id as UserId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    if ended.rows_affected() == 0 {
        return Err(Refusal::not_found().into());
    }
    let event = Event::new("session.ended", "user", caller.user_id, &caller.email);
    tx.audit(event.with(json!({ "session": id.to_string() }))).await
}
