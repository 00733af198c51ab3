//! How often one client address may do something.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use fastpki_types::Timestamp;

use crate::{network::network, settings::RateLimits};

/// Counts attempts in fixed windows, for each address by itself, and for networks of addresses.
pub(crate) struct RateLimiter {
    limits: RateLimits,
    counts: Mutex<HashMap<Key, Window>>,
    /// The second in which windows that are over were last forgotten.
    forgotten: AtomicI64,
    overflow: RandomState,
}

/// What is counted: a network, its prefix, and which limit.
type Key = (IpAddr, u8, usize);

/// A window of time: its number since 1970, and the attempts in it.
struct Window {
    number: i64,
    attempts: u32,
}

impl RateLimiter {
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self { limits, counts: Mutex::default(), forgotten: AtomicI64::new(0), overflow: RandomState::new() }
    }

    /// Counts an attempt; past a limit, the seconds until it is lifted.
    ///
    /// An attempt that is refused for a network counts for none that is wider, so that nobody uses up what their
    /// neighbours have; and one that is refused for a wide network is not remembered for the narrow ones, so that
    /// nobody fills the memory from one.
    pub(crate) fn attempt(&self, address: IpAddr, now: Timestamp) -> Result<(), u64> {
        let seconds = now.as_seconds();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_ADDRESSES && self.forgotten.swap(seconds, Ordering::Relaxed) != seconds {
            counts.retain(|(_, _, limit), window| window.number == seconds / self.length(*limit));
        }
        let networks = self.networks(address, &counts);
        for (network, prefix, times) in &networks {
            let waits = (0..self.limits.len()).filter_map(|limit| {
                let window = counts.get(&(*network, *prefix, limit))?;
                let number = seconds / self.length(limit);
                let most = self.limits[limit].count.saturating_mul(*times);
                (window.number == number && window.attempts >= most).then_some(limit)
            });
            let left = |limit| (seconds / self.length(limit) + 1) * self.length(limit) - seconds;
            if let Some(wait) = waits.map(left).max() {
                return Err(u64::try_from(wait).unwrap_or(1));
            }
        }
        for (network, prefix, _) in networks {
            for limit in 0..self.limits.len() {
                let number = seconds / self.length(limit);
                let window = counts.entry((network, prefix, limit)).or_insert(Window { number, attempts: 0 });
                if window.number != number {
                    *window = Window { number, attempts: 0 };
                }
                window.attempts = window.attempts.saturating_add(1);
            }
        }
        Ok(())
    }

    /// The networks that an address counts in, the narrowest first, and how many times a client's attempts each has.
    fn networks(&self, address: IpAddr, counts: &HashMap<Key, Window>) -> Vec<(IpAddr, u8, u32)> {
        let all: &[(u8, u32)] = if address.to_canonical().is_ipv6() { &NETWORKS } else { &NETWORKS[..1] };
        let networks = all.iter().map(|(prefix, times)| (network(address, *prefix), *prefix, *times));
        let known = |(network, prefix, times): (IpAddr, u8, u32)| {
            let is_known = counts.len() < MAX_ADDRESSES || counts.contains_key(&(network, prefix, 0));
            (if is_known { network } else { self.stand_in(network) }, prefix, times)
        };
        networks.map(known).collect()
    }

    /// When too many are remembered, those not known yet share a few places.
    fn stand_in(&self, network: IpAddr) -> IpAddr {
        let place = self.overflow.hash_one(network) % OVERFLOW_PLACES;
        // Addresses that no client has: of the network ::/64.
        IpAddr::V6(Ipv6Addr::from_bits(place.into()))
    }

    fn length(&self, limit: usize) -> i64 {
        i64::try_from(self.limits[limit].window_seconds).unwrap_or(i64::MAX)
    }
}

/// Networks of IPv6 that have a bound, and how many times that of one client. A client has its /64; a site may have
/// a /48, with 65,536 of them; a provider has a /32. An IPv4 address counts by itself.
const NETWORKS: [(u8, u32); 3] = [(64, 1), (48, 10), (32, 100)];
/// Networks that are remembered before those whose windows are over are forgotten: 10 MB.
const MAX_ADDRESSES: usize = 100_000;
/// Places of those beyond.
const OVERFLOW_PLACES: u64 = 1024;

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
    fn addresses_beyond_what_is_remembered_share_a_few_places() {
        let limiter = limiter(&[(1, 86_400)]);
        for number in 0..u32::try_from(MAX_ADDRESSES).unwrap() {
            assert_eq!(limiter.attempt(std::net::Ipv4Addr::from_bits(number).into(), at(0)), Ok(()));
        }
        let places = usize::try_from(OVERFLOW_PLACES).unwrap();
        let strangers = (0..10 * OVERFLOW_PLACES).filter(|number| {
            let address = Ipv6Addr::from_bits(u128::from(*number) << 96 | 1 << 127);
            limiter.attempt(address.into(), at(1)).is_ok()
        });
        assert!(strangers.count() <= places);
        assert!(limiter.counts.lock().unwrap().len() <= MAX_ADDRESSES + 3 * places);
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

    #[test]
    fn site_has_ten_times_the_attempts_of_a_client_and_its_neighbours_keep_theirs() {
        let limiter = limiter(&[(2, 60)]);
        let of = |site: u128, client: u128| {
            let bits = 0x2001_0db8_u128 << 96 | site << 80 | client << 64 | 1;
            limiter.attempt(Ipv6Addr::from_bits(bits).into(), at(0))
        };
        let allowed = (0..65_536).filter(|client| of(1, *client).is_ok()).count();
        assert_eq!(allowed, 20);
        assert_eq!(of(2, 0), Ok(()));
        assert!(limiter.counts.lock().unwrap().len() < 30, "what is refused is not remembered");
    }

    #[test]
    fn client_that_is_refused_uses_up_nothing_of_its_neighbours() {
        let limiter = limiter(&[(2, 60)]);
        let client: IpAddr = "2001:db8:1:1::1".parse().unwrap();
        let allowed = (0..1000).filter(|_| limiter.attempt(client, at(0)).is_ok()).count();
        assert_eq!(allowed, 2);
        for neighbour in 2..11 {
            let address: IpAddr = format!("2001:db8:1:{neighbour}::1").parse().unwrap();
            assert_eq!(limiter.attempt(address, at(0)), Ok(()));
        }
    }
}
