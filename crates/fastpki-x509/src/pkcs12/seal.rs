use aws_lc_rs::hmac;
use const_oid::{ObjectIdentifier, db::rfc5912::ID_SHA_256};
use der::{
    Encode,
    asn1::{AnyRef, BmpString, OctetString, OctetStringRef, SetOfVec},
};
use spki::AlgorithmIdentifierRef;
use x509_cert::attr::{Attribute, AttributeValue, Attributes};

use super::{
    CERT_BAG, CertBag, ContentInfo, DATA, DigestInfo, ENCRYPTED_DATA, EncryptedContentInfo, EncryptedData,
    FRIENDLY_NAME, LOCAL_KEY_ID, MacData, Pfx, SHROUDED_KEY_BAG, SafeBag, VERSION_0, VERSION_3,
    X509_CERTIFICATE, mac_key,
};
use crate::{
    Certificate, Error, PrivateKey,
    asn1::{Raw, encode},
    encryption::{self, Encrypted, SALT_LEN, Salts, any},
};

/// What goes into a PKCS#12 file.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'a> {
    /// The certificate of the key.
    pub certificate: &'a Certificate,
    /// Its private key.
    pub key: &'a PrivateKey,
    /// The certificates above it, its issuer first.
    pub chain: &'a [Certificate],
    /// What programs call key and certificate: the alias in Java, the name in lists of certificates.
    pub friendly_name: Option<&'a str>,
}

/// A PKCS#12 file of the bundle: AES-256-CBC under PBKDF2-HMAC-SHA256, and an HMAC-SHA256 over the whole.
///
/// The randomness must be new for each file. It takes a few tenths of a second, so that guessing passwords takes long.
pub fn seal(
    bundle: &Bundle<'_>,
    password: &str,
    randomness: &[u8; RANDOMNESS_LEN],
) -> Result<Vec<u8>, Error> {
    seal_with(bundle, password, randomness, ITERATIONS)
}

pub(super) fn seal_with(
    bundle: &Bundle<'_>,
    password: &str,
    randomness: &[u8; RANDOMNESS_LEN],
    iterations: u32,
) -> Result<Vec<u8>, Error> {
    if password.is_empty() {
        return Err(Error::UnusablePassword { reason: "a PKCS#12 file with a private key needs one" });
    }
    if !bundle.certificate.matches_key(bundle.key.public_key()) {
        return Err(Error::KeyOfAnother);
    }
    let mut random = randomness.as_chunks::<SALT_LEN>().0.iter().copied();
    let mut salt = || random.next().ok_or(Error::Internal("too little randomness for a PKCS#12 file"));
    let certificate_salts = Salts { salt: salt()?, iv: salt()? };
    let key_salts = Salts { salt: salt()?, iv: salt()? };
    let mac_salt = salt()?;

    let certificates = certificate_bags(bundle)?;
    let certificates = encrypted_safe(&certificates, password, iterations, certificate_salts)?;
    let keys = data_safe(&encode(&vec![Raw(&key_bag(bundle, password, iterations, key_salts)?)])?)?;
    let safes = encode(&vec![Raw(&certificates), Raw(&keys)])?;
    let mac = hmac::sign(&mac_key(ID_SHA_256, password, &mac_salt, iterations)?, &safes);

    let content = encode(&octets(&safes)?)?;
    encode(&Pfx {
        version: VERSION_3,
        auth_safe: ContentInfo { content_type: DATA, content: Some(any(&content)?) },
        mac: Some(MacData {
            mac: DigestInfo {
                algorithm: AlgorithmIdentifierRef { oid: ID_SHA_256, parameters: Some(AnyRef::NULL) },
                digest: octets(mac.as_ref())?,
            },
            salt: octets(&mac_salt)?,
            iterations,
        }),
    })
}

/// The SafeContents with the certificate and its chain.
pub(super) fn certificate_bags(bundle: &Bundle<'_>) -> Result<Vec<u8>, Error> {
    let mut bags = vec![certificate_bag(bundle.certificate, Some(&attributes(bundle)?))?];
    for above in bundle.chain {
        bags.push(certificate_bag(above, None)?);
    }
    encode(&bags.iter().map(|it| Raw(it)).collect::<Vec<_>>())
}

fn certificate_bag(certificate: &Certificate, attributes: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let der = encode(&octets(certificate.der())?)?;
    let bag = encode(&CertBag { id: X509_CERTIFICATE, value: any(&der)? })?;
    encode(&SafeBag { id: CERT_BAG, value: any(&bag)?, attributes: attributes.map(any).transpose()? })
}

fn key_bag(bundle: &Bundle<'_>, password: &str, iterations: u32, salts: Salts) -> Result<Vec<u8>, Error> {
    let sealed = encryption::encrypt(&bundle.key.to_pkcs8_der(), password, iterations, salts)?;
    let algorithm = algorithm(&sealed.algorithm)?;
    let bag = encode(&Encrypted { algorithm, data: octets(&sealed.data)? })?;
    let attributes = attributes(bundle)?;
    encode(&SafeBag { id: SHROUDED_KEY_BAG, value: any(&bag)?, attributes: Some(any(&attributes)?) })
}

/// What says that key and certificate belong together, and what they are called.
fn attributes(bundle: &Bundle<'_>) -> Result<Vec<u8>, Error> {
    let id = OctetString::new(bundle.key.public_key().key_identifier()).map_err(failed)?;
    let mut attributes = Attributes::new();
    attributes.insert(attribute(LOCAL_KEY_ID, &id)?).map_err(failed)?;
    if let Some(name) = bundle.friendly_name {
        // A BMPString has no characters beyond U+FFFF.
        let name: String = name.chars().map(|c| if c > '\u{ffff}' { '\u{fffd}' } else { c }).collect();
        let name = BmpString::from_utf8(&name).map_err(failed)?;
        attributes.insert(attribute(FRIENDLY_NAME, &name)?).map_err(failed)?;
    }
    encode(&attributes)
}

fn attribute(oid: ObjectIdentifier, value: &impl Encode) -> Result<Attribute, Error> {
    let value: AttributeValue = any(&encode(value)?)?.into();
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value]).map_err(failed)? })
}

/// A ContentInfo with encrypted bags.
fn encrypted_safe(bags: &[u8], password: &str, iterations: u32, salts: Salts) -> Result<Vec<u8>, Error> {
    let sealed = encryption::encrypt(bags, password, iterations, salts)?;
    let content = encode(&EncryptedData {
        version: VERSION_0,
        content: EncryptedContentInfo {
            content_type: DATA,
            algorithm: algorithm(&sealed.algorithm)?,
            data: Some(octets(&sealed.data)?),
        },
    })?;
    encode(&ContentInfo { content_type: ENCRYPTED_DATA, content: Some(any(&content)?) })
}

/// A ContentInfo with bags as they are.
pub(super) fn data_safe(bags: &[u8]) -> Result<Vec<u8>, Error> {
    let content = encode(&octets(bags)?)?;
    encode(&ContentInfo { content_type: DATA, content: Some(any(&content)?) })
}

fn algorithm(der: &[u8]) -> Result<AlgorithmIdentifierRef<'_>, Error> {
    crate::asn1::decode(der, "encryption parameters")
}

fn octets(bytes: &[u8]) -> Result<&OctetStringRef, Error> {
    OctetStringRef::new(bytes).map_err(failed)
}

fn failed(_: der::Error) -> Error {
    Error::Internal("a PKCS#12 file could not be encoded")
}

/// How many random octets go into a file: five salts and initialization vectors.
pub const RANDOMNESS_LEN: usize = 5 * SALT_LEN;

/// What OWASP recommends for PBKDF2-HMAC-SHA256.
const ITERATIONS: u32 = 600_000;
