//! What a connection becomes by a change, and whether whoever changes it may give what it gives.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Connection, ConnectionPatch, GroupTarget, MappedGroup, NewMapping, Provider};
use crate::access::{Access, ManageSso, cannot_grant};
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{FolderId, OrganizationId};
use crate::objects::{self, Kind};
use crate::roles::BuiltinRole;
use crate::{folders, roles, user_groups};

/// Whether a test of the one says something about the other.
pub(super) fn shows_as(one: &Connection, other: &Connection) -> bool {
    Provider::of(one).shows_as(&Provider::of(other))
        && (&one.name_id_format, &one.attribute_mapping, one.sign_requests, one.allow_cbc)
            == (&other.name_id_format, &other.attribute_mapping, other.sign_requests, other.allow_cbc)
}

/// The connection as it is to be; its lists are looked up and may be given.
pub(super) async fn apply(
    tx: &mut Tx,
    by: &Access<ManageSso>,
    old: &Connection,
    patch: &ConnectionPatch,
) -> Result<Connection> {
    let mut new = old.clone();
    if let Some(source) = &patch.source {
        adopt(&mut new, Provider::of(old).changed(source)?);
    }
    if let Some(name) = &patch.name {
        new.name.clone_from(name);
    }
    if let Some(format) = &patch.name_id_format {
        new.name_id_format.clone_from(format);
    }
    if let Some(mapping) = &patch.attribute_mapping {
        new.attribute_mapping.clone_from(mapping);
    }
    if let Some(domains) = &patch.domains {
        new.domains.clone_from(domains);
    }
    new.is_active = patch.is_active.unwrap_or(old.is_active);
    new.jit_provisioning = patch.jit_provisioning.unwrap_or(old.jit_provisioning);
    new.idp_initiated = patch.idp_initiated.unwrap_or(old.idp_initiated);
    new.sign_requests = patch.sign_requests.unwrap_or(old.sign_requests);
    new.allow_cbc = patch.allow_cbc.unwrap_or(old.allow_cbc);
    give(tx, by, old, &mut new, patch).await?;
    Ok(new)
}

/// What rights come with the connection: whoever lets people have them holds them, also if he only changes who speaks for them
/// or by which words.
async fn give(
    tx: &mut Tx,
    by: &Access<ManageSso>,
    old: &Connection,
    new: &mut Connection,
    patch: &ConnectionPatch,
) -> Result<()> {
    if let Some(role) = &patch.default_role {
        new.default_role.clone_from(role);
        new.default_group_id = match role.as_deref().and_then(BuiltinRole::find) {
            Some(role) => Some(builtin_group(tx, role, None).await?),
            None => None,
        };
    }
    if let Some(mappings) = &patch.group_mapping {
        new.group_mapping = resolve(tx, by, mappings).await?;
    }
    let speaks_otherwise = voice(old) != voice(new);
    if speaks_otherwise {
        demand_superuser_for_superusers(tx, by, old).await?;
    }
    let is_given_anew = speaks_otherwise
        || old.attribute_mapping != new.attribute_mapping
        || (new.jit_provisioning && !old.jit_provisioning);
    let before = if is_given_anew { BTreeSet::new() } else { gifts(old) };
    let given: Vec<Uuid> = gifts(new).difference(&before).map(|(_, group)| *group).collect();
    if user_groups::grantable(tx, by.caller().holder(), &given).await? { Ok(()) } else { Err(cannot_grant().into()) }
}

/// Whose word the connection takes.
fn voice(connection: &Connection) -> (&str, &[Vec<u8>], Option<&str>) {
    (&connection.entity_id, &connection.certificates, connection.metadata_url.as_deref())
}

/// Which groups it lets people into, and for what: a group of their directory, or none for whoever is new.
fn gifts(connection: &Connection) -> BTreeSet<(Option<&str>, Uuid)> {
    let mapped = connection.group_mapping.iter();
    let mapped = mapped.map(|mapped| (Some(mapped.directory_group.as_str()), mapped.user_group_id));
    mapped.chain(connection.default_group_id.map(|group| (None, group))).collect()
}

/// Or whoever holds `manage_sso` could have a provider of his own speak for a superuser.
async fn demand_superuser_for_superusers(tx: &mut Tx, by: &Access<ManageSso>, connection: &Connection) -> Result<()> {
    let speaks_for_one = sqlx::query_scalar!(
        r#"select exists (select from saml_identities i
               join users u on u.organization_id = i.organization_id and u.id = i.user_id
               where i.organization_id = $1 and i.connection_id = $2 and u.is_superuser) as "there!""#,
        tx.organization_id() as OrganizationId,
        connection.id
    )
    .fetch_one(tx.connection())
    .await?;
    if !speaks_for_one || by.caller().holder().is_superuser(tx).await? {
        return Ok(());
    }
    let detail = "Superusers sign in by this connection: only a superuser changes whose word it takes.";
    Err(Refusal::forbidden("superuser_only", detail).into())
}

async fn builtin_group(tx: &mut Tx, role: BuiltinRole, folder: Option<Uuid>) -> Result<Uuid> {
    let folder: FolderId = match folder {
        Some(folder) => folder.into(),
        None => folders::get_root(tx).await?,
    };
    let role = roles::get_builtin(tx, role).await?;
    Ok(user_groups::get_builtin(tx, folder, role).await?.into())
}

/// Finds the groups that a mapping names, among what the caller sees.
async fn resolve(tx: &mut Tx, by: &Access<ManageSso>, mappings: &[NewMapping]) -> Result<Vec<MappedGroup>> {
    let targets = || mappings.iter().filter_map(|mapping| mapping.target.as_ref());
    let named = targets().filter_map(|target| match target {
        GroupTarget::Role { folder, .. } => *folder,
        GroupTarget::Group(_) => None,
    });
    objects::check_seen(tx, by.caller(), Kind::Folder, "group_mapping", named).await?;
    let named = targets().filter_map(|target| match target {
        GroupTarget::Group(group) => Some(*group),
        GroupTarget::Role { .. } => None,
    });
    objects::check_seen(tx, by.caller(), Kind::UserGroup, "group_mapping", named).await?;
    let mut found: Vec<MappedGroup> = Vec::new();
    for mapping in mappings {
        let user_group_id = match &mapping.target {
            Some(GroupTarget::Group(group)) => *group,
            Some(GroupTarget::Role { role, folder }) => match BuiltinRole::find(role) {
                Some(role) => builtin_group(tx, role, *folder).await?,
                None => continue,
            },
            None => continue,
        };
        let directory_group = mapping.directory_group.clone();
        if !found.iter().any(|known| (known.user_group_id, &known.directory_group) == (user_group_id, &directory_group))
        {
            // Folder and role are read back with the row.
            found.push(MappedGroup { directory_group, user_group_id, folder_id: Uuid::nil(), role: None });
        }
    }
    Ok(found)
}

pub(super) fn adopt(connection: &mut Connection, provider: Provider) {
    connection.entity_id = provider.entity_id;
    connection.sso_url = provider.sso_url;
    connection.sso_binding = provider.sso_binding;
    connection.slo_url = provider.slo_url;
    connection.slo_response_url = provider.slo_response_url;
    connection.slo_binding = provider.slo_binding;
    connection.certificates = provider.certificates;
    connection.metadata_url = provider.metadata_url;
    connection.metadata_fetched_at = provider.metadata_fetched_at;
    connection.metadata_valid_until = provider.metadata_valid_until;
    connection.metadata_error = None;
}

/// Names of the fields that are not what they were.
pub(super) fn differences(old: &Connection, new: &Connection, patch: &ConnectionPatch) -> Vec<&'static str> {
    let pairs = |connection: &Connection| -> BTreeSet<(String, Uuid)> {
        let mapped = connection.group_mapping.iter();
        mapped.map(|mapped| (mapped.directory_group.clone(), mapped.user_group_id)).collect()
    };
    let all = [
        ("name", old.name != new.name),
        ("is_active", old.is_active != new.is_active),
        ("entity_id", old.entity_id != new.entity_id),
        ("sso_url", (&old.sso_url, &old.sso_binding) != (&new.sso_url, &new.sso_binding)),
        (
            "slo_url",
            (&old.slo_url, &old.slo_response_url, &old.slo_binding)
                != (&new.slo_url, &new.slo_response_url, &new.slo_binding),
        ),
        ("certificates", old.certificates != new.certificates),
        ("metadata_url", old.metadata_url != new.metadata_url),
        ("name_id_format", old.name_id_format != new.name_id_format),
        ("attribute_mapping", old.attribute_mapping != new.attribute_mapping),
        ("domains", old.domains != new.domains),
        ("jit_provisioning", old.jit_provisioning != new.jit_provisioning),
        ("default_role", old.default_group_id != new.default_group_id),
        ("group_mapping", patch.group_mapping.is_some() && pairs(old) != pairs(new)),
        ("idp_initiated", old.idp_initiated != new.idp_initiated),
        ("sign_requests", old.sign_requests != new.sign_requests),
        ("allow_cbc", old.allow_cbc != new.allow_cbc),
    ];
    all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
