//! The messages that we send.

use chrono::{DateTime, Utc};

use super::SUCCESS;
use crate::outgoing::{Field, Head};
use crate::{Error, NameId, Outgoing, time};

/// Tells an identity provider that someone signed out here.
#[derive(Clone, Copy, Debug)]
pub struct NewLogoutRequest<'a> {
    /// From [`crate::message_id`].
    pub id: &'a str,
    /// Now.
    pub issue_instant: DateTime<Utc>,
    /// When it is stale.
    pub not_on_or_after: DateTime<Utc>,
    /// The identity provider's endpoint.
    pub destination: &'a str,
    /// Our entity id.
    pub issuer: &'a str,
    /// Who, exactly as the assertion named him.
    pub name_id: &'a NameId,
    /// Which sessions there; none: all of his.
    pub session_indexes: &'a [&'a str],
}

/// Answers an identity provider's [`crate::LogoutRequest`].
#[derive(Clone, Copy, Debug)]
pub struct NewLogoutResponse<'a> {
    /// From [`crate::message_id`].
    pub id: &'a str,
    /// Now.
    pub issue_instant: DateTime<Utc>,
    /// The identity provider's endpoint for responses.
    pub destination: &'a str,
    /// Our entity id.
    pub issuer: &'a str,
    /// The request's id.
    pub in_response_to: &'a str,
    /// Whether he is signed out here.
    pub success: bool,
}

impl NewLogoutRequest<'_> {
    /// Writes it.
    pub fn message(&self) -> Result<Outgoing, Error> {
        let head = Head {
            element: "samlp:LogoutRequest",
            field: Field::Request,
            id: self.id,
            issue_instant: self.issue_instant,
            destination: self.destination,
            issuer: self.issuer,
        };
        let name_id = self.name_id;
        head.write(&[("NotOnOrAfter", &time::format(self.not_on_or_after))], |xml| {
            let qualifiers = [
                ("Format", &name_id.format),
                ("NameQualifier", &name_id.name_qualifier),
                ("SPNameQualifier", &name_id.sp_name_qualifier),
            ];
            let given = qualifiers.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
            xml.leaf("saml:NameID", &given.collect::<Vec<_>>(), &name_id.value);
            for index in self.session_indexes {
                xml.leaf("samlp:SessionIndex", &[], index);
            }
        })
    }
}

impl NewLogoutResponse<'_> {
    /// Writes it.
    pub fn message(&self) -> Result<Outgoing, Error> {
        let head = Head {
            element: "samlp:LogoutResponse",
            field: Field::Response,
            id: self.id,
            issue_instant: self.issue_instant,
            destination: self.destination,
            issuer: self.issuer,
        };
        let status = if self.success { SUCCESS } else { "urn:oasis:names:tc:SAML:2.0:status:Responder" };
        head.write(&[("InResponseTo", self.in_response_to)], |xml| {
            xml.start("samlp:Status", &[]);
            xml.empty("samlp:StatusCode", &[("Value", status)]);
            xml.end();
        })
    }
}
