//! Overwriting what the database keeps of private keys as they lay before.
//!
//! A row that was replaced is not gone: PostgreSQL keeps it until its table is rewritten, SQLite leaves parts of
//! it in the unused bytes of its pages, even with `secure_delete`.

use std::sync::Arc;

use super::{KeyTable, Progress, Stage};
use crate::{
    Store, audit,
    audit::NewAudit,
    db::{Lock, Tx},
    error::StoreError,
};

/// What there may be traces of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wipe {
    /// Of private keys in plaintext.
    Plaintext,
    /// Of private keys encrypted under a key that is given up.
    OldKeys,
}

impl Store {
    /// Waits until no other program stores private keys anew, and keeps others from it until this is dropped.
    pub async fn lock_keys(&self) -> Result<KeysLock, StoreError> {
        self.db.lock(LOCK).await.map(KeysLock)
    }

    /// Notes that there will be traces to wipe, with the audit entry of what leaves them.
    pub async fn expect_traces(&self, wipe: Wipe, audit: NewAudit) -> Result<(), StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "/* expect_traces */ INSERT INTO fastpki_pending (name) VALUES ($1) ON CONFLICT DO NOTHING";
                    tx.execute(sql, &[wipe.name().into()]).await?;
                    audit::record(tx, &audit, None).await
                })
            })
            .await
    }

    /// What there may be traces of; the gravest, where there are of both.
    pub async fn traces(&self) -> Result<Option<Wipe>, StoreError> {
        self.db.read(|tx| Box::pin(traces(tx))).await
    }

    /// How many bytes wiping has to go through.
    pub async fn wipe_size(&self) -> Result<u64, StoreError> {
        let sql = if self.db.is_sqlite() {
            "/* wipe_size */ SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        } else {
            "/* wipe_size */
             SELECT pg_total_relation_size('certificate_authorities') + pg_total_relation_size('certificates')"
        };
        self.db
            .scan(move |tx| Box::pin(async move { tx.row(sql, &[]).await?.ok_or(StoreError::Gone)?.next() }))
            .await
    }

    /// Overwrites all traces. Nobody else can write meanwhile; on PostgreSQL, nobody can read these tables either.
    pub async fn wipe_traces(&self, progress: &Arc<Progress>) -> Result<(), StoreError> {
        progress.begin(Stage::Wiping, 0);
        let wiped = self.db.wipe(&KeyTable::ALL.map(KeyTable::name), "private_key").await;
        progress.end();
        wiped?;
        self.db
            .write(|tx| {
                Box::pin(async move {
                    tx.execute("/* no_traces */ DELETE FROM fastpki_pending WHERE name LIKE 'wipe_%'", &[])
                        .await
                        .map(drop)
                })
            })
            .await?;
        // On SQLite that was written to the log that had just been emptied.
        self.db.checkpoint().await
    }
}

/// What keeps others from storing private keys anew, on PostgreSQL; on SQLite two at once do no harm but work.
pub struct KeysLock(#[expect(dead_code, reason = "it is held")] Option<Lock>);

async fn traces(tx: &mut Tx) -> Result<Option<Wipe>, StoreError> {
    let sql = "/* traces */ SELECT name FROM fastpki_pending";
    let mut names = Vec::new();
    for mut row in tx.rows(sql, &[]).await? {
        names.push(row.next::<String>()?);
    }
    Ok([Wipe::Plaintext, Wipe::OldKeys].into_iter().find(|wipe| names.iter().any(|name| name == wipe.name())))
}

impl Wipe {
    fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "wipe_plaintext",
            Self::OldKeys => "wipe_old_keys",
        }
    }
}

/// An advisory lock of PostgreSQL; migrations have the one before.
const LOCK: i64 = 4_706_319;
