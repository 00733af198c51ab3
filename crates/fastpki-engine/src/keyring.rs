//! The private keys of CAs in use: decrypted and parsed once, kept, and dropped when idle.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use fastpki_types::{CaId, Timestamp};
use fastpki_x509::{Certificate, PrivateKey, Request};

use crate::{Engine, Error, clock::is_within};

/// The keys at hand.
#[derive(Default)]
pub(crate) struct Keyring {
    signers: Mutex<HashMap<CaId, Kept>>,
}

struct Kept {
    signer: Arc<Signer>,
    last_used: Timestamp,
}

/// A CA that can sign: its key, and its certificate with those above it. None of it ever changes.
pub(crate) struct Signer {
    pub(crate) key: PrivateKey,
    /// The CA's own certificate, then its parent's, up to the root.
    pub(crate) chain: Vec<Certificate>,
    /// The ids of those CAs.
    pub(crate) ids: Vec<CaId>,
}

impl Signer {
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.chain[0]
    }

    /// Signs under this CA. What comes out was parsed back, verified and linted.
    pub(crate) fn sign(&self, request: Request) -> Result<Certificate, Error> {
        request.prepare(self.certificate())?.sign(&self.key).map_err(Error::internal)
    }
}

impl Engine {
    /// The CA, ready to sign.
    pub(crate) async fn signer(&self, id: CaId) -> Result<Arc<Signer>, Error> {
        let now = self.now();
        if let Some(signer) = self.keyring.take_note(id, now) {
            return Ok(signer);
        }
        let chain = self.store.authority_chain(id).await?;
        let stored = self.store.authority_key(id).await?.ok_or(Error::NotFound("CA"))?;
        let pem = self.seal().open(&stored).map_err(Error::internal)?;
        let signer = self
            .lanes
            .sign(move || {
                let ids = chain.iter().map(|row| row.ca.id).collect();
                let chain: Result<Vec<Certificate>, _> =
                    chain.iter().map(|row| Certificate::from_pem(&row.ca.certificate)).collect();
                let signer = Signer { key: PrivateKey::from_pem(pem.expose())?, chain: chain?, ids };
                if signer.certificate().matches_key(signer.key.public_key()) {
                    Ok(Arc::new(signer))
                } else {
                    Err(fastpki_x509::Error::KeyMismatch)
                }
            })
            .await?
            .map_err(|error| Error::Internal(format!("CA {id} cannot sign: {error}")))?;
        self.keyring.keep(id, Arc::clone(&signer), now);
        Ok(signer)
    }
}

impl Keyring {
    fn take_note(&self, id: CaId, now: Timestamp) -> Option<Arc<Signer>> {
        let mut signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = signers.get_mut(&id)?;
        kept.last_used = now;
        Some(Arc::clone(&kept.signer))
    }

    fn keep(&self, id: CaId, signer: Arc<Signer>, now: Timestamp) {
        let mut signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        signers.insert(id, Kept { signer, last_used: now });
    }

    /// Drops the key of a CA that is no more.
    pub(crate) fn forget(&self, id: CaId) {
        self.signers.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Drops the keys that nobody has needed for a while, and those of which a clock that was ahead says otherwise.
    pub(crate) fn drop_idle(&self, now: Timestamp) {
        let mut signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        signers.retain(|_, kept| is_within(kept.last_used, IDLE_SECONDS, now));
    }

    #[cfg(test)]
    pub(crate) fn holds(&self, id: CaId) -> bool {
        self.signers.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }
}

/// Long enough that a busy CA is never loaded twice, short enough that an idle one's key does not stay in memory.
const IDLE_SECONDS: i64 = 600;
