//! What an administrator may say of a connection, beside who the provider is.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{AttributeMapping, Source};
use crate::email_address::parse_domain;
use crate::error::{Check, Refusal};
use crate::roles::BuiltinRole;
use crate::text::check_name;

/// E-mail domains of a connection at most.
const MOST_DOMAINS: usize = 100;
/// Mapped groups of a connection at most.
const MOST_MAPPINGS: usize = 500;

/// Where a group of the directory leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupTarget {
    /// Whoever holds a built-in role from a folder down; the root if not given.
    Role {
        /// Its name.
        role: String,
        /// Where.
        folder: Option<Uuid>,
    },
    /// A group of ours.
    Group(Uuid),
}

/// Which of our groups a group of the directory shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMapping {
    /// As the identity provider sends it.
    pub directory_group: String,
    /// `role` and `folder`, or `user_group`; none where it is neither or both.
    pub target: Option<GroupTarget>,
}

/// What to change of a connection; what is none stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct ConnectionPatch {
    pub name: Option<String>,
    pub is_active: Option<bool>,
    pub source: Option<Source>,
    pub name_id_format: Option<Option<String>>,
    pub attribute_mapping: Option<AttributeMapping>,
    pub domains: Option<Vec<String>>,
    pub jit_provisioning: Option<bool>,
    pub default_role: Option<Option<String>>,
    pub group_mapping: Option<Vec<NewMapping>>,
    pub idp_initiated: Option<bool>,
    pub sign_requests: Option<bool>,
    pub allow_cbc: Option<bool>,
}

impl ConnectionPatch {
    /// Checks what can be checked without looking, and brings it into the form in which it is stored.
    pub(super) fn checked(mut self) -> Result<Self, Refusal> {
        let mut check = Check::default();
        self.name = self.name.map(|name| check_name(&mut check, &name));
        if let Some(Some(format)) = &self.name_id_format {
            check_format(&mut check, format);
        }
        if let Some(mapping) = &self.attribute_mapping {
            check_attributes(&mut check, mapping);
        }
        self.domains = self.domains.map(|domains| check_domains(&mut check, &domains));
        if let Some(Some(role)) = &self.default_role {
            check.that(
                BuiltinRole::find(role).is_some(),
                "default_role",
                "unknown_role",
                "This is not a built-in role.",
            );
        }
        if let Some(mappings) = &self.group_mapping {
            check_mappings(&mut check, mappings);
        }
        check.done()?;
        Ok(self)
    }
}

fn is_line(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= longest && !text.chars().any(char::is_control)
}

fn check_format(check: &mut Check, format: &str) {
    let message = "A NameID format is a URI of at most 255 characters.";
    let is_uri = is_line(format, 255) && !format.chars().any(char::is_whitespace);
    check.that(is_uri, "name_id_format", "invalid", message);
    check.that(
        !format.ends_with(":transient"),
        "name_id_format",
        "transient",
        "Transient names are different at each sign-in, so nobody would be recognized: ask for persistent ones or addresses.",
    );
}

fn check_attributes(check: &mut Check, mapping: &AttributeMapping) {
    let AttributeMapping { email, first_name, last_name, groups } = mapping;
    let good = [email, first_name, last_name, groups].into_iter().flatten().all(|name| is_line(name, 255));
    let message = "The name of an attribute is one line of 1 to 255 characters.";
    check.that(good, "attribute_mapping", "invalid", message);
}

/// In lower case, and in ASCII: as mail addresses are compared.
fn check_domains(check: &mut Check, domains: &[String]) -> Vec<String> {
    check.that(domains.len() <= MOST_DOMAINS, "domains", "too_many", "At most 100 domains.");
    let mut known = BTreeSet::new();
    for domain in domains {
        let parsed = parse_domain(domain);
        check.that(parsed.is_some(), "domains", "invalid_domain", format!("{domain:?} is not an e-mail domain."));
        known.extend(parsed);
    }
    known.into_iter().collect()
}

fn check_mappings(check: &mut Check, mappings: &[NewMapping]) {
    let field = "group_mapping";
    check.that(mappings.len() <= MOST_MAPPINGS, field, "too_many", "At most 500 mapped groups.");
    for mapping in mappings {
        let good = is_line(&mapping.directory_group, 500);
        check.that(good, field, "invalid", "directory_group is one line of 1 to 500 characters.");
        let message = "A group maps to a role, over a folder or over all, or else to a user_group.";
        check.that(mapping.target.is_some(), field, "role_or_group_required", message);
        if let Some(GroupTarget::Role { role, .. }) = &mapping.target {
            check.that(BuiltinRole::find(role).is_some(), field, "unknown_role", "This is not a built-in role.");
        }
    }
}
