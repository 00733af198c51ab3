//! Says in plain words what certificates, requests, revocation lists, keys and PKCS#12 files are, whoever wrote them.
//!
//! What the readers of this crate refuse is described all the same, as far as it is readable. Nothing is printed here,
//! and no text that comes out has control characters in it.

use der::{Decode, Reader, SliceReader};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{
    Error, RevocationList,
    key::{DerKind, Opened},
    pem,
    pkcs12::{self, is_pkcs12},
};
use words::{printable, public_key};

mod certificate;
mod fits;
mod foreign;
mod key;
mod list;
mod request;
mod warnings;
mod words;

pub use fits::{Fit, Verdict, fits};
pub(crate) use words::purpose;

/// Something that was found in a file, described.
#[derive(Clone, Debug)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// What to call it: its subject, its issuer, the kind of its key.
    pub name: String,
    /// What it says, in the order to show it.
    pub fields: Vec<Field>,
    /// What is wrong with it, or may surprise; whole sentences without full stop.
    pub warnings: Vec<String>,
    /// Why it could not be opened: [`Error::PasswordNeeded`], [`Error::WrongPassword`] or another.
    pub locked: Option<Error>,
    content: Content,
}

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A certificate.
    Certificate,
    /// A certification request.
    Csr,
    /// A revocation list.
    Crl,
    /// A private key.
    PrivateKey,
    /// A public key alone.
    PublicKey,
    /// A PKCS#12 file; what is in it follows as objects of their own.
    Pkcs12,
    /// Something else, or something that is too damaged to tell.
    Other,
}

impl Kind {
    /// The kind in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Csr => "certificate request (CSR)",
            Self::Crl => "revocation list (CRL)",
            Self::PrivateKey => "private key",
            Self::PublicKey => "public key",
            Self::Pkcs12 => "PKCS#12 file",
            Self::Other => "something else",
        }
    }
}

/// One thing that an object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is about, such as `subject`.
    pub label: &'static str,
    /// The words; more than one line where there is a list.
    pub lines: Vec<String>,
}

impl Field {
    fn new(label: &'static str, text: impl AsRef<str>) -> Self {
        Self { label, lines: vec![printable(text.as_ref())] }
    }

    fn list(label: &'static str, lines: Vec<String>) -> Self {
        Self { label, lines: lines.iter().map(|it| printable(it)).collect() }
    }
}

/// What comparisons need of an object.
#[derive(Clone, Debug)]
enum Content {
    Certificate(Box<foreign::Summary>),
    Csr { spki: Vec<u8> },
    Crl(Box<RevocationList>),
    Key { spki: Vec<u8> },
    Nothing,
}

impl Object {
    fn new(kind: Kind, name: impl AsRef<str>, content: Content) -> Self {
        let name = printable(name.as_ref());
        Self { kind, name, fields: Vec::new(), warnings: Vec::new(), locked: None, content }
    }

    /// An object that cannot be described further.
    fn unreadable(kind: Kind, name: &str, warning: impl Into<String>) -> Self {
        Self { warnings: vec![warning.into()], ..Self::new(kind, name, Content::Nothing) }
    }

    fn closed(kind: Kind, name: &str, error: Error) -> Self {
        Self { locked: Some(error), ..Self::new(kind, name, Content::Nothing) }
    }

    /// The first line of the field with this label.
    pub fn field(&self, label: &str) -> Option<&str> {
        self.fields.iter().find(|it| it.label == label)?.lines.first().map(String::as_str)
    }
}

/// Describes everything in a file of at most 64 MB: PEM with any number of blocks and text around them, or DER.
///
/// The password opens PKCS#12 files and encrypted keys; what it does not open is [`Object::locked`]. Expiry is judged at
/// `now`. A file in which nothing is found is an error.
pub fn inspect(bytes: &[u8], password: Option<&str>, now: Timestamp) -> Result<Vec<Object>, Error> {
    if bytes.len() > MAX_LEN {
        return Err(Error::TooLarge { what: "file", limit: MAX_LEN });
    }
    let looking = Looking { password, now };
    if bytes.windows(BEGIN.len()).any(|it| it == BEGIN.as_bytes()) {
        return looking.at_pem(&String::from_utf8_lossy(bytes));
    }
    match first_value(bytes) {
        Some(der) => Ok(looking.at_der(der, bytes.len() - der.len())),
        None => Err(Error::Malformed { what: "file, which is neither PEM nor DER" }),
    }
}

/// The first whole DER value, if it is a SEQUENCE.
fn first_value(bytes: &[u8]) -> Option<&[u8]> {
    let der = SliceReader::new(bytes).ok()?.tlv_bytes().ok()?;
    (der.first() == Some(&SEQUENCE)).then_some(der)
}

/// What looking at a file takes.
#[derive(Clone, Copy)]
struct Looking<'a> {
    password: Option<&'a str>,
    now: Timestamp,
}

impl Looking<'_> {
    fn at_pem(self, text: &str) -> Result<Vec<Object>, Error> {
        let mut objects = Vec::new();
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(BEGIN) {
            if objects.len() >= MAX_OBJECTS {
                return Err(Error::TooMany { what: "objects in one file", limit: MAX_OBJECTS });
            }
            let Some((label, body)) = after.split_once(DASHES) else { break };
            let end = format!("-----END {label}-----");
            rest = body;
            if label.len() > MAX_LABEL || label.contains('\n') {
                continue;
            }
            match body.find(&end) {
                Some(length) => {
                    objects.extend(self.at_block(label, &body[..length]));
                    rest = &body[length + end.len()..];
                }
                None => objects.push(Object::unreadable(
                    kind_of(label),
                    label,
                    "the end line of its PEM block is missing; the file seems to be cut off",
                )),
            }
        }
        if objects.is_empty() { Err(Error::Malformed { what: "PEM file" }) } else { Ok(objects) }
    }

    fn at_block(self, label: &str, body: &str) -> Vec<Object> {
        if label.ends_with("PRIVATE KEY") {
            let block = Zeroizing::new(format!("{BEGIN}{label}{DASHES}{body}-----END {label}-----\n"));
            let encrypted = label.starts_with("ENCRYPTED") || body.contains("4,ENCRYPTED");
            let key = Opened::from_pem(&block, self.password);
            return vec![key::described(key, encrypted)];
        }
        let der = pem::decode_base64(body);
        let Some(der) = der.as_deref() else {
            return vec![Object::unreadable(kind_of(label), label, "its PEM block is not base64")];
        };
        let value = first_value(der).unwrap_or(der);
        let trailing = der.len() - value.len();
        match kind_of(label) {
            Kind::Certificate => vec![certificate::described(value, self.now)],
            Kind::Csr => vec![request::described(value)],
            Kind::Crl => vec![list::described(value, self.now)],
            Kind::Other => vec![Object::unreadable(Kind::Other, label, words::advice_about(label))],
            Kind::PrivateKey | Kind::PublicKey | Kind::Pkcs12 => self.at_der(value, trailing),
        }
    }

    fn at_der(self, der: &[u8], trailing: usize) -> Vec<Object> {
        let mut objects = self.at_value(der);
        if trailing > 0
            && let Some(first) = objects.first_mut()
        {
            first.warnings.push(format!("{trailing} bytes follow that do not belong to it"));
        }
        objects
    }

    fn at_value(self, der: &[u8]) -> Vec<Object> {
        if is_pkcs12(der) {
            return self.at_pkcs12(der);
        }
        match foreign::shape_of(der) {
            Kind::Certificate => vec![certificate::described(der, self.now)],
            Kind::Csr => vec![request::described(der)],
            Kind::Crl => vec![list::described(der, self.now)],
            _ => vec![self.at_key(der)],
        }
    }

    fn at_key(self, der: &[u8]) -> Object {
        if spki::SubjectPublicKeyInfoRef::from_der(der).is_ok() {
            let (words, warnings) = public_key(der);
            let content = Content::Key { spki: der.to_vec() };
            let fields = vec![Field::new("key", &words)];
            return Object { fields, warnings, ..Object::new(Kind::PublicKey, words, content) };
        }
        match DerKind::of(der) {
            Some(kind) => {
                let encrypted = matches!(kind, DerKind::Encrypted);
                key::described(Opened::from_der(der, self.password), encrypted)
            }
            None => {
                Object::unreadable(Kind::Other, "unknown", "it is DER, but of nothing that is known here")
            }
        }
    }

    fn at_pkcs12(self, der: &[u8]) -> Vec<Object> {
        let contents = match pkcs12::open(der, self.password.unwrap_or_default()) {
            Ok(contents) => contents,
            Err(error) => return vec![Object::closed(Kind::Pkcs12, "PKCS#12 file", error)],
        };
        let names = contents.keys.iter().filter_map(|it| it.friendly_name.clone()).collect::<Vec<_>>();
        let counts =
            format!("{} private keys, {} certificates", contents.keys.len(), contents.certificates.len());
        let mut file =
            Object::new(Kind::Pkcs12, names.first().map_or("PKCS#12 file", |it| it), Content::Nothing);
        file.fields.push(Field::new("contains", counts));
        if !names.is_empty() {
            file.fields.push(Field::list("friendly name", names));
        }
        let keys = contents.keys.iter().map(|it| key::described(Opened::from_der(it.pkcs8(), None), true));
        let certificates = contents.certificates.iter().map(|it| certificate::described(&it.der, self.now));
        [file].into_iter().chain(keys).chain(certificates).collect()
    }
}

fn kind_of(label: &str) -> Kind {
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => Kind::Certificate,
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Kind::Csr,
        "X509 CRL" | "CRL" => Kind::Crl,
        "PUBLIC KEY" => Kind::PublicKey,
        "PKCS12" => Kind::Pkcs12,
        _ if label.ends_with("PRIVATE KEY") => Kind::PrivateKey,
        _ => Kind::Other,
    }
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const SEQUENCE: u8 = 0x30;
/// A revocation list of a million certificates has some 40 MB.
const MAX_LEN: usize = 64_000_000;
/// The bundles of root certificates that systems ship have some 150.
const MAX_OBJECTS: usize = 1000;
const MAX_LABEL: usize = 64;

#[cfg(test)]
mod tests;
