//! Health, for whatever watches the process.

use std::time::Duration;

use poem::http::{HeaderValue, StatusCode, header};
use poem::web::{Data, Json};
use poem::{Endpoint, IntoResponse, Response, get, handler};
use serde_json::json;
use tenantry_shared::db::Unready;
use tokio::time::timeout;

use crate::app::App;

/// `GET /livez`: the process runs. It asks nobody else.
pub(crate) fn live() -> impl Endpoint {
    get(alive)
}

#[handler]
fn alive() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: which dependency is down. Without Postgres, or on a schema older than this release's, nothing works: 503.
/// Without Redis mails wait in Postgres and all else goes on, so the answer is 200 and says `degraded`: to take a working
/// API out of service would help nobody.
pub(crate) fn ready() -> impl Endpoint {
    get(readiness)
}

#[handler]
async fn readiness(app: Data<&App>) -> Response {
    let postgres = match timeout(Duration::from_secs(3), app.db.check()).await {
        Ok(result) => result,
        Err(_) => Err(Unready::Down("Postgres does not answer in time.".to_owned())),
    };
    let redis = ping(&app.redis).await;
    if let Err(error) = &postgres {
        tracing::warn!(%error, "not ready");
    }
    let (status, summary) = match (&postgres, redis) {
        (Err(_), _) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
        (Ok(_), false) => (StatusCode::OK, "degraded"),
        (Ok(_), true) => (StatusCode::OK, "ok"),
    };
    let postgres = postgres.as_ref().map_or_else(Unready::word, |_| "ok");
    let body = json!({ "status": summary, "postgres": postgres, "redis": if redis { "ok" } else { "down" } });
    let mut response = Json(body).with_status(status).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

async fn ping(client: &redis::Client) -> bool {
    let asked = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<()>(&mut connection).await
    };
    matches!(timeout(Duration::from_secs(2), asked).await, Ok(Ok(())))
}
