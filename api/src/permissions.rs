//! What a role can allow, and who may do what where.

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::access::{self, Oneself, Permission, Question, Verdict};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::problem::ApiResult;

pub(crate) struct Api;

/// Something that a role can allow.
#[derive(Debug, Object)]
#[oai(rename = "Permission")]
pub(crate) struct PermissionOut {
    /// Its code name. It never changes.
    codename: String,
    /// It in a few words.
    name: String,
    /// It in a sentence.
    description: String,
}

/// All that a role can allow.
#[derive(Debug, Object)]
#[oai(rename = "Permissions")]
pub(crate) struct PermissionsOut {
    /// How many there are.
    count: usize,
    /// All of them, always in the same order.
    results: Vec<PermissionOut>,
}

impl From<Permission> for PermissionOut {
    fn from(permission: Permission) -> Self {
        Self {
            codename: permission.codename().to_owned(),
            name: permission.title().to_owned(),
            description: permission.description().to_owned(),
        }
    }
}

/// May this one do that there?
#[derive(Clone, Debug, Object)]
#[oai(rename = "PermissionCheckIn", deny_unknown_fields)]
pub(crate) struct CheckIn {
    /// Who: a user that you may see; you, if not given.
    user: Option<Uuid>,
    /// What: a code name of those that `list_permissions` shows.
    permission: String,
    /// Where: a folder that you may see. If not given, the root, over which the least is held.
    folder: Option<Uuid>,
}

/// Questions.
#[derive(Clone, Debug, Object)]
#[oai(rename = "PermissionChecksIn", deny_unknown_fields)]
pub(crate) struct ChecksIn {
    /// Up to 100.
    checks: Vec<CheckIn>,
}

impl Input for ChecksIn {}

/// The answer to one question.
#[derive(Debug, Object)]
#[oai(rename = "PermissionVerdict")]
pub(crate) struct VerdictOut {
    /// Whether he may, as of now.
    allowed: bool,
    /// Ids of the role assignments that allow it, of those that you may see; of yours, all. A superuser needs none.
    reason: Vec<Uuid>,
}

/// The answers.
#[derive(Debug, Object)]
#[oai(rename = "PermissionVerdicts")]
pub(crate) struct VerdictsOut {
    /// One for each question, in their order.
    results: Vec<VerdictOut>,
}

impl From<CheckIn> for Question {
    fn from(check: CheckIn) -> Self {
        Self { user: check.user, permission: check.permission, folder: check.folder }
    }
}

impl From<Verdict> for VerdictOut {
    fn from(verdict: Verdict) -> Self {
        Self { allowed: verdict.allowed, reason: verdict.reason }
    }
}

#[OpenApi(tag = "super::openapi::Tags::Permissions")]
impl Api {
    /// See what roles can allow
    ///
    /// All there is, at once: it is the same for everyone, and takes no paging. For everyone who is signed in.
    #[oai(path = "/orgs/:organization_slug/permissions", method = "get", operation_id = "list_permissions")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<PermissionsOut>> {
        app.enter::<Oneself>(&caller, &organization_slug).await?;
        let results: Vec<PermissionOut> = Permission::ALL.iter().map(|permission| (*permission).into()).collect();
        Ok(Json(PermissionsOut { count: results.len(), results }))
    }

    /// Ask who may do what where
    ///
    /// About yourself: what you may do with the credential that you ask with. About another user: what he may do at all; whoever
    /// is inactive or expired may do nothing. A permission that is about the organization as a whole counts only where it is held
    /// over the root, whatever `folder` says. One question that makes no sense is 400 for all, and `errors` names it, such as
    /// `checks[3].user`. For everyone who is signed in.
    #[oai(path = "/orgs/:organization_slug/permissions/check", method = "post", operation_id = "check_permissions")]
    async fn check(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        body: Body<ChecksIn>,
    ) -> ApiResult<Json<VerdictsOut>> {
        let (mut tx, by) = app.enter::<Oneself>(&caller, &organization_slug).await?;
        let questions: Vec<Question> = body.0.checks.into_iter().map(Question::from).collect();
        let verdicts = access::check(&mut tx, &by, &questions).await?;
        tx.commit().await?;
        Ok(Json(VerdictsOut { results: verdicts.into_iter().map(VerdictOut::from).collect() }))
    }
}
