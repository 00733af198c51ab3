//! Why a file of the host is not used.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a file of the host is not used. Each text names it, and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// There is something under a name at which a new file was to be made.
    #[error("{0} is there already, and nothing is overwritten: choose another name, or move it away")]
    Exists(PathBuf),
    /// Another program has the file locked.
    #[error("{0} is being written by another: wait until it is done")]
    Taken(PathBuf),
    /// A link in place of a file.
    #[error("{0} is a symbolic link, which is not followed: look who put it there, and remove it")]
    Link(PathBuf),
    /// A link to nothing, in place of a file that would be made behind it.
    #[error("{0} is a symbolic link to a file that is not there: name the file itself, or remove the link")]
    Dangling(PathBuf),
    /// A folder, a pipe or a device in place of a file.
    #[error("{0} is not a regular file: look who put it there, and remove it")]
    NotAFile(PathBuf),
    /// Somebody else's file.
    #[error(
        "{path} belongs to another user (uid {uid}), who can read and change it: look who put it there, and remove it, or give it to the user that this program runs as with `chown`"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// A file that others may read or change.
    #[error("{path} has mode {mode:03o}, so that others may read or change it: {to_do}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What to do about it.
        to_do: String,
    },
    /// A file that has another name too.
    #[error("{0} has a second name (a hard link): look who put it there, and remove it")]
    TwoNames(PathBuf),
    /// A file that was put in another's place while that was written.
    #[error("{0} was replaced while it was written: choose a folder that only you can write to")]
    Replaced(PathBuf),
    /// A file that is too large to be what it should be.
    #[error("{path} is larger than {limit} bytes: name another file")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How large it may be.
        limit: usize,
    },
    /// The operating system said no.
    #[error("{path} cannot be {what}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: "read".
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl HostError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), what, source }
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
