//! `tenantry-api`: serves the API, migrates the database, makes organizations.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tenantry_api::ServeConfig;
use tenantry_shared::clock::Clock;
use tenantry_shared::config::{ConfigError, DatabaseConfig, secret};
use tenantry_shared::db::{self, Db};
use tenantry_shared::organizations::{self, FirstAdministrator, NewOrganization};
use tenantry_shared::passwords::Hasher;
use tenantry_shared::telemetry::{self, Telemetry};

const NAME: &str = "tenantry-api";

/// The accounts service that a B2B product runs beside itself.
#[derive(Debug, Parser)]
#[command(name = "tenantry-api", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and the pages, and relay jobs to Redis.
    Serve(Box<ServeConfig>),
    /// Look at every setting of `serve`, at Postgres and at Redis, and say what is wrong. Ends with 1 if something is.
    Check(Box<ServeConfig>),
    /// Bring the database to this release's schema, and make the role that API and worker sign in with.
    Migrate(DatabaseConfig),
    /// Make an organization: the platform organization first, and any other. Does nothing if its slug is taken.
    CreateOrganization(CreateOrganization),
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Debug, Args)]
struct CreateOrganization {
    #[command(flatten)]
    database: DatabaseConfig,
    /// How it is addressed: letters, digits, hyphens, underscores. It never changes.
    #[arg(long)]
    slug: String,
    /// Its name.
    #[arg(long)]
    name: String,
    /// The language of its mails.
    #[arg(long, default_value = "en")]
    locale: String,
    /// Its first administrator, who becomes superuser. He is invited by mail, unless a password is given.
    #[arg(long)]
    admin_email: String,
    /// A file that holds the first administrator's password.
    #[arg(long)]
    admin_password_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    telemetry::run(NAME, run(Cli::parse().command))
}

#[expect(clippy::print_stdout, reason = "an operator reads it")]
async fn run(command: Command) -> Result<ExitCode, ConfigError> {
    match command {
        Command::Check(config) => return Ok(tenantry_api::check(&config).await),
        Command::Serve(config) => serve(&config).await?,
        Command::Migrate(config) => {
            db::migrate(&config).await.map_err(ConfigError)?;
            println!("The database is at this release's schema.");
        }
        Command::CreateOrganization(command) => create_organization(&command).await?,
        Command::Openapi => print!("{}", tenantry_api::document()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: &ServeConfig) -> Result<(), ConfigError> {
    let telemetry = Telemetry::start(&config.common, NAME)?;
    telemetry::serve_metrics(config.metrics_addr)?;
    let running = tenantry_api::start(config, Clock::default()).await?;
    tracing::info!(address = %running.address, metrics = %config.metrics_addr, "listening");
    let ended = running.until(telemetry::told_to_stop()).await;
    telemetry.stop().await;
    ended.map_err(|e| ConfigError(format!("The server ended: {e}")))
}

#[expect(clippy::print_stdout, reason = "an operator reads it")]
async fn create_organization(command: &CreateOrganization) -> Result<(), ConfigError> {
    let readable = |e: tenantry_shared::Error| ConfigError(e.to_string());
    let refused = |refusal: tenantry_shared::Refusal| ConfigError(refusal.to_string());
    let (locale, admin) = (Some(command.locale.as_str()), Some(command.admin_email.as_str()));
    let new = NewOrganization::check(&command.name, &command.slug, locale, admin).map_err(refused)?;
    let first = match &command.admin_password_file {
        Some(file) => FirstAdministrator::WithPassword(secret("--admin-password", None, Some(file))?),
        None => FirstAdministrator::Invited,
    };
    let db = Db::new(&command.database, Clock::default()).map_err(readable)?;
    let made = organizations::bootstrap(&db, &Hasher::default(), &new, first).await.map_err(readable)?;
    match made {
        true => println!("Made the organization {}.", command.slug),
        false => println!("The organization {} exists; nothing was changed.", command.slug),
    }
    Ok(())
}
