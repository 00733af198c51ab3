//! Files that are written whole or not at all.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};

use crate::{HostError, private};

/// A private file that is written, under a name that says so. Another who writes it is refused; one that was left by
/// a program which was killed is written again.
pub struct Unfinished {
    path: PathBuf,
    file: File,
    finished: bool,
}

impl Unfinished {
    /// The file that is to be `target`.
    pub fn of(target: &Path) -> Result<Self, HostError> {
        let path = with_suffix(target, UNFINISHED);
        let file = private::create_or_take(&path)?;
        match file.try_lock() {
            // Who had the lock until now may have given the file its name meanwhile: then it is another's.
            Ok(()) if is_at(&file, &path) => {}
            Ok(()) | Err(TryLockError::WouldBlock) => return Err(HostError::Taken(path)),
            Err(TryLockError::Error(error)) => return Err(HostError::io("written", &path)(error)),
        }
        file.set_len(0).map_err(HostError::io("written", &path))?;
        Ok(Self { path, file, finished: false })
    }

    /// Its name as long as it is unfinished.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself, whatever has its name.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes these bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        self.file.write_all(bytes).map_err(HostError::io("written", &self.path))
    }

    /// Makes it durable, and gives it its name if nobody has it yet; its bytes.
    pub fn finish(mut self, target: &Path) -> Result<u64, HostError> {
        // Who wrote it by its name may have written another file.
        if !is_at(&self.file, &self.path) {
            self.finished = true;
            return Err(HostError::Replaced(self.path.clone()));
        }
        let named = || {
            self.file.sync_all()?;
            rename_to_new(&self.path, target)?;
            sync_folder(target)?;
            Ok(self.file.metadata()?.len())
        };
        let size = named().map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => HostError::Exists(target.to_owned()),
            _ => HostError::io("written", target)(error),
        })?;
        self.finished = true;
        // Its name may have been given to another file right before it was renamed.
        if is_at(&self.file, target) { Ok(size) } else { Err(HostError::Replaced(target.to_owned())) }
    }
}

/// Writes a file that everybody may read, in place of what has its name; where that is a link, in place of the link.
pub fn replace_public(path: &Path, bytes: &[u8]) -> Result<(), HostError> {
    let mut unfinished = Unfinished::of(path)?;
    unfinished.write(bytes)?;
    let replaced = || {
        unfinished.file.set_permissions(fs::Permissions::from_mode(0o644))?;
        unfinished.file.sync_all()?;
        fs::rename(&unfinished.path, path)
    };
    replaced().map_err(HostError::io("written", path))?;
    unfinished.finished = true;
    Ok(())
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            // What is left otherwise has a name that says what it is.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A path with this behind its last name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    name.into()
}

/// Renames, and fails where there is a file of that name.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can: then what somebody puts there in this very moment is lost.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if fs::symlink_metadata(to).is_err() => {
            fs::rename(from, to)
        }
        renamed => Ok(renamed?),
    }
}

/// Whether the file still has this name.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(file), Ok(path)) => id(file) == id(path),
        _ => false,
    }
}

fn sync_folder(of: &Path) -> io::Result<()> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// What the name of a file that is being written ends with.
const UNFINISHED: &str = ".unfinished";

#[cfg(test)]
mod tests;
