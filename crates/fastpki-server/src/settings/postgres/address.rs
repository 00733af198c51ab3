//! The parts of a PostgreSQL URL.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

use super::super::reader::Fault;

/// Named parts, decoded, in the order in which later ones win.
pub(super) type Parts = Vec<(String, Zeroizing<String>)>;

/// Splits what follows `postgresql://`, as SQLAlchemy does: user name and password need no encoding beyond `@`,
/// and `:` or `/` in the user name.
pub(super) fn split(address: &str) -> Result<Parts, Fault> {
    let mut parts = Parts::new();
    let (credentials, rest) = split_credentials(address)?;
    if let Some(Credentials { user, password }) = credentials {
        add(&mut parts, "user", user)?;
        add(&mut parts, "password", password)?;
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    add_hosts(&mut parts, hosts.split(',').map(Host::from_url).collect::<Result<_, Fault>>()?);
    add(&mut parts, "dbname", database)?;
    split_query(query, &mut parts)?;
    Ok(parts)
}

/// Percent-encodes all but letters, digits and `-._~`.
pub(super) fn append_encoded(url: &mut String, text: &str) {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    url.extend(utf8_percent_encode(text, ENCODED));
}

/// Whether the text is a host name, an address or a directory.
pub(super) fn is_host(text: &str) -> bool {
    let without_zone = text.split_once('%').map_or(text, |(address, _)| address);
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    text.starts_with('/')
        || without_zone.parse::<Ipv6Addr>().is_ok()
        || !text.is_empty() && text.chars().all(is_name)
}

/// A host, where a path such as `/tmp/.s.PGSQL.5433` becomes its directory and its port.
pub(super) fn socket_directory(host: &str, port: u16) -> (String, u16) {
    let socket = host.rsplit_once("/.s.PGSQL.").filter(|_| host.starts_with('/'));
    match socket.and_then(|(directory, port)| Some((directory, port.parse().ok()?))) {
        Some((directory, port)) => (directory.to_owned(), port),
        None => (host.to_owned(), port),
    }
}

/// The `user[:password]@` that an address may begin with.
struct Credentials<'a> {
    user: &'a str,
    password: &'a str,
}

/// Splits the credentials off; the password ends at the first `@`, whatever else it holds.
fn split_credentials(address: &str) -> Result<(Option<Credentials<'_>>, &str), Fault> {
    let (user, after) = address.split_at(address.find([':', '/']).unwrap_or(address.len()));
    let (credentials, rest) = match after.strip_prefix(':').and_then(|after| after.split_once('@')) {
        Some((password, rest)) => (Some(Credentials { user, password }), rest),
        None => match user.rfind('@') {
            Some(at) => (Some(Credentials { user: &user[..at], password: "" }), &address[at + 1..]),
            None => (None, address),
        },
    };
    if rest.contains('@') || credentials.as_ref().is_some_and(Credentials::may_be_a_host) {
        let mend = "write %40 for \"@\" and %2F for \"/\" inside user name, password and options";
        return Err(Fault::new("an \"@\" makes it unclear where the password ends", mend));
    }
    Ok((credentials, rest))
}

impl Credentials<'_> {
    /// Whether this reads as `host:port/database?option=…` or `[host]…`, up to an `@` in an option.
    fn may_be_a_host(&self) -> bool {
        let after_digits = self.password.trim_start_matches(|c: char| c.is_ascii_digit());
        self.user.starts_with('[') || after_digits != self.password && after_digits.starts_with(['/', '?'])
    }
}

fn split_query(query: &str, parts: &mut Parts) -> Result<(), Fault> {
    let mut hosts = Vec::new();
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (name, text) = option.split_once('=').unwrap_or((option, ""));
        let (name, text) = (form_decode(name)?, form_decode(text)?);
        match name.as_str() {
            "host" => hosts.extend(text.split(',').map(Host::from_option)),
            _ => parts.push((name.to_string(), text)),
        }
    }
    add_hosts(parts, hosts);
    Ok(())
}

/// A host and its port, either of which may be empty.
struct Host {
    name: String,
    port: String,
}

impl Host {
    /// A host that stands before the path, percent-encoded; so is the `:` in a socket's directory.
    fn from_url(text: &str) -> Result<Self, Fault> {
        let host = Self::split(text);
        Ok(Self { name: decode(&host.name)?.to_string(), ..host })
    }

    /// A host that stands in the query.
    fn from_option(text: &str) -> Self {
        if text.starts_with('/') {
            return Self { name: text.to_owned(), port: String::new() };
        }
        Self::split(text)
    }

    fn split(text: &str) -> Self {
        let (name, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            Some((address, port)) => (address, port.strip_prefix(':').unwrap_or(port)),
            // More than one colon makes a bare IPv6 address.
            None => text.split_once(':').filter(|(_, port)| !port.contains(':')).unwrap_or((text, "")),
        };
        Self { name: name.to_owned(), port: port.to_owned() }
    }
}

/// Adds hosts where one has a name, and their ports where one has its own.
fn add_hosts(parts: &mut Parts, hosts: Vec<Host>) {
    let (names, ports): (Vec<String>, Vec<String>) =
        hosts.into_iter().map(|host| (host.name, host.port)).unzip();
    for (option, texts) in [("host", names), ("port", ports)] {
        if texts.iter().any(|text| !text.is_empty()) {
            parts.push((option.to_owned(), Zeroizing::new(texts.join(","))));
        }
    }
}

fn add(parts: &mut Parts, name: &str, text: &str) -> Result<(), Fault> {
    parts.push((name.to_owned(), decode(text)?));
    Ok(())
}

/// Percent-decodes with `+` for a blank, as in a form.
fn form_decode(text: &str) -> Result<Zeroizing<String>, Fault> {
    decode(&Zeroizing::new(text.replace('+', " ")))
}

fn decode(text: &str) -> Result<Zeroizing<String>, Fault> {
    let decoded = percent_decode_str(text).decode_utf8().map(Cow::into_owned).map_err(|_| {
        Fault::new("its percent-encoding is not UTF-8", "encode the UTF-8 octets of each special character")
    })?;
    Ok(Zeroizing::new(decoded))
}
