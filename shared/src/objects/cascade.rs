//! What a delete would do, for whoever may do it.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::fate::Fate;
use super::names::{Wanted, resolve};
use super::{Kind, Object, get_to_change};
use crate::access::{Access, Caller};
use crate::db::Tx;
use crate::error::Result;

/// An object by its name.
#[derive(Clone, Debug)]
pub struct Named {
    /// Which kind.
    pub kind: Kind,
    /// Its id.
    pub id: Uuid,
    /// What a person calls it.
    pub name: String,
}

/// Objects of one kind.
#[derive(Debug)]
pub struct Group {
    /// Which kind.
    pub kind: Kind,
    /// Those that the caller sees, in the order of their names.
    pub objects: Vec<Named>,
}

/// Objects that share a fate.
#[derive(Debug, Default)]
pub struct Part {
    /// How many: those the caller does not see, sessions and tokens are counted, too.
    pub count: i64,
    /// Those he sees.
    pub groups: Vec<Group>,
}

/// What a delete would do.
#[derive(Debug)]
pub struct Cascade {
    /// What would go with the object; not the object itself.
    pub deleted: Part,
    /// What would stay, but lose something.
    pub affected: Part,
}

/// What deleting an object would do: for whoever may delete it.
///
/// Errors: 403 `permission_denied`, 409 `builtin`.
pub async fn cascade<T: Object, P>(tx: &mut Tx, by: &Access<P>, id: Uuid) -> Result<Cascade> {
    let object: T = get_to_change(tx, by.caller(), id, T::KIND.delete(), None).await?;
    preview(tx, by.caller(), &object).await
}

/// The same, where whether he may was asked.
pub(crate) async fn preview<T: Object>(tx: &mut Tx, caller: &Caller, object: &T) -> Result<Cascade> {
    let mut fate = Fate::find(tx, T::KIND, object.id()).await?;
    if let Some(own) = fate.deleted.get_mut(&T::KIND) {
        own.remove(&object.id());
    }
    let mut deleted = part(tx, caller, fate.deleted).await?;
    deleted.count += fate.credentials;
    Ok(Cascade { deleted, affected: part(tx, caller, fate.affected).await? })
}

async fn part(tx: &mut Tx, caller: &Caller, objects: BTreeMap<Kind, BTreeSet<Uuid>>) -> Result<Part> {
    let mut wanted = Wanted::default();
    for (kind, ids) in &objects {
        wanted.all(*kind, &ids.iter().copied().collect::<Vec<_>>());
    }
    let names = resolve(tx, caller, wanted).await?;
    let mut part = Part::default();
    for (kind, ids) in objects {
        part.count += i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let named = |id| names.get(kind, id).map(|name| Named { kind, id, name: name.to_owned() });
        let mut seen: Vec<Named> = ids.into_iter().filter_map(named).collect();
        seen.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
        if !seen.is_empty() {
            part.groups.push(Group { kind, objects: seen });
        }
    }
    Ok(part)
}
