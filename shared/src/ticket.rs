//! Tickets: what someone holds between two steps of a sign-in, after his password was found right. They are stored nowhere.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::error::Result;
use crate::ids::{OrganizationId, UserId};
use crate::secret::SecretKey;
use crate::tenant::Tenant;

/// What a ticket is for. One of one kind is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TicketKind {
    /// To finish a sign-in with a code of the second factor.
    Code,
    /// To choose a password of one's own in place of one that an administrator set.
    PasswordChange,
}

/// Mints and checks tickets: `organization.user.end.seal.HMAC-SHA256`, in base64url. The seal is an HMAC too, of what is before
/// it: whose ticket it is, is believed of one of ours only, and nobody locks rows by made-up ones. The HMAC behind it also covers
/// a state of the user that using the ticket changes, so that it works once and dies with what it was made for.
#[derive(Clone)]
pub(crate) struct Tickets {
    seal: [u8; 32],
    code: [u8; 32],
    password_change: [u8; 32],
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets")
    }
}

const PAYLOAD: usize = 16 + 16 + 8;
/// Bytes of the seal: 128 bits, which nobody guesses in the minutes that a ticket lives.
const SEAL: usize = 16;

/// What a ticket of ours says, which proves nothing until it is compared with the state of its user.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) tenant: Tenant,
    pub(crate) user_id: UserId,
    payload: [u8; PAYLOAD],
    mac: Vec<u8>,
}

impl Ticket {
    /// Reads one; none if it is none of ours, or of another kind.
    pub(crate) fn read(keys: &Tickets, kind: TicketKind, text: &str) -> Option<Self> {
        if text.len() > 128 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (payload, rest) = bytes.split_first_chunk::<PAYLOAD>()?;
        let (seal, mac) = rest.split_first_chunk::<SEAL>()?;
        keys.seal(kind, payload).verify_truncated_left(seal).ok()?;
        let organization_id: OrganizationId = Uuid::from_slice(&payload[..16]).ok()?.into();
        let user_id = Uuid::from_slice(&payload[16..32]).ok()?.into();
        Some(Self { tenant: Tenant::proven(organization_id), user_id, payload: *payload, mac: mac.to_vec() })
    }

    fn ends_at(&self) -> Option<DateTime<Utc>> {
        let seconds = i64::from_be_bytes(*self.payload.last_chunk()?);
        DateTime::from_timestamp(seconds, 0)
    }
}

impl Tickets {
    /// Derives the keys.
    pub(crate) fn new(key: &SecretKey) -> Result<Self> {
        Ok(Self {
            seal: key.derive("tenantry/ticket/seal/1")?,
            code: key.derive("tenantry/ticket/code/1")?,
            password_change: key.derive("tenantry/ticket/password-change/1")?,
        })
    }

    fn seal(&self, kind: TicketKind, payload: &[u8]) -> Hmac<Sha256> {
        let kind = match kind {
            TicketKind::Code => b'c',
            TicketKind::PasswordChange => b'p',
        };
        hmac(&self.seal, &[&[kind], payload])
    }

    fn mac(&self, kind: TicketKind, payload: &[u8], state: &[u8]) -> Hmac<Sha256> {
        let key = match kind {
            TicketKind::Code => &self.code,
            TicketKind::PasswordChange => &self.password_change,
        };
        hmac(key, &[payload, state])
    }

    /// A ticket for a user, until `ends_at`, for as long as his state stays.
    pub(crate) fn mint(
        &self,
        kind: TicketKind,
        tenant: &Tenant,
        user: UserId,
        ends_at: DateTime<Utc>,
        state: &[u8],
    ) -> String {
        let mut bytes = Uuid::from(tenant.id()).as_bytes().to_vec();
        bytes.extend_from_slice(Uuid::from(user).as_bytes());
        bytes.extend_from_slice(&ends_at.timestamp().to_be_bytes());
        let seal = self.seal(kind, &bytes).finalize().into_bytes();
        let mac = self.mac(kind, &bytes, state).finalize().into_bytes();
        bytes.extend_from_slice(&seal[..SEAL]);
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether we made it for this, its time is not over, and the user's state is still the same.
    pub(crate) fn is_good(&self, kind: TicketKind, ticket: &Ticket, now: DateTime<Utc>, state: &[u8]) -> bool {
        ticket.ends_at().is_some_and(|end| now < end)
            && self.mac(kind, &ticket.payload, state).verify_slice(&ticket.mac).is_ok()
    }
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_ticket_is_good_for_its_purpose_its_time_and_its_state_only() {
        let tickets = Tickets::new(&SecretKey::new(&[7; 32])).expect("keys");
        let tenant = Tenant::proven(Uuid::from_u128(1).into());
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let minutes = TimeDelta::minutes;
        let text = tickets.mint(TicketKind::Code, &tenant, Uuid::from_u128(2).into(), now + minutes(5), b"state");
        let good = |text: &str, kind, at, state: &[u8]| {
            Ticket::read(&tickets, kind, text).is_some_and(|ticket| tickets.is_good(kind, &ticket, at, state))
        };
        assert!(text.len() <= 128 && good(&text, TicketKind::Code, now, b"state"));
        assert!(good(&text, TicketKind::Code, now + minutes(5) - TimeDelta::seconds(1), b"state"));
        assert!(!good(&text, TicketKind::Code, now + minutes(5), b"state"));
        assert!(!good(&text, TicketKind::PasswordChange, now, b"state"));
        assert!(!good(&text, TicketKind::Code, now, b"another"));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(!good(&changed, TicketKind::Code, now, b"state"), "changed at {at}");
        }
        // What is said of whom is believed of none that was changed.
        let other = tickets.mint(TicketKind::Code, &tenant, Uuid::from_u128(3).into(), now, b"state");
        let forged = format!("{}{}", &other[..54], &text[54..]);
        assert!(Ticket::read(&tickets, TicketKind::Code, &text).is_some());
        assert!(Ticket::read(&tickets, TicketKind::Code, &forged).is_none());
        assert!(Ticket::read(&tickets, TicketKind::PasswordChange, &text).is_none());
        for bad in ["", "AAAA", &text[..text.len() - 4], &text.repeat(2), &text[..54]] {
            assert!(!good(bad, TicketKind::Code, now, b"state"), "{bad}");
        }
    }
}
