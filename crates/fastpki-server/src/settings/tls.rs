//! The files of the certificate and key with which the server speaks TLS itself.

use std::path::PathBuf;

use super::reader::{Fault, Reader};

/// A server's certificate and its key, in PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and behind it those of the CAs between it and the root.
    pub certificate: PathBuf,
    /// The key, which only the server may read.
    pub key: PathBuf,
}

/// Reads the names of the files, which go together; what is in them is looked at when the server starts.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<TlsFiles> {
    let certificate = reader.optional(CERTIFICATE, file);
    let key = reader.optional(KEY, file);
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => alone(reader, CERTIFICATE, KEY),
        (None, Some(_)) => alone(reader, KEY, CERTIFICATE),
    }
}

fn file(text: &str) -> Result<PathBuf, Fault> {
    Ok(text.trim().into())
}

/// Passed over, it would leave passwords unencrypted on the network that its operator believes encrypted.
fn alone(reader: &mut Reader<'_>, setting: &'static str, other: &str) -> Option<TlsFiles> {
    let mend = format!("set {other} too, or neither");
    reader.problem(setting, Fault::new(format!("set without {other}"), mend));
    None
}

/// Name of the setting for the certificate.
pub(crate) const CERTIFICATE: &str = "FASTPKI_TLS_CERT_FILE";
/// Name of the setting for the key.
pub(crate) const KEY: &str = "FASTPKI_TLS_KEY_FILE";
