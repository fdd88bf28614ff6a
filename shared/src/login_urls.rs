//! Where someone signs in who knows no more than his address.
//!
//! An address of a proven e-mail domain leads to its organization, whoever asks. Any other is answered alike, known or not; who has
//! it is told by a mail, for which a worker looks later: so the answer, and the time that it takes, tell strangers nothing.

use chrono::TimeDelta;

use crate::access::{Actor, Origin};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::email_address::{EmailAddress, domain_of, key, mailbox_key};
use crate::emails::{self, Kind, NewEmail};
use crate::error::Result;
use crate::ids::{LoginUrlRequestId, OrganizationId, UserId};
use crate::outbox::{Claim, Job, Lane};
use crate::saml::{self, Next};
use crate::sessions::Door;
use crate::settings::LoginDiscovery;
use crate::tenant::Tenant;

/// Lists that an address is mailed in an hour at most: whoever asks, his mailbox stays usable.
const LISTS_AN_HOUR: i64 = 5;

/// Where a sign-in goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginUrl {
    /// In an organization.
    Organization {
        /// Its slug.
        slug: String,
        /// Whether it goes on at an identity provider.
        is_sso: bool,
    },
    /// Wherever the person says, or the mail that he gets, if he has an account.
    Manual,
}

/// Answers where an address signs in. Where that can't be told, a worker mails whoever has it the list of his organizations; what
/// happens here is the same whether anyone has it or not.
pub async fn find(door: &Door<'_>, email: &EmailAddress, origin: Origin) -> Result<LoginUrl> {
    door.limiter.login_url(email.as_str(), &origin).await?;
    match find_organization(door.db, email).await? {
        Some(slug) => {
            let ways = saml::ways_in(door.db, &slug, email.as_str(), door.platform_slug).await?;
            Ok(LoginUrl::Organization { slug, is_sso: matches!(ways.next(), Next::Provider(_)) })
        }
        None => {
            ask_for_list(door, email, origin).await?;
            Ok(LoginUrl::Manual)
        }
    }
}

/// The organization that has proven the address's domain, or that of its only account, if it lets that be told.
async fn find_organization(db: &Db, email: &EmailAddress) -> Result<Option<String>> {
    let slug = sqlx::query_scalar!(
        r#"select slug as "slug!" from (
               select slug, 0 as place from find_email_domain($1)
               union all
               select slug, 1 from (
                   select a.slug, a.login_discovery, count(*) over () as accounts from accounts_of_address($2, $3, $4) a) a
               where accounts = 1 and login_discovery = $5) found
           order by place limit 1"#,
        domain_of(email.as_str()),
        email.key(),
        mailbox_key(email.as_str()),
        db.clock().now().date_naive(),
        LoginDiscovery::Account.name()
    )
    .fetch_optional(db.pool())
    .await?;
    Ok(slug)
}

async fn ask_for_list(door: &Door<'_>, email: &EmailAddress, origin: Origin) -> Result<()> {
    // Of no organization yet, so the platform's keeps it until the worker knows whose it is.
    let keeper = sqlx::query_scalar!(
        r#"select organization_id as "id!: OrganizationId" from (
               select organization_id, 0 as place from find_organization($1)
               union all
               select organization_id, 1 from next_organizations(null, 1)) found
           order by place limit 1"#,
        door.platform_slug
    )
    .fetch_optional(door.db.pool())
    .await?;
    let Some(keeper) = keeper.map(Tenant::proven) else { return Ok(()) };
    let mut tx = door.db.begin(&keeper, Actor::Anonymous, origin.clone()).await?;
    let id: LoginUrlRequestId = tx.new_id();
    sqlx::query!(
        "insert into login_url_requests (organization_id, id, email, created_at, client_address, client_id, request_id)
         values ($1, $2, $3, $4, $5, $6, $7)",
        tx.organization_id() as OrganizationId,
        id as LoginUrlRequestId,
        email.as_str(),
        tx.now(),
        origin.client_address,
        origin.client_id,
        origin.request_id
    )
    .execute(tx.connection())
    .await?;
    tx.enqueue(Job::MailLoginUrls(id), Lane::Interactive).await?;
    tx.commit().await
}

/// Mails the list of his organizations to whoever has the address of a request, if anyone, and ends the request. Safe to run
/// twice.
pub async fn mail_list(db: &Db, claim: &Claim, id: LoginUrlRequestId) -> Result<()> {
    let mut tx = claim.begin(db).await?;
    let request = sqlx::query!(
        "delete from login_url_requests where organization_id = $1 and id = $2
         returning email, client_address, client_id, request_id",
        tx.organization_id() as OrganizationId,
        id as LoginUrlRequestId
    )
    .fetch_optional(tx.connection())
    .await?;
    // Before the transaction goes on elsewhere: it ends the job in the organization that keeps it.
    claim.finish(&mut tx).await?;
    if let Some(request) = request {
        let origin = Origin {
            request_id: request.request_id,
            client_address: request.client_address,
            client_id: request.client_id,
            user_agent: None,
        };
        tx.act_for(Actor::Anonymous, origin);
        mail_to(&mut tx, &request.email).await?;
    }
    tx.commit().await
}

async fn mail_to(tx: &mut Tx, email: &str) -> Result<()> {
    // Of the organization that has known the address for longest, and may mail it: what is recorded there, that someone asked, tells
    // it nothing of the others.
    let first = sqlx::query!(
        r#"select organization_id as "organization_id!: OrganizationId", user_id as "user_id!: UserId"
           from accounts_of_address($1, $2, $3) limit 1"#,
        key(email),
        mailbox_key(email),
        tx.now().date_naive()
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(first) = first else { return Ok(()) };
    tx.switch_to(Tenant::proven(first.organization_id)).await?;
    let user = sqlx::query!(
        r#"select u.email, coalesce(u.preferences ->> 'lang', o.locale) as "locale!"
           from users u join organizations o on o.organization_id = u.organization_id
           where u.organization_id = $1 and u.id = $2 for no key update of u"#,
        tx.organization_id() as OrganizationId,
        first.user_id as UserId
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(user) = user else { return Ok(()) };
    // Counted under the user's lock, so that requests at the same time don't each think they are the fifth.
    let recent = sqlx::query_scalar!(
        r#"select count(*) as "recent!" from email_messages
           where organization_id = $1 and user_id = $2 and kind = 'login_url' and created_at > $3"#,
        tx.organization_id() as OrganizationId,
        first.user_id as UserId,
        tx.now() - TimeDelta::hours(1)
    )
    .fetch_one(tx.connection())
    .await?;
    if recent >= LISTS_AN_HOUR {
        return Ok(());
    }
    let mail = NewEmail {
        kind: Kind::LoginUrl,
        to: &user.email,
        locale: &user.locale,
        invitation: None,
        user_id: Some(first.user_id),
        password_reset_id: None,
    };
    emails::queue(tx, mail, Lane::Interactive).await?;
    tx.audit(Event::new("login_url.requested", "user", first.user_id, &user.email)).await
}

/// Where someone can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInPlace {
    /// The organization's name.
    pub name: String,
    /// Its slug.
    pub slug: String,
}

/// Where an address can sign in as of now, for the mail to it and nobody else.
pub(crate) async fn places(tx: &mut Tx, email: &str) -> Result<Vec<SignInPlace>> {
    let places = sqlx::query_as!(
        SignInPlace,
        r#"select name as "name!", slug as "slug!" from accounts_of_address($1, $2, $3) order by lower(name), slug"#,
        key(email),
        mailbox_key(email),
        tx.now().date_naive()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(places)
}
