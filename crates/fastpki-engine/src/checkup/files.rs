//! Who may read files with secrets, and how much space is left.

use std::{io, os::unix::fs::MetadataExt, path::Path};

use super::Finding;

/// Looks who may read a file that holds secrets, its group perhaps; nothing where there is no such file.
pub fn check_private_file(subject: &'static str, path: &Path, group_may: bool) -> Option<Finding> {
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(Finding::error(subject, format!("{shown} cannot be looked at: {error}"))),
    };
    let mode = metadata.mode() & 0o777;
    Some(if mode & OPEN_TO_OTHERS != 0 {
        let text = format!(
            "{shown} has mode {mode:03o}, so that others may read or change it: run `chmod 600 {shown}`"
        );
        Finding::error(subject, text)
    } else if mode & OPEN_TO_GROUP != 0 && !group_may {
        let text = format!(
            "{shown} has mode {mode:03o}: its group may read it; if that is not meant, run `chmod 600 {shown}`"
        );
        Finding::warning(subject, text)
    } else {
        Finding::ok(subject, format!("{shown} has mode {mode:03o}"))
    })
}

/// Looks how much space is left where an SQLite database lies.
pub fn check_space(database: &Path) -> Finding {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let free = match rustix::fs::statvfs(folder) {
        Ok(space) => space.f_bavail.saturating_mul(space.f_frsize),
        Err(error) => {
            return Finding::error(
                "disk space",
                format!("{} cannot be looked at: {error}", folder.display()),
            );
        }
    };
    let size = std::fs::metadata(database).map_or(0, |file| file.len());
    judge_space(free, size)
}

fn judge_space(free: u64, size: u64) -> Finding {
    let mib = |bytes: u64| bytes >> 20;
    let text = format!("{} MiB are free, and the database has {} MiB", mib(free), mib(size));
    if free < LEAST {
        Finding::error(
            "disk space",
            format!("{text}: without space nothing can be issued or revoked; make room"),
        )
    } else if free < size.saturating_mul(2).max(LITTLE) {
        Finding::warning(
            "disk space",
            format!("{text}: a backup and `fastpki keys rotate` need room; make some"),
        )
    } else {
        Finding::ok("disk space", text)
    }
}

const OPEN_TO_OTHERS: u32 = 0o027;
const OPEN_TO_GROUP: u32 = 0o040;
/// Bytes: below this, writing may fail soon.
const LEAST: u64 = 64 << 20;
/// Bytes: a year of issuing for most.
const LITTLE: u64 = 512 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkup::Level;

    #[test]
    fn space_is_judged_by_what_the_database_may_need() {
        assert_eq!(judge_space(LEAST - 1, 0).level, Level::Error);
        assert_eq!(judge_space(LITTLE - 1, 0).level, Level::Warning);
        assert_eq!(judge_space(LITTLE, LITTLE).level, Level::Warning);
        assert_eq!(judge_space(LITTLE, 1).level, Level::Ok);
    }
}
