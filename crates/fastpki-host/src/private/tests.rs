use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::{CWD, FileType, mknodat};
use tempfile::TempDir;

use super::*;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn put(path: &Path, mode: u32) {
    fs::write(path, "before").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Every way to use a file that is there already.
fn uses(path: &Path) -> [Result<File, HostError>; 4] {
    [create_or_take(path), lock_file(path), open_secret(path), create(path)]
}

#[test]
fn new_file_is_its_owners_alone() {
    let folder = folder();
    let path = folder.path().join("new");
    create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert!(matches!(create(&path), Err(HostError::Exists(_))));
    create_or_take(&path).unwrap();
}

#[test]
fn planted_link_is_not_followed() {
    let folder = folder();
    let (path, target) = (folder.path().join("link"), folder.path().join("target"));
    for there in [false, true] {
        if there {
            put(&target, 0o600);
        } else {
            symlink(&target, &path).unwrap();
        }
        for used in uses(&path) {
            let error = used.unwrap_err().to_string();
            assert!(error.starts_with(&path.display().to_string()), "{error}");
            assert!(error.contains("symbolic link") || error.contains("there already"), "{error}");
        }
        assert_eq!(target.exists(), there);
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "before");
}

#[test]
fn planted_pipe_is_refused_without_waiting() {
    let folder = folder();
    let path = folder.path().join("pipe");
    pipe(&path);
    for used in uses(&path).into_iter().chain([open_input(&path), open_key(&path)]) {
        let error = used.unwrap_err().to_string();
        assert!(error.contains("not a regular file") || error.contains("there already"), "{error}");
    }
    assert!(matches!(check_database(&path), Err(HostError::NotAFile(_))));
}

#[test]
fn file_that_others_may_read_or_change_is_refused() {
    let folder = folder();
    let path = folder.path().join("open");
    for mode in [0o666, 0o644, 0o620] {
        put(&path, mode);
        for used in [create_or_take(&path), open_secret(&path)] {
            let error = used.unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:03o}")), "{error}");
        }
    }
    // A group may read what an operator mounts; nothing that this program leaves is a group's.
    put(&path, 0o640);
    open_secret(&path).unwrap();
    assert!(create_or_take(&path).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
}

#[test]
fn file_with_a_second_name_is_not_taken() {
    let folder = folder();
    let (path, other) = (folder.path().join("a"), folder.path().join("b"));
    put(&path, 0o600);
    fs::hard_link(&path, &other).unwrap();
    assert!(matches!(create_or_take(&path), Err(HostError::TwoNames(_))));
}

#[test]
fn file_of_another_user_is_refused() {
    // Only root can give files away.
    if !geteuid().is_root() {
        return;
    }
    let folder = folder();
    let path = folder.path().join("theirs");
    put(&path, 0o600);
    std::os::unix::fs::chown(&path, Some(NOBODY), None).unwrap();
    for used in [create_or_take(&path), lock_file(&path), open_secret(&path), open_key(&path)] {
        assert!(matches!(used, Err(HostError::Foreign { uid: NOBODY, .. })));
    }
    assert!(matches!(check_database(&path), Err(HostError::Foreign { .. })));
    // The owner of the folder could put another file there.
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), None).unwrap();
    open_secret(&path).unwrap();
    check_database(&path).unwrap();
    assert!(create_or_take(&path).is_err());
}

#[test]
fn database_may_be_behind_a_link_that_leads_somewhere() {
    let folder = folder();
    let (path, target) = (folder.path().join("link.db"), folder.path().join("target.db"));
    symlink(&target, &path).unwrap();
    assert!(matches!(check_database(&path), Err(HostError::Dangling(_))));
    put(&target, 0o600);
    check_database(&path).unwrap();
    symlink("/etc/passwd", folder.path().join("target.db-wal")).unwrap();
    assert!(matches!(check_database(&path), Err(HostError::Link(_))));
    symlink("/etc/passwd", folder.path().join("new.db-wal")).unwrap();
    assert!(matches!(check_database(&folder.path().join("new.db")), Err(HostError::Link(_))));
    check_database(&folder.path().join("none")).unwrap();
}

#[test]
fn secret_that_is_too_long_is_none() {
    let folder = folder();
    let path = folder.path().join("secret");
    put(&path, 0o600);
    assert_eq!(read_secret(&path, 6).unwrap().as_slice(), b"before");
    assert!(matches!(read_secret(&path, 5), Err(HostError::TooLarge { .. })));
    assert!(read_secret(&folder.path().join("none"), 5).unwrap_err().is_missing());
}

const NOBODY: u32 = 65534;
