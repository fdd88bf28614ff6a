//! The logo of an organization, as its administrators send it. How it is handed out is in `pages/assets.rs`.

use poem::web::Data;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Binary;
use poem_openapi::{ApiRequest, OpenApi};
use tenantry_shared::access::ChangeOrganization;
use tenantry_shared::settings::{self, Picture};

use super::SettingsOut;
use crate::app::App;
use crate::auth::SignedIn;
use crate::problem::ApiResult;
use crate::reply::{Found, NoContent, if_match};

pub(crate) struct Api;

/// A picture: its bytes say what it is, whichever of these types is named.
#[derive(ApiRequest)]
pub(crate) enum PictureIn {
    /// A PNG.
    #[oai(content_type = "image/png")]
    Png(Binary<Vec<u8>>),
    /// A JPEG.
    #[oai(content_type = "image/jpeg")]
    Jpeg(Binary<Vec<u8>>),
    /// A WebP.
    #[oai(content_type = "image/webp")]
    WebP(Binary<Vec<u8>>),
}

impl PictureIn {
    fn bytes(self) -> Vec<u8> {
        let (Self::Png(Binary(bytes)) | Self::Jpeg(Binary(bytes)) | Self::WebP(Binary(bytes))) = self;
        bytes
    }
}

#[OpenApi(tag = "crate::openapi::Tags::Organizations")]
impl Api {
    /// Set the logo
    ///
    /// A PNG, JPEG or WebP of at most 256 KiB, with 16 to 2048 pixels a side. It stands at the head of the organization's pages and
    /// mails, 48 pixels high or 240 wide, by night on white ground. It is drawn anew and kept as a PNG, no larger than that takes on
    /// a fine screen: what else was in the file, such as where a photograph was taken, is gone, and of one that moves the first frame
    /// is kept. Everybody can read it, at `branding.logo`; another one has another address. The `ETag` is that of the settings. Needs
    /// `change_organization`. Errors: 400 with `required`, `too_large`, `unknown_format`, `wrong_size` or `broken` at `logo`; 415 for a
    /// body that does not say that it is one of the three.
    #[oai(path = "/orgs/:organization_slug/settings/logo", method = "put", operation_id = "put_logo")]
    async fn put(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The `ETag` of the settings as you read them.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
        body: PictureIn,
    ) -> ApiResult<Found<SettingsOut>> {
        let if_version = if_match(if_match_header.0.as_deref())?;
        let (tx, _) = app.enter::<ChangeOrganization>(&caller, &organization_slug).await?;
        // Drawing takes a while: no transaction waits for it.
        tx.commit().await?;
        let picture = Picture::read(body.bytes()).await?;
        let (mut tx, by) = app.enter::<ChangeOrganization>(&caller, &organization_slug).await?;
        let settings = settings::put_logo(&mut tx, &by, &picture, if_version).await?;
        tx.commit().await?;
        Ok(Found::<SettingsOut>::of(settings, &app))
    }

    /// Delete the logo
    ///
    /// Pages and mails show the name again. Needs `change_organization`. 404 where there is none.
    #[oai(path = "/orgs/:organization_slug/settings/logo", method = "delete", operation_id = "delete_logo")]
    async fn delete(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The `ETag` of the settings as you read them.
        #[oai(name = "If-Match")]
        if_match_header: Header<Option<String>>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = app.enter::<ChangeOrganization>(&caller, &organization_slug).await?;
        let if_version = if_match(if_match_header.0.as_deref())?;
        settings::delete_logo(&mut tx, &by, if_version).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }
}
