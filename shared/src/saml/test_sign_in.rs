//! Test sign-ins: an administrator sees what his identity provider says, and which check fails. Nobody is signed in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tenantry_saml::Attribute;

use super::provision::Arrival;
use super::refused::Refused;
use super::requests::ANSWERED_WITHIN;
use super::{Connection, connections};
use crate::access::{Access, ManageSso};
use crate::audit::Event;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, SamlConnectionId, UserId};
use crate::secret::{fill_random, sha256};

/// How many attributes are shown, how many values of each, and how much of each value.
const ATTRIBUTES: usize = 100;
const VALUES: usize = 50;
const CHARACTERS: usize = 300;

/// What a check said that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable, `snake_case`.
    pub reason: String,
    /// In words.
    pub detail: String,
}

/// An attribute as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in the assertion")]
pub struct SeenAttribute {
    pub name: String,
    pub friendly_name: Option<String>,
    pub values: Vec<String>,
}

/// What an assertion said, and what would have come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "described on the wire")]
pub struct Said {
    pub issuer: String,
    pub name_id: String,
    pub name_id_format: Option<String>,
    pub attributes: Vec<SeenAttribute>,
    pub email: Option<String>,
    pub first_name: String,
    pub last_name: String,
    pub groups: Vec<String>,
    /// The address of the account that he would have been signed in to.
    pub account: Option<String>,
    /// Why he would not have been signed in.
    pub no_account: Option<Failure>,
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// The check that failed; none if all were passed.
    pub failed: Option<Failure>,
    /// What the assertion said; none if it was not believed.
    pub said: Option<Said>,
}

impl TestResult {
    pub(super) fn passed(arrival: &Arrival<'_>, account: Result<String, Refused>) -> Self {
        let Arrival { said, person, .. } = arrival;
        let cut = |text: &str| text.chars().filter(|c| *c != '\0').take(CHARACTERS).collect::<String>();
        let seen = |attribute: &Attribute| SeenAttribute {
            name: cut(&attribute.name),
            friendly_name: attribute.friendly_name.as_deref().map(cut),
            values: attribute.values.iter().take(VALUES).map(|value| cut(value)).collect(),
        };
        let said = Said {
            issuer: said.issuer.clone(),
            name_id: cut(&said.name_id.value),
            name_id_format: said.name_id.format.as_deref().map(cut),
            attributes: said.attributes.iter().take(ATTRIBUTES).map(seen).collect(),
            email: person.email.as_ref().map(|email| email.as_str().to_owned()),
            first_name: person.name.first.clone(),
            last_name: person.name.last.clone(),
            groups: person.groups.iter().take(VALUES).map(|group| cut(group)).collect(),
            no_account: account.as_ref().err().map(failure),
            account: account.ok(),
        };
        Self { failed: None, said: Some(said) }
    }

    pub(super) fn failed(refused: &Refused) -> Self {
        Self { failed: Some(failure(refused)), said: None }
    }
}

fn failure(refused: &Refused) -> Failure {
    Failure { reason: refused.reason.to_owned(), detail: refused.detail.replace('\0', "") }
}

/// A test that may begin: the only moment its token is known.
#[derive(Debug)]
pub struct NewTest {
    /// For the address that is opened in a browser.
    pub token: String,
    /// Until when it can be finished.
    pub expires_at: DateTime<Utc>,
}

/// Makes a test of a connection, on or off, in place of the caller's last one.
///
/// Errors: 404.
pub async fn begin_test(tx: &mut Tx, by: &Access<ManageSso>, connection: SamlConnectionId) -> Result<NewTest> {
    let found = connections::find(tx, connection).await?.ok_or_else(Refusal::not_found)?;
    let mut random = [0; 32];
    fill_random(&mut random)?;
    let token = URL_SAFE_NO_PAD.encode(random);
    let expires_at = tx.now() + ANSWERED_WITHIN;
    sqlx::query!(
        "insert into saml_tests (organization_id, connection_id, user_id, token_digest, started_at, expires_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (organization_id, connection_id, user_id) do update set token_digest = excluded.token_digest,
             started_at = excluded.started_at, expires_at = excluded.expires_at,
             finished_at = null, reason = null, detail = null, said = null",
        tx.organization_id() as OrganizationId,
        connection as SamlConnectionId,
        by.caller().user_id as UserId,
        sha256(token.as_bytes()),
        tx.now(),
        expires_at
    )
    .execute(tx.connection())
    .await?;
    tx.audit(Event::new("saml_connection.test_begun", "saml_connection", connection, &found.name)).await?;
    Ok(NewTest { token, expires_at })
}

/// How a test stands.
#[derive(Clone, Debug)]
pub struct Test {
    /// When it was begun.
    pub started_at: DateTime<Utc>,
    /// Until when it can be finished.
    pub expires_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What came of it, if it has ended.
    pub result: Option<TestResult>,
}

/// The caller's last test of a connection.
///
/// Errors: 404.
pub async fn get_test(tx: &mut Tx, by: &Access<ManageSso>, connection: SamlConnectionId) -> Result<Test> {
    let row = sqlx::query!(
        "select started_at, expires_at, finished_at, reason, detail, said from saml_tests
         where organization_id = $1 and connection_id = $2 and user_id = $3",
        tx.organization_id() as OrganizationId,
        connection as SamlConnectionId,
        by.caller().user_id as UserId
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Refusal::not_found)?;
    let failed = row.reason.zip(row.detail).map(|(reason, detail)| Failure { reason, detail });
    let said = row.said.and_then(|said| serde_json::from_value(said).ok());
    let result = row.finished_at.map(|_| TestResult { failed, said });
    Ok(Test { started_at: row.started_at, expires_at: row.expires_at, finished_at: row.finished_at, result })
}

/// Whose test of what a token begins. Once.
pub(super) async fn open(tx: &mut Tx, token: &str) -> Result<(SamlConnectionId, UserId)> {
    let opened = sqlx::query!(
        r#"update saml_tests set token_digest = null
           where organization_id = $1 and token_digest = $2 and expires_at > $3
           returning connection_id as "connection_id: SamlConnectionId", user_id as "user_id: UserId""#,
        tx.organization_id() as OrganizationId,
        sha256(token.as_bytes()),
        tx.now()
    )
    .fetch_optional(tx.connection())
    .await?;
    let dead = || Refusal::missing("test_dead", "This test was begun already, or too long ago. Ask for another one.");
    Ok(opened.map(|row| (row.connection_id, row.user_id)).ok_or_else(dead)?)
}

/// Keeps what came of it, for the administrator whose test it is.
pub(super) async fn keep(tx: &mut Tx, connection: SamlConnectionId, user: UserId, result: &TestResult) -> Result<()> {
    sqlx::query!(
        "update saml_tests set finished_at = $4, reason = $5, detail = $6, said = $7
         where organization_id = $1 and connection_id = $2 and user_id = $3",
        tx.organization_id() as OrganizationId,
        connection as SamlConnectionId,
        user as UserId,
        tx.now(),
        result.failed.as_ref().map(|failed| failed.reason.as_str()),
        result.failed.as_ref().map(|failed| failed.detail.as_str()),
        result.said.as_ref().map(|said| json!(said))
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Remembers that a connection has passed a test with the settings of now.
pub(super) async fn mark_tested(tx: &mut Tx, connection: &Connection) -> Result<()> {
    sqlx::query!(
        "update saml_connections set tested_at = $3, version = version + 1 where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        SamlConnectionId::from(connection.id) as SamlConnectionId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
