//! Who the caller is, for products that ask with a tenant and a client in headers.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;
use tenantry_shared::access::Oneself;
use tenantry_shared::{enterprise_bindings, users};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::enterprise_bindings::EnterpriseBindingOut;
use crate::problem::ApiResult;

pub(crate) struct Api;

/// The caller.
#[derive(Debug, Object)]
#[oai(rename = "UserInfo")]
pub(crate) struct UserInfoOut {
    /// Their number: small, and unique in the organization.
    id: i32,
    /// Their id everywhere else in this API.
    uuid: Uuid,
    /// What they sign in with, beside the address.
    username: String,
    /// Their address.
    email: String,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// Both names.
    full_name: String,
    /// Whether they are of the platform organization.
    is_staff: bool,
    /// Whether they hold every permission in the organization.
    is_superuser: bool,
    /// Whether they may sign in.
    is_active: bool,
    /// The product's own attributes.
    profile: Any<Value>,
    /// The enterprise that the organization is bound to; null where it is bound to none.
    emm: Option<EnterpriseBindingOut>,
    /// When they last signed in.
    last_login: Option<DateTime<Utc>>,
    /// Whether there is an `emm`.
    has_emm: bool,
    /// Whether mail to the address was answered.
    is_email_verified: bool,
}

#[OpenApi(tag = "super::openapi::Tags::Users")]
impl Api {
    /// Who am I, for a tenant
    ///
    /// The caller with the enterprise of the organization. `iam_current_user` tells what they may do.
    #[oai(path = "/orgs/:organization_slug/user-info", method = "get", operation_id = "get_user_info")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The slug in the path once more. Another one is 400, here and everywhere below an organization.
        #[oai(name = "X-Tenant")]
        _tenant: Header<Option<String>>,
        /// What the caller's program calls itself: kept with sessions that it begins, and in the audit log.
        #[oai(name = "X-Client-Id")]
        _client_id: Header<Option<String>>,
    ) -> ApiResult<Json<UserInfoOut>> {
        let (mut tx, by) = app.enter::<Oneself>(&caller, &organization_slug).await?;
        let user = users::current(&mut tx, &by).await?;
        let emm: Option<EnterpriseBindingOut> = enterprise_bindings::find(&mut tx, &by).await?.map(Into::into);
        tx.commit().await?;
        Ok(Json(UserInfoOut {
            id: user.number,
            uuid: user.id,
            username: user.username,
            full_name: format!("{} {}", user.first_name, user.last_name).trim().to_owned(),
            email: user.email,
            first_name: user.first_name,
            last_name: user.last_name,
            is_staff: caller.caller.organization_slug.eq_ignore_ascii_case(&app.platform_slug),
            is_superuser: user.is_superuser,
            is_active: user.is_active,
            profile: Any(user.profile),
            has_emm: emm.is_some(),
            emm,
            last_login: user.last_login,
            is_email_verified: user.is_email_verified,
        }))
    }
}
