//! The one place that reads the clock.

use jiff::Timestamp;

/// The present instant.
#[expect(
    clippy::disallowed_methods,
    reason = "a client has no clock to be given, and its tests name instants"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
