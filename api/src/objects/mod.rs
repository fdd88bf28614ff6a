//! What the handlers of folders, roles, assignments, groups, teams and users share: how an object names others, what a batch
//! and a preview look like.

mod batch;
mod cascade;
mod ids;
mod refs;

use poem_openapi::payload::Json;
use poem_openapi::types::{MaybeUndefined, ParseFromJSON, ToJSON};
use tenantry_shared::Refusal;
use tenantry_shared::access::Caller;
use tenantry_shared::db::Tx;
use tenantry_shared::objects::{Managed, Names, Object, Wanted, resolve};
use tenantry_shared::page::Page;
use uuid::Uuid;

pub(crate) use batch::{BatchIn, BatchOut, Batched, How, batch};
pub(crate) use cascade::CascadeOut;
pub(crate) use ids::{IdList, ids};
pub(crate) use refs::{Ref, StoredRef};

use crate::app::App;
use crate::auth::SignedIn;
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Created, Found, NoContent, Once, etag, if_match};

/// What the wire shows of objects beside their rows.
pub(crate) struct View<'a> {
    /// The names the caller may see.
    pub(crate) names: Names,
    pub(crate) app: &'a App,
    /// The organization's slug.
    pub(crate) slug: &'a str,
}

/// An object on the wire.
pub(crate) trait Shape: Object {
    /// For readers: others by id and name.
    type Out: ToJSON + ParseFromJSON;
    /// As stored: others by id.
    type Stored: ToJSON + ParseFromJSON;

    /// For readers.
    fn out(self, view: &View<'_>) -> Self::Out;
    /// As stored.
    fn stored(self, view: &View<'_>) -> Self::Stored;
}

impl App {
    async fn view<'a, T: Object>(&'a self, caller: &'a Caller, tx: &mut Tx, rows: &[T]) -> ApiResult<View<'a>> {
        let mut wanted = Wanted::default();
        for row in rows {
            row.want(&mut wanted);
        }
        let names = resolve(tx, caller, wanted).await?;
        Ok(View { names, app: self, slug: &caller.organization_slug })
    }

    /// Ends the unit of work with a part of a list: however long, one query for each kind of object that its rows name.
    pub(crate) async fn listed<T: Shape>(
        &self,
        caller: &SignedIn,
        mut tx: Tx,
        paging: &Paging,
        page: Page<T>,
    ) -> ApiResult<Json<List<T::Out>>> {
        let view = self.view(&caller.caller, &mut tx, &page.results).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope_with(page, |row| row.out(&view))))
    }

    /// Ends the unit of work with an object for readers.
    pub(crate) async fn found<T: Shape>(&self, caller: &SignedIn, mut tx: Tx, row: T) -> ApiResult<Found<T::Out>> {
        let view = self.view(&caller.caller, &mut tx, std::slice::from_ref(&row)).await?;
        tx.commit().await?;
        let tag = etag(row.version());
        Ok(Found::Object(Json(row.out(&view)), tag))
    }

    /// Ends the unit of work with an object as it is stored.
    pub(crate) async fn found_stored<T: Shape>(
        &self,
        caller: &SignedIn,
        mut tx: Tx,
        row: T,
    ) -> ApiResult<Found<T::Stored>> {
        let view = self.view(&caller.caller, &mut tx, std::slice::from_ref(&row)).await?;
        tx.commit().await?;
        let tag = etag(row.version());
        Ok(Found::Object(Json(row.stored(&view)), tag))
    }

    /// Changes one object, by its `PUT` or `PATCH`.
    pub(crate) async fn change<T: Shape + Managed>(
        &self,
        caller: &SignedIn,
        slug: &str,
        id: Uuid,
        if_version: Option<String>,
        patch: T::Patch,
    ) -> ApiResult<Found<T::Stored>> {
        let (mut tx, by) = self.enter::<T::MayChange>(caller, slug).await?;
        let row = T::change(&mut tx, &by, id, &patch, if_match(if_version.as_deref())?).await?;
        self.found_stored(caller, tx, row).await
    }

    /// Deletes one object.
    pub(crate) async fn delete<T: Managed>(
        &self,
        caller: &SignedIn,
        slug: &str,
        id: Uuid,
        if_version: Option<String>,
    ) -> ApiResult<NoContent> {
        let (mut tx, by) = self.enter::<T::MayDelete>(caller, slug).await?;
        T::delete(&mut tx, &by, id, if_match(if_version.as_deref())?).await?;
        tx.commit().await?;
        Ok(NoContent::Done)
    }

    /// Ends the unit of work with an object that was made, and remembers this answer for whoever asks again.
    pub(crate) async fn made<T: Shape>(
        &self,
        caller: &SignedIn,
        mut tx: Tx,
        once: Once,
        row: T,
    ) -> ApiResult<Created<T::Stored>> {
        let view = self.view(&caller.caller, &mut tx, std::slice::from_ref(&row)).await?;
        let tag = etag(row.version());
        let answer = row.stored(&view);
        once.remember(&mut tx, &answer).await?;
        tx.commit().await?;
        Ok(Created::Object(Json(answer), tag))
    }
}

/// A field that can be changed but not cleared.
pub(crate) fn kept<T>(field: &'static str, value: MaybeUndefined<T>) -> Result<Option<T>, Refusal> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Value(value) => Ok(Some(value)),
        MaybeUndefined::Null => Err(Refusal::invalid_field(field, "required", format!("{field} can't be null."))),
    }
}

/// A field that `null` clears.
pub(crate) fn cleared<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Value(value) => Some(Some(value)),
        MaybeUndefined::Null => Some(None),
    }
}
