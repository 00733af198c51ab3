use std::fmt;

use const_oid::db::rfc5280::{ANY_EXTENDED_KEY_USAGE, ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH};
use der::Decode;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use crate::{Certificate, certificate::Parsed};

/// What a certificate of others is for, in the kinds there are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateKind {
    /// A CA.
    Ca,
    /// A TLS server.
    Server,
    /// A TLS client.
    Client,
    /// Both.
    DualPurpose,
}

impl CertificateKind {
    /// By basic constraints and extended key usage, with a remark where that does not quite say it.
    pub(super) fn of(certificate: &Certificate) -> (Self, Option<String>) {
        if certificate.is_ca() {
            return (Self::Ca, None);
        }
        let Some(purposes) = purposes(certificate) else {
            let remark = "it has no extended key usage, so that it is good for servers and clients alike";
            return (Self::DualPurpose, Some(remark.to_owned()));
        };
        let any = purposes.0.contains(&ANY_EXTENDED_KEY_USAGE);
        let server = any || purposes.0.contains(&ID_KP_SERVER_AUTH);
        let client = any || purposes.0.contains(&ID_KP_CLIENT_AUTH);
        match (server, client) {
            (true, true) => (Self::DualPurpose, None),
            (true, false) => (Self::Server, None),
            (false, true) => (Self::Client, None),
            (false, false) => {
                let words: Vec<_> = purposes.0.iter().map(|oid| crate::inspect::purpose(*oid)).collect();
                let remark = format!(
                    "it is for {}, which is no kind of its own here: it counts as a client's, and its renewal would be one",
                    words.join(", ")
                );
                (Self::Client, Some(remark))
            }
        }
    }
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ca => "ca",
            Self::Server => "server",
            Self::Client => "client",
            Self::DualPurpose => "dual_purpose",
        })
    }
}

fn purposes(certificate: &Certificate) -> Option<ExtendedKeyUsage> {
    let parsed = Parsed::from_der(certificate.der()).ok()?;
    let extension = parsed.extension(const_oid::db::rfc5280::ID_CE_EXT_KEY_USAGE)?;
    ExtendedKeyUsage::from_der(extension.value.as_bytes()).ok()
}
