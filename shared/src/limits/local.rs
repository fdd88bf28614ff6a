//! The limits of this process alone, for when Redis does not answer: what `take.lua` does, over a map of bounded size.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;

use super::{Buckets, DELAY, FAMILIAR_FOR, Key, Taken, WAITED_FOR};

/// Keys it remembers, some 4 MB. Beyond it the one that was used longest ago is forgotten: to get there on purpose takes as
/// many failures, each of which costs a hash.
const MOST: usize = 50_000;

/// See the module.
pub(super) struct Local(Mutex<LruCache<Key, i64>>);

impl Default for Local {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new_unbounded()))
    }
}

impl Local {
    fn lock(&self) -> MutexGuard<'_, LruCache<Key, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one of every bucket, or of none of them, as `take.lua` does.
    pub(super) fn take(&self, buckets: &Buckets, now: i64) -> Taken {
        let mut map = self.lock();
        let (mut wait, mut is_besieged) = (0, false);
        let mut after = Vec::new();
        for (key, rate) in &buckets.strict {
            let free = map.get(key).map_or(now, |free| now.max(*free)) + rate.interval;
            wait = wait.max(free - rate.burst * rate.interval - now);
            after.push((*key, free));
        }
        if let Some(siege) = &buckets.siege {
            let (key, rate) = siege.account;
            let free = map.get(&key).map_or(now, |free| now.max(*free)) + rate.interval;
            if free - rate.burst * rate.interval - now <= 0 {
                after.push((key, free));
            } else {
                is_besieged = true;
            }
            if is_besieged && map.get(&siege.familiar).is_none_or(|until| *until <= now) {
                let waits_until = map.get(&siege.waited).copied().filter(|free| free + WAITED_FOR > now);
                if waits_until.is_none_or(|free| free <= now && wait == 0) {
                    map.insert(siege.waited, now + DELAY);
                }
                wait = wait.max(waits_until.map_or(DELAY, |free| free - now));
            }
        }
        if wait <= 0 {
            map.extend(after);
            while map.len() > MOST {
                map.remove_lru();
            }
        }
        Taken::of(wait, is_besieged)
    }

    /// Gives back one of every bucket.
    pub(super) fn give_back(&self, buckets: &Buckets, now: i64) {
        let mut map = self.lock();
        for (key, rate) in buckets.taken() {
            match map.get(&key).map(|free| free - rate.interval) {
                Some(free) if free > now => drop(map.insert(key, free)),
                Some(_) => drop(map.remove(&key)),
                None => {}
            }
        }
    }

    /// Forgets the first bucket, and that the client waited; it is familiar from now on.
    pub(super) fn clear(&self, buckets: &Buckets, now: i64) {
        let mut map = self.lock();
        if let Some((own, _)) = buckets.strict.first() {
            map.remove(own);
        }
        if let Some(siege) = &buckets.siege {
            map.remove(&siege.waited);
            map.insert(siege.familiar, now + FAMILIAR_FOR);
        }
    }
}
