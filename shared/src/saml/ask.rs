//! The way to an identity provider: a request that waits for its answer.

use tenantry_saml::{AuthnRequest, Outgoing, PostForm};

use super::own::{Own, internal};
use super::requests::{self, Browser, NewRequest, Purpose, Request};
use super::{Connection, Sso, connections, test_sign_in};
use crate::access::{Actor, Origin};
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::SamlConnectionId;
use crate::invitations;
use crate::secret::Links;
use crate::tenant::Tenant;

/// How a browser gets to an identity provider with a message.
#[derive(Clone, Debug)]
pub enum Way {
    /// By a redirect to this address.
    Redirect(String),
    /// By a form that it posts, with this RelayState.
    Post(PostForm, Option<String>),
}

/// What someone asks for who wants to sign in through his company.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The organization's slug.
    pub slug: &'a str,
    /// Which connection; none: the only one that is on.
    pub connection: Option<SamlConnectionId>,
    /// Where he wants to be when he is signed in; checked by [`is_own_path`].
    pub return_to: &'a str,
    /// His browser.
    pub browser: &'a Browser,
}

/// Whether this is a path of ours: nothing that a browser could take for another site.
#[must_use]
pub fn is_own_path(path: &str) -> bool {
    let is_plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    path.len() <= 2_000 && is_plain && path.starts_with('/') && !path.starts_with("//")
}

/// Asks the identity provider. None if there are several and nobody has said which.
///
/// Errors: 404 for an organization or connection that is not there, or off; 429 `too_many_attempts`.
pub async fn ask(sso: &Sso<'_>, asked: &Asked<'_>, origin: Origin) -> Result<Option<Way>> {
    sso.limiter.company_sign_in(&origin).await?;
    let tenant = Tenant::find(sso.db, asked.slug).await?.ok_or_else(Refusal::not_found)?;
    let mut tx = sso.db.begin(&tenant, Actor::Anonymous, origin).await?;
    let connection = match asked.connection {
        Some(id) => connections::find_active(&mut tx, id).await?,
        None => match connections::list_active(&mut tx).await?.as_slice() {
            [only] => connections::find_active(&mut tx, only.id).await?,
            [] => None,
            _ => return Ok(None),
        },
    };
    let connection = connection.ok_or_else(Refusal::not_found)?;
    let new = NewRequest {
        return_to: asked.return_to,
        ..NewRequest::new(connection.id.into(), Purpose::SignIn, asked.browser)
    };
    send(sso, tx, &connection, &new).await.map(Some)
}

/// The same for an administrator's test: `token` is from the address that he was given.
///
/// Errors: 404 `test_dead`; 429 `too_many_attempts`.
pub async fn ask_for_test(sso: &Sso<'_>, slug: &str, token: &str, browser: &Browser, origin: Origin) -> Result<Way> {
    sso.limiter.company_sign_in(&origin).await?;
    let tenant = Tenant::find(sso.db, slug).await?.ok_or_else(Refusal::not_found)?;
    let mut tx = sso.db.begin(&tenant, Actor::Anonymous, origin).await?;
    let (connection, user) = test_sign_in::open(&mut tx, token).await?;
    let connection = connections::find(&mut tx, connection).await?.ok_or_else(Refusal::not_found)?;
    let new = NewRequest { user: Some(user), ..NewRequest::new(connection.id.into(), Purpose::Test, browser) };
    send(sso, tx, &connection, &new).await
}

/// The same for an invitee, by the link that he was mailed: the invitation is accepted when he comes back as whom it was sent to.
///
/// Errors: those of the link; 404; 429 `too_many_attempts`.
pub async fn ask_with_invitation(
    sso: &Sso<'_>,
    links: &Links,
    token: &str,
    connection: SamlConnectionId,
    browser: &Browser,
    origin: Origin,
) -> Result<Way> {
    sso.limiter.company_sign_in(&origin).await?;
    let (tenant, carried) = invitations::follow(sso.db, links, token).await?;
    let mut tx = sso.db.begin(&tenant, Actor::Anonymous, origin).await?;
    let connection = connections::find_active(&mut tx, connection).await?.ok_or_else(Refusal::not_found)?;
    let new =
        NewRequest { invitation: Some(carried), ..NewRequest::new(connection.id.into(), Purpose::SignIn, browser) };
    send(sso, tx, &connection, &new).await
}

pub(super) async fn send(sso: &Sso<'_>, mut tx: Tx, connection: &Connection, new: &NewRequest<'_>) -> Result<Way> {
    let own = Own::load(&mut tx, sso).await?;
    let request = requests::begin(&mut tx, new).await?;
    let now = tx.now();
    tx.commit().await?;
    let message = AuthnRequest {
        id: &request.id,
        issue_instant: now,
        destination: &connection.sso_url,
        issuer: &own.urls.entity_id,
        acs_url: &own.urls.acs_url,
        name_id_format: connection.name_id_format.as_deref(),
        // A test shows what the provider says now, of whomever the administrator chooses there; and who connects his account
        // shows that it is his, whoever used this browser before.
        force_authn: matches!(new.purpose, Purpose::Test | Purpose::Connect),
    };
    let message = message.message().map_err(internal)?;
    let is_signed = connection.sign_requests;
    travel(sso, &own, message, &connection.sso_binding, is_signed, Some(request.relay_state)).await
}

/// Makes a message ready to go, by the binding that the provider takes.
pub(super) async fn travel(
    sso: &Sso<'_>,
    own: &Own,
    message: Outgoing,
    binding: &str,
    is_signed: bool,
    relay_state: Option<String>,
) -> Result<Way> {
    let signer = own.keys.as_ref().map(|keys| keys.signer.clone());
    if is_signed && signer.is_none() {
        let detail = "The organization has no SAML keys yet: an administrator makes them first.";
        return Err(Refusal::conflict("saml_keys_missing", detail).into());
    }
    let signer = signer.filter(|_| is_signed);
    let is_post = binding == "post";
    let made = sso.workers.run(move || {
        Ok(if is_post {
            Way::Post(message.post_form(signer.as_ref())?, relay_state)
        } else {
            Way::Redirect(message.redirect_url(signer.as_ref(), relay_state.as_deref())?)
        })
    });
    made.await?.map_err(internal)
}

/// Begins a request of ours about a sign-out, and answers it with its id.
pub(super) async fn begin_logout(tx: &mut Tx, connection: SamlConnectionId, browser: &Browser) -> Result<Request> {
    requests::begin(tx, &NewRequest::new(connection, Purpose::Logout, browser)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_returned_to() {
        for path in ["/", "/second-factor", "/a/b?c=d&e=https://evil.example#f", "/%2F%2Fevil.example"] {
            assert!(is_own_path(path), "{path}");
        }
        let long = format!("/{}", "a".repeat(2_000));
        for path in [
            "",
            "home",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            " /",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x=y",
            "/ü",
            &long,
        ] {
            assert!(!is_own_path(path), "{path:?}");
        }
    }
}
