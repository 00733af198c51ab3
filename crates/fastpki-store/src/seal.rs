//! Private keys at rest: encrypted before they are stored, decrypted and held against their certificate when
//! they are read.
//!
//! A stored key is encrypted exactly when it does not start with `-----BEGIN`.

use std::{fmt, sync::Arc};

use fastpki_types::{CaId, CertificateId, PrivateKeyPem, Timestamp};
use fastpki_x509::key_fits_certificate;
use zeroize::Zeroizing;

use crate::{
    db::Value,
    fernet::{FernetKey, Fingerprint},
};

/// The keys that private keys lie under: the first encrypts, all decrypt. Without any, keys lie in plaintext.
#[derive(Debug, Default)]
pub struct Seal {
    keys: Vec<Arc<FernetKey>>,
}

/// A private key as a row holds it: a Fernet token, or PEM in plaintext.
#[derive(Clone)]
pub struct SealedKey {
    text: Zeroizing<String>,
    /// The key it lies under, as the row remembers it; rows of FastPKI 0.4 do not.
    under: Option<Fingerprint>,
}

/// A private key as it is stored, with what is needed to check it.
#[derive(Clone)]
pub struct StoredKey {
    /// Whose it is.
    pub owner: KeyOwner,
    pub(crate) key: SealedKey,
    pub(crate) certificate: String,
}

/// Whose private key it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// A certificate authority's.
    Ca(CaId, String),
    /// A certificate's.
    Certificate(CertificateId, String),
}

/// A private key that was read, and what it lay under.
pub(crate) struct Opened {
    pub(crate) pem: PrivateKeyPem,
    /// `None` where it lay in plaintext.
    pub(crate) under: Option<Fingerprint>,
}

/// A stored private key that cannot be read, or must not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the private key of {owner} {reason}")]
pub struct Unreadable {
    /// Whose it is.
    pub owner: KeyOwner,
    /// What is wrong with it.
    pub reason: UnreadableReason,
}

/// What is wrong with a stored private key; the fingerprint is that of the key it needs, where its row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadableReason {
    /// It is encrypted, and no key is set.
    NoKey(Option<Fingerprint>),
    /// It is encrypted under a key that is not set, or was changed.
    WrongKey(Option<Fingerprint>),
    /// Nobody can tell that it belongs to its certificate: one of the two cannot be parsed.
    Damaged,
    /// It belongs to another certificate than the one beside it.
    Foreign,
}

impl Seal {
    /// A seal with these keys, the first of which encrypts.
    pub fn new(keys: Vec<FernetKey>) -> Self {
        Self { keys: keys.into_iter().map(Arc::new).collect() }
    }

    /// The fingerprints of this seal's keys that the other does not have.
    pub fn without(&self, other: &Self) -> Vec<Fingerprint> {
        self.fingerprints().filter(|own| other.fingerprints().all(|other| other != *own)).collect()
    }

    /// This seal, which opens what the other does too.
    pub fn also_reading(&self, other: &Self) -> Self {
        Self { keys: self.keys.iter().chain(&other.keys).cloned().collect() }
    }

    /// The keys' fingerprints; the first key encrypts.
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> + '_ {
        self.keys.iter().map(|key| key.fingerprint())
    }

    /// The fingerprint of the key that encrypts, if any does.
    pub fn first(&self) -> Option<Fingerprint> {
        self.fingerprints().next()
    }

    /// The key as it is to be stored.
    pub fn seal(&self, pem: &PrivateKeyPem, now: Timestamp) -> SealedKey {
        let text = match self.keys.first() {
            Some(key) => key.encrypt(pem.expose().as_bytes(), now),
            None => pem.expose().to_owned(),
        };
        SealedKey { text: Zeroizing::new(text), under: self.first() }
    }

    /// The key in plaintext, once it is known to belong to its certificate.
    pub fn open(&self, stored: &StoredKey) -> Result<PrivateKeyPem, Unreadable> {
        self.open_and_tell(stored).map(|opened| opened.pem)
    }

    /// Opens a stored key, and tells what it lay under.
    pub(crate) fn open_and_tell(&self, stored: &StoredKey) -> Result<Opened, Unreadable> {
        let opened = self.unseal(&stored.key).map_err(|reason| stored.unreadable(reason))?;
        match key_fits_certificate(opened.pem.expose(), &stored.certificate) {
            Ok(true) => Ok(opened),
            Ok(false) => Err(stored.unreadable(UnreadableReason::Foreign)),
            Err(_) => Err(stored.unreadable(UnreadableReason::Damaged)),
        }
    }

    /// The key in plaintext, whatever it belongs to.
    pub(crate) fn unseal(&self, sealed: &SealedKey) -> Result<Opened, UnreadableReason> {
        if !sealed.is_encrypted() {
            return Ok(Opened { pem: sealed.text.clone().into(), under: None });
        }
        if self.keys.is_empty() {
            return Err(UnreadableReason::NoKey(sealed.under));
        }
        // What the row remembers may be wrong: it only says where to begin.
        let remembered = self.keys.iter().filter(|key| Some(key.fingerprint()) == sealed.under);
        let others = self.keys.iter().filter(|key| Some(key.fingerprint()) != sealed.under);
        let opened = remembered.chain(others).find_map(|key| {
            let pem = utf8(key.decrypt(&sealed.text).ok()?)?;
            Some(Opened { pem: pem.into(), under: Some(key.fingerprint()) })
        });
        opened.ok_or(UnreadableReason::WrongKey(sealed.under))
    }
}

/// The text that bytes are, without a copy of them that nobody wipes.
fn utf8(mut bytes: Zeroizing<Vec<u8>>) -> Option<Zeroizing<String>> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            None
        }
    }
}

impl StoredKey {
    pub(crate) fn unreadable(&self, reason: UnreadableReason) -> Unreadable {
        Unreadable { owner: self.owner.clone(), reason }
    }
}

impl SealedKey {
    /// A key from its two columns. What is no fingerprint is none: the row is then read by trying.
    pub(crate) fn from_columns(text: String, under: Option<String>) -> Self {
        Self { text: Zeroizing::new(text), under: under.and_then(|text| text.parse().ok()) }
    }

    /// The column `private_key`.
    pub(crate) fn text(&self) -> Value {
        Value::Secret(self.text.clone())
    }

    /// The column `private_key`, without a copy.
    pub(crate) fn into_text(self) -> Value {
        Value::Secret(self.text)
    }

    /// The column `encryption_key_fingerprint`.
    pub(crate) fn fingerprint(&self) -> Value {
        self.under.map(|under| under.to_string()).into()
    }

    /// Whether it is a Fernet token.
    pub(crate) fn is_encrypted(&self) -> bool {
        !self.text.starts_with("-----BEGIN")
    }

    /// What the row remembers of the key it lies under.
    pub(crate) fn remembered(&self) -> Option<Fingerprint> {
        self.under
    }
}

impl KeyOwner {
    /// The id of its row.
    pub fn id(&self) -> i32 {
        match self {
            Self::Ca(id, _) => id.0,
            Self::Certificate(id, _) => id.0,
        }
    }

    /// `ca` or `certificate`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ca(..) => "ca",
            Self::Certificate(..) => "certificate",
        }
    }

    /// The CA's name, or the certificate's common name.
    pub fn name(&self) -> &str {
        match self {
            Self::Ca(_, name) | Self::Certificate(_, name) => name,
        }
    }

    /// Its place among all: CAs before certificates, by id.
    pub(crate) fn place(&self) -> (bool, i32) {
        (matches!(self, Self::Certificate(..)), self.id())
    }
}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ca(id, name) => write!(f, "CA {id} '{}'", name.escape_debug()),
            Self::Certificate(id, name) => write!(f, "certificate {id} '{}'", name.escape_debug()),
        }
    }
}

impl fmt::Display for UnreadableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey(None) => f.write_str(
                "is encrypted, but PRIVATE_KEY_ENCRYPTION_KEY is not set: set it to the key it was encrypted with",
            ),
            Self::NoKey(Some(needed)) => write!(
                f,
                "is encrypted, but PRIVATE_KEY_ENCRYPTION_KEY is not set: set it to the key with fingerprint {needed}"
            ),
            Self::WrongKey(None) => f.write_str(
                "cannot be decrypted with PRIVATE_KEY_ENCRYPTION_KEY: it was encrypted with another key, or was changed since",
            ),
            Self::WrongKey(Some(needed)) => write!(
                f,
                "cannot be decrypted with PRIVATE_KEY_ENCRYPTION_KEY: it needs the key with fingerprint {needed}, or was changed since"
            ),
            Self::Damaged => f.write_str(
                "cannot be held against its certificate: one of the two is damaged or was changed outside of FastPKI (tampering); restore the row from a backup",
            ),
            Self::Foreign => f.write_str(
                "does not belong to its certificate: the row was changed outside of FastPKI (tampering); restore it from a backup",
            ),
        }
    }
}
