//! Connections: the identity providers of an organization's companies.

mod edit;
mod input;
mod provider;
mod store;
mod write;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tenantry_saml::Certificate;
use uuid::Uuid;

pub use input::{ConnectionPatch, GroupTarget, NewMapping};
pub use provider::{Binding, CertificateFacts, Provider, ProviderPatch, Source};
pub(super) use write::renew;
pub use write::{change_connection, create_connection, delete_connection, get_connection, list_connections};

use crate::db::Tx;
use crate::email_address::domain_of;
use crate::error::{Error, Result};
use crate::ids::{OrganizationId, SamlConnectionId};
use crate::page::{Listed, Query, Sort};

/// Names of the attributes that say who someone is, where they are not among the usual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct AttributeMapping {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
}

/// Which of our groups a group of the company's directory is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MappedGroup {
    /// As the identity provider sends it.
    pub directory_group: String,
    /// Ours.
    pub user_group_id: Uuid,
    /// The folder that it lies in.
    pub folder_id: Uuid,
    /// The built-in role that its members hold there, for a group that the folder was born with.
    pub role: Option<String>,
}

/// An identity provider and what is held of what it says.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described in the migration and on the wire")]
pub struct Connection {
    pub id: Uuid,
    pub name: String,
    pub is_active: bool,
    pub entity_id: String,
    pub sso_url: String,
    /// `redirect` or `post`, as `slo_binding`.
    pub sso_binding: String,
    pub slo_url: Option<String>,
    pub slo_response_url: Option<String>,
    pub slo_binding: Option<String>,
    /// X.509, DER.
    pub certificates: Vec<Vec<u8>>,
    pub metadata_url: Option<String>,
    pub metadata_fetched_at: Option<DateTime<Utc>>,
    pub metadata_error: Option<String>,
    pub metadata_valid_until: Option<DateTime<Utc>>,
    pub name_id_format: Option<String>,
    #[sqlx(json)]
    pub attribute_mapping: AttributeMapping,
    pub domains: Vec<String>,
    pub jit_provisioning: bool,
    /// The built-in group at the root that whoever is new joins.
    pub default_group_id: Option<Uuid>,
    /// The role that its members hold.
    pub default_role: Option<String>,
    #[sqlx(json)]
    pub group_mapping: Vec<MappedGroup>,
    pub idp_initiated: bool,
    pub sign_requests: bool,
    pub allow_cbc: bool,
    pub tested_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Listed for Connection {
    const SORTS: &'static [Sort] = &[
        Sort::text("name", "lower(c.name)"),
        Sort::time("created_at", "c.created_at"),
        Sort::time("updated_at", "c.updated_at"),
    ];
    const DEFAULT_SORT: &'static str = "name";
    const ID: &'static str = "c.id";
}

const FROM: &str = "saml_connections c";
const COLUMNS: &str = "c.id, c.name, c.is_active, c.entity_id, c.sso_url, c.sso_binding, c.slo_url, \
    c.slo_response_url, c.slo_binding, c.certificates, c.metadata_url, c.metadata_fetched_at, c.metadata_error, \
    c.metadata_valid_until, c.name_id_format, c.attribute_mapping, c.jit_provisioning, c.default_group_id, \
    c.idp_initiated, c.sign_requests, c.allow_cbc, c.tested_at, c.version, c.created_at, c.updated_at, \
    array(select d.domain from saml_connection_domains d where d.organization_id = c.organization_id \
        and d.connection_id = c.id order by d.domain) as domains, \
    (select r.name from user_groups g join roles r on r.organization_id = g.organization_id and r.id = g.builtin_role_id \
        where g.organization_id = c.organization_id and g.id = c.default_group_id) as default_role, \
    (select coalesce(jsonb_agg(jsonb_build_object('directory_group', m.directory_group, 'user_group_id', g.id, \
            'folder_id', g.folder_id, 'role', r.name) order by m.directory_group, g.id), '[]') \
        from saml_group_mappings m \
        join user_groups g on g.organization_id = m.organization_id and g.id = m.user_group_id \
        left join roles r on r.organization_id = g.organization_id and r.id = g.builtin_role_id \
        where m.organization_id = c.organization_id and m.connection_id = c.id) as group_mapping";

fn query(tx: &Tx) -> Query {
    Query::new(COLUMNS, FROM, "c.organization_id", tx)
}

/// The connection of an id, on or off.
pub(super) async fn find(tx: &mut Tx, id: SamlConnectionId) -> Result<Option<Connection>> {
    let mut query = query(tx);
    query.id("c.id", id.into());
    query.find(tx).await
}

/// How often the connection of an id was changed.
pub(super) async fn version(tx: &mut Tx, id: SamlConnectionId) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar!(
        "select version from saml_connections where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        id as SamlConnectionId
    )
    .fetch_optional(tx.connection())
    .await?)
}

impl Connection {
    /// The certificates that its messages may be signed with.
    pub(in crate::saml) fn trusted(&self) -> Result<Vec<Certificate>> {
        let certificates = self.certificates.iter().map(|der| Certificate::from_der(der));
        let unreadable = |e| Error::Internal(format!("a certificate of the connection {}: {e}", self.id));
        certificates.collect::<Result<_, _>>().map_err(unreadable)
    }
}

/// The connection of an id, if it is on.
pub async fn find_active(tx: &mut Tx, id: SamlConnectionId) -> Result<Option<Connection>> {
    Ok(find(tx, id).await?.filter(|connection| connection.is_active))
}

/// The connection whose provider calls itself so, if it is on.
pub async fn find_active_by_entity_id(tx: &mut Tx, entity_id: &str) -> Result<Option<Connection>> {
    let mut query = query(tx);
    query.equals("c.entity_id", Some(entity_id));
    query.condition("c.is_active");
    query.find(tx).await
}

/// The connection that an address's domain is bound to, if it is on.
pub async fn find_active_by_email(tx: &mut Tx, email: &str) -> Result<Option<Connection>> {
    let Some(domain) = domain_of(email) else { return Ok(None) };
    let mut query = query(tx);
    query.condition("c.is_active");
    query.enclosed(
        "exists (select from saml_connection_domains d where d.organization_id = c.organization_id \
         and d.connection_id = c.id and d.domain = ",
        Some(domain),
        ")",
    );
    query.find(tx).await
}

/// A connection, for whoever chooses how to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub id: SamlConnectionId,
    /// What people call it.
    pub name: String,
}

/// Those that are on, by name.
pub async fn list_active(tx: &mut Tx) -> Result<Vec<Choice>> {
    Ok(sqlx::query_as!(
        Choice,
        r#"select id as "id: SamlConnectionId", name from saml_connections
           where organization_id = $1 and is_active order by lower(name), id"#,
        tx.organization_id() as OrganizationId
    )
    .fetch_all(tx.connection())
    .await?)
}
