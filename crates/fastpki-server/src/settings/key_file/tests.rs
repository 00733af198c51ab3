use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use tempfile::TempDir;

use super::super::{
    Problem, Secret, Settings, read_key_file,
    tests::{load, problems},
};

const SETTING: &str = "PRIVATE_KEY_ENCRYPTION_KEY_FILE";
const KEY: &str = "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s=";
const ZERO_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A file with this text that its owner alone may read.
fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    fs::write(&path, text).unwrap();
    set_mode(&path, 0o600);
    (folder, path)
}

fn set_mode(path: &PathBuf, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn settings(path: &str) -> Settings {
    load(&[(SETTING, path)])
}

fn keys(text: &str) -> Vec<String> {
    let (_folder, path) = file(text);
    let settings = settings(path.to_str().unwrap());
    assert_eq!(settings.encryption_key_file.as_ref(), Some(&path));
    exposed(&settings.encryption_keys)
}

fn exposed(secrets: &[Secret]) -> Vec<String> {
    secrets.iter().map(|secret| secret.expose().to_owned()).collect()
}

/// The one problem with a file; reading the file anew finds the same.
#[track_caller]
fn problem(path: &str) -> String {
    let problems = problems(&[(SETTING, path)]);
    let [Problem { setting: SETTING, message }] = &problems[..] else { panic!("{problems:?}") };
    if !path.is_empty() {
        assert_eq!(read_key_file(path.as_ref()).err().as_ref(), problems.first());
    }
    message.clone()
}

#[track_caller]
fn problem_with(text: &str) -> (String, String) {
    let (_folder, path) = file(text);
    let path = path.to_str().unwrap();
    (problem(path), path.to_owned())
}

#[test]
fn every_line_is_a_key_in_its_order() {
    assert_eq!(keys(KEY), [KEY]);
    assert_eq!(keys(&format!("{ZERO_KEY}\n{KEY}\n")), [ZERO_KEY, KEY]);
    assert_eq!(keys(&format!("{KEY}\r\n{ZERO_KEY}\r\n")), [KEY, ZERO_KEY]);
    assert_eq!(keys(&KEY.replace('-', "+").replace('_', "/")), [KEY]);
}

#[test]
fn comments_and_blank_lines_are_passed_over() {
    let text = format!("# since the spring\n\n  {ZERO_KEY}  \n \t\n  # until then\n{KEY}\n#{KEY}\n");
    assert_eq!(keys(&text), [ZERO_KEY, KEY]);
}

#[test]
fn it_cannot_be_set_beside_the_keys_themselves() {
    let (_folder, path) = file(KEY);
    let both = problems(&[(SETTING, path.to_str().unwrap()), ("PRIVATE_KEY_ENCRYPTION_KEY", ZERO_KEY)]);
    let [problem] = &both[..] else { panic!("{both:?}") };
    assert_eq!(problem.setting, SETTING);
    assert_eq!(
        problem.message,
        "set beside PRIVATE_KEY_ENCRYPTION_KEY; set one of the two, with all keys in it"
    );
}

#[test]
fn set_but_empty_does_not_mean_off() {
    for blank in ["", "  "] {
        let problems = problems(&[(SETTING, blank)]);
        let [problem] = &problems[..] else { panic!("{problems:?}") };
        assert!(problem.message.starts_with("set but empty; name a file"), "{problem}");
        assert!(problem.message.contains("empty does not mean \"off\""), "{problem}");
    }
}

#[test]
fn file_that_is_missing_or_a_folder_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none");
    let message = problem(missing.to_str().unwrap());
    assert!(message.starts_with(&format!("{} cannot be read: ", missing.display())), "{message}");
    let message = problem(folder.path().to_str().unwrap());
    assert!(message.contains(" is not a file; name a file with one key a line"), "{message}");
}

#[test]
fn pipe_is_a_problem_and_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(problem(path.to_str().unwrap()).contains(" is not a file; "));
}

#[test]
fn file_of_another_user_is_refused() {
    let (folder, path) = file(KEY);
    set_mode(&path, 0o600);
    // Only root can give files away.
    if std::os::unix::fs::chown(&path, Some(65534), None).is_ok() {
        let message = problem(path.to_str().unwrap());
        assert!(message.contains("belongs to another user (uid 65534); give it to root"), "{message}");
    }
    drop(folder);
}

#[test]
fn file_that_others_may_read_or_change_is_refused_with_the_command_to_run() {
    let (_folder, path) = file(KEY);
    for mode in [0o644, 0o666, 0o604, 0o602, 0o601, 0o620, 0o660, 0o777] {
        set_mode(&path, mode);
        let message = problem(path.to_str().unwrap());
        assert!(message.contains("may be read, or changed, by others than its owner"), "{mode:o}: {message}");
        assert!(message.contains(&format!("run `chmod 600 {}`", path.display())), "{mode:o}: {message}");
        assert!(!message.contains(KEY));
    }
    for mode in [0o600, 0o400, 0o640, 0o440] {
        set_mode(&path, mode);
        assert_eq!(exposed(&settings(path.to_str().unwrap()).encryption_keys), [KEY], "{mode:o}");
        assert_eq!(exposed(&read_key_file(&path).unwrap()), [KEY], "{mode:o}");
    }
}

#[test]
fn line_that_is_no_key_is_named_by_its_number_alone() {
    for (text, line) in
        [(format!("{KEY}\n\n# comment\nhush\n{ZERO_KEY}\n"), 4), (format!("{}\n", &KEY[1..]), 1)]
    {
        let (message, path) = problem_with(&text);
        assert!(
            message.starts_with(&format!("line {line} of {path} is not the base64 of 32 bytes; ")),
            "{message}"
        );
        assert!(message.contains("fastpki keys generate"), "{message}");
        assert!(!message.contains("hush") && !message.contains(&KEY[1..40]), "{message}");
    }
}

#[test]
fn second_key_in_a_line_is_not_passed_over() {
    for text in [format!("{KEY},{ZERO_KEY}\n"), format!("{KEY} {ZERO_KEY}\n")] {
        let (_folder, path) = file(&text);
        let read = read_key_file(&path).map(|keys| exposed(&keys));
        assert!(read.is_err(), "{read:?}");
    }
}

#[test]
fn file_without_a_key_is_a_problem() {
    for text in ["", "\n \n", "# nothing but a comment\n"] {
        let (message, path) = problem_with(text);
        assert!(message.starts_with(&format!("{path} holds no key; ")), "{message}");
        assert!(message.contains("fastpki keys generate"), "{message}");
    }
}

#[test]
fn file_that_is_too_large_or_no_text_is_a_problem() {
    let at_most = format!("{KEY}\n#{}", "x".repeat(64 * 1024 - KEY.len() - 2));
    assert_eq!(keys(&at_most), [KEY]);
    let (message, _) = problem_with(&format!("{at_most}x"));
    assert!(message.contains("is larger than 65536 bytes; name a file with one key a line"), "{message}");
    let (_folder, path) = file("");
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(problem(path.to_str().unwrap()).contains("cannot be read"));
}

#[test]
fn relative_path_is_taken_from_the_working_folder() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = PathBuf::from(folder.path().file_name().unwrap()).join("keys");
    fs::write(&path, KEY).unwrap();
    set_mode(&path, 0o600);
    assert_eq!(exposed(&settings(path.to_str().unwrap()).encryption_keys), [KEY]);
}

#[test]
fn file_is_read_anew_each_time() {
    let (_folder, path) = file(KEY);
    assert_eq!(exposed(&read_key_file(&path).unwrap()), [KEY]);
    fs::write(&path, format!("{ZERO_KEY}\n{KEY}\n")).unwrap();
    assert_eq!(exposed(&read_key_file(&path).unwrap()), [ZERO_KEY, KEY]);
}
