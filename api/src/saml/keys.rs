//! An organization's own keys.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use tenantry_shared::access::ManageSso;
use tenantry_shared::saml::{self, Key, KeyState, NewKey};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::input::{Body, Input};
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{NoContent, Once, Turn};

pub(crate) struct Api;

/// What a key is for now.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum SamlKeyState {
    /// It signs, opens what is encrypted for it, and stands in the metadata.
    Active,
    /// It stands in the metadata too, so that identity providers know it before it is used.
    Next,
    /// It was active before: it still opens what is encrypted for it, and stands in the metadata no more.
    Previous,
}

/// A key of the organization as a service provider. Its private half is never shown.
#[derive(Debug, Object)]
#[oai(rename = "SamlKey")]
pub(crate) struct SamlKeyOut {
    /// Its id.
    id: Uuid,
    /// What it is for now.
    state: SamlKeyState,
    /// The certificate, in PEM.
    cert: String,
    /// SHA-256 of the certificate, hexadecimal.
    fingerprint: String,
    /// From when on the certificate is valid.
    not_before: DateTime<Utc>,
    /// Until when.
    not_after: DateTime<Utc>,
    /// Whether the service can read its private half. If not, the service runs with another server key than the one that it
    /// was encrypted with.
    is_readable: bool,
    /// When it was made.
    created_at: DateTime<Utc>,
}

impl SamlKeyOut {
    fn new(key: Key, app: &App) -> Self {
        let state = match KeyState::from_name(&key.state) {
            KeyState::Active => SamlKeyState::Active,
            KeyState::Next => SamlKeyState::Next,
            KeyState::Previous => SamlKeyState::Previous,
        };
        Self {
            id: key.id,
            state,
            cert: key.pem(),
            is_readable: app.saml.seals.has_key(&key.key_id),
            fingerprint: key.fingerprint,
            not_before: key.not_before,
            not_after: key.not_after,
            created_at: key.created_at,
        }
    }
}

/// A key to be made.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields, rename = "SamlKeyIn")]
pub(crate) struct SamlKeyIn {
    /// The name in its certificate, at most 64 characters; the organization's slug if not given.
    common_name: Option<String>,
    /// For how many days the certificate is valid: 365 to 3650; 1095 if not given.
    days: Option<i64>,
    /// 2048, 3072 or 4096 bits; 3072 if not given.
    key_size: Option<i64>,
}

impl Input for SamlKeyIn {}

/// A key that was made.
#[derive(Debug, Object)]
#[oai(rename = "NewSamlKey")]
pub(crate) struct NewSamlKeyOut {
    /// What was done, in words.
    message: String,
    /// The certificate, in PEM.
    cert: String,
    /// Its id.
    id: Uuid,
    /// What it is for now.
    state: SamlKeyState,
    /// SHA-256 of the certificate, hexadecimal.
    fingerprint: String,
    /// Until when the certificate is valid.
    not_after: DateTime<Utc>,
}

impl From<SamlKeyOut> for NewSamlKeyOut {
    fn from(key: SamlKeyOut) -> Self {
        let message = match key.state {
            SamlKeyState::Active => "The key was made, and is in use.",
            _ => "The next key was made. Activate it when your identity providers know it.",
        };
        Self {
            message: message.into(),
            cert: key.cert,
            id: key.id,
            state: key.state,
            fingerprint: key.fingerprint,
            not_after: key.not_after,
        }
    }
}

/// 201 with what an identity provider may know of the key.
#[derive(ApiResponse)]
pub(crate) enum Made {
    /// The key was made.
    #[oai(status = 201)]
    Key(Json<NewSamlKeyOut>),
}

/// 200 with a certificate as a file.
#[derive(ApiResponse)]
pub(crate) enum Download {
    /// The certificate, in PEM.
    #[oai(status = 200, content_type = "application/x-pem-file")]
    Pem(
        PlainText<String>,
        /// That it is a file, and how it is called.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

#[OpenApi(tag = "crate::openapi::Tags::Saml")]
impl Api {
    /// List the keys
    ///
    /// The active one, the next one and the one before, as far as there are such, newest first. Needs `manage_sso`. Ordered by
    /// `created_at` or `not_after`; `search` looks at the fingerprint and the state.
    #[oai(path = "/orgs/:organization_slug/saml/keys", method = "get", operation_id = "list_saml_keys")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<List<SamlKeyOut>>> {
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        let page = saml::list_keys(&mut tx, &by, &paging.request).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope_with(page, |key| SamlKeyOut::new(key, &app))))
    }

    /// Make a key
    ///
    /// An RSA key and a self-signed certificate for it, with SHA-256. The first one is active at once; another one is the
    /// *next*: both are in the metadata, so that identity providers can learn of it, until it is activated or deleted. The
    /// private half never leaves the service. Needs `manage_sso`. Errors: 409 `next_key_exists`.
    #[oai(path = "/orgs/:organization_slug/saml/keys", method = "post", operation_id = "create_saml_key")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<SamlKeyIn>,
    ) -> ApiResult<Made> {
        const OPERATION: &str = "create_saml_key";
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        if let Turn::Again(first) =
            Once::begin(&mut tx, by.caller(), OPERATION, idempotency_key.0.clone(), &body.0).await?
        {
            return Ok(Made::Key(Json(first)));
        }
        let SamlKeyIn { common_name, days, key_size } = &body.0;
        let new = NewKey::check(common_name.as_deref(), *days, *key_size, &by.caller().organization_slug)?;
        saml::room_for_key(&mut tx, &by).await?;
        let now = tx.now();
        // To make a key takes a while, so no transaction is held open: look again.
        drop(tx);
        let pair = app.saml.maker.make(new, now).await?;
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), OPERATION, idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Made::Key(Json(first))),
            Turn::First(once) => once,
        };
        let key = saml::add_key(&mut tx, &by, &app.saml.seals, &pair).await?;
        let made: NewSamlKeyOut = SamlKeyOut::new(key, &app).into();
        once.remember(&mut tx, &made).await?;
        tx.commit().await?;
        Ok(Made::Key(Json(made)))
    }

    /// Let the next key take the place of the active one
    ///
    /// It signs from now on. The one before leaves the metadata; what is encrypted for it is still opened, until it is deleted
    /// or another one takes its place. Do this when your identity providers have read the metadata, or have been given the
    /// certificate. Needs `manage_sso`. Errors: 409 `key_not_next`, `saml_key_unreadable`.
    #[oai(
        path = "/orgs/:organization_slug/saml/keys/:id/activate",
        method = "post",
        operation_id = "activate_saml_key"
    )]
    async fn activate(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The key's id.
        id: Path<Uuid>,
    ) -> ApiResult<Json<SamlKeyOut>> {
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        let key = saml::activate_key(&mut tx, &by, &app.saml.seals, id.0.into()).await?;
        tx.commit().await?;
        Ok(Json(SamlKeyOut::new(key, &app)))
    }

    /// Delete a key
    ///
    /// The active one only where there is neither a connection nor a next key. Needs `manage_sso`. Errors: 409 `key_in_use`.
    #[oai(path = "/orgs/:organization_slug/saml/keys/:id", method = "delete", operation_id = "delete_saml_key")]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The key's id.
        id: Path<Uuid>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        saml::delete_key(&mut tx, &by, id.0.into()).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }

    /// Download a certificate
    ///
    /// The active key's, or another's. Needs `manage_sso`. Errors: 404 `not_found` where there is none.
    #[oai(
        path = "/orgs/:organization_slug/saml/certificate",
        method = "get",
        operation_id = "download_saml_certificate"
    )]
    async fn certificate(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Which key's, if not the active one's.
        id: Query<Option<Uuid>>,
    ) -> ApiResult<Download> {
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        let key = saml::get_key(&mut tx, &by, id.0.map(Into::into)).await?;
        tx.commit().await?;
        let name = format!("attachment; filename=\"{}-saml.pem\"", by.caller().organization_slug);
        Ok(Download::Pem(PlainText(key.pem()), name))
    }
}
