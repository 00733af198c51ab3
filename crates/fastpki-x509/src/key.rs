use std::fmt;

use aws_lc_rs::{
    encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der},
    error::Unspecified,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use const_oid::db::{
    rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1, SECP_384_R_1},
    rfc8410::ID_ED_25519,
};
use der::{
    Decode,
    asn1::AnyRef,
    pem::{Decoder, LineEnding},
};
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::{Error, KeyAlgorithm, PublicKey, asn1::Raw, public_key::named_curve};

mod foreign;
mod public_half;

pub(crate) use foreign::{DerKind, Opened};
pub use public_half::key_fits_certificate;
use public_half::pkcs8_parts;

/// A private key: signs certificates, lists and requests through [`Prepared`](crate::Prepared),
/// [`UnsignedCrl`](crate::UnsignedCrl) and [`CsrRequest`](crate::CsrRequest), and nothing else.
///
/// Its memory is wiped when it is dropped.
pub struct PrivateKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl PrivateKey {
    /// Makes a new key: RSA of 2048, 3072, 4096 or 8192 bits, EC on P-256 or P-384, or Ed25519.
    ///
    /// RSA takes from a tenth of a second (2048) to many seconds (8192).
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, Error> {
        let failed = |_| Error::Internal("key generation failed");
        Self::new(match algorithm {
            KeyAlgorithm::Rsa { bits } => {
                Pair::Rsa(Box::new(RsaKeyPair::generate(rsa_size(bits)?).map_err(failed)?))
            }
            KeyAlgorithm::EcP256 => {
                Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?)
            }
            KeyAlgorithm::EcP384 => {
                Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).map_err(failed)?)
            }
            KeyAlgorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            KeyAlgorithm::EcP521 => {
                let reason = "P-521 keys are not generated; P-256 and P-384 are".to_owned();
                return Err(Error::UnsupportedKey { reason });
            }
        })
    }

    /// Reads a PKCS#8, PKCS#1 (`RSA PRIVATE KEY`) or SEC1 (`EC PRIVATE KEY`) key; text around it is ignored.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let (kind, der) = decode_pem(pem)?;
        Self::from_der_of(kind, &der)
    }

    /// Reads a PKCS#8 key in DER.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, Error> {
        Self::from_der_of(Kind::Pkcs8, der)
    }

    fn from_der_of(kind: Kind, der: &[u8]) -> Result<Self, Error> {
        // One SEQUENCE and nothing after it: aws-lc looks no further than its end.
        Raw::from_der(der).map_err(|_| DAMAGED)?;
        Self::new(match kind {
            Kind::Pkcs8 => pair_of_pkcs8(der)?,
            Kind::Pkcs1 => Pair::Rsa(Box::new(RsaKeyPair::from_der(der).map_err(|_| DAMAGED)?)),
            Kind::Sec1 => [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING]
                .into_iter()
                .find_map(|curve| ec_pair(curve, EcdsaKeyPair::from_private_key_der(curve, der).ok()?).ok())
                .ok_or(DAMAGED)?,
        })
    }

    /// The key as PKCS#8 PEM: version 1, lines of 64 characters and a trailing newline.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        der::pem::encode_string("PRIVATE KEY", LineEnding::LF, &self.to_pkcs8_der())
            .map(Zeroizing::new)
            .expect("no key is too long for PEM")
    }

    /// The key as PKCS#8, version 1.
    pub(crate) fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.pair.to_pkcs8().expect("aws-lc encodes any key it has loaded")
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The kind and size of the key.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.public.algorithm()
    }

    /// Signs with the algorithm [`algorithm_of_issuer`](crate::signature::algorithm_of_issuer) names.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Internal("signing failed");
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Pair::Ec(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }

    fn new(pair: Pair) -> Result<Self, Error> {
        let public = match &pair {
            Pair::Rsa(pair) => PublicKey::from_bits(RSA, pair.public_key().as_ref())?,
            Pair::Ec(pair) => {
                let p256 = pair.algorithm() == &ECDSA_P256_SHA256_ASN1_SIGNING;
                let curve = AnyRef::from(if p256 { &SECP_256_R_1 } else { &SECP_384_R_1 });
                let algorithm = AlgorithmIdentifierRef { oid: ID_EC_PUBLIC_KEY, parameters: Some(curve) };
                PublicKey::from_bits(algorithm, pair.public_key().as_ref())?
            }
            Pair::Ed25519(pair) => {
                let algorithm = AlgorithmIdentifierRef { oid: ID_ED_25519, parameters: None };
                PublicKey::from_bits(algorithm, pair.public_key().as_ref())?
            }
        };
        Ok(Self { pair, public })
    }
}

impl Pair {
    /// The PKCS#8, version 1.
    fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        let der = match self {
            Self::Rsa(pair) => {
                let pkcs8: Pkcs8V1Der<'_> = pair.as_der()?;
                pkcs8.as_ref().to_vec()
            }
            Self::Ec(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
            Self::Ed25519(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(der))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

fn pair_of_pkcs8(der: &[u8]) -> Result<Pair, Error> {
    let (algorithm, _) = pkcs8_parts(der).map_err(|_| DAMAGED)?;
    match algorithm.oid {
        RSA_ENCRYPTION => Ok(Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).map_err(|_| DAMAGED)?))),
        ID_ED_25519 => Ok(Pair::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(|_| DAMAGED)?)),
        ID_EC_PUBLIC_KEY => {
            let curve = match named_curve(&algorithm)? {
                KeyAlgorithm::EcP256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
                KeyAlgorithm::EcP384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
                _ => {
                    return Err(Error::UnsupportedKey {
                        reason: "only P-256 and P-384 keys sign".to_owned(),
                    });
                }
            };
            ec_pair(curve, EcdsaKeyPair::from_pkcs8(curve, der).map_err(|_| DAMAGED)?)
        }
        other => {
            let reason =
                format!("private keys of algorithm {other} do not sign; RSA, EC and Ed25519 keys do");
            Err(Error::UnsupportedKey { reason })
        }
    }
}

/// The pair built anew: one read from a key without its public half would be written without it too.
fn ec_pair(curve: &'static EcdsaSigningAlgorithm, pair: EcdsaKeyPair) -> Result<Pair, Error> {
    let secret: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(|_| DAMAGED)?;
    EcdsaKeyPair::from_private_key_and_public_key(curve, secret.as_ref(), pair.public_key().as_ref())
        .map(Pair::Ec)
        .map_err(|_| DAMAGED)
}

/// The formats of keys that are not encrypted.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Pkcs8,
    Pkcs1,
    Sec1,
}

/// The first private key block, decoded in constant time into memory that is wiped.
fn decode_pem(pem: &str) -> Result<(Kind, Zeroizing<Vec<u8>>), Error> {
    let (kind, block) =
        [(Kind::Pkcs8, "PRIVATE KEY"), (Kind::Pkcs1, "RSA PRIVATE KEY"), (Kind::Sec1, "EC PRIVATE KEY")]
            .into_iter()
            .find_map(|(kind, label)| Some((kind, block(pem, label)?)))
            .ok_or_else(|| Error::PrivateKey { reason: reason_without_block(pem) })?;

    if block.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Error::PrivateKey { reason: ENCRYPTED });
    }
    let damaged = |_| Error::PrivateKey { reason: "its PEM is damaged" };
    let mut decoder = Decoder::new_detect_wrap(block.as_bytes()).map_err(damaged)?;
    // Room for all of it: growing would leave an unwiped copy behind.
    let mut der = Zeroizing::new(Vec::with_capacity(block.len()));
    decoder.decode_to_end(&mut der).map_err(damaged)?;
    Ok((kind, der))
}

fn block<'a>(pem: &'a str, label: &str) -> Option<&'a str> {
    let start = pem.find(&format!("-----BEGIN {label}-----"))?;
    let end_line = format!("-----END {label}-----");
    let end = start + pem[start..].find(&end_line)? + end_line.len();
    Some(&pem[start..end])
}

fn reason_without_block(pem: &str) -> &'static str {
    if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        ENCRYPTED
    } else {
        "there is no PEM block of type PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY"
    }
}

fn rsa_size(bits: u32) -> Result<KeySize, Error> {
    match bits {
        2048 => Ok(KeySize::Rsa2048),
        3072 => Ok(KeySize::Rsa3072),
        4096 => Ok(KeySize::Rsa4096),
        8192 => Ok(KeySize::Rsa8192),
        _ => {
            let reason = format!("RSA keys of {bits} bits are not generated; 2048, 3072, 4096 and 8192 are");
            Err(Error::UnsupportedKey { reason })
        }
    }
}

const RSA: AlgorithmIdentifierRef<'static> =
    AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };

const DAMAGED: Error = Error::PrivateKey { reason: "it is damaged, or of a kind or size that does not sign" };

const ENCRYPTED: &str = "it is encrypted; decrypt it first, for example with openssl pkey";

#[cfg(test)]
mod tests;
