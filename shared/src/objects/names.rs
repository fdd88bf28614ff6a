//! The names of the objects that others name, as far as the caller may see them: what he may not see has none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::Kind;
use crate::access::{Caller, Permission, Reach};
use crate::db::Tx;
use crate::error::Result;
use crate::page::Query;

/// Objects whose names are asked for.
#[derive(Debug, Default)]
pub struct Wanted(BTreeMap<Kind, BTreeSet<Uuid>>);

impl Wanted {
    /// One, if there is one.
    pub fn one(&mut self, kind: Kind, id: Option<Uuid>) {
        self.all(kind, id.as_slice());
    }

    /// Several.
    pub fn all(&mut self, kind: Kind, ids: &[Uuid]) {
        if !ids.is_empty() {
            self.0.entry(kind).or_default().extend(ids);
        }
    }
}

/// The names of those that are seen.
#[derive(Debug, Default)]
pub struct Names(HashMap<(Kind, Uuid), String>);

impl Names {
    /// Knows some more of a kind.
    pub(crate) fn extend(&mut self, kind: Kind, names: impl IntoIterator<Item = (Uuid, String)>) {
        self.0.extend(names.into_iter().map(|(id, name)| ((kind, id), name)));
    }

    /// The ids of those of a kind that are known.
    pub(crate) fn ids(&self, kind: Kind) -> impl Iterator<Item = Uuid> {
        self.0.keys().filter(move |(known, _)| *known == kind).map(|(_, id)| *id)
    }

    /// The name of one, if the caller sees it.
    #[must_use]
    pub fn get(&self, kind: Kind, id: Uuid) -> Option<&str> {
        self.0.get(&(kind, id)).map(String::as_str)
    }
}

/// What a person calls a user: his name, or his address if he has none. `users.name_key` is the same in lower case.
macro_rules! name_of_user {
    ($table:literal) => {
        concat!(
            "coalesce(nullif(trim(",
            $table,
            ".first_name || ' ' || ",
            $table,
            ".last_name), ''), ",
            $table,
            ".email)"
        )
    };
}
pub(crate) use name_of_user;

/// What a person calls an object `o`.
const fn columns(kind: Kind) -> &'static str {
    match kind {
        Kind::User => concat!("o.id, ", name_of_user!("o")),
        Kind::Invitation => "o.id, o.invitee_identifier",
        _ => "o.id, o.name",
    }
}

/// Finds the names: one query a kind, however many objects there are.
pub async fn resolve(tx: &mut Tx, caller: &Caller, wanted: Wanted) -> Result<Names> {
    let kinds: Vec<Kind> = wanted.0.keys().copied().collect();
    let views: Vec<Permission> = kinds.iter().map(|kind| kind.view()).collect();
    let reaches = if kinds.is_empty() { Vec::new() } else { Reach::load_all(tx, caller.holder(), &views).await? };
    find(tx, caller, wanted, reaches).await
}

async fn find(tx: &mut Tx, caller: &Caller, wanted: Wanted, reaches: Vec<Reach>) -> Result<Names> {
    let mut names = Names::default();
    for ((kind, ids), reach) in wanted.0.into_iter().zip(reaches) {
        let mut query = Query::new(columns(kind), kind.table(), "o.organization_id", tx);
        query.ids(Some(ids.into_iter().collect()));
        kind.seen(&mut query, &reach, caller.user_id);
        names.extend(kind, query.all(tx).await?);
    }
    Ok(names)
}
