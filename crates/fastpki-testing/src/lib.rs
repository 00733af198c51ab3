//! A database for each test, on SQLite and on PostgreSQL. For tests alone: it panics where others return errors.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod proxy;

use std::{
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

pub use proxy::Proxy;

/// Runs each of these tests on SQLite and on PostgreSQL: `async fn test(database: Database)`.
#[macro_export]
macro_rules! on_both_databases {
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            #[test]
            fn sqlite() {
                $crate::run($crate::Kind::Sqlite, |database| Box::pin(super::$test(database)));
            }

            #[test]
            fn postgresql() {
                $crate::run($crate::Kind::Postgresql, |database| Box::pin(super::$test(database)));
            }
        }
    )*};
}

/// Which database a test runs on.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A file in a temporary folder.
    Sqlite,
    /// A database of the server that `FASTPKI_TEST_POSTGRES` names.
    Postgresql,
}

/// A test, boxed.
pub type Test = fn(Database) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a test on a database of its own, and clears that away whatever becomes of the test.
pub fn run(kind: Kind, test: Test) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let database = Database::create(kind).await;
        let outcome = tokio::spawn(test(database.clone())).await;
        database.remove().await;
        if let Err(failure) = outcome {
            std::panic::resume_unwind(failure.into_panic());
        }
    });
}

/// An empty database that only one test uses.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file in this folder.
    Sqlite(Arc<tempfile::TempDir>),
    /// A database with a name.
    Postgresql {
        /// The URL of the server's own database.
        maintenance: String,
        /// The database's name.
        name: String,
    },
}

impl Database {
    /// Makes one.
    pub async fn create(kind: Kind) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        match kind {
            Kind::Sqlite => Self::Sqlite(Arc::new(tempfile::tempdir().unwrap())),
            Kind::Postgresql => {
                let maintenance = required("FASTPKI_TEST_POSTGRES");
                let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
                let client = connect(&maintenance).await;
                // One of this name is left over from a process that was killed.
                client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
                client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
                Self::Postgresql { maintenance, name }
            }
        }
    }

    /// Removes it, whoever is connected.
    pub async fn remove(self) {
        if let Self::Postgresql { maintenance, name } = self {
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            connect(&maintenance).await.batch_execute(&drop).await.unwrap();
        }
    }

    /// The file of an SQLite database.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(folder) => Some(folder.path().join("fastpki.db")),
            Self::Postgresql { .. } => None,
        }
    }

    /// The URL of a PostgreSQL database.
    pub fn url(&self) -> String {
        let Self::Postgresql { maintenance, name } = self else { panic!("SQLite has no URL here") };
        let (before, options) = maintenance.split_once('?').unwrap_or((maintenance, ""));
        let (server, _) = before.rsplit_once('/').unwrap();
        format!("{server}/{name}?{options}")
    }

    /// Runs a script behind the program's back.
    pub async fn script(&self, sql: &str) {
        match self.file() {
            Some(file) => open(file).execute_batch(sql).unwrap(),
            None => connect(&self.url()).await.batch_execute(sql).await.unwrap(),
        }
    }

    /// The first column of every row, as text, read behind the program's back.
    pub async fn peek(&self, sql: &str) -> Vec<String> {
        match self.file() {
            Some(file) => {
                let connection = open(file);
                let mut statement = connection.prepare(sql).unwrap();
                let text = |row: &rusqlite::Row<'_>| {
                    Ok(match row.get(0)? {
                        rusqlite::types::Value::Integer(number) => number.to_string(),
                        rusqlite::types::Value::Text(text) => text,
                        other => panic!("{other:?} is no text"),
                    })
                };
                statement.query_map([], text).unwrap().map(Result::unwrap).collect()
            }
            None => {
                let messages = connect(&self.url()).await.simple_query(sql).await.unwrap();
                let first = |message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                };
                messages.into_iter().filter_map(first).collect()
            }
        }
    }
}

/// A variable that `scripts/test` sets.
pub fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run scripts/test"))
}

fn open(file: PathBuf) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    // FastPKI 0.4 enforces none either.
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
