//! `tenantry-api`: serves the API, migrates the database, makes organizations.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tenantry_api::ServeConfig;
use tenantry_shared::clock::Clock;
use tenantry_shared::config::{ConfigError, DatabaseConfig, SecretKeysConfig, secret};
use tenantry_shared::db::{self, Db};
use tenantry_shared::organizations::{self, FirstAdministrator, NewOrganization};
use tenantry_shared::passwords::Hasher;
use tenantry_shared::reseal::{self, Resealed};
use tenantry_shared::saml;
use tenantry_shared::telemetry::{self, Telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Encrypt with SECRET_KEY what is stored encrypted with PREVIOUS_SECRET_KEY. Safe to repeat, and while everything runs
    /// with both. Ends with 1 if something could not be read.
    RotateSecretKey(RotateSecretKey),
    /// Let the people of an organization sign in with passwords again that requires single sign-on, if it does not work.
    ReleaseSso(ReleaseSso),
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Debug, Args)]
struct RotateSecretKey {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    keys: SecretKeysConfig,
}

#[derive(Debug, Args)]
struct ReleaseSso {
    #[command(flatten)]
    database: DatabaseConfig,
    /// The organization's slug.
    slug: String,
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
    let command = Cli::parse().command;
    // Before there are threads.
    let ready = tenantry_saml::initialize().map_err(|e| ConfigError(e.to_string()));
    telemetry::run(NAME, async {
        ready?;
        run(command).await
    })
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
        Command::RotateSecretKey(command) => return rotate_secret_key(&command).await,
        Command::ReleaseSso(command) => release_sso(&command).await?,
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

fn readable(error: tenantry_shared::Error) -> ConfigError {
    ConfigError(error.to_string())
}

#[expect(clippy::print_stdout, reason = "an operator reads it")]
async fn rotate_secret_key(command: &RotateSecretKey) -> Result<ExitCode, ConfigError> {
    telemetry::warn_on_stderr()?;
    let keys = command.keys.both()?;
    let db = Db::open(&command.database, Clock::default()).await?;
    let Resealed { values, organizations, failed } = reseal::run(&db, &keys).await.map_err(readable)?;
    let unreadable = reseal::count_unreadable(&db, &keys).await.map_err(readable)?;
    db.close().await;
    println!("Encrypted {values} secrets of {organizations} organizations with SECRET_KEY.");
    if unreadable > 0 {
        println!("{}.", reseal::complain(unreadable));
    }
    if failed == 0 && unreadable == 0 {
        println!("PREVIOUS_SECRET_KEY is needed no more.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{failed} organizations could not be done; theirs stays as it was.");
    Ok(ExitCode::FAILURE)
}

#[expect(clippy::print_stdout, reason = "an operator reads it")]
async fn release_sso(command: &ReleaseSso) -> Result<(), ConfigError> {
    let db = Db::open(&command.database, Clock::default()).await?;
    let released = saml::release(&db, &command.slug).await;
    db.close().await;
    match released {
        Ok(true) => println!("Single sign-on is not required in {} any more.", command.slug),
        Ok(false) => println!("Single sign-on was not required in {}; nothing was changed.", command.slug),
        Err(tenantry_shared::Error::Refused(_)) => {
            return Err(ConfigError(format!("There is no organization {}.", command.slug)));
        }
        Err(error) => return Err(readable(error)),
    }
    Ok(())
}
