//! The whole database in one file, and back.

mod postgres;
mod sqlite;

use std::path::{Path, PathBuf};

use crate::{config::DatabaseConfig, error::StoreError, migrate::NEWEST};

/// Writes the whole database, as it is at one instant, into a file that is there and empty. Others read and write
/// meanwhile.
pub async fn dump(database: &DatabaseConfig, into: &Path) -> Result<(), StoreError> {
    match database {
        DatabaseConfig::Sqlite { path } => on_a_thread(path, into, sqlite::copy).await,
        DatabaseConfig::Postgres { url, tls, root_cert } => {
            let server = postgres::Server::of(url, *tls, root_cert.as_deref())?;
            let into = into.to_owned();
            run(move || server.dump(&into)).await
        }
    }
}

/// Reads a dump from its first byte to its last: it must be whole, of this kind of database, and ours. The version
/// of its schema.
pub async fn check_dump(database: &DatabaseConfig, file: &Path) -> Result<i32, StoreError> {
    let shown = file.display();
    let file = file.to_owned();
    let version = match database {
        DatabaseConfig::Sqlite { .. } => run(move || sqlite::check(&file)).await?,
        DatabaseConfig::Postgres { .. } => run(move || postgres::check(&file)).await?,
    };
    if version > NEWEST {
        return Err(StoreError::Unusable(format!(
            "{shown} is at version {version}, which a newer version of this program has written: use that version"
        )));
    }
    Ok(version)
}

/// Loads a dump: on SQLite into a file that is there and empty, which is not the database yet; on PostgreSQL into
/// the database, which must be empty, all or nothing.
pub async fn load(database: &DatabaseConfig, dump: &Path, into: &Path) -> Result<(), StoreError> {
    match database {
        DatabaseConfig::Sqlite { .. } => on_a_thread(dump, into, sqlite::copy).await,
        DatabaseConfig::Postgres { url, tls, root_cert } => {
            let server = postgres::Server::of(url, *tls, root_cert.as_deref())?;
            let dump = dump.to_owned();
            run(move || server.load(&dump)).await
        }
    }
}

async fn on_a_thread(
    from: &Path,
    into: &Path,
    work: fn(PathBuf, PathBuf) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (from, into) = (from.to_owned(), into.to_owned());
    run(move || work(from, into)).await
}

async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Database(format!("the work ended early: {error}"))))
}
