use const_oid::{
    AssociatedOid,
    db::rfc5280::{ID_AD_CA_ISSUERS, ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH},
};
use der::{
    Encode,
    asn1::{BitStringRef, Ia5String, OctetString, OctetStringRef, UintRef},
    flagset::FlagSet,
};
use x509_cert::{
    Version,
    ext::{
        Extension,
        pkix::{
            AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
            CrlDistributionPoints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
            SubjectKeyIdentifier,
            crl::dp::DistributionPoint,
            name::{DistributionPointName, GeneralName},
        },
    },
};

use crate::{
    Certificate, Error, KeyAlgorithm, Name, PrivateKey, Profile, PublicKey, San, Serial, Validity,
    asn1::{ExtensionRef, Oid, Raw, Signed, encode, encode_time},
    certificate::{Parsed, Period, TbsCertificate},
    lint, signature,
};

/// Where the issuer's CRL and certificate are published; ASCII, percent-encoded where that is needed.
#[derive(Clone, Debug)]
pub struct Urls {
    /// The CRL, for the CRL distribution points.
    pub crl: String,
    /// The CA certificate, for the authority information access.
    pub ca: String,
}

/// Everything that goes into a new certificate but its issuer.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the certificate is for.
    pub profile: Profile,
    /// The subject, which may be empty where there are alternative names.
    pub subject: Name,
    /// The subject alternative names, as [`complete_sans`](crate::complete_sans) leaves them; CAs have none.
    pub sans: Vec<San>,
    /// The subject's key.
    pub public_key: PublicKey,
    /// The serial number.
    pub serial: Serial,
    /// The validity, within the issuer's.
    pub validity: Validity,
    /// Where the issuer publishes; `None` leaves both extensions out.
    pub urls: Option<Urls>,
}

impl Request {
    /// Encodes what this issuer is to sign.
    ///
    /// The issuer name is the byte copy of the issuer's subject, the authority key identifier its subject key
    /// identifier. Whether the chain above permits the certificate is asked with [`check_chain`](crate::check_chain).
    pub fn prepare(self, issuer: &Certificate) -> Result<Prepared, Error> {
        if !issuer.may_sign_certificates() {
            return Err(Error::NotACa);
        }
        if matches!(self.profile, Profile::Root { .. }) {
            return Err(Error::Internal("a root is prepared as self-signed"));
        }
        self.check_names()?;
        let key = issuer.public_key_info()?;
        let key_id = issuer.subject_key_id().map_or_else(|| key.key_identifier().to_vec(), <[u8]>::to_vec);
        Prepared::new(
            Issuer { name: issuer.subject().clone(), key, key_id: Some(key_id), validity: issuer.validity() },
            self,
        )
    }

    /// Encodes what a new root signs for itself. Alternative names and URLs are left out.
    pub fn prepare_self_signed(self, key: &PrivateKey) -> Result<Prepared, Error> {
        if !matches!(self.profile, Profile::Root { .. }) {
            return Err(Error::Internal("only a root is self-signed"));
        }
        if key.public_key() != &self.public_key {
            return Err(Error::KeyMismatch);
        }
        self.check_names()?;
        let name = self.subject.clone();
        let issuer =
            Issuer { name, key: self.public_key.clone(), key_id: None, validity: self.validity.truncated() };
        Prepared::new(issuer, Self { urls: None, ..self })
    }

    /// Every certificate names its subject somehow, and only as its profile does.
    fn check_names(&self) -> Result<(), Error> {
        let profile = self.profile;
        if profile.is_ca() {
            // RFC 5280 §4.1.2.6: the subject of a CA "MUST be populated with a non-empty distinguished name".
            return if self.subject.is_empty() { Err(nameless()) } else { Ok(()) };
        }
        if let Some(refused) = self.sans.iter().find(|san| !profile.allows(san.kind())) {
            return Err(Error::SanNotAllowed { kind: refused.kind(), profile });
        }
        match self.sans.len() {
            0 if profile.is_server() => Err(Error::SanRequired { profile }),
            0 if self.subject.is_empty() => Err(nameless()),
            count if count > crate::MAX_SANS => Err(Error::TooManySans { limit: crate::MAX_SANS }),
            _ => Ok(()),
        }
    }

    /// The extensions of the profile, in the order of RFC 5280 §4.2.
    fn extensions(&self, issuer: &Issuer) -> Result<Vec<Extension>, Error> {
        let mut list = Vec::with_capacity(8);
        let key_id = octets(&self.public_key.key_identifier())?;
        if let Some(issuer_key_id) = &issuer.key_id {
            let key_identifier = Some(octets(issuer_key_id)?);
            list.push(extension(false, &AuthorityKeyIdentifier { key_identifier, ..Default::default() })?);
        }
        list.push(extension(false, &SubjectKeyIdentifier(key_id))?);
        list.push(extension(true, &self.key_usage())?);
        if !self.profile.is_ca() && !self.sans.is_empty() {
            let names = self.sans.iter().map(San::to_general_name).collect::<Result<_, _>>()?;
            list.push(extension(self.subject.is_empty(), &SubjectAltName(names))?);
        }
        let (ca, path_len_constraint) = (self.profile.is_ca(), self.profile.path_len());
        list.push(extension(true, &BasicConstraints { ca, path_len_constraint })?);
        if !self.profile.is_ca() {
            list.push(extension(false, &self.extended_key_usage())?);
        }
        if let Some(urls) = &self.urls {
            list.push(extension(false, &crl_distribution_points(&urls.crl)?)?);
            list.push(extension(false, &authority_info_access(&urls.ca)?)?);
        }
        Ok(list)
    }

    pub(crate) fn key_usage(&self) -> KeyUsage {
        if self.profile.is_ca() {
            return KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyCertSign | KeyUsages::CRLSign);
        }
        let mut usage = FlagSet::from(KeyUsages::DigitalSignature);
        // Only RSA keys can encipher keys.
        if matches!(self.public_key.algorithm(), KeyAlgorithm::Rsa { .. }) {
            usage |= KeyUsages::KeyEncipherment;
        }
        KeyUsage(usage)
    }

    pub(crate) fn extended_key_usage(&self) -> ExtendedKeyUsage {
        let server = self.profile.is_server().then_some(ID_KP_SERVER_AUTH);
        let client = self.profile.is_client().then_some(ID_KP_CLIENT_AUTH);
        ExtendedKeyUsage(server.into_iter().chain(client).collect())
    }
}

/// A certificate that only lacks its signature.
pub struct Prepared {
    request: Request,
    issuer: Issuer,
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
}

/// What issuing takes from the issuer.
pub(crate) struct Issuer {
    pub(crate) name: Name,
    pub(crate) key: PublicKey,
    /// What the authority key identifier says; a root has none.
    pub(crate) key_id: Option<Vec<u8>>,
    pub(crate) validity: Validity,
}

impl Prepared {
    fn new(issuer: Issuer, request: Request) -> Result<Self, Error> {
        let algorithm = encode(&signature::algorithm_of_issuer(issuer.key.algorithm())?)?;
        let extensions = request.extensions(&issuer)?;
        let tbs = encode(&TbsCertificate {
            version: Version::V3,
            serial: UintRef::new(request.serial.magnitude()).map_err(|_| Error::Serial)?,
            signature: Raw(&algorithm),
            issuer: Raw(issuer.name.der()),
            validity: Period {
                not_before: encode_time(request.validity.not_before)?,
                not_after: encode_time(request.validity.not_after)?,
            },
            subject: Raw(request.subject.der()),
            spki: Raw(request.public_key.spki_der()),
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(extensions.iter().map(borrow).collect::<Result<_, _>>()?),
        })?;
        Ok(Self { request, issuer, tbs, algorithm })
    }

    /// Signs with the issuer's key, reads the certificate back, verifies it with the issuer's public key and lints it.
    pub fn sign(self, key: &PrivateKey) -> Result<Certificate, Error> {
        if key.public_key() != &self.issuer.key {
            return Err(Error::KeyMismatch);
        }
        let signature = key.sign(&self.tbs)?;
        let signature =
            BitStringRef::from_bytes(&signature).map_err(|_| Error::Internal("signature too long"))?;
        let der = encode(&Signed { body: Raw(&self.tbs), algorithm: Raw(&self.algorithm), signature })?;

        let parsed = Parsed::from_der(&der)?;
        signature::verify(&parsed.signed, &self.issuer.key, "new certificate")?;
        lint::certificate(&parsed, &self.request, &self.issuer)?;
        Certificate::new(der.clone(), &parsed)
    }
}

pub(crate) fn nameless() -> Error {
    Error::Name {
        part: String::new(),
        reason: "the subject is empty, and no alternative name stands for it".to_owned(),
    }
}

pub(crate) fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> Result<Extension, Error> {
    let extn_value = OctetString::new(encode(value)?).map_err(|_| Error::Internal("extension too long"))?;
    Ok(Extension { extn_id: T::OID, critical, extn_value })
}

fn borrow(extension: &Extension) -> Result<ExtensionRef<'_>, Error> {
    let value = OctetStringRef::new(extension.extn_value.as_bytes());
    let value = value.map_err(|_| Error::Internal("extension too long"))?;
    Ok(ExtensionRef { id: Oid::from(&extension.extn_id), critical: extension.critical, value })
}

fn octets(bytes: &[u8]) -> Result<OctetString, Error> {
    OctetString::new(bytes).map_err(|_| Error::Internal("key identifier too long"))
}

fn crl_distribution_points(url: &str) -> Result<CrlDistributionPoints, Error> {
    let full_name = DistributionPointName::FullName(vec![uri(url)?]);
    let point = DistributionPoint { distribution_point: Some(full_name), reasons: None, crl_issuer: None };
    Ok(CrlDistributionPoints(vec![point]))
}

fn authority_info_access(url: &str) -> Result<AuthorityInfoAccessSyntax, Error> {
    let description = AccessDescription { access_method: ID_AD_CA_ISSUERS, access_location: uri(url)? };
    Ok(AuthorityInfoAccessSyntax(vec![description]))
}

fn uri(url: &str) -> Result<GeneralName, Error> {
    let refused = Error::Internal("a published URL is empty or has characters that are not graphic ASCII");
    if url.is_empty() || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused);
    }
    let ia5 = Ia5String::new(url).map_err(|_| refused)?;
    Ok(GeneralName::UniformResourceIdentifier(ia5))
}

#[cfg(test)]
mod tests;
