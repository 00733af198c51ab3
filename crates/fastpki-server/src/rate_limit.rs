//! How often one client address may do something.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use fastpki_types::Timestamp;

use crate::settings::RateLimits;

/// Counts attempts in fixed windows, for each address by itself.
pub(crate) struct RateLimiter {
    limits: RateLimits,
    counts: Mutex<HashMap<(IpAddr, usize), Window>>,
    /// The second in which windows that are over were last forgotten.
    forgotten: AtomicI64,
}

/// A window of time: its number since 1970, and the attempts in it.
struct Window {
    number: i64,
    attempts: u32,
}

impl RateLimiter {
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self { limits, counts: Mutex::default(), forgotten: AtomicI64::new(0) }
    }

    /// Counts an attempt; past a limit, the seconds until it is lifted.
    pub(crate) fn attempt(&self, address: IpAddr, now: Timestamp) -> Result<(), u64> {
        let address = subscriber(address);
        let seconds = now.as_seconds();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_ADDRESSES && self.forgotten.swap(seconds, Ordering::Relaxed) != seconds {
            counts.retain(|(_, limit), window| window.number == seconds / self.window(*limit));
        }
        // When there are too many, those not known yet count as one.
        let full = counts.len() >= MAX_ADDRESSES;
        let address = if full && !counts.contains_key(&(address, 0)) { OVERFLOW } else { address };
        let mut wait = None;
        for (index, limit) in self.limits.iter().enumerate() {
            let length = self.window(index);
            let number = seconds / length;
            let window = counts.entry((address, index)).or_insert(Window { number, attempts: 0 });
            if window.number != number {
                *window = Window { number, attempts: 0 };
            }
            window.attempts = window.attempts.saturating_add(1);
            if window.attempts > limit.count {
                let left = (number + 1) * length - seconds;
                wait = wait.max(u64::try_from(left).ok());
            }
        }
        wait.map_or(Ok(()), Err)
    }

    fn window(&self, limit: usize) -> i64 {
        i64::try_from(self.limits[limit].window_seconds).unwrap_or(i64::MAX)
    }
}

/// Who has an IPv6 address has its whole /64.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

/// Stands for all addresses beyond those that are remembered.
const OVERFLOW: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
/// Addresses that are remembered before those whose windows are over are forgotten: 10 MB.
const MAX_ADDRESSES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::RateLimit;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    fn limiter(limits: &[(u32, u64)]) -> RateLimiter {
        let limit = |&(count, window_seconds)| RateLimit { count, window_seconds };
        RateLimiter::new(limits.iter().map(limit).collect())
    }

    #[test]
    fn attempts_past_the_limit_wait_for_the_next_window() {
        let limiter = limiter(&[(2, 60)]);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(limiter.attempt(address, at(10)), Ok(()));
        assert_eq!(limiter.attempt(address, at(11)), Ok(()));
        assert_eq!(limiter.attempt(address, at(12)), Err(48));
        assert_eq!(limiter.attempt(address, at(60)), Ok(()));
    }

    #[test]
    fn addresses_beyond_what_is_remembered_count_as_one() {
        let limiter = limiter(&[(1, 86_400)]);
        for number in 0..u32::try_from(MAX_ADDRESSES).unwrap() {
            assert_eq!(limiter.attempt(std::net::Ipv4Addr::from_bits(number).into(), at(0)), Ok(()));
        }
        assert_eq!(limiter.attempt("192.0.2.1".parse().unwrap(), at(1)), Ok(()));
        assert!(limiter.attempt("192.0.2.2".parse().unwrap(), at(2)).is_err());
        assert!(limiter.counts.lock().unwrap().len() <= MAX_ADDRESSES + 1);
    }

    #[test]
    fn all_limits_hold_at_once() {
        let limiter = limiter(&[(5, 60), (1, 3600)]);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(limiter.attempt(address, at(0)), Ok(()));
        assert_eq!(limiter.attempt(address, at(100)), Err(3500));
    }

    #[test]
    fn each_address_counts_for_itself_but_a_v6_network_as_one() {
        let limiter = limiter(&[(1, 60)]);
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            assert_eq!(limiter.attempt(address.parse().unwrap(), at(0)), Ok(()), "{address}");
        }
        for address in ["2001:db8::2", "::ffff:192.0.2.1"] {
            assert_eq!(limiter.attempt(address.parse().unwrap(), at(0)), Err(60), "{address}");
        }
    }
}
