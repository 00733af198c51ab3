//! Files that are written whole or not at all.

use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, TempPath};
use zeroize::Zeroizing;

use crate::error::Error;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Its owner alone.
    Private,
    /// Everybody.
    Public,
}

/// A file to be written.
pub(crate) struct Draft<'a> {
    /// Its name in the folder.
    pub(crate) name: String,
    /// What goes into it.
    pub(crate) content: &'a [u8],
    /// Who may read it.
    pub(crate) mode: Mode,
}

/// Where something is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Place {
    /// What an option says (`-` is standard output), or else a file of this name in the working directory.
    pub(crate) fn of(option: Option<&Path>, name: &str) -> Self {
        match option {
            Some(path) if path.as_os_str() == "-" => Self::Stdout,
            Some(path) => Self::File(path.to_owned()),
            None => Self::File(PathBuf::from(name)),
        }
    }

    /// The same with another ending, where it has one that says PEM.
    pub(crate) fn ending_in(self, ending: &str) -> Self {
        match self {
            Self::File(path) if path.extension().is_some_and(|old| old == "pem") => {
                Self::File(path.with_extension(ending))
            }
            other => other,
        }
    }

    /// Refuses to go on where there is a file already.
    pub(crate) fn spare(&self, force: bool) -> Result<(), Error> {
        match self {
            Self::File(path) if !force && path.exists() => Err(there_already(path)),
            _ => Ok(()),
        }
    }
}

/// Writes a file; in place of what is there, or not where there is something.
pub(crate) fn write(path: &Path, content: &[u8], mode: Mode, replace: bool) -> Result<(), Error> {
    if path.is_dir() {
        return Err(Error::file(path, "is a folder: name a file"));
    }
    replaceable(path)?;
    if replace && mode == Mode::Public && is_private(path)? {
        return Err(Error::file(path, "is private, perhaps a key: it stays as it is; name another file"));
    }
    let name = path.file_name().ok_or_else(|| Error::file(path, "is no name of a file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = temporary(folder, content, mode)?;
    let written =
        if replace { file.persist(folder.join(name)) } else { file.persist_noclobber(folder.join(name)) };
    written.map_err(|error| match error.error.kind() {
        ErrorKind::AlreadyExists => there_already(path),
        _ => Error::file(path, error.error),
    })?;
    sync(folder)
}

/// Refuses what no file may take the place of: a pipe, a device, a link to something.
fn replaceable(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => {
            let advice = "is no regular file, and stays as it is: name another, or `-` for standard output";
            Err(Error::file(path, advice))
        }
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(path, error)),
        _ => Ok(()),
    }
}

/// Whether a private key is in this file, or something that others cannot read and that is no certificate.
fn is_private(path: &Path) -> Result<bool, Error> {
    let failed = |error: io::Error| Error::file(path, error);
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        found => found.map_err(failed)?,
    };
    if metadata.len() == 0 {
        return Ok(false);
    }
    let mut start = Zeroizing::new(Vec::with_capacity(LOOKED_AT));
    File::open(path).and_then(|file| file.take(LOOKED_AT as u64).read_to_end(&mut start)).map_err(failed)?;
    let has = |label: &[u8]| start.windows(label.len()).any(|part| part == label);
    let is_closed = metadata.permissions().mode() & READ_BY_OTHERS == 0;
    Ok(has(PRIVATE_KEY) || (is_closed && !has(CERTIFICATE)))
}

fn there_already(path: &Path) -> Error {
    Error::file(path, "there is a file already: choose another with --output, or replace it with --force")
}

/// Writes several files into a folder: all of them, or none where one cannot be written; then what was there before
/// is there still. (A power cut between two renames can leave some new and some old ones.)
pub(crate) fn write_all(folder: &Path, drafts: &[Draft<'_>]) -> Result<Vec<PathBuf>, Error> {
    let mut ready = Vec::new();
    for draft in drafts {
        let target = folder.join(&draft.name);
        let new = temporary(folder, draft.content, draft.mode)?.into_temp_path();
        let before = keep(folder, &target)?;
        ready.push(Replacement { target, new: Some(new), before });
    }
    for at in 0..ready.len() {
        if let Err(error) = ready[at].put() {
            ready[..at].iter_mut().for_each(Replacement::put_back);
            return Err(error);
        }
    }
    sync(folder)?;
    Ok(ready.into_iter().map(|replacement| replacement.target).collect())
}

/// Makes the folder, and makes sure that files can be made in it.
pub(crate) fn writable_folder(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
    tempfile::tempfile_in(folder).map_err(|error| Error::file(folder, error)).map(drop)
}

/// The last part of a name that somebody else chose, fit for a file; none if nothing is left of it.
pub(crate) fn safe_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next()?.trim();
    let fit = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+') { c } else { '_' };
    let name: String = last.replace('*', "_wildcard").chars().map(fit).take(MAX_NAME).collect();
    let name = name.trim_start_matches(['.', '-']);
    (!name.is_empty()).then(|| name.to_owned())
}

struct Replacement {
    target: PathBuf,
    new: Option<TempPath>,
    /// What was there, under a name of its own.
    before: Option<TempPath>,
}

impl Replacement {
    fn put(&mut self) -> Result<(), Error> {
        let Some(new) = self.new.take() else { return Ok(()) };
        new.persist(&self.target).map_err(|error| Error::file(&self.target, error.error))
    }

    fn put_back(&mut self) {
        // There is nothing more to be done where this fails too.
        let _ = match self.before.take() {
            Some(before) => before.persist(&self.target).map_err(|error| error.error),
            None => fs::remove_file(&self.target),
        };
    }
}

fn temporary(folder: &Path, content: &[u8], mode: Mode) -> Result<NamedTempFile, Error> {
    let failed = |error: io::Error| Error::file(folder, error);
    // Readable for its owner alone from the first byte on.
    let mut file = tempfile::Builder::new().prefix(".fastpki-").tempfile_in(folder).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    if mode == Mode::Public {
        file.as_file().set_permissions(Permissions::from_mode(0o644)).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    Ok(file)
}

/// A second name for a file, until it is dropped; none where there is no such file.
fn keep(folder: &Path, target: &Path) -> Result<Option<TempPath>, Error> {
    if target.is_dir() {
        return Err(Error::file(target, "is a folder, and a file is to be written there"));
    }
    if fs::symlink_metadata(target).is_err() {
        return Ok(None);
    }
    replaceable(target)?;
    let second_name = |name: &Path| {
        // Some file systems know no second names.
        fs::hard_link(target, name).or_else(|error| match error.kind() {
            ErrorKind::AlreadyExists => Err(error),
            _ => copy(target, name),
        })
    };
    let made = tempfile::Builder::new().prefix(".fastpki-before-").make_in(folder, second_name);
    made.map(|made| Some(made.into_temp_path())).map_err(|error| Error::file(target, error))
}

/// Copies a file to a new one, with its mode; until it has that, it is its owner's alone.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut to = File::options().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut from, &mut to)?;
    to.set_permissions(from.metadata()?.permissions())
}

fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| Error::file(folder, error))
}

/// Reading by the group or by others.
const READ_BY_OTHERS: u32 = 0o044;
/// Bytes of a file that are looked through for a private key: several times a chain with its key.
const LOOKED_AT: usize = 256 * 1024;
/// What is in every PEM block with a private key.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";
/// What the label of a certificate in PEM begins with.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE";

/// Room is left for an ending within the 255 bytes of most file systems, at four bytes a character.
const MAX_NAME: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn draft<'a>(name: &str, content: &'a [u8], mode: Mode) -> Draft<'a> {
        Draft { name: name.into(), content, mode }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn all_are_written_each_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.crt"), "old").unwrap();
        let drafts = [draft("a.crt", b"new", Mode::Public), draft("a.key", b"key", Mode::Private)];
        write_all(folder.path(), &drafts).unwrap();
        assert_eq!(names(folder.path()), ["a.crt", "a.key"]);
        assert_eq!(fs::read(folder.path().join("a.crt")).unwrap(), b"new");
        let mode = |name| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a.crt"), mode("a.key")), (0o644, 0o600));
    }

    #[test]
    fn what_is_no_regular_file_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target, socket) =
            (folder.path().join("a.crt"), folder.path().join("real"), folder.path().join("b.crt"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, name) in [(&link, "a.crt"), (&socket, "b.crt")] {
            let before = fs::symlink_metadata(path).unwrap().file_type();
            assert!(write(path, b"new", Mode::Public, true).is_err());
            assert!(write_all(folder.path(), &[draft(name, b"new", Mode::Public)]).is_err());
            assert_eq!(fs::symlink_metadata(path).unwrap().file_type(), before);
        }
        assert_eq!(fs::read(&target).unwrap(), b"old");
    }

    #[test]
    fn private_files_are_not_replaced_by_public_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        let put = |content: &str, mode| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            write(&path, b"certificate", Mode::Public, true)
        };
        let key = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n";
        for (content, mode) in [("anything", 0o600), (key, 0o644)] {
            assert!(put(content, mode).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        // A certificate of before, and what `mktemp` makes.
        assert!(put("certificate of before", 0o644).is_ok());
        assert!(put("", 0o600).is_ok());
        assert!(put("-----BEGIN CERTIFICATE-----\nMC4=\n-----END CERTIFICATE-----\n", 0o600).is_ok());
        assert!(write(&path, b"again", Mode::Public, true).is_ok());
    }

    #[test]
    fn nothing_changes_where_one_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.crt"), "old").unwrap();
        fs::create_dir(folder.path().join("a.key")).unwrap();
        let drafts = [draft("a.crt", b"new", Mode::Public), draft("a.key", b"key", Mode::Private)];
        assert!(write_all(folder.path(), &drafts).is_err());
        assert_eq!(names(folder.path()), ["a.crt", "a.key"]);
        assert_eq!(fs::read(folder.path().join("a.crt")).unwrap(), b"old");
    }

    #[test]
    fn what_was_replaced_comes_back_when_a_later_rename_fails() {
        let folder = tempfile::tempdir().unwrap();
        let (old, fresh) = (folder.path().join("old"), folder.path().join("fresh"));
        fs::write(&old, "old").unwrap();
        for target in [&old, &fresh] {
            let new = temporary(folder.path(), b"new", Mode::Public).unwrap().into_temp_path();
            let before = keep(folder.path(), target).unwrap();
            let mut replacement = Replacement { target: target.clone(), new: Some(new), before };
            replacement.put().unwrap();
            replacement.put_back();
        }
        assert_eq!(names(folder.path()), ["old"]);
        assert_eq!(fs::read(&old).unwrap(), b"old");
    }

    #[test]
    fn names_are_made_fit() {
        for (name, fit) in [
            ("*.example.com", "_wildcard.example.com"),
            ("Jörg Müller", "Jörg_Müller"),
            ("../../.ssh/id", "id"),
            ("--help", "help"),
            ("a\n\u{1b}[2J", "a___2J"),
        ] {
            assert_eq!(safe_name(name).as_deref(), Some(fit), "{name}");
        }
        assert_eq!(safe_name("../.."), None);
    }
}
