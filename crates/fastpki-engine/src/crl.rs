//! CRLs: built once per change, recorded, and served from memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use fastpki_store::{CrlHead, CrlRow, StoreError};
use fastpki_types::{CaId, Timestamp};
use fastpki_x509::{CrlBuilder, Reason, RevokedEntry, Serial, crl_pem};

use crate::{
    Engine, Error, Slug,
    clock::{is_ahead, is_within},
    slug::leads_to,
};

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

    fn validity(&self) -> Validity {
        let Self { number, covers, this_update, next_update, .. } = *self;
        Validity { number, covers, this_update, next_update }
    }
}

/// What is known of a CRL without its bytes.
struct Validity {
    number: u64,
    covers: i32,
    this_update: Timestamp,
    next_update: Timestamp,
}

impl Validity {
    /// Whether it says everything, and is young enough.
    fn is_current(&self, head: &CrlHead, now: Timestamp) -> bool {
        self.is_good(head, now) && is_within(self.this_update, RENEW_AFTER_SECONDS, now)
    }

    /// Whether it says everything and has not ended. One that lacks a revocation that was answered is not good, however
    /// young it is: clients would keep it for days. Nor is one from the future: it may lack certificates that have not
    /// ended, and clients do not take it.
    fn is_good(&self, head: &CrlHead, now: Timestamp) -> bool {
        self.covers == head.newest_entry
            && self.number >= head.number
            && now < self.next_update
            && !is_ahead(self.this_update, now)
    }
}

/// The latest CRLs, and who is making which.
#[derive(Default)]
pub(crate) struct CrlShelf {
    latest: Mutex<HashMap<CaId, Arc<PublishedCrl>>>,
    making: Mutex<HashMap<CaId, Arc<tokio::sync::Mutex<()>>>>,
    failures: Mutex<HashMap<CaId, Failure>>,
}

/// That a CRL could not be made: remembered for a while, so that downloads, which are anybody's, do not try each.
struct Failure {
    at: Timestamp,
    /// For how many seconds it is remembered.
    seconds: i64,
    error: CannotPublish,
}

/// Why a CA cannot publish a CRL.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CannotPublish {
    /// Its certificate does not allow it.
    NotAllowed,
    /// Its private key cannot be used, or what it signed is no CRL; the text is for the log.
    CannotSign(String),
    /// It has no number left.
    NoNumberLeft,
    /// The database cannot be used; the text is for the log.
    Database(String),
}

impl CannotPublish {
    /// The reason in an error, if the CA is there and that is what is wrong.
    fn of(error: &Error) -> Option<Self> {
        match error {
            Error::NoCrl(_) => Some(Self::NotAllowed),
            Error::Unavailable(_) => Some(Self::NoNumberLeft),
            Error::Database { text, .. } => Some(Self::Database(text.clone())),
            Error::Internal(text) => Some(Self::CannotSign(text.clone())),
            Error::Unauthenticated(_)
            | Error::Forbidden(_)
            | Error::NotFound(_)
            | Error::Invalid(_)
            | Error::Coded { .. }
            | Error::NoPolicy
            | Error::PolicyViolation { .. }
            | Error::Conflict(_)
            | Error::Busy(_) => None,
        }
    }

    fn seconds(&self) -> i64 {
        match self {
            Self::Database(_) => DATABASE_FAILURE_SECONDS,
            Self::NotAllowed | Self::CannotSign(_) | Self::NoNumberLeft => FAILURE_SECONDS,
        }
    }
}

impl From<CannotPublish> for Error {
    fn from(reason: CannotPublish) -> Self {
        match reason {
            CannotPublish::NotAllowed => Self::NoCrl(NOT_ALLOWED.into()),
            CannotPublish::CannotSign(_) => Self::Unavailable(CANNOT_SIGN.into()),
            CannotPublish::NoNumberLeft => StoreError::NoCrlNumberLeft.into(),
            CannotPublish::Database(text) => Self::Database { may_be_done: false, text },
        }
    }
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
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&ca);
    }

    /// Lets every CA try again: other keys were set.
    pub(crate) fn forget_failures(&self) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Why the CA could not publish a CRL a moment ago.
    fn failure(&self, ca: CaId, now: Timestamp) -> Option<CannotPublish> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = failures.get(&ca)?;
        is_within(failure.at, failure.seconds, now).then(|| failure.error.clone())
    }

    /// Remembers why not, or that it can again; says whether that is news.
    fn note(&self, ca: CaId, error: Option<CannotPublish>, now: Timestamp) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = error else { return failures.remove(&ca).is_some() };
        let failure = Failure { at: now, seconds: error.seconds(), error: error.clone() };
        failures.insert(ca, failure).is_none_or(|before| before.error != error)
    }
}

impl Engine {
    /// The CRL of the CA with this slug. It contains every revocation that was answered before. Where none can be made,
    /// it is the last one, as long as that is true of it.
    pub async fn crl(&self, text: &str) -> Result<Arc<PublishedCrl>, Error> {
        let ca = Slug::id_in(text).ok_or(Error::NotFound("CA"))?;
        let head = self.crl_head(ca).await?;
        if !leads_to(text, ca, &head.ca_name, head.published_name.as_deref()) {
            return Err(Error::NotFound("CA"));
        }
        if let Some(crl) = self.crl_at_hand(ca, |crl| crl.is_current(&head, self.now())) {
            return Ok(crl);
        }
        // One makes it, the others wait for it, and not for ever: the database may hang.
        let turn = self.crls.turn(ca);
        let turn = tokio::time::timeout(TURN_LIMIT, turn.lock()).await;
        let Ok(_turn) = turn else {
            let last = self.last_crl(ca, &head, |crl| crl.is_good(&head, self.now())).await;
            return last.ok().flatten().ok_or(Error::Busy(BEING_MADE));
        };
        for _ in 0..ATTEMPTS {
            let head = self.crl_head(ca).await?;
            if let Some(crl) = self.last_crl(ca, &head, |crl| crl.is_current(&head, self.now())).await? {
                return Ok(crl);
            }
            let crl = match self.try_to_make_crl(ca).await {
                Ok(crl) => crl,
                Err(error) => {
                    let last = self.last_crl(ca, &head, |crl| crl.is_good(&head, self.now())).await;
                    return last.ok().flatten().ok_or(error);
                }
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
        self.store.crl_head(ca, self.now()).await?.ok_or(Error::NotFound("CA"))
    }

    /// The CRL in memory, if it will do.
    fn crl_at_hand(&self, ca: CaId, will_do: impl Fn(&Validity) -> bool) -> Option<Arc<PublishedCrl>> {
        self.crls.get(ca).filter(|crl| will_do(&crl.validity()))
    }

    /// The CRL in memory, or else the one in the database, if it will do: made before a restart, or by another server.
    async fn last_crl(
        &self,
        ca: CaId,
        head: &CrlHead,
        will_do: impl Fn(&Validity) -> bool,
    ) -> Result<Option<Arc<PublishedCrl>>, Error> {
        if let Some(crl) = self.crl_at_hand(ca, &will_do) {
            return Ok(Some(crl));
        }
        let (Some(covers), Some(this_update), Some(next_update)) =
            (head.covers, head.this_update, head.next_update)
        else {
            return Ok(None);
        };
        let number = head.number;
        if !will_do(&Validity { number, covers, this_update, next_update }) {
            return Ok(None);
        }
        let Some(der) = self.store.crl_der(ca, number).await? else { return Ok(None) };
        let crl = PublishedCrl { number, this_update, next_update, der, covers, pem: OnceLock::new() };
        let crl = Arc::new(crl);
        self.crls.put(ca, &crl);
        Ok(Some(crl))
    }

    /// Makes and records a CRL, unless that failed a moment ago; `None` if another server recorded a later one. The log
    /// says it once when CRLs fail, and once when they no longer do.
    async fn try_to_make_crl(&self, ca: CaId) -> Result<Option<Arc<PublishedCrl>>, Error> {
        if let Some(reason) = self.crls.failure(ca, self.now()) {
            return Err(reason.into());
        }
        let made = self.make_crl(ca).await;
        let reason = match &made {
            Ok(_) => None,
            Err(error) => match CannotPublish::of(error) {
                Some(reason) => Some(reason),
                None => return made,
            },
        };
        let is_news = self.crls.note(ca, reason.clone(), self.now());
        match reason {
            Some(reason) => {
                if is_news {
                    tracing::error!(
                        ca = ca.0,
                        ?reason,
                        "no CRL can be made: the last one is served as long as it is complete and has not ended, and none after that"
                    );
                }
                Err(reason.into())
            }
            None => {
                if is_news {
                    tracing::info!(ca = ca.0, "CRLs can be made again");
                }
                made
            }
        }
    }

    async fn make_crl(&self, ca: CaId) -> Result<Option<Arc<PublishedCrl>>, Error> {
        let signer = self.signer(ca).await?;
        if !signer.certificate().may_sign_revocation_lists() {
            return Err(Error::NoCrl(NOT_ALLOWED.into()));
        }
        // Only now: a number and a durable write are not spent on what cannot be signed.
        let number = match self.store.reserve_crl_number(ca).await {
            // It was deleted meanwhile.
            Err(StoreError::Gone) => return Err(Error::NotFound("CA")),
            number => number?,
        };
        // Read after the number was taken: whatever was revoked before a higher number is in that CRL.
        let covers = self.crl_head(ca).await?.newest_entry;
        let this_update = self.now();
        let next_update = this_update.plus_seconds(LIFETIME_SECONDS);
        // A revoked certificate stays until it is on a CRL that was made after its end: RFC 5280 section 3.3.
        let ended_before = this_update.plus_seconds(-LIFETIME_SECONDS);
        let mut builder =
            CrlBuilder::new(signer.certificate(), number, this_update.into(), next_update.into());
        let cannot = |error| Error::Internal(format!("the CRL of CA {ca}: {error}"));
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
                // Not after the CRL itself, whichever clock dated it.
                let revoked_at = entry.revoked_at.min(this_update).into();
                builder.push(&RevokedEntry { serial, revoked_at, reason }).map_err(cannot)?;
            }
        }
        let crl = self.lanes.sign(move || builder.finish().sign(&signer.key)).await?.map_err(cannot)?;
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
/// Seconds for which a CRL that cannot be signed is not tried again: an operator who has put it right waits no longer.
const FAILURE_SECONDS: i64 = 60;
/// The same where the database is what fails.
const DATABASE_FAILURE_SECONDS: i64 = 10;
const NOT_ALLOWED: &str = "this CA publishes no CRL: the key usage of its certificate does not include signing revocation lists (cRLSign)";
const CANNOT_SIGN: &str = "this CA cannot sign a new CRL at present, and the last one is not complete or has ended: the server's log says why";
/// How long a download waits for one that makes the CRL: one with a million entries takes seconds.
const TURN_LIMIT: Duration = Duration::from_secs(20);
const BEING_MADE: &str = "the CRL of this CA is being made, which takes long";
/// Entries that are read at once.
const PAGE: i64 = 5000;
/// How often to try when several servers make the same CRL.
const ATTEMPTS: usize = 5;
