//! Backups: the whole database in one file, with the secret key that was made for it beside it.
//!
//! What bears a backup's name is a whole one: it is written under another name, made durable, and renamed.

use std::path::{Path, PathBuf};

use fastpki_host::{HostError, Unfinished, is_there, open_input, read_secret, with_suffix};
use fastpki_store::{DatabaseConfig, SchemaKind, Store, check_dump, copy, dump, load};

use crate::Error;

/// A backup that was made, or was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The version of its schema.
    pub version: i32,
    /// Its bytes, without the secret key.
    pub size: u64,
    /// The file beside it that has the secret key.
    pub secret_key: Option<PathBuf>,
}

/// Writes the whole database, as it is at one instant, into a new file of its owner's alone; beside it, the secret
/// key of this file, if there is one. Others read and write meanwhile.
pub async fn backup(
    database: &DatabaseConfig,
    secret_key: Option<&Path>,
    file: &Path,
) -> Result<Backup, Error> {
    let secret_key = match secret_key {
        // One that cannot be read is refused below: a backup without it would look whole.
        Some(path) if is_there(path)? => Some(path),
        _ => None,
    };
    let beside = with_suffix(file, SECRET_KEY);
    refuse_existing(file)?;
    if let Some(path) = secret_key
        && is_there(&beside)?
    {
        // Said before the database is read.
        check_same_secret(path, &beside, ANOTHER_NAME)?;
    }
    let Some(store) = Store::look(database).await? else {
        return Err(Error::Invalid(
            "there is no database: run this in the server's working directory, or set DATABASE_URL".into(),
        ));
    };
    let schema = store.schema().await;
    store.close().await;
    if schema?.kind != SchemaKind::Ours {
        return Err(Error::Invalid(
            "the database is not this program's yet: copy it by its own means, and start the server once"
                .into(),
        ));
    }
    let unfinished = Unfinished::of(file)?;
    dump(database, unfinished.path(), unfinished.file()).await?;
    let version = check_dump(database, unfinished.path(), unfinished.file()).await?;
    // First the key: once the backup is there, all of it is.
    if let Some(path) = secret_key {
        copy_secret(path, &beside, ANOTHER_NAME)?;
    }
    let size = unfinished.finish(file)?;
    Ok(Backup { version, size, secret_key: secret_key.map(|_| beside) })
}

/// Loads a backup where there is no database: no SQLite file, or a PostgreSQL database without tables. The backup
/// is read whole before anything is written, and what was written is read whole before it is the database.
pub async fn restore(
    database: &DatabaseConfig,
    secret_key: Option<&Path>,
    file: &Path,
) -> Result<Backup, Error> {
    let opened = open_input(file)?;
    let size = opened.metadata().map_err(|error| cannot_be_read(file, &error))?.len();
    let version = check_dump(database, file, &opened).await?;
    refuse_existing_database(database).await?;
    let beside = with_suffix(file, SECRET_KEY);
    let secret_key = if is_there(&beside)? { secret_key } else { None };
    if let Some(path) = secret_key {
        let to_do = format!("move it away; or, to keep it, move {} away", beside.display());
        copy_secret(&beside, path, &to_do)?;
    }
    match database {
        DatabaseConfig::Sqlite { path } => {
            let unfinished = Unfinished::of(path)?;
            copy(file, unfinished.path(), unfinished.file()).await?;
            check_dump(database, unfinished.path(), unfinished.file()).await?;
            unfinished.finish(path)?;
        }
        DatabaseConfig::Postgres { url, tls, root_cert } => {
            load(url, *tls, root_cert.as_deref(), file, &opened).await?;
        }
    }
    let restored = crate::schema(database).await?.map_or(0, |schema| schema.version);
    if restored != version {
        return Err(Error::Internal(format!(
            "the backup was at version {version}, but what was restored is at {restored}: do not use it"
        )));
    }
    Ok(Backup { version, size, secret_key: secret_key.map(Path::to_owned) })
}

async fn refuse_existing_database(database: &DatabaseConfig) -> Result<(), Error> {
    match database {
        DatabaseConfig::Sqlite { path } => {
            // SQLite would take an old log beside a new database for its own.
            for suffix in ["", "-wal", "-shm", "-journal"] {
                refuse_existing(&with_suffix(path, suffix))?;
            }
            Ok(())
        }
        DatabaseConfig::Postgres { .. } => match crate::schema(database).await? {
            Some(schema) if schema.kind != SchemaKind::None => Err(Error::Invalid(
                "the database has tables: nothing is overwritten; name a new, empty one in DATABASE_URL"
                    .into(),
            )),
            _ => Ok(()),
        },
    }
}

/// Copies the secret key of a database, or of its backup, to where it belongs. One that is there already must be the
/// same: then a program left it that was killed before it was done.
fn copy_secret(from: &Path, to: &Path, to_do: &str) -> Result<(), Error> {
    if is_there(to)? {
        return check_same_secret(from, to, to_do);
    }
    let secret = read_secret(from, LONGEST_SECRET)?;
    let mut unfinished = Unfinished::of(to)?;
    unfinished.write(&secret)?;
    Ok(unfinished.finish(to).map(drop)?)
}

fn check_same_secret(from: &Path, to: &Path, to_do: &str) -> Result<(), Error> {
    if *read_secret(from, LONGEST_SECRET)? == *read_secret(to, LONGEST_SECRET)? {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{} is there already, and is not the same as {}: {to_do}",
        to.display(),
        from.display()
    )))
}

fn cannot_be_read(path: &Path, error: &std::io::Error) -> Error {
    Error::Invalid(format!("{} cannot be read: {error}", path.display()))
}

fn refuse_existing(path: &Path) -> Result<(), Error> {
    if is_there(path)? { Err(HostError::Exists(path.to_owned()).into()) } else { Ok(()) }
}

/// What to do about a secret key of another backup.
const ANOTHER_NAME: &str = "choose another name, or move it away";
/// What the name of a secret key's file ends with, beside a database or its backup.
const SECRET_KEY: &str = ".secret-key";
/// Bytes of a secret key's file: it has 43 when we made it.
const LONGEST_SECRET: usize = 4096;
