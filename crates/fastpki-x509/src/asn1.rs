//! The ASN.1 that certificates, requests and revocation lists share.

use std::fmt;

use der::{
    Decode, DecodeValue, Encode, EncodeValue, FixedTag, Header, Length, Reader, Sequence, Tag, Writer,
    asn1::{BitStringRef, GeneralizedTime, ObjectIdentifier, OctetStringRef, UtcTime},
};
use jiff::Timestamp;
use x509_cert::time::Time;

use crate::Error;

/// A complete DER value, header included, that is copied and never interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl<'a> Decode<'a> for Raw<'a> {
    type Error = der::Error;

    fn decode<R: Reader<'a>>(reader: &mut R) -> der::Result<Self> {
        reader.tlv_bytes().map(Self)
    }
}

impl Encode for Raw<'_> {
    fn encoded_len(&self) -> der::Result<Length> {
        Length::try_from(self.0.len())
    }

    fn encode(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

/// The content of a SEQUENCE that is not interpreted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SequenceContent<'a>(pub(crate) &'a [u8]);

impl<'a> Sequence<'a> for SequenceContent<'a> {}

impl<'a> DecodeValue<'a> for SequenceContent<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_slice(header.length()).map(Self)
    }
}

impl EncodeValue for SequenceContent<'_> {
    fn value_len(&self) -> der::Result<Length> {
        Length::try_from(self.0.len())
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

/// The content of an object identifier, whose arcs may be of any size, as those under 2.25 are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Oid<'a>(&'a [u8]);

impl Oid<'_> {
    fn arcs(&self) -> Option<Vec<u128>> {
        let mut arcs = Vec::new();
        let mut arc = 0_u128;
        for byte in self.0 {
            arc = arc.checked_mul(1 << 7)? | u128::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                arcs.push(std::mem::take(&mut arc));
            }
        }
        // X.690 §8.19.4: the first two arcs share a number.
        let root = arcs.first().map(|both| (both / 40).min(2))?;
        arcs[0] -= 40 * root;
        arcs.insert(0, root);
        Some(arcs)
    }
}

impl<'a> From<&'a ObjectIdentifier> for Oid<'a> {
    fn from(oid: &'a ObjectIdentifier) -> Self {
        Self(oid.as_bytes())
    }
}

impl PartialEq<ObjectIdentifier> for Oid<'_> {
    fn eq(&self, other: &ObjectIdentifier) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Oid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.arcs() {
            Some(arcs) => {
                let arcs: Vec<_> = arcs.iter().map(u128::to_string).collect();
                f.write_str(&arcs.join("."))
            }
            // An arc of more than 128 bits: no one has such numbers in dots.
            None => self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl FixedTag for Oid<'_> {
    const TAG: Tag = Tag::ObjectIdentifier;
}

impl<'a> DecodeValue<'a> for Oid<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        let bytes = reader.read_slice(header.length())?;
        // X.690 §8.19.2: a last octet ends each arc, and none begins with padding.
        let ends = bytes.last().is_some_and(|byte| byte & 0x80 == 0);
        let padded = bytes.first() == Some(&0x80)
            || bytes.windows(2).any(|pair| pair[0] & 0x80 == 0 && pair[1] == 0x80);
        if ends && !padded { Ok(Self(bytes)) } else { Err(Self::TAG.value_error().into()) }
    }
}

impl EncodeValue for Oid<'_> {
    fn value_len(&self) -> der::Result<Length> {
        Length::try_from(self.0.len())
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

/// What certificates, requests and revocation lists all are: a body and its signature.
#[derive(Clone, Copy, Sequence)]
pub(crate) struct Signed<'a> {
    pub(crate) body: Raw<'a>,
    pub(crate) algorithm: Raw<'a>,
    pub(crate) signature: BitStringRef<'a>,
}

/// Extension of [RFC 5280 §4.1](https://www.rfc-editor.org/rfc/rfc5280#section-4.1), borrowed.
#[derive(Clone, Copy, Debug, Sequence)]
pub(crate) struct ExtensionRef<'a> {
    pub(crate) id: Oid<'a>,
    #[asn1(default = "not_critical")]
    pub(crate) critical: bool,
    pub(crate) value: &'a OctetStringRef,
}

fn not_critical() -> bool {
    false
}

/// Decodes a whole DER value, naming it where it is malformed.
pub(crate) fn decode<'a, T: Decode<'a, Error = der::Error>>(
    der: &'a [u8],
    what: &'static str,
) -> Result<T, Error> {
    T::from_der(der).map_err(|_| Error::Malformed { what })
}

/// Encodes a value that this crate built.
pub(crate) fn encode(value: &impl Encode) -> Result<Vec<u8>, Error> {
    value.to_der().map_err(|_| Error::Internal("a value could not be encoded"))
}

/// The time as X.509 writes it: whole seconds, UTCTime through 2049, GeneralizedTime from then on.
pub(crate) fn encode_time(at: Timestamp) -> Result<Time, Error> {
    let out_of_range = || Error::Validity { reason: format!("{at} is before 1970") };
    let seconds = u64::try_from(at.as_second()).map_err(|_| out_of_range())?;
    let since_epoch = std::time::Duration::from_secs(seconds);
    match UtcTime::from_unix_duration(since_epoch) {
        Ok(time) => Ok(Time::UtcTime(time)),
        Err(_) => GeneralizedTime::from_unix_duration(since_epoch)
            .map(Time::GeneralTime)
            .map_err(|_| out_of_range()),
    }
}

/// The instant an X.509 time names. The last hours of the year 9999 are beyond [`Timestamp::MAX`] and become it.
pub(crate) fn decode_time(time: Time) -> Timestamp {
    i64::try_from(time.to_unix_duration().as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX)
}
