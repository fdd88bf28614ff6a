//! From a token to a caller: the one place where a credential is resolved, of whatever kind.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::not_signed_in;
use crate::access::{Actor, Caller, Credential, Origin, Standing};
use crate::db::Db;
use crate::error::Result;
use crate::ids::{OrganizationId, PersonalAccessTokenId, SessionId, UserId};
use crate::objects::Kind;
use crate::secret::{Token, TokenKind};
use crate::tenant::Tenant;
use crate::users::User;

/// How often it is noted that a credential was used.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Resolves a token: who calls, if it lives, its owner may sign in, and the organization is there.
pub async fn authenticate(db: &Db, token: &str) -> Result<Caller> {
    let token = parse(token)?;
    let (tenant, digest, now) = (token.claimed_tenant().id(), token.digest(), db.clock().now());
    let digest = &digest;
    let ask = |pool| async move {
        sqlx::query_as!(
            Found,
            r#"select credential_id as "credential_id!", user_id as "user_id!: UserId", email as "email!",
                      is_superuser as "is_superuser!", scope, last_used_at, must_enroll as "must_enroll!", slug as "slug!"
               from caller_of($1, $2, $3)"#,
            tenant as OrganizationId,
            digest,
            now
        )
        .fetch_optional(pool)
        .await
    };
    let found = db.ask(ask).await?;
    found.ok_or_else(not_signed_in)?.caller(db, &token).await
}

/// The same, with all that the caller may know of himself: whoever asks that asks it with every request of his own.
pub async fn introduce(db: &Db, token: &str) -> Result<(Caller, User, Standing)> {
    let token = parse(token)?;
    let (tenant, digest, now) = (token.claimed_tenant().id(), token.digest(), db.clock().now());
    let digest = &digest;
    let ask = |pool| async move {
        let mut query = QueryBuilder::new("select * from introduction_of(");
        query.push_bind(tenant).push(", ").push_bind(digest).push(", ").push_bind(now).push(")");
        query.build().fetch_optional(pool).await
    };
    let row = db.ask(ask).await?.ok_or_else(not_signed_in)?;
    let caller = Found::from_row(&row)?.caller(db, &token).await?;
    let standing = Standing::read(&row, &caller)?;
    let mut user = User::from_row(&row)?;
    user.roles.extend(standing.names.ids(Kind::Role));
    user.roles.sort_unstable();
    Ok((caller, user, standing))
}

fn parse(token: &str) -> Result<Token> {
    Ok(Token::parse(token).filter(|token| token.kind() != TokenKind::Browser).ok_or_else(not_signed_in)?)
}

#[derive(sqlx::FromRow)]
struct Found {
    credential_id: Uuid,
    user_id: UserId,
    email: String,
    is_superuser: bool,
    scope: Option<Vec<String>>,
    last_used_at: Option<DateTime<Utc>>,
    must_enroll: bool,
    slug: String,
}

impl Found {
    /// Who it is. That his credential was used is noted now and then.
    async fn caller(self, db: &Db, token: &Token) -> Result<Caller> {
        let caller = Caller {
            tenant: token.claimed_tenant(),
            organization_slug: self.slug,
            user_id: self.user_id,
            credential: match token.kind() {
                TokenKind::Personal => {
                    Credential::Token { id: self.credential_id.into(), scope: self.scope.map(Arc::from) }
                }
                _ => Credential::Session(self.credential_id.into()),
            },
            email: self.email,
            is_superuser: self.is_superuser,
            must_enroll: self.must_enroll,
        };
        if self.last_used_at.is_none_or(|at| at <= db.clock().now() - NOTED_EVERY)
            && let Err(error) = note_use(db, &caller.tenant, &caller.credential).await
        {
            // Who he is, is known: that it could not be noted is not his trouble.
            tracing::warn!(%error, "the use of a credential could not be noted");
        }
        Ok(caller)
    }
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
