//! How far a long work has come, for whoever watches it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// How far a long work has come. Shared between the work and its watcher.
#[derive(Debug, Default)]
pub struct Progress {
    stage: AtomicU8,
    keys: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing that takes long.
    Idle,
    /// Reading private keys and holding each against its certificate.
    Checking,
    /// Storing private keys anew.
    Rewriting,
    /// Overwriting what is left of how they were stored before; nobody can tell how far it is.
    Wiping,
}

impl Progress {
    /// What is being done, how many private keys are done, and what part of the work that is, 0 to 1.
    pub fn now(&self) -> (Stage, u64, f64) {
        let stage = STAGES[usize::from(self.stage.load(Relaxed))];
        let (done, total) = (self.done.load(Relaxed), self.total.load(Relaxed));
        #[expect(clippy::cast_precision_loss, reason = "for a bar of some hundred points")]
        let part = if total == 0 { 0.0 } else { done.min(total) as f64 / total as f64 };
        (stage, self.keys.load(Relaxed), part)
    }

    pub(super) fn begin(&self, stage: Stage, total: u64) {
        self.keys.store(0, Relaxed);
        self.done.store(0, Relaxed);
        self.total.store(total, Relaxed);
        let place = STAGES.iter().position(|known| *known == stage).and_then(|place| place.try_into().ok());
        self.stage.store(place.unwrap_or(0), Relaxed);
    }

    pub(super) fn end(&self) {
        self.begin(Stage::Idle, 0);
    }

    pub(super) fn advance(&self, done: u64, keys: u64) {
        self.done.fetch_add(done, Relaxed);
        self.keys.fetch_add(keys, Relaxed);
    }
}

const STAGES: [Stage; 4] = [Stage::Idle, Stage::Checking, Stage::Rewriting, Stage::Wiping];
