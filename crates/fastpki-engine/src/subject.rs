//! What a certificate will say of its subject, put together from what a request says.

use fastpki_types::{CertificateType, KeyType, SanRequest};
use fastpki_x509::{Csr, KeyAlgorithm, Name, Profile, San, complete_sans};

use crate::Error;

/// The names that will be in a certificate.
pub(crate) struct Subject {
    pub(crate) name: Name,
    pub(crate) common_name: String,
    pub(crate) sans: Vec<San>,
}

impl Subject {
    /// From a subject and a common name, which must be one of the subject's.
    pub(crate) fn given(
        profile: Profile,
        subject_dn: &str,
        common_name: &str,
        sans: &SanRequest,
    ) -> Result<Self, Error> {
        let name = Name::parse(subject_dn)?;
        check_common_name(&name, common_name)?;
        Self::complete(profile, name, common_name.to_owned(), asked(sans, Vec::new())?)
    }

    /// From a CSR, overridden by what is given beside it.
    pub(crate) fn of_csr(
        profile: Profile,
        csr: &Csr,
        subject_dn: Option<&str>,
        common_name: Option<&str>,
        sans: &SanRequest,
    ) -> Result<Self, Error> {
        let name = match (subject_dn, common_name) {
            (Some(subject_dn), Some(common_name)) => {
                let name = Name::parse(subject_dn)?;
                check_common_name(&name, common_name)?;
                name
            }
            (Some(subject_dn), None) => Name::parse(subject_dn)?,
            (None, Some(common_name)) => csr.subject().with_common_name(common_name)?,
            (None, None) => csr.subject().clone(),
        };
        let common_name = match common_name {
            Some(given) => given.to_owned(),
            None => first_common_name(&name)?,
        };
        let from_csr = if profile.is_ca() { Vec::new() } else { csr.sans()? };
        Self::complete(profile, name, common_name, asked(sans, from_csr)?)
    }

    /// The predecessor's, to the byte.
    pub(crate) fn inherited(
        profile: Profile,
        predecessor: &fastpki_x509::Certificate,
    ) -> Result<Self, Error> {
        let name = predecessor.subject().clone();
        let common_name = first_common_name(&name)?;
        let sans = if profile.is_ca() { Vec::new() } else { predecessor.sans()? };
        Self::complete(profile, name, common_name, sans)
    }

    fn complete(profile: Profile, name: Name, common_name: String, asked: Vec<San>) -> Result<Self, Error> {
        let sans = complete_sans(profile, &common_name, asked)?.names;
        Ok(Self { name, common_name, sans })
    }
}

fn check_common_name(name: &Name, common_name: &str) -> Result<(), Error> {
    if name.common_names().iter().any(|candidate| candidate == common_name) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "common_name '{common_name}' and subject_dn '{name}' contradict each other: the subject must contain CN={common_name}"
    )))
}

fn first_common_name(name: &Name) -> Result<String, Error> {
    name.common_names().into_iter().next().ok_or_else(|| {
        Error::Invalid(
            "there is no common name in the subject: give common_name, or a subject with CN=".into(),
        )
    })
}

/// What is asked for; a list that is given takes the place of the names of its kind that were there before.
fn asked(request: &SanRequest, mut before: Vec<San>) -> Result<Vec<San>, Error> {
    let mut names = Vec::new();
    if let Some(list) = &request.san_dns_names {
        before.retain(|san| !matches!(san, San::Dns(_)));
        names.extend(parse_all(list, San::parse_dns)?);
    }
    if let Some(list) = &request.san_ip_addresses {
        before.retain(|san| !matches!(san, San::Ip(_)));
        names.extend(parse_all(list, San::parse_ip)?);
    }
    if let Some(list) = &request.san_email_addresses {
        before.retain(|san| !matches!(san, San::Email(_)));
        names.extend(parse_all(list, San::parse_email)?);
    }
    before.extend(names);
    Ok(before)
}

fn parse_all(
    list: &[String],
    parse: fn(&str) -> Result<San, fastpki_x509::Error>,
) -> Result<Vec<San>, fastpki_x509::Error> {
    list.iter().map(|text| parse(text)).collect()
}

/// The profile of a type that is no CA.
pub(crate) fn leaf_profile(certificate_type: CertificateType) -> Option<Profile> {
    match certificate_type {
        CertificateType::Ca => None,
        CertificateType::Server => Some(Profile::Server),
        CertificateType::Client => Some(Profile::Client),
        CertificateType::DualPurpose => Some(Profile::DualPurpose),
    }
}

/// The key that a type and a size name; the pair was validated where it came in.
pub(crate) fn key_algorithm(key_type: KeyType, key_size: u32) -> Result<KeyAlgorithm, Error> {
    match (key_type, key_size) {
        (KeyType::Rsa, bits @ (2048 | 3072 | 4096 | 8192)) => Ok(KeyAlgorithm::Rsa { bits }),
        (KeyType::Ec, 256) => Ok(KeyAlgorithm::EcP256),
        (KeyType::Ec, 384) => Ok(KeyAlgorithm::EcP384),
        (KeyType::Ed25519, 256) => Ok(KeyAlgorithm::Ed25519),
        _ => Err(Error::Invalid(format!(
            "there are no {key_type} keys of {key_size} bits here: rsa has 2048, 3072, 4096 or 8192, ec 256 or 384, ed25519 256"
        ))),
    }
}

/// The wire's name for the family of a key.
pub(crate) fn key_type(algorithm: KeyAlgorithm) -> KeyType {
    match algorithm {
        KeyAlgorithm::Rsa { .. } => KeyType::Rsa,
        KeyAlgorithm::EcP256 | KeyAlgorithm::EcP384 | KeyAlgorithm::EcP521 => KeyType::Ec,
        KeyAlgorithm::Ed25519 => KeyType::Ed25519,
    }
}
