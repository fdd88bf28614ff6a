//! Connections to identity providers.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use tenantry_shared::Refusal;
use tenantry_shared::access::{Access, ManageSso};
use tenantry_shared::saml::{self, Connection, ConnectionPatch, LARGEST_METADATA, Provider, ServiceUrls, Source};
use uuid::Uuid;

use super::wire::{ConnectionIn, ConnectionOut, ConnectionPatchIn, Wanted};
use crate::app::App;
use crate::auth::SignedIn;
use crate::input::Body;
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Created, Found, NoContent, Once, Turn, etag, if_match};

pub(crate) struct Api;

fn urls(app: &App, by: &Access<ManageSso>) -> ServiceUrls {
    ServiceUrls::new(&app.public_url, &by.caller().organization_slug)
}

fn found(app: &App, by: &Access<ManageSso>, connection: Connection) -> Found<ConnectionOut> {
    let tag = etag(connection.version);
    Found::Object(Json(ConnectionOut::new(connection, &urls(app, by))), tag)
}

/// Asks where the metadata is, if that is said, and reads it. No transaction is open meanwhile: it can take ten seconds.
async fn source(app: &App, wanted: Wanted) -> Result<Source, Refusal> {
    let entity_id = wanted.fields.entity_id.clone().filter(|id| !id.is_empty());
    let (field, xml, url) = match (wanted.metadata_xml, wanted.metadata_url) {
        (Some(_), Some(_)) => {
            let message = "Give the metadata, or where it is, not both.";
            return Err(Refusal::invalid_field("metadata_xml", "ambiguous", message));
        }
        (None, None) => return Ok(Source::Fields(wanted.fields)),
        (Some(xml), None) if xml.len() > LARGEST_METADATA => {
            return Err(Refusal::invalid_field("metadata_xml", "too_long", "Metadata has at most a million bytes."));
        }
        (Some(xml), None) => ("metadata_xml", xml.into_bytes(), None),
        (None, Some(url)) => {
            let fetched = app.saml.fetcher.fetch(&url).await;
            let fetched = fetched.map_err(|why| Refusal::invalid_field("metadata_url", "fetch_failed", why.0))?;
            ("metadata_url", fetched, Some(url))
        }
    };
    let read = Provider::from_metadata(xml, entity_id, url, app.db.clock().now()).await;
    read.map(Source::Metadata)
        .map_err(|why| Refusal::invalid_field(field, "invalid_metadata", format!("Not taken: {why}.")))
}

impl Api {
    /// Changes a connection, whatever has to be fetched for that.
    async fn store(
        app: &App,
        caller: &SignedIn,
        slug: &str,
        id: Uuid,
        if_match_header: Option<String>,
        (mut patch, wanted): (ConnectionPatch, Option<Wanted>),
    ) -> ApiResult<Found<ConnectionOut>> {
        let if_version = if_match(if_match_header.as_deref())?;
        if let Some(wanted) = wanted {
            let (mut tx, by) = app.enter::<ManageSso>(caller, slug).await?;
            saml::get_connection(&mut tx, &by, id.into()).await?;
            drop(tx);
            patch.source = Some(source(app, wanted).await?);
        }
        let (mut tx, by) = app.enter::<ManageSso>(caller, slug).await?;
        let connection = saml::change_connection(&mut tx, &by, id.into(), patch, if_version).await?;
        tx.commit().await?;
        Ok(found(app, &by, connection))
    }
}

#[OpenApi(tag = "crate::openapi::Tags::Saml")]
impl Api {
    /// List connections
    ///
    /// Needs `manage_sso`. Ordered by `name`, `created_at` or `updated_at`; `search` looks at the name and the entity id.
    #[oai(path = "/orgs/:organization_slug/saml/connections", method = "get", operation_id = "list_saml_connections")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<List<ConnectionOut>>> {
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        let page = saml::list_connections(&mut tx, &by, &paging.request).await?;
        tx.commit().await?;
        let urls = urls(&app, &by);
        Ok(Json(paging.envelope_with(page, |connection| ConnectionOut::new(connection, &urls))))
    }

    /// Connect an identity provider
    ///
    /// By its metadata, by the address of its metadata, or by fields. The answer's `service_provider` is what to tell the
    /// identity provider about us. Needs `manage_sso` and a session; roles and groups that it gives people are such that you
    /// hold yourself. Errors: 403 `session_required`, `cannot_grant`; 409 `entity_id_taken`, `domain_taken`, `too_many_connections`.
    #[oai(path = "/orgs/:organization_slug/saml/connections", method = "post", operation_id = "create_saml_connection")]
    async fn create(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// Makes repeating this request safe.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<ConnectionIn>,
    ) -> ApiResult<Created<ConnectionOut>> {
        const OPERATION: &str = "create_saml_connection";
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        if let Turn::Again(first) =
            Once::begin(&mut tx, by.caller(), OPERATION, idempotency_key.0.clone(), &body.0).await?
        {
            return Ok(Created::Object(Json(first), etag(1)));
        }
        drop(tx);
        let (mut patch, wanted) = body.0.clone().split();
        patch.source = Some(source(&app, wanted).await?);
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        let once = match Once::begin(&mut tx, by.caller(), OPERATION, idempotency_key.0, &body.0).await? {
            Turn::Again(first) => return Ok(Created::Object(Json(first), etag(1))),
            Turn::First(once) => once,
        };
        let made = saml::create_connection(&mut tx, &by, patch).await?;
        let made = ConnectionOut::new(made, &urls(&app, &by));
        once.remember(&mut tx, &made).await?;
        tx.commit().await?;
        let tag = etag(made.version);
        Ok(Created::Object(Json(made), tag))
    }

    /// Read a connection
    ///
    /// Needs `manage_sso`.
    #[oai(path = "/orgs/:organization_slug/saml/connections/:id", method = "get", operation_id = "get_saml_connection")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The connection's id.
        id: Path<Uuid>,
    ) -> ApiResult<Found<ConnectionOut>> {
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        let connection = saml::get_connection(&mut tx, &by, id.0.into()).await?;
        tx.commit().await?;
        Ok(found(&app, &by, connection))
    }

    /// Replace a connection
    ///
    /// What is not given goes back to its default. Rules and errors as `change_saml_connection`.
    #[oai(
        path = "/orgs/:organization_slug/saml/connections/:id",
        method = "put",
        operation_id = "replace_saml_connection"
    )]
    async fn replace(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The connection's id.
        id: Path<Uuid>,
        /// The `ETag` of the connection as you read it.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
        body: Body<ConnectionIn>,
    ) -> ApiResult<Found<ConnectionOut>> {
        let (patch, wanted) = body.0.split();
        Self::store(&app, &caller, &organization_slug, id.0, if_match_header.0, (patch, Some(wanted))).await
    }

    /// Change a connection
    ///
    /// A change of what a test sign-in shows takes `tested_at` away. Sessions that began here go on. Needs `manage_sso` and a
    /// session. Roles and groups that it gives people from now on are such that you hold yourself: all it gives, where its
    /// entity id, certificates, metadata address or attributes change. Errors: 403 `session_required`, `cannot_grant`,
    /// `superuser_only` (whose word is taken is a superuser's to change where one signs in by this connection); 409
    /// `entity_id_taken`, `domain_taken`, `sso_is_required` (the last tested connection can't be switched off while single
    /// sign-on is required).
    #[oai(
        path = "/orgs/:organization_slug/saml/connections/:id",
        method = "patch",
        operation_id = "change_saml_connection"
    )]
    async fn change(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The connection's id.
        id: Path<Uuid>,
        /// The `ETag` of the connection as you read it.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
        body: Body<ConnectionPatchIn>,
    ) -> ApiResult<Found<ConnectionOut>> {
        let change = body.0.split()?;
        Self::store(&app, &caller, &organization_slug, id.0, if_match_header.0, change).await
    }

    /// Delete a connection
    ///
    /// Sessions that began here end at once; accounts stay. Needs `manage_sso` and a session. Errors: 403
    /// `session_required`; 409 `sso_is_required` (the last tested connection can't go while single sign-on is required).
    #[oai(
        path = "/orgs/:organization_slug/saml/connections/:id",
        method = "delete",
        operation_id = "delete_saml_connection"
    )]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The connection's id.
        id: Path<Uuid>,
        /// The `ETag` of the connection as you read it.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<ManageSso>(&caller, &organization_slug).await?;
        let if_version = if_match(if_match_header.0.as_deref())?;
        saml::delete_connection(&mut tx, &by, id.0.into(), if_version).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }
}
