//! What private keys tell of their public halves, without being loaded.

use const_oid::db::rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION};
use der::{
    Decode, Reader, SliceReader,
    asn1::{BitStringRef, ContextSpecific, ObjectIdentifier, OctetStringRef, UintRef},
};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use x509_cert::Version;
use zeroize::Zeroizing;

use super::PrivateKey;
use crate::{
    Error,
    asn1::{Raw, encode},
    pem,
    public_key::RsaPublicKey,
};

/// Whether a private key belongs to a certificate, by the public half that its PKCS#8 tells.
///
/// A few microseconds, where loading an RSA key takes two hundred: a PKCS#8 without its public half is loaded. It
/// does not prove that the private half belongs to the public one, nor that either would be certified today.
pub fn key_fits_certificate(key_pem: &str, certificate_pem: &str) -> Result<bool, Error> {
    let certificate = pem::decode(certificate_pem, &["CERTIFICATE"])?;
    let certified = subject_public_key_info(&certificate)?;
    // Not the constant-time decoder: a tenth of its time, and nobody outside learns how long this one takes.
    if let Ok(der) = pem::decode(key_pem, &["PRIVATE KEY"]).map(Zeroizing::new)
        && let Some(fits) = pkcs8_fits(&der, certified)
    {
        return Ok(fits);
    }
    Ok(PrivateKey::from_pem(key_pem)?.public.spki_der() == certified)
}

/// `None` where the PKCS#8 does not tell its public half.
fn pkcs8_fits(der: &[u8], certified: &[u8]) -> Option<bool> {
    // One SEQUENCE and nothing after it, as where a key is loaded.
    Raw::from_der(der).ok()?;
    let (algorithm, key) = pkcs8_parts(der).ok()?;
    let certified = SubjectPublicKeyInfoRef::from_der(certified).ok()?;
    let bits = certified.subject_public_key.as_bytes()?;
    match algorithm.oid {
        RSA_ENCRYPTION => {
            Some(certified.algorithm.oid == RSA_ENCRYPTION && encode(&rsa_public(key)?).ok()? == bits)
        }
        ID_EC_PUBLIC_KEY => Some(certified.algorithm == algorithm && sec1_public(key)?.1 == bits),
        _ => None,
    }
}

/// The public half of a PKCS#1 key.
pub(super) fn rsa_public(pkcs1: &[u8]) -> Option<RsaPublicKey<'_>> {
    let public = SliceReader::new(pkcs1).ok()?.sequence(|rsa| {
        rsa.decode::<u8>()?;
        let public = RsaPublicKey { modulus: UintRef::decode(rsa)?, exponent: UintRef::decode(rsa)? };
        skip_rest(rsa)?;
        Ok::<_, der::Error>(public)
    });
    public.ok()
}

/// The curve of a SEC1 key, where it is named there, and its point.
pub(super) fn sec1_public(sec1: &[u8]) -> Option<(Option<ObjectIdentifier>, &[u8])> {
    let public = SliceReader::new(sec1).ok()?.sequence(|ec| {
        ec.decode::<u8>()?;
        ec.decode::<&OctetStringRef>()?;
        let curve = ec.context_specific::<ObjectIdentifier>(der::TagNumber(0), der::TagMode::Explicit)?;
        Ok::<_, der::Error>((
            curve,
            ContextSpecific::<BitStringRef<'_>>::decode_explicit(ec, der::TagNumber(1))?,
        ))
    });
    let (curve, point) = public.ok()?;
    Some((curve, point?.value.as_bytes()?))
}

/// The SubjectPublicKeyInfo of a certificate, without reading the rest of it.
fn subject_public_key_info(certificate: &[u8]) -> Result<&[u8], Error> {
    let spki = SliceReader::new(certificate).and_then(|mut certificate| {
        let Raw(tbs) = certificate.sequence(|certificate| {
            let tbs = Raw::decode(certificate)?;
            skip_rest(certificate)?;
            Ok::<_, der::Error>(tbs)
        })?;
        SliceReader::new(tbs)?.sequence(|tbs| {
            tbs.context_specific::<Version>(der::TagNumber(0), der::TagMode::Explicit)?;
            // Serial number, signature algorithm, issuer, validity, subject.
            for _ in 0..5 {
                Raw::decode(tbs)?;
            }
            let spki = Raw::decode(tbs)?;
            skip_rest(tbs)?;
            Ok::<_, der::Error>(spki.0)
        })
    });
    spki.map_err(|_| Error::Malformed { what: "certificate" })
}

/// Algorithm and inner key of a PrivateKeyInfo, [RFC 5958 §2](https://www.rfc-editor.org/rfc/rfc5958#section-2).
pub(super) fn pkcs8_parts(der: &[u8]) -> der::Result<(AlgorithmIdentifierRef<'_>, &[u8])> {
    SliceReader::new(der)?.sequence(|info| {
        info.decode::<u8>()?;
        let algorithm = AlgorithmIdentifierRef::decode(info)?;
        let key = info.decode::<&OctetStringRef>()?;
        skip_rest(info)?;
        Ok((algorithm, key.as_bytes()))
    })
}

pub(super) fn skip_rest<'a>(reader: &mut impl Reader<'a>) -> der::Result<()> {
    let rest = reader.remaining_len();
    reader.read_slice(rest).map(|_| ())
}
