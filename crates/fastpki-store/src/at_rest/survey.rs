//! Reading every private key and holding it against its certificate.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{KeyTable, Progress, Stage, pages::Which};
use crate::{
    Store,
    error::StoreError,
    fernet::Fingerprint,
    seal::{Opened, Seal, StoredKey, Unreadable},
};

/// How all private keys of a database lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Those of CAs.
    pub authorities: TableKeys,
    /// Those of certificates.
    pub certificates: TableKeys,
    /// Those that cannot be read or must not be used.
    pub unreadable: UnreadableKeys,
}

/// How the private keys of one table lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableKeys {
    /// In plaintext.
    pub plaintext: u64,
    /// Under the key with this fingerprint.
    pub under: BTreeMap<Fingerprint, u64>,
    /// Neither, or not belonging to the certificate beside it.
    pub unreadable: u64,
}

/// Private keys that cannot be read or must not be used: how many, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadableKeys {
    /// How many there are.
    pub count: u64,
    /// The first [`UnreadableKeys::NAMED`] of them, CAs before certificates, by id.
    pub first: Vec<Unreadable>,
}

impl Store {
    /// Opens every private key, on all cores, a page at a time.
    pub async fn survey_keys(
        &self,
        seal: &Arc<Seal>,
        progress: &Arc<Progress>,
    ) -> Result<Survey, StoreError> {
        self.survey(seal, progress, i64::MAX).await
    }

    /// Opens the newest private keys: those among this many ids of each table.
    pub async fn survey_newest_keys(&self, seal: &Arc<Seal>, ids: i64) -> Result<Survey, StoreError> {
        self.survey(seal, &Arc::default(), ids).await
    }

    async fn survey(
        &self,
        seal: &Arc<Seal>,
        progress: &Arc<Progress>,
        newest: i64,
    ) -> Result<Survey, StoreError> {
        let survey: Arc<Mutex<Survey>> = Arc::default();
        let mut last = Vec::new();
        for table in KeyTable::ALL {
            last.push(self.last_id(table).await?);
        }
        progress.begin(Stage::Checking, last.iter().sum::<i64>().unsigned_abs());
        for (table, last) in KeyTable::ALL.into_iter().zip(last) {
            let (seal, total) = (Arc::clone(seal), Arc::clone(&survey));
            let work = move |page: Vec<StoredKey>| check(page, table, Arc::clone(&seal), Arc::clone(&total));
            let after = last.saturating_sub(newest).max(0);
            self.each_page(table, Which::All, PAGE, (after, last), progress, work).await?;
        }
        progress.end();
        Ok(std::mem::take(&mut *survey.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// How many private keys there are, and how many of them lie in plaintext, without opening any.
    pub async fn count_keys(&self) -> Result<(u64, u64), StoreError> {
        let mut total = (0, 0);
        for table in KeyTable::ALL {
            let sql = format!(
                "/* count_keys */
                 SELECT COUNT(private_key), COALESCE(SUM(CASE WHEN private_key LIKE '-----BEGIN%' THEN 1 ELSE 0 END), 0)
                 FROM {}",
                table.name()
            );
            let row = self.db.scan(move |tx| Box::pin(async move { tx.row(&sql, &[]).await })).await?;
            let mut row = row.ok_or(StoreError::Gone)?;
            let (count, plaintext): (u64, u64) = (row.next()?, row.next()?);
            total = (total.0 + count, total.1 + plaintext);
        }
        Ok(total)
    }

    /// Whether any private key lies in plaintext, without opening the others.
    pub async fn any_key_in_plaintext(&self) -> Result<bool, StoreError> {
        for table in KeyTable::ALL {
            let sql = format!(
                "/* any_plaintext */ SELECT id FROM {} WHERE private_key LIKE '-----BEGIN%' LIMIT 1",
                table.name()
            );
            if self.db.scan(move |tx| Box::pin(async move { tx.row(&sql, &[]).await })).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

async fn check(
    page: Vec<StoredKey>,
    table: KeyTable,
    seal: Arc<Seal>,
    survey: Arc<Mutex<Survey>>,
) -> Result<(), StoreError> {
    let check = tokio::task::spawn_blocking(move || {
        let mut keys = TableKeys::default();
        let mut unreadable = UnreadableKeys::default();
        for stored in &page {
            match seal.open_and_tell(stored) {
                Ok(Opened { under: Some(under), .. }) => *keys.under.entry(under).or_default() += 1,
                Ok(Opened { under: None, .. }) => keys.plaintext += 1,
                Err(error) => {
                    keys.unreadable += 1;
                    unreadable.add(error);
                }
            }
        }
        survey.lock().unwrap_or_else(PoisonError::into_inner).add(table, keys, unreadable);
    });
    check.await.map_err(|error| StoreError::Database(format!("checking private keys panicked: {error}")))
}

impl Survey {
    /// Both tables as one.
    pub fn total(&self) -> TableKeys {
        let mut total = self.authorities.clone();
        total.add(self.certificates.clone());
        total
    }

    /// The keys of one table.
    pub fn table(&self, table: KeyTable) -> &TableKeys {
        match table {
            KeyTable::Authorities => &self.authorities,
            KeyTable::Certificates => &self.certificates,
        }
    }

    fn add(&mut self, table: KeyTable, keys: TableKeys, unreadable: UnreadableKeys) {
        match table {
            KeyTable::Authorities => self.authorities.add(keys),
            KeyTable::Certificates => self.certificates.add(keys),
        }
        self.unreadable.merge(unreadable);
    }
}

impl TableKeys {
    /// How many lie under any key, readable.
    pub fn encrypted(&self) -> u64 {
        self.under.values().sum()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.plaintext + self.encrypted() + self.unreadable
    }

    fn add(&mut self, other: Self) {
        self.plaintext += other.plaintext;
        self.unreadable += other.unreadable;
        for (fingerprint, count) in other.under {
            *self.under.entry(fingerprint).or_default() += count;
        }
    }
}

impl UnreadableKeys {
    /// How many are named, of those that there are.
    pub const NAMED: usize = 20;

    /// Adds one.
    pub(super) fn add(&mut self, unreadable: Unreadable) {
        self.merge(Self { count: 1, first: vec![unreadable] });
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.sort_by_key(|unreadable| unreadable.owner.place());
        self.first.truncate(Self::NAMED);
    }
}

impl fmt::Display for UnreadableKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = &self.first[..] {
            return write!(f, "{only}");
        }
        write!(f, "{} private keys cannot be used:", self.count)?;
        for unreadable in &self.first {
            write!(f, "\n  {unreadable}")?;
        }
        match self.count - self.first.len() as u64 {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// Rows that are read at once, 1 MB of RSA-2048 keys with their certificates.
const PAGE: i64 = 250;
