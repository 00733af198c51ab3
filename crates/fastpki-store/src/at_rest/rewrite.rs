//! Storing private keys anew: encrypted, under another key, or in plaintext.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use fastpki_types::Timestamp;

use super::{KeyTable, Progress, Stage, UnreadableKeys, pages::Which};
use crate::{
    Store,
    db::Value,
    error::StoreError,
    seal::{Seal, SealedKey, StoredKey, Unreadable},
};

/// How private keys are to be stored anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Those in plaintext, under the first key. Nobody else is served meanwhile.
    Encrypt,
    /// Every one under the first key. Others are served meanwhile.
    Rotate,
    /// Every one in plaintext. Nobody else is served meanwhile.
    Decrypt,
}

/// What was stored anew, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Private keys that lie anew.
    pub keys: u64,
    /// Those that cannot be read, and were left as they are.
    pub unreadable: UnreadableKeys,
}

/// A rewrite under way.
struct Work {
    store: Store,
    rewrite: Rewrite,
    /// Opens what is stored.
    from: Arc<Seal>,
    /// Seals it anew.
    to: Arc<Seal>,
    now: Timestamp,
    rewritten: Mutex<Rewritten>,
    /// Held while a page is written where others are to have their turn after it.
    turn: tokio::sync::Mutex<()>,
}

/// The columns of a row that is to be replaced: its id, its old key, its new key, the new key's fingerprint.
type Replacement = [Value; 4];

impl Store {
    /// Stores private keys anew, on all cores, a page to a transaction. A key is replaced only if it is still the
    /// one that was read and if its replacement was read back; cut short, the next call does the rest.
    pub async fn rewrite_keys(
        &self,
        rewrite: Rewrite,
        seal: &Arc<Seal>,
        now: Timestamp,
        progress: &Arc<Progress>,
    ) -> Result<Rewritten, StoreError> {
        let to = match rewrite {
            Rewrite::Encrypt | Rewrite::Rotate => Arc::clone(seal),
            Rewrite::Decrypt => Arc::default(),
        };
        let work = Arc::new(Work {
            store: self.clone(),
            rewrite,
            from: Arc::clone(seal),
            to,
            now,
            rewritten: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        });
        let mut after = [0; 2];
        loop {
            let mut last = [0; 2];
            for (last, table) in last.iter_mut().zip(KeyTable::ALL) {
                *last = self.last_id(table).await?;
            }
            // What was added meanwhile may have been added by a server that does not have the new key yet.
            if last == after {
                break;
            }
            progress.begin(Stage::Rewriting, last.iter().sum::<i64>().abs_diff(after.iter().sum()));
            let before = work.rewritten().keys;
            for (place, table) in KeyTable::ALL.into_iter().enumerate() {
                let span = (after[place], last[place]);
                let work = Arc::clone(&work);
                let page = move |page| Arc::clone(&work).page(table, page);
                self.each_page(table, rewrite.which(), rewrite.page(), span, progress, page).await?;
            }
            let first = after == [0; 2];
            after = last;
            if !first && work.rewritten().keys == before {
                break;
            }
        }
        progress.end();
        Ok(std::mem::take(&mut *work.rewritten()))
    }
}

impl Work {
    async fn page(self: Arc<Self>, table: KeyTable, page: Vec<StoredKey>) -> Result<(), StoreError> {
        let sealing = Arc::clone(&self);
        let sealed = tokio::task::spawn_blocking(move || sealing.seal_anew(page)).await;
        let rows = sealed
            .map_err(|error| StoreError::Database(format!("sealing private keys panicked: {error}")))??;
        if rows.is_empty() {
            return Ok(());
        }
        let sql = replace_sql(table);
        let write = self.store.db.write(move |tx| Box::pin(async move { tx.execute_many(sql, &rows).await }));
        let replaced = if self.rewrite == Rewrite::Rotate {
            // One page at a time, and then a pause for others. SQLite's lock goes to whoever asks next: without it a
            // server in another process would miss it again and again. PostgreSQL's disk has half of the time to
            // itself, lest commits wait for what it writes back.
            let turn = self.turn.lock().await;
            let begun = Instant::now();
            let replaced = write.await?;
            let pause = if self.store.db.is_sqlite() { PAUSE } else { begun.elapsed() };
            tokio::time::sleep(pause).await;
            drop(turn);
            replaced
        } else {
            write.await?
        };
        self.rewritten().keys += replaced;
        Ok(())
    }

    fn seal_anew(&self, page: Vec<StoredKey>) -> Result<Vec<Replacement>, StoreError> {
        let mut rows = Vec::with_capacity(page.len());
        for stored in page {
            match self.replacement(&stored) {
                Ok(Some(sealed)) => {
                    let fingerprint = sealed.fingerprint();
                    rows.push([
                        stored.owner.id().into(),
                        stored.key.into_text(),
                        sealed.into_text(),
                        fingerprint,
                    ]);
                }
                Ok(None) => {}
                Err(Failure::Unreadable(unreadable)) => self.rewritten().unreadable.add(unreadable),
                Err(Failure::NotReadBack) => {
                    return Err(StoreError::Database(format!(
                        "the private key of {} was sealed anew and could not be read back: nothing of it was stored",
                        stored.owner
                    )));
                }
            }
        }
        Ok(rows)
    }

    /// The key as it is to lie; `None` where it lies so already.
    fn replacement(&self, stored: &StoredKey) -> Result<Option<SealedKey>, Failure> {
        let opened = match self.rewrite {
            // Every one was held against its certificate a moment ago.
            Rewrite::Encrypt => self.from.unseal(&stored.key).map_err(|reason| stored.unreadable(reason)),
            Rewrite::Rotate | Rewrite::Decrypt => self.from.open_and_tell(stored),
        };
        let opened = opened.map_err(Failure::Unreadable)?;
        if opened.under == self.to.first() && stored.key.remembered() == opened.under {
            return Ok(None);
        }
        let sealed = self.to.seal(&opened.pem, self.now);
        let read_back = self.to.unseal(&sealed).map_err(|_| Failure::NotReadBack)?;
        if read_back.pem.expose() != opened.pem.expose() {
            return Err(Failure::NotReadBack);
        }
        Ok(Some(sealed))
    }

    fn rewritten(&self) -> std::sync::MutexGuard<'_, Rewritten> {
        self.rewritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Failure {
    Unreadable(Unreadable),
    NotReadBack,
}

impl Rewrite {
    fn which(self) -> Which {
        match self {
            Self::Encrypt => Which::Plaintext,
            Self::Rotate | Self::Decrypt => Which::All,
        }
    }

    /// Rows to a transaction: some 2 MB, or as few as others do not notice waiting for.
    fn page(self) -> i64 {
        match self {
            Self::Encrypt | Self::Decrypt => 300,
            Self::Rotate => 400,
        }
    }
}

/// Replaces a key only if it is still the one that was read.
fn replace_sql(table: KeyTable) -> &'static str {
    match table {
        KeyTable::Authorities => {
            "/* replace_authority_key */
             UPDATE certificate_authorities SET private_key = $3, encryption_key_fingerprint = $4
             WHERE id = $1 AND private_key = $2"
        }
        KeyTable::Certificates => {
            "/* replace_certificate_key */
             UPDATE certificates SET private_key = $3, encryption_key_fingerprint = $4
             WHERE id = $1 AND private_key = $2"
        }
    }
}

/// How long SQLite's lock is left to others between two pages.
const PAUSE: Duration = Duration::from_millis(2);
