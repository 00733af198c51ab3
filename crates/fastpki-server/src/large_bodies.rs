//! Large bodies: few at once, and off the async runtime's threads.

use std::sync::Arc;

use fastpki_engine::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of those who send large bodies.
#[derive(Clone)]
pub(crate) struct LargeBodies {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// A turn to send a large body and to have it dealt with; over when the last of its clones is dropped.
#[derive(Clone)]
pub(crate) struct LargeBodyTurn {
    _turn: Arc<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl LargeBodies {
    pub(crate) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), places: Arc::new(Semaphore::new(WAITING + AT_ONCE)) }
    }

    /// Waits for a turn, unless too many wait already.
    pub(crate) async fn turn(&self) -> Result<LargeBodyTurn, Error> {
        let full = |_| Error::Busy("too many large requests wait already");
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(full)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.expect("turns are never closed");
        Ok(LargeBodyTurn { _turn: Arc::new((place, turn)) })
    }
}

/// Large bodies in memory at once: each takes up to some 300 MB while it is dealt with.
const AT_ONCE: usize = 2;
/// Those that wait: more than people who import CAs at the same time.
const WAITING: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn few_have_turns_some_wait_and_the_rest_are_told_to_come_again() {
        let bodies = LargeBodies::new();
        let first = bodies.turn().await.unwrap();
        let _second = bodies.turn().await.unwrap();
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let bodies = bodies.clone();
                tokio::spawn(async move { bodies.turn().await.is_ok() })
            })
            .collect();
        while bodies.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(bodies.turn().await, Err(Error::Busy(_))));
        // Reading on another thread keeps the turn.
        let on_a_thread = first.clone();
        drop(first);
        assert_eq!(bodies.turns.available_permits(), 0);
        drop(on_a_thread);
        for waiting in waiting {
            assert!(waiting.await.unwrap());
        }
    }
}
