//! The same done to many objects, each held to the rules of the single call.

use std::collections::HashSet;

use uuid::Uuid;

use super::Object;
use super::names::{Wanted, resolve};
use crate::access::{Access, Permit, lock};
use crate::db::Tx;
use crate::error::{Error, Kind as RefusalKind, Refusal, Result};

/// How many ids one batch takes.
pub const MAX_BATCH: usize = 1_000;

/// What can be changed and deleted one by one, and so many at once.
pub trait Managed: Object {
    /// What to change.
    type Patch: Send + Sync;
    /// What it takes to try a change.
    type MayChange: Permit + Send + Sync;
    /// What it takes to try a deletion.
    type MayDelete: Permit + Send + Sync;

    /// Changes one.
    fn change(
        tx: &mut Tx,
        by: &Access<Self::MayChange>,
        id: Uuid,
        patch: &Self::Patch,
        if_version: Option<i64>,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Deletes one.
    fn delete(
        tx: &mut Tx,
        by: &Access<Self::MayDelete>,
        id: Uuid,
        if_version: Option<i64>,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// What to do with a list in a change.
#[derive(Clone, Debug)]
pub enum Edit<T> {
    /// This is it now.
    Set(Vec<T>),
    /// These, too.
    Add(Vec<T>),
    /// Without these.
    Remove(Vec<T>),
}

impl<T: Clone + PartialEq> Edit<T> {
    /// The list after it, each element once.
    #[must_use]
    pub fn apply(&self, present: &[T]) -> Vec<T> {
        let mut after = Vec::new();
        let (kept, added): (&[T], &[T]) = match self {
            Self::Set(wanted) => (&[], wanted),
            Self::Add(more) => (present, more),
            Self::Remove(_) => (present, &[]),
        };
        for element in kept.iter().chain(added) {
            let removed = matches!(self, Self::Remove(less) if less.contains(element));
            if !removed && !after.contains(element) {
                after.push(element.clone());
            }
        }
        after
    }

    /// The same by someone who sees only some of the list: what he does not see stays. A list that was read without it must
    /// not throw it out when it comes back.
    #[must_use]
    pub fn apply_to_seen(&self, present: &[T], is_seen: impl Fn(&T) -> bool) -> Vec<T> {
        let mut after = self.apply(present);
        for hidden in present.iter().filter(|element| !is_seen(element)) {
            if !after.contains(hidden) {
                after.push(hidden.clone());
            }
        }
        after
    }

    /// The elements it names.
    #[must_use]
    pub fn named(&self) -> &[T] {
        match self {
            Self::Set(list) | Self::Add(list) | Self::Remove(list) => list,
        }
    }
}

/// One that it was done to.
#[derive(Debug)]
pub struct Done {
    /// Its id.
    pub id: Uuid,
    /// Its name, before.
    pub name: String,
}

/// One that it was not done to.
#[derive(Debug)]
pub struct Failed {
    /// Its id.
    pub id: Uuid,
    /// Its name, if the caller sees it.
    pub name: Option<String>,
    /// Why.
    pub refusal: Refusal,
}

/// How it went, in the order of the ids.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Those it was done to.
    pub succeeded: Vec<Done>,
    /// The others.
    pub failed: Vec<Failed>,
}

/// Changes many alike. A change that is wrong for any of them by itself is refused for all.
pub async fn change_many<T: Managed>(
    tx: &mut Tx,
    by: &Access<T::MayChange>,
    ids: &[Uuid],
    patch: &T::Patch,
) -> Result<Outcome> {
    let mut run = Run::begin::<T, _>(tx, by, ids).await?;
    while let Some(id) = run.next(tx).await? {
        let result = T::change(tx, by, id, patch, None).await.map(drop);
        run.end(tx, id, result).await?;
    }
    Ok(run.outcome)
}

/// Deletes many. One that goes with another is gone when its turn comes.
pub async fn delete_many<T: Managed>(tx: &mut Tx, by: &Access<T::MayDelete>, ids: &[Uuid]) -> Result<Outcome> {
    let mut run = Run::begin::<T, _>(tx, by, ids).await?;
    while let Some(id) = run.next(tx).await? {
        let result = T::delete(tx, by, id, None).await;
        run.end(tx, id, result).await?;
    }
    Ok(run.outcome)
}

struct Run {
    names: Vec<(Uuid, Option<String>)>,
    at: usize,
    outcome: Outcome,
}

impl Run {
    async fn begin<T: Object, P>(tx: &mut Tx, by: &Access<P>, ids: &[Uuid]) -> Result<Self> {
        if ids.len() > MAX_BATCH {
            let detail = format!("A batch takes at most {MAX_BATCH} ids.");
            return Err(Refusal::invalid_field("ids", "too_many", detail).into());
        }
        lock(tx).await?;
        let mut once = HashSet::new();
        let ids: Vec<Uuid> = ids.iter().copied().filter(|id| once.insert(*id)).collect();
        let mut wanted = Wanted::default();
        wanted.all(T::KIND, &ids);
        let names = resolve(tx, by.caller(), wanted).await?;
        let names = ids.into_iter().map(|id| (id, names.get(T::KIND, id).map(str::to_owned))).collect();
        Ok(Self { names, at: 0, outcome: Outcome::default() })
    }

    async fn next(&mut self, tx: &mut Tx) -> Result<Option<Uuid>> {
        let Some((id, _)) = self.names.get(self.at) else { return Ok(None) };
        tx.savepoint().await?;
        Ok(Some(*id))
    }

    async fn end(&mut self, tx: &mut Tx, id: Uuid, result: Result<()>) -> Result<()> {
        let name = self.names.get_mut(self.at).and_then(|(_, name)| name.take());
        self.at += 1;
        match result {
            Ok(()) => {
                tx.end_savepoint(true).await?;
                self.outcome.succeeded.push(Done { id, name: name.unwrap_or_default() });
            }
            Err(Error::Refused(refusal)) if refusal.kind != RefusalKind::Invalid => {
                tx.end_savepoint(false).await?;
                let name = name.filter(|_| refusal.kind != RefusalKind::NotFound);
                self.outcome.failed.push(Failed { id, name, refusal });
            }
            Err(wrong) => return Err(wrong),
        }
        Ok(())
    }
}
