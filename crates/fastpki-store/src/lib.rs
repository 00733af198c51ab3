//! Rows in, rows out: the only crate with SQL, on SQLite and on PostgreSQL from the same statements.
//!
//! Every change comes with its entry for the audit log, and both are one transaction: when a method
//! returns, what it says survives a power cut.

mod at_rest;
mod audit;
mod authorities;
mod backup;
mod certificates;
mod config;
mod crls;
mod db;
mod error;
mod fernet;
mod grants;
mod imports;
mod jobs;
mod migrate;
mod organizations;
#[cfg(test)]
mod plans;
mod policies;
mod public_keys;
mod schema;
mod seal;
mod service_accounts;
mod sessions;
mod sweep;
mod tls;
mod users;

pub use at_rest::{
    KeyTable, KeysLock, Progress, Rewrite, Rewritten, Stage, Survey, TableKeys, UnreadableKeys, Wipe,
};
pub use audit::{AuditFilter, NewAudit};
pub use authorities::{AuthorityChange, AuthorityRevocation, AuthorityRow, Moved, NewAuthority, Owner};
pub use backup::{check_dump, copy, dump, load};
pub use certificates::{CertificateFilter, CertificateRow, NewCertificate, Visible};
pub use config::{DatabaseConfig, TlsMode};
pub use crls::{CrlEntryRow, CrlHead, CrlRow};
pub use error::{Outage, StoreError, Unique};
pub use fernet::{BadFingerprint, BadKey, FernetKey, Fingerprint, Undecryptable};
pub use grants::{Grant, Held, Lock, Standing};
pub use imports::{ImportedAuthority, ImportedCertificate, ImportedRevocation};
pub use jobs::CLOCKS_DIFFER_SECONDS;
pub use schema::{Migration, Schema, SchemaKind};
pub use seal::{KeyOwner, Seal, SealedKey, StoredKey, Unreadable, UnreadableReason};
pub use service_accounts::{NewToken, ServiceAccountChange, TokenRow};
pub use sessions::NewRefreshToken;
pub use users::{NewUser, PasswordHash, Skeletons, UserChange, UserRow};

use fastpki_types::Timestamp;

use db::Patience;

/// The database, open and of this program's schema.
#[derive(Clone)]
pub struct Store {
    db: db::Db,
}

impl Store {
    /// Connects, and brings the schema up to date.
    pub async fn open(config: &DatabaseConfig, now: Timestamp) -> Result<Self, StoreError> {
        let db = db::Db::open(config).await?;
        migrate::migrate(&db.with(Patience::Unlimited), now).await?;
        Ok(Self { db })
    }

    /// Opens a database to look at it: nothing in it can be changed, nor is its schema brought up to date. `None`
    /// where there is no SQLite file.
    pub async fn look(config: &DatabaseConfig) -> Result<Option<Self>, StoreError> {
        if let DatabaseConfig::Sqlite { path } = config
            && !path.exists()
        {
            return Ok(None);
        }
        Ok(Some(Self { db: db::Db::look(config).await? }.patient()))
    }

    /// The same database, for work that nobody but an operator waits for: it may take as long as it takes.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { db: self.db.with(Patience::Unlimited) }
    }

    /// Whether the database answers, and is where it was.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db.check_in_place()?;
        self.db.read(|tx| Box::pin(async move { tx.row("/* ping */ SELECT 1", &[]).await.map(drop) })).await
    }

    /// Waits until what was asked is written, and closes the database.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
