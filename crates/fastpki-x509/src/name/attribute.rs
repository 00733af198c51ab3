use const_oid::db::{
    rfc2256::STATE_OR_PROVINCE_NAME,
    rfc3280::{EMAIL_ADDRESS, PSEUDONYM},
    rfc4519::{
        COMMON_NAME, COUNTRY_NAME, DN_QUALIFIER, DOMAIN_COMPONENT, GIVEN_NAME, LOCALITY_NAME,
        ORGANIZATION_NAME, ORGANIZATIONAL_UNIT_NAME, POSTAL_CODE, SERIAL_NUMBER, STREET, SURNAME, TITLE, UID,
    },
};
use der::{
    Encode, Tag,
    asn1::{AnyRef, ObjectIdentifier},
};

use super::{refuse, value};
use crate::{Error, asn1::Oid};

/// An attribute type: how it is called, and what its values are.
#[derive(Clone, Copy)]
pub(super) struct Attribute {
    oid: ObjectIdentifier,
    /// The name written, then the long one of OpenSSL; none where only the number is known.
    names: &'static [&'static str],
    rule: Rule,
}

/// How the values of an attribute are encoded and how long they may be.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    form: Form,
    /// Upper bound in characters.
    max: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Utf8,
    Printable,
    Ia5,
    Country,
}

impl Attribute {
    /// The attribute a name or a dotted object identifier stands for.
    pub(super) fn by_text(text: &str) -> Option<Self> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return ObjectIdentifier::new(text).ok().map(Self::of_number);
        }
        let known = |it: &&Self| it.names.iter().any(|name| name.eq_ignore_ascii_case(text));
        KNOWN.iter().find(known).copied()
    }

    pub(super) fn known(oid: Oid<'_>) -> Option<Self> {
        KNOWN.iter().find(|it| oid == it.oid).copied()
    }

    pub(super) fn common_name() -> Self {
        Self::of_number(COMMON_NAME)
    }

    fn of_number(oid: ObjectIdentifier) -> Self {
        Self::known(Oid::from(&oid)).unwrap_or(Self { oid, names: &[], rule: Rule::ANY })
    }

    /// The name written, if there is one.
    pub(super) fn name(&self) -> Option<&'static str> {
        self.names.first().copied()
    }

    pub(super) fn rule(&self) -> Rule {
        self.rule
    }

    pub(super) fn oid(&self) -> ObjectIdentifier {
        self.oid
    }

    /// The AttributeTypeAndValue with this text; `part` is how the whole was written.
    pub(super) fn encode(&self, text: &str, part: &str) -> Result<Vec<u8>, Error> {
        self.rule.check_text(text, part)?;
        let tag = match self.rule.form {
            Form::Utf8 => Tag::Utf8String,
            Form::Printable | Form::Country => Tag::PrintableString,
            Form::Ia5 => Tag::Ia5String,
        };
        if tag == Tag::PrintableString && !value::is_printable(text) {
            return Err(refuse(part, "only letters, digits, blanks and '()+,-./:=? are possible here"));
        }
        if tag == Tag::Ia5String && !text.is_ascii() {
            return Err(refuse(part, "only ASCII characters are possible here"));
        }
        let encoded =
            AnyRef::new(tag, text.as_bytes()).and_then(|value| Pair { oid: self.oid, value }.to_der());
        encoded.map_err(|_| Error::Internal("a name could not be encoded"))
    }
}

impl Rule {
    /// Of attributes of which nothing is known.
    pub(super) const ANY: Self = Self { form: Form::Utf8, max: usize::MAX };

    /// Whether a value that came encoded may be of this string type.
    pub(super) fn check_tag(&self, tag: Tag) -> Result<(), &'static str> {
        match self.form {
            Form::Printable | Form::Country if tag != Tag::PrintableString => {
                Err("its value must be a PrintableString")
            }
            Form::Ia5 if tag != Tag::Ia5String => Err("its value must be an IA5String"),
            _ => Ok(()),
        }
    }

    pub(super) fn check_text(&self, text: &str, part: &str) -> Result<(), Error> {
        if text.is_empty() {
            return Err(refuse(part, "the value is empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(refuse(part, "control characters are not possible in a name"));
        }
        if self.form == Form::Country
            && !(text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()))
        {
            return Err(refuse(part, "a country is a code of two letters"));
        }
        if text.chars().count() > self.max {
            return Err(refuse(part, format!("the value has more than {} characters", self.max)));
        }
        Ok(())
    }
}

#[derive(der::Sequence)]
struct Pair<'a> {
    oid: ObjectIdentifier,
    value: AnyRef<'a>,
}

const fn attribute(
    oid: ObjectIdentifier,
    names: &'static [&'static str],
    form: Form,
    max: usize,
) -> Attribute {
    Attribute { oid, names, rule: Rule { form, max } }
}

/// Bounds of RFC 5280 appendix A, and of X.520 and RFC 4524 for what that leaves open.
const KNOWN: [Attribute; 17] = [
    attribute(COMMON_NAME, &["CN", "commonName"], Form::Utf8, 64),
    attribute(ORGANIZATION_NAME, &["O", "organizationName"], Form::Utf8, 64),
    attribute(ORGANIZATIONAL_UNIT_NAME, &["OU", "organizationalUnitName"], Form::Utf8, 64),
    attribute(COUNTRY_NAME, &["C", "countryName"], Form::Country, 2),
    attribute(STATE_OR_PROVINCE_NAME, &["ST", "stateOrProvinceName"], Form::Utf8, 128),
    attribute(LOCALITY_NAME, &["L", "localityName"], Form::Utf8, 128),
    attribute(DOMAIN_COMPONENT, &["DC", "domainComponent"], Form::Ia5, usize::MAX),
    attribute(UID, &["UID", "userId"], Form::Utf8, 256),
    attribute(SERIAL_NUMBER, &["serialNumber"], Form::Printable, 64),
    attribute(SURNAME, &["SN", "surname"], Form::Utf8, 32_768),
    attribute(GIVEN_NAME, &["GN", "givenName"], Form::Utf8, 32_768),
    attribute(TITLE, &["title"], Form::Utf8, 64),
    attribute(STREET, &["street", "streetAddress"], Form::Utf8, 128),
    attribute(POSTAL_CODE, &["postalCode"], Form::Utf8, 40),
    attribute(EMAIL_ADDRESS, &["emailAddress"], Form::Ia5, 255),
    attribute(DN_QUALIFIER, &[], Form::Printable, usize::MAX),
    attribute(PSEUDONYM, &[], Form::Utf8, 128),
];
