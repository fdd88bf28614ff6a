//! Tokens and links: made, recognised, compared. What proves something is stored only as a digest, or not at all.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use rand::TryRng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::ids::OrganizationId;
use crate::tenant::Tenant;

/// What a token is for. Its prefix says so: a token of one kind is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A session, as a bearer token or in a browser's cookie.
    Session,
    /// A personal access token.
    Personal,
    /// A session on its way into a browser: good once, and for a minute.
    Browser,
}

impl TokenKind {
    const ALL: [Self; 3] = [Self::Session, Self::Personal, Self::Browser];

    /// Never change a prefix: it would revoke every token that has it.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "tnt_s_",
            Self::Personal => "tnt_p_",
            Self::Browser => "tnt_b_",
        }
    }
}

/// A bearer token: a prefix that secret scanners know, then, in base58, the organization's id, 256 random bits and a
/// CRC-32. The id lets a look-up go straight to the organization's rows; it proves nothing by itself.
#[derive(Clone, Debug)]
pub struct Token {
    kind: TokenKind,
    text: SecretString,
    organization_id: OrganizationId,
}

impl Token {
    /// A new token of an organization.
    pub fn new(kind: TokenKind, tenant: &Tenant) -> Result<Self> {
        let mut random = [0; 32];
        fill_random(&mut random)?;
        Ok(Self::assemble(kind, tenant.id(), &random))
    }

    fn assemble(kind: TokenKind, organization_id: OrganizationId, random: &[u8; 32]) -> Self {
        let mut bytes = Uuid::from(organization_id).as_bytes().to_vec();
        bytes.extend_from_slice(random);
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        let text = format!("{}{}", kind.prefix(), bs58::encode(bytes).into_string());
        Self { kind, text: text.into(), organization_id }
    }

    /// Reads what a caller sent; none if it can't be one of ours, with no look-up.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, body) = TokenKind::ALL.iter().find_map(|kind| Some((*kind, text.strip_prefix(kind.prefix())?)))?;
        // 52 bytes in base58 are 71 or 72 characters; the bound keeps the decoder from long work.
        (body.len() <= 80).then_some(())?;
        let bytes: [u8; 52] = bs58::decode(body).into_vec().ok()?.try_into().ok()?;
        let (payload, checksum) = bytes.split_at(48);
        (crc32fast::hash(payload).to_be_bytes() == checksum).then_some(())?;
        let organization_id = Uuid::from_slice(&payload[..16]).ok()?.into();
        Some(Self { kind, text: text.into(), organization_id })
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// What is stored and looked up: SHA-256. The token has 256 random bits, so no slow hash is needed.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.text.expose_secret()).to_vec()
    }

    /// The token itself, to hand it out once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// Which organization it says it is of.
    pub(crate) fn claimed_tenant(&self) -> Tenant {
        Tenant::proven(self.organization_id)
    }
}

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    rand::rngs::SysRng
        .try_fill_bytes(bytes)
        .map_err(|e| Error::Internal(format!("the system gave no random numbers: {e}")))
}

/// The server key. Every purpose has a key of its own, derived by HKDF-SHA256 (RFC 5869).
#[derive(Clone)]
pub struct SecretKey(Hkdf<Sha256>);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey")
    }
}

impl SecretKey {
    pub(crate) fn new(material: &[u8]) -> Self {
        Self(Hkdf::new(None, material))
    }

    pub(crate) fn derive(&self, purpose: &str) -> Result<[u8; 32]> {
        let mut key = [0; 32];
        self.0
            .expand(purpose.as_bytes(), &mut key)
            .map_err(|e| Error::Internal(format!("no key for {purpose}: {e}")))?;
        Ok(key)
    }
}

/// The server key, and the one before it while there are values that it has sealed.
#[derive(Clone, Debug)]
pub struct SecretKeys {
    /// What everything is derived from.
    pub current: SecretKey,
    /// Opens what was sealed with it, and does nothing else.
    pub previous: Option<SecretKey>,
}

/// What a mailed link is for. A link of one kind is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// To accept or decline an invitation.
    Invitation,
    /// To choose a password.
    Password,
    /// To get no more reminders. Good for ever: whoever doesn't want mail is heard.
    Reminders,
}

/// Mints and checks the tokens of mailed links: `organization.id.generation.HMAC-SHA256`, in base64url. They are stored
/// nowhere: the worker makes one when it renders a mail, and the API checks it against the key and the row.
#[derive(Clone)]
pub struct Links {
    invitation: [u8; 32],
    password: [u8; 32],
    reminders: [u8; 32],
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Links")
    }
}

/// What a link that we signed says: nothing about whether it is still good.
#[derive(Clone, Debug)]
pub struct Link {
    /// The organization it was made for.
    pub tenant: Tenant,
    /// The invitation, or the password reset.
    pub id: Uuid,
    /// Which generation of it.
    pub generation: i32,
}

const LINK_PAYLOAD: usize = 16 + 16 + 4;

impl Links {
    /// Derives the keys.
    pub fn new(key: &SecretKey) -> Result<Self> {
        Ok(Self {
            invitation: key.derive("tenantry/link/invitation/1")?,
            password: key.derive("tenantry/link/password/1")?,
            reminders: key.derive("tenantry/link/reminders/1")?,
        })
    }

    fn mac(&self, kind: LinkKind, payload: &[u8]) -> Hmac<Sha256> {
        let key = match kind {
            LinkKind::Invitation => &self.invitation,
            LinkKind::Password => &self.password,
            LinkKind::Reminders => &self.reminders,
        };
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(payload);
        mac
    }

    /// The token of a link, for a mail that is being rendered.
    #[must_use]
    pub fn mint(&self, kind: LinkKind, tenant: &Tenant, id: Uuid, generation: i32) -> String {
        let mut bytes = Uuid::from(tenant.id()).as_bytes().to_vec();
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(&generation.to_be_bytes());
        let mac = self.mac(kind, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a link's token; none unless we made it for this purpose. Compares in constant time.
    #[must_use]
    pub fn read(&self, kind: LinkKind, token: &str) -> Option<Link> {
        if token.len() > 128 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (payload, mac) = bytes.split_at_checked(LINK_PAYLOAD)?;
        self.mac(kind, payload).verify_slice(mac).ok()?;
        let organization_id: OrganizationId = Uuid::from_slice(&payload[..16]).ok()?.into();
        let generation = i32::from_be_bytes(payload[32..].try_into().ok()?);
        Some(Link { tenant: Tenant::proven(organization_id), id: Uuid::from_slice(&payload[16..32]).ok()?, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: u128) -> Tenant {
        Tenant::proven(Uuid::from_u128(n).into())
    }

    fn links() -> Links {
        Links::new(&SecretKey::new(&[7; 32])).expect("keys")
    }

    #[test]
    fn a_token_reads_back_and_a_typo_does_not() {
        for kind in TokenKind::ALL {
            let token = Token::new(kind, &tenant(5)).expect("random numbers");
            let again = Token::parse(token.expose()).expect("our own token");
            assert_eq!((again.kind(), again.digest()), (kind, token.digest()));
            assert_eq!(again.claimed_tenant(), tenant(5));
        }
        let token = Token::new(TokenKind::Session, &tenant(5)).expect("random numbers");
        let typo = token.expose().replace(token.expose().chars().last().expect("not empty"), "x");
        assert!(Token::parse(&typo).is_none());
        assert!(Token::parse("tnt_s_").is_none());
        assert!(Token::parse(&format!("tnt_s_{}", "1".repeat(10_000))).is_none());
    }

    #[test]
    fn a_link_is_good_only_for_its_purpose_and_unchanged() {
        let links = links();
        let id = Uuid::from_u128(9);
        let token = links.mint(LinkKind::Invitation, &tenant(1), id, 2);
        let link = links.read(LinkKind::Invitation, &token).expect("our own link");
        assert_eq!((link.tenant, link.id, link.generation), (tenant(1), id, 2));
        assert!(links.read(LinkKind::Password, &token).is_none());
        assert!(links.read(LinkKind::Reminders, &token).is_none());
        let other = links.mint(LinkKind::Reminders, &tenant(1), id, 2);
        assert!(
            links.read(LinkKind::Reminders, &other).is_some() && links.read(LinkKind::Invitation, &other).is_none()
        );
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(links.read(LinkKind::Invitation, &changed).is_none(), "changed at {at}");
        }
        assert!(links.read(LinkKind::Invitation, "").is_none());
        let other = Links::new(&SecretKey::new(&[8; 32])).expect("keys");
        assert!(other.read(LinkKind::Invitation, &token).is_none());
    }
}
