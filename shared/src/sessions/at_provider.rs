//! Sessions that began at an identity provider, and can be ended from there.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tenantry_saml::NameId;

use super::{Beginning, NewSession, SESSION_LASTS, begin};
use crate::access::Caller;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{OrganizationId, SamlConnectionId, SessionId, UserId};

/// What a session is there.
#[derive(Clone, Debug)]
pub(crate) struct AtProvider {
    pub(crate) connection: SamlConnectionId,
    pub(super) name_id: String,
    /// What qualifies it.
    pub(super) attributes: Value,
    pub(crate) session_index: Option<String>,
}

impl AtProvider {
    pub(crate) fn new(connection: SamlConnectionId, name_id: &NameId, session_index: Option<String>) -> Self {
        let attributes = json!({
            "format": name_id.format,
            "name_qualifier": name_id.name_qualifier,
            "sp_name_qualifier": name_id.sp_name_qualifier,
        });
        Self { connection, name_id: name_id.value.clone(), attributes, session_index }
    }

    /// The name, exactly as the provider gave it.
    pub(crate) fn name_id(&self) -> NameId {
        let text = |name: &str| self.attributes[name].as_str().map(str::to_owned);
        NameId {
            value: self.name_id.clone(),
            format: text("format"),
            name_qualifier: text("name_qualifier"),
            sp_name_qualifier: text("sp_name_qualifier"),
        }
    }
}

/// Begins a session for someone whom an identity provider speaks for. It ends when the one there does, at the latest.
pub(crate) async fn create_at_provider(
    tx: &mut Tx,
    (user, email): (UserId, &str),
    at: AtProvider,
    ends_there: Option<DateTime<Utc>>,
    details: Value,
) -> Result<NewSession> {
    let ends_at = tx.now() + SESSION_LASTS;
    let expires_at = ends_there.map_or(ends_at, |there| there.min(ends_at));
    begin(tx, Beginning { user, email, signs_in: true, expires_at, at: Some(&at), details }).await
}

/// What a session is at an identity provider, if it began there.
pub(crate) async fn at_provider(tx: &mut Tx, session: SessionId) -> Result<Option<AtProvider>> {
    let row = sqlx::query!(
        r#"select saml_connection_id as "connection: SamlConnectionId", saml_name_id, saml_name_id_attributes, saml_session_index
           from sessions where organization_id = $1 and id = $2"#,
        tx.organization_id() as OrganizationId,
        session as SessionId
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.and_then(|row| {
        Some(AtProvider {
            connection: row.connection?,
            name_id: row.saml_name_id?,
            attributes: row.saml_name_id_attributes.unwrap_or_default(),
            session_index: row.saml_session_index,
        })
    }))
}

/// Whose sessions ended, and how many.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: UserId,
    pub(crate) email: String,
    pub(crate) sessions: i64,
}

/// Ends the sessions of a name at an identity provider: those of the given indexes, and those that have none; all, where none
/// is given.
pub(crate) async fn end_at_provider(
    tx: &mut Tx,
    connection: SamlConnectionId,
    name_id: &str,
    indexes: &[String],
) -> Result<Vec<Ended>> {
    Ok(sqlx::query_as!(
        Ended,
        r#"with ended as (
               delete from sessions where organization_id = $1 and saml_connection_id = $2 and saml_name_id = $3
                   and (cardinality($4::text[]) = 0 or coalesce(saml_session_index = any($4), true))
               returning user_id)
           select u.id as "id: UserId", u.email, count(*) as "sessions!" from ended e
           join users u on u.organization_id = $1 and u.id = e.user_id group by u.id, u.email"#,
        tx.organization_id() as OrganizationId,
        connection as SamlConnectionId,
        name_id,
        indexes
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Ends the sessions of a caller that began at a provider, but the one that he calls with, and says how many that were.
pub(crate) async fn end_others_at_provider(tx: &mut Tx, caller: &Caller, connection: SamlConnectionId) -> Result<u64> {
    let ended = sqlx::query!(
        "delete from sessions where organization_id = $1 and user_id = $2 and saml_connection_id = $3
             and id is distinct from $4",
        tx.organization_id() as OrganizationId,
        caller.user_id as UserId,
        connection as SamlConnectionId,
        caller.session() as Option<SessionId>
    )
    .execute(tx.connection())
    .await?;
    Ok(ended.rows_affected())
}
