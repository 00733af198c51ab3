use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, digest},
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ParsedPublicKey,
        VerificationAlgorithm,
    },
};
use const_oid::db::{
    rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1, SECP_384_R_1, SECP_521_R_1},
    rfc8410::ID_ED_25519,
};
use der::{
    Sequence,
    asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef},
};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use crate::{
    Error,
    asn1::{decode, encode},
    key_fingerprint::key_fingerprint,
    weak_key,
};

/// A kind of key, with its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA with a modulus of so many bits.
    Rsa {
        /// Length of the modulus in bits.
        bits: u32,
    },
    /// ECDSA on the NIST curve P-256.
    EcP256,
    /// ECDSA on the NIST curve P-384.
    EcP384,
    /// ECDSA on the NIST curve P-521: accepted in requests, never generated.
    EcP521,
    /// Ed25519.
    Ed25519,
}

impl KeyAlgorithm {
    /// `rsa`, `ec` or `ed25519`.
    pub fn family(self) -> &'static str {
        match self {
            Self::Rsa { .. } => "rsa",
            Self::EcP256 | Self::EcP384 | Self::EcP521 => "ec",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Bits of the RSA modulus or of the curve; 256 for Ed25519.
    pub fn size(self) -> u32 {
        match self {
            Self::Rsa { bits } => bits,
            Self::EcP256 | Self::Ed25519 => 256,
            Self::EcP384 => 384,
            Self::EcP521 => 521,
        }
    }
}

/// A public key that may be certified.
///
/// RSA keys have 2048 to 8192 bits and an odd exponent of at least 65537; EC keys are uncompressed points on
/// P-256, P-384 or P-521; the other keys are Ed25519.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey {
    spki: Box<[u8]>,
    bits: Box<[u8]>,
    algorithm: KeyAlgorithm,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo and checks that its key may be certified.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        let spki: SubjectPublicKeyInfoRef<'_> = decode(der, "subject public key info")?;
        let bits = spki
            .subject_public_key
            .as_bytes()
            .ok_or_else(|| weak("the key is not a whole number of octets".to_owned()))?;
        let algorithm = key_algorithm(&spki.algorithm, bits)?;
        Ok(Self { spki: der.into(), bits: bits.into(), algorithm })
    }

    /// The key whose SubjectPublicKeyInfo has this algorithm and these bits.
    pub(crate) fn from_bits(algorithm: AlgorithmIdentifierRef<'_>, bits: &[u8]) -> Result<Self, Error> {
        let subject_public_key =
            BitStringRef::from_bytes(bits).map_err(|_| Error::Malformed { what: "public key" })?;
        Self::from_spki_der(&encode(&SubjectPublicKeyInfoRef { algorithm, subject_public_key })?)
    }

    /// The SubjectPublicKeyInfo as it was read.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// What tells this key from others: SHA-256 in lower-case hex. Keys that the same secret serves have the same: of RSA
    /// the modulus counts, of a point on a curve not on which side it is.
    pub fn key_fingerprint(&self) -> String {
        key_fingerprint(&self.spki)
    }

    /// Refuses a key whose private key strangers can find, for what the key itself shows: small or close primes, the
    /// ROCA flaw, points of small order. Takes some milliseconds.
    pub fn check_strength(&self) -> Result<(), Error> {
        weak_key::check(self)
    }

    /// The kind and size of the key.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The content of the subjectPublicKey BIT STRING.
    pub(crate) fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// SHA-1 of the subjectPublicKey bits,
    /// method 1 of [RFC 5280 §4.2.1.2](https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.2).
    pub fn key_identifier(&self) -> [u8; 20] {
        key_identifier(&self.bits)
    }
}

/// SHA-1 over the bits of a public key.
pub(crate) fn key_identifier(bits: &[u8]) -> [u8; 20] {
    let mut identifier = [0; 20];
    identifier.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, bits).as_ref());
    identifier
}

fn key_algorithm(algorithm: &AlgorithmIdentifierRef<'_>, bits: &[u8]) -> Result<KeyAlgorithm, Error> {
    match algorithm.oid {
        RSA_ENCRYPTION => {
            // RFC 3279 §2.3.1: "The parameters field MUST have ASN.1 type NULL".
            if algorithm.parameters != Some(AnyRef::NULL) {
                return Err(unsupported("the parameters of an RSA key must be NULL".to_owned()));
            }
            check_rsa(bits)
        }
        ID_EC_PUBLIC_KEY => check_point(algorithm, bits),
        ID_ED_25519 if algorithm.parameters.is_some() => {
            Err(unsupported("an Ed25519 key must have no parameters".to_owned()))
        }
        ID_ED_25519 if bits.len() != ED25519_LEN => {
            Err(weak(format!("an Ed25519 key has {ED25519_LEN} octets, not {}", bits.len())))
        }
        ID_ED_25519 => Ok(KeyAlgorithm::Ed25519),
        other => Err(unsupported(format!(
            "keys of algorithm {other} are not certified; RSA, EC and Ed25519 keys are"
        ))),
    }
}

fn check_rsa(bits: &[u8]) -> Result<KeyAlgorithm, Error> {
    let key: RsaPublicKey<'_> = decode(bits, "RSA public key")?;
    let (modulus, exponent) = (key.modulus.as_bytes(), key.exponent.as_bytes());
    let length = bit_length(modulus);
    if !(RSA_MIN_BITS..=RSA_MAX_BITS).contains(&length) {
        return Err(weak(format!(
            "an RSA key must have {RSA_MIN_BITS} to {RSA_MAX_BITS} bits, this one has {length}"
        )));
    }
    if !is_odd(modulus) {
        return Err(weak("the RSA modulus is even".to_owned()));
    }
    if !is_odd(exponent) || bit_length(exponent) < RSA_MIN_EXPONENT_BITS {
        return Err(weak("the RSA public exponent must be odd and at least 65537".to_owned()));
    }
    if bit_length(exponent) > RSA_MAX_EXPONENT_BITS {
        return Err(unsupported(format!(
            "the RSA public exponent must have at most {RSA_MAX_EXPONENT_BITS} bits"
        )));
    }
    Ok(KeyAlgorithm::Rsa { bits: length })
}

fn check_point(algorithm: &AlgorithmIdentifierRef<'_>, point: &[u8]) -> Result<KeyAlgorithm, Error> {
    let curve = named_curve(algorithm)?;
    let verification: &'static dyn VerificationAlgorithm = match curve {
        KeyAlgorithm::EcP256 => &ECDSA_P256_SHA256_ASN1,
        KeyAlgorithm::EcP384 => &ECDSA_P384_SHA384_ASN1,
        _ => &ECDSA_P521_SHA512_ASN1,
    };
    if point.first() != Some(&UNCOMPRESSED) {
        return Err(unsupported("an EC key must be an uncompressed point".to_owned()));
    }
    ParsedPublicKey::new(verification, point)
        .map_err(|_| weak("the EC key is not a point on its curve".to_owned()))?;
    Ok(curve)
}

/// The curve an EC algorithm names.
pub(crate) fn named_curve(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<KeyAlgorithm, Error> {
    let curve = algorithm.parameters.and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok());
    match curve {
        Some(SECP_256_R_1) => Ok(KeyAlgorithm::EcP256),
        Some(SECP_384_R_1) => Ok(KeyAlgorithm::EcP384),
        Some(SECP_521_R_1) => Ok(KeyAlgorithm::EcP521),
        Some(other) => Err(unsupported(format!("curve {other} is none of P-256, P-384 and P-521"))),
        None => Err(unsupported("an EC key must name its curve".to_owned())),
    }
}

pub(crate) fn bit_length(magnitude: &[u8]) -> u32 {
    match magnitude.iter().position(|byte| *byte != 0) {
        Some(start) => {
            let octets = u32::try_from(magnitude.len() - start).unwrap_or(u32::MAX / 8);
            8 * octets - magnitude[start].leading_zeros()
        }
        None => 0,
    }
}

fn is_odd(magnitude: &[u8]) -> bool {
    magnitude.last().is_some_and(|byte| byte % 2 == 1)
}

pub(crate) fn weak(reason: String) -> Error {
    Error::WeakKey { reason }
}

fn unsupported(reason: String) -> Error {
    Error::UnsupportedKey { reason }
}

#[derive(Sequence)]
pub(crate) struct RsaPublicKey<'a> {
    pub(crate) modulus: UintRef<'a>,
    pub(crate) exponent: UintRef<'a>,
}

const RSA_MIN_BITS: u32 = 2048;
const RSA_MAX_BITS: u32 = 8192;
/// An odd number of 17 bits or more is at least 65537.
const RSA_MIN_EXPONENT_BITS: u32 = 17;
/// The limit of aws-lc; larger exponents only serve to slow verifiers down.
const RSA_MAX_EXPONENT_BITS: u32 = 33;
const ED25519_LEN: usize = 32;
/// The first octet of a point that is written with both its coordinates.
pub(crate) const UNCOMPRESSED: u8 = 4;
