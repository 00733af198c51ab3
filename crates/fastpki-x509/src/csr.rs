use const_oid::{AssociatedOid, db::rfc5912::ID_EXTENSION_REQ};
use der::{
    Decode, Reader, Sequence, SliceReader, Tag,
    asn1::{AnyRef, ObjectIdentifier},
};
use x509_cert::ext::pkix::SubjectAltName;

use crate::{
    Error, Name, PublicKey, San,
    asn1::{ExtensionRef, Oid, Raw, Signed, decode},
    pem, san, signature,
};

mod request;

pub use request::CsrRequest;

/// A certification request (PKCS#10) whose signature was verified with the key it asks for.
#[derive(Clone, Debug)]
pub struct Csr {
    der: Vec<u8>,
    subject: Name,
    public_key: PublicKey,
    sans: Option<Vec<u8>>,
}

impl Csr {
    /// Reads and verifies a request of at most 64 KiB; text around its PEM block is ignored.
    ///
    /// The key must be one that is certified and not weak, the subject must obey the rules of [`Name::parse`], and the signature
    /// must use SHA-256, SHA-384, SHA-512 or Ed25519.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        if pem.len() > MAX_LEN {
            return Err(Error::TooLarge { what: "certification request", limit: MAX_LEN });
        }
        Self::from_der(&pem::decode(pem, &[LABEL, "NEW CERTIFICATE REQUEST"])?)
    }

    /// Reads and verifies a request in DER, by the same rules.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        if der.len() > MAX_LEN {
            return Err(Error::TooLarge { what: "certification request", limit: MAX_LEN });
        }
        let signed: Signed<'_> = decode(der, "certification request")?;
        let info = Info::from_der(signed.body.0).map_err(|_| MALFORMED)?;
        let public_key = PublicKey::from_spki_der(info.spki.0)?;
        signature::verify(&signed, &public_key, "certification request")?;
        public_key.check_strength()?;
        let subject = Name::from_der(info.subject.0)?;
        subject.check()?;
        Ok(Self { der: der.to_vec(), subject, public_key, sans: requested_sans(info.attributes)? })
    }

    /// The request in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The request in PEM, with a trailing newline.
    pub fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.der)
    }

    /// The subject asked for, which may be empty.
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// The subject alternative names asked for; the error names the first that cannot be certified.
    pub fn sans(&self) -> Result<Vec<San>, Error> {
        self.sans.as_deref().map_or(Ok(Vec::new()), san::decode_sans)
    }

    /// The key to be certified.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

/// CertificationRequestInfo of [RFC 2986 §4.1](https://www.rfc-editor.org/rfc/rfc2986#section-4.1).
pub(crate) struct Info<'a> {
    pub(crate) subject: Raw<'a>,
    pub(crate) spki: Raw<'a>,
    /// Content of the `[0]`; empty where it is left out, as some clients do.
    pub(crate) attributes: &'a [u8],
}

impl<'a> Info<'a> {
    pub(crate) fn from_der(der: &'a [u8]) -> der::Result<Self> {
        SliceReader::new(der)?.sequence(|info| {
            if info.decode::<u8>()? != VERSION_1 {
                return Err(Tag::Integer.value_error().into());
            }
            let (subject, spki) = (Raw::decode(info)?, Raw::decode(info)?);
            let attributes = if info.is_finished() { &[] } else { attributes(AnyRef::decode(info)?)? };
            Ok(Self { subject, spki, attributes })
        })
    }
}

fn attributes(any: AnyRef<'_>) -> der::Result<&[u8]> {
    let tag = any.header().tag();
    let expected = Tag::ContextSpecific { number: der::TagNumber(0), constructed: true };
    if tag == expected { Ok(any.value()) } else { Err(tag.value_error().into()) }
}

/// The value of the subjectAltName in an extensionRequest attribute.
pub(crate) fn requested_sans(attributes: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let mut found = None;
    for extension in requested_extensions(attributes).map_err(|_| MALFORMED)? {
        if extension.id == SubjectAltName::OID && found.replace(extension.value.as_bytes().to_vec()).is_some()
        {
            return Err(Error::Malformed {
                what: "certification request with two subject alternative name extensions",
            });
        }
    }
    Ok(found)
}

fn requested_extensions(attributes: &[u8]) -> der::Result<Vec<ExtensionRef<'_>>> {
    let mut extensions = Vec::new();
    let mut reader = SliceReader::new(attributes)?;
    while !reader.is_finished() {
        let attribute = Attribute::decode(&mut reader)?;
        if attribute.oid == ID_EXTENSION_REQ || attribute.oid == MICROSOFT_EXTENSION_REQ {
            attribute.values.header().tag().assert_eq(Tag::Set)?;
            extensions.extend(Vec::<ExtensionRef<'_>>::from_der(attribute.values.value())?);
        }
    }
    Ok(extensions)
}

#[derive(Sequence)]
struct Attribute<'a> {
    oid: Oid<'a>,
    values: AnyRef<'a>,
}

/// szOID_CERT_EXTENSIONS: what Windows had before it knew the attribute of PKCS#9.
const MICROSOFT_EXTENSION_REQ: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.14");
const LABEL: &str = "CERTIFICATE REQUEST";
const VERSION_1: u8 = 0;
const MAX_LEN: usize = 64 * 1024;
const MALFORMED: Error = Error::Malformed { what: "certification request" };

#[cfg(test)]
mod tests;
