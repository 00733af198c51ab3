//! The engine: what it is made of and how it starts and stops.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use fastpki_store::{DatabaseConfig, FernetKey, Progress, Seal, Store};
use fastpki_types::{CertificateStatus, KeyType, Timestamp};
use zeroize::Zeroizing;

use crate::{
    CertificateRow, Clock, Entropy, Error, KeysAtRest,
    clock::is_within,
    crl::CrlShelf,
    keyring::Keyring,
    lanes::Lanes,
    names::skeletons,
    service_accounts::ServiceAccountTokens,
    sessions::{Passwords, Tokens},
};

/// The PKI: everything it knows and can do.
pub struct Engine {
    pub(crate) store: Store,
    seal: RwLock<Arc<Seal>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) lanes: Lanes,
    pub(crate) keyring: Keyring,
    pub(crate) crls: CrlShelf,
    /// When it was last tried whether the database takes changes, and whether it did.
    proof: tokio::sync::Mutex<Option<(Timestamp, bool)>>,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) service_account_tokens: ServiceAccountTokens,
    pub(crate) defaults: IssuingDefaults,
}

/// What an engine needs to start.
pub struct Config {
    /// Where the database is.
    pub database: DatabaseConfig,
    /// The keys that private keys lie under at rest; the first encrypts. None: they lie in plaintext.
    pub encryption_keys: Vec<FernetKey>,
    /// Tells how far the check of private keys at start has come.
    pub progress: Arc<Progress>,
    /// What signs access tokens.
    pub secret_key: Zeroizing<String>,
    /// What tokens of service accounts are digested under; the secret key where it is not set.
    pub service_account_pepper: Option<Zeroizing<String>>,
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
        let seal = Arc::new(Seal::new(config.encryption_keys));
        KeysAtRest::of_server(&store, &seal, &config.clock, &config.progress).prepare().await?;
        store.patient().note_public_keys(now).await?;
        store.patient().note_skeletons(skeletons).await?;
        let tokens = Tokens::new(
            &config.secret_key,
            config.algorithm,
            config.access_token_minutes,
            config.refresh_token_minutes,
        );
        let pepper = config.service_account_pepper.as_ref().unwrap_or(&config.secret_key);
        Ok(Self {
            store,
            service_account_tokens: ServiceAccountTokens::new(pepper),
            seal: RwLock::new(seal),
            clock: config.clock,
            entropy: config.entropy,
            lanes: Lanes::new(),
            keyring: Keyring::default(),
            crls: CrlShelf::default(),
            proof: tokio::sync::Mutex::default(),
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

    /// Whether the database answers, takes changes, and private keys can be read.
    pub async fn check_ready(&self) -> Result<(), Error> {
        self.store.ping().await?;
        self.check_writable().await?;
        if let Some(stored) = self.store.any_authority_key().await? {
            self.seal().open(&stored).map_err(Error::internal)?;
        }
        Ok(())
    }

    /// Whether the database took a change within the last few seconds, or takes one now: however often this is asked,
    /// the disk is not.
    async fn check_writable(&self) -> Result<(), Error> {
        let mut proof = self.proof.lock().await;
        let now = self.now();
        let unknown = || Err(Error::Internal("the database does not take changes: see above".into()));
        if let Some((at, is_writable)) = *proof
            && is_within(at, PROOF_SECONDS, now)
        {
            return if is_writable { Ok(()) } else { unknown() };
        }
        // Noted before: clients give up before a database that hangs does.
        *proof = Some((now, false));
        self.store.prove_writable(now).await?;
        *proof = Some((now, true));
        Ok(())
    }

    /// Takes other encryption keys from now on. Keys that are missing among them stay in use for reading until it
    /// is certain that no private key needs them; if that is not certain, this fails and they stay.
    pub async fn replace_encryption_keys(&self, keys: Vec<FernetKey>) -> Result<(), Error> {
        let next = Arc::new(Seal::new(keys));
        let before = self.seal();
        if before.without(&next).is_empty() {
            self.set_seal(next);
            return Ok(());
        }
        self.set_seal(Arc::new(next.also_reading(&before)));
        while Arc::strong_count(&before) > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let survey = self.store.survey_keys(&next, &Arc::default()).await?;
        if survey.unreadable.count > 0 {
            // One line: it is for the log.
            return Err(Error::Internal(
                survey.unreadable.to_string().replace(":\n  ", ": ").replace("\n  ", "; "),
            ));
        }
        self.set_seal(next);
        Ok(())
    }

    /// Whether there is no user yet, so that anybody may become the first.
    pub async fn awaits_first_user(&self) -> Result<bool, Error> {
        Ok(!self.store.any_user().await?)
    }

    /// Lets go of private keys that nobody has needed for a while. To be called every minute or so.
    pub fn drop_idle_keys(&self) {
        self.keyring.drop_idle(self.now());
    }

    /// Removes tokens that have ended, once an hour, whichever of several servers is called first; says how many
    /// there were. To be called every minute or so.
    pub async fn sweep_tokens(&self) -> Result<u64, Error> {
        let now = self.now();
        // Not more often than an access token ends: see the store's `sweep_tokens`.
        let every = SWEEP_SECONDS.max(i64::from(self.tokens.access_minutes()) * 60);
        let due = self.store.job_due(SWEEP).await?;
        if !self.store.claim_job(SWEEP, every, now).await? {
            return Ok(0);
        }
        // By the clock of the server that swept last. The first sweep of all finds nothing that has ended.
        let last = due.map_or_else(Timestamp::epoch, |due| due.plus_seconds(-every));
        Ok(self.store.sweep_tokens(every, last, now).await?)
    }

    /// Waits until everything that was asked is written, and closes the database.
    pub async fn close(&self) {
        if let Err(error) = self.record_token_uses().await {
            tracing::warn!(%error, "when tokens of service accounts were last used could not be written down");
        }
        self.store.close().await;
    }

    /// What seals and opens private keys.
    pub(crate) fn seal(&self) -> Arc<Seal> {
        Arc::clone(&self.seal.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_seal(&self, seal: Arc<Seal>) {
        self.crls.forget_failures();
        *self.seal.write().unwrap_or_else(PoisonError::into_inner) = seal;
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

/// Seconds for which it is believed that the database takes changes: load balancers ask about as often.
const PROOF_SECONDS: i64 = 5;
/// Seconds between two sweeps of tokens that have ended.
const SWEEP_SECONDS: i64 = 3600;
/// The name of that job.
const SWEEP: &str = "sweep_tokens";

/// A row as it is at this instant: what has ended and is not revoked is expired.
pub(crate) fn aged(mut row: CertificateRow, now: Timestamp) -> CertificateRow {
    let certificate = &mut row.certificate;
    if certificate.status != CertificateStatus::Revoked {
        let ended = certificate.not_after < now;
        certificate.status = if ended { CertificateStatus::Expired } else { CertificateStatus::Valid };
    }
    row
}
