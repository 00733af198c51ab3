//! Whether the files of a database are still the ones that were opened.
//!
//! SQLite goes on writing into a file that was removed or replaced: every commit succeeds, and all of it is gone when
//! the program ends. The log (WAL) is as much a part of the database as the file, and the index of that log (SHM) is
//! where programs see each other's locks.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The files of an open database, by device and number.
pub(super) struct Place {
    files: Vec<Kept>,
}

struct Kept {
    path: PathBuf,
    /// What was found there; SQLite makes some of the files with the first write.
    found: OnceLock<(u64, u64)>,
}

impl Place {
    /// What is at this path now, when the database has just been opened.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        // SQLite puts them beside the file that a link leads to.
        let real = fs::canonicalize(path)?;
        let beside = |suffix: &str| {
            let mut name = real.as_os_str().to_owned();
            name.push(suffix);
            name.into()
        };
        let kept = |path| Kept { path, found: OnceLock::new() };
        let place = Self { files: vec![kept(path.to_owned()), kept(beside("-wal")), kept(beside("-shm"))] };
        place.check().map_err(io::Error::other)?;
        Ok(place)
    }

    /// That of a database without files.
    #[cfg(test)]
    pub(super) fn nowhere() -> Self {
        Self { files: Vec::new() }
    }

    /// Fails, with what to do, if one of the files is another than before, or none.
    pub(super) fn check(&self) -> Result<(), String> {
        self.files.iter().try_for_each(Kept::check)
    }
}

impl Kept {
    fn check(&self) -> Result<(), String> {
        let now = identity(&self.path);
        match (self.found.get(), now) {
            (Some(found), Ok(now)) if *found == now => Ok(()),
            (None, Ok(now)) => {
                let _ = self.found.set(now);
                Ok(())
            }
            (None, Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            (_, now) => {
                let how = match now {
                    Ok(_) => "was replaced".to_owned(),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => "was removed".to_owned(),
                    Err(error) => format!("cannot be found: {error}"),
                };
                Err(format!(
                    "{} {how} while this program has the database open, so nothing is written any more: stop this program, put the database's files back (or restore a backup), and start it again",
                    self.path.display()
                ))
            }
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}
