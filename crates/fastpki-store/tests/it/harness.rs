//! What the store's tests share.

use fastpki_store::{DatabaseConfig, Grant, NewAudit, Store, StoreError, TlsMode};
use fastpki_testing::Database;
use fastpki_types::{AuditAction, Timestamp, UserId};

pub(crate) async fn open(database: &Database) -> Result<Store, StoreError> {
    let config = match database.file() {
        Some(path) => DatabaseConfig::Sqlite { path },
        None => {
            DatabaseConfig::Postgres { url: database.url().into(), tls: TlsMode::Disable, root_cert: None }
        }
    };
    Store::open(&config, now()).await
}

pub(crate) fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

/// An entry by a user, who may not exist.
pub(crate) fn audit(user: Option<i32>) -> NewAudit {
    NewAudit {
        at: now(),
        action: AuditAction::OrgCreate,
        user: user.map(|id| (UserId(id), "somebody".to_owned())),
        service_account: None,
        username: None,
        organization_id: None,
        resource_type: Some("organization"),
        resource_id: None,
        detail: None,
        grant: Grant::default(),
    }
}
