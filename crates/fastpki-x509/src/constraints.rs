use std::net::IpAddr;

use const_oid::db::rfc3280::EMAIL_ADDRESS;
use der::{Decode, Reader, Sequence, SliceReader, Tag, asn1::AnyRef};

use crate::{
    Error, Name, Profile, San,
    asn1::{Oid, SequenceContent, decode},
    name::{EncodedAttribute, fold},
};

/// The names a CA may certify, [RFC 5280 §4.2.1.10](https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.10).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameConstraints {
    /// Names of the kinds occurring here must lie in one of these.
    pub permitted: Vec<Subtree>,
    /// No name may lie in one of these.
    pub excluded: Vec<Subtree>,
}

/// A set of names of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subtree {
    /// A domain and all hosts in it; with a dot in front, only the hosts.
    Dns(String),
    /// A mailbox, all mailboxes of a host, or, with a dot in front, of all hosts in a domain.
    Email(String),
    /// The addresses that agree with this one where the mask has ones; 4 or 16 octets each.
    Ip {
        /// The address.
        address: Vec<u8>,
        /// The mask.
        mask: Vec<u8>,
    },
    /// All names that begin with these RDNs.
    Directory(Name),
}

impl NameConstraints {
    /// Reads the extension's value. Kinds of names that are never certified here are left out: none can offend.
    pub(crate) fn from_der(value: &[u8]) -> Result<Self, Error> {
        let extension: Extension<'_> = decode(value, "name constraints")?;
        Ok(Self { permitted: subtrees(extension.permitted)?, excluded: subtrees(extension.excluded)? })
    }

    /// The first name among those of a certificate that the constraints do not permit.
    pub(crate) fn offending(&self, subject: &Name, sans: &[San], profile: Profile) -> Option<String> {
        let mut instances = Vec::with_capacity(sans.len() + 1);
        if !subject.is_empty() {
            instances.push(Instance::Directory(subject));
        }
        instances.extend(sans.iter().map(Instance::of));
        instances.extend(subject.values_of(EMAIL_ADDRESS).into_iter().map(Instance::Email));
        if !profile.is_ca() && !sans.iter().any(|san| matches!(san, San::Dns(_))) {
            instances.extend(host_names(subject, profile).map(Instance::Dns));
        }
        instances.iter().find(|it| !self.permits(it)).map(Instance::to_text)
    }

    fn permits(&self, instance: &Instance<'_>) -> bool {
        let mut permitted = self.permitted.iter().filter_map(|it| it.covers(instance)).peekable();
        let within = permitted.peek().is_none() || permitted.any(|covers| covers);
        within && !self.excluded.iter().any(|it| it.overlaps(instance))
    }
}

/// The common names that verifiers take for host names where there is no DNS name.
///
/// OpenSSL does so with whatever has dots and looks like a host, underscores and IP addresses included; GnuTLS with any
/// common name of a server.
fn host_names(subject: &Name, profile: Profile) -> impl Iterator<Item = String> {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let names = subject.common_names().into_iter();
    names
        .filter(move |name| profile.is_server() || (name.contains('.') && name.bytes().all(is_host)))
        .map(|name| name.to_ascii_lowercase())
}

impl Subtree {
    /// Reads a GeneralSubtree's content; `None` where it is about names that are never certified here.
    fn from_content(content: &[u8]) -> Result<Option<Self>, &'static str> {
        let mut reader = SliceReader::new(content).map_err(|_| MALFORMED)?;
        let base = AnyRef::decode(&mut reader).map_err(|_| MALFORMED)?;
        let Tag::ContextSpecific { number, .. } = base.header().tag() else { return Err(MALFORMED) };
        let text = || str::from_utf8(base.value()).ok().filter(|text| text.is_ascii()).ok_or(MALFORMED);
        let subtree = match number.value() {
            RFC822_NAME => Self::Email(text()?.to_owned()),
            DNS_NAME => Self::Dns(text()?.to_ascii_lowercase()),
            DIRECTORY_NAME => Self::Directory(Name::from_der(base.value()).map_err(|_| MALFORMED)?),
            IP_ADDRESS if matches!(base.value().len(), 8 | 32) => {
                let (address, mask) = base.value().split_at(base.value().len() / 2);
                Self::Ip { address: address.to_vec(), mask: mask.to_vec() }
            }
            IP_ADDRESS => return Err("an IP address range has neither 8 nor 32 octets"),
            _ => return Ok(None),
        };
        // RFC 5280 §4.2.1.10: "the minimum MUST be zero, and maximum MUST be absent".
        if !reader.is_finished() {
            return Err("it has a minimum or maximum distance");
        }
        Ok(Some(subtree))
    }

    /// Whether every name the instance stands for lies within; `None` where it is of another kind.
    fn covers(&self, instance: &Instance<'_>) -> Option<bool> {
        match (self, instance) {
            (Self::Dns(base), Instance::Dns(name)) => Some(domain_covers(base, name)),
            (Self::Email(base), Instance::Email(address)) => Some(mailbox_covers(base, address)),
            (Self::Ip { address, mask }, Instance::Ip(ip)) => Some(range_covers(address, mask, *ip)),
            (Self::Directory(base), Instance::Directory(name)) => {
                Some(directory_covers(base, name, fold_ascii))
            }
            _ => None,
        }
    }

    /// Whether any name the instance stands for lies within: for a wildcard that can be less than all. Directory names
    /// are held equal more freely here, so that no spelling slips through.
    fn overlaps(&self, instance: &Instance<'_>) -> bool {
        let reaches = || match (self, instance) {
            (Self::Directory(base), Instance::Directory(name)) => directory_covers(base, name, fold),
            (Self::Dns(base), Instance::Dns(name)) => {
                let base = without_last_dot(base);
                let parent = base.split_once('.').map(|(_, parent)| parent);
                domain_covers(base, name)
                    || name.strip_prefix("*.").is_some_and(|domain| parent == Some(domain))
            }
            (Self::Email(base), Instance::Email(address)) => mailbox_covers(without_last_dot(base), address),
            _ => false,
        };
        self.covers(instance) == Some(true) || reaches()
    }
}

fn subtrees(subtrees: Option<SequenceContent<'_>>) -> Result<Vec<Subtree>, Error> {
    let Some(content) = subtrees else { return Ok(Vec::new()) };
    let malformed = |_| Error::UnsupportedConstraint { reason: MALFORMED };
    let mut reader = SliceReader::new(content.0).map_err(malformed)?;
    let mut read = Vec::new();
    while !reader.is_finished() {
        let subtree = SequenceContent::decode(&mut reader).map_err(malformed)?;
        let subtree =
            Subtree::from_content(subtree.0).map_err(|reason| Error::UnsupportedConstraint { reason })?;
        read.extend(subtree);
    }
    Ok(read)
}

/// NameConstraints as encoded.
#[derive(Sequence)]
struct Extension<'a> {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    permitted: Option<SequenceContent<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    excluded: Option<SequenceContent<'a>>,
}

/// One name of a certificate.
enum Instance<'a> {
    Directory(&'a Name),
    Dns(String),
    Email(String),
    Ip(IpAddr),
}

impl Instance<'_> {
    fn of(san: &San) -> Self {
        match san {
            San::Dns(name) => Self::Dns(name.as_str().to_owned()),
            San::Email(address) => Self::Email(address.as_str().to_owned()),
            San::Ip(ip) => Self::Ip(*ip),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Directory(name) => name.to_string(),
            Self::Dns(text) | Self::Email(text) => text.clone(),
            Self::Ip(ip) => ip.to_string(),
        }
    }
}

/// An excluded domain as GnuTLS reads it. With a dot at its end it excludes nothing for OpenSSL, as it permits nothing
/// where it is permitted; a name is certified only where both accept it.
fn without_last_dot(base: &str) -> &str {
    base.strip_suffix('.').unwrap_or(base)
}

/// "Any DNS name that can be constructed by simply adding zero or more labels to the left-hand side".
fn domain_covers(base: &str, name: &str) -> bool {
    if base.is_empty() {
        return true;
    }
    match name.strip_suffix(base) {
        Some("") => true,
        Some(labels) => base.starts_with('.') || labels.ends_with('.'),
        None => false,
    }
}

fn mailbox_covers(base: &str, address: &str) -> bool {
    let Some((local, host)) = address.rsplit_once('@') else { return false };
    match base.rsplit_once('@') {
        Some((base_local, base_host)) => local == base_local && host.eq_ignore_ascii_case(base_host),
        None if base.starts_with('.') => host.to_ascii_lowercase().ends_with(&base.to_ascii_lowercase()),
        None => base.is_empty() || host.eq_ignore_ascii_case(base),
    }
}

fn range_covers(address: &[u8], mask: &[u8], ip: IpAddr) -> bool {
    let octets = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let agrees = |((octet, base), mask): ((&u8, &u8), &u8)| octet & mask == base & mask;
    octets.len() == address.len() && octets.iter().zip(address).zip(mask).all(agrees)
}

fn directory_covers(base: &Name, name: &Name, fold: fn(&str) -> String) -> bool {
    let (base_rdns, name_rdns) = (base.rdns(), name.rdns());
    let mut pairs = base_rdns.iter().zip(&name_rdns);
    base_rdns.len() <= name_rdns.len()
        && pairs.all(|(base, name)| comparable(base, fold) == comparable(name, fold))
}

/// An RDN in a form that is equal for those that [RFC 5280 §7.1](https://www.rfc-editor.org/rfc/rfc5280#section-7.1)
/// holds equal: case and runs of blanks do not count.
fn comparable<'a>(
    rdn: &[EncodedAttribute<'a>],
    fold: fn(&str) -> String,
) -> Vec<(Oid<'a>, String, &'a [u8])> {
    let attributes = rdn.iter().map(|it| match it.text() {
        Some(text) => (it.oid, fold(&text), &[][..]),
        None => (it.oid, String::new(), it.value.value()),
    });
    let mut attributes: Vec<_> = attributes.collect();
    attributes.sort();
    attributes
}

/// What every verifier holds equal.
fn fold_ascii(text: &str) -> String {
    text.split_ascii_whitespace().map(str::to_ascii_lowercase).collect::<Vec<_>>().join(" ")
}

const RFC822_NAME: u32 = 1;
const DNS_NAME: u32 = 2;
const DIRECTORY_NAME: u32 = 4;
const IP_ADDRESS: u32 = 7;
const MALFORMED: &str = "it is malformed";

#[cfg(test)]
mod tests;
