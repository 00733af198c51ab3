//! Where the processor is busy: off the async runtime's threads, as many at once as there are cores.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::Error;

/// Two lanes, so that a few slow key generations do not hold up a thousand signatures.
#[derive(Clone)]
pub(crate) struct Lanes {
    fast: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { fast: Arc::new(Semaphore::new(cores)), slow: Arc::new(Semaphore::new(cores)) }
    }

    /// Signing, verifying, encoding: below ten milliseconds.
    pub(crate) async fn fast<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        run(&self.fast, work).await
    }

    /// Making keys, hashing passwords: up to seconds.
    pub(crate) async fn slow<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        run(&self.slow, work).await
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
