//! Invitations.

use chrono::{DateTime, TimeDelta, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::Value;
use tenantry_shared::Refusal;
use tenantry_shared::access::{Access, InviteUser, ViewInvitation};
use tenantry_shared::db::Tx;
use tenantry_shared::error::Check;
use tenantry_shared::invitations::{
    self, Accept, Invitation, InvitationFilter, InvitationInput, NewInvitation, ResendMany, Status,
};
use tenantry_shared::outbox::Lane;
use tenantry_shared::users::PersonName;
use uuid::Uuid;

use crate::app::App;
use crate::auth::{From, SignedIn};
use crate::emails::DeliveryStatus;
use crate::input::{Body, Input};
use crate::paging::{List, Paging};
use crate::problem::{ApiResult, Problem, ProblemBody};
use crate::reply::{Accepted, Created, Found, NoContent, Once, Turn, etag};

pub(crate) struct Api;

const BATCH: usize = 1000;

/// Where an invitation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum InvitationStatus {
    /// Can be accepted.
    Pending,
    /// Was accepted: the invitee is a user now.
    Accepted,
    /// Was declined by the invitee.
    Declined,
    /// Was taken back.
    Revoked,
    /// Its time is over.
    Expired,
}

impl InvitationStatus {
    fn shared(self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Accepted => Status::Accepted,
            Self::Declined => Status::Declined,
            Self::Revoked => Status::Revoked,
            Self::Expired => Status::Expired,
        }
    }

    fn of(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Accepted => Self::Accepted,
            Status::Declined => Self::Declined,
            Status::Revoked => Self::Revoked,
            Status::Expired => Self::Expired,
        }
    }
}

/// How the delivery of an invitation's mail stands.
#[derive(Debug, Object)]
pub(crate) struct Delivery {
    /// Whether it arrived.
    status: DeliveryStatus,
    /// How often it was tried.
    attempts: i32,
    /// The mail server's words, when it would not take it.
    last_error: Option<String>,
    /// When the mail server took it.
    sent_at: Option<DateTime<Utc>>,
}

/// An invitation.
#[derive(Debug, Object)]
#[oai(rename = "Invitation")]
pub(crate) struct InvitationOut {
    /// Its id.
    uuid: Uuid,
    /// The invitee's address, as typed.
    invitee_identifier: String,
    /// The built-in role he will hold.
    role: Option<String>,
    /// Over which folder.
    folder: Uuid,
    /// The groups he will join.
    user_groups: Vec<Uuid>,
    /// By which user; null for the first administrator of an organization, or where the inviter is gone.
    invited_by: Option<Uuid>,
    /// When it was sent, or sent again.
    sent_at: DateTime<Utc>,
    /// Until when it can be accepted.
    valid_until: DateTime<Utc>,
    /// Where it stands.
    status: InvitationStatus,
    /// How often it was sent again.
    resent_count: i32,
    /// The language of its mail.
    locale: String,
    /// A word from the inviter.
    message: Option<String>,
    /// How its mail stands.
    delivery: Delivery,
    #[oai(skip)]
    version: i64,
}

impl InvitationOut {
    fn new(invitation: Invitation, now: DateTime<Utc>) -> Self {
        Self {
            uuid: invitation.id,
            status: InvitationStatus::of(invitation.status(now)),
            invitee_identifier: invitation.invitee_identifier,
            role: invitation.role,
            folder: invitation.folder_id,
            user_groups: invitation.user_groups,
            invited_by: invitation.invited_by,
            sent_at: invitation.sent_at,
            valid_until: invitation.valid_until,
            resent_count: invitation.resent_count,
            locale: invitation.locale,
            message: invitation.message,
            delivery: Delivery {
                status: DeliveryStatus::from_name(invitation.delivery_status.as_deref().unwrap_or("queued")),
                attempts: invitation.delivery_attempts.unwrap_or(0),
                last_error: invitation.delivery_last_error,
                sent_at: invitation.delivery_sent_at,
            },
            version: invitation.version,
        }
    }
}

/// An invitation to be made. `role` or `user_groups` is needed.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct InvitationIn {
    /// The invitee's e-mail address.
    invitee_identifier: String,
    /// A built-in role: `administrator`, `domain_manager`, `analyst`, `approver`, `auditor`, `reader`.
    role: Option<String>,
    /// Over which folder; the whole organization if not given.
    folder: Option<Uuid>,
    /// Groups to join.
    #[oai(default)]
    user_groups: Vec<Uuid>,
    /// The language of the mail: `en`, `de`, `fr`; the organization's if not given.
    locale: Option<String>,
    /// A word from the inviter, at most 1000 characters.
    message: Option<String>,
    /// For how many seconds it can be accepted: 3600 to 7776000; the organization's setting if not given.
    valid_for: Option<i64>,
}

impl Input for InvitationIn {
    const READ_ONLY: &'static [&'static str] =
        &["uuid", "invited_by", "sent_at", "valid_until", "status", "resent_count", "delivery"];
}
impl Input for ResendManyIn {}
impl Input for LinkIn {}
impl Input for AcceptIn {}

impl InvitationIn {
    fn check(self) -> Result<NewInvitation, Refusal> {
        NewInvitation::check(InvitationInput {
            invitee_identifier: self.invitee_identifier,
            role: self.role,
            folder: self.folder,
            user_groups: self.user_groups,
            locale: self.locale,
            message: self.message,
            valid_for: self.valid_for,
        })
    }
}

/// What came of a batch.
#[derive(Debug, Object)]
pub(crate) struct BatchOut {
    /// One a row, in the order sent.
    results: Vec<BatchResult>,
}

/// What came of one row of a batch.
#[derive(Debug, Object)]
pub(crate) struct BatchResult {
    /// Which row, from 0.
    index: u32,
    /// The status that the row alone would have got: 201, or that of `problem`.
    status: u16,
    /// What was made.
    invitation: Option<InvitationOut>,
    /// Why nothing was made.
    problem: Option<ProblemBody>,
}

/// Which invitations to resend.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ResendManyIn {
    /// `pending`.
    status: InvitationStatus,
    /// Only those that were last sent at least so many seconds ago.
    older_than: Option<i64>,
}

/// A job that was begun; read it at `/jobs/{id}`.
#[derive(Debug, Object)]
pub(crate) struct JobRef {
    /// Its id.
    id: Uuid,
}

/// The token of a mailed link.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct LinkIn {
    /// The token.
    token: String,
}

/// What accepting takes.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct AcceptIn {
    /// The token of the link.
    token: String,
    /// At most 150 characters.
    #[oai(default)]
    first_name: String,
    /// At most 150 characters.
    #[oai(default)]
    last_name: String,
    /// 15 to 128 characters, nothing easy to guess.
    password: String,
}

/// A new user's first session.
#[derive(Object)]
pub(crate) struct AcceptOut {
    /// Send it as `Authorization: Bearer <token>`. It is shown this once.
    token: String,
    /// Until when it is good.
    expiry: DateTime<Utc>,
    /// The slug of the organization.
    organization: String,
}

/// What an invitation says to whoever holds its link.
#[derive(Debug, Object)]
pub(crate) struct PreviewOut {
    /// Who invites: the organization's name.
    organization_name: String,
    /// Its slug.
    organization: String,
    /// The inviter's name.
    inviter: Option<String>,
    /// The built-in role.
    role: Option<String>,
    /// The invitee's address.
    invitee_identifier: String,
    /// A word from the inviter.
    message: Option<String>,
    /// Until when it can be accepted.
    valid_until: DateTime<Utc>,
}

/// 201 with the first session.
#[derive(poem_openapi::ApiResponse)]
pub(crate) enum Welcome {
    /// The invitee is a user now, and signed in.
    #[oai(status = 201)]
    In(Json<AcceptOut>),
}

#[OpenApi(tag = "super::openapi::Tags::Invitations")]
impl Api {
    /// List invitations
    ///
    /// Newest first. Needs `view_invitation`. Ordered by `created_at`, `sent_at`, `valid_until` or `invitee_identifier`;
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
        tx.commit().await?;
        Ok(Json(paging.envelope_with(page, |invitation| InvitationOut::new(invitation, now))))
    }

    /// Invite someone by e-mail
    ///
    /// They can accept once, until `valid_until`. An address has one open invitation at most. Needs `invite_user`, and all
    /// that the role and the groups give.
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
        let made = InvitationOut::new(made, tx.now());
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
        // In the order of the addresses: two batches that share some then wait for each other, and never both.
        let mut rows: Vec<(u32, Value)> = (0..).zip(body.0.into_iter().map(|row| row.0)).collect();
        rows.sort_by_cached_key(|(_, row)| row["invitee_identifier"].as_str().map(str::to_lowercase));
        let mut results = Vec::with_capacity(rows.len());
        for (index, row) in rows {
            tx.savepoint().await?;
            let made = create_row(&mut tx, &by, row).await;
            tx.end_savepoint(made.is_ok()).await?;
            results.push(match made {
                Ok(invitation) => BatchResult { index, status: 201, invitation: Some(invitation), problem: None },
                Err(problem) if problem.status.is_server_error() => return Err(problem),
                Err(problem) => BatchResult {
                    index,
                    status: problem.status.as_u16(),
                    invitation: None,
                    problem: Some(problem.body(&request_id)),
                },
            });
        }
        results.sort_by_key(|result| result.index);
        let answer = BatchOut { results };
        once.remember(&mut tx, &answer).await?;
        tx.commit().await?;
        Ok(Json(answer))
    }

    /// Resend many invitations
    ///
    /// All pending ones, or those last sent a while ago: one job, to be watched at `/jobs/{id}`. An invitation resent less
    /// than a minute ago, or ten times today, counts as failed there. Needs `invite_user`.
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
    /// Needs `view_invitation`.
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
        let now = tx.now();
        let invitation = invitations::get(&mut tx, &by, uuid.0.into()).await?;
        tx.commit().await?;
        let tag = etag(invitation.version);
        Ok(Found::Object(Json(InvitationOut::new(invitation, now)), tag))
    }

    /// Resend an invitation
    ///
    /// New validity and a new link; the old link is dead. An expired one comes to life again. Needs `invite_user`.
    /// Errors: 409 when it is closed; 429 `resend_too_soon` (once a minute), `resend_limit` (ten times a day).
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
    /// Its link is dead at once; a mail not yet sent is not sent. Needs `invite_user`.
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
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<InviteUser>(&caller, &organization_slug).await?;
        invitations::revoke(&mut tx, &by, uuid.0.into()).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }

    /// What does this invitation say?
    ///
    /// For whoever holds the link. Changes nothing.
    /// Errors: 404 `link_dead`; 409 `invitation_expired`, `invitation_revoked`, `invitation_accepted`, `invitation_declined`,
    /// `invitation_superseded`.
    #[oai(path = "/invitations/preview", method = "get", operation_id = "preview_invitation")]
    async fn preview(
        &self,
        app: Data<&App>,
        /// The token of the link.
        token: Query<String>,
    ) -> ApiResult<Json<PreviewOut>> {
        let preview = invitations::preview(&app.db, &app.links, &token).await?;
        Ok(Json(PreviewOut {
            organization_name: preview.organization_name,
            organization: preview.organization_slug,
            inviter: preview.inviter,
            role: preview.role,
            invitee_identifier: preview.invitee_identifier,
            message: preview.message,
            valid_until: preview.valid_until,
        }))
    }

    /// Accept an invitation
    ///
    /// Makes the user, with the invited role and groups, and signs in. Once. Errors as `preview_invitation`; 400 for a
    /// password that is not good; 409 `already_member`.
    #[oai(path = "/invitations/accept", method = "post", operation_id = "accept_invitation")]
    async fn accept(&self, app: Data<&App>, from: From, body: Body<AcceptIn>) -> ApiResult<Welcome> {
        let AcceptIn { token, first_name, last_name, password } = body.0;
        let accept = Accept { name: PersonName::check(&first_name, &last_name)?, password: password.into() };
        let accepted = invitations::accept(&app.db, &app.links, &app.hasher, &token, accept, from.0).await?;
        Ok(Welcome::In(Json(AcceptOut {
            token: accepted.session.token.expose().to_owned(),
            expiry: accepted.session.expires_at,
            organization: accepted.organization_slug,
        })))
    }

    /// Decline an invitation
    ///
    /// The inviter is told. Errors as `preview_invitation`.
    #[oai(path = "/invitations/decline", method = "post", operation_id = "decline_invitation")]
    async fn decline(&self, app: Data<&App>, from: From, body: Body<LinkIn>) -> ApiResult<NoContent> {
        invitations::decline(&app.db, &app.links, &body.0.token, from.0).await?;
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
    let resent = InvitationOut::new(resent, tx.now());
    once.remember(&mut tx, &resent).await?;
    tx.commit().await?;
    Ok(Json(resent))
}

/// One row of a batch: read here, so that a row that can't be read spoils no other.
async fn create_row(tx: &mut Tx, by: &Access<InviteUser>, row: Value) -> Result<InvitationOut, Problem> {
    let made = invitations::create(tx, by, &InvitationIn::read(row)?.check()?, Lane::Bulk).await?;
    Ok(InvitationOut::new(made, tx.now()))
}
