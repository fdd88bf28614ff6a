//! Who someone is, by what an identity provider says of him.

use tenantry_saml::{Attribute, SignIn};

use super::AttributeMapping;
use crate::email_address::EmailAddress;
use crate::users::PersonName;

/// How providers call an e-mail address where nobody has told them otherwise,
const EMAIL: [&str; 9] = [
    "email",
    "mail",
    "e-mail",
    "emailaddress",
    "email_address",
    "user.email",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "urn:oid:1.2.840.113549.1.9.1",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
];
/// a first name,
const FIRST_NAME: [&str; 7] = [
    "first_name",
    "firstname",
    "givenname",
    "given_name",
    "user.firstname",
    "urn:oid:2.5.4.42",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
];
/// a last name,
const LAST_NAME: [&str; 9] = [
    "last_name",
    "lastname",
    "surname",
    "sn",
    "family_name",
    "familyname",
    "user.lastname",
    "urn:oid:2.5.4.4",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
];
/// and groups.
const GROUPS: [&str; 7] = [
    "groups",
    "group",
    "memberof",
    "urn:oid:1.2.840.113556.1.2.102",
    "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
    "http://schemas.xmlsoap.org/claims/group",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
];
const EMAIL_NAME_ID: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";

/// As far as it was said.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) email: Option<EmailAddress>,
    pub(super) name: PersonName,
    /// As the directory calls them.
    pub(super) groups: Vec<String>,
}

impl Person {
    /// Reads it from an assertion, by the names that an administrator has given, or else by the usual ones.
    pub(super) fn of(said: &SignIn, mapping: &AttributeMapping) -> Self {
        let first = |given: &Option<String>, usual: &[&str]| {
            values(&said.attributes, given.as_deref(), usual).next().map(str::trim)
        };
        let email = first(&mapping.email, &EMAIL).or_else(|| {
            // Where the administrator has named an attribute, nothing else stands in for it.
            let is_address = said.name_id.format.as_deref() == Some(EMAIL_NAME_ID) || said.name_id.value.contains('@');
            (mapping.email.is_none() && is_address).then_some(said.name_id.value.as_str())
        });
        Self {
            email: email.and_then(|text| EmailAddress::parse("email", text).ok()),
            name: PersonName {
                first: name_part(first(&mapping.first_name, &FIRST_NAME)),
                last: name_part(first(&mapping.last_name, &LAST_NAME)),
            },
            groups: values(&said.attributes, mapping.groups.as_deref(), &GROUPS).map(str::to_owned).collect(),
        }
    }
}

/// The values of the attribute of a given name, exactly; or of those that are usual, whatever their case.
fn values<'a>(attributes: &'a [Attribute], given: Option<&str>, usual: &[&str]) -> impl Iterator<Item = &'a str> {
    let is_called = |attribute: &Attribute, test: &dyn Fn(&str) -> bool| {
        test(&attribute.name) || attribute.friendly_name.as_deref().is_some_and(test)
    };
    let found = attributes.iter().filter(move |attribute| match given {
        Some(name) => is_called(attribute, &|called| called == name),
        None => is_called(attribute, &|called| usual.iter().any(|name| called.eq_ignore_ascii_case(name))),
    });
    let found: Vec<&Attribute> = found.collect();
    found.into_iter().flat_map(|attribute| attribute.values.iter().map(String::as_str))
}

/// What can't be a name here is made one: nobody is turned away for his name.
fn name_part(text: Option<&str>) -> String {
    text.unwrap_or_default().chars().filter(|c| !c.is_control()).take(150).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tenantry_saml::NameId;

    use super::*;

    fn said(name_id: &str, attributes: &[(&str, Option<&str>, &[&str])]) -> SignIn {
        let attribute = |(name, friendly, values): &(&str, Option<&str>, &[&str])| Attribute {
            name: (*name).to_owned(),
            friendly_name: friendly.map(str::to_owned),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        SignIn {
            assertion_id: "_a".into(),
            issuer: "https://idp.example".into(),
            name_id: NameId { value: name_id.into(), format: None, name_qualifier: None, sp_name_qualifier: None },
            session_index: None,
            session_not_on_or_after: None,
            authn_instant: DateTime::UNIX_EPOCH,
            attributes: attributes.iter().map(attribute).collect(),
            fingerprint: String::new(),
            expires_at: DateTime::UNIX_EPOCH,
        }
    }

    fn email(said: &SignIn, mapping: &AttributeMapping) -> Option<String> {
        Person::of(said, mapping).email.map(|email| email.as_str().to_owned())
    }

    #[test]
    fn an_address_is_found_under_the_names_that_providers_use() {
        for name in ["email", "Mail", "urn:oid:0.9.2342.19200300.100.1.3", EMAIL[8]] {
            let said = said("0815", &[("other", None, &["x@y.example"]), (name, None, &[" bob@example.com "])]);
            assert_eq!(email(&said, &AttributeMapping::default()).as_deref(), Some("bob@example.com"), "{name}");
        }
        let friendly = said("0815", &[("urn:oid:1", Some("mail"), &["bob@example.com"])]);
        assert!(email(&friendly, &AttributeMapping::default()).is_some());
        assert!(email(&said("bob@example.com", &[]), &AttributeMapping::default()).is_some(), "the name itself");
        assert!(email(&said("0815", &[("email", None, &["nobody"])]), &AttributeMapping::default()).is_none());
    }

    #[test]
    fn what_the_administrator_has_named_is_all_that_counts() {
        let mapping =
            AttributeMapping { email: Some("upn".into()), groups: Some("Teams".into()), ..Default::default() };
        let wrong = said("bob@example.com", &[("email", None, &["bob@example.com"]), ("groups", None, &["a"])]);
        assert_eq!(email(&wrong, &mapping), None);
        assert!(Person::of(&wrong, &mapping).groups.is_empty());
        let right =
            said("0815", &[("upn", None, &["bob@example.com"]), ("Teams", None, &["a", "b"]), ("teams", None, &["c"])]);
        assert!(email(&right, &mapping).is_some());
        assert_eq!(Person::of(&right, &mapping).groups, ["a", "b"], "letter by letter");
    }

    #[test]
    fn nobody_is_turned_away_for_his_name() {
        let long = "x".repeat(200);
        let person = Person::of(
            &said("0815", &[("givenName", None, &["Bob\r\nBcc: eve"]), ("sn", None, &[&long])]),
            &AttributeMapping::default(),
        );
        assert_eq!((person.name.first.as_str(), person.name.last.len()), ("BobBcc: eve", 150));
    }
}
