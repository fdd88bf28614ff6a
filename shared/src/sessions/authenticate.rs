//! From a token to a caller: the one place where a credential is resolved, of whatever kind.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::not_signed_in;
use crate::access::{Actor, Caller, Credential, Origin};
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::ids::{OrganizationId, PersonalAccessTokenId, SessionId, UserId};
use crate::secret::{Token, TokenKind};
use crate::tenant::Tenant;

/// How often it is noted that a credential was used.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Resolves a token: who calls, if it lives, its owner may sign in, and the organization is there. With him comes the unit of
/// work for what he reads: the one in which that was found, unless there was something to note between.
pub async fn authenticate(db: &Db, token: &str, origin: Origin) -> Result<(Caller, Tx)> {
    let token = Token::parse(token).filter(|token| token.kind() != TokenKind::Browser).ok_or_else(not_signed_in)?;
    let tenant = token.claimed_tenant();
    let mut tx = db.look(&tenant, Actor::Anonymous, origin.clone()).await?;
    let row = find(&mut tx, &token).await?.ok_or_else(not_signed_in)?;
    let credential = match token.kind() {
        TokenKind::Personal => Credential::Token { id: row.id.into(), scope: row.permissions.map(Arc::from) },
        _ => Credential::Session(row.id.into()),
    };
    if row.last_used_at.is_none_or(|at| at <= tx.now() - NOTED_EVERY) {
        // Nobody who has a connection waits for another.
        drop(tx);
        if let Err(error) = note_use(db, &tenant, &credential).await {
            // Who he is, is known: that it could not be noted is not his trouble.
            tracing::warn!(%error, "the use of a credential could not be noted");
        }
        tx = db.look(&tenant, Actor::Anonymous, origin.clone()).await?;
    }
    let caller = Caller {
        tenant,
        organization_slug: row.slug,
        user_id: row.user_id,
        credential,
        email: row.email,
        is_superuser: row.is_superuser,
        must_enroll: row.must_enroll,
    };
    tx.act_as(caller.actor());
    Ok((caller, tx))
}

struct Found {
    id: Uuid,
    user_id: UserId,
    permissions: Option<Vec<String>>,
    last_used_at: Option<DateTime<Utc>>,
    email: String,
    is_superuser: bool,
    must_enroll: bool,
    slug: String,
}

async fn find(tx: &mut Tx, token: &Token) -> Result<Option<Found>> {
    let found = sqlx::query_as!(
        Found,
        r#"select c.id as "id!", c.user_id as "user_id!: UserId", c.permissions, c.last_used_at, u.email, u.is_superuser, o.slug,
                  (o.mfa_required and not c.is_by_sso and not exists (select from totp_secrets t
                      where t.organization_id = $1 and t.user_id = u.id and t.confirmed_at is not null)) as "must_enroll!"
           from (select s.organization_id, s.id, s.user_id, null::text[] as permissions, s.last_seen_at as last_used_at,
                        s.saml_connection_id is not null as is_by_sso
                 from sessions s where s.organization_id = $1 and s.token_digest = $2 and s.expires_at > $3
                 union all
                 select t.organization_id, t.id, t.user_id, t.permissions, t.last_used_at,
                        exists (select from saml_identities i
                                join saml_connections m on m.organization_id = i.organization_id and m.id = i.connection_id
                                where i.organization_id = $1 and i.user_id = t.user_id and m.is_active)
                 from personal_access_tokens t
                 where t.organization_id = $1 and t.token_digest = $2 and t.expires_at > $3) c
           join users u on u.organization_id = $1 and u.id = c.user_id
           join organizations o on o.organization_id = $1
           where u.is_active and (u.expiry_date is null or u.expiry_date >= $4) and o.deleted_at is null"#,
        tx.organization_id() as OrganizationId,
        token.digest(),
        tx.now(),
        tx.now().date_naive()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found)
}

/// Notes that a credential is used now. Of many requests at once one does it; none waits for another, or for whoever is
/// just ending the credential.
async fn note_use(db: &Db, tenant: &Tenant, credential: &Credential) -> Result<()> {
    let mut tx = db.begin(tenant, Actor::Anonymous, Origin::default()).await?;
    let before = tx.now() - NOTED_EVERY;
    match credential {
        Credential::Session(id) => sqlx::query!(
            "with due as (
                 select id from sessions
                 where organization_id = $1 and id = $2 and (last_seen_at is null or last_seen_at <= $4)
                 for no key update skip locked)
             update sessions s set last_seen_at = $3 from due
             where s.organization_id = $1 and s.id = due.id",
            tx.organization_id() as OrganizationId,
            *id as SessionId,
            tx.now(),
            before
        ),
        Credential::Token { id, .. } => sqlx::query!(
            "with due as (
                 select id from personal_access_tokens
                 where organization_id = $1 and id = $2 and (last_used_at is null or last_used_at <= $4)
                 for no key update skip locked)
             update personal_access_tokens t set last_used_at = $3 from due
             where t.organization_id = $1 and t.id = due.id",
            tx.organization_id() as OrganizationId,
            *id as PersonalAccessTokenId,
            tx.now(),
            before
        ),
    }
    .execute(tx.connection())
    .await?;
    tx.commit().await
}
