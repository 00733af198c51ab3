//! PKCS#12 files ([RFC 7292](https://www.rfc-editor.org/rfc/rfc7292)): a private key with its certificates, under a
//! password.

use ::pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use aws_lc_rs::hmac;
use const_oid::{
    ObjectIdentifier,
    db::rfc5912::{ID_SHA_1, ID_SHA_224, ID_SHA_256, ID_SHA_384, ID_SHA_512},
};
use der::{
    Sequence,
    asn1::{AnyRef, OctetStringRef},
};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::{
    Error,
    encryption::{UNENCODABLE_PASSWORD, check_iterations, unsupported},
};

mod open;
mod seal;

pub(crate) use open::is_pkcs12;
pub use open::{Contents, OpenedCertificate, OpenedKey, open};
pub use seal::{Bundle, RANDOMNESS_LEN, seal};

/// The whole file.
#[derive(Sequence)]
struct Pfx<'a> {
    version: u8,
    auth_safe: ContentInfo<'a>,
    mac: Option<MacData<'a>>,
}

/// ContentInfo of PKCS#7.
#[derive(Sequence)]
struct ContentInfo<'a> {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    content: Option<AnyRef<'a>>,
}

/// EncryptedData of PKCS#7.
#[derive(Sequence)]
struct EncryptedData<'a> {
    version: u8,
    content: EncryptedContentInfo<'a>,
}

#[derive(Sequence)]
struct EncryptedContentInfo<'a> {
    content_type: ObjectIdentifier,
    algorithm: AlgorithmIdentifierRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    data: Option<&'a OctetStringRef>,
}

#[derive(Sequence)]
struct MacData<'a> {
    mac: DigestInfo<'a>,
    salt: &'a OctetStringRef,
    #[asn1(default = "once")]
    iterations: u32,
}

fn once() -> u32 {
    1
}

#[derive(Sequence)]
struct DigestInfo<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    digest: &'a OctetStringRef,
}

/// A key, a certificate, or something else, with its attributes.
#[derive(Sequence)]
struct SafeBag<'a> {
    id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: AnyRef<'a>,
    attributes: Option<AnyRef<'a>>,
}

#[derive(Sequence)]
struct CertBag<'a> {
    id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: AnyRef<'a>,
}

/// The key of the MAC over the whole file, by the hash it names.
fn mac_key(hash: ObjectIdentifier, password: &str, salt: &[u8], iterations: u32) -> Result<hmac::Key, Error> {
    let rounds = check_iterations(iterations, FILE)?;
    let kind = Pkcs12KeyType::Mac;
    let (algorithm, key) = match hash {
        ID_SHA_1 => {
            (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, derive_key_utf8::<Sha1>(password, salt, kind, rounds, 20))
        }
        ID_SHA_224 => (hmac::HMAC_SHA224, derive_key_utf8::<Sha224>(password, salt, kind, rounds, 28)),
        ID_SHA_256 => (hmac::HMAC_SHA256, derive_key_utf8::<Sha256>(password, salt, kind, rounds, 32)),
        ID_SHA_384 => (hmac::HMAC_SHA384, derive_key_utf8::<Sha384>(password, salt, kind, rounds, 48)),
        ID_SHA_512 => (hmac::HMAC_SHA512, derive_key_utf8::<Sha512>(password, salt, kind, rounds, 64)),
        other => return Err(unsupported(FILE, format!("its integrity is protected by {other}"))),
    };
    let key = key.map(Zeroizing::new).map_err(|_| UNENCODABLE_PASSWORD)?;
    Ok(hmac::Key::new(algorithm, &key))
}

const FILE: &str = "PKCS#12 file";
const VERSION_3: u8 = 3;
const VERSION_0: u8 = 0;

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERT_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const SAFE_CONTENTS_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.6");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");
const LOCAL_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");

#[cfg(test)]
mod tests;
