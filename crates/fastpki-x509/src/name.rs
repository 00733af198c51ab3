use std::fmt::{self, Write};

use const_oid::db::rfc4519::COMMON_NAME;
use der::{
    Decode, Encode, Reader, SliceReader, Tag,
    asn1::{Any, AnyRef, ObjectIdentifier},
};

use crate::{Error, asn1::Oid};
use attribute::{Attribute, Rule};

mod attribute;
mod text;
mod value;

/// A distinguished name: the bytes of its RDNSequence, never rebuilt.
///
/// As text the first attribute written is the first one encoded, as in OpenSSL's `-subj` and unlike RFC 4514:
/// `CN=www.example.com,O=Example\, Inc.`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Reads a name as an operator writes it, and encodes it.
    ///
    /// Attributes are CN, O, OU, C, ST, L, DC, UID, serialNumber, SN, GN, title, street, postalCode and emailAddress
    /// in any case, or dotted object identifiers; `+` joins attributes of one RDN; the escapes are those of RFC 4514.
    /// Order and repeats stay as written. Values obey the upper bounds of
    /// [RFC 5280 appendix A](https://www.rfc-editor.org/rfc/rfc5280#appendix-A).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut rdns = Vec::new();
        for rdn in text::split(text)? {
            rdns.push(rdn.iter().map(text::Assertion::encode).collect::<Result<_, _>>()?);
        }
        Self::assemble(rdns)
    }

    /// The name without attributes, as requests have it that leave the subject to their alternative names.
    pub fn empty() -> Self {
        Self(EMPTY_SEQUENCE.into())
    }

    /// Takes any well-formed RDNSequence: certificates of others must stay readable.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        walk(der).map_err(|_| Error::Malformed { what: "distinguished name" })?;
        Ok(Self(der.into()))
    }

    /// The RDNSequence.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// Whether the name has no attributes.
    pub fn is_empty(&self) -> bool {
        *self.0 == EMPTY_SEQUENCE
    }

    /// The name in a form that is equal for names that
    /// [RFC 5280 §7.1](https://www.rfc-editor.org/rfc/rfc5280#section-7.1) compares as equal: case, runs of blanks and
    /// the string type do not count.
    pub fn comparable(&self) -> String {
        let rdns = self.rdns().into_iter().map(|rdn| {
            let mut attributes: Vec<_> = rdn.iter().map(EncodedAttribute::comparable).collect();
            attributes.sort();
            attributes.join("+")
        });
        rdns.collect::<Vec<_>>().join(",")
    }

    /// Whether two names compare as equal: see [`Name::comparable`].
    pub fn is_same(&self, other: &Self) -> bool {
        self == other || self.comparable() == other.comparable()
    }

    /// The values of all common names, in order.
    pub fn common_names(&self) -> Vec<String> {
        self.values_of(COMMON_NAME)
    }

    /// The readable values of all attributes of a type, in order.
    /// Every e-mail address in it: of the attributes `emailAddress` and `mail`.
    pub fn email_addresses(&self) -> Vec<String> {
        let mut addresses = self.values_of(const_oid::db::rfc3280::EMAIL_ADDRESS);
        addresses.extend(self.values_of(const_oid::db::rfc4524::MAIL));
        addresses
    }

    pub(crate) fn values_of(&self, oid: ObjectIdentifier) -> Vec<String> {
        let attributes = self.rdns().into_iter().flatten().filter(|it| it.oid == oid);
        attributes.filter_map(|it| it.text()).collect()
    }

    /// This name with one common name: in the place of the first, the others dropped; at the end if there was none.
    pub fn with_common_name(&self, common_name: &str) -> Result<Self, Error> {
        let replacement = Attribute::common_name().encode(common_name, common_name)?;
        let mut replacement = Some(replacement);
        let mut rdns = Vec::new();
        for rdn in self.rdns() {
            let mut kept = Vec::with_capacity(rdn.len());
            for attribute in rdn {
                if attribute.oid == COMMON_NAME {
                    kept.extend(replacement.take());
                } else {
                    kept.push(attribute.der.to_vec());
                }
            }
            if !kept.is_empty() {
                rdns.push(kept);
            }
        }
        rdns.extend(replacement.map(|it| vec![it]));
        Self::assemble(rdns)
    }

    /// Refuses what [`Name::parse`] would refuse, in a name that came encoded, and what verifiers do not read.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.len() > MAX_LEN {
            return Err(refuse(&self.to_string(), format!("a name has at most {MAX_LEN} bytes")));
        }
        self.rdns().iter().try_for_each(|rdn| check_rdn(rdn))
    }

    pub(crate) fn rdns(&self) -> Vec<Vec<EncodedAttribute<'_>>> {
        // Every constructor walked these bytes before.
        walk(&self.0).unwrap_or_default()
    }

    fn assemble(rdns: Vec<Vec<Vec<u8>>>) -> Result<Self, Error> {
        let encoded = rdns.into_iter().map(|mut rdn| {
            // DER: the elements of a SET OF stand in the order of their encodings.
            rdn.sort();
            Any::new(Tag::Set, rdn.concat())
        });
        encoded
            .collect::<Result<Vec<Any>, _>>()
            .and_then(|rdns| rdns.to_der())
            .map_err(|_| Error::Internal("a name could not be encoded"))
            .map(|der| Self(der.into()))
            .and_then(|name| name.check().map(|()| name))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, rdn) in self.rdns().iter().enumerate() {
            for (inner, attribute) in rdn.iter().enumerate() {
                match (place, inner) {
                    (0, 0) => {}
                    (_, 0) => f.write_char(',')?,
                    (..) => f.write_char('+')?,
                }
                write!(f, "{}=", attribute.label())?;
                match attribute.text() {
                    Some(text) => text::write_escaped(f, &text)?,
                    None => write_hex(f, attribute.value)?,
                }
            }
        }
        Ok(())
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, value: AnyRef<'_>) -> fmt::Result {
    f.write_char('#')?;
    value.to_der().map_err(|_| fmt::Error)?.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// One AttributeTypeAndValue in a name.
#[derive(Clone, Copy)]
pub(crate) struct EncodedAttribute<'a> {
    pub(crate) oid: Oid<'a>,
    pub(crate) value: AnyRef<'a>,
    der: &'a [u8],
}

impl EncodedAttribute<'_> {
    fn comparable(&self) -> String {
        match self.text() {
            // Quoted, so that no text looks like two attributes.
            Some(text) => format!("{}={:?}", self.oid, fold(&text)),
            None => format!("{}=#{:02x?}", self.oid, self.der),
        }
    }

    /// The value as text, where it is a string.
    pub(crate) fn text(&self) -> Option<String> {
        value::decode(self.value)
    }

    /// How the attribute type is written.
    fn label(&self) -> String {
        let name = Attribute::known(self.oid).and_then(|it| it.name());
        name.map_or_else(|| self.oid.to_string(), str::to_owned)
    }

    fn check(&self) -> Result<(), Error> {
        let rule = Attribute::known(self.oid).map_or(Rule::ANY, |it| it.rule());
        let shown = || match self.text() {
            Some(text) => format!("{}={text}", self.label()),
            None => self.label(),
        };
        let text = value::decode_strictly(self.value).map_err(|reason| refuse(&shown(), reason))?;
        rule.check_tag(self.value.header().tag()).map_err(|reason| refuse(&shown(), reason))?;
        rule.check_text(&text, &shown())
    }
}

fn check_rdn(rdn: &[EncodedAttribute<'_>]) -> Result<(), Error> {
    // X.690 §11.6: the elements of a SET OF ascend.
    if !rdn.is_sorted_by(|a, b| a.der < b.der) {
        let label = rdn.first().map(EncodedAttribute::label).unwrap_or_default();
        return Err(refuse(&label, "the attributes of its relative distinguished name are not in DER order"));
    }
    for (place, attribute) in rdn.iter().enumerate() {
        if rdn[..place].iter().any(|it| it.oid == attribute.oid) {
            return Err(refuse(&attribute.label(), REPEATED));
        }
        attribute.check()?;
    }
    Ok(())
}

/// A text without what does not count in a comparison of names: case, and how many blanks of which kind there are.
pub(crate) fn fold(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

fn walk(der: &[u8]) -> der::Result<Vec<Vec<EncodedAttribute<'_>>>> {
    let mut reader = SliceReader::new(der)?;
    let rdns = reader.sequence(|reader| {
        let mut rdns = Vec::new();
        while !reader.is_finished() {
            rdns.push(walk_rdn(AnyRef::decode(reader)?)?);
        }
        Ok::<_, der::Error>(rdns)
    })?;
    reader.finish()?;
    Ok(rdns)
}

fn walk_rdn(rdn: AnyRef<'_>) -> der::Result<Vec<EncodedAttribute<'_>>> {
    // RFC 5280 §4.1.2.4: "RelativeDistinguishedName ::= SET SIZE (1..MAX) OF AttributeTypeAndValue".
    if rdn.header().tag() != Tag::Set || rdn.value().is_empty() {
        return Err(Tag::Set.value_error().into());
    }
    let mut reader = SliceReader::new(rdn.value())?;
    let mut attributes = Vec::new();
    while !reader.is_finished() {
        let der = reader.tlv_bytes()?;
        let mut inner = SliceReader::new(der)?;
        let (oid, value) = inner.sequence(|it| Ok::<_, der::Error>((it.decode()?, AnyRef::decode(it)?)))?;
        attributes.push(EncodedAttribute { oid, value, der });
    }
    Ok(attributes)
}

fn refuse(part: &str, reason: impl Into<String>) -> Error {
    Error::Name { part: part.chars().take(PART_SHOWN).collect(), reason: reason.into() }
}

/// The most bytes a name may have, as text and encoded.
const MAX_LEN: usize = 4096;
/// How many characters of a name an error shows.
const PART_SHOWN: usize = 64;
const REPEATED: &str = "an attribute occurs twice in one relative distinguished name";
const EMPTY_SEQUENCE: [u8; 2] = [0x30, 0];

#[cfg(test)]
mod tests;
