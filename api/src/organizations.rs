//! Organizations.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{ApiResponse, Object, OpenApi};
use tenantry_shared::access::{ChangeOrganization, Oneself};
use tenantry_shared::organizations::{
    self, Changer, NewOrganization, Operator, Organization, OrganizationFilter, RESTORABLE,
};
use tenantry_shared::{Refusal, db::Tx};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::objects::kept;
use crate::paging::{List, Paging};
use crate::problem::{ApiResult, Problem};
use crate::reply::{Created, Found, NoContent, Once, Turn, etag, if_match};

pub(crate) struct Api;

/// An organization.
#[derive(Debug, Object)]
#[oai(rename = "Organization")]
pub(crate) struct OrganizationOut {
    /// Its id.
    uuid: Uuid,
    /// Its name.
    name: String,
    /// How it is addressed. Compared without regard to case, never changed, never given out again.
    slug: String,
    /// Where its people manage their accounts.
    account_portal_url: String,
    /// When it was deleted; null where it is not.
    deleted_at: Option<DateTime<Utc>>,
    /// Until when it can be restored; null where it is not deleted.
    restorable_until: Option<DateTime<Utc>>,
    #[oai(skip)]
    version: i64,
}

impl OrganizationOut {
    fn new(organization: Organization, app: &App) -> Self {
        let account_portal_url = account_portal_url(&organization, app);
        Self {
            uuid: organization.organization_id,
            name: organization.name,
            slug: organization.slug,
            account_portal_url,
            deleted_at: organization.deleted_at,
            restorable_until: organization.deleted_at.map(|at| at + RESTORABLE),
            version: organization.version,
        }
    }
}

/// Until there is a portal, the page where people sign in.
fn account_portal_url(organization: &Organization, app: &App) -> String {
    app.public_url.join(&format!("/sign-in?organization={}", organization.slug))
}

/// 303.
#[derive(ApiResponse)]
pub(crate) enum SeeOther {
    /// It is there.
    #[oai(status = 303)]
    There(
        /// Where.
        #[oai(header = "Location")]
        String,
    ),
}

/// An organization to be made.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewOrganizationIn {
    /// Its name, 1 to 200 characters.
    name: String,
    /// How it is addressed: 1 to 200 letters, digits, hyphens and underscores. It never changes.
    slug: String,
    /// The address of its first administrator, who is invited and becomes superuser.
    admin_email: String,
    /// The language of its mails: `en`, `de`, `fr`; `en` if not given.
    locale: Option<String>,
}

impl Input for NewOrganizationIn {
    const READ_ONLY: &'static [&'static str] = &["uuid", "account_portal_url", "deleted_at", "restorable_until"];
}

/// What takes an organization's place: all that can be changed of it is its name.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct OrganizationIn {
    /// Its name, 1 to 200 characters.
    name: String,
}

/// What to change of an organization.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct OrganizationPatchIn {
    /// Its name, 1 to 200 characters.
    name: MaybeUndefined<String>,
}

/// A slug never changes.
const READ_ONLY: &[&str] = &["uuid", "slug", "account_portal_url", "deleted_at", "restorable_until"];

impl Input for OrganizationIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl Input for OrganizationPatchIn {
    const READ_ONLY: &'static [&'static str] = READ_ONLY;
}

impl App {
    /// Begins a unit of work in the platform organization for an operator, who may speak of the organization of a slug. Anyone
    /// else is refused, as far as he may know of that organization.
    pub(crate) async fn enter_as_operator(&self, caller: &SignedIn, slug: &str) -> ApiResult<(Tx, Operator)> {
        if let Some(operator) = self.operator(caller) {
            let (tx, _by) = self.enter_own::<Oneself>(caller).await?;
            return Ok((tx, operator));
        }
        if slug.eq_ignore_ascii_case(&caller.caller.organization_slug) {
            return Err(operators_only().into());
        }
        Err(Problem::not_found())
    }

    async fn change_organization(
        &self,
        caller: &SignedIn,
        slug: &str,
        name: Option<String>,
        if_match_header: Option<&str>,
    ) -> ApiResult<Found<OrganizationOut>> {
        let is_own = slug.eq_ignore_ascii_case(&caller.caller.organization_slug);
        let if_version = if_match(if_match_header);
        let (tx, changed) = if is_own {
            let (mut tx, by) = self.enter_own::<ChangeOrganization>(caller).await?;
            let by = Changer::Member(&by);
            let changed = organizations::change(&mut tx, by, slug, name.as_deref(), if_version?).await?;
            (tx, changed)
        } else {
            let (mut tx, operator) = self.enter_as_operator(caller, slug).await?;
            let by = Changer::Operator(&operator);
            let changed = organizations::change(&mut tx, by, slug, name.as_deref(), if_version?).await?;
            (tx, changed)
        };
        tx.commit().await?;
        let tag = etag(changed.version);
        Ok(Found::Object(Json(OrganizationOut::new(changed, self)), tag))
    }
}

fn operators_only() -> Refusal {
    Refusal::forbidden("operators_only", "Only superusers of the platform organization may do this.")
}

#[OpenApi(tag = "super::openapi::Tags::Organizations")]
impl Api {
    /// List organizations
    ///
    /// Operators, the superusers of the platform organization, see all of them; anyone else sees his own.
    /// Ordered by `slug`, `name` or `created_at`.
    #[oai(path = "/orgs", method = "get", operation_id = "list_organizations")]
    #[expect(clippy::too_many_arguments, reason = "a handler's arguments are its parameters")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// Only this id.
        id: Query<Option<Uuid>>,
        /// Only this id.
        uuid: Query<Option<Uuid>>,
        /// Only of this name.
        name: Query<Option<String>>,
        /// Only of this slug.
        slug: Query<Option<String>>,
        /// In place of organizations that are there, those that were deleted and can be restored: for operators.
        deleted: Query<Option<bool>>,
    ) -> ApiResult<Json<List<OrganizationOut>>> {
        let (mut tx, _by) = app.enter_own::<Oneself>(&caller).await?;
        let ids: Vec<Uuid> = id.0.into_iter().chain(uuid.0).collect();
        let filter = OrganizationFilter {
            ids: (!ids.is_empty()).then_some(ids),
            name: name.0,
            slug: slug.0,
            is_deleted: deleted.0.unwrap_or(false),
        };
        let page = organizations::list(&mut tx, app.operator(&caller).as_ref(), &filter, &paging.request).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope_with(page, |organization| OrganizationOut::new(organization, &app))))
    }

    /// Make an organization
    ///
    /// For operators. Its first administrator, `admin_email`, is invited and becomes superuser.
    /// Errors: 403 `operators_only`; 409 `slug_taken`, also for the slug of an organization that is gone.
    #[oai(path = "/orgs", method = "post", operation_id = "create_organization")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewOrganizationIn>,
    ) -> ApiResult<Created<OrganizationOut>> {
        let Some(operator) = app.operator(&caller) else {
            return Err(operators_only().into());
        };
        let (mut tx, by) = app.enter_own::<Oneself>(&caller).await?;
        let once = match Once::begin(&mut tx, by.caller(), "create_organization", idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let new =
            NewOrganization::check(&body.0.name, &body.0.slug, body.0.locale.as_deref(), Some(&body.0.admin_email))?;
        let made = OrganizationOut::new(organizations::create(&mut tx, &operator, &new).await?, &app);
        once.remember(&mut tx, &made).await?;
        tx.commit().await?;
        let tag = etag(made.version);
        Ok(Created::Object(Json(made), tag))
    }

    /// Read an organization
    ///
    /// One's own; operators read every one.
    #[oai(path = "/orgs/:organization_slug", method = "get", operation_id = "get_organization")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug, whatever its case.
        organization_slug: Path<String>,
    ) -> ApiResult<Found<OrganizationOut>> {
        let (mut tx, _by) = app.enter_own::<Oneself>(&caller).await?;
        let found = organizations::get(&mut tx, app.operator(&caller).as_ref(), &organization_slug).await?;
        tx.commit().await?;
        let tag = etag(found.version);
        Ok(Found::Object(Json(OrganizationOut::new(found, &app)), tag))
    }

    /// Replace an organization
    ///
    /// Its name; a slug never changes. For operators, and for whoever holds `change_organization` in it.
    #[oai(path = "/orgs/:organization_slug", method = "put", operation_id = "replace_organization")]
    async fn replace(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug, whatever its case.
        organization_slug: Path<String>,
        /// The `ETag` of the organization as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<OrganizationIn>,
    ) -> ApiResult<Found<OrganizationOut>> {
        app.change_organization(&caller, &organization_slug, Some(body.0.name), if_match.0.as_deref()).await
    }

    /// Change an organization
    ///
    /// Its name; a slug never changes. For operators, and for whoever holds `change_organization` in it. What else an
    /// organization decides is in its settings.
    #[oai(path = "/orgs/:organization_slug", method = "patch", operation_id = "change_organization")]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug, whatever its case.
        organization_slug: Path<String>,
        /// The `ETag` of the organization as you read it.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<OrganizationPatchIn>,
    ) -> ApiResult<Found<OrganizationOut>> {
        let name = kept("name", body.0.name)?;
        app.change_organization(&caller, &organization_slug, name, if_match.0.as_deref()).await
    }

    /// Delete an organization
    ///
    /// For operators. Its sessions, tokens, links and invitations are dead at once, mails that wait are not sent, and
    /// nobody can sign in. For 30 days it can be restored; then all of it is deleted for good. Its slug is never given out again.
    /// Errors: 403 `operators_only`; 409 `platform_organization`.
    #[oai(path = "/orgs/:organization_slug", method = "delete", operation_id = "delete_organization")]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug, whatever its case.
        organization_slug: Path<String>,
        /// The `ETag` of the organization as you read it.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        let (mut tx, operator) = app.enter_as_operator(&caller, &organization_slug).await?;
        let if_version = if_match(if_match_header.0.as_deref())?;
        organizations::delete(&mut tx, &operator, &organization_slug, if_version).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }

    /// Restore a deleted organization
    ///
    /// For operators, within 30 days. Its users are back with their passwords; sessions, tokens, links and invitations stay dead.
    /// `list_organizations` with `deleted=true` shows what can be restored. Errors: 403 `operators_only`; 409 `not_deleted`.
    #[oai(path = "/orgs/:organization_slug/restore", method = "post", operation_id = "restore_organization")]
    async fn restore(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug, whatever its case.
        organization_slug: Path<String>,
    ) -> ApiResult<Found<OrganizationOut>> {
        let (mut tx, operator) = app.enter_as_operator(&caller, &organization_slug).await?;
        let restored = organizations::restore(&mut tx, &operator, &organization_slug).await?;
        tx.commit().await?;
        let tag = etag(restored.version);
        Ok(Found::Object(Json(OrganizationOut::new(restored, &app)), tag))
    }

    /// Go to the account portal
    ///
    /// 303 to the `account_portal_url` of the organization, where its people manage their accounts.
    #[oai(path = "/orgs/:organization_slug/portal", method = "get", operation_id = "go_to_portal")]
    async fn portal(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<SeeOther> {
        let (mut tx, _by) = app.enter::<Oneself>(&caller, &organization_slug).await?;
        let found = organizations::get(&mut tx, None, &organization_slug).await?;
        tx.commit().await?;
        Ok(SeeOther::There(account_portal_url(&found, &app)))
    }
}
