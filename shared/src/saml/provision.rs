//! From an assertion to an account: known, taken over, invited, or new.

use chrono::NaiveDate;
use serde_json::{Value, json};
use tenantry_saml::SignIn;

use super::Connection;
use super::group_mapping::{self, Moved, Moves};
use super::person::Person;
use super::refused::{Halt, Refused, Told};
use crate::access::{Actor, Holder, Permission};
use crate::audit::Event;
use crate::db::Tx;
use crate::email_address::{EmailAddress, domain_of, key};
use crate::error::{Error, Result};
use crate::ids::{OrganizationId, SamlConnectionId, UserId};
use crate::invitations::{self, Awaited, Carried};
use crate::{folders, user_groups, users};

/// Someone who comes from an identity provider.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) connection: &'a Connection,
    pub(super) said: &'a SignIn,
    pub(super) person: &'a Person,
    /// The invitation whose link led there.
    pub(super) invitation: Option<Carried>,
}

/// An account that someone arrives at.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) id: UserId,
    pub(super) email: String,
    is_active: bool,
    expiry_date: Option<NaiveDate>,
    is_superuser: bool,
}

impl Arrival<'_> {
    pub(super) fn connection_id(&self) -> SamlConnectionId {
        self.connection.id.into()
    }

    fn is_bound(&self, email: &EmailAddress) -> bool {
        domain_of(email.as_str()).is_some_and(|domain| self.connection.domains.contains(&domain))
    }
}

/// The account that a connection knows by a name, locked.
pub(super) async fn lock_known(tx: &mut Tx, arrival: &Arrival<'_>) -> Result<Option<Account>> {
    Ok(sqlx::query_as!(
        Account,
        r#"select u.id as "id: UserId", u.email, u.is_active, u.expiry_date, u.is_superuser
           from saml_identities i join users u on u.organization_id = i.organization_id and u.id = i.user_id
           where i.organization_id = $1 and i.connection_id = $2 and i.name_id = $3
           for no key update of u"#,
        tx.organization_id() as OrganizationId,
        arrival.connection_id() as SamlConnectionId,
        arrival.said.name_id.value
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// The account of a user, locked.
pub(super) async fn lock_user(tx: &mut Tx, user: UserId) -> Result<Option<Account>> {
    Ok(sqlx::query_as!(
        Account,
        r#"select id as "id: UserId", email, is_active, expiry_date, is_superuser from users
           where organization_id = $1 and id = $2 for no key update"#,
        tx.organization_id() as OrganizationId,
        user as UserId
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// What has to change in the groups of someone who is known.
pub(super) async fn moves(tx: &mut Tx, arrival: &Arrival<'_>, account: &Account) -> Result<Moves> {
    group_mapping::moves(tx, arrival.connection_id(), account.id, &arrival.person.groups).await
}

/// Lets someone in, known or not, and puts him where the directory says. Under the lock of the organization's rights, unless he
/// `is_settled`: known, and staying where he is.
pub(super) async fn admit(
    tx: &mut Tx,
    arrival: &Arrival<'_>,
    known: Option<Account>,
    is_settled: bool,
) -> Result<Account, Halt> {
    demand_invitee(tx, arrival).await?;
    let account = match known {
        Some(account) => account,
        None => welcome(tx, arrival).await?,
    };
    demand_alive(tx, &account)?;
    tx.act_as(Actor::User { id: account.id, name: account.email.clone(), credential: None });
    let moves = if is_settled { Moves::default() } else { moves(tx, arrival, &account).await? };
    if !moves.are_none() {
        let moved = group_mapping::apply(tx, account.id, moves).await?;
        note_moves(tx, &account, &moved).await?;
    }
    let used = sqlx::query!(
        "update saml_identities set last_used_at = $4 where organization_id = $1 and connection_id = $2 and name_id = $3",
        tx.organization_id() as OrganizationId,
        arrival.connection_id() as SamlConnectionId,
        arrival.said.name_id.value,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    if used.rows_affected() == 0 {
        let detail = "This identity was disconnected at the same moment.";
        return Err(Refused::new(Told::Again, "disconnected", detail).into());
    }
    Ok(account)
}

/// Whoever followed an invitation's link comes as whom it was sent to, also if he is known: else it is not his.
async fn demand_invitee(tx: &mut Tx, arrival: &Arrival<'_>) -> Result<(), Halt> {
    let (Some(carried), Some(email)) = (arrival.invitation, &arrival.person.email) else { return Ok(()) };
    let address = invitations::find_address(tx, carried.id).await?;
    if address.is_some_and(|address| key(&address) == email.key()) {
        return Ok(());
    }
    let detail = "The invitation was sent to another address than the assertion says: only whom it was sent to accepts it. Invite \
                  the person at the address that his company calls him by.";
    Err(Refused::new(Told::OtherAddress, "invitation_for_another_address", detail).into())
}

pub(super) fn demand_alive(tx: &Tx, account: &Account) -> Result<(), Refused> {
    let refused = |reason, detail| Err(Refused::new(Told::Ended, reason, detail));
    if !account.is_active {
        return refused("inactive", "The account is not active. An administrator can activate it.");
    }
    if account.expiry_date.is_some_and(|last| last < tx.now().date_naive()) {
        return refused("expired", "The account has expired. An administrator can give it another expiry date.");
    }
    Ok(())
}

async fn note_moves(tx: &mut Tx, account: &Account, moved: &Moved) -> Result<()> {
    if moved.joined.is_empty() && moved.left.is_empty() {
        return Ok(());
    }
    let details = json!({ "fields": ["user_groups"], "by": "identity provider", "groups": moved });
    tx.audit(Event::new("user.changed", "user", account.id, &account.email).with(details)).await
}

/// Someone whom this connection does not know yet.
async fn welcome(tx: &mut Tx, arrival: &Arrival<'_>) -> Result<Account, Halt> {
    let refused = |reason, detail: &str| Err(Refused::new(Told::NoAccount, reason, detail.to_owned()).into());
    let Some(email) = &arrival.person.email else {
        let detail = "Nobody is known by this NameID, and the assertion has no e-mail address that we could read. Have the provider \
                      send one, and name its attribute in the connection's attribute_mapping if it is none of the usual ones.";
        return refused("no_email", detail);
    };
    let owner = domain_owner(tx, email).await?;
    if owner.is_some_and(|owner| owner != arrival.connection_id()) {
        let detail = "The domain of this e-mail address is bound to another connection: people of it sign in there.";
        return refused("domain_of_another_connection", detail);
    }
    if let Some(account) = lock_by_email(tx, email).await? {
        adopt(tx, arrival, email, &account).await?;
        return Ok(account);
    }
    // The link has shown that the mailbox is his.
    let is_by_link = arrival.invitation.is_some();
    match find_invitation(tx, arrival, email).await? {
        Some(awaited) if awaited.is_for_superuser() && !is_by_link => refused(
            "superuser_by_link",
            "Who is invited as superuser accepts by the link in the mail: no identity provider makes one by itself.",
        ),
        Some(awaited) if is_by_link || arrival.is_bound(email) => {
            let account = make(tx, arrival, email, awaited.is_for_superuser()).await?;
            invitations::accept_awaited(tx, &awaited, account.id).await?;
            Ok(account)
        }
        // Whoever can have his company call him by any address must not come by what others were promised.
        Some(_) => refused(
            "invitation_by_link",
            "An invitation waits for this e-mail address, whose domain is not bound to the connection: he accepts it by the link in \
             the mail, or you bind the domain.",
        ),
        None if arrival.connection.jit_provisioning => {
            let account = make(tx, arrival, email, false).await?;
            if let Some(group) = arrival.connection.default_group_id {
                user_groups::add_member(tx, account.id, &[group]).await?;
            }
            Ok(account)
        }
        None => refused(
            "no_account",
            "There is no account with this NameID or e-mail address that this connection may use, and it makes none. Invite the \
             person and bind the domain of the address to the connection, or switch jit_provisioning on.",
        ),
    }
}

/// The invitation whose link he followed, or the one that waits for his address.
async fn find_invitation(tx: &mut Tx, arrival: &Arrival<'_>, email: &EmailAddress) -> Result<Option<Awaited>, Halt> {
    let Some(carried) = arrival.invitation else { return Ok(invitations::find_awaited(tx, email).await?) };
    match invitations::get_awaited(tx, carried).await {
        Ok(awaited) => Ok(Some(awaited)),
        Err(Error::Refused(refusal)) => Err(Refused::new(Told::InvitationOver, refusal.code, refusal.detail).into()),
        Err(error) => Err(error.into()),
    }
}

/// The connection that the domain of an address is bound to, on or off.
async fn domain_owner(tx: &mut Tx, email: &EmailAddress) -> Result<Option<SamlConnectionId>> {
    Ok(sqlx::query_scalar!(
        r#"select connection_id as "connection_id: SamlConnectionId" from saml_connection_domains
           where organization_id = $1 and domain = $2"#,
        tx.organization_id() as OrganizationId,
        domain_of(email.as_str())
    )
    .fetch_optional(tx.connection())
    .await?)
}

async fn lock_by_email(tx: &mut Tx, email: &EmailAddress) -> Result<Option<Account>> {
    Ok(sqlx::query_as!(
        Account,
        r#"select id as "id: UserId", email, is_active, expiry_date, is_superuser from users
           where organization_id = $1 and email_key = $2 for no key update"#,
        tx.organization_id() as OrganizationId,
        email.key()
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Takes an account over that is there already.
async fn adopt(tx: &mut Tx, arrival: &Arrival<'_>, email: &EmailAddress, account: &Account) -> Result<(), Halt> {
    let refused = |reason, detail: &str| Err(Refused::new(Told::NoAccount, reason, detail.to_owned()).into());
    if !arrival.is_bound(email) {
        let detail = "There is an account with this e-mail address. It is taken over only by a connection that the domain of the \
                      address is bound to.";
        return refused("domain_not_bound", detail);
    }
    demand_alive(tx, account)?;
    if has_identity(tx, arrival.connection_id(), account.id).await? {
        let detail = "The account with this e-mail address is known to this connection by another NameID. An address that went to \
                      another person is no way to his account: delete the old account, or have the provider send the NameID \
                      that it sent before.";
        return refused("other_name_id", detail);
    }
    if is_privileged(tx, account).await? {
        let detail = "Superusers, and who holds manage_sso over everything, are not taken over by their address. Signed in with \
                      their password, they connect their company account themselves, on the page of their own account.";
        return refused("privileged_account", detail);
    }
    tx.act_as(Actor::User { id: account.id, name: account.email.clone(), credential: None });
    connect(tx, arrival, account).await?;
    Ok(())
}

/// Remembers by which name the connection knows someone who was there before.
pub(super) async fn connect(tx: &mut Tx, arrival: &Arrival<'_>, account: &Account) -> Result<()> {
    identify(tx, arrival, account.id).await?;
    let event = Event::new("user.connected", "user", account.id, &account.email);
    tx.audit(event.with(of(arrival))).await
}

pub(super) async fn has_identity(tx: &mut Tx, connection: SamlConnectionId, user: UserId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from saml_identities where organization_id = $1 and connection_id = $2 and user_id = $3) as "has!""#,
        tx.organization_id() as OrganizationId,
        connection as SamlConnectionId,
        user as UserId
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Who may say which provider speaks for whom must not be made someone else's by one that speaks for him.
async fn is_privileged(tx: &mut Tx, account: &Account) -> Result<bool> {
    if account.is_superuser {
        return Ok(true);
    }
    let root = folders::get_root(tx).await?;
    let holder = Holder { user: account.id, scope: None };
    holder.holds(tx, &[Permission::ManageSso.codename().to_owned()], root, false).await
}

/// Makes an account.
async fn make(tx: &mut Tx, arrival: &Arrival<'_>, email: &EmailAddress, is_superuser: bool) -> Result<Account, Halt> {
    let is_verified = arrival.invitation.is_some() || arrival.is_bound(email);
    let made = users::create_by_provider(tx, email, &arrival.person.name, is_verified, is_superuser).await;
    let id = made.map_err(|error| match error {
        Error::Refused(refusal) => Refused::new(Told::NoAccount, refusal.code, refusal.detail).into(),
        error => Halt::Trouble(error),
    })?;
    identify(tx, arrival, id).await?;
    Ok(Account { id, email: email.as_str().to_owned(), is_active: true, expiry_date: None, is_superuser })
}

/// Remembers by which name the connection knows someone.
async fn identify(tx: &mut Tx, arrival: &Arrival<'_>, user: UserId) -> Result<()> {
    sqlx::query!(
        "insert into saml_identities (organization_id, connection_id, name_id, user_id, created_at, last_used_at)
         values ($1, $2, $3, $4, $5, $5)",
        tx.organization_id() as OrganizationId,
        arrival.connection_id() as SamlConnectionId,
        arrival.said.name_id.value,
        user as UserId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// By what someone came, for the audit log: whoever looks into a stolen key of a provider finds what it was used for.
pub(super) fn of(arrival: &Arrival<'_>) -> Value {
    json!({
        "by": "identity provider",
        "connection": arrival.connection.id,
        "issuer": arrival.said.issuer,
        "assertion_id": arrival.said.assertion_id,
        "certificate": arrival.said.fingerprint,
    })
}
