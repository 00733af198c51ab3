//! Queues that have an end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, PrincipalId};

/// A few turns, and a bounded number of those who wait for one.
#[derive(Clone)]
pub(super) struct Queue {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// A turn, and the place that was taken for it.
pub(super) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Queue {
    /// So many turns at once, and so many places for those who have one or wait.
    pub(super) fn new(turns: usize, places: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(turns)), places: Arc::new(Semaphore::new(places)) }
    }

    /// Waits for a turn, unless too many wait already.
    pub(super) async fn turn(&self, full: &'static str) -> Result<Turn, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Busy(full))?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        Ok(Turn { _turn: turn.expect("a queue is never closed"), _place: place })
    }

    #[cfg(test)]
    pub(super) fn places_left(&self) -> usize {
        self.places.available_permits()
    }
}

/// Counts what each principal has running or waiting. Strangers count as one.
#[derive(Clone, Default)]
pub(super) struct Shares(Arc<Mutex<HashMap<Option<PrincipalId>, usize>>>);

/// One principal's share of something.
pub(super) struct Share {
    of: Shares,
    principal: Option<PrincipalId>,
}

impl Shares {
    /// Takes one more, unless the principal has so many already.
    pub(super) fn take(
        &self,
        principal: Option<PrincipalId>,
        most: usize,
        full: &'static str,
    ) -> Result<Share, Error> {
        let mut counts = self.counts();
        let count = counts.entry(principal).or_default();
        if *count >= most {
            return Err(Error::Busy(full));
        }
        *count += 1;
        Ok(Share { of: self.clone(), principal })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.counts().is_empty()
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Option<PrincipalId>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.of.counts();
        if let Some(count) = counts.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.principal);
            }
        }
    }
}
