use std::{fmt, net::IpAddr, str::FromStr};

use der::asn1::{Ia5String, OctetString};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};

use crate::{Error, Profile, asn1::decode};

/// A subject alternative name of a kind that certificates here carry.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum San {
    /// A host name, perhaps with a wildcard.
    Dns(DnsName),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// An e-mail address.
    Email(EmailAddress),
}

impl San {
    /// A DNS name.
    pub fn parse_dns(text: &str) -> Result<Self, Error> {
        text.parse().map(Self::Dns)
    }

    /// An IPv4 or IPv6 address, without zone or prefix length.
    pub fn parse_ip(text: &str) -> Result<Self, Error> {
        text.parse().map(Self::Ip).map_err(|_| refuse(text, "it is neither an IPv4 nor an IPv6 address"))
    }

    /// An e-mail address.
    pub fn parse_email(text: &str) -> Result<Self, Error> {
        text.parse().map(Self::Email)
    }

    /// Which kind it is.
    pub fn kind(&self) -> SanKind {
        match self {
            Self::Dns(_) => SanKind::Dns,
            Self::Ip(_) => SanKind::Ip,
            Self::Email(_) => SanKind::Email,
        }
    }

    pub(crate) fn to_general_name(&self) -> Result<GeneralName, Error> {
        let failed = |_| Error::Internal("a subject alternative name could not be encoded");
        Ok(match self {
            Self::Dns(name) => GeneralName::DnsName(Ia5String::new(name.as_str()).map_err(failed)?),
            Self::Email(address) => {
                GeneralName::Rfc822Name(Ia5String::new(address.as_str()).map_err(failed)?)
            }
            Self::Ip(IpAddr::V4(ip)) => {
                GeneralName::IpAddress(OctetString::new(ip.octets()).map_err(failed)?)
            }
            Self::Ip(IpAddr::V6(ip)) => {
                GeneralName::IpAddress(OctetString::new(ip.octets()).map_err(failed)?)
            }
        })
    }

    fn from_general_name(name: &GeneralName) -> Result<Self, Error> {
        match name {
            GeneralName::DnsName(name) => Self::parse_dns(name.as_str()),
            GeneralName::Rfc822Name(address) => Self::parse_email(address.as_str()),
            GeneralName::IpAddress(octets) => ip(octets.as_bytes()),
            GeneralName::UniformResourceIdentifier(uri) => Err(refuse(uri.as_str(), "URIs are not carried")),
            GeneralName::DirectoryName(_) => Err(refuse("directory name", NOT_CARRIED)),
            GeneralName::OtherName(other) => {
                Err(refuse(&format!("other name {}", other.type_id), NOT_CARRIED))
            }
            GeneralName::EdiPartyName(_) => Err(refuse("EDI party name", NOT_CARRIED)),
            GeneralName::RegisteredId(id) => Err(refuse(&format!("registered id {id}"), NOT_CARRIED)),
        }
    }
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => name.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
            Self::Email(address) => address.fmt(f),
        }
    }
}

/// The kinds of subject alternative names that certificates here carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SanKind {
    /// Host names.
    Dns,
    /// IP addresses.
    Ip,
    /// E-mail addresses.
    Email,
}

impl fmt::Display for SanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "DNS",
            Self::Ip => "IP",
            Self::Email => "e-mail",
        })
    }
}

/// The subject alternative names a certificate gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sans {
    /// All of them, without duplicates.
    pub names: Vec<San>,
    /// The one among them that was made from the common name because it was needed.
    pub defaulted: Option<San>,
}

/// The final names of a certificate: what was asked without duplicates, led by the default made from the common name.
///
/// A server or dual-purpose certificate without DNS names gets the common name as one, or as an IP address if it is
/// one; a client certificate without e-mail addresses gets the common name if it looks like one. CAs get none.
pub fn complete_sans(profile: Profile, common_name: &str, asked: Vec<San>) -> Result<Sans, Error> {
    if profile.is_ca() {
        return Ok(Sans { names: Vec::new(), defaulted: None });
    }
    if let Some(refused) = asked.iter().find(|san| !profile.allows(san.kind())) {
        return Err(Error::SanNotAllowed { kind: refused.kind(), profile });
    }

    let defaulted = default_san(profile, common_name, &asked).filter(|san| !asked.contains(san));
    let mut names = Vec::with_capacity(asked.len() + 1);
    let mut seen = std::collections::HashSet::new();
    names.extend(defaulted.iter().cloned().chain(asked).filter(|san| seen.insert(san.clone())));

    if names.is_empty() && profile.is_server() {
        return Err(Error::SanRequired { profile });
    }
    if names.len() > MAX_SANS {
        return Err(Error::TooManySans { limit: MAX_SANS });
    }
    Ok(Sans { names, defaulted })
}

fn default_san(profile: Profile, common_name: &str, asked: &[San]) -> Option<San> {
    let missing = |kind| !asked.iter().any(|san| san.kind() == kind);
    if profile.is_server() {
        let host = || San::parse_ip(common_name).or_else(|_| San::parse_dns(common_name)).ok();
        missing(SanKind::Dns).then(host).flatten()
    } else {
        missing(SanKind::Email).then(|| San::parse_email(common_name).ok()).flatten()
    }
}

/// Reads the value of a subjectAltName extension, refusing what would not be certified today.
pub(crate) fn decode_sans(extension: &[u8]) -> Result<Vec<San>, Error> {
    let names: GeneralNames = decode(extension, "subject alternative name")?;
    if names.len() > MAX_SANS {
        return Err(Error::TooManySans { limit: MAX_SANS });
    }
    names.iter().map(San::from_general_name).collect()
}

fn ip(octets: &[u8]) -> Result<San, Error> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(octets).map(IpAddr::from);
    v4.or(v6).map(San::Ip).map_err(|_| refuse("IP address", "it has neither 4 nor 16 octets"))
}

/// A host name in lower-case letters, digits and hyphens, perhaps with `*` as its whole first label.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DnsName(String);

impl DnsName {
    /// The name; labels that were not ASCII are A-labels.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with U-labels in the place of A-labels.
    pub fn to_unicode(&self) -> String {
        let (base, _) = Uts46::new().to_unicode(self.0.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow);
        base.into_owned()
    }

    /// What stands after `*.`, for a wildcard name.
    pub(crate) fn wildcard_base(&self) -> Option<&str> {
        self.0.strip_prefix("*.")
    }
}

impl FromStr for DnsName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason| refuse(text, reason);
        // Before IDNA, which takes time with the length of its input.
        if text.len() > MAX_WRITTEN {
            return Err(refuse("a DNS name has at most 253 characters"));
        }
        let (wildcard, host) = match text.strip_prefix("*.") {
            Some(host) => ("*.", host),
            None => ("", text),
        };
        let host =
            to_ascii(host).ok_or_else(|| refuse("it has characters or labels that IDNA does not allow"))?;
        check_host(&host).map_err(refuse)?;
        let name = format!("{wildcard}{host}");
        if name.len() > MAX_DNS_LEN {
            return Err(refuse("a DNS name has at most 253 characters"));
        }
        Ok(Self(name))
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lower-cased, with A-labels made or checked by [UTS #46](https://www.unicode.org/reports/tr46/) where there are any.
fn to_ascii(host: &str) -> Option<String> {
    let lower = host.to_ascii_lowercase();
    if host.is_ascii() && !lower.split('.').any(|label| label.starts_with("xn--")) {
        return Some(lower);
    }
    Uts46::new()
        .to_ascii(host.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow, DnsLength::Ignore)
        .ok()
        .map(std::borrow::Cow::into_owned)
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if host.contains('*') {
        return Err("* is possible only as the whole first label, with another label after it");
    }
    for label in host.split('.') {
        if label.is_empty() {
            return Err("a label is empty; there is no dot at either end");
        }
        if label.len() > MAX_LABEL_LEN {
            return Err("a label has at most 63 characters");
        }
        if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err("labels have letters, digits and hyphens only");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("a label does not start or end with a hyphen");
        }
    }
    match host.rsplit_once('.') {
        Some((_, last)) if last.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err("it looks like an IP address, and those are of their own kind")
        }
        _ => Ok(()),
    }
}

/// An e-mail address: an ASCII local part without quotes, and a host name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EmailAddress {
    address: String,
    at: usize,
}

impl EmailAddress {
    /// The address; a domain that was not ASCII has A-labels.
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        &self.address[self.at + 1..]
    }
}

impl FromStr for EmailAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason| refuse(text, reason);
        let (local, domain) =
            text.rsplit_once('@').ok_or_else(|| refuse("an e-mail address is written local@domain"))?;
        if local.is_empty() || local.len() > MAX_LOCAL_LEN {
            return Err(refuse("what stands before the @ has 1 to 64 characters"));
        }
        // RFC 5321 §4.1.2: Dot-string = Atom *("." Atom)
        if !local.split('.').all(is_atom) {
            return Err(refuse(
                "what stands before the @ has characters, or dots in places, that are not possible",
            ));
        }
        let domain: DnsName =
            domain.parse().map_err(|_| refuse("what stands after the @ is not a host name"))?;
        if domain.wildcard_base().is_some() {
            return Err(refuse("an e-mail address has no wildcard"));
        }
        let address = format!("{local}@{domain}");
        if address.len() > MAX_EMAIL_LEN {
            return Err(refuse("an e-mail address has at most 254 characters"));
        }
        Ok(Self { address, at: local.len() })
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

fn is_atom(atom: &str) -> bool {
    let is_atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    !atom.is_empty() && atom.bytes().all(is_atext)
}

fn refuse(value: &str, reason: &'static str) -> Error {
    Error::San { value: value.chars().take(MAX_SHOWN).collect(), reason }
}

/// The most subject alternative names a certificate may have.
pub const MAX_SANS: usize = 1000;

const MAX_DNS_LEN: usize = 253;
const MAX_LABEL_LEN: usize = 63;
const MAX_LOCAL_LEN: usize = 64;
const MAX_EMAIL_LEN: usize = 254;
/// Bytes of a name before IDNA makes it shorter: four for each character.
pub(crate) const MAX_WRITTEN: usize = 4 * MAX_DNS_LEN;
const MAX_SHOWN: usize = 300;
const NOT_CARRIED: &str = "only DNS names, IP addresses and e-mail addresses are carried";

#[cfg(test)]
mod tests;
