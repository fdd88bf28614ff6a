//! Invitations, for those who invite; `invitees.rs` for those who are.

pub(crate) mod invitees;
mod wire;

use chrono::TimeDelta;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use serde_json::Value;
use tenantry_shared::Refusal;
use tenantry_shared::access::{Access, InviteUser, ViewInvitation};
use tenantry_shared::db::Tx;
use tenantry_shared::error::Check;
use tenantry_shared::invitations::{self, Invitation, InvitationFilter, ResendMany};
use tenantry_shared::objects::{Names, Wanted, resolve};
use tenantry_shared::outbox::Lane;
use uuid::Uuid;

use self::wire::{BatchOut, BatchResult, InvitationIn, InvitationOut, InvitationStatus, JobRef, ResendManyIn};
use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Accepted, Created, Found, NoContent, Once, Turn, etag, if_match};

pub(crate) struct Api;

/// Rows of a batch at most.
const BATCH: usize = 1000;

#[OpenApi(tag = "crate::openapi::Tags::Invitations")]
impl Api {
    /// List invitations
    ///
    /// Those into folders over which you hold `view_invitation`, newest first. Ordered by `created_at`, `sent_at`, `valid_until` or `invitee_identifier`;
    /// `search` looks at the address.
    #[oai(path = "/orgs/:organization_slug/invitations", method = "get", operation_id = "list_invitations")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Only those that stand so.
        status: Query<Option<InvitationStatus>>,
        /// Only to this role.
        role: Query<Option<String>>,
    ) -> ApiResult<Json<List<InvitationOut>>> {
        let (mut tx, by) = app.enter::<ViewInvitation>(&caller, &organization_slug).await?;
        let now = tx.now();
        let filter = InvitationFilter { status: status.0.map(InvitationStatus::shared), role: role.0 };
        let page = invitations::list(&mut tx, &by, &filter, &paging.request).await?;
        let names = names_of(&mut tx, &by, &page.results).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope_with(page, |invitation| InvitationOut::new(invitation, &names, now))))
    }

    /// Invite someone by e-mail
    ///
    /// They can accept once, until `valid_until`. An address has one open invitation at most. Needs `invite_user` over the
    /// folder and over those of the groups, all that the role and the groups give, and `change_team` over the teams.
    /// Errors: 403 `cannot_grant`; 409 `invitation_open`, `already_member`.
    #[oai(path = "/orgs/:organization_slug/invitations", method = "post", operation_id = "create_invitation")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<InvitationIn>,
    ) -> ApiResult<Created<InvitationOut>> {
        let (mut tx, by) = app.enter::<InviteUser>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), "create_invitation", idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let made = invitations::create(&mut tx, &by, &body.0.check()?, Lane::Interactive).await?;
        let made = shown(&mut tx, &by, made).await?;
        once.remember(&mut tx, &made).await?;
        tx.commit().await?;
        let tag = etag(made.version);
        Ok(Created::Object(Json(made), tag))
    }

    /// Invite many people
    ///
    /// Up to 1000. Each row gets the answer it would get alone; one row's error spoils no other. Needs `invite_user`.
    #[oai(path = "/orgs/:organization_slug/invitations/batch", method = "post", operation_id = "create_invitations")]
    async fn create_batch(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<Vec<Any<Value>>>,
    ) -> ApiResult<Json<BatchOut>> {
        let (mut tx, by) = app.enter::<InviteUser>(&caller, &organization_slug).await?;
        if body.is_empty() || body.len() > BATCH {
            return Err(
                Refusal::invalid_field("body", "out_of_range", format!("A batch has 1 to {BATCH} rows.")).into()
            );
        }
        let once = match Once::begin(&mut tx, by.caller(), "create_invitations", idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Json(first)),
            Turn::First(once) => once,
        };
        let request_id = caller.origin.request_id.clone().unwrap_or_default();
        // Read here one by one, so that a row that can't be read spoils no other.
        let mut refused = Vec::new();
        let (mut indexes, mut rows) = (Vec::new(), Vec::new());
        for (index, row) in (0..).zip(body.0) {
            match InvitationIn::read(row.0).and_then(|row| Ok(row.check()?)) {
                Ok(row) => {
                    indexes.push(index);
                    rows.push(row);
                }
                Err(problem) => refused.push((index, problem)),
            }
        }
        let mut made = Vec::with_capacity(rows.len());
        for (index, outcome) in indexes.into_iter().zip(invitations::create_all(&mut tx, &by, &rows, Lane::Bulk).await?)
        {
            match outcome {
                Ok(invitation) => made.push((index, invitation)),
                Err(refusal) => refused.push((index, refusal.into())),
            }
        }
        let names = names_of(&mut tx, &by, made.iter().map(|(_, invitation)| invitation)).await?;
        let now = tx.now();
        let made = made.into_iter().map(|(index, invitation)| BatchResult {
            index,
            status: 201,
            invitation: Some(InvitationOut::new(invitation, &names, now)),
            problem: None,
        });
        let refused = refused.into_iter().map(|(index, problem)| BatchResult {
            index,
            status: problem.status.as_u16(),
            invitation: None,
            problem: Some(problem.body(&request_id)),
        });
        let mut results: Vec<BatchResult> = made.chain(refused).collect();
        results.sort_by_key(|result| result.index);
        let answer = BatchOut { results };
        once.remember(&mut tx, &answer).await?;
        tx.commit().await?;
        Ok(Json(answer))
    }

    /// Resend many invitations
    ///
    /// All pending ones into folders over which you hold `invite_user`, or those last sent a while ago: one job, to be watched at `/jobs/{id}`. An invitation resent less
    /// than a minute ago, or ten times today, counts as failed there.
    #[oai(path = "/orgs/:organization_slug/invitations/resend", method = "post", operation_id = "resend_invitations")]
    async fn resend_many(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<ResendManyIn>,
    ) -> ApiResult<Accepted<JobRef>> {
        let (mut tx, by) = app.enter::<InviteUser>(&caller, &organization_slug).await?;
        let mut check = Check::default();
        check.that(
            body.0.status == InvitationStatus::Pending,
            "status",
            "not_resendable",
            "Only pending invitations can be resent.",
        );
        let in_range = body.0.older_than.is_none_or(|seconds| (0..=7_776_000).contains(&seconds));
        check.that(in_range, "older_than", "out_of_range", "older_than is 0 to 7776000 seconds.");
        check.done()?;
        let once = match Once::begin(&mut tx, by.caller(), "resend_invitations", idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Accepted::Later(Json(first))),
            Turn::First(once) => once,
        };
        let which = ResendMany { older_than: body.0.older_than.map(TimeDelta::seconds) };
        let job = JobRef { id: invitations::resend_many(&mut tx, &by, which).await?.into() };
        once.remember(&mut tx, &job).await?;
        tx.commit().await?;
        Ok(Accepted::Later(Json(job)))
    }

    /// Read an invitation
    ///
    /// Needs `view_invitation` over its folder. What it names and you may not see is `{}`, or left out of its list.
    #[oai(path = "/orgs/:organization_slug/invitations/:uuid", method = "get", operation_id = "get_invitation")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The invitation's id.
        uuid: Path<Uuid>,
    ) -> ApiResult<Found<InvitationOut>> {
        let (mut tx, by) = app.enter::<ViewInvitation>(&caller, &organization_slug).await?;
        let invitation = invitations::get(&mut tx, &by, uuid.0.into()).await?;
        let invitation = shown(&mut tx, &by, invitation).await?;
        tx.commit().await?;
        let tag = etag(invitation.version);
        Ok(Found::Object(Json(invitation), tag))
    }

    /// Resend an invitation
    ///
    /// New validity and a new link; the old link is dead. An expired one comes to life again. Needs `invite_user`
    /// over its folder, and all that it takes to invite anew. Errors: 403 `cannot_grant`; 409 when it is closed; 429 `resend_too_soon` (once a minute), `resend_limit` (ten times a day).
    #[oai(
        path = "/orgs/:organization_slug/invitations/:uuid/resend",
        method = "post",
        operation_id = "resend_invitation"
    )]
    async fn resend(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The invitation's id.
        uuid: Path<Uuid>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> ApiResult<Json<InvitationOut>> {
        resend_one(&app, &caller, &organization_slug, uuid.0, idempotency_key.0).await
    }

    /// Resend an invitation (as `…/resend`)
    ///
    /// The same as `resend_invitation`, at the invitation's own address. A body is ignored.
    #[oai(
        path = "/orgs/:organization_slug/invitations/:uuid",
        method = "post",
        operation_id = "resend_invitation_in_place"
    )]
    async fn resend_in_place(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The invitation's id.
        uuid: Path<Uuid>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> ApiResult<Json<InvitationOut>> {
        resend_one(&app, &caller, &organization_slug, uuid.0, idempotency_key.0).await
    }

    /// Revoke an invitation
    ///
    /// Its link is dead at once; a mail not yet sent is not sent. Needs `invite_user` over its folder.
    /// Errors: 409 `invitation_accepted`, `invitation_declined`.
    #[oai(path = "/orgs/:organization_slug/invitations/:uuid", method = "delete", operation_id = "revoke_invitation")]
    async fn revoke(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The invitation's id.
        uuid: Path<Uuid>,
        /// The `ETag` of the invitation as you read it.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<InviteUser>(&caller, &organization_slug).await?;
        invitations::revoke(&mut tx, &by, uuid.0.into(), if_match(if_match_header.0.as_deref())?).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }
}

async fn resend_one(
    app: &App,
    caller: &SignedIn,
    slug: &str,
    uuid: Uuid,
    key: Option<String>,
) -> ApiResult<Json<InvitationOut>> {
    let (mut tx, by) = app.enter::<InviteUser>(caller, slug).await?;
    let once = match Once::begin(&mut tx, by.caller(), "resend_invitation", key, &uuid).await? {
        Turn::Again(first) => return Ok(Json(first)),
        Turn::First(once) => once,
    };
    let resent = invitations::resend(&mut tx, &by, uuid.into()).await?;
    let resent = shown(&mut tx, &by, resent).await?;
    once.remember(&mut tx, &resent).await?;
    tx.commit().await?;
    Ok(Json(resent))
}

/// The names of what invitations name, as far as the caller may see it: one query for each kind of object.
async fn names_of<P>(
    tx: &mut Tx,
    by: &Access<P>,
    invitations: impl IntoIterator<Item = &Invitation>,
) -> ApiResult<Names> {
    let mut wanted = Wanted::default();
    for invitation in invitations {
        invitation.want(&mut wanted);
    }
    Ok(resolve(tx, by.caller(), wanted).await?)
}

async fn shown<P>(tx: &mut Tx, by: &Access<P>, invitation: Invitation) -> ApiResult<InvitationOut> {
    let names = names_of(tx, by, [&invitation]).await?;
    Ok(InvitationOut::new(invitation, &names, tx.now()))
}
