//! Private keys at rest, all at once: at every start, and when the operator says so.

use std::sync::Arc;

use fastpki_store::{
    DatabaseConfig, FernetKey, Fingerprint, Grant, NewAudit, Progress, Rewrite, Rewritten, Seal, Store,
    StoreError, Survey, UnreadableKeys, Wipe,
};
use fastpki_types::AuditAction;

use crate::{Clock, Error};

/// Every private key of a database, for those who run it.
pub struct KeysAtRest {
    store: Store,
    seal: Arc<Seal>,
    clock: Arc<dyn Clock>,
    progress: Arc<Progress>,
    /// Who does it, for the audit log.
    by: &'static str,
}

/// What was stored anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Private keys that lie anew.
    pub keys: u64,
    /// Those that cannot be read, and were left as they are.
    pub unreadable: UnreadableKeys,
    /// What became of the traces of how they lay before.
    pub traces: Traces,
}

/// What became of traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traces {
    /// There were none.
    None,
    /// They were overwritten.
    Wiped,
    /// They are there: overwriting them would have kept others waiting.
    Left,
    /// They are there: overwriting them failed, for this reason.
    NotWiped(String),
}

impl KeysAtRest {
    /// Opens the database for an operator's command.
    pub async fn open(
        database: &DatabaseConfig,
        keys: Vec<FernetKey>,
        clock: Arc<dyn Clock>,
        progress: Arc<Progress>,
    ) -> Result<Self, Error> {
        let store = Store::open(database, clock.now()).await?;
        Ok(Self { store, seal: Arc::new(Seal::new(keys)), clock, progress, by: "fastpki keys" })
    }

    pub(crate) fn of_server(
        store: &Store,
        seal: &Arc<Seal>,
        clock: &Arc<dyn Clock>,
        progress: &Arc<Progress>,
    ) -> Self {
        Self {
            store: store.clone(),
            seal: Arc::clone(seal),
            clock: Arc::clone(clock),
            progress: Arc::clone(progress),
            by: "fastpki serve",
        }
    }

    /// The fingerprints of the keys that are set; the first encrypts.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.seal.fingerprints().collect()
    }

    /// How all private keys lie; each is opened and held against its certificate.
    pub async fn survey(&self) -> Result<Survey, Error> {
        Ok(self.store.survey_keys(&self.seal, &self.progress).await?)
    }

    /// Whether there are traces of private keys as they lay before.
    pub async fn traces_left(&self) -> Result<bool, Error> {
        Ok(self.store.traces().await?.is_some())
    }

    /// The same as [`KeysAtRest::survey`], for the record.
    pub async fn verify(&self) -> Result<Survey, Error> {
        let survey = self.survey().await?;
        let total = survey.total();
        let detail = format!(
            "Read {} private keys: {} encrypted, {} in plaintext, {} that cannot be used",
            total.count(),
            total.encrypted(),
            total.plaintext,
            total.unreadable
        );
        self.store.record(self.audit(AuditAction::KeysVerify, detail), None).await?;
        Ok(survey)
    }

    /// Encrypts every private key that lies in plaintext, once every other can be read, and wipes all traces.
    pub async fn encrypt(&self) -> Result<Stored, Error> {
        self.first_key()?;
        let survey = self.readable().await?;
        self.encrypt_surveyed(&survey).await
    }

    /// Puts every private key under the first key, while others are served. Traces are wiped where that takes a
    /// moment only.
    pub async fn rotate(&self) -> Result<Stored, Error> {
        let first = self.first_key()?;
        let lock = self.store.lock_keys().await?;
        let detail = format!("Moving all private keys under the encryption key {first}");
        let expected = self.audit(AuditAction::KeysRotate, detail);
        self.store.expect_traces(Wipe::OldKeys, expected).await?;
        let rewritten = self.rewrite(Rewrite::Rotate).await?;
        let detail = format!(
            "Moved {} private keys under the encryption key {first}; {} cannot be read",
            rewritten.keys, rewritten.unreadable.count
        );
        self.store.record(self.audit(AuditAction::KeysRotate, detail), None).await?;
        let small = self.store.wipe_size().await? <= WIPED_AT_ONCE;
        let traces = if small { self.wipe_traces().await } else { Traces::Left };
        drop(lock);
        Ok(Stored { keys: rewritten.keys, unreadable: rewritten.unreadable, traces })
    }

    /// Puts every private key back into plaintext, once every one can be read.
    pub async fn decrypt(&self) -> Result<Stored, Error> {
        self.readable().await?;
        let lock = self.store.lock_keys().await?;
        let begun = self.audit(AuditAction::KeysDecrypt, "Putting all private keys into plaintext".into());
        self.store.record(begun, None).await?;
        let rewritten = self.rewrite(Rewrite::Decrypt).await?;
        let detail = format!("Put {} private keys into plaintext", rewritten.keys);
        self.store.record(self.audit(AuditAction::KeysDecrypt, detail), None).await?;
        drop(lock);
        Ok(Stored { keys: rewritten.keys, unreadable: rewritten.unreadable, traces: Traces::None })
    }

    /// How many private keys lie under this key, by opening each; and those that cannot be opened at all, of which
    /// nobody can tell.
    pub async fn needing(&self, fingerprint: Fingerprint) -> Result<(u64, UnreadableKeys), Error> {
        if !self.fingerprints().contains(&fingerprint) {
            return Err(Error::Invalid(format!(
                "no encryption key with fingerprint {fingerprint} is set: `fastpki keys status` shows those that are"
            )));
        }
        if self.seal.first() == Some(fingerprint) {
            return Err(Error::Invalid(format!(
                "{fingerprint} is the first key, under which new private keys are stored: put another in front of it, restart every server (or send it SIGHUP), and run `fastpki keys rotate`"
            )));
        }
        let survey = self.survey().await?;
        let needing = survey.total().under.get(&fingerprint).copied().unwrap_or(0);
        let detail = match (needing, survey.unreadable.count) {
            (0, 0) => format!("The encryption key {fingerprint} is not needed any more"),
            (0, count) => format!(
                "{count} private keys cannot be read; no other needs the encryption key {fingerprint}"
            ),
            (count, _) => format!("{count} private keys need the encryption key {fingerprint}"),
        };
        self.store.record(self.audit(AuditAction::KeysRetire, detail), None).await?;
        Ok((needing, survey.unreadable))
    }

    /// Overwrites what is left of private keys as they lay before.
    pub async fn wipe(&self) -> Result<(), Error> {
        let lock = self.store.lock_keys().await?;
        self.wipe_whatever().await?;
        drop(lock);
        Ok(())
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// What every start does: nothing may be unreadable, and where a key is set, nothing in plaintext.
    pub(crate) async fn prepare(&self) -> Result<(), Error> {
        let survey = self.readable().await?;
        let mut encrypted = 0;
        if self.seal.first().is_some() {
            let stored = self.encrypt_surveyed(&survey).await?;
            encrypted = stored.keys;
            match stored.traces {
                Traces::None | Traces::Wiped => {}
                Traces::Left => tracing::warn!(
                    "traces of private keys under old encryption keys are left in the database: run `fastpki keys wipe` when its users can wait"
                ),
                // What matters is done, and the next start tries again.
                Traces::NotWiped(error) => tracing::error!(
                    %error,
                    "all private keys are encrypted, but traces of how they lay before are left in the database: the next start, or `fastpki keys wipe`, tries again"
                ),
            }
        }
        let total = survey.total();
        if total.count() > 0 {
            tracing::info!(
                readable = total.count(),
                newly_encrypted = encrypted,
                "private keys at rest were checked"
            );
        }
        if encrypted > 0 {
            tracing::warn!(
                "private keys lay in plaintext until now: copies of the database from before still hold them; destroy old backups, snapshots and replicas, and with PostgreSQL its archived WAL, or issue anew what they hold"
            );
        }
        Ok(())
    }

    async fn encrypt_surveyed(&self, survey: &Survey) -> Result<Stored, Error> {
        let first = self.first_key()?;
        let plaintext = survey.total().plaintext;
        let mut stored = Stored { keys: 0, unreadable: UnreadableKeys::default(), traces: Traces::None };
        if plaintext == 0 && self.store.traces().await?.is_none() {
            return Ok(stored);
        }
        // Two servers that start at once: the second waits here, and then finds nothing to do.
        let lock = self.store.lock_keys().await?;
        if plaintext > 0 && self.store.any_key_in_plaintext().await? {
            let detail = format!("Encrypting {plaintext} private keys under the encryption key {first}");
            let begun = self.audit(AuditAction::KeysEncrypt, detail);
            self.store.expect_traces(Wipe::Plaintext, begun).await?;
            let rewritten = self.rewrite(Rewrite::Encrypt).await?;
            (stored.keys, stored.unreadable) = (rewritten.keys, rewritten.unreadable);
            if stored.unreadable.count > 0 {
                return Err(StoreError::UnreadableKeys(stored.unreadable).into());
            }
            let detail = format!("Encrypted {} private keys under the encryption key {first}", stored.keys);
            self.store.record(self.audit(AuditAction::KeysEncrypt, detail), None).await?;
        }
        stored.traces = match self.store.traces().await? {
            None => Traces::None,
            Some(Wipe::Plaintext) => self.wipe_traces().await,
            Some(Wipe::OldKeys) if self.store.wipe_size().await? <= WIPED_AT_ONCE => self.wipe_traces().await,
            Some(Wipe::OldKeys) => Traces::Left,
        };
        drop(lock);
        Ok(stored)
    }

    /// A survey, if all private keys can be read.
    async fn readable(&self) -> Result<Survey, Error> {
        let survey = self.survey().await?;
        if survey.unreadable.count > 0 {
            return Err(StoreError::UnreadableKeys(survey.unreadable).into());
        }
        Ok(survey)
    }

    async fn rewrite(&self, rewrite: Rewrite) -> Result<Rewritten, Error> {
        Ok(self.store.rewrite_keys(rewrite, &self.seal, self.clock.now(), &self.progress).await?)
    }

    async fn wipe_traces(&self) -> Traces {
        match self.wipe_whatever().await {
            Ok(()) => Traces::Wiped,
            Err(error) => Traces::NotWiped(error.to_string()),
        }
    }

    async fn wipe_whatever(&self) -> Result<(), Error> {
        self.store.wipe_traces(&self.progress).await?;
        let detail = "Overwrote what was left of private keys as they lay before".to_owned();
        Ok(self.store.record(self.audit(AuditAction::KeysWipe, detail), None).await?)
    }

    fn first_key(&self) -> Result<Fingerprint, Error> {
        self.seal.first().ok_or_else(|| {
            Error::Invalid(
                "no encryption key is set: make one with `fastpki keys generate` and set PRIVATE_KEY_ENCRYPTION_KEY to it"
                    .into(),
            )
        })
    }

    fn audit(&self, action: AuditAction, detail: String) -> NewAudit {
        NewAudit {
            at: self.clock.now(),
            action,
            user: None,
            service_account: None,
            username: Some(self.by.into()),
            organization_id: None,
            resource_type: None,
            resource_id: None,
            detail: Some(detail),
            grant: Grant::default(),
        }
    }
}

/// Bytes of the database that are wiped without asking: others wait less than a quarter of a second.
const WIPED_AT_ONCE: u64 = 8 << 20;
