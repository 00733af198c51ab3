//! Which signatures are made, and which are accepted.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use const_oid::{
    ObjectIdentifier,
    db::{
        rfc5912::{
            ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, ID_MGF_1, ID_RSASSA_PSS, ID_SHA_256,
            ID_SHA_384, ID_SHA_512, MD_5_WITH_RSA_ENCRYPTION, SHA_1_WITH_RSA_ENCRYPTION,
            SHA_256_WITH_RSA_ENCRYPTION, SHA_384_WITH_RSA_ENCRYPTION, SHA_512_WITH_RSA_ENCRYPTION,
        },
        rfc8410::ID_ED_25519,
    },
};
use der::{Sequence, asn1::AnyRef};
use spki::AlgorithmIdentifierRef;

use crate::{
    Error, KeyAlgorithm, PublicKey,
    asn1::{Signed, decode},
};

/// The algorithm an issuer with such a key signs with.
pub(crate) fn algorithm_of_issuer(key: KeyAlgorithm) -> Result<AlgorithmIdentifierRef<'static>, Error> {
    let (oid, parameters) = match key {
        KeyAlgorithm::Rsa { .. } => (SHA_256_WITH_RSA_ENCRYPTION, Some(AnyRef::NULL)),
        KeyAlgorithm::EcP256 => (ECDSA_WITH_SHA_256, None),
        KeyAlgorithm::EcP384 => (ECDSA_WITH_SHA_384, None),
        KeyAlgorithm::Ed25519 => (ID_ED_25519, None),
        KeyAlgorithm::EcP521 => {
            let reason = "P-521 keys are certified, but do not sign".to_owned();
            return Err(Error::UnsupportedKey { reason });
        }
    };
    Ok(AlgorithmIdentifierRef { oid, parameters })
}

/// Verifies the signature of a certificate, request or revocation list with a public key.
pub(crate) fn verify(signed: &Signed<'_>, key: &PublicKey, what: &'static str) -> Result<(), Error> {
    let algorithm: AlgorithmIdentifierRef<'_> = decode(signed.algorithm.0, "signature algorithm")?;
    let verification = verification_algorithm(&algorithm, key.algorithm())?;
    let signature = signed.signature.as_bytes().ok_or(Error::BadSignature { what })?;
    UnparsedPublicKey::new(verification, key.bits())
        .verify(signed.body.0, signature)
        .map_err(|_| Error::BadSignature { what })
}

fn verification_algorithm(
    algorithm: &AlgorithmIdentifierRef<'_>,
    key: KeyAlgorithm,
) -> Result<&'static dyn VerificationAlgorithm, Error> {
    use KeyAlgorithm::{EcP256, EcP384, EcP521, Ed25519, Rsa};

    let refused = |reason| Error::UnsupportedSignature { algorithm: name_of(algorithm.oid), reason };
    let parameters_are_right = match algorithm.parameters {
        // RFC 4055 §5 wants NULL with RSA and has verifiers accept absence.
        Some(parameters) => parameters.is_null() && matches!(key, Rsa { .. }),
        None => true,
    };
    if algorithm.oid != ID_RSASSA_PSS && !parameters_are_right {
        return Err(refused("it has parameters that do not belong there"));
    }
    Ok(match (key, algorithm.oid) {
        (Rsa { .. }, SHA_256_WITH_RSA_ENCRYPTION) => &RSA_PKCS1_2048_8192_SHA256,
        (Rsa { .. }, SHA_384_WITH_RSA_ENCRYPTION) => &RSA_PKCS1_2048_8192_SHA384,
        (Rsa { .. }, SHA_512_WITH_RSA_ENCRYPTION) => &RSA_PKCS1_2048_8192_SHA512,
        (Rsa { .. }, ID_RSASSA_PSS) => pss(algorithm).map_err(refused)?,
        (EcP256, ECDSA_WITH_SHA_256) => &ECDSA_P256_SHA256_ASN1,
        (EcP256, ECDSA_WITH_SHA_384) => &ECDSA_P256_SHA384_ASN1,
        (EcP256, ECDSA_WITH_SHA_512) => &ECDSA_P256_SHA512_ASN1,
        (EcP384, ECDSA_WITH_SHA_256) => &ECDSA_P384_SHA256_ASN1,
        (EcP384, ECDSA_WITH_SHA_384) => &ECDSA_P384_SHA384_ASN1,
        (EcP384, ECDSA_WITH_SHA_512) => &ECDSA_P384_SHA512_ASN1,
        (EcP521, ECDSA_WITH_SHA_256) => &ECDSA_P521_SHA256_ASN1,
        (EcP521, ECDSA_WITH_SHA_384) => &ECDSA_P521_SHA384_ASN1,
        (EcP521, ECDSA_WITH_SHA_512) => &ECDSA_P521_SHA512_ASN1,
        (Ed25519, ID_ED_25519) => &ED25519,
        (_, MD_5_WITH_RSA_ENCRYPTION | SHA_1_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_1) => {
            return Err(refused("its hash is broken; SHA-256, SHA-384 and SHA-512 are accepted"));
        }
        _ => return Err(refused("it does not belong to the key; SHA-256, SHA-384 and SHA-512 are accepted")),
    })
}

/// RSASSA-PSS of [RFC 4055 §3.1](https://www.rfc-editor.org/rfc/rfc4055#section-3.1), one hash for both uses.
fn pss(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<&'static dyn VerificationAlgorithm, &'static str> {
    const REASON: &str = "PSS must use SHA-256, SHA-384 or SHA-512, with MGF1 of the same hash";

    let parameters =
        algorithm.parameters.and_then(|parameters| parameters.decode_as::<PssParameters<'_>>().ok());
    let (hash, mask) = parameters.as_ref().and_then(|it| it.hash.zip(it.mask)).ok_or(REASON)?;
    let mask_hash = mask
        .parameters
        .filter(|_| mask.oid == ID_MGF_1)
        .and_then(|hash| hash.decode_as::<AlgorithmIdentifierRef<'_>>().ok());
    let (algorithm, hash_length): (&'static dyn VerificationAlgorithm, _) = match hash.oid {
        other if mask_hash.map(|it| it.oid) != Some(other) => return Err(REASON),
        ID_SHA_256 => (&RSA_PSS_2048_8192_SHA256, 32),
        ID_SHA_384 => (&RSA_PSS_2048_8192_SHA384, 48),
        ID_SHA_512 => (&RSA_PSS_2048_8192_SHA512, 64),
        _ => return Err(REASON),
    };
    // The only length that aws-lc-rs verifies; some versions of OpenSSL make it as long as it can be.
    if parameters.and_then(|it| it.salt_length) != Some(hash_length) {
        return Err("the salt of PSS must be as long as its hash");
    }
    Ok(algorithm)
}

fn name_of(oid: ObjectIdentifier) -> String {
    const_oid::db::DB.by_oid(&oid).map_or_else(|| oid.to_string(), str::to_owned)
}

const ECDSA_WITH_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");

#[derive(Sequence)]
struct PssParameters<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt_length: Option<u32>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u32>,
}
