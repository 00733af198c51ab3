//! Reading what takes long, a few at once for each principal.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::PrincipalId;

/// The turns of every principal that reads.
#[derive(Clone, Default)]
pub(super) struct Readers(Arc<Mutex<HashMap<PrincipalId, Arc<Semaphore>>>>);

/// A principal's turn to read; over when it is dropped.
pub(crate) struct Reading {
    of: Readers,
    principal: PrincipalId,
    turn: Option<OwnedSemaphorePermit>,
}

impl Readers {
    /// Waits until the principal has a turn.
    pub(super) async fn turn(&self, principal: PrincipalId) -> Reading {
        // Made before the wait: a request that is given up while it waits tidies up as well.
        let mut reading = Reading { of: self.clone(), principal, turn: None };
        let turns = {
            let mut all = self.all();
            Arc::clone(all.entry(principal).or_insert_with(|| Arc::new(Semaphore::new(READS_PER_PRINCIPAL))))
        };
        reading.turn = turns.acquire_owned().await.ok();
        reading
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<PrincipalId, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut all = self.of.all();
        self.turn = None;
        // Those who have a turn or wait for one hold it too.
        if all.get(&self.principal).is_some_and(|turns| Arc::strong_count(turns) == 1) {
            all.remove(&self.principal);
        }
    }
}

/// Long reads of one principal at once: half of what SQLite has, so that two users do not keep all others waiting.
const READS_PER_PRINCIPAL: usize = 2;
