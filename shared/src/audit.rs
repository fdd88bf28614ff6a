//! The audit log: who did what to what, written in the transaction of the change.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::access::{Access, Actor, ViewAuditLog};
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AuditEventId, OrganizationId, UserId};
use crate::page::{Listed, Page, PageRequest, Query, Sort};

/// Something that happened.
#[derive(Debug)]
pub struct Event<'a> {
    /// Past tense, `object.verb`: `invitation.created`.
    pub action: &'static str,
    /// Which kind of object.
    pub object_type: &'static str,
    /// Which one.
    pub object_id: Option<Uuid>,
    /// What a person calls it, also after it is gone.
    pub object_name: Option<&'a str>,
    /// What else a reader wants to know. No secret.
    pub details: Value,
}

impl<'a> Event<'a> {
    /// An event about an object that has a name.
    pub fn new(action: &'static str, object_type: &'static str, id: impl Into<Uuid>, name: &'a str) -> Self {
        Self {
            action,
            object_type,
            object_id: Some(id.into()),
            object_name: Some(name),
            details: Value::Object(Default::default()),
        }
    }

    /// The same, with details.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

impl Tx {
    /// Writes an event, by whoever acts in this unit of work.
    pub async fn audit(&mut self, event: Event<'_>) -> Result<()> {
        self.audit_all(&[event]).await
    }

    /// The same for many at once.
    pub async fn audit_all(&mut self, events: &[Event<'_>]) -> Result<()> {
        let ids: Vec<Uuid> = events.iter().map(|_| self.new_id::<AuditEventId>().into()).collect();
        let (actor_id, actor_name, credential) = match self.actor().clone() {
            Actor::User { id, name, credential } => (Some(id), name, credential.map(|c| c.to_string())),
            Actor::Anonymous => (None, "anonymous".into(), None),
            Actor::System(name) => (None, name.into(), None),
        };
        let origin = self.origin().clone();
        let actions: Vec<&str> = events.iter().map(|event| event.action).collect();
        let types: Vec<&str> = events.iter().map(|event| event.object_type).collect();
        let object_ids: Vec<Option<Uuid>> = events.iter().map(|event| event.object_id).collect();
        let names: Vec<Option<&str>> = events.iter().map(|event| event.object_name).collect();
        let details: Vec<&Value> = events.iter().map(|event| &event.details).collect();
        sqlx::query!(
            "insert into audit_events (organization_id, at, actor_id, actor_name, credential, client_address, client_id, request_id,
                 id, action, object_type, object_id, object_name, details)
             select $1, $2, $3, $4, $5, $6, $7, $8, e.*
             from unnest($9::uuid[], $10::text[], $11::text[], $12::uuid[], $13::text[], $14::jsonb[]) e",
            self.organization_id() as OrganizationId,
            self.now(),
            actor_id as Option<UserId>,
            actor_name,
            credential,
            origin.client_address,
            origin.client_id,
            origin.request_id,
            &ids,
            &actions as &[&str],
            &types as &[&str],
            &object_ids as &[Option<Uuid>],
            &names as &[Option<&str>],
            &details as &[&Value]
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

/// An entry of the log.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct AuditEvent {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub action: String,
    pub object_type: String,
    pub object_id: Option<Uuid>,
    pub object_name: Option<String>,
    pub actor_id: Option<Uuid>,
    pub actor_name: Option<String>,
    pub credential: Option<String>,
    pub client_address: Option<String>,
    pub client_id: Option<String>,
    pub request_id: Option<String>,
    pub details: Value,
}

/// Which entries.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Of this action.
    pub action: Option<String>,
    /// By this user.
    pub actor: Option<Uuid>,
    /// About this object.
    pub object: Option<Uuid>,
    /// Of this kind of object.
    pub object_type: Option<String>,
    /// At or after.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
}

impl Listed for AuditEvent {
    const SORTS: &'static [Sort] = &[
        Sort::time("at", "e.at"),
        Sort::text("action", "e.action"),
        Sort::text("actor_name", "coalesce(e.actor_name, '')"),
    ];
    const DEFAULT_SORT: &'static str = "-at";
    const ID: &'static str = "e.id";
}

/// The log, newest first.
pub async fn list(
    tx: &mut Tx,
    _by: &Access<ViewAuditLog>,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditEvent>> {
    let mut query = Query::new("e.*", "audit_events e", "e.organization_id", tx);
    query.equals("e.action", filter.action.as_deref());
    query.equals("e.actor_id", filter.actor);
    query.equals("e.object_id", filter.object);
    query.equals("e.object_type", filter.object_type.as_deref());
    query.compare("e.at >= ", filter.since);
    query.compare("e.at < ", filter.until);
    query.search(&["e.action", "coalesce(e.object_name, '')", "coalesce(e.actor_name, '')"], page.search.as_deref());
    query.fetch(tx, page).await
}
