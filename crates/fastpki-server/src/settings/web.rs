//! Addresses on the web: what we listen on, where the API stands, who may call it, where we are reached.

use std::net::{Ipv6Addr, SocketAddr};

use super::reader::Fault;

/// An address and a port to listen on.
pub(super) fn listen(text: &str) -> Result<SocketAddr, Fault> {
    let mend = "write one such as 127.0.0.1:8000, 0.0.0.0:8000 or [::1]:8000";
    text.trim().parse().map_err(|_| Fault::new("not an IP address and port", mend))
}

/// A path such as `/api/v1`, without a trailing slash.
pub(super) fn path_prefix(text: &str) -> Result<String, Fault> {
    let prefix = text.trim().trim_end_matches('/');
    let mut segments = prefix.split('/');
    let begins_with_slash = segments.next() == Some("");
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(is_unreserved);
    if !begins_with_slash || prefix.is_empty() || !segments.all(is_segment) {
        let mend = "write one that begins with \"/\" and holds letters, digits and -._~, such as /api/v1";
        return Err(Fault::new("not a path for the API", mend));
    }
    Ok(prefix.to_owned())
}

/// A JSON list of origins as browsers send them; `*` is all of them.
pub(super) fn origins(text: &str) -> Result<Vec<String>, Fault> {
    let mend = "write one such as [\"https://pki.example.com\"]";
    let list: Vec<String> =
        serde_json::from_str(text).map_err(|_| Fault::new("not a JSON list of strings", mend))?;
    let origins = list.iter().enumerate().map(|(at, text)| {
        let wrong = || format!("entry {} of the list is not an origin (scheme, host, port, no path)", at + 1);
        origin(text.trim()).ok_or_else(|| Fault::new(wrong(), mend))
    });
    origins.collect()
}

/// An `http` or `https` URL without query, fragment and trailing slash.
pub(super) fn public_url(text: &str) -> Result<String, Fault> {
    base_url(text.trim()).ok_or_else(|| {
        let wrong = "not an http or https URL without user, query and fragment";
        Fault::new(wrong, "write one such as http://pki.example.com")
    })
}

fn base_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if !matches!(scheme.as_str(), "http" | "https") || !is_authority(authority) || !path.chars().all(is_path)
    {
        return None;
    }
    Some(format!("{scheme}://{authority}{}", path.trim_end_matches('/')))
}

fn origin(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.to_owned());
    }
    let (scheme, authority) = text.split_once("://")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if !is_scheme(scheme) || !is_authority(authority) {
        return None;
    }
    // Browsers compare octet by octet, in lower case, without the port that goes without saying.
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let implied_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    Some(format!("{scheme}://{}", authority.strip_suffix(implied_port).unwrap_or(&authority)))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Whether the text is a host, as name or address, and perhaps a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_number =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
    is_host(host) && port.is_none_or(is_number)
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !text.is_empty() && text.chars().all(is_unreserved),
    }
}

fn is_path(character: char) -> bool {
    is_unreserved(character) || "/%!$&'()*+,;=:@".contains(character)
}

/// The unreserved characters of [RFC 3986 §2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3).
fn is_unreserved(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_' | '~')
}
