//! Organizations.

use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::access::Oneself;
use tenantry_shared::organizations::{self, NewOrganization, OrganizationFilter};
use tenantry_shared::{Refusal, organizations::Organization};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Created, Found, Once, Turn, etag};

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
    #[oai(skip)]
    version: i64,
}

impl OrganizationOut {
    fn new(organization: Organization, app: &App) -> Self {
        let account_portal_url = app.public_url.join(&format!("/sign-in?organization={}", organization.slug));
        Self {
            uuid: organization.organization_id,
            name: organization.name,
            slug: organization.slug,
            account_portal_url,
            version: organization.version,
        }
    }
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
    const READ_ONLY: &'static [&'static str] = &["uuid", "account_portal_url"];
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
    ) -> ApiResult<Json<List<OrganizationOut>>> {
        let (mut tx, _by) = app.enter_own::<Oneself>(&caller).await?;
        let ids: Vec<Uuid> = id.0.into_iter().chain(uuid.0).collect();
        let filter = OrganizationFilter { ids: (!ids.is_empty()).then_some(ids), name: name.0, slug: slug.0 };
        let page = organizations::list(&mut tx, app.operator(&caller).as_ref(), &filter, &paging.request).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope_with(page, |organization| OrganizationOut::new(organization, &app))))
    }

    /// Make an organization
    ///
    /// For operators. Its first administrator, `admin_email`, is invited and becomes superuser.
    /// Errors: 409 `slug_taken`, also for the slug of an organization that is gone.
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
            return Err(Refusal::forbidden(
                "operators_only",
                "Only superusers of the platform organization make organizations.",
            )
            .into());
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
}
