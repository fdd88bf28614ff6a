//! Long-running jobs.

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use tenantry_shared::access::InviteUser;
use tenantry_shared::jobs;
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::problem::ApiResult;

pub(crate) struct Api;

/// How far a job is.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum JobStatus {
    /// Not begun.
    Queued,
    /// Under way.
    Running,
    /// Done; `failed` tells of how many objects it could not do it.
    Finished,
    /// Given up.
    Failed,
}

/// A long-running job.
#[derive(Debug, Object)]
#[oai(rename = "Job")]
pub(crate) struct JobOut {
    /// Its id.
    id: Uuid,
    /// How far it is.
    status: JobStatus,
    /// How many objects it is about.
    total: i32,
    /// How many are done.
    done: i32,
    /// How many could not be done.
    failed: i32,
}

impl From<jobs::Job> for JobOut {
    fn from(job: jobs::Job) -> Self {
        let status = match job.status.as_str() {
            "queued" => JobStatus::Queued,
            "running" => JobStatus::Running,
            "finished" => JobStatus::Finished,
            _ => JobStatus::Failed,
        };
        Self { id: job.id, status, total: job.total, done: job.done, failed: job.failed }
    }
}

#[OpenApi(tag = "super::openapi::Tags::Jobs")]
impl Api {
    /// Read a job
    ///
    /// One that you asked for; with `invite_user` over all folders, any.
    #[oai(path = "/orgs/:organization_slug/jobs/:id", method = "get", operation_id = "get_job")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The job's id.
        id: Path<Uuid>,
    ) -> ApiResult<Json<JobOut>> {
        let (mut tx, by) = app.enter::<InviteUser>(&caller, &organization_slug).await?;
        let job = jobs::get(&mut tx, &by, id.0.into()).await?;
        tx.commit().await?;
        Ok(Json(job.into()))
    }
}
