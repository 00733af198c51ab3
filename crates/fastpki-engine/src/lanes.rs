//! Where the processor is busy: off the async runtime's threads, as many at once as there are cores.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::Error;

/// A lane for each kind of work, so that a few slow key generations hold up neither a thousand signatures
/// nor those who sign in.
#[derive(Clone)]
pub(crate) struct Lanes {
    signing: Arc<Semaphore>,
    keys: Arc<Semaphore>,
    passwords: Arc<Semaphore>,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lane = || Arc::new(Semaphore::new(cores));
        Self { signing: lane(), keys: lane(), passwords: lane() }
    }

    /// Signing, verifying, encoding: below ten milliseconds; checking 1,000 names against a long policy: below 250.
    pub(crate) async fn sign<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        run(&self.signing, work).await
    }

    /// Making and opening keys: up to seconds.
    pub(crate) async fn keys<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        run(&self.keys, work).await
    }

    /// Hashing passwords: a third of a second.
    pub(crate) async fn passwords<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        run(&self.passwords, work).await
    }
}

async fn run<T: Send + 'static>(
    lane: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let turn = Arc::clone(lane).acquire_owned().await.expect("a lane is never closed");
    tokio::task::spawn_blocking(move || {
        let result = work();
        drop(turn);
        result
    })
    .await
    .map_err(|error| Error::Internal(format!("work was cut short: {error}")))
}
