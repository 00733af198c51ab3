use std::os::unix::fs::symlink;

use super::*;

#[test]
fn finished_file_is_private_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a");
    let mut first = Unfinished::of(&target).unwrap();
    first.write(b"first").unwrap();
    assert_eq!(first.finish(&target).unwrap(), 5);
    let mut second = Unfinished::of(&target).unwrap();
    second.write(b"second").unwrap();
    assert!(matches!(second.finish(&target), Err(HostError::Exists(_))));
    assert_eq!(fs::read(&target).unwrap(), b"first");
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o600);
    assert!(!with_suffix(&target, UNFINISHED).exists());
}

#[test]
fn what_a_killed_program_left_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a");
    let left = with_suffix(&target, UNFINISHED);
    fs::write(&left, "a longer text than the next").unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o600)).unwrap();
    let mut next = Unfinished::of(&target).unwrap();
    assert!(matches!(Unfinished::of(&target), Err(HostError::Taken(_))));
    next.write(b"next").unwrap();
    next.finish(&target).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"next");
}

#[test]
fn planted_file_is_neither_followed_nor_truncated() {
    let folder = tempfile::tempdir().unwrap();
    let (target, victim) = (folder.path().join("a"), folder.path().join("victim"));
    let planted = with_suffix(&target, UNFINISHED);
    fs::write(&victim, "before").unwrap();
    symlink(&victim, &planted).unwrap();
    assert!(matches!(Unfinished::of(&target), Err(HostError::Link(_))));
    fs::remove_file(&planted).unwrap();
    fs::write(&planted, "planted").unwrap();
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(Unfinished::of(&target), Err(HostError::Open { .. })));
    assert_eq!(fs::read(&planted).unwrap(), b"planted");
    assert_eq!(fs::read(&victim).unwrap(), b"before");
}

#[test]
fn public_file_takes_the_place_of_a_planted_link() {
    let folder = tempfile::tempdir().unwrap();
    let (path, victim) = (folder.path().join("a"), folder.path().join("victim"));
    fs::write(&victim, "before").unwrap();
    symlink(&victim, &path).unwrap();
    replace_public(&path, b"page").unwrap();
    replace_public(&path, b"page").unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    assert_eq!(
        (fs::read(&path).unwrap(), fs::read(&victim).unwrap()),
        (b"page".to_vec(), b"before".to_vec())
    );
}

#[test]
fn file_that_was_replaced_is_not_finished() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a");
    let unfinished = Unfinished::of(&target).unwrap();
    let path = unfinished.path().to_owned();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another").unwrap();
    assert!(matches!(unfinished.finish(&target), Err(HostError::Replaced(_))));
    assert!(!target.exists() && path.exists());
}
