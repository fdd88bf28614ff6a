//! E-mail domains that are an organization's own.

use chrono::{DateTime, Utc};
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::json;
use tenantry_shared::Refusal;
use tenantry_shared::access::{ChangeOrganization, Oneself};
use tenantry_shared::db::Tx;
use tenantry_shared::email_domains::{self, EmailDomain, Keeper, Look, NewEmailDomain, Status};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::paging::{List, Paging};
use crate::problem::{ApiResult, Problem};
use crate::reply::{Created, Found, NoContent, Once, Turn, etag, if_match};

pub(crate) struct Api;

/// How a claim stands.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum EmailDomainStatus {
    /// It is claimed.
    Pending,
    /// It is proven: sign-ins that begin with an address of it lead here.
    Verified,
}

/// By what a domain was proven.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum EmailDomainProof {
    /// Its TXT record was found.
    Dns,
    /// An operator said so.
    Operator,
}

impl EmailDomainStatus {
    fn shared(self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Verified => Status::Verified,
        }
    }
}

/// An e-mail domain that an organization claims.
#[derive(Debug, Object)]
#[oai(rename = "EmailDomain")]
pub(crate) struct EmailDomainOut {
    /// Its id.
    id: Uuid,
    /// The domain, in lower case and in ASCII (punycode).
    domain: String,
    /// How the claim stands.
    status: EmailDomainStatus,
    /// The name of the TXT record that proves it.
    txt_name: String,
    /// What the record says. It stays there: it is looked up each day.
    txt_value: String,
    /// Since when it is claimed.
    created_at: DateTime<Utc>,
    /// Since when it is proven.
    verified_at: Option<DateTime<Utc>>,
    /// By what.
    verified_by: Option<EmailDomainProof>,
    /// Since when the record of a proven domain is gone. Seven days later the domain is `pending` again.
    missing_since: Option<DateTime<Utc>>,
    /// When the record was last looked up.
    checked_at: Option<DateTime<Utc>>,
    /// Why it was not found then.
    check_error: Option<String>,
    #[oai(skip)]
    version: i64,
}

impl From<EmailDomain> for EmailDomainOut {
    fn from(domain: EmailDomain) -> Self {
        let is_verified = domain.status == Status::Verified.name();
        Self {
            id: domain.id,
            status: if is_verified { EmailDomainStatus::Verified } else { EmailDomainStatus::Pending },
            txt_name: domain.txt_name(),
            txt_value: domain.txt_value(),
            created_at: domain.created_at,
            verified_at: domain.proven_at,
            verified_by: domain.proven_by.map(|proof| match proof.as_str() {
                "dns" => EmailDomainProof::Dns,
                _ => EmailDomainProof::Operator,
            }),
            missing_since: domain.missing_since,
            checked_at: domain.checked_at,
            check_error: domain.check_error,
            version: domain.version,
            domain: domain.domain,
        }
    }
}

/// A domain to be claimed.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct EmailDomainIn {
    /// The domain: what stands behind the `@` of addresses.
    domain: String,
}

impl Input for EmailDomainIn {
    const READ_ONLY: &'static [&'static str] = &[
        "id",
        "status",
        "txt_name",
        "txt_value",
        "created_at",
        "verified_at",
        "verified_by",
        "missing_since",
        "checked_at",
        "check_error",
    ];
}

/// Begins a unit of work for whoever may look after the domains of an organization: a member of it, or an operator. An operator's
/// begins in his own organization, where his requests are remembered; what takes the proof goes on where it leads.
async fn enter(app: &App, caller: &SignedIn, slug: &str) -> ApiResult<(Tx, Keeper)> {
    let Some(operator) = app.operator(caller) else {
        let (tx, by) = app.enter::<ChangeOrganization>(caller, slug).await?;
        return Ok((tx, Keeper::Member(by)));
    };
    let keeper = Keeper::operator(&app.db, operator, &caller.caller.tenant, slug).await?;
    let (tx, _) = app.enter_own::<Oneself>(caller).await?;
    Ok((tx, keeper))
}

#[OpenApi(tag = "super::openapi::Tags::Organizations")]
impl Api {
    /// List e-mail domains
    ///
    /// What the organization claims, and what it has proven. Needs `change_organization`; operators see those of every
    /// organization. Ordered by `domain` or `created_at`; `search` looks at the domain.
    #[oai(path = "/orgs/:organization_slug/email-domains", method = "get", operation_id = "list_email_domains")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Only those that stand so.
        status: Query<Option<EmailDomainStatus>>,
    ) -> ApiResult<Json<List<EmailDomainOut>>> {
        let (mut tx, by) = enter(&app, &caller, &organization_slug).await?;
        let status = status.0.map(EmailDomainStatus::shared);
        let page = email_domains::list(&mut tx, &by, status, &paging.request).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope(page)))
    }

    /// Claim an e-mail domain
    ///
    /// Publish `txt_value` in a TXT record at `txt_name`, then ask for `verify_email_domain`, or wait: claims are looked up each day.
    /// Several organizations may claim a domain; it is proven for one at a time. Public suffixes (`co.uk`) and the domains of public
    /// mail providers are nobody's own. An organization claims 200 at most. Needs `change_organization`, or an
    /// operator. Errors: 400 `invalid_domain`, `public_suffix` or `public_provider` at `domain`; 409 `domain_claimed`,
    /// `too_many_domains`.
    #[oai(path = "/orgs/:organization_slug/email-domains", method = "post", operation_id = "create_email_domain")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<EmailDomainIn>,
    ) -> ApiResult<Created<EmailDomainOut>> {
        let (mut tx, by) = enter(&app, &caller, &organization_slug).await?;
        // An operator's keys are his, whatever the organization: so the organization belongs to what the key stands for.
        let request = json!([organization_slug.to_lowercase(), body.0.domain]);
        let operation = "create_email_domain";
        let once = match Once::begin(&mut tx, &caller.caller, operation, idempotency_key.0, &request).await? {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let new = NewEmailDomain::check(&body.0.domain)?;
        let made: EmailDomainOut = email_domains::create(&mut tx, &by, &new).await?.into();
        once.remember(&mut tx, &made).await?;
        tx.commit().await?;
        let tag = etag(made.version);
        Ok(Created::Object(Json(made), tag))
    }

    /// Read an e-mail domain
    ///
    /// Needs `change_organization`, or an operator.
    #[oai(path = "/orgs/:organization_slug/email-domains/:id", method = "get", operation_id = "get_email_domain")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Its id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<EmailDomainOut>> {
        let (mut tx, by) = enter(&app, &caller, &organization_slug).await?;
        let found = email_domains::get(&mut tx, &by, id.0.into()).await?;
        tx.commit().await?;
        Ok(answer(found))
    }

    /// Give up an e-mail domain
    ///
    /// From now on its addresses lead nowhere, and another organization can prove it. Needs `change_organization`, or an operator.
    #[oai(path = "/orgs/:organization_slug/email-domains/:id", method = "delete", operation_id = "delete_email_domain")]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Its id.
        id: Path<Uuid>,
        /// The `ETag` of the domain as you read it.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = enter(&app, &caller, &organization_slug).await?;
        email_domains::delete(&mut tx, &by, id.0.into(), if_match(if_match_header.0.as_deref())?).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }

    /// Prove an e-mail domain
    ///
    /// Looks the TXT record up now; it takes five seconds at most. An operator's request takes his word for it, and
    /// no record is looked up, now or later. Sent again, it proves the same again. Needs `change_organization`, or an operator.
    /// Errors: 409 `domain_not_proven` with what was found instead, `domain_taken` where it is proven for another organization;
    /// 429 `too_many_attempts`; 503 `dns_unavailable` where no name server answers.
    #[oai(
        path = "/orgs/:organization_slug/email-domains/:id/verify",
        method = "post",
        operation_id = "verify_email_domain"
    )]
    async fn verify(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Its id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<EmailDomainOut>> {
        let (mut tx, by) = enter(&app, &caller, &organization_slug).await?;
        if let Keeper::Operator { .. } = by {
            let proven = email_domains::prove_by_word(&mut tx, &by, id.0.into()).await?;
            tx.commit().await?;
            return Ok(answer(proven));
        }
        let claim = email_domains::get(&mut tx, &by, id.0.into()).await?;
        // A name server may take its time: no transaction waits for it.
        tx.commit().await?;
        app.limiter.domain_lookup(&caller.caller.tenant).await?;
        match app.resolver.look(&claim.txt_name(), &claim.txt_value()).await {
            Look::There => {}
            Look::Absent(words) => return Err(Refusal::conflict("domain_not_proven", words).into()),
            Look::Silent(words) => return Err(unanswered(&words)),
        }
        let (mut tx, by) = enter(&app, &caller, &organization_slug).await?;
        let proven = email_domains::prove(&mut tx, &by, &claim).await?;
        tx.commit().await?;
        Ok(answer(proven))
    }
}

fn answer(domain: EmailDomain) -> Found<EmailDomainOut> {
    let tag = etag(domain.version);
    Found::Object(Json(domain.into()), tag)
}

fn unanswered(words: &str) -> Problem {
    Problem { retry_after: Some(30), ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "dns_unavailable", words) }
}
