//! The whole database in one file, and back.

mod postgres;
mod sqlite;

use std::{fs::File, io, path::Path};

use crate::{
    config::{DatabaseConfig, TlsMode},
    error::StoreError,
    migrate::NEWEST,
};

/// Writes the whole database, as it is at one instant, into a file that is there and empty. Others read and write
/// meanwhile. Nothing is written into another file that was given its name.
pub async fn dump(database: &DatabaseConfig, path: &Path, file: &File) -> Result<(), StoreError> {
    match database {
        DatabaseConfig::Sqlite { path: from } => copy(from, path, file).await,
        DatabaseConfig::Postgres { url, tls, root_cert } => {
            let server = postgres::Server::of(url, *tls, root_cert.as_deref())?;
            let file = again(path, file)?;
            run(move || server.dump(file)).await
        }
    }
}

/// Reads a dump from its first byte to its last: it must be whole, of this kind of database, and ours. The version
/// of its schema.
pub async fn check_dump(database: &DatabaseConfig, path: &Path, file: &File) -> Result<i32, StoreError> {
    let shown = path.display();
    let (path, file) = (path.to_owned(), again(path, file)?);
    let version = match database {
        DatabaseConfig::Sqlite { .. } => run(move || sqlite::check(&path, &file)).await?,
        DatabaseConfig::Postgres { .. } => run(move || postgres::check(&path, &file)).await?,
    };
    if version > NEWEST {
        return Err(StoreError::Unusable(format!(
            "{shown} is at version {version}, which a newer version of this program has written: use that version"
        )));
    }
    Ok(version)
}

/// Copies an SQLite database, as it is at one instant, into a file that is there and empty: nothing is written into
/// another file that was given its name.
pub async fn copy(from: &Path, path: &Path, file: &File) -> Result<(), StoreError> {
    let (from, path, file) = (from.to_owned(), path.to_owned(), again(path, file)?);
    run(move || sqlite::copy(&from, &path, &file)).await
}

/// Loads a dump into a PostgreSQL database, which must be empty, all or nothing.
pub async fn load(
    url: &str,
    tls: TlsMode,
    root_cert: Option<&Path>,
    path: &Path,
    file: &File,
) -> Result<(), StoreError> {
    let server = postgres::Server::of(url, tls, root_cert)?;
    let (path, file) = (path.to_owned(), again(path, file)?);
    run(move || server.load(&path, &file)).await
}

fn again(path: &Path, file: &File) -> Result<File, StoreError> {
    file.try_clone().map_err(|error| cannot_be_read(path, &error))
}

fn cannot_be_read(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unusable(format!("{} cannot be read: {error}", path.display()))
}

async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Database(format!("the work ended early: {error}"))))
}
