//! What connections look like on the wire.

use chrono::{DateTime, Utc};
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object};
use tenantry_shared::Refusal;
use tenantry_shared::saml::{
    self, AttributeMapping, CertificateFacts, Connection, ConnectionPatch, GroupTarget, MappedGroup, NewMapping,
    ProviderPatch, ServiceUrls,
};
use uuid::Uuid;

use crate::input::Input;
use crate::objects::{cleared, kept};

/// How a message travels through the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum SamlBinding {
    /// In an address.
    Redirect,
    /// In a form.
    Post,
}

impl SamlBinding {
    fn from_name(name: &str) -> Self {
        if name == "post" { Self::Post } else { Self::Redirect }
    }

    fn shared(self) -> saml::Binding {
        match self {
            Self::Redirect => saml::Binding::Redirect,
            Self::Post => saml::Binding::Post,
        }
    }
}

/// What an administrator tells his identity provider about us.
#[derive(Debug, Object)]
pub(crate) struct SamlServiceProvider {
    /// What we call ourselves: the entity id, or audience.
    entity_id: String,
    /// Where assertions are sent: the assertion consumer service, or reply URL.
    acs_url: String,
    /// Where messages about signing out are sent.
    slo_url: String,
    /// Where all of this can be read by machine.
    metadata_url: String,
    /// Where people begin to sign in through this connection: for a link, or a tile on the provider's page.
    sign_in_url: String,
}

/// Names of attributes that say who someone is; null where the usual names do.
#[derive(Debug, Object)]
#[oai(rename = "SamlAttributeMapping")]
pub(crate) struct AttributeMappingOut {
    /// Of his e-mail address.
    email: Option<String>,
    /// Of his first name.
    first_name: Option<String>,
    /// Of his last name.
    last_name: Option<String>,
    /// Of the groups that he is in.
    groups: Option<String>,
}

/// Names of attributes that say who someone is. Where one is not given, the names that providers usually have are tried.
#[derive(Clone, Debug, Default, Object)]
#[oai(deny_unknown_fields, rename = "SamlAttributeMappingIn")]
pub(crate) struct AttributeMappingIn {
    /// Of his e-mail address, at most 255 characters.
    email: Option<String>,
    /// Of his first name, at most 255 characters.
    first_name: Option<String>,
    /// Of his last name, at most 255 characters.
    last_name: Option<String>,
    /// Of the groups that he is in, at most 255 characters.
    groups: Option<String>,
}

impl From<AttributeMappingIn> for AttributeMapping {
    fn from(mapping: AttributeMappingIn) -> Self {
        let AttributeMappingIn { email, first_name, last_name, groups } = mapping;
        Self { email, first_name, last_name, groups }
    }
}

/// What a group of the directory leads to.
#[derive(Debug, Object)]
#[oai(rename = "SamlMappedGroup")]
pub(crate) struct MappedGroupOut {
    /// The group's name or id, as the identity provider sends it.
    directory_group: String,
    /// The built-in role that its people hold over `folder`; null where they join `user_group`.
    role: Option<String>,
    /// Over which folder; null where they join `user_group`.
    folder: Option<Uuid>,
    /// The group that they join; null where they hold `role`.
    user_group: Option<Uuid>,
}

impl From<MappedGroup> for MappedGroupOut {
    fn from(mapped: MappedGroup) -> Self {
        let is_role = mapped.role.is_some();
        Self {
            directory_group: mapped.directory_group,
            folder: is_role.then_some(mapped.folder_id),
            user_group: (!is_role).then_some(mapped.user_group_id),
            role: mapped.role,
        }
    }
}

/// What a group of the directory shall lead to: `role` (over `folder`), or `user_group`.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields, rename = "SamlMappedGroupIn")]
pub(crate) struct MappedGroupIn {
    /// The group's name or id, as the identity provider sends it, at most 500 characters.
    directory_group: String,
    /// A built-in role that its people hold: `administrator`, `domain_manager`, `analyst`, `approver`, `auditor`, `reader`.
    role: Option<String>,
    /// Over which folder they hold it; the whole organization if not given.
    folder: Option<Uuid>,
    /// A group that they join instead.
    user_group: Option<Uuid>,
}

impl From<MappedGroupIn> for NewMapping {
    fn from(mapped: MappedGroupIn) -> Self {
        let target = match (mapped.role, mapped.folder, mapped.user_group) {
            (Some(role), folder, None) => Some(GroupTarget::Role { role, folder }),
            (None, None, Some(group)) => Some(GroupTarget::Group(group)),
            _ => None,
        };
        Self { directory_group: mapped.directory_group, target }
    }
}

/// What a certificate of an identity provider says.
#[derive(Debug, Object)]
pub(crate) struct SamlCertificateDetails {
    /// Whose it is, as it says itself.
    subject: String,
    /// SHA-256 of the certificate, hexadecimal.
    fingerprint: String,
    /// From when on it is valid.
    not_before: DateTime<Utc>,
    /// Until when.
    not_after: DateTime<Utc>,
}

impl From<CertificateFacts> for SamlCertificateDetails {
    fn from(facts: CertificateFacts) -> Self {
        let CertificateFacts { subject, fingerprint, not_before, not_after, .. } = facts;
        Self { subject, fingerprint, not_before, not_after }
    }
}

/// A connection to an identity provider.
#[derive(Debug, Object)]
#[oai(rename = "SamlConnection")]
pub(crate) struct ConnectionOut {
    /// Its id.
    id: Uuid,
    /// What people call it: they choose by it where there are several.
    name: String,
    /// Whether people can sign in through it.
    is_active: bool,
    /// What to tell the identity provider about us.
    service_provider: SamlServiceProvider,
    /// What the identity provider calls itself.
    entity_id: String,
    /// Where people are sent to sign in.
    sso_url: String,
    /// How they are sent there.
    sso_binding: SamlBinding,
    /// Where people are sent to sign out; null where they can't.
    slo_url: Option<String>,
    /// Where our answers about signing out go, if not to `slo_url`.
    slo_response_url: Option<String>,
    /// How they are sent there.
    slo_binding: Option<SamlBinding>,
    /// The certificates that its signatures are verified with, in PEM.
    certificates: Vec<String>,
    /// What these certificates say, in the same order.
    certificate_details: Vec<SamlCertificateDetails>,
    /// Where its metadata is fetched each day; null where it is not.
    metadata_url: Option<String>,
    /// When it was last fetched.
    metadata_fetched_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed. What was fetched before stays in force.
    metadata_error: Option<String>,
    /// Until when its metadata says that it holds.
    metadata_valid_until: Option<DateTime<Utc>>,
    /// The kind of names that requests ask for; null where they ask for none.
    name_id_format: Option<String>,
    /// Names of attributes that say who someone is.
    attribute_mapping: AttributeMappingOut,
    /// E-mail domains whose people sign in through this connection, and whose accounts it may take over.
    domains: Vec<String>,
    /// Whether it makes accounts for people who have none.
    jit_provisioning: bool,
    /// The built-in role, over the whole organization, that these get.
    default_role: Option<String>,
    /// What groups of the directory lead to. Whoever signs in joins what his groups lead to, and leaves the rest of what is
    /// named here.
    group_mapping: Vec<MappedGroupOut>,
    /// Whether people may come from the identity provider unasked.
    idp_initiated: bool,
    /// Whether our requests are signed.
    sign_requests: bool,
    /// Whether AES-CBC is taken, which is not authenticated, beside AES-GCM.
    allow_cbc: bool,
    /// When a test sign-in last passed with what the connection is now.
    tested_at: Option<DateTime<Utc>>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
    #[oai(skip)]
    pub(super) version: i64,
}

impl ConnectionOut {
    pub(super) fn new(connection: Connection, urls: &ServiceUrls) -> Self {
        let facts = connection.certificate_facts();
        let AttributeMapping { email, first_name, last_name, groups } = connection.attribute_mapping;
        Self {
            id: connection.id,
            name: connection.name,
            is_active: connection.is_active,
            service_provider: SamlServiceProvider {
                entity_id: urls.entity_id.clone(),
                acs_url: urls.acs_url.clone(),
                slo_url: urls.slo_url.clone(),
                metadata_url: urls.entity_id.clone(),
                sign_in_url: urls.sign_in_url(connection.id.into()),
            },
            entity_id: connection.entity_id,
            sso_url: connection.sso_url,
            sso_binding: SamlBinding::from_name(&connection.sso_binding),
            slo_url: connection.slo_url,
            slo_response_url: connection.slo_response_url,
            slo_binding: connection.slo_binding.as_deref().map(SamlBinding::from_name),
            certificates: facts.iter().map(|facts| facts.pem.clone()).collect(),
            certificate_details: facts.into_iter().map(Into::into).collect(),
            metadata_url: connection.metadata_url,
            metadata_fetched_at: connection.metadata_fetched_at,
            metadata_error: connection.metadata_error,
            metadata_valid_until: connection.metadata_valid_until,
            name_id_format: connection.name_id_format,
            attribute_mapping: AttributeMappingOut { email, first_name, last_name, groups },
            domains: connection.domains,
            jit_provisioning: connection.jit_provisioning,
            default_role: connection.default_role,
            group_mapping: connection.group_mapping.into_iter().map(Into::into).collect(),
            idp_initiated: connection.idp_initiated,
            sign_requests: connection.sign_requests,
            allow_cbc: connection.allow_cbc,
            tested_at: connection.tested_at,
            created_at: connection.created_at,
            updated_at: connection.updated_at,
            version: connection.version,
        }
    }
}

/// What to ask for the provider with.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) metadata_xml: Option<String>,
    pub(super) metadata_url: Option<String>,
    pub(super) fields: ProviderPatch,
}

/// A connection to be made, or to take the place of one. Who the identity provider is, is said by `metadata_xml`, by
/// `metadata_url`, or by `entity_id`, `sso_url` and `certificates`; where there is metadata, it says all of that, and
/// `entity_id` only chooses among several.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields, rename = "SamlConnectionIn")]
pub(crate) struct ConnectionIn {
    /// What people call it, at most 200 characters.
    name: String,
    /// Whether people can sign in through it; true if not given.
    is_active: Option<bool>,
    /// The identity provider's metadata, at most a million bytes.
    metadata_xml: Option<String>,
    /// Where the metadata is: fetched now, and each day. Https, and on the open Internet.
    metadata_url: Option<String>,
    /// What the identity provider calls itself.
    entity_id: Option<String>,
    /// Where people are sent to sign in. Https.
    sso_url: Option<String>,
    /// How they are sent there: `redirect` if not given.
    sso_binding: Option<SamlBinding>,
    /// Where people are sent to sign out. Https.
    slo_url: Option<String>,
    /// Where our answers about signing out go, if not to `slo_url`. Https.
    slo_response_url: Option<String>,
    /// How they are sent there: `redirect` if not given.
    slo_binding: Option<SamlBinding>,
    /// One to ten certificates that its signatures are verified with, each in PEM or base64. Several while it changes its key.
    #[oai(default)]
    certificates: Vec<String>,
    /// The kind of names that requests ask for, as a URI. Transient ones are refused: nobody would be recognized.
    name_id_format: Option<String>,
    /// Names of attributes that say who someone is.
    attribute_mapping: Option<AttributeMappingIn>,
    /// At most 100 e-mail domains whose people sign in through this connection. Their accounts, where they have some, are taken
    /// over at the first sign-in.
    #[oai(default)]
    domains: Vec<String>,
    /// Whether it makes accounts for people who have none; false if not given.
    jit_provisioning: Option<bool>,
    /// A built-in role that these get over the whole organization: `administrator`, `domain_manager`, `analyst`, `approver`,
    /// `auditor`, `reader`.
    default_role: Option<String>,
    /// At most 500: what groups of the directory lead to. You must hold what they give.
    #[oai(default)]
    group_mapping: Vec<MappedGroupIn>,
    /// Whether people may come from the identity provider unasked; false if not given. It can't be told then whose browser a
    /// sign-in was made for.
    idp_initiated: Option<bool>,
    /// Whether our requests are signed; true if not given.
    sign_requests: Option<bool>,
    /// Whether AES-CBC is taken, which is not authenticated, beside AES-GCM; false if not given.
    allow_cbc: Option<bool>,
}

const READ_ONLY: &[&str] = &[
    "id",
    "service_provider",
    "certificate_details",
    "metadata_fetched_at",
    "metadata_error",
    "metadata_valid_until",
    "tested_at",
    "created_at",
    "updated_at",
];

impl Input for ConnectionIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Input for ConnectionPatchIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl ConnectionIn {
    /// All there is to say, and who the provider is.
    pub(super) fn split(self) -> (ConnectionPatch, Wanted) {
        let fields = ProviderPatch {
            entity_id: Some(self.entity_id.unwrap_or_default()),
            sso_url: Some(self.sso_url.unwrap_or_default()),
            sso_binding: Some(self.sso_binding.map_or(saml::Binding::Redirect, SamlBinding::shared)),
            slo_url: Some(self.slo_url),
            slo_response_url: Some(self.slo_response_url),
            slo_binding: Some(self.slo_binding.map_or(saml::Binding::Redirect, SamlBinding::shared)),
            certificates: Some(self.certificates),
            forgets_url: true,
        };
        let patch = ConnectionPatch {
            name: Some(self.name),
            is_active: Some(self.is_active.unwrap_or(true)),
            source: None,
            name_id_format: Some(self.name_id_format),
            attribute_mapping: Some(self.attribute_mapping.unwrap_or_default().into()),
            domains: Some(self.domains),
            jit_provisioning: Some(self.jit_provisioning.unwrap_or(false)),
            default_role: Some(self.default_role),
            group_mapping: Some(self.group_mapping.into_iter().map(Into::into).collect()),
            idp_initiated: Some(self.idp_initiated.unwrap_or(false)),
            sign_requests: Some(self.sign_requests.unwrap_or(true)),
            allow_cbc: Some(self.allow_cbc.unwrap_or(false)),
        };
        (patch, Wanted { metadata_xml: self.metadata_xml, metadata_url: self.metadata_url, fields })
    }
}

/// What to change of a connection (RFC 7396): what is absent stays, `null` clears.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields, rename = "SamlConnectionPatchIn")]
pub(crate) struct ConnectionPatchIn {
    /// What people call it.
    name: MaybeUndefined<String>,
    /// Whether people can sign in through it.
    is_active: MaybeUndefined<bool>,
    /// The identity provider's metadata, in place of all that is known of it; it is not fetched any more then.
    metadata_xml: MaybeUndefined<String>,
    /// Where the metadata is: fetched now, and each day. `null`: it is fetched no more, and what is known stays.
    metadata_url: MaybeUndefined<String>,
    /// What the identity provider calls itself.
    entity_id: MaybeUndefined<String>,
    /// Where people are sent to sign in.
    sso_url: MaybeUndefined<String>,
    /// How they are sent there.
    sso_binding: MaybeUndefined<SamlBinding>,
    /// Where people are sent to sign out; `null`: nowhere.
    slo_url: MaybeUndefined<String>,
    /// Where our answers about signing out go; `null`: to `slo_url`.
    slo_response_url: MaybeUndefined<String>,
    /// How they are sent there; `null`: by redirect.
    slo_binding: MaybeUndefined<SamlBinding>,
    /// One to ten certificates in place of those that are known.
    certificates: MaybeUndefined<Vec<String>>,
    /// The kind of names that requests ask for; `null`: none.
    name_id_format: MaybeUndefined<String>,
    /// Names of attributes, in place of those that are known; `null`: the usual ones.
    attribute_mapping: MaybeUndefined<AttributeMappingIn>,
    /// At most 100 e-mail domains in place of those that are bound; `null` is none.
    domains: MaybeUndefined<Vec<String>>,
    /// Whether it makes accounts for people who have none.
    jit_provisioning: MaybeUndefined<bool>,
    /// A built-in role that these get; `null`: none.
    default_role: MaybeUndefined<String>,
    /// At most 500 mapped groups in place of those that are; `null` is none.
    group_mapping: MaybeUndefined<Vec<MappedGroupIn>>,
    /// Whether people may come from the identity provider unasked.
    idp_initiated: MaybeUndefined<bool>,
    /// Whether our requests are signed.
    sign_requests: MaybeUndefined<bool>,
    /// Whether AES-CBC is taken beside AES-GCM.
    allow_cbc: MaybeUndefined<bool>,
}

impl ConnectionPatchIn {
    /// What changes, and whether the provider does.
    pub(super) fn split(self) -> Result<(ConnectionPatch, Option<Wanted>), Refusal> {
        let binding = |field, value| Ok::<_, Refusal>(kept(field, value)?.map(SamlBinding::shared));
        let url = cleared(self.metadata_url);
        let fields = ProviderPatch {
            entity_id: kept("entity_id", self.entity_id)?,
            sso_url: kept("sso_url", self.sso_url)?,
            sso_binding: binding("sso_binding", self.sso_binding)?,
            slo_url: cleared(self.slo_url),
            slo_response_url: cleared(self.slo_response_url),
            slo_binding: cleared(self.slo_binding)
                .map(|binding| binding.map_or(saml::Binding::Redirect, SamlBinding::shared)),
            certificates: kept("certificates", self.certificates)?,
            forgets_url: url == Some(None),
        };
        let patch = ConnectionPatch {
            name: kept("name", self.name)?,
            is_active: kept("is_active", self.is_active)?,
            source: None,
            name_id_format: cleared(self.name_id_format),
            attribute_mapping: cleared(self.attribute_mapping).map(|mapping| mapping.unwrap_or_default().into()),
            domains: cleared(self.domains).map(Option::unwrap_or_default),
            jit_provisioning: kept("jit_provisioning", self.jit_provisioning)?,
            default_role: cleared(self.default_role),
            group_mapping: cleared(self.group_mapping)
                .map(|mapped| mapped.unwrap_or_default().into_iter().map(Into::into).collect()),
            idp_initiated: kept("idp_initiated", self.idp_initiated)?,
            sign_requests: kept("sign_requests", self.sign_requests)?,
            allow_cbc: kept("allow_cbc", self.allow_cbc)?,
        };
        let metadata_xml = kept("metadata_xml", self.metadata_xml)?;
        let wanted = Wanted { metadata_xml, metadata_url: url.flatten(), fields };
        let is_wanted = wanted.metadata_xml.is_some()
            || wanted.metadata_url.is_some()
            || wanted.fields.forgets_url
            || !wanted.fields.is_empty();
        Ok((patch, is_wanted.then_some(wanted)))
    }
}
