use der::{Sequence, asn1::BitStringRef};
use x509_cert::{
    attr::{Attribute, Attributes},
    ext::pkix::SubjectAltName,
    request::ExtensionReq,
};

use super::{Csr, VERSION_1};
use crate::{
    Error, MAX_SANS, Name, PrivateKey, San,
    asn1::{Raw, Signed, encode},
    issue, signature,
};

/// What a new certification request asks for, but its key.
#[derive(Clone, Debug)]
pub struct CsrRequest {
    /// The subject, which may be empty where there are alternative names.
    pub subject: Name,
    /// The subject alternative names, of any kind: which are granted is for the CA to say.
    pub sans: Vec<San>,
}

impl CsrRequest {
    /// Signs with the key that is to be certified, and reads the request back, which verifies it.
    pub fn sign(&self, key: &PrivateKey) -> Result<Csr, Error> {
        match self.sans.len() {
            0 if self.subject.is_empty() => return Err(issue::nameless()),
            count if count > MAX_SANS => return Err(Error::TooManySans { limit: MAX_SANS }),
            _ => {}
        }
        let info = encode(&NewInfo {
            version: VERSION_1,
            subject: Raw(self.subject.der()),
            spki: Raw(key.public_key().spki_der()),
            attributes: self.attributes()?,
        })?;
        let algorithm = encode(&signature::algorithm_of_issuer(key.algorithm())?)?;
        let signature = key.sign(&info)?;
        let signature =
            BitStringRef::from_bytes(&signature).map_err(|_| Error::Internal("signature too long"))?;
        Csr::from_der(&encode(&Signed { body: Raw(&info), algorithm: Raw(&algorithm), signature })?)
    }

    /// The extensionRequest with the alternative names, where there are any.
    fn attributes(&self) -> Result<Attributes, Error> {
        let mut attributes = Attributes::new();
        if !self.sans.is_empty() {
            let names = self.sans.iter().map(San::to_general_name).collect::<Result<_, _>>()?;
            let san = issue::extension(self.subject.is_empty(), &SubjectAltName(names))?;
            let failed = |_| Error::Internal("the extensions asked for could not be encoded");
            let attribute = Attribute::try_from(ExtensionReq(vec![san])).map_err(failed)?;
            attributes.insert(attribute).map_err(failed)?;
        }
        Ok(attributes)
    }
}

/// CertificationRequestInfo of [RFC 2986 §4.1](https://www.rfc-editor.org/rfc/rfc2986#section-4.1), to be signed.
#[derive(Sequence)]
struct NewInfo<'a> {
    version: u8,
    subject: Raw<'a>,
    spki: Raw<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    attributes: Attributes,
}
