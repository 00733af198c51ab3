//! Keys, requests and certificates on this host.

use std::{fs, path::Path};

use aws_lc_rs::digest::{SHA256, digest};
use fastpki_types::{KeyType, Password, PrivateKeyPem};
use fastpki_x509::{Csr, CsrRequest, KeyAlgorithm, Name, PrivateKey, San, pkcs12};
use zeroize::Zeroizing;

use crate::error::Error;

/// The certificates in a PEM text, a text for each, with a line end.
pub(crate) fn certificates(pem: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let blocks = pem.split(BEGIN).skip(1).filter_map(|rest| Some(rest.split_once(END)?.0));
    blocks.map(|block| format!("{BEGIN}{block}{END}\n")).collect()
}

/// The SHA-256 fingerprint of a certificate in DER, in lower-case hex.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    digest(&SHA256, der).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a new request says, but its key.
pub(crate) struct Wish<'a> {
    /// The subject.
    pub(crate) subject: &'a str,
    /// Host names.
    pub(crate) dns: &'a [String],
    /// IP addresses.
    pub(crate) ip: &'a [String],
    /// E-mail addresses.
    pub(crate) email: &'a [String],
}

/// Makes a key and a request for it.
pub(crate) fn new_request(wish: &Wish<'_>, key: KeyAlgorithm) -> Result<(PrivateKeyPem, Csr), Error> {
    let failed = |cause| Error::Pki { what: "certification request".into(), cause };
    let dns = wish.dns.iter().map(|name| San::parse_dns(name));
    let ip = wish.ip.iter().map(|address| San::parse_ip(address));
    let email = wish.email.iter().map(|address| San::parse_email(address));
    let sans = dns.chain(ip).chain(email).collect::<Result<_, _>>().map_err(failed)?;
    let request = CsrRequest { subject: Name::parse(wish.subject).map_err(failed)?, sans };
    let key = PrivateKey::generate(key).map_err(failed)?;
    let csr = request.sign(&key).map_err(failed)?;
    Ok((PrivateKeyPem::from(key.to_pkcs8_pem()), csr))
}

/// Salts for a PKCS#12 file.
#[expect(
    clippy::disallowed_methods,
    reason = "a client has no entropy to be given, and its tests need none that repeats"
)]
pub(crate) fn randomness() -> Result<[u8; pkcs12::RANDOMNESS_LEN], Error> {
    let mut bytes = [0; pkcs12::RANDOMNESS_LEN];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Failed("this host gives no randomness".into()))?;
    Ok(bytes)
}

/// A password: the first line of a file.
pub(crate) fn first_line(path: &Path) -> Result<Password, Error> {
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| Error::file(path, error))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Password::from(line.to_owned())),
        _ => Err(Error::file(path, "its first line should be the password, and is empty")),
    }
}

/// The kind of key that options name.
pub(crate) fn key_algorithm(family: KeyType, size: Option<u32>) -> Result<KeyAlgorithm, Error> {
    match (family, size) {
        (KeyType::Rsa, size) => Ok(KeyAlgorithm::Rsa { bits: size.unwrap_or(DEFAULT_RSA_BITS) }),
        (KeyType::Ec, None | Some(256)) => Ok(KeyAlgorithm::EcP256),
        (KeyType::Ec, Some(384)) => Ok(KeyAlgorithm::EcP384),
        (KeyType::Ec, Some(_)) => Err(Error::Usage("--key-size for ec should be 256 or 384".into())),
        (KeyType::Ed25519, None | Some(256)) => Ok(KeyAlgorithm::Ed25519),
        (KeyType::Ed25519, Some(_)) => Err(Error::Usage("leave --key-size out for ed25519".into())),
    }
}

const DEFAULT_RSA_BITS: u32 = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "text\n-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\r\nmore\n\
        -----BEGIN CERTIFICATE-----\nBB==\n-----END CERTIFICATE-----";

    #[test]
    fn certificates_of_a_pem_text_are_taken_apart() {
        let blocks = certificates(PEM);
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[1], "-----BEGIN CERTIFICATE-----\nBB==\n-----END CERTIFICATE-----\n");
        assert!(certificates("-----BEGIN CERTIFICATE-----\nAA").is_empty());
    }

    #[test]
    fn request_has_the_names_that_were_wished() {
        let dns = ["www.example.com".to_owned()];
        let wish =
            Wish { subject: "CN=www.example.com", dns: &dns, ip: &["192.0.2.1".to_owned()], email: &[] };
        let (key, csr) = new_request(&wish, KeyAlgorithm::EcP256).unwrap();
        assert_eq!(csr.subject().common_names(), ["www.example.com"]);
        assert_eq!(csr.sans().unwrap().len(), 2);
        let key = PrivateKey::from_pem(key.expose()).unwrap();
        assert_eq!(key.public_key().spki_der(), csr.public_key().spki_der());
    }

    #[test]
    fn fingerprint_is_sha_256_in_hex() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(fingerprint(b""), empty);
    }
}
