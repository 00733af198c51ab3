use jiff::Timestamp;

use crate::{Certificate, Error, PrivateKey, RevocationList};

/// What another program kept of a CA, as the caller read it.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The CA's certificate, in PEM or DER.
    pub ca_certificate: File<'a>,
    /// The CA's private key, in PEM or DER. Without it, nothing can be issued or revoked later.
    pub ca_key: Option<File<'a>>,
    /// What encrypted private keys are opened with.
    pub passphrase: Option<&'a str>,
    /// The certificates that were issued, in PEM or DER, with any text around.
    pub certificates: &'a [File<'a>],
    /// Private keys of certificates, in any order.
    pub keys: &'a [File<'a>],
    /// The content of `index.txt`.
    pub index: Option<&'a str>,
    /// The newest revocation list, in PEM or DER.
    pub crl: Option<File<'a>>,
    /// The content of the `crlnumber` file: the number of the next list, in hexadecimal digits.
    pub crl_number: Option<&'a str>,
    /// When the import takes place.
    pub now: Timestamp,
}

/// The content of a file, with the name to call it by.
#[derive(Clone, Copy)]
pub struct File<'a> {
    /// What to call it in problems.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

impl File<'_> {
    /// The certificate in it.
    pub fn certificate(&self) -> Result<Certificate, Error> {
        if self.bytes.len() > MAX_LEN {
            return Err(Error::TooLarge { what: "file with a certificate", limit: MAX_LEN });
        }
        if self.is_pem() {
            Certificate::from_pem(&String::from_utf8_lossy(self.bytes))
        } else {
            Certificate::from_der(self.bytes)
        }
    }

    /// The private key in it, opened with the passphrase where it is encrypted.
    pub fn key(&self, passphrase: Option<&str>) -> Result<PrivateKey, Error> {
        match str::from_utf8(self.bytes) {
            Ok(text) if self.is_pem() => PrivateKey::from_any_pem(text, passphrase),
            _ => PrivateKey::from_any_der(self.bytes, passphrase),
        }
    }

    /// The revocation list in it.
    pub fn list(&self) -> Result<RevocationList, Error> {
        if self.is_pem() {
            RevocationList::from_pem(&String::from_utf8_lossy(self.bytes))
        } else {
            RevocationList::from_der(self.bytes)
        }
    }

    fn is_pem(&self) -> bool {
        self.bytes.windows(BEGIN.len()).any(|it| it == BEGIN)
    }
}

const BEGIN: &[u8] = b"-----BEGIN ";
/// A certificate with a thousand alternative names, and all of it in words before it.
const MAX_LEN: usize = 256 * 1024;
