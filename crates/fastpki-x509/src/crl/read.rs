use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CERTIFICATE_ISSUER, ID_CE_CRL_NUMBER, ID_CE_CRL_REASONS,
    ID_CE_DELTA_CRL_INDICATOR,
};
use der::{
    AnyRef, Decode, Reader, SliceReader, Tag,
    asn1::{ContextSpecific, UintRef},
};
use jiff::Timestamp;
use x509_cert::time::Time;

use super::LABEL;
use crate::{
    Certificate, Error, Name, Reason, Serial,
    asn1::{ExtensionRef, Raw, Signed, decode, decode_time},
    certificate::key_identifier_of,
    pem, signature,
};

/// A certificate revocation list that was read, of anybody.
#[derive(Clone)]
pub struct RevocationList {
    der: Vec<u8>,
    issuer: Name,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    number: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    partial: bool,
    one_algorithm: bool,
    entries: Vec<ListedRevocation>,
}

/// An entry of a revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRevocation {
    serial: Box<[u8]>,
    /// When the certificate was revoked.
    pub revoked_at: Timestamp,
    /// The reasonCode as it is stated; 8 takes a certificate off the list.
    pub reason_code: Option<u8>,
}

impl RevocationList {
    /// Reads the first `X509 CRL` block; text around it is ignored.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        Self::from_der(&pem::decode(pem, &[LABEL, "CRL"])?)
    }

    /// Reads a list of at most 256 MB, of version 1 or 2. Its signature is not verified: see
    /// [`RevocationList::is_issued_by`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        if der.len() > super::MAX_LEN {
            return Err(Error::TooLarge { what: "revocation list", limit: super::MAX_LEN });
        }
        let signed: Signed<'_> = decode(der, "revocation list")?;
        let list = List::from_der(signed.body.0).map_err(|_| MALFORMED)?;
        let extension = |id| list.extensions.iter().find(|it| it.id == id).map(|it| it.value.as_bytes());
        let number = extension(ID_CE_CRL_NUMBER)
            .map(|it| decode::<UintRef<'_>>(it, "CRL number").map(|it| it.as_bytes().to_vec()));
        let authority_key_id =
            extension(ID_CE_AUTHORITY_KEY_IDENTIFIER).map(key_identifier_of).transpose()?;
        let partial = list.extensions.iter().any(|it| it.id == ID_CE_DELTA_CRL_INDICATOR);
        Ok(Self {
            der: der.to_vec(),
            issuer: Name::from_der(list.issuer.0)?,
            this_update: decode_time(list.this_update),
            next_update: list.next_update.map(decode_time),
            number: number.transpose()?,
            authority_key_id: authority_key_id.flatten().map(<[u8]>::to_vec),
            partial: partial || list.names_other_issuers,
            one_algorithm: list.signature == signed.algorithm,
            entries: list.entries,
        })
    }

    /// The list in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The name of the issuer.
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// When the list was made.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// When a newer list is due, where the list says so.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.next_update
    }

    /// The number of the list, where it has one that 64 bits hold.
    pub fn number(&self) -> Option<u64> {
        let number = self.number.as_deref()?;
        let mut bytes = [0; 8];
        bytes[8_usize.checked_sub(number.len())?..].copy_from_slice(number);
        Some(u64::from_be_bytes(bytes))
    }

    /// The number of the list in decimal digits, or in hexadecimal ones where it is very long.
    pub fn number_text(&self) -> Option<String> {
        let hex = || self.number.as_deref().map(|it| format!("0x{}", crate::serial::hex(it)));
        self.number().map(|it| it.to_string()).or_else(hex)
    }

    /// The key identifier in the authority key identifier.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.authority_key_id.as_deref()
    }

    /// Whether the list is no full list of one issuer: a delta list, or one with other issuers' certificates.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// What is revoked, in the order of the list.
    pub fn entries(&self) -> &[ListedRevocation] {
        &self.entries
    }

    /// The entry of a certificate of this issuer; the last one counts.
    pub fn entry_of(&self, serial: &Serial) -> Option<&ListedRevocation> {
        self.entries.iter().rfind(|it| it.magnitude() == Some(serial.magnitude()))
    }

    /// Checks that this list names that issuer, carries its signature, and that the issuer may sign lists.
    pub fn is_issued_by(&self, issuer: &Certificate) -> Result<(), Error> {
        if &self.issuer != issuer.subject() {
            return Err(Error::ListIssuerMismatch { field: "issuer name" });
        }
        if let (Some(ours), Some(theirs)) = (self.authority_key_id(), issuer.subject_key_id())
            && ours != theirs
        {
            return Err(Error::ListIssuerMismatch { field: "authority key identifier" });
        }
        if !issuer.may_sign_revocation_lists() {
            return Err(Error::NotACa);
        }
        // RFC 5280 §5.1.1.2: the outer algorithm "MUST contain the same algorithm identifier" as the inner one.
        if !self.one_algorithm {
            return Err(Error::Malformed { what: "revocation list whose two signature algorithms differ" });
        }
        let signed: Signed<'_> = decode(&self.der, "revocation list")?;
        signature::verify(&signed, &issuer.public_key_info()?, "revocation list")
    }
}

impl std::fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("RevocationList");
        shown.field("issuer", &self.issuer.to_string()).field("entries", &self.entries.len());
        shown.finish_non_exhaustive()
    }
}

impl ListedRevocation {
    /// The serial number, where it is one that certificates may have.
    pub fn serial(&self) -> Result<Serial, Error> {
        Serial::from_magnitude(self.magnitude().ok_or(Error::Serial)?)
    }

    /// The serial number in hexadecimal digits, whatever it is.
    pub fn serial_text(&self) -> String {
        crate::serial::hex_of_integer(&self.serial)
    }

    /// Why the certificate was revoked; what is stated otherwise is unspecified.
    pub fn reason(&self) -> Reason {
        self.reason_code.and_then(Reason::from_code).unwrap_or(Reason::Unspecified)
    }

    /// Whether the entry takes a certificate off the list, as those of delta lists do.
    pub fn is_removal(&self) -> bool {
        self.reason_code == Some(REMOVE_FROM_CRL)
    }

    /// The content of the INTEGER.
    pub(crate) fn serial_content(&self) -> &[u8] {
        &self.serial
    }

    /// `None` where the number is negative.
    fn magnitude(&self) -> Option<&[u8]> {
        match &*self.serial {
            [0, rest @ ..] if !rest.is_empty() => Some(rest),
            [first, ..] if first & 0x80 != 0 => None,
            other => Some(other),
        }
    }
}

/// TBSCertList of [RFC 5280 §5.1](https://www.rfc-editor.org/rfc/rfc5280#section-5.1), as anybody may have written it.
struct List<'a> {
    signature: Raw<'a>,
    issuer: Raw<'a>,
    this_update: Time,
    next_update: Option<Time>,
    entries: Vec<ListedRevocation>,
    names_other_issuers: bool,
    extensions: Vec<ExtensionRef<'a>>,
}

impl<'a> List<'a> {
    fn from_der(der: &'a [u8]) -> der::Result<Self> {
        SliceReader::new(der)?.sequence(|list| {
            if list.peek_byte() == Some(INTEGER) {
                list.decode::<u8>()?;
            }
            let (signature, issuer) = (Raw::decode(list)?, Raw::decode(list)?);
            let this_update = Time::decode(list)?;
            let has_next = matches!(list.peek_byte(), Some(UTC_TIME | GENERALIZED_TIME));
            let next_update = if has_next { Some(Time::decode(list)?) } else { None };
            let (entries, names_other_issuers) =
                if list.peek_byte() == Some(SEQUENCE) { read_entries(list)? } else { (Vec::new(), false) };
            let extensions: Option<ContextSpecific<Vec<ExtensionRef<'a>>>> =
                ContextSpecific::decode_explicit(list, der::TagNumber(0))?;
            let extensions = extensions.map(|it| it.value).unwrap_or_default();
            Ok(Self { signature, issuer, this_update, next_update, entries, names_other_issuers, extensions })
        })
    }
}

/// The entries, and whether one of them is of another issuer.
fn read_entries(list: &mut SliceReader<'_>) -> der::Result<(Vec<ListedRevocation>, bool)> {
    list.sequence(|entries| {
        let mut read = Vec::new();
        let mut names_other_issuers = false;
        while !entries.is_finished() {
            let (entry, of_another) = entries.sequence(read_entry)?;
            read.push(entry);
            names_other_issuers |= of_another;
        }
        Ok((read, names_other_issuers))
    })
}

fn read_entry(entry: &mut SliceReader<'_>) -> der::Result<(ListedRevocation, bool)> {
    let serial = AnyRef::decode(entry)?;
    serial.header().tag().assert_eq(Tag::Integer)?;
    let serial = serial.value().into();
    let revoked_at = decode_time(Time::decode(entry)?);
    let extensions = if entry.is_finished() { Vec::new() } else { Vec::<ExtensionRef<'_>>::decode(entry)? };
    let reason = extensions.iter().find(|it| it.id == ID_CE_CRL_REASONS);
    let reason_code = reason.map(|it| reason_code(it.value.as_bytes())).transpose()?;
    let of_another = extensions.iter().any(|it| it.id == ID_CE_CERTIFICATE_ISSUER);
    Ok((ListedRevocation { serial, revoked_at, reason_code }, of_another))
}

fn reason_code(value: &[u8]) -> der::Result<u8> {
    let reason = AnyRef::from_der(value)?;
    reason.header().tag().assert_eq(Tag::Enumerated)?;
    match reason.value() {
        [code] => Ok(*code),
        _ => Err(Tag::Enumerated.value_error().into()),
    }
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const REMOVE_FROM_CRL: u8 = 8;
const MALFORMED: Error = Error::Malformed { what: "revocation list" };

#[cfg(test)]
mod tests;
