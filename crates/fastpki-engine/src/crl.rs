//! CRLs: built once per change, recorded, and served from memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use fastpki_store::{CrlHead, CrlRow};
use fastpki_types::{CaId, Timestamp};
use fastpki_x509::{CrlBuilder, Reason, RevokedEntry, Serial, crl_pem};

use crate::{Engine, Error, Slug, slug::leads_to};

/// A CRL that was signed and recorded.
pub struct PublishedCrl {
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub this_update: Timestamp,
    /// When it ends.
    pub next_update: Timestamp,
    /// Its bytes.
    pub der: Vec<u8>,
    covers: i32,
    pem: OnceLock<String>,
}

impl PublishedCrl {
    /// The CRL as PEM.
    pub fn pem(&self) -> &str {
        self.pem.get_or_init(|| crl_pem(&self.der))
    }

    /// Whether it still says everything, and is young enough.
    fn is_current(&self, head: &CrlHead, now: Timestamp) -> bool {
        self.covers == head.newest_entry && self.number >= head.number && self.is_young(now)
    }

    fn is_young(&self, now: Timestamp) -> bool {
        now < self.this_update.plus_seconds(RENEW_AFTER_SECONDS)
    }
}

/// The latest CRLs, and who is making which.
#[derive(Default)]
pub(crate) struct CrlShelf {
    latest: Mutex<HashMap<CaId, Arc<PublishedCrl>>>,
    making: Mutex<HashMap<CaId, Arc<tokio::sync::Mutex<()>>>>,
}

impl CrlShelf {
    fn get(&self, ca: CaId) -> Option<Arc<PublishedCrl>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).get(&ca).cloned()
    }

    fn put(&self, ca: CaId, crl: &Arc<PublishedCrl>) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).insert(ca, Arc::clone(crl));
    }

    fn turn(&self, ca: CaId) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.making.lock().unwrap_or_else(PoisonError::into_inner).entry(ca).or_default())
    }

    pub(crate) fn forget(&self, ca: CaId) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).remove(&ca);
        self.making.lock().unwrap_or_else(PoisonError::into_inner).remove(&ca);
    }
}

impl Engine {
    /// The CRL of the CA with this slug. It contains every revocation that was answered before.
    pub async fn crl(&self, text: &str) -> Result<Arc<PublishedCrl>, Error> {
        let ca = Slug::id_in(text).ok_or(Error::NotFound("CA"))?;
        let head = self.crl_head(ca).await?;
        if !leads_to(text, ca, &head.ca_name, head.published_name.as_deref()) {
            return Err(Error::NotFound("CA"));
        }
        if let Some(crl) = self.current_crl(ca, &head) {
            return Ok(crl);
        }
        // One makes it, the others wait for it.
        let turn = self.crls.turn(ca);
        let _turn = turn.lock().await;
        for _ in 0..ATTEMPTS {
            let head = self.crl_head(ca).await?;
            if let Some(crl) = self.current_crl(ca, &head) {
                return Ok(crl);
            }
            let crl = match self.recorded_crl(ca, &head).await? {
                Some(crl) => Some(crl),
                None => self.make_crl(ca).await?,
            };
            if let Some(crl) = crl {
                self.crls.put(ca, &crl);
                return Ok(crl);
            }
            // Another server recorded a later CRL meanwhile; it will do as well, if it has seen as much.
        }
        Err(Error::Internal(format!("the CRL of CA {ca} changed faster than it could be made")))
    }

    async fn crl_head(&self, ca: CaId) -> Result<CrlHead, Error> {
        self.store.crl_head(ca).await?.ok_or(Error::NotFound("CA"))
    }

    /// The CRL in memory, if it still holds.
    fn current_crl(&self, ca: CaId, head: &CrlHead) -> Option<Arc<PublishedCrl>> {
        self.crls.get(ca).filter(|crl| crl.is_current(head, self.now()))
    }

    /// The CRL in the database, if it still holds: made before a restart, or by another server.
    async fn recorded_crl(&self, ca: CaId, head: &CrlHead) -> Result<Option<Arc<PublishedCrl>>, Error> {
        let (Some(covers), Some(this_update), Some(next_update)) =
            (head.covers, head.this_update, head.next_update)
        else {
            return Ok(None);
        };
        let Some(der) = self.store.crl_der(ca, head.number).await? else { return Ok(None) };
        let crl =
            PublishedCrl { number: head.number, this_update, next_update, der, covers, pem: OnceLock::new() };
        Ok(crl.is_current(head, self.now()).then(|| Arc::new(crl)))
    }

    /// Makes and records a CRL; `None` if another server recorded a later one.
    async fn make_crl(&self, ca: CaId) -> Result<Option<Arc<PublishedCrl>>, Error> {
        let signer = self.signer(ca).await?;
        let number = self.store.reserve_crl_number(ca).await?;
        // Read after the number was taken: whatever was revoked before a higher number is in that CRL.
        let covers = self.crl_head(ca).await?.newest_entry;
        let this_update = self.now();
        let next_update = this_update.plus_seconds(LIFETIME_SECONDS);
        // A revoked certificate stays until it is on a CRL that was made after its end: RFC 5280 section 3.3.
        let ended_before = this_update.plus_seconds(-LIFETIME_SECONDS);
        let mut builder =
            CrlBuilder::new(signer.certificate(), number, this_update.into(), next_update.into());
        let mut after = 0;
        loop {
            let page = self.store.crl_entries(ca, after, covers, ended_before, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for entry in &page {
                // The old system stored what it had made; anything else cannot be on a CRL.
                let Ok(serial) = Serial::from_hex(&entry.serial_number) else {
                    tracing::warn!(ca = ca.0, entry = entry.id, "a CRL entry has no readable serial number");
                    continue;
                };
                let reason = Reason::from_text(entry.reason.as_deref());
                builder.push(&RevokedEntry { serial, revoked_at: entry.revoked_at.into(), reason })?;
            }
        }
        let crl = self
            .lanes
            .sign(move || builder.finish().sign(&signer.key))
            .await?
            .map_err(|error| Error::Internal(format!("the CRL of CA {ca}: {error}")))?;
        let der = crl.into_der();
        let row = CrlRow { ca, number, covers, this_update, next_update, der: der.clone() };
        if !self.store.record_crl(row).await? {
            return Ok(None);
        }
        Ok(Some(Arc::new(PublishedCrl {
            number,
            this_update,
            next_update,
            der,
            covers,
            pem: OnceLock::new(),
        })))
    }
}

/// How long a CRL holds: a week.
const LIFETIME_SECONDS: i64 = 7 * 24 * 3600;
/// After this a CRL without changes is made anew when it is asked for: a day.
const RENEW_AFTER_SECONDS: i64 = 24 * 3600;
/// Entries that are read at once.
const PAGE: i64 = 5000;
/// How often to try when several servers make the same CRL.
const ATTEMPTS: usize = 5;
