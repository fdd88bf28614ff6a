//! Actors: a user or a team, for whatever points at "someone". An actor's id is that of the user or team he is.

use uuid::Uuid;

use crate::access::{Access, Caller, DeleteTeam, DeleteUser, Oneself, Reach};
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::objects::{Cascade, Kind, cascade, name_of_user};
use crate::page::{Listed, Page, PageRequest, Query, Sort};
use crate::teams::Team;
use crate::users;

/// A user or a team.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns, described on the wire")]
pub struct Actor {
    pub id: Uuid,
    /// `user` or `team`.
    pub kind: String,
    pub name: String,
    pub version: i64,
}

impl Listed for Actor {
    const SORTS: &'static [Sort] = &[Sort::text("name", "o.name_key"), Sort::text("type", "o.kind")];
    const DEFAULT_SORT: &'static str = "name";
    const ID: &'static str = "o.id";
}

const COLUMNS: &str = "o.id, o.kind, o.name, o.version";
const FROM: &str = concat!(
    "(select u.organization_id, u.id, 'user' as kind, ",
    name_of_user!("u"),
    " as name, u.name_key, u.email as address, null::uuid as folder_id, u.version from users u \
     union all \
     select t.organization_id, t.id, 'team', t.name, t.name_key, coalesce(t.team_email, ''), t.folder_id, t.version from teams t) o"
);

/// Actors that the caller sees: he sees one where he sees the user or team. He needs `view_user` or `view_team`.
async fn seen(tx: &mut Tx, caller: &Caller) -> Result<Query> {
    let kinds = [Kind::User, Kind::Team];
    let reaches = Reach::load_all(tx, caller.holder(), &kinds.map(Kind::view)).await?;
    let seen: Vec<(Kind, Reach)> = kinds.into_iter().zip(reaches).filter(|(_, reach)| !reach.is_empty()).collect();
    if seen.is_empty() {
        let detail = "This needs the permission view_user or view_team.";
        return Err(Refusal::forbidden("permission_denied", detail).into());
    }
    let mut query = Query::new(COLUMNS, FROM, "o.organization_id", tx);
    query.either(&seen, |query, (kind, reach)| {
        query.equals("o.kind", Some(kind.model()));
        kind.seen(query, reach, caller.user_id);
    });
    Ok(query)
}

/// The actors that the caller sees.
///
/// Errors: 403 `permission_denied`.
pub async fn list(tx: &mut Tx, by: &Access<Oneself>, page: &PageRequest) -> Result<Page<Actor>> {
    let mut query = seen(tx, by.caller()).await?;
    query.search(&["o.name", "o.address"], page.search.as_deref());
    query.fetch(tx, page).await
}

/// One actor, if the caller sees him.
///
/// Errors: 403 `permission_denied`.
pub async fn get(tx: &mut Tx, by: &Access<Oneself>, id: Uuid) -> Result<Actor> {
    let mut query = seen(tx, by.caller()).await?;
    query.equals("o.id", Some(id));
    query.find(tx).await?.ok_or_else(|| Refusal::not_found().into())
}

/// What deleting the user or team would do: for whoever may delete it.
///
/// Errors: 403 `permission_denied`, `outranked`, 409 `cannot_change_oneself`.
pub async fn preview(tx: &mut Tx, by: &Access<Oneself>, id: Uuid) -> Result<Cascade> {
    let actor = get(tx, by, id).await?;
    if actor.kind == Kind::User.model() {
        let by = by.caller().may::<DeleteUser>(tx).await?;
        users::cascade(tx, &by, id.into()).await
    } else {
        let by = by.caller().may::<DeleteTeam>(tx).await?;
        cascade::<Team, _>(tx, &by, id).await
    }
}
