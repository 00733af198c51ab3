//! The engine: what it is made of and how it starts and stops.

use std::sync::Arc;

use fastpki_store::{DatabaseConfig, FernetKey, Seal, Store};
use fastpki_types::{CertificateStatus, KeyType, Timestamp};
use zeroize::Zeroizing;

use crate::{
    CertificateRow, Clock, Entropy, Error,
    crl::CrlShelf,
    keyring::Keyring,
    lanes::Lanes,
    sessions::{Passwords, Tokens},
};

/// The PKI: everything it knows and can do.
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) seal: Seal,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) lanes: Lanes,
    pub(crate) keyring: Keyring,
    pub(crate) crls: CrlShelf,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) defaults: IssuingDefaults,
}

/// What an engine needs to start.
pub struct Config {
    /// Where the database is.
    pub database: DatabaseConfig,
    /// The keys that private keys lie under at rest; the first encrypts. None: they lie in plaintext.
    pub encryption_keys: Vec<FernetKey>,
    /// What signs access tokens.
    pub secret_key: Zeroizing<String>,
    /// How it signs them.
    pub algorithm: JwtAlgorithm,
    /// How long an access token lives.
    pub access_token_minutes: u32,
    /// How long a refresh token lives.
    pub refresh_token_minutes: u32,
    /// What is issued where a request does not say.
    pub defaults: IssuingDefaults,
    /// bcrypt's cost for new passwords; 12 but in tests.
    pub password_cost: u32,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// How access tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

/// What is issued where a request does not say.
#[derive(Clone, Copy, Debug)]
pub struct IssuingDefaults {
    /// Bits of a CA's RSA key.
    pub ca_key_size: u32,
    /// Bits of a certificate's RSA key.
    pub cert_key_size: u32,
    /// Days for which a CA is valid.
    pub ca_days: u32,
    /// Days for which a certificate is valid.
    pub cert_days: u32,
}

impl Engine {
    /// Opens the database, brings it up to date, and sees to it that every private key in it can be read
    /// and, if keys are set, is encrypted. Fails with a text for the operator.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let now = config.clock.now();
        let store = Store::open(&config.database, now).await?;
        let seal = Seal::new(config.encryption_keys);
        let report = store.scan_keys(&seal, now).await?;
        if report.readable + report.encrypted > 0 {
            tracing::info!(
                readable = report.readable,
                newly_encrypted = report.encrypted,
                "private keys at rest were checked"
            );
        }
        let tokens = Tokens::new(
            &config.secret_key,
            config.algorithm,
            config.access_token_minutes,
            config.refresh_token_minutes,
        );
        Ok(Self {
            store,
            seal,
            clock: config.clock,
            entropy: config.entropy,
            lanes: Lanes::new(),
            keyring: Keyring::default(),
            crls: CrlShelf::default(),
            tokens,
            passwords: Passwords::new(config.password_cost),
            defaults: config.defaults,
        })
    }

    /// This instant, by the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id for a request, 64 random bits in hex.
    pub fn new_request_id(&self) -> String {
        let mut random = [0; 8];
        self.entropy.fill(&mut random);
        format!("{:016x}", u64::from_be_bytes(random))
    }

    /// Whether the database answers and private keys can be read.
    pub async fn check_ready(&self) -> Result<(), Error> {
        self.store.ping().await?;
        Ok(self.store.try_a_key(&self.seal).await?)
    }

    /// Whether there is no user yet, so that anybody may become the first.
    pub async fn awaits_first_user(&self) -> Result<bool, Error> {
        Ok(!self.store.any_user().await?)
    }

    /// Lets go of private keys that nobody has needed for a while. To be called every minute or so.
    pub fn drop_idle_keys(&self) {
        self.keyring.drop_idle(self.now());
    }

    /// Removes tokens that have ended. To be called every hour or so; says how many there were.
    pub async fn sweep_tokens(&self) -> Result<u64, Error> {
        Ok(self.store.sweep_tokens(self.now()).await?)
    }

    /// Waits until everything that was asked is written, and closes the database.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// The instant `minutes` from now.
    pub(crate) fn in_minutes(&self, minutes: u32) -> Timestamp {
        self.now().plus_seconds(i64::from(minutes) * 60)
    }
}

impl IssuingDefaults {
    /// The size of a key where a request does not say.
    pub(crate) fn key_size(&self, key_type: KeyType, is_ca: bool) -> u32 {
        match (key_type, is_ca) {
            (KeyType::Rsa, true) => self.ca_key_size,
            (KeyType::Rsa, false) => self.cert_key_size,
            (KeyType::Ec | KeyType::Ed25519, _) => 256,
        }
    }
}

/// A row as it is at this instant: what has ended and is not revoked is expired.
pub(crate) fn aged(mut row: CertificateRow, now: Timestamp) -> CertificateRow {
    let certificate = &mut row.certificate;
    if certificate.status != CertificateStatus::Revoked {
        let ended = certificate.not_after < now;
        certificate.status = if ended { CertificateStatus::Expired } else { CertificateStatus::Valid };
    }
    row
}
