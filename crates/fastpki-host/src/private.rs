//! Files that hold secrets: how they are made, and which of those that are there are used.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    process::geteuid,
};
use zeroize::Zeroizing;

use crate::HostError;

/// Makes a new file of this user's alone. Whatever is there already stays as it is.
pub fn create(path: &Path) -> Result<File, HostError> {
    match open(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
        Err(Errno::EXIST) => Err(HostError::Exists(path.to_owned())),
        opened => opened.map_err(|error| HostError::io("made", path)(error.into())),
    }
}

/// Makes a private file, or opens one that this program left there: it must be a regular file, this user's alone, and
/// have no other name. Nothing in it is changed.
pub(crate) fn create_or_take(path: &Path) -> Result<File, HostError> {
    match create(path) {
        Err(HostError::Exists(_)) => {}
        made => return made,
    }
    let (file, metadata) = open_there(path, OFlags::RDWR)?;
    own(path, &metadata)?;
    if metadata.mode() & OTHERS != 0 {
        let to_do = "look who put it there, and remove it";
        return Err(opened_to_others(path, &metadata, to_do.into()));
    }
    if metadata.nlink() > 1 {
        return Err(HostError::TwoNames(path.to_owned()));
    }
    Ok(file)
}

/// Opens a file that is locked and never read; makes it where it is missing.
pub fn lock_file(path: &Path) -> Result<File, HostError> {
    match create(path) {
        Err(HostError::Exists(_)) => {}
        made => return made,
    }
    let (file, metadata) = open_there(path, OFlags::RDWR)?;
    trusted(path, &metadata).map(|()| file)
}

/// Opens a file with a secret that this program made, to read it: no link, no pipe, of somebody who is trusted with it,
/// and closed to others.
pub fn open_secret(path: &Path) -> Result<File, HostError> {
    let (file, metadata) = open_there(path, OFlags::RDONLY)?;
    trusted(path, &metadata)?;
    if metadata.mode() & OPEN_TO_OTHERS != 0 {
        let shown = path.display();
        let to_do = format!("run `chmod 600 {shown}`, if nobody else put it there");
        return Err(opened_to_others(path, &metadata, to_do));
    }
    Ok(file)
}

/// What is in a file that [`open_secret`] opens, up to a number of bytes.
pub fn read_secret(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, HostError> {
    read_up_to(path, open_secret(path)?, limit)
}

fn read_up_to(path: &Path, file: File, limit: usize) -> Result<Zeroizing<Vec<u8>>, HostError> {
    // Room for all of it: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(HostError::io("read", path))?;
    if bytes.len() > limit {
        return Err(HostError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// Opens a regular file that an operator names, to read it; behind a link too, and without waiting where it is a pipe.
pub fn open_input(path: &Path) -> Result<File, HostError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    let file = File::from(opened.map_err(|error| refusal("read", path, error))?);
    let metadata = file.metadata().map_err(HostError::io("read", path))?;
    if metadata.is_file() { Ok(file) } else { Err(HostError::NotAFile(path.to_owned())) }
}

/// The same of a file with keys, which must belong to somebody who is trusted with them.
pub fn open_key(path: &Path) -> Result<File, HostError> {
    let file = open_input(path)?;
    let metadata = file.metadata().map_err(HostError::io("read", path))?;
    trusted(path, &metadata).map(|()| file)
}

/// What is in a file of settings, up to a number of bytes: behind a link too, but of somebody who is trusted with secrets,
/// and nothing that just anybody may change.
pub fn read_settings(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, HostError> {
    let file = open_key(path)?;
    let metadata = file.metadata().map_err(HostError::io("read", path))?;
    if metadata.mode() & WRITABLE_BY_ALL != 0 {
        let to_do = format!("look whether it says what it should, and run `chmod 600 {}`", path.display());
        return Err(opened_to_others(path, &metadata, to_do));
    }
    read_up_to(path, file, limit)
}

/// Looks at the file of a database, and at those that SQLite keeps beside it: they are regular files of somebody who is
/// trusted with them, or not there. A database may be behind a link, which must lead somewhere.
pub fn check_database(path: &Path) -> Result<(), HostError> {
    match fs::metadata(path) {
        Ok(metadata) => regular(path, &metadata).and_then(|()| trusted(path, &metadata))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_there(path)? => {
            return Err(HostError::Dangling(path.to_owned()));
        }
        // Files beside it are looked at all the same: SQLite takes them for a new database's.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return check_companions(path),
        // SQLite says it better.
        Err(_) => return Ok(()),
    }
    check_companions(&fs::canonicalize(path).map_err(HostError::io("read", path))?)
}

fn check_companions(path: &Path) -> Result<(), HostError> {
    for suffix in ["-wal", "-shm", "-journal"] {
        let beside = crate::with_suffix(path, suffix);
        if let Ok(metadata) = fs::symlink_metadata(&beside) {
            regular(&beside, &metadata).and_then(|()| trusted(&beside, &metadata))?;
        }
    }
    Ok(())
}

/// Whether there is anything under this name, be it a link to nothing.
pub fn is_there(path: &Path) -> Result<bool, HostError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(HostError::io("looked at", path)(error)),
    }
}

fn open(path: &Path, flags: OFlags) -> Result<File, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// Opens what is there, if it is a regular file and no link.
fn open_there(path: &Path, flags: OFlags) -> Result<(File, Metadata), HostError> {
    let what = if flags.contains(OFlags::RDWR) { "written" } else { "read" };
    let file = open(path, flags).map_err(|error| refusal(what, path, error))?;
    let metadata = file.metadata().map_err(HostError::io("looked at", path))?;
    regular(path, &metadata).map(|()| (file, metadata))
}

/// Why it could not be opened, by what it is where that says more.
fn refusal(what: &'static str, path: &Path, error: Errno) -> HostError {
    match fs::symlink_metadata(path) {
        Ok(metadata) if error == Errno::LOOP && metadata.is_symlink() => HostError::Link(path.to_owned()),
        Ok(metadata) if !metadata.is_file() && !metadata.is_symlink() => HostError::NotAFile(path.to_owned()),
        _ => HostError::io(what, path)(error.into()),
    }
}

fn regular(path: &Path, metadata: &Metadata) -> Result<(), HostError> {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        return Err(HostError::Link(path.to_owned()));
    }
    if !kind.is_file() {
        return Err(HostError::NotAFile(path.to_owned()));
    }
    Ok(())
}

fn own(path: &Path, metadata: &Metadata) -> Result<(), HostError> {
    if metadata.uid() == geteuid().as_raw() { Ok(()) } else { Err(foreign(path, metadata)) }
}

/// Whether a file belongs to this user, to root, or to the owner of its folder, who could put another in its place.
fn trusted(path: &Path, metadata: &Metadata) -> Result<(), HostError> {
    let uid = metadata.uid();
    if uid == 0 || uid == geteuid().as_raw() {
        return Ok(());
    }
    let real = fs::canonicalize(path).map_err(HostError::io("looked at", path))?;
    let folder = real.parent().and_then(|folder| fs::metadata(folder).ok());
    if folder.is_some_and(|folder| folder.uid() == uid) { Ok(()) } else { Err(foreign(path, metadata)) }
}

fn foreign(path: &Path, metadata: &Metadata) -> HostError {
    HostError::Foreign { path: path.to_owned(), uid: metadata.uid() }
}

fn opened_to_others(path: &Path, metadata: &Metadata, to_do: String) -> HostError {
    HostError::Open { path: path.to_owned(), mode: metadata.mode() & 0o777, to_do }
}

/// Anything by anybody but the owner.
const OTHERS: u32 = 0o077;
/// Reading and writing by others, writing by the group: a group may read, as mounted secrets often ask for.
const OPEN_TO_OTHERS: u32 = 0o027;
/// Writing by everybody.
const WRITABLE_BY_ALL: u32 = 0o002;

#[cfg(test)]
mod tests;
