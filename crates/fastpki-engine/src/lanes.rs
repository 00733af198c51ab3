//! Where the processor is busy: off the async runtime's threads, as many at once as there are cores.

mod queue;
mod reading;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{Error, PrincipalId};
use queue::{Queue, Share, Shares, Turn};
use reading::{Readers, Reading};

/// A lane for each kind of work, so that a few slow key generations hold up neither a thousand signatures
/// nor those who sign in.
#[derive(Clone)]
pub(crate) struct Lanes {
    signing: Arc<Semaphore>,
    keys: Arc<Semaphore>,
    slow_keys: Arc<Semaphore>,
    imports: Arc<Semaphore>,
    large_bodies: Queue,
    large_body_shares: Shares,
    sign_ins: Queue,
    passwords: Queue,
    password_shares: Shares,
    readers: Readers,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lane = |width| Arc::new(Semaphore::new(width));
        let half = cores.div_ceil(2);
        Self {
            signing: lane(cores),
            keys: lane(cores),
            slow_keys: lane(half),
            imports: lane(half),
            large_bodies: Queue::new(LARGE_BODIES, LARGE_BODIES + LARGE_BODIES_WAITING),
            large_body_shares: Shares::default(),
            sign_ins: Queue::new(cores, cores * SIGN_INS_PER_CORE),
            passwords: Queue::new(half, half * PASSWORDS_PER_TURN),
            password_shares: Shares::default(),
            readers: Readers::default(),
        }
    }

    /// Signing, verifying, encoding: below ten milliseconds; checking 1,000 names against a long policy: below 250.
    pub(crate) async fn sign<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = Arc::clone(&self.signing).acquire_owned().await;
        run(turn, work).await
    }

    /// Making keys that take seconds.
    pub(crate) async fn keys<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = Arc::clone(&self.keys).acquire_owned().await;
        run(turn, work).await
    }

    /// Making keys that take up to a minute: they hold up none of the others.
    pub(crate) async fn slow_keys<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = Arc::clone(&self.slow_keys).acquire_owned().await;
        run(turn, work).await
    }

    /// A turn to send a large body and to have it dealt with. Each principal has one at once.
    pub(crate) async fn large_body(&self, principal: PrincipalId) -> Result<LargeBodyTurn, Error> {
        let share = self.large_body_shares.take(Some(principal), 1, OWN_LARGE_BODY)?;
        let turn = self.large_bodies.turn(TOO_MANY_LARGE_BODIES).await?;
        Ok(LargeBodyTurn { _turn: Arc::new((share, turn)) })
    }

    /// Reading and checking thousands of certificates that are to be imported: up to a minute.
    pub(crate) async fn import<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = Arc::clone(&self.imports).acquire_owned().await;
        run(turn, work).await
    }

    /// Checking the password of somebody who signs in: a third of a second. No other work stands before it.
    pub(crate) async fn sign_in<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = self.sign_ins.turn(TOO_MANY_SIGN_INS).await?;
        run(turn, work).await
    }

    /// Hashing a new password, which this principal asks for: a third of a second. Each has a few at once, so that
    /// others come to their turns.
    pub(crate) async fn password<T: Send + 'static>(
        &self,
        principal: Option<PrincipalId>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let share = self.password_shares.take(principal, PASSWORDS_PER_USER, TOO_MANY_PASSWORDS)?;
        let turn = self.passwords.turn(TOO_MANY_PASSWORDS).await?;
        run((share, turn), work).await
    }

    /// A turn to read what takes long. Each principal has a few at once, so that others come to theirs.
    pub(crate) async fn reading(&self, principal: PrincipalId) -> Reading {
        self.readers.turn(principal).await
    }
}

/// A turn to send a large body and to have it dealt with; over when the last of its clones is dropped.
#[derive(Clone)]
pub struct LargeBodyTurn {
    _turn: Arc<(Share, Turn)>,
}

/// Works on a thread that may be busy. The turn is kept until the work is done, also where nobody waits for it any
/// more: a caller who hangs up does not make room for another.
async fn run<T: Send + 'static>(
    turn: impl Send + 'static,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(move || {
        let result = work();
        drop(turn);
        result
    })
    .await
    .map_err(|error| Error::Internal(format!("work was cut short: {error}")))
}

const OWN_LARGE_BODY: &str = "another large request of yours is being dealt with";
const TOO_MANY_LARGE_BODIES: &str = "too many large requests wait already";
/// Large bodies in memory at once: each takes up to some 300 MB while it is dealt with.
const LARGE_BODIES: usize = 2;
/// Those that wait: more than people who import CAs at the same time.
const LARGE_BODIES_WAITING: usize = 8;
const TOO_MANY_SIGN_INS: &str = "too many users sign in at once";
const TOO_MANY_PASSWORDS: &str = "too many passwords are changed at once";
/// Sign-ins that run or wait, for each core: at a third of a second each, the last waits for ten seconds, about as long
/// as people do.
const SIGN_INS_PER_CORE: usize = 32;
/// New passwords that run or wait, for each turn of their lane: the last waits for some five seconds.
const PASSWORDS_PER_TURN: usize = 16;
/// New passwords of one user that run or wait: an admin who sets up a team by a script has no more at once.
const PASSWORDS_PER_USER: usize = 8;

#[cfg(test)]
mod tests;
