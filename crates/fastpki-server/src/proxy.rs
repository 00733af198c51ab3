//! Who the client is and how it sees us, through the proxies that the operator trusts.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, header, request::Parts},
};
use fastpki_engine::Error;

use crate::state::AppState;

/// The address of the client: the peer's or, behind trusted proxies, the last untrusted one of `X-Forwarded-For`.
pub(crate) fn client_address(parts: &Parts, state: &AppState) -> IpAddr {
    let peer = peer(parts);
    if !is_trusted(peer, state) {
        return peer;
    }
    let forwarded: Vec<&str> = parts
        .headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut client = peer;
    for hop in forwarded.iter().rev() {
        let Some(address) = parse_hop(hop) else { break };
        client = address;
        if !is_trusted(client, state) {
            break;
        }
    }
    client
}

/// Where public downloads are found: `PUBLIC_URL`, or the request's own base.
pub(crate) fn base_url(parts: &Parts, state: &AppState) -> Result<String, Error> {
    if let Some(base) = &state.web.public_url {
        return Ok(base.clone());
    }
    let trusted = is_trusted(peer(parts), state);
    // Proxies append: what stands last, the trusted one has written.
    let forwarded = |name| if trusted { last(&parts.headers, name) } else { None };
    let scheme = match forwarded("x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        None if state.web.https => "https",
        _ => "http",
    };
    let host = forwarded("x-forwarded-host")
        .or_else(|| last(&parts.headers, header::HOST.as_str()))
        .or_else(|| parts.uri.authority().map(|authority| authority.as_str()))
        .ok_or_else(|| Error::Invalid("the request has no Host header".into()))?;
    // It ends up in certificates: nothing but a name or an address, and a port.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || host.len() > MAX_HOST || !host.bytes().all(fits) {
        return Err(Error::Invalid("the request's Host header is not a host name".into()));
    }
    Ok(format!("{scheme}://{host}"))
}

/// Whether the peer speaks for others and is not trusted to.
pub(crate) fn forwards_untrusted(parts: &Parts, state: &AppState) -> bool {
    parts.headers.contains_key("x-forwarded-for") && !is_trusted(peer(parts), state)
}

fn peer(parts: &Parts) -> IpAddr {
    parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(address)| address.ip().to_canonical())
}

fn is_trusted(address: IpAddr, state: &AppState) -> bool {
    state.web.trusted_proxies.iter().any(|network| network.contains(&address))
}

/// One hop of `X-Forwarded-For`: an address, with a port at some proxies.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let address = hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?;
    value.to_str().ok()?.rsplit(',').next().map(str::trim)
}

/// A host name, a port, and brackets.
const MAX_HOST: usize = 261;
