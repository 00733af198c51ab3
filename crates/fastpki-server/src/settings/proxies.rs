//! The proxies whose `X-Forwarded-*` headers are believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::reader::Fault;

/// Comma-separated addresses and CIDRs; `*` is everyone.
pub(super) fn parse(text: &str) -> Result<Vec<IpNet>, Fault> {
    let items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    if items.contains(&"*") {
        return Ok(everyone());
    }
    items.into_iter().enumerate().map(|(at, item)| network(item).ok_or_else(|| fault(at + 1))).collect()
}

/// All of IPv4 and IPv6.
pub(super) fn everyone() -> Vec<IpNet> {
    let unspecified = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    unspecified.map(|address| IpNet::new_assert(address, 0)).into()
}

fn network(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.into()),
        Err(_) => text.parse::<IpNet>().ok().map(|network| network.trunc()),
    }
}

fn fault(position: usize) -> Fault {
    Fault::new(
        format!("entry {position} is neither an IP address nor a network"),
        "write addresses and networks such as 127.0.0.1,10.0.0.0/8,fd00::/8",
    )
}
