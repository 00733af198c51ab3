//! Which addresses are one client's.

use std::net::{IpAddr, Ipv6Addr};

/// The network of so many bits that an IPv6 address is in; an IPv4 address is one by itself.
pub(crate) fn network(address: IpAddr, prefix: u8) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let host = 128_u32.saturating_sub(prefix.into());
            let mask = u128::MAX.checked_shl(host).unwrap_or_default();
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
        v4 => v4,
    }
}
