//! A database of its own for each test.

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc};

use fastpki_store::{DatabaseConfig, NewAudit, Store, StoreError, TlsMode};
use fastpki_types::{AuditAction, Timestamp, UserId};

/// Runs each of these tests on SQLite and on PostgreSQL.
macro_rules! on_both_databases {
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            #[test]
            fn sqlite() {
                $crate::harness::run(false, |database| Box::pin(super::$test(database)));
            }

            #[test]
            fn postgresql() {
                $crate::harness::run(true, |database| Box::pin(super::$test(database)));
            }
        }
    )*};
}
pub(crate) use on_both_databases;

type Test = fn(Database) -> Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) fn run(postgresql: bool, test: Test) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let database = if postgresql { Database::postgresql().await } else { Database::sqlite() };
        let outcome = tokio::spawn(test(database.clone())).await;
        database.remove().await;
        if let Err(failure) = outcome {
            std::panic::resume_unwind(failure.into_panic());
        }
    });
}

/// An empty database that only one test uses.
#[derive(Clone)]
pub(crate) enum Database {
    Sqlite(Arc<tempfile::TempDir>),
    Postgresql { maintenance: String, name: String },
}

impl Database {
    fn sqlite() -> Self {
        Self::Sqlite(Arc::new(tempfile::tempdir().unwrap()))
    }

    async fn postgresql() -> Self {
        let maintenance = std::env::var("FASTPKI_TEST_POSTGRES")
            .expect("FASTPKI_TEST_POSTGRES names no PostgreSQL server: run scripts/test");
        let folder = tempfile::tempdir().unwrap();
        let unique =
            folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_lowercase();
        let name = format!("store_{}_{unique}", std::process::id());
        connect(&maintenance).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Self::Postgresql { maintenance, name }
    }

    async fn remove(self) {
        if let Self::Postgresql { maintenance, name } = self {
            connect(&maintenance)
                .await
                .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
                .await
                .unwrap();
        }
    }

    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(folder) => Some(folder.path().join("fastpki.db")),
            Self::Postgresql { .. } => None,
        }
    }

    fn url(&self) -> String {
        let Self::Postgresql { maintenance, name } = self else { panic!("SQLite has no URL here") };
        let (before, options) = maintenance.split_once('?').unwrap_or((maintenance, ""));
        let (server, _) = before.rsplit_once('/').unwrap();
        format!("{server}/{name}?{options}")
    }

    pub(crate) async fn open(&self) -> Result<Store, StoreError> {
        let config = match self.file() {
            Some(path) => DatabaseConfig::Sqlite { path },
            None => {
                DatabaseConfig::Postgres { url: self.url().into(), tls: TlsMode::Disable, root_cert: None }
            }
        };
        Store::open(&config, now()).await
    }

    /// Runs a script behind the store's back.
    pub(crate) async fn script(&self, sql: &str) {
        match self.file() {
            Some(path) => rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap(),
            None => connect(&self.url()).await.batch_execute(sql).await.unwrap(),
        }
    }

    /// One number, read behind the store's back.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        match self.file() {
            Some(path) => {
                rusqlite::Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
            }
            None => connect(&self.url()).await.query_one(sql, &[]).await.unwrap().get(0),
        }
    }
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
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
        detail: None,
    }
}
