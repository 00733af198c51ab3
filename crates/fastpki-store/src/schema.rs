//! What a database has of this program's schema.

use fastpki_types::Timestamp;

use crate::{Store, error::StoreError, migrate};

/// What a database has of this program's schema, and what is pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Whose schema it is.
    pub kind: SchemaKind,
    /// The last migration that it has.
    pub version: i32,
    /// The last migration that this program has.
    pub newest: i32,
    /// What the next start does.
    pub pending: Vec<Migration>,
}

/// Whose schema it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// Nobody's: the database is empty.
    None,
    /// That of FastPKI 0.4, which is taken over.
    Inherited,
    /// Ours.
    Ours,
}

/// A migration, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub version: i32,
    /// What it is called.
    pub name: &'static str,
}

impl Store {
    /// What the database has of this program's schema. Any other than ours and FastPKI 0.4's is refused.
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        self.db.scan(|tx| Box::pin(async move { migrate::schema(tx).await })).await
    }
}

impl Store {
    /// The time by the database server's clock; `None` on SQLite, which has none of its own.
    pub async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        if self.db.is_sqlite() {
            return Ok(None);
        }
        let sql = "/* clock */ SELECT clock_timestamp()";
        let row = self.db.read(|tx| Box::pin(async move { tx.row(sql, &[]).await })).await?;
        row.ok_or(StoreError::Gone)?.next().map(Some)
    }

    /// When the newest entry of the audit log was written.
    pub async fn newest_audit(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "/* newest_audit */ SELECT created_at FROM audit_logs ORDER BY created_at DESC LIMIT 1";
        let row = self.db.read(|tx| Box::pin(async move { tx.row(sql, &[]).await })).await?;
        row.map(|mut row| row.next()).transpose()
    }
}

impl Schema {
    /// Whether nothing is pending.
    pub fn is_current(&self) -> bool {
        self.pending.is_empty()
    }
}
