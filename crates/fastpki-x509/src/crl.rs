use const_oid::db::rfc5280::{ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER};
use der::{
    Encode, Sequence,
    asn1::{BitStringRef, OctetStringRef, UintRef},
};
use jiff::Timestamp;
use x509_cert::time::Time;

use crate::{
    Certificate, Error, PrivateKey, PublicKey, Reason, Serial,
    asn1::{ExtensionRef, Oid, Raw, SequenceContent, Signed, decode, encode, encode_time},
    certificate::AuthorityKeyIdentifierRef,
    lint, pem, signature,
};

mod read;

pub use read::{ListedRevocation, RevocationList};

/// A revoked certificate as a CRL lists it.
#[derive(Clone, Debug)]
pub struct RevokedEntry {
    /// The serial number of the certificate.
    pub serial: Serial,
    /// When it was revoked.
    pub revoked_at: Timestamp,
    /// Why it was.
    pub reason: Reason,
}

/// A CRL in the making: entries are encoded as they come, so its memory is that of the CRL and little more.
///
/// Version 2 as [RFC 5280 §5](https://www.rfc-editor.org/rfc/rfc5280#section-5) has it, with authority key identifier
/// and CRL number, and with a reason code on each entry that has a reason.
pub struct CrlBuilder {
    issuer: Certificate,
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    entries: Vec<u8>,
    count: usize,
}

impl CrlBuilder {
    /// An empty CRL of this issuer. The number must be greater than that of every CRL before it.
    pub fn new(issuer: &Certificate, number: u64, this_update: Timestamp, next_update: Timestamp) -> Self {
        // The headers come last and stand first: room for them is kept in front.
        let entries = vec![0; HEADROOM + issuer.subject().der().len()];
        Self { issuer: issuer.clone(), number, this_update, next_update, entries, count: 0 }
    }

    /// Adds an entry; a revocation before 1970 is dated to the start of it. A CRL may have up to 256 MB, which are some five million entries.
    pub fn push(&mut self, entry: &RevokedEntry) -> Result<(), Error> {
        if self.entries.len() > MAX_LEN {
            return Err(Error::TooLarge { what: "revocation list", limit: MAX_LEN });
        }
        let mut buffer = [0; MAX_ENTRY_LEN];
        let extensions = entry.reason.code().map(reason_extension);
        let encoded = Entry {
            serial: UintRef::new(entry.serial.magnitude()).map_err(|_| Error::Serial)?,
            revoked_at: encode_time(entry.revoked_at.max(Timestamp::UNIX_EPOCH))?,
            extensions: extensions.as_ref().map(|it| SequenceContent(it)),
        };
        self.entries.extend_from_slice(encoded.encode_to_slice(&mut buffer).map_err(|_| UNENCODABLE)?);
        self.count += 1;
        Ok(())
    }

    /// The CRL, ready to be signed.
    pub fn finish(self) -> UnsignedCrl {
        UnsignedCrl(self)
    }
}

/// A CRL that only lacks its signature.
pub struct UnsignedCrl(CrlBuilder);

impl UnsignedCrl {
    /// Signs with the issuer's key, reads the list back, verifies it with the issuer's public key and lints it.
    ///
    /// The issuer must be a CA whose key usage, if stated, includes signing lists.
    pub fn sign(self, key: &PrivateKey) -> Result<Crl, Error> {
        let Self(builder) = self;
        if !builder.issuer.may_sign_revocation_lists() {
            return Err(Error::NotACa);
        }
        let issuer_key = builder.issuer.public_key_info()?;
        if key.public_key() != &issuer_key {
            return Err(Error::KeyMismatch);
        }
        let expected = Expected {
            issuer: builder.issuer.subject().der().to_vec(),
            key_id: key_id(&builder.issuer, &issuer_key),
            number: builder.number,
            count: builder.count,
        };
        let algorithm = encode(&signature::algorithm_of_issuer(issuer_key.algorithm())?)?;
        let mut layout = builder.lay_out(&algorithm, &expected.key_id)?;

        let signature = key.sign(layout.bytes())?;
        let signature = BitStringRef::from_bytes(&signature).map_err(|_| UNENCODABLE)?;
        layout.append(&algorithm)?;
        layout.append(&encode(&signature)?)?;
        layout.prepend_sequence_header()?;
        let der = layout.into_bytes();

        let signed: Signed<'_> = decode(&der, "new revocation list")?;
        signature::verify(&signed, &issuer_key, "new revocation list")?;
        lint::crl(&signed, &expected)?;
        Ok(Crl(der))
    }
}

/// What a new CRL must say, for reading it back.
pub(crate) struct Expected {
    pub(crate) issuer: Vec<u8>,
    pub(crate) key_id: Vec<u8>,
    pub(crate) number: u64,
    pub(crate) count: usize,
}

impl CrlBuilder {
    /// The whole TBSCertList, in the buffer of the entries.
    fn lay_out(self, algorithm: &[u8], key_id: &[u8]) -> Result<Layout, Error> {
        let start = HEADROOM + self.issuer.subject().der().len();
        let mut layout = Layout { buffer: self.entries, start };
        // RFC 5280 §5.1.2.6: "When there are no revoked certificates, the revoked certificates list MUST be absent."
        if self.count > 0 {
            layout.prepend_sequence_header()?;
        }
        let head = Head {
            version: VERSION_2,
            signature: Raw(algorithm),
            issuer: Raw(self.issuer.subject().der()),
            this_update: encode_time(self.this_update)?,
            next_update: encode_time(self.next_update)?,
        };
        layout.prepend(value_of(&encode(&head)?)?)?;
        layout.append(&extensions(key_id, self.number)?)?;
        layout.prepend_sequence_header()?;
        Ok(layout)
    }
}

/// Bytes that grow at both ends without being moved.
struct Layout {
    buffer: Vec<u8>,
    /// Where the bytes start; what is before is room.
    start: usize,
}

impl Layout {
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.buffer.drain(..self.start);
        self.buffer
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.buffer.len() + bytes.len() > MAX_LEN + MAX_ENTRY_LEN + HEADROOM {
            return Err(Error::TooLarge { what: "revocation list", limit: MAX_LEN });
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn prepend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let start = self.start.checked_sub(bytes.len()).ok_or(UNENCODABLE)?;
        self.buffer[start..self.start].copy_from_slice(bytes);
        self.start = start;
        Ok(())
    }

    fn prepend_sequence_header(&mut self) -> Result<(), Error> {
        let length = der::Length::try_from(self.bytes().len()).map_err(|_| UNENCODABLE)?;
        let header = der::Header::new(der::Tag::Sequence, length);
        self.prepend(&encode(&header)?)
    }
}

/// The fields of a TBSCertList before its entries.
#[derive(Sequence)]
struct Head<'a> {
    version: u8,
    signature: Raw<'a>,
    issuer: Raw<'a>,
    this_update: Time,
    next_update: Time,
}

/// TBSCertList of [RFC 5280 §5.1](https://www.rfc-editor.org/rfc/rfc5280#section-5.1), for reading back.
#[derive(Sequence)]
pub(crate) struct TbsCertList<'a> {
    pub(crate) version: u8,
    pub(crate) signature: Raw<'a>,
    pub(crate) issuer: Raw<'a>,
    pub(crate) this_update: Time,
    pub(crate) next_update: Time,
    pub(crate) entries: Option<SequenceContent<'a>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) extensions: Option<Vec<ExtensionRef<'a>>>,
}

/// An entry of revokedCertificates.
#[derive(Sequence)]
pub(crate) struct Entry<'a> {
    pub(crate) serial: UintRef<'a>,
    pub(crate) revoked_at: Time,
    pub(crate) extensions: Option<SequenceContent<'a>>,
}

fn key_id(issuer: &Certificate, key: &PublicKey) -> Vec<u8> {
    issuer.subject_key_id().map_or_else(|| key.key_identifier().to_vec(), <[u8]>::to_vec)
}

/// The crlExtensions, with their `[0]`.
fn extensions(key_id: &[u8], number: u64) -> Result<Vec<u8>, Error> {
    let key_id = OctetStringRef::new(key_id).map_err(|_| UNENCODABLE)?;
    let authority = encode(&AuthorityKeyIdentifierRef { key_id: Some(key_id), issuer: None, serial: None })?;
    let number = encode(&number)?;
    let extension = |id, value| {
        Ok(ExtensionRef { id: Oid::from(id), critical: false, value: OctetStringRef::new(value)? })
    };
    let list =
        [extension(&ID_CE_AUTHORITY_KEY_IDENTIFIER, &authority), extension(&ID_CE_CRL_NUMBER, &number)];
    let list = list.into_iter().collect::<der::Result<Vec<_>>>().map_err(|_| UNENCODABLE)?;
    encode(&der::asn1::ContextSpecific {
        tag_number: der::TagNumber(0),
        tag_mode: der::TagMode::Explicit,
        value: list,
    })
}

/// The content of crlEntryExtensions: one Extension with id-ce-cRLReasons around an ENUMERATED.
fn reason_extension(code: u8) -> [u8; 12] {
    [0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01, code]
}

/// The content of a SEQUENCE.
fn value_of(der: &[u8]) -> Result<&[u8], Error> {
    decode::<SequenceContent<'_>>(der, "new revocation list").map(|it| it.0)
}

/// A signed certificate revocation list.
#[derive(Clone, Debug)]
pub struct Crl(Vec<u8>);

impl Crl {
    /// The list in DER.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// The list in DER, given away.
    pub fn into_der(self) -> Vec<u8> {
        self.0
    }

    /// The list in PEM, with a trailing newline.
    pub fn to_pem(&self) -> String {
        crl_pem(&self.0)
    }
}

/// A revocation list kept as DER in PEM, with a trailing newline.
pub fn crl_pem(der: &[u8]) -> String {
    pem::encode(LABEL, der)
}

const LABEL: &str = "X509 CRL";
/// Three sequence headers, the version, an algorithm and two times.
const HEADROOM: usize = 3 * 6 + 3 + 20 + 2 * 17;
const MAX_ENTRY_LEN: usize = 64;
const MAX_LEN: usize = 256_000_000;
const VERSION_2: u8 = 1;
const UNENCODABLE: Error = Error::Internal("a revocation list could not be encoded");

#[cfg(test)]
mod tests;
