//! Private keys at rest: encrypted before they are stored, decrypted when they are read.
//!
//! A stored key is encrypted exactly when it does not start with `-----BEGIN`.

use fastpki_types::{CaId, CertificateId, PrivateKeyPem, Timestamp};
use zeroize::Zeroizing;

use crate::fernet::FernetKey;

/// The keys that private keys lie under: the first encrypts, all decrypt. Without any, keys lie in plaintext.
#[derive(Default)]
pub struct Seal {
    keys: Vec<FernetKey>,
}

/// A private key as a row holds it: a Fernet token, or PEM in plaintext.
#[derive(Clone)]
pub struct SealedKey(Zeroizing<String>);

/// Whose private key it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// A certificate authority's.
    Ca(CaId, String),
    /// A certificate's.
    Certificate(CertificateId, String),
}

impl std::fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ca(id, name) => write!(f, "CA {id} '{}'", name.escape_debug()),
            Self::Certificate(id, name) => write!(f, "certificate {id} '{}'", name.escape_debug()),
        }
    }
}

/// A stored private key that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is encrypted, and no key is set.
    #[error(
        "the private key of {0} is encrypted, but PRIVATE_KEY_ENCRYPTION_KEY is not set: set it to the key it was encrypted with"
    )]
    NoKey(KeyOwner),
    /// It is encrypted under another key, or was changed.
    #[error(
        "the private key of {0} cannot be decrypted with PRIVATE_KEY_ENCRYPTION_KEY: it was encrypted with another key, or was changed since"
    )]
    WrongKey(KeyOwner),
}

impl Seal {
    /// A seal with these keys, the first of which encrypts.
    pub fn new(keys: Vec<FernetKey>) -> Self {
        Self { keys }
    }

    /// Whether new keys are encrypted.
    pub fn encrypts(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The key as it is to be stored.
    pub fn seal(&self, pem: &PrivateKeyPem, now: Timestamp) -> SealedKey {
        let text = match self.keys.first() {
            Some(key) => key.encrypt(pem.expose().as_bytes(), now),
            None => pem.expose().to_owned(),
        };
        SealedKey(Zeroizing::new(text))
    }

    /// The key in plaintext.
    pub fn open(
        &self,
        sealed: &SealedKey,
        owner: impl FnOnce() -> KeyOwner,
    ) -> Result<PrivateKeyPem, Unreadable> {
        if !sealed.is_encrypted() {
            return Ok(PrivateKeyPem::from(sealed.0.clone()));
        }
        if self.keys.is_empty() {
            return Err(Unreadable::NoKey(owner()));
        }
        let plaintext = self.keys.iter().find_map(|key| key.decrypt(&sealed.0).ok());
        let text = plaintext.and_then(|plaintext| Some(std::str::from_utf8(&plaintext).ok()?.to_owned()));
        text.map(PrivateKeyPem::from).ok_or_else(|| Unreadable::WrongKey(owner()))
    }
}

impl SealedKey {
    pub(crate) fn from_column(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn as_column(&self) -> &str {
        &self.0
    }

    /// Whether it is a Fernet token.
    pub fn is_encrypted(&self) -> bool {
        !self.0.starts_with("-----BEGIN")
    }
}
