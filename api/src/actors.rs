//! Actors: users and teams, for whatever points at "someone".

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use tenantry_shared::access::Oneself;
use tenantry_shared::actors::{self, Actor};
use uuid::Uuid;

use crate::app::App;
use crate::auth::SignedIn;
use crate::objects::CascadeOut;
use crate::paging::{List, Paging};
use crate::problem::ApiResult;
use crate::reply::{Found, etag};

pub(crate) struct Api;

/// The user or team that an actor is.
#[derive(Debug, Object)]
#[oai(rename = "SpecificActor")]
pub(crate) struct Specific {
    /// Its id.
    id: Uuid,
    /// Its name.
    str: String,
}

/// A user or a team.
#[derive(Debug, Object)]
#[oai(rename = "Actor")]
pub(crate) struct ActorOut {
    /// Its id: that of the user or team.
    id: Uuid,
    /// The name of the team; the user's full name, or his address if he has none.
    str: String,
    /// `user` or `team`.
    r#type: String,
    /// The user or team.
    specific: Specific,
}

/// An actor as it is stored.
#[derive(Debug, Object)]
#[oai(rename = "ActorObject")]
pub(crate) struct ActorStored {
    /// Its id.
    id: Uuid,
    /// `user` or `team`.
    r#type: String,
    /// The id of the user or team: the same.
    specific: Uuid,
}

impl From<Actor> for ActorOut {
    fn from(actor: Actor) -> Self {
        Self {
            id: actor.id,
            str: actor.name.clone(),
            r#type: actor.kind,
            specific: Specific { id: actor.id, str: actor.name },
        }
    }
}

#[OpenApi(tag = "super::openapi::Tags::Actors")]
impl Api {
    /// List actors
    ///
    /// The users and teams that you may see: with `view_user` users, with `view_team` teams. Ordered by `name` or `type`;
    /// `search` looks at name and address.
    #[oai(path = "/orgs/:organization_slug/actors", method = "get", operation_id = "list_actors")]
    async fn list(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        paging: Paging,
        /// The organization's slug.
        organization_slug: Path<String>,
    ) -> ApiResult<Json<List<ActorOut>>> {
        let (mut tx, by) = app.enter::<Oneself>(&caller, &organization_slug).await?;
        let page = actors::list(&mut tx, &by, &paging.request).await?;
        tx.commit().await?;
        Ok(Json(paging.envelope(page)))
    }

    /// Read an actor
    ///
    /// Needs what it takes to see the user or team.
    #[oai(path = "/orgs/:organization_slug/actors/:id", method = "get", operation_id = "get_actor")]
    async fn get(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The id of the user or team.
        id: Path<Uuid>,
    ) -> ApiResult<Found<ActorOut>> {
        let actor = find(&app, &caller, &organization_slug, id.0).await?;
        let tag = etag(actor.version);
        Ok(Found::Object(Json(actor.into()), tag))
    }

    /// Read an actor as it is stored
    ///
    /// Bare ids. Needs what it takes to see the user or team.
    #[oai(path = "/orgs/:organization_slug/actors/:id/object", method = "get", operation_id = "get_actor_object")]
    async fn object(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The id of the user or team.
        id: Path<Uuid>,
    ) -> ApiResult<Found<ActorStored>> {
        let Actor { id, kind, version, .. } = find(&app, &caller, &organization_slug, id.0).await?;
        Ok(Found::Object(Json(ActorStored { id, r#type: kind, specific: id }), etag(version)))
    }

    /// See what deleting an actor would do
    ///
    /// Deleting the user or team, that is: for those who may. Errors: 403 `outranked`; 409 `cannot_change_oneself`.
    #[oai(
        path = "/orgs/:organization_slug/actors/:id/cascade-info",
        method = "get",
        operation_id = "get_actor_cascade_info"
    )]
    async fn cascade(
        &self,
        caller: SignedIn,
        app: Data<&App>,
        /// The organization's slug.
        organization_slug: Path<String>,
        /// The id of the user or team.
        id: Path<Uuid>,
    ) -> ApiResult<Json<CascadeOut>> {
        let (mut tx, by) = app.enter::<Oneself>(&caller, &organization_slug).await?;
        Ok(Json(actors::preview(&mut tx, &by, id.0).await?.into()))
    }
}

async fn find(app: &App, caller: &SignedIn, slug: &str, id: Uuid) -> ApiResult<Actor> {
    let (mut tx, by) = app.enter::<Oneself>(caller, slug).await?;
    let actor = actors::get(&mut tx, &by, id).await?;
    tx.commit().await?;
    Ok(actor)
}
