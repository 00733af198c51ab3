//! The file of encryption keys: one key a line, the first of which encrypts.

use std::{
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use fastpki_host::{HostError, open_key};
use zeroize::Zeroizing;

use super::{encryption_key, reader::Fault, secret::Secret};

/// The keys in a file; empty lines, and what stands behind a `#`, are passed over.
pub(super) fn read(path: &Path) -> Result<Vec<Secret>, Fault> {
    let text = text(path)?;
    let without_comment = |line: &'_ str| line.find('#').unwrap_or(line.len());
    let lines = (1..).zip(text.lines()).map(|(number, line)| (number, line[..without_comment(line)].trim()));
    let keys: Vec<Secret> = lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line): (usize, &str)| {
            // A second key behind the first would be passed over.
            let one = !line.contains([',', ' ', '\t']);
            one.then(|| encryption_key::normalise(line)).flatten().ok_or_else(|| {
                let wrong = format!("line {number} of {} is not the base64 of 32 bytes", path.display());
                Fault::new(wrong, "write one key a line, made with `fastpki keys generate`")
            })
        })
        .collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(Fault::new(format!("{} holds no key", path.display()), encryption_key::HINT));
    }
    Ok(keys)
}

fn text(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let unreadable = |error: io::Error| {
        Fault::new(
            format!("{} cannot be read: {error}", path.display()),
            "name a file that this user can read",
        )
    };
    let file = open_key(path).map_err(|error| match error {
        HostError::Io { source, .. } => unreadable(source),
        HostError::NotAFile(path) => {
            Fault::new(format!("{} is not a file", path.display()), "name a file with one key a line")
        }
        HostError::Foreign { path, uid } => Fault::new(
            format!("{} belongs to another user (uid {uid})", path.display()),
            "give it to root, or to the user that this program runs as",
        ),
        other => Fault::new(other.to_string(), "name another file"),
    })?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.mode() & OPEN_TO_OTHERS != 0 {
        let wrong = format!("{} may be read, or changed, by others than its owner", path.display());
        return Err(Fault::new(wrong, format!("run `chmod 600 {}`; 640 will do too", path.display())));
    }
    // Room for all of it: growing would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST + 1));
    file.take(LONGEST as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() > LONGEST {
        let wrong = format!("{} is larger than {LONGEST} bytes", path.display());
        return Err(Fault::new(wrong, "name a file with one key a line"));
    }
    Ok(text)
}

/// Reading and writing by others, writing by the group: a group may read, as mounted secrets often ask for.
const OPEN_TO_OTHERS: u32 = 0o027;
/// A thousand keys with as many comments.
const LONGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests;
