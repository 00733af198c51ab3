//! Certificates of anybody, taken apart no further than each can be.

use der::{
    AnyRef, Decode, Reader, SliceReader, Tag,
    asn1::{ContextSpecific, ObjectIdentifier, OctetStringRef},
};
use jiff::Timestamp;
use x509_cert::time::Time;

use super::Kind;
use crate::{
    Error, Name, PublicKey,
    asn1::{Oid, Raw, Signed, decode, decode_time},
    certificate::key_identifier_of,
    signature,
};

/// What a signed object looks like, by the tags of its first elements.
pub(super) fn shape_of(der: &[u8]) -> Kind {
    let Ok(signed) = decode::<Signed<'_>>(der, "object") else { return Kind::Other };
    let tags = SliceReader::new(signed.body.0).and_then(|mut body| {
        body.sequence(|body| {
            let mut tags = Vec::new();
            while !body.is_finished() && tags.len() < LOOKED_AT {
                tags.push(Raw::decode(body)?.0.first().copied().unwrap_or_default());
            }
            let rest = body.remaining_len();
            body.read_slice(rest)?;
            Ok::<_, der::Error>(tags)
        })
    });
    match tags.unwrap_or_default().as_slice() {
        [VERSION, INTEGER, ..] | [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, ..] => Kind::Certificate,
        [INTEGER, SEQUENCE, SEQUENCE, UTC_TIME | GENERALIZED_TIME, ..]
        | [SEQUENCE, SEQUENCE, UTC_TIME | GENERALIZED_TIME, ..] => Kind::Crl,
        [INTEGER, SEQUENCE, SEQUENCE, ..] => Kind::Csr,
        _ => Kind::Other,
    }
}

/// A certificate with its fields as they are encoded.
pub(super) struct Foreign<'a> {
    pub(super) signed: Signed<'a>,
    pub(super) version: u8,
    /// The content of the INTEGER.
    pub(super) serial: &'a [u8],
    pub(super) algorithm: Raw<'a>,
    pub(super) issuer: Raw<'a>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) not_after: Option<Timestamp>,
    pub(super) subject: Raw<'a>,
    pub(super) spki: Raw<'a>,
    /// `None` where they cannot be taken apart.
    pub(super) extensions: Option<Vec<Extension<'a>>>,
}

/// An extension of anybody: the criticality is any BOOLEAN.
#[derive(Clone, Copy)]
pub(super) struct Extension<'a> {
    pub(super) id: Oid<'a>,
    pub(super) critical: bool,
    pub(super) value: &'a [u8],
}

impl<'a> Foreign<'a> {
    pub(super) fn from_der(der: &'a [u8]) -> Result<Self, Error> {
        let signed: Signed<'a> = decode(der, "certificate")?;
        let fields =
            SliceReader::new(signed.body.0).and_then(|mut tbs| tbs.sequence(|tbs| Self::read(signed, tbs)));
        fields.map_err(|_| Error::Malformed { what: "certificate" })
    }

    fn read(signed: Signed<'a>, tbs: &mut SliceReader<'a>) -> der::Result<Self> {
        let version: Option<ContextSpecific<u8>> = ContextSpecific::decode_explicit(tbs, der::TagNumber(0))?;
        let serial = AnyRef::decode(tbs)?;
        serial.header().tag().assert_eq(Tag::Integer)?;
        let (algorithm, issuer) = (Raw::decode(tbs)?, Raw::decode(tbs)?);
        let (not_before, not_after) = validity(Raw::decode(tbs)?);
        let (subject, spki) = (Raw::decode(tbs)?, Raw::decode(tbs)?);
        let mut extensions = Some(Vec::new());
        while !tbs.is_finished() {
            let field = AnyRef::decode(tbs)?;
            if field.header().tag() == EXTENSIONS {
                extensions = read_extensions(field.value()).ok();
            }
        }
        Ok(Self {
            signed,
            version: version.map_or(0, |it| it.value).saturating_add(1),
            serial: serial.value(),
            algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            extensions,
        })
    }

    pub(super) fn extension(&self, id: ObjectIdentifier) -> Option<Extension<'a>> {
        self.extensions.iter().flatten().find(|it| it.id == id).copied()
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// What comparisons with other objects need.
    pub(super) fn summary(&self, der: &[u8]) -> Summary {
        let ski = self.extension(const_oid::db::rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER);
        let aki = self.extension(const_oid::db::rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER);
        Summary {
            der: der.to_vec(),
            serial: self.serial.to_vec(),
            subject: self.subject.0.to_vec(),
            issuer: self.issuer.0.to_vec(),
            spki: self.spki.0.to_vec(),
            subject_key_id: ski
                .and_then(|it| <&OctetStringRef>::from_der(it.value).ok())
                .map(|it| it.as_bytes().to_vec()),
            authority_key_id: aki
                .and_then(|it| key_identifier_of(it.value).ok().flatten())
                .map(<[u8]>::to_vec),
        }
    }
}

/// A certificate as far as it is compared with others.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    pub(super) der: Vec<u8>,
    pub(super) serial: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) spki: Vec<u8>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) authority_key_id: Option<Vec<u8>>,
}

impl Summary {
    /// Verifies the signature with the key of an issuer.
    pub(super) fn verify(&self, issuer_spki: &[u8]) -> Result<(), Error> {
        verify(&self.der, issuer_spki, "certificate")
    }
}

/// Verifies the signature of a certificate that was taken apart.
pub(super) fn verify_parsed(signed: &Signed<'_>, issuer_spki: &[u8]) -> Result<(), Error> {
    signature::verify(signed, &PublicKey::from_spki_der(issuer_spki)?, "certificate")
}

/// Verifies the signature of any signed object.
pub(super) fn verify(der: &[u8], issuer_spki: &[u8], what: &'static str) -> Result<(), Error> {
    signature::verify(&decode(der, what)?, &PublicKey::from_spki_der(issuer_spki)?, what)
}

/// The name as text; its bytes where it is none.
pub(super) fn name_text(der: &[u8]) -> String {
    match Name::from_der(der) {
        Ok(name) if name.is_empty() => "(empty)".to_owned(),
        Ok(name) => name.to_string(),
        Err(_) => format!("(unreadable) {}", crate::serial::hex(&der[..der.len().min(MAX_NAME_SHOWN)])),
    }
}

fn validity(raw: Raw<'_>) -> (Option<Timestamp>, Option<Timestamp>) {
    let times = SliceReader::new(raw.0)
        .and_then(|mut it| it.sequence(|it| Ok::<_, der::Error>((Raw::decode(it)?, Raw::decode(it)?))));
    let time = |raw: Raw<'_>| Time::from_der(raw.0).ok().map(decode_time);
    times.map_or((None, None), |(from, to)| (time(from), time(to)))
}

fn read_extensions(value: &[u8]) -> der::Result<Vec<Extension<'_>>> {
    let mut outer = SliceReader::new(value)?;
    let list = outer.sequence(|list| {
        let mut read = Vec::new();
        while !list.is_finished() {
            read.push(list.sequence(read_extension)?);
        }
        Ok::<_, der::Error>(read)
    })?;
    outer.finish().map(|()| list)
}

fn read_extension<'a>(reader: &mut SliceReader<'a>) -> der::Result<Extension<'a>> {
    let id = reader.decode()?;
    let mut next = AnyRef::decode(reader)?;
    let mut critical = false;
    if next.header().tag() == Tag::Boolean {
        critical = next.value().iter().any(|byte| *byte != 0);
        next = AnyRef::decode(reader)?;
    }
    Ok(Extension { id, critical, value: next.decode_as::<&'a OctetStringRef>()?.as_bytes() })
}

const LOOKED_AT: usize = 5;
const VERSION: u8 = 0xa0;
const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const EXTENSIONS: Tag = Tag::ContextSpecific { number: der::TagNumber(3), constructed: true };
const MAX_NAME_SHOWN: usize = 64;
