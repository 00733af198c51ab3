use const_oid::AssociatedOid;
use der::{
    Sequence,
    asn1::{BitStringRef, ObjectIdentifier, OctetStringRef, UintRef},
};
use x509_cert::{
    Version,
    ext::pkix::{
        BasicConstraints, KeyUsage, NameConstraints as NameConstraintsExtension, SubjectAltName,
        SubjectKeyIdentifier,
    },
    time::Time,
};

use crate::{
    Error, Name, NameConstraints, Profile, PublicKey, San, Serial, Validity,
    asn1::{ExtensionRef, Raw, SequenceContent, Signed, decode, decode_time},
    key_fingerprint::key_fingerprint,
    limits::Limits,
    pem, san, signature,
};

/// A certificate that was read, or issued, with what issuance and revocation ask of it.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    serial: Serial,
    issuer: Name,
    subject: Name,
    validity: Validity,
    spki: Vec<u8>,
    authority: Authority,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    sans: Option<Vec<u8>>,
    name_constraints: Option<Vec<u8>>,
    limits: Limits,
}

/// What a certificate says about its subject being a CA.
#[derive(Clone, Copy)]
struct Authority {
    ca: bool,
    path_len: Option<u8>,
    key_cert_sign: bool,
    crl_sign: bool,
}

impl Certificate {
    /// Reads the first `CERTIFICATE` block; text around it is ignored.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        Self::from_der(&pem::decode(pem, &[LABEL])?)
    }

    /// Reads a certificate. Its signature is not verified: see [`Certificate::is_issued_by`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        Self::new(der.to_vec(), &Parsed::from_der(der)?)
    }

    /// The certificate whose DER was parsed.
    pub(crate) fn new(der: Vec<u8>, parsed: &Parsed<'_>) -> Result<Self, Error> {
        let tbs = &parsed.tbs;
        Ok(Self {
            der,
            serial: Serial::from_magnitude(tbs.serial.as_bytes())?,
            issuer: Name::from_der(tbs.issuer.0)?,
            subject: Name::from_der(tbs.subject.0)?,
            validity: tbs.validity.to_validity(),
            spki: tbs.spki.0.to_vec(),
            authority: authority(parsed)?,
            subject_key_id: subject_key_id(parsed)?.map(<[u8]>::to_vec),
            authority_key_id: authority_key_id(parsed)?.map(<[u8]>::to_vec),
            sans: parsed.extension(SubjectAltName::OID).map(|it| it.value.as_bytes().to_vec()),
            name_constraints: parsed
                .extension(NameConstraintsExtension::OID)
                .map(|it| it.value.as_bytes().to_vec()),
            limits: Limits::of(parsed),
        })
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate in PEM, with a trailing newline.
    pub fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.der)
    }

    /// The subject.
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// The name of the issuer.
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// The serial number.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// The subject's key, if it is one that would be certified today.
    pub fn public_key_info(&self) -> Result<PublicKey, Error> {
        PublicKey::from_spki_der(&self.spki)
    }

    /// What tells the subject's key from others, whatever kind it is: see [`PublicKey::key_fingerprint`].
    pub fn key_fingerprint(&self) -> String {
        key_fingerprint(&self.spki)
    }

    /// The subject's SubjectPublicKeyInfo, whatever it holds.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// When the certificate is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether the subject is a certificate authority.
    pub fn is_ca(&self) -> bool {
        self.authority.ca
    }

    /// Whether the subject may sign certificates: it is a CA, and its key usage, if stated, includes that.
    pub(crate) fn may_sign_certificates(&self) -> bool {
        self.authority.ca && self.authority.key_cert_sign
    }

    /// Whether the subject may sign revocation lists: it is a CA, and its key usage, if stated, includes that.
    pub fn may_sign_revocation_lists(&self) -> bool {
        self.authority.ca && self.authority.crl_sign
    }

    /// What the certificate asks of everything below it, beside path length and names.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Why programs would accept nothing of this profile that was issued right below this CA; `None` where they would,
    /// as far as names and path length permit.
    pub fn cannot_issue(&self, profile: Profile) -> Option<Error> {
        let below = usize::from(profile.is_ca());
        let is_anchor = self.subject == self.issuer;
        self.limits.check(&self.subject, profile, below, is_anchor).err()
    }

    /// How many CAs may follow below this one; `None` where no limit is set. Limits beyond 255 read as 255.
    pub fn path_len(&self) -> Option<u8> {
        self.authority.path_len
    }

    /// The subject key identifier.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.subject_key_id.as_deref()
    }

    /// The key identifier in the authority key identifier.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.authority_key_id.as_deref()
    }

    /// The subject alternative names, if all would be certified today; otherwise the error names the first that would
    /// not.
    pub fn sans(&self) -> Result<Vec<San>, Error> {
        self.sans.as_deref().map_or(Ok(Vec::new()), san::decode_sans)
    }

    /// The name constraints, where there are any.
    pub fn name_constraints(&self) -> Result<Option<NameConstraints>, Error> {
        self.name_constraints.as_deref().map(NameConstraints::from_der).transpose()
    }

    /// Checks that this certificate names that issuer and carries its signature.
    pub fn is_issued_by(&self, issuer: &Self) -> Result<(), Error> {
        if self.issuer != issuer.subject {
            return Err(Error::IssuerMismatch { field: "issuer name" });
        }
        if let (Some(ours), Some(theirs)) = (self.authority_key_id(), issuer.subject_key_id())
            && ours != theirs
        {
            return Err(Error::IssuerMismatch { field: "authority key identifier" });
        }
        let Parsed { signed, tbs } = Parsed::from_der(&self.der)?;
        // RFC 5280 §4.1.1.2: the outer algorithm "MUST contain the same algorithm identifier" as the inner one.
        if tbs.signature != signed.algorithm {
            return Err(Error::Malformed { what: "certificate whose two signature algorithms differ" });
        }
        signature::verify(&signed, &issuer.public_key_info()?, "certificate")
    }

    /// Whether the certificate is for this key.
    pub fn matches_key(&self, key: &PublicKey) -> bool {
        self.spki == key.spki_der()
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Certificate");
        shown.field("subject", &self.subject.to_string()).field("serial", &self.serial.to_hex());
        shown.finish_non_exhaustive()
    }
}

/// A certificate as decoded, borrowing from its DER.
pub(crate) struct Parsed<'a> {
    pub(crate) signed: Signed<'a>,
    pub(crate) tbs: TbsCertificate<'a>,
}

impl<'a> Parsed<'a> {
    pub(crate) fn from_der(der: &'a [u8]) -> Result<Self, Error> {
        let signed: Signed<'a> = decode(der, "certificate")?;
        let parsed = Self { signed, tbs: decode(signed.body.0, "certificate")? };
        if parsed.has_duplicate_extensions() {
            return Err(Error::Malformed { what: "certificate with an extension twice" });
        }
        Ok(parsed)
    }

    pub(crate) fn extensions(&self) -> &[ExtensionRef<'a>] {
        self.tbs.extensions.as_deref().unwrap_or_default()
    }

    pub(crate) fn extension(&self, id: ObjectIdentifier) -> Option<&ExtensionRef<'a>> {
        self.extensions().iter().find(|it| it.id == id)
    }

    fn has_duplicate_extensions(&self) -> bool {
        let all = self.extensions();
        (1..all.len()).any(|place| all[..place].iter().any(|it| it.id == all[place].id))
    }
}

/// TBSCertificate of [RFC 5280 §4.1](https://www.rfc-editor.org/rfc/rfc5280#section-4.1).
#[derive(Sequence)]
pub(crate) struct TbsCertificate<'a> {
    #[asn1(context_specific = "0", default = "Default::default")]
    pub(crate) version: Version,
    pub(crate) serial: UintRef<'a>,
    pub(crate) signature: Raw<'a>,
    pub(crate) issuer: Raw<'a>,
    pub(crate) validity: Period,
    pub(crate) subject: Raw<'a>,
    pub(crate) spki: Raw<'a>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) issuer_unique_id: Option<BitStringRef<'a>>,
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) subject_unique_id: Option<BitStringRef<'a>>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) extensions: Option<Vec<ExtensionRef<'a>>>,
}

/// A validity as encoded.
#[derive(Clone, Copy, Sequence)]
pub(crate) struct Period {
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
}

impl Period {
    pub(crate) fn to_validity(self) -> Validity {
        Validity { not_before: decode_time(self.not_before), not_after: decode_time(self.not_after) }
    }
}

fn authority(parsed: &Parsed<'_>) -> Result<Authority, Error> {
    let (key_cert_sign, crl_sign) = match parsed.extension(KeyUsage::OID) {
        Some(it) => {
            let usage: KeyUsage = decode(it.value.as_bytes(), "key usage")?;
            (usage.key_cert_sign(), usage.crl_sign())
        }
        // RFC 5280 §4.2.1.3 restricts a key only where the extension is there.
        None => (true, true),
    };
    let Some(extension) = parsed.extension(BasicConstraints::OID) else {
        return Ok(Authority { ca: false, path_len: None, key_cert_sign, crl_sign });
    };
    let basic: AnyPathLen<'_> = decode(extension.value.as_bytes(), "basic constraints")?;
    let path_len = basic.path_len.map(|limit| match limit.as_bytes() {
        [octet] => *octet,
        _ => u8::MAX,
    });
    Ok(Authority { ca: basic.ca, path_len, key_cert_sign, crl_sign })
}

/// BasicConstraints with a path length of any size.
#[derive(Sequence)]
pub(crate) struct AnyPathLen<'a> {
    #[asn1(default = "Default::default")]
    pub(crate) ca: bool,
    pub(crate) path_len: Option<UintRef<'a>>,
}

fn subject_key_id<'a>(parsed: &Parsed<'a>) -> Result<Option<&'a [u8]>, Error> {
    let decode =
        |it: &ExtensionRef<'a>| decode::<&OctetStringRef>(it.value.as_bytes(), "subject key identifier");
    Ok(parsed.extension(SubjectKeyIdentifier::OID).map(decode).transpose()?.map(OctetStringRef::as_bytes))
}

fn authority_key_id<'a>(parsed: &Parsed<'a>) -> Result<Option<&'a [u8]>, Error> {
    match parsed.extension(const_oid::db::rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER) {
        Some(it) => key_identifier_of(it.value.as_bytes()),
        None => Ok(None),
    }
}

/// The key identifier in the value of an AuthorityKeyIdentifier.
pub(crate) fn key_identifier_of(authority_key_identifier: &[u8]) -> Result<Option<&[u8]>, Error> {
    let decoded: AuthorityKeyIdentifierRef<'_> =
        decode(authority_key_identifier, "authority key identifier")?;
    Ok(decoded.key_id.map(OctetStringRef::as_bytes))
}

/// AuthorityKeyIdentifier of [RFC 5280 §4.2.1.1](https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.1).
#[derive(Sequence)]
pub(crate) struct AuthorityKeyIdentifierRef<'a> {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) key_id: Option<&'a OctetStringRef>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) issuer: Option<SequenceContent<'a>>,
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) serial: Option<UintRef<'a>>,
}

const LABEL: &str = "CERTIFICATE";

#[cfg(test)]
mod tests;
