//! Test sign-ins: what an identity provider says, and which check fails.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use tenantry_shared::access::ManageSso;
use tenantry_shared::saml::{self, Failure, Said, SeenAttribute, Test};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::problem::ApiResult;
use crate::reply::{Once, Shown};

pub(crate) struct Api;

/// A test that may begin.
#[derive(Object)]
#[oai(rename = "NewSamlTest")]
pub(crate) struct NewTestOut {
    /// To be opened in a browser, once. It leads to the identity provider, and from there to what came of it. It is shown
    /// this once.
    url: String,
    /// Until when the test can be finished.
    expires_at: DateTime<Utc>,
}

/// Where a test stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "SamlTestStatus", rename_all = "snake_case")]
pub(crate) enum TestStatus {
    /// Nobody has come back from the identity provider yet.
    Pending,
    /// Every check was passed.
    Passed,
    /// One was not: `reason` says which.
    Failed,
    /// Nobody came back in time.
    Expired,
}

/// An attribute of an assertion.
#[derive(Object)]
#[oai(rename = "SamlTestAttribute")]
pub(crate) struct AttributeOut {
    /// Its name, often a URI.
    name: String,
    /// Its name for people, where the identity provider gives one.
    friendly_name: Option<String>,
    /// Its values, the first 50, of 300 characters at most.
    values: Vec<String>,
}

/// What an assertion said.
#[derive(Object)]
#[oai(rename = "SamlTestAssertion")]
pub(crate) struct SaidOut {
    /// The identity provider's entity id.
    issuer: String,
    /// The name by which someone is known from then on.
    name_id: String,
    /// Its format.
    name_id_format: Option<String>,
    /// All that was said of him.
    attributes: Vec<AttributeOut>,
    /// The e-mail address, as we read it.
    email: Option<String>,
    /// The first name, as we read it.
    first_name: String,
    /// The last name, as we read it.
    last_name: String,
    /// The groups, as we read them.
    groups: Vec<String>,
    /// The address of the account that he would have been signed in to.
    account: Option<String>,
    /// Why he would not have been signed in: a code.
    no_account_reason: Option<String>,
    /// The same in words.
    no_account_detail: Option<String>,
}

impl From<Said> for SaidOut {
    fn from(said: Said) -> Self {
        let attribute = |SeenAttribute { name, friendly_name, values }| AttributeOut { name, friendly_name, values };
        let (reason, detail) = said.no_account.map(|Failure { reason, detail }| (reason, detail)).unzip();
        Self {
            issuer: said.issuer,
            name_id: said.name_id,
            name_id_format: said.name_id_format,
            attributes: said.attributes.into_iter().map(attribute).collect(),
            email: said.email,
            first_name: said.first_name,
            last_name: said.last_name,
            groups: said.groups,
            account: said.account,
            no_account_reason: reason,
            no_account_detail: detail,
        }
    }
}

/// A test sign-in.
#[derive(Object)]
#[oai(rename = "SamlTest")]
pub(crate) struct TestOut {
    /// Where it stands.
    status: TestStatus,
    /// When it was begun.
    started_at: DateTime<Utc>,
    /// Until when it can be finished.
    expires_at: DateTime<Utc>,
    /// When someone came back from the identity provider.
    finished_at: Option<DateTime<Utc>>,
    /// The check that failed: a code, as in the list of events.
    reason: Option<String>,
    /// The same in words.
    detail: Option<String>,
    /// What the assertion said; null where it was not believed.
    said: Option<SaidOut>,
}

impl TestOut {
    fn new(test: Test, now: DateTime<Utc>) -> Self {
        let status = match &test.result {
            Some(result) if result.failed.is_some() => TestStatus::Failed,
            Some(_) => TestStatus::Passed,
            None if test.expires_at <= now => TestStatus::Expired,
            None => TestStatus::Pending,
        };
        let (failed, said) = test.result.map_or((None, None), |result| (result.failed, result.said));
        let (reason, detail) = failed.map(|Failure { reason, detail }| (reason, detail)).unzip();
        Self {
            status,
            started_at: test.started_at,
            expires_at: test.expires_at,
            finished_at: test.finished_at,
            reason,
            detail,
            said: said.map(Into::into),
        }
    }
}

#[OpenApi(tag = "crate::openapi::Tags::Saml")]
impl Api {
    /// Begin a test sign-in
    ///
    /// Answers an address to open in a browser within 20 minutes. It leads to the identity provider and shows what that says
    /// and which check fails, if one does; it signs nobody in. A connection can be tested while it is off. One that passes has
    /// its `tested_at` set. Your earlier test of this connection is forgotten.
    /// Errors: 409 `secret_already_shown` where the request is repeated.
    #[oai(
        path = "/orgs/:organization_slug/saml/connections/:id/test",
        method = "post",
        operation_id = "test_saml_connection"
    )]
    async fn begin(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// Makes the request safe to repeat for 24 hours.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The connection's id.
        id: Path<Uuid>,
    ) -> ApiResult<Shown<NewTestOut>> {
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        let once = Once::begin_secret(&mut tx, by.caller(), "test_saml_connection", idempotency_key.0, &id.to_string())
            .await?;
        let test = saml::begin_test(&mut tx, &by, id.0.into()).await?;
        once.remember_made(&mut tx, id.0).await?;
        tx.commit().await?;
        let slug = &caller.caller.organization_slug;
        let url = app.public_url.join(&format!("/v1/saml/{slug}/login?test={}", test.token));
        Ok(Shown::Once(Json(NewTestOut { url, expires_at: test.expires_at })))
    }

    /// What came of my test sign-in?
    ///
    /// Of your last one through this connection. It is kept for a month. 404 where there is none.
    #[oai(
        path = "/orgs/:organization_slug/saml/connections/:id/test",
        method = "get",
        operation_id = "get_saml_connection_test"
    )]
    async fn result(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The connection's id.
        id: Path<Uuid>,
    ) -> ApiResult<Json<TestOut>> {
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        let test = saml::get_test(&mut tx, &by, id.0.into()).await?;
        let now = tx.now();
        tx.commit().await?;
        Ok(Json(TestOut::new(test, now)))
    }
}
