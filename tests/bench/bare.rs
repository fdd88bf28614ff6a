//! The least that can answer "who is this?": a bare poem handler, token to SHA-256 to one indexed select, through the same
//! driver and as large a pool. It is a process of its own, as the API is.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use harness::{Processes, eventually_within, free_port};
use poem::http::StatusCode;
use poem::http::header::AUTHORIZATION;
use poem::listener::TcpListener;
use poem::web::{Data, Json};
use poem::{EndpointExt, Error, Request, Route, Server, get, handler};
use serde_json::{Value, json};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tenantry_shared::secret::sha256;
use tokio::process::{Child, Command};
use uuid::Uuid;

#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[arg(long)]
    listen_addr: SocketAddr,
    #[arg(long, env, hide_env_values = true)]
    database_app_url: String,
    #[arg(long)]
    pool_size: u32,
}

#[handler]
#[expect(clippy::disallowed_methods, reason = "its table is made by the benchmark alone")]
async fn who_am_i(pool: Data<&PgPool>, request: &Request) -> poem::Result<Json<Value>> {
    let token = request.header(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| Error::from_status(StatusCode::UNAUTHORIZED))?;
    let row: Option<(Uuid, String)> =
        sqlx::query_as("select user_id, email from bare_sessions where token_digest = $1")
            .bind(sha256(token.as_bytes()))
            .fetch_optional(*pool)
            .await
            .map_err(poem::error::InternalServerError)?;
    let (id, email) = row.ok_or_else(|| Error::from_status(StatusCode::UNAUTHORIZED))?;
    Ok(Json(json!({ "id": id, "email": email })))
}

pub(crate) async fn serve(options: &Options) {
    let pool = PgPoolOptions::new().max_connections(options.pool_size).connect(&options.database_app_url);
    let pool = pool.await.expect("the database answers");
    let routes = Route::new().at("/", get(who_am_i)).data(pool);
    Server::new(TcpListener::bind(options.listen_addr)).run(routes).await.expect("it serves");
}

/// A running one, until it is dropped.
pub(crate) struct Bare {
    pub(crate) url: String,
    _child: Child,
}

impl Bare {
    /// Starts one that knows this token, and ten thousand others.
    pub(crate) async fn start(tenantry: &Processes, token: &str) -> Self {
        let digest: String = sha256(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let table = format!(
            "create table bare_sessions (token_digest bytea primary key, user_id uuid not null, email text not null);
             grant select on bare_sessions to tenantry_app;
             insert into bare_sessions
             select sha256(n::text::bytea), gen_random_uuid(), n || '@acme.example' from generate_series(1, 10000) n
             union all select '\\x{digest}', gen_random_uuid(), 'bob@acme.example'"
        );
        tenantry.database().execute(&table).await;
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args(["bare", "--listen-addr", &address, "--pool-size", "10"]);
        command.env("DATABASE_APP_URL", tenantry.database().app_url()).kill_on_drop(true);
        let child = command.stdin(Stdio::null()).spawn().expect("our own binary starts");
        let url = format!("http://{address}/");
        eventually_within(Duration::from_secs(20), "the bare handler to answer", || async {
            reqwest::get(&url).await.is_ok_and(|answer| answer.status() == 401).then_some(())
        })
        .await;
        Self { url, _child: child }
    }
}
