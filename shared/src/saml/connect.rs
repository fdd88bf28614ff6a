//! Connecting one's company account from within: whoever is signed in shows at his company who he is there, and is known by it
//! from then on. Nobody is taken over by surprise so; for superusers and who manages single sign-on it is the only way.

use serde_json::json;

use super::ask::{Way, send};
use super::provision::{self, Account, Arrival};
use super::refused::{Halt, Refused, Told};
use super::requests::{Browser, NewRequest, Purpose};
use super::{Sso, connections};
use crate::access::{self, Access, Actor, InPerson};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, SamlConnectionId, SessionId, UserId};
use crate::sessions;

/// A company that one's account is connected to, or can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanyAccount {
    /// The connection.
    pub connection: SamlConnectionId,
    /// What people call it.
    pub name: String,
    /// Whether the caller is known there.
    pub is_connected: bool,
    /// Whether he has another way in.
    pub has_other_way: bool,
}

/// The companies of the caller's organization that are on, or that he is known at, by name.
pub async fn list_company_accounts<P>(tx: &mut Tx, by: &Access<P>) -> Result<Vec<CompanyAccount>> {
    Ok(sqlx::query_as!(
        CompanyAccount,
        r#"select c.id as "connection: SamlConnectionId", c.name, i.user_id is not null as "is_connected!",
                  may_use_password(u.is_local, u.keep_local_login, o.sso_required_from, $3)
                      or exists (select from saml_identities x join saml_connections a
                          on a.organization_id = x.organization_id and a.id = x.connection_id
                          where x.organization_id = $1 and x.user_id = u.id
                            and x.connection_id <> c.id and a.is_active) as "has_other_way!"
           from saml_connections c
           join organizations o on o.organization_id = c.organization_id
           join users u on u.organization_id = c.organization_id and u.id = $2
           left join saml_identities i
               on i.organization_id = c.organization_id and i.connection_id = c.id and i.user_id = u.id
           where c.organization_id = $1 and (c.is_active or i.user_id is not null)
           order by lower(c.name), c.id"#,
        tx.organization_id() as OrganizationId,
        by.caller().user_id as UserId,
        tx.now()
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Sends the caller to his company. When he comes back in the same browser, while his session lives, he is known there.
///
/// Errors: 404 for a connection that is not there, or off.
pub async fn ask_to_connect(
    sso: &Sso<'_>,
    mut tx: Tx,
    by: &Access<InPerson>,
    connection: SamlConnectionId,
    browser: &Browser,
    return_to: &str,
) -> Result<Way> {
    let connection = connections::find_active(&mut tx, connection).await?.ok_or_else(Refusal::not_found)?;
    let new = NewRequest {
        return_to,
        user: Some(by.caller().user_id),
        session: by.caller().session(),
        ..NewRequest::new(connection.id.into(), Purpose::Connect, browser)
    };
    send(sso, tx, &connection, &new).await
}

/// Remembers by which name the connection knows whoever asked. Nobody is made, and nobody is moved: that comes with his first
/// sign-in. Under the lock of the organization's rights and of his row.
pub(super) async fn attach(
    tx: &mut Tx,
    arrival: &Arrival<'_>,
    asker: Option<Account>,
    session: SessionId,
) -> Result<Account, Halt> {
    let ended = || {
        let detail = "Whoever asked to connect his account has signed out meanwhile, or his session has ended.";
        Refused::new(Told::Again, "session_ended", detail)
    };
    let account = asker.ok_or_else(ended)?;
    provision::demand_alive(tx, &account)?;
    if !sessions::lives(tx, account.id, session).await? {
        return Err(ended().into());
    }
    match provision::lock_known(tx, arrival).await? {
        Some(known) if known.id == account.id => return Ok(account),
        Some(_) => {
            let detail = "The connection knows another user by this NameID. Whoever it is disconnects it first, or an \
                          administrator deletes that account.";
            return Err(Refused::new(Told::Taken, "identity_of_another_user", detail).into());
        }
        None => {}
    }
    if provision::has_identity(tx, arrival.connection_id(), account.id).await? {
        let detail = "The connection knows this user by another NameID. He disconnects that one first.";
        return Err(Refused::new(Told::OtherAccount, "user_has_another_identity", detail).into());
    }
    tx.act_as(Actor::User { id: account.id, name: account.email.clone(), credential: None });
    provision::connect(tx, arrival, &account).await?;
    Ok(account)
}

/// Forgets by which name a connection knows the caller, and ends his other sessions that began there. Nothing happens if it does
/// not know him.
///
/// Errors: 409 `only_way_in`.
pub async fn disconnect(tx: &mut Tx, by: &Access<InPerson>, connection: SamlConnectionId) -> Result<()> {
    let caller = by.caller();
    // Nobody demands single sign-on while he looks whether he could do without.
    access::hold(tx).await?;
    sessions::lock_caller(tx, caller).await?;
    let accounts = list_company_accounts(tx, by).await?;
    let Some(account) = accounts.into_iter().find(|account| account.connection == connection && account.is_connected)
    else {
        return Ok(());
    };
    if !account.has_other_way {
        let detail = "This is your only way in: you have no password that you may sign in with.";
        return Err(Refusal::conflict("only_way_in", detail).into());
    }
    sqlx::query!(
        "delete from saml_identities where organization_id = $1 and connection_id = $2 and user_id = $3",
        tx.organization_id() as OrganizationId,
        connection as SamlConnectionId,
        caller.user_id as UserId
    )
    .execute(tx.connection())
    .await?;
    let ended = sessions::end_others_at_provider(tx, caller, connection).await?;
    let event = Event::new("user.disconnected", "user", caller.user_id, &caller.email);
    tx.audit(event.with(json!({ "connection": connection, "connection_name": account.name, "sessions": ended }))).await
}
