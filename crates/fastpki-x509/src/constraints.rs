use std::net::IpAddr;

use const_oid::db::rfc3280::EMAIL_ADDRESS;
use der::Encode;
use x509_cert::ext::pkix::{
    NameConstraints as Extension,
    constraints::name::{GeneralSubtree, GeneralSubtrees},
    name::GeneralName,
};

use crate::{DnsName, Error, Name, San, asn1::decode};

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
    /// Reads the extension's value. Kinds of names that are never certified here make a critical one unusable and are
    /// left out of one that is not.
    pub(crate) fn from_der(value: &[u8], critical: bool) -> Result<Self, Error> {
        let extension: Extension = decode(value, "name constraints")?;
        Ok(Self {
            permitted: subtrees(extension.permitted_subtrees, critical)?,
            excluded: subtrees(extension.excluded_subtrees, critical)?,
        })
    }

    /// The first name among those of a certificate that the constraints do not permit.
    pub(crate) fn offending(&self, subject: &Name, sans: &[San], is_ca: bool) -> Option<String> {
        let mut instances = Vec::with_capacity(sans.len() + 1);
        if !subject.is_empty() {
            instances.push(Instance::Directory(subject));
        }
        instances.extend(sans.iter().map(Instance::of));
        instances.extend(subject.values_of(EMAIL_ADDRESS).into_iter().map(Instance::Email));
        if !is_ca && !sans.iter().any(|san| matches!(san, San::Dns(_))) {
            instances.extend(host_names(subject).map(Instance::Dns));
        }
        instances.iter().find(|it| !self.permits(it)).map(Instance::to_text)
    }

    fn permits(&self, instance: &Instance<'_>) -> bool {
        let mut permitted = self.permitted.iter().filter_map(|it| it.covers(instance)).peekable();
        let within = permitted.peek().is_none() || permitted.any(|covers| covers);
        within && !self.excluded.iter().any(|it| it.overlaps(instance))
    }
}

/// The common names that verifiers take for host names where there is no DNS name, as OpenSSL does.
fn host_names(subject: &Name) -> impl Iterator<Item = String> {
    let names = subject.common_names().into_iter();
    names
        .filter(|name| name.contains('.'))
        .filter_map(|name| Some(name.parse::<DnsName>().ok()?.as_str().to_owned()))
}

impl Subtree {
    fn new(subtree: GeneralSubtree) -> Result<Self, &'static str> {
        // RFC 5280 §4.2.1.10: "the minimum MUST be zero, and maximum MUST be absent".
        if subtree.minimum != 0 || subtree.maximum.is_some() {
            return Err("it has a minimum or maximum distance");
        }
        match subtree.base {
            GeneralName::DnsName(base) => Ok(Self::Dns(base.as_str().to_ascii_lowercase())),
            GeneralName::Rfc822Name(base) => Ok(Self::Email(base.as_str().to_owned())),
            GeneralName::IpAddress(octets) if matches!(octets.as_bytes().len(), 8 | 32) => {
                let (address, mask) = octets.as_bytes().split_at(octets.as_bytes().len() / 2);
                Ok(Self::Ip { address: address.to_vec(), mask: mask.to_vec() })
            }
            GeneralName::IpAddress(_) => Err("an IP address range has neither 8 nor 32 octets"),
            GeneralName::DirectoryName(base) => base
                .to_der()
                .ok()
                .and_then(|der| Name::from_der(&der).ok())
                .map(Self::Directory)
                .ok_or("a directory name is malformed"),
            _ => Err("it is about names other than DNS, IP, e-mail and directory names"),
        }
    }

    /// Whether every name the instance stands for lies within; `None` where it is of another kind.
    fn covers(&self, instance: &Instance<'_>) -> Option<bool> {
        match (self, instance) {
            (Self::Dns(base), Instance::Dns(name)) => Some(domain_covers(base, name)),
            (Self::Email(base), Instance::Email(address)) => Some(mailbox_covers(base, address)),
            (Self::Ip { address, mask }, Instance::Ip(ip)) => Some(range_covers(address, mask, *ip)),
            (Self::Directory(base), Instance::Directory(name)) => Some(directory_covers(base, name)),
            _ => None,
        }
    }

    /// Whether any name the instance stands for lies within: for a wildcard that can be less than all.
    fn overlaps(&self, instance: &Instance<'_>) -> bool {
        let wildcard_reaches = || match (self, instance) {
            (Self::Dns(base), Instance::Dns(name)) => {
                let parent = base.split_once('.').map(|(_, parent)| parent);
                name.strip_prefix("*.").is_some_and(|domain| parent == Some(domain))
            }
            _ => false,
        };
        self.covers(instance) == Some(true) || wildcard_reaches()
    }
}

fn subtrees(subtrees: Option<GeneralSubtrees>, critical: bool) -> Result<Vec<Subtree>, Error> {
    let mut read = Vec::new();
    for subtree in subtrees.unwrap_or_default() {
        match Subtree::new(subtree) {
            Ok(subtree) => read.push(subtree),
            Err(reason) if critical => return Err(Error::UnsupportedConstraint { reason }),
            Err(_) => {}
        }
    }
    Ok(read)
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

fn directory_covers(base: &Name, name: &Name) -> bool {
    let (base, name) = (comparable(base), comparable(name));
    name.starts_with(&base)
}

/// RDNs in a form that is equal for names that [RFC 5280 §7.1](https://www.rfc-editor.org/rfc/rfc5280#section-7.1)
/// holds equal: case and runs of blanks do not count.
fn comparable(name: &Name) -> Vec<Vec<(der::asn1::ObjectIdentifier, String, Vec<u8>)>> {
    let rdns = name.rdns().into_iter().map(|rdn| {
        let attributes = rdn.into_iter().map(|it| match it.text() {
            Some(text) => {
                let words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
                (it.oid, words.join(" "), Vec::new())
            }
            None => (it.oid, String::new(), it.value.value().to_vec()),
        });
        let mut attributes: Vec<_> = attributes.collect();
        attributes.sort();
        attributes
    });
    rdns.collect()
}

#[cfg(test)]
mod tests;
