//! The logo of an organization: put there by its administrators, read by everybody.

use serde_json::json;

use super::branding::Logo;
use super::picture::Picture;
use super::{Settings, load, lock, store};
use crate::access::{Access, Actor, ChangeOrganization, Origin};
use crate::audit::Event;
use crate::db::{Db, Tx};
use crate::error::{Refusal, Result};
use crate::ids::OrganizationId;
use crate::secret::sha256;
use crate::tenant::Addressee;

/// A logo as it is handed out.
#[derive(Debug)]
pub struct StoredLogo {
    /// As in [`Logo::version`].
    pub version: String,
    /// A PNG.
    pub content: Vec<u8>,
}

/// Puts a logo there, in place of the one before. The same one again changes nothing.
///
/// Errors: 412.
pub async fn put_logo(
    tx: &mut Tx,
    _by: &Access<ChangeOrganization>,
    picture: &Picture,
    if_version: Option<i64>,
) -> Result<Settings> {
    let (name, old) = lock(tx, if_version).await?;
    let logo = Logo { version: version_of(&picture.png), width: picture.width, height: picture.height };
    if old.branding.logo.as_ref() == Some(&logo) {
        return Ok(old);
    }
    sqlx::query!(
        "insert into organization_logos (organization_id, version, content, updated_at) values ($1, $2, $3, $4)
         on conflict on constraint organization_logos_pkey do update
         set version = excluded.version, content = excluded.content, updated_at = excluded.updated_at",
        tx.organization_id() as OrganizationId,
        logo.version,
        picture.png,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    let details = json!({ "width": logo.width, "height": logo.height, "version": logo.version });
    set(tx, &old, Some(logo)).await?;
    tx.audit(Event::new("logo.set", "organization", tx.organization_id(), &name).with(details)).await?;
    load(tx).await
}

/// Takes the logo away.
///
/// Errors: 404, 412.
pub async fn delete_logo(tx: &mut Tx, _by: &Access<ChangeOrganization>, if_version: Option<i64>) -> Result<()> {
    let (name, old) = lock(tx, if_version).await?;
    if old.branding.logo.is_none() {
        return Err(Refusal::not_found().into());
    }
    sqlx::query!("delete from organization_logos where organization_id = $1", tx.organization_id() as OrganizationId)
        .execute(tx.connection())
        .await?;
    set(tx, &old, None).await?;
    tx.audit(Event::new("logo.deleted", "organization", tx.organization_id(), &name)).await
}

/// Names the logo where whoever shows the organization looks.
async fn set(tx: &mut Tx, old: &Settings, logo: Option<Logo>) -> Result<()> {
    let mut new = old.clone();
    new.branding.logo = logo;
    store(tx, &new).await
}

/// The logo of a slug's organization, for anyone. As much is asked where there is no such organization.
pub async fn find_logo(db: &Db, slug: &str, platform_slug: &str) -> Result<Option<StoredLogo>> {
    let addressee = Addressee::find(db, slug, platform_slug).await?;
    let Some(keeper) = addressee.keeper() else { return Ok(None) };
    let mut tx = db.begin(keeper, Actor::Anonymous, Origin::default()).await?;
    let logo = sqlx::query_as!(
        StoredLogo,
        "select version, content from organization_logos where organization_id = $1",
        tx.organization_id() as OrganizationId
    )
    .fetch_optional(tx.connection())
    .await?;
    tx.commit().await?;
    Ok(logo.filter(|_| addressee.tenant().is_some()))
}

fn version_of(content: &[u8]) -> String {
    sha256(content)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
