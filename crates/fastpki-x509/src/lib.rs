//! Pure PKI: keys, names, certificates, requests and revocation lists, bytes in and bytes out.
//!
//! Nothing here reads a clock, a file or the network. Time is an argument ([`jiff::Timestamp`]), so are
//! serial numbers; only key generation draws randomness, inside aws-lc.
//!
//! A certificate is issued in three steps, each of which spends the one before it:
//! [`Request`] → [`Prepared`] → [`Certificate`]. What comes out was parsed back, verified against its issuer
//! and linted.
//!
//! What others wrote is read more leniently: [`inspect`] describes it, [`import`] plans what would be taken over,
//! [`pkcs12`] and [`PrivateKey::from_any_pem`] open it.

mod asn1;
mod certificate;
mod chain;
mod constraints;
mod crl;
mod csr;
mod encryption;
mod error;
mod forms;
pub mod import;
pub mod inspect;
mod issue;
mod key;
mod key_fingerprint;
mod limits;
mod lint;
mod name;
mod pem;
pub mod pkcs12;
mod profile;
mod public_key;
mod reason;
mod san;
mod serial;
mod signature;
#[cfg(test)]
mod testing;
mod text;
mod validity;
mod weak_key;

pub use certificate::Certificate;
pub use chain::{check_chain, intermediate_path_len};
pub use constraints::{NameConstraints, Subtree};
pub use crl::{Crl, CrlBuilder, ListedRevocation, RevocationList, RevokedEntry, UnsignedCrl, crl_pem};
pub use csr::{Csr, CsrRequest};
pub use error::Error;
pub use forms::forms;
pub use issue::{Prepared, Request, Urls};
pub use key::{PrivateKey, key_fits_certificate};
pub use name::Name;
pub use profile::Profile;
pub use public_key::{KeyAlgorithm, PublicKey};
pub use reason::Reason;
pub use san::{DnsName, EmailAddress, MAX_SANS, San, SanKind, Sans, complete_sans};
pub use serial::Serial;
pub use text::{is_international_host, is_unseen, printable};
pub use validity::{MAX_VALIDITY_DAYS, Validity};
