//! What an organization is to its enterprise's mobility management.

use poem::web::Data;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Object, OpenApi};
use serde_json::{Value, json};
use tenantry_shared::access::ChangeOrganization;
use tenantry_shared::enterprise_bindings::{self, EnterpriseBinding, NewEnterpriseBinding};

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::problem::ApiResult;
use crate::reply::{Found, NoContent, etag, if_match};

pub(crate) struct Api;

/// The enterprise that an organization belongs to, for all of its users alike.
#[derive(Debug, Object)]
#[oai(rename = "EnterpriseBinding")]
pub(crate) struct EnterpriseBindingOut {
    /// Its id there, opaque to us.
    id: String,
    /// Its name.
    name: String,
    /// What else there is to know: a JSON object.
    data: Any<Value>,
}

impl From<EnterpriseBinding> for EnterpriseBindingOut {
    fn from(binding: EnterpriseBinding) -> Self {
        Self { id: binding.id, name: binding.name, data: Any(binding.data) }
    }
}

/// An enterprise to be bound to.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct EnterpriseBindingIn {
    /// Its id there, opaque to us: 1 to 200 characters.
    id: String,
    /// Its name, 1 to 200 characters.
    name: String,
    /// What else there is to know: a JSON object of at most 4 KiB; empty if not given.
    data: Option<Any<Value>>,
}

impl Input for EnterpriseBindingIn {}

impl Found<EnterpriseBindingOut> {
    fn of(binding: EnterpriseBinding) -> Self {
        let tag = etag(binding.version);
        Self::Object(Json(binding.into()), tag)
    }
}

#[OpenApi(tag = "super::openapi::Tags::Organizations")]
impl Api {
    /// Read the enterprise binding
    ///
    /// Needs `change_organization`; what every user may know of it is in `get_user_info`. 404 where there is none.
    #[oai(
        path = "/orgs/:organization_slug/enterprise-binding",
        method = "get",
        operation_id = "get_enterprise_binding"
    )]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Found<EnterpriseBindingOut>> {
        let (mut tx, by) = app.enter::<ChangeOrganization>(&caller, &organization_slug).await?;
        let binding = enterprise_bindings::get(&mut tx, &by).await?;
        tx.commit().await?;
        Ok(Found::of(binding))
    }

    /// Bind the organization to an enterprise
    ///
    /// In place of the one that it is bound to, if it is. Needs `change_organization`.
    #[oai(
        path = "/orgs/:organization_slug/enterprise-binding",
        method = "put",
        operation_id = "put_enterprise_binding"
    )]
    async fn put(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The `ETag` of the binding as you read it.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
        body: Body<EnterpriseBindingIn>,
    ) -> ApiResult<Found<EnterpriseBindingOut>> {
        let (mut tx, by) = app.enter::<ChangeOrganization>(&caller, &organization_slug).await?;
        let EnterpriseBindingIn { id, name, data } = body.0;
        let data = data.map_or_else(|| json!({}), |Any(data)| data);
        let new = NewEnterpriseBinding::check(&id, &name, data)?;
        let version = if_match(if_match_header.0.as_deref())?;
        let binding = enterprise_bindings::put(&mut tx, &by, &new, version).await?;
        tx.commit().await?;
        Ok(Found::of(binding))
    }

    /// Unbind the organization from its enterprise
    ///
    /// Needs `change_organization`. 404 where it is not bound.
    #[oai(
        path = "/orgs/:organization_slug/enterprise-binding",
        method = "delete",
        operation_id = "delete_enterprise_binding"
    )]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The `ETag` of the binding as you read it.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<ChangeOrganization>(&caller, &organization_slug).await?;
        let version = if_match(if_match_header.0.as_deref())?;
        enterprise_bindings::delete(&mut tx, &by, version).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }
}
