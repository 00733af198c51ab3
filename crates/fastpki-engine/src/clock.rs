//! Time and randomness. Nothing else in this program reads the clock or makes randomness, but for the
//! cryptographic libraries, which draw keys, IVs and salts by themselves.

use std::sync::atomic::{AtomicI64, Ordering};

use fastpki_store::{CLOCKS_DIFFER_SECONDS, FernetKey};
use fastpki_types::Timestamp;
use zeroize::Zeroizing;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// This instant.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    fn now(&self) -> Timestamp {
        jiff::Timestamp::now().into()
    }
}

/// A clock that stands still until it is moved.
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at this instant.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_micros()))
    }

    /// Moves the clock forward, or back.
    pub fn advance(&self, seconds: i64) {
        self.advance_millis(seconds * 1000);
    }

    /// Moves the clock by milliseconds.
    pub fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis * 1000, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
            .expect("it is moved by seconds, not by millennia")
    }
}

/// Whether an instant that was written down lies ahead of now by more than clocks differ: then a clock was wrong when it
/// was written, or is now, and nothing may be decided by it.
pub(crate) fn is_ahead(instant: Timestamp, now: Timestamp) -> bool {
    instant > now.plus_seconds(CLOCKS_DIFFER_SECONDS)
}

/// Whether something that was written down is at the most so many seconds old, and not ahead.
pub(crate) fn is_within(instant: Timestamp, seconds: i64, now: Timestamp) -> bool {
    now < instant.plus_seconds(seconds) && !is_ahead(instant, now)
}

/// Makes random bytes, fit for secrets.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, bytes: &mut [u8]);
}

/// The cryptographic library's generator.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is where randomness is made")]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the system's random generator works");
    }
}

/// A new key for `PRIVATE_KEY_ENCRYPTION_KEY`.
pub fn new_encryption_key(entropy: &dyn Entropy) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy.fill(&mut *bytes);
    FernetKey::text_from_random(&bytes)
}

/// A new value for `SECRET_KEY`: 43 characters, 256 bits.
pub fn new_secret_key(entropy: &dyn Entropy) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy.fill(&mut *bytes);
    Zeroizing::new(base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes.as_slice()))
}
