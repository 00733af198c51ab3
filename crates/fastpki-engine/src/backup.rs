//! Backups: the whole database in one file, with the secret key that was made for it beside it.
//!
//! What bears a backup's name is a whole one: it is written under another name, made durable, and renamed.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use fastpki_store::{DatabaseConfig, SchemaKind, Store, check_dump, dump, load};
use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};
use zeroize::Zeroizing;

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
    let secret_key = secret_key.filter(|path| path.exists());
    let beside = with_suffix(file, SECRET_KEY);
    refuse_existing(file)?;
    if secret_key.is_some() {
        refuse_existing(&beside)?;
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
    dump(database, &unfinished.path).await?;
    let version = check_dump(database, &unfinished.path).await?;
    // First the key: once the backup is there, all of it is.
    if let Some(path) = secret_key {
        copy_secret(path, &beside)?;
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
    let size = fs::metadata(file)
        .map_err(|error| Error::Invalid(format!("{} cannot be read: {error}", file.display())))?
        .len();
    let version = check_dump(database, file).await?;
    refuse_existing_database(database).await?;
    let beside = with_suffix(file, SECRET_KEY);
    let secret_key = secret_key.filter(|_| beside.exists());
    if let Some(path) = secret_key {
        restore_secret(&beside, path)?;
    }
    match database {
        DatabaseConfig::Sqlite { path } => {
            let unfinished = Unfinished::of(path)?;
            load(database, file, &unfinished.path).await?;
            check_dump(database, &unfinished.path).await?;
            unfinished.finish(path)?;
        }
        DatabaseConfig::Postgres { .. } => load(database, file, file).await?,
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

/// A file that is written, under a name that says so. Another who writes it is refused; one that was left by a
/// program which was killed is written anew.
struct Unfinished {
    path: PathBuf,
    file: File,
    finished: bool,
}

impl Unfinished {
    fn of(target: &Path) -> Result<Self, Error> {
        let path = with_suffix(target, UNFINISHED);
        let failed = |error: io::Error| cannot("written", &path, &error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        let taken = match file.try_lock() {
            // Whoever had the lock until now may have given the file its name meanwhile: then it is another's.
            Ok(()) => !is_at(&file, &path),
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        };
        if taken {
            return Err(Error::Invalid(format!("{} is being written by another", path.display())));
        }
        file.set_len(0).map_err(failed)?;
        Ok(Self { path, file, finished: false })
    }

    /// Makes it durable, and gives it its name if nobody has it yet; its bytes.
    fn finish(mut self, target: &Path) -> Result<u64, Error> {
        let named = || {
            self.file.sync_all()?;
            rename_to_new(&self.path, target)?;
            sync_folder(target)?;
            Ok(self.file.metadata()?.len())
        };
        let size = named().map_err(|error| cannot("written", target, &error))?;
        self.finished = true;
        Ok(size)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            // What is left otherwise bears a name that says what it is.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Copies the secret key of a backup to where the server finds it; one that is there already must be the same.
fn restore_secret(from: &Path, to: &Path) -> Result<(), Error> {
    if !to.exists() {
        return copy_secret(from, to);
    }
    if *read_secret(from)? == *read_secret(to)? {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{} is there, and not the one of the backup: move it away, or move {} away to keep it",
        to.display(),
        from.display()
    )))
}

fn copy_secret(from: &Path, to: &Path) -> Result<(), Error> {
    let secret = read_secret(from)?;
    let mut unfinished = Unfinished::of(to)?;
    unfinished.file.write_all(&secret).map_err(|error| cannot("written", to, &error))?;
    unfinished.finish(to).map(drop)
}

fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let read = || {
        // Room for all of it: growing would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_SECRET));
        File::open(path)?.take(LONGEST_SECRET as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error| cannot("read", path, &error))
}

fn refuse_existing(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cannot("looked at", path, &error)),
        Ok(_) => Err(Error::Invalid(format!(
            "{} is there already, and nothing is overwritten: choose another name, or move it away",
            path.display()
        ))),
    }
}

/// Renames, and fails where there is a file of that name.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can: then whoever makes such a file in this very moment loses it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if !to.exists() => fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

/// Whether the file still has this name.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(path)) => id(file) == id(path),
        _ => false,
    }
}

fn sync_folder(of: &Path) -> io::Result<()> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    name.into()
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::Invalid(format!("{} cannot be {what}: {error}", path.display()))
}

/// What the name of a file that is being written ends with.
const UNFINISHED: &str = ".unfinished";
/// What the name of a secret key's file ends with, beside a database or its backup.
const SECRET_KEY: &str = ".secret-key";
/// Bytes of a secret key's file: it has 43 when we made it.
const LONGEST_SECRET: usize = 4096;
