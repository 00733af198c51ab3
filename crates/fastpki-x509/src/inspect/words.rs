//! The plain words for what objects say in numbers.

use const_oid::{
    ObjectIdentifier,
    db::{
        rfc5280::{
            ANY_EXTENDED_KEY_USAGE, ID_KP_CLIENT_AUTH, ID_KP_CODE_SIGNING, ID_KP_EMAIL_PROTECTION,
            ID_KP_OCSP_SIGNING, ID_KP_SERVER_AUTH, ID_KP_TIME_STAMPING,
        },
        rfc5912::{ID_EC_PUBLIC_KEY, ID_RSASSA_PSS, RSA_ENCRYPTION},
    },
};
use der::{AnyRef, Decode, Reader, SliceReader, Tag};
use jiff::Timestamp;
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};

use super::foreign::name_text;
use crate::{
    PublicKey,
    asn1::Oid,
    public_key::{RsaPublicKey, bit_length},
};

pub(super) use crate::printable;

/// The second in UTC.
pub(super) fn time(at: Timestamp) -> String {
    let text = Timestamp::from_second(at.as_second()).unwrap_or(at).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// The time and how far it is from now.
pub(super) fn time_from(at: Timestamp, now: Timestamp) -> String {
    let days = (at.as_second() - now.as_second()).div_euclid(SECONDS_PER_DAY);
    let distance = match days {
        0 => "within a day".to_owned(),
        1.. => format!("in {days} days"),
        -1 => "less than a day ago".to_owned(),
        _ => format!("{} days ago", -(days + 1)),
    };
    format!("{} ({distance})", time(at))
}

/// Pairs of digits with colons between.
pub(super) fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// The kind and size of a public key, and what is wrong with it.
pub(super) fn public_key(spki: &[u8]) -> (String, Vec<String>) {
    let Ok(info) = SubjectPublicKeyInfoRef::from_der(spki) else {
        return ("unreadable".to_owned(), vec!["its public key cannot be read".to_owned()]);
    };
    let words = key_words(&info);
    let warning = PublicKey::from_spki_der(spki).err().map(|error| match error {
        crate::Error::WeakKey { reason } => format!("its key is weak: {reason}"),
        other => format!("its key would not be certified here: {other}"),
    });
    (words, warning.into_iter().collect())
}

/// The usual key identifier of a public key: SHA-1 over its bits.
pub(super) fn key_identifier(spki: &[u8]) -> Option<String> {
    let info = SubjectPublicKeyInfoRef::from_der(spki).ok()?;
    Some(colons(&crate::public_key::key_identifier(info.subject_public_key.as_bytes()?)))
}

fn key_words(info: &SubjectPublicKeyInfoRef<'_>) -> String {
    match info.algorithm.oid {
        RSA_ENCRYPTION | ID_RSASSA_PSS => {
            let kind = if info.algorithm.oid == RSA_ENCRYPTION { "RSA" } else { "RSA (PSS only)" };
            let key = info.subject_public_key.as_bytes().and_then(|it| RsaPublicKey::from_der(it).ok());
            key.map_or(kind.to_owned(), |it| format!("{kind}, {} bits", bit_length(it.modulus.as_bytes())))
        }
        ID_EC_PUBLIC_KEY => {
            let curve = info.algorithm.parameters.and_then(|it| it.decode_as::<ObjectIdentifier>().ok());
            format!("EC, {}", curve.map_or("curve not named".to_owned(), curve_name))
        }
        other => KEY_KINDS
            .iter()
            .find(|(oid, _)| *oid == other)
            .map_or_else(|| name_of(other), |(_, name)| (*name).to_owned()),
    }
}

fn curve_name(oid: ObjectIdentifier) -> String {
    let known = CURVES.iter().find(|(curve, _)| *curve == oid);
    known.map_or_else(|| name_of(oid), |(_, name)| (*name).to_owned())
}

/// The signature algorithm in words, and whether its hash is broken.
pub(super) fn signature_algorithm(der: &[u8]) -> (String, bool) {
    let Ok(algorithm) = AlgorithmIdentifierRef::from_der(der) else {
        return ("unreadable".to_owned(), false);
    };
    match SIGNATURES.iter().find(|(oid, ..)| *oid == algorithm.oid) {
        Some((_, words, broken)) => ((*words).to_owned(), *broken),
        None => (name_of(algorithm.oid), false),
    }
}

/// What a key usage lets the key do.
pub(super) fn key_usages(usage: &KeyUsage) -> Vec<String> {
    KEY_USAGES
        .iter()
        .filter(|(flag, _)| usage.0.contains(*flag))
        .map(|(_, words)| (*words).to_owned())
        .collect()
}

/// What a purpose of an extended key usage is.
pub(crate) fn purpose(oid: ObjectIdentifier) -> String {
    let known = PURPOSES.iter().find(|(purpose, _)| *purpose == oid);
    known.map_or_else(|| name_of(oid), |(_, words)| (*words).to_owned())
}

/// The names in the value of a SubjectAltName, or of what else is GeneralNames; `None` where it is malformed.
pub(super) fn general_names(value: &[u8]) -> Option<Vec<String>> {
    let mut reader = SliceReader::new(value).ok()?;
    let names = reader.sequence(|names| {
        let mut read = Vec::new();
        while !names.is_finished() {
            read.push(general_name(AnyRef::decode(names)?));
        }
        Ok::<_, der::Error>(read)
    });
    names.ok()
}

fn general_name(any: AnyRef<'_>) -> String {
    let text = || String::from_utf8_lossy(any.value()).into_owned();
    let Tag::ContextSpecific { number, .. } = any.header().tag() else { return "unreadable name".to_owned() };
    match number.value() {
        0 => format!("other name of type {}", first_oid(any.value()).unwrap_or_else(|| "unknown".to_owned())),
        1 => format!("e-mail {}", text()),
        2 => format!("DNS {}", text()),
        4 => format!("directory name {}", name_text(any.value())),
        6 => format!("URI {}", text()),
        7 => ip(any.value()),
        8 => format!("registered id {}", text_of_oid(any.value())),
        other => format!("name of kind {other}"),
    }
}

fn ip(octets: &[u8]) -> String {
    let v4 = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
    let v6 = <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from);
    v4.or(v6).map_or_else(|_| format!("IP address of {} octets", octets.len()), |it| format!("IP {it}"))
}

fn first_oid(value: &[u8]) -> Option<String> {
    let mut reader = SliceReader::new(value).ok()?;
    Some(reader.decode::<Oid<'_>>().ok()?.to_string())
}

fn text_of_oid(content: &[u8]) -> String {
    ObjectIdentifier::from_bytes(content).map_or_else(|_| "unreadable".to_owned(), |it| it.to_string())
}

/// The URIs among the values of an extension, wherever they stand in it.
pub(super) fn uris(value: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    collect_uris(value, 0, &mut found);
    found
}

fn collect_uris(value: &[u8], depth: usize, found: &mut Vec<String>) {
    let Ok(mut reader) = SliceReader::new(value) else { return };
    while !reader.is_finished() && found.len() < MAX_URIS {
        let Ok(any) = AnyRef::decode(&mut reader) else { return };
        match any.header().tag() {
            URI => found.push(String::from_utf8_lossy(any.value()).into_owned()),
            tag if tag.is_constructed() && depth < MAX_DEPTH => collect_uris(any.value(), depth + 1, found),
            _ => {}
        }
    }
}

/// The name of an object identifier in the registries, or its numbers.
pub(super) fn name_of(oid: ObjectIdentifier) -> String {
    const_oid::db::DB.by_oid(&oid).map_or_else(|| oid.to_string(), |name| format!("{name} ({oid})"))
}

/// What to do with a PEM block that is not described.
pub(super) fn advice_about(label: &str) -> &'static str {
    match label {
        "PKCS7" | "CMS" => {
            "PKCS#7 is not described here; openssl pkcs7 -print_certs takes the certificates out of it"
        }
        "EC PARAMETERS" => "it names the curve of the EC key that follows, and is not needed",
        "DH PARAMETERS" | "X9.42 DH PARAMETERS" => {
            "parameters for key exchange are no secret and no certificate"
        }
        "RSA PUBLIC KEY" => "it is a public key of PKCS#1; openssl rsa -RSAPublicKey_in -pubout rewrites it",
        _ => "blocks of this type are not described here",
    }
}

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const KEY_USAGES: [(KeyUsages, &str); 9] = [
    (KeyUsages::DigitalSignature, "may sign data and handshakes"),
    (KeyUsages::NonRepudiation, "may sign what cannot be denied later"),
    (KeyUsages::KeyEncipherment, "may encrypt keys"),
    (KeyUsages::DataEncipherment, "may encrypt data"),
    (KeyUsages::KeyAgreement, "may agree on keys"),
    (KeyUsages::KeyCertSign, "may sign certificates"),
    (KeyUsages::CRLSign, "may sign revocation lists"),
    (KeyUsages::EncipherOnly, "may only encrypt when agreeing on keys"),
    (KeyUsages::DecipherOnly, "may only decrypt when agreeing on keys"),
];

const PURPOSES: [(ObjectIdentifier, &str); 10] = [
    (ID_KP_SERVER_AUTH, "TLS server"),
    (ID_KP_CLIENT_AUTH, "TLS client"),
    (ID_KP_CODE_SIGNING, "code signing"),
    (ID_KP_EMAIL_PROTECTION, "e-mail (S/MIME)"),
    (ID_KP_TIME_STAMPING, "time stamps"),
    (ID_KP_OCSP_SIGNING, "answers about revocation (OCSP)"),
    (ANY_EXTENDED_KEY_USAGE, "any purpose"),
    (oid("1.3.6.1.4.1.311.20.2.2"), "Windows logon with a smart card"),
    (oid("1.3.6.1.5.2.3.5"), "Kerberos server (KDC)"),
    (oid("1.3.6.1.5.5.7.3.17"), "IPsec (IKE)"),
];

/// With whether the hash is broken.
const SIGNATURES: [(ObjectIdentifier, &str, bool); 17] = [
    (oid("1.2.840.113549.1.1.2"), "RSA with MD2", true),
    (oid("1.2.840.113549.1.1.4"), "RSA with MD5", true),
    (oid("1.2.840.113549.1.1.5"), "RSA with SHA-1", true),
    (oid("1.3.14.3.2.29"), "RSA with SHA-1", true),
    (oid("1.2.840.113549.1.1.14"), "RSA with SHA-224", false),
    (oid("1.2.840.113549.1.1.11"), "RSA with SHA-256", false),
    (oid("1.2.840.113549.1.1.12"), "RSA with SHA-384", false),
    (oid("1.2.840.113549.1.1.13"), "RSA with SHA-512", false),
    (oid("1.2.840.113549.1.1.10"), "RSA with PSS", false),
    (oid("1.2.840.10045.4.1"), "ECDSA with SHA-1", true),
    (oid("1.2.840.10045.4.3.2"), "ECDSA with SHA-256", false),
    (oid("1.2.840.10045.4.3.3"), "ECDSA with SHA-384", false),
    (oid("1.2.840.10045.4.3.4"), "ECDSA with SHA-512", false),
    (oid("1.2.840.10040.4.3"), "DSA with SHA-1", true),
    (oid("2.16.840.1.101.3.4.3.2"), "DSA with SHA-256", false),
    (oid("1.3.101.112"), "Ed25519", false),
    (oid("1.3.101.113"), "Ed448", false),
];

const CURVES: [(ObjectIdentifier, &str); 6] = [
    (oid("1.2.840.10045.3.1.7"), "P-256"),
    (oid("1.3.132.0.34"), "P-384"),
    (oid("1.3.132.0.35"), "P-521"),
    (oid("1.3.132.0.10"), "secp256k1"),
    (oid("1.3.36.3.3.2.8.1.1.7"), "brainpoolP256r1"),
    (oid("1.3.36.3.3.2.8.1.1.11"), "brainpoolP384r1"),
];

const KEY_KINDS: [(ObjectIdentifier, &str); 5] = [
    (oid("1.3.101.112"), "Ed25519"),
    (oid("1.3.101.113"), "Ed448"),
    (oid("1.3.101.110"), "X25519, for key agreement"),
    (oid("1.3.101.111"), "X448, for key agreement"),
    (oid("1.2.840.10040.4.1"), "DSA"),
];

const URI: Tag = Tag::ContextSpecific { number: der::TagNumber(6), constructed: false };
const MAX_DEPTH: usize = 8;
const MAX_URIS: usize = 100;
const SECONDS_PER_DAY: i64 = 86_400;
