//! Keys of a running server: in its memory, and in a file that it reads again.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::PathBuf,
    process::Command,
    time::Instant,
};

use fastpki_testing::{Database, Kind, on_both_databases};
use serde_json::json;

use super::fixture::{BOTH, Issued, NEW, NEW_FINGERPRINT, OLD, OLD_FINGERPRINT, stored, under};
use crate::program::{Client, PROGRAM, Server, Site, run};

on_both_databases! {
    key_file_serves_servers_and_commands,
    new_key_in_front_of_the_file_encrypts_after_sighup,
    key_that_is_needed_stays_in_use_when_it_leaves_the_file,
    key_file_open_to_others_changes_nothing,
}

#[test]
fn sighup_without_a_key_file_ends_nothing() {
    let server = Server::start(&[]);
    assert!(server.hang_up().contains("PRIVATE_KEY_ENCRYPTION_KEY_FILE is not set"));
    run(Client::first(&server.base_url));
    server.stop();
}

#[test]
fn server_leaves_no_core_dump_and_its_memory_to_nobody() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    let folder = site.folder.path();
    let program = folder.join("program");
    fs::copy(PROGRAM, &program).expect("a copy that another user can run");
    // All files of a process that may not be dumped belong to root; to tell, its user must be another.
    let is_root = fs::metadata("/proc/self").expect("a process").uid() == 0;
    let as_nobody: &[&str] = if is_root { &AS_NOBODY } else { &["env"] };
    let user = if is_root { NOBODY } else { fs::metadata("/proc/self").expect("a process").uid() };
    if is_root {
        chown(folder, Some(NOBODY), Some(NOBODY)).expect("root may do that");
    }
    let command = |program: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", RAISE_LIMIT, "sh"]).args(as_nobody).args(program);
        command
    };
    let server = site.serve_by(&mut command(&[program.to_str().expect("text"), "serve"]), &under(OLD));

    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).expect("its limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"]);
    let owner = |id: u32| fs::metadata(format!("/proc/{id}/environ")).expect("a process").uid();
    assert_eq!(owner(server.id()), 0);
    // Another program of the same user is its own.
    let mut other = command(&["sleep", "60"]).spawn().expect("a process");
    let begun = Instant::now();
    while owner(other.id()) != user
        || fs::read(format!("/proc/{}/comm", other.id())).ok().as_deref() != Some(b"sleep\n")
    {
        assert!(begun.elapsed().as_secs() < 30, "owned by {}", owner(other.id()));
        std::thread::yield_now();
    }
    other.kill().and_then(|()| other.wait()).expect("it ends");
    server.stop();
}

async fn key_file_serves_servers_and_commands(database: Database) {
    let site = Site::of(database);
    let file = KeyFile::holding(&site, &[OLD]);
    let issued = Issued::first(&site, &file.setting(), 2).await;
    assert!(stored(&site).await.iter().all(|key| key.starts_with("gAAAAA")));
    assert_eq!(site.keys_json(&["verify"], &under(OLD))["encrypted"], 3);
    file.write(&[NEW, OLD]);
    assert_eq!(site.keys_json(&["rotate"], &file.setting())["keys"], 3);
    file.write(&[NEW]);
    let server = site.serve(&file.setting());
    issued.are_exported(&server).await;
    server.stop();

    fs::set_permissions(&file.path, Permissions::from_mode(0o644)).expect("a file of ours");
    let ran = site.keys(&["status"], &file.setting());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("PRIVATE_KEY_ENCRYPTION_KEY_FILE") && ran.stderr.contains("chmod 600"),
        "{ran:?}"
    );
}

async fn new_key_in_front_of_the_file_encrypts_after_sighup(database: Database) {
    let site = Site::of(database);
    let file = KeyFile::holding(&site, &[OLD]);
    let mut issued = Issued::first(&site, &file.setting(), 2).await;
    let server = site.serve(&file.setting());
    file.write(&[NEW, OLD]);
    let line = server.hang_up();
    assert!(
        line.contains("INFO") && line.contains(&format!("{} {}", NEW_FINGERPRINT, OLD_FINGERPRINT)),
        "{line}"
    );
    issued.more(&server, 1).await;
    let certificates = site.keys_json(&["status"], &file.setting())["tables"]["certificates"].clone();
    assert_eq!(certificates["under"], json!({NEW_FINGERPRINT: 1, OLD_FINGERPRINT: 2}));

    // And once nothing needs the old key, it may go, and nobody is asked to start anew.
    site.keys_json(&["rotate"], &file.setting());
    file.write(&[NEW]);
    let line = server.hang_up();
    assert!(
        line.contains("INFO") && line.contains(NEW_FINGERPRINT) && !line.contains(OLD_FINGERPRINT),
        "{line}"
    );
    issued.are_exported(&server).await;
    server.stop();
}

async fn key_that_is_needed_stays_in_use_when_it_leaves_the_file(database: Database) {
    let site = Site::of(database);
    let file = KeyFile::holding(&site, &[OLD]);
    let mut issued = Issued::first(&site, &file.setting(), 2).await;
    let server = site.serve(&file.setting());
    file.write(&[NEW]);
    let line = server.hang_up();
    assert!(line.contains("ERROR") && line.contains("stay in use"), "{line}");
    assert!(line.contains("CA 1 'Root'") && line.contains(OLD_FINGERPRINT), "{line}");
    issued.are_exported(&server).await;
    issued.more(&server, 1).await;
    issued.are_exported(&server).await;
    server.stop();
    let under = site.keys_json(&["status"], &under(BOTH))["tables"]["certificates"]["under"].clone();
    assert_eq!(under, json!({NEW_FINGERPRINT: 1, OLD_FINGERPRINT: 2}));
}

async fn key_file_open_to_others_changes_nothing(database: Database) {
    let site = Site::of(database);
    let file = KeyFile::holding(&site, &[OLD]);
    let mut issued = Issued::first(&site, &file.setting(), 1).await;
    let server = site.serve(&file.setting());
    file.write(&[NEW]);
    fs::set_permissions(&file.path, Permissions::from_mode(0o644)).expect("a file of ours");
    for break_file in
        [|_: &KeyFile| (), |file: &KeyFile| file.write(&["no key"]), |file: &KeyFile| file.remove()]
    {
        break_file(&file);
        let line = server.hang_up();
        assert!(line.contains("ERROR") && line.contains("the encryption keys stay as they were"), "{line}");
        assert!(!line.contains("no key") && !line.contains(NEW), "{line}");
    }
    issued.more(&server, 1).await;
    issued.are_exported(&server).await;
    server.stop();
    assert_eq!(site.keys_json(&["verify"], &under(OLD))["encrypted"], 3);
}

/// A file of encryption keys, which its owner alone can read.
struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    fn holding(site: &Site, keys: &[&str]) -> Self {
        let file = Self { path: site.folder.path().join("keys") };
        file.write(keys);
        fs::set_permissions(&file.path, Permissions::from_mode(0o600)).expect("a file of ours");
        file
    }

    fn write(&self, keys: &[&str]) {
        let lines = format!("# the first encrypts\n\n{}\n", keys.join("\n"));
        fs::write(&self.path, lines).expect("a folder of ours");
    }

    fn remove(&self) {
        fs::remove_file(&self.path).expect("a folder of ours");
    }

    fn setting(&self) -> [(&str, &str); 1] {
        [("PRIVATE_KEY_ENCRYPTION_KEY_FILE", self.path.to_str().expect("text"))]
    }
}

const NOBODY: u32 = 65534;
const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
/// As far as the limit may be raised, so that it is the program that lowers it.
const RAISE_LIMIT: &str = r#"ulimit -c "$(ulimit -H -c)"; exec "$@""#;
