//! Backups and restores that are killed: at each step between their renames, and while PostgreSQL's programs run.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fastpki_testing::{Database, Kind, on_both_databases};

use super::{backup::check, operate, users::create};
use crate::program::{PROGRAM, Site, run, text};

on_both_databases! {
    backup_killed_at_any_step_is_made_by_the_next,
}

async fn backup_killed_at_any_step_is_made_by_the_next(database: Database) {
    let site = Site::of(database);
    create(&site, "alice", "superuser", &[]);
    let own_secret = keep_a_secret(&site);
    let (file, secret) = (site.folder.path().join("b"), site.folder.path().join("b.secret-key"));
    let mut kills = 0;
    for step in steps() {
        if !killed_at(&site, &step, own_secret, &["backup", "b"]) {
            continue;
        }
        kills += 1;
        if !file.exists() {
            let made = finish(&site, own_secret, &["backup", "b"]);
            assert_eq!(made, (Some(0), String::new()), "{step}");
        }
        assert_eq!(secret.exists(), own_secret, "{step}");
        assert!(unfinished(&site).is_empty(), "{step}: {:?}", unfinished(&site));
        check(&site, &file);
        fs::remove_file(&file).expect("a backup");
        let _ = fs::remove_file(&secret);
    }
    // Each of two files, or the one, is synced and renamed, and its folder synced.
    assert!(kills >= if own_secret { 6 } else { 3 }, "{kills}");
}

#[test]
fn restore_killed_at_any_step_is_made_by_the_next() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    create(&site, "alice", "superuser", &[]);
    let own_secret = keep_a_secret(&site);
    assert_eq!(finish(&site, own_secret, &["backup", "b"]).0, Some(0));
    let file = site.folder.path().join("fastpki.db");
    let secret = site.folder.path().join("fastpki.db.secret-key");
    let mut kills = 0;
    for step in steps() {
        fs::remove_file(&file).expect("a database");
        fs::remove_file(&secret).expect("a secret key");
        kills += usize::from(killed_at(&site, &step, own_secret, &["restore", "b"]));
        if !file.exists() {
            assert_eq!(finish(&site, own_secret, &["restore", "b"]), (Some(0), String::new()), "{step}");
        }
        assert_eq!(finish(&site, own_secret, &["db", "status"]).0, Some(0), "{step}");
        assert_eq!(fs::read(&secret).expect("a secret key"), SECRET.as_bytes(), "{step}");
        assert!(unfinished(&site).is_empty(), "{step}: {:?}", unfinished(&site));
    }
    assert!(kills >= 6, "{kills}");
}

#[test]
fn secret_key_of_another_backup_is_not_taken_for_this_ones() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    create(&site, "alice", "superuser", &[]);
    assert!(keep_a_secret(&site));
    let beside = site.folder.path().join("b.secret-key");
    private(&beside, "another key, of another backup, and as long");
    let (code, stderr) = finish(&site, true, &["backup", "b"]);
    assert!(
        code == Some(1) && stderr.contains("b.secret-key is there already, and is not the same as"),
        "{stderr}"
    );
    assert!(stderr.contains("choose another name, or move it away"), "{stderr}");
    assert!(!site.folder.path().join("b").exists());
}

#[test]
fn pg_dump_ends_with_a_backup_that_is_killed() {
    run(dump_ends_with_its_parent("KILL"));
}

#[test]
fn pg_dump_ends_with_a_backup_that_is_told_to_stop() {
    run(dump_ends_with_its_parent("TERM"));
}

#[test]
fn pg_restore_ends_with_a_restore_that_is_killed() {
    run(restore_ends_with_its_parent("KILL"));
}

#[test]
fn pg_restore_ends_with_a_restore_that_is_told_to_stop() {
    run(restore_ends_with_its_parent("TERM"));
}

#[test]
fn nothing_but_postgresqls_programs_is_run_for_a_parent_that_lives() {
    let (own, other) = (std::process::id().to_string(), "1".to_owned());
    for (parent, program, words) in [
        (&own, "sh", "not one of PostgreSQL's"),
        (&other, "pg_dump", "has ended"),
        (&own, "/bin/pg_dump", "not one"),
    ] {
        let arguments = ["__bound", parent, program, "--version"];
        let output = Command::new(PROGRAM).args(arguments).output().expect("the program starts");
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(126), String::new()), "{output:?}");
        assert!(text(&output.stderr).contains(words), "{output:?}");
    }
}

async fn dump_ends_with_its_parent(signal: &str) {
    let database = Database::create(Kind::Postgresql).await;
    let site = Site::of(database.clone());
    create(&site, "alice", "superuser", &[]);
    // What pg_dump waits for.
    let holder = connect(&database).await;
    holder.batch_execute("BEGIN; LOCK TABLE audit_logs IN ACCESS EXCLUSIVE MODE").await.expect("a lock");
    end_while_it_waits(&site, &["backup", "b"], signal).await;
    holder.batch_execute("ROLLBACK").await.expect("no lock");
    // Only a program that is killed leaves something behind.
    assert_eq!(unfinished(&site).is_empty(), signal == "TERM");
    assert_eq!(operate(&site, &["backup", "b"], &[], "").code, 0);
    assert!(unfinished(&site).is_empty());
    database.remove().await;
}

async fn restore_ends_with_its_parent(signal: &str) {
    let from = Database::create(Kind::Postgresql).await;
    let site = Site::of(from.clone());
    create(&site, "alice", "superuser", &[]);
    assert_eq!(operate(&site, &["backup", "b"], &[], "").code, 0);
    let database = Database::create(Kind::Postgresql).await;
    let other = Site { database: database.clone(), ..site };
    // What pg_restore waits for: whether there will be a table of this name.
    let holder = connect(&database).await;
    holder.batch_execute("BEGIN; CREATE TABLE organizations (id INTEGER)").await.expect("a table");
    end_while_it_waits(&other, &["restore", "b"], signal).await;
    holder.batch_execute("ROLLBACK").await.expect("no table");
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'fastpki'";
    within(async || database.peek(others).await == ["0"]).await;
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = CAST('public' AS regnamespace)";
    assert_eq!(database.peek(tables).await, ["0"], "nothing went on to be restored");
    assert_eq!(operate(&other, &["restore", "b"], &[], "").code, 0);
    database.remove().await;
    from.remove().await;
}

/// Starts a command that waits for a lock through a program of PostgreSQL's, and ends it: the program ends too.
async fn end_while_it_waits(site: &Site, arguments: &[&str], signal: &str) {
    let path = std::env::var("PATH").expect("a path");
    let child = site.command(arguments, &[("PATH", &path)]).spawn().expect("the program starts");
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    within(async || site.database.peek(waiting).await == ["1"]).await;
    let programs = children_of(child.id());
    assert_eq!(programs.len(), 1, "{programs:?}");
    let (code, stderr) = tell(child, signal);
    match signal {
        "TERM" => {
            assert!(code == Some(1) && stderr.contains("stopped by SIGTERM before it was done"), "{stderr}")
        }
        _ => assert_eq!(code, None),
    }
    within(async || programs.iter().all(|program| parent_of(*program).is_none())).await;
}

fn tell(child: Child, signal: &str) -> (Option<i32>, String) {
    let kill = format!("kill -{signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), text(&output.stderr))
}

/// The processes that this one started and that run.
pub(super) fn children_of(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| parent_of(*id) == Some(parent)).collect()
}

/// The parent of a process that runs; none where it has ended, even if nobody has asked how yet.
fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(parent)
}

/// Waits until it is so.
async fn within(mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "it does not become so");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn connect(database: &Database) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// Before each rename, and before each sync of a file or a folder: the first of the kind, the second, and so on.
fn steps() -> impl Iterator<Item = String> {
    let numbered = |call: &'static str| (1..=6).map(move |at| format!("{call}:signal=SIGKILL:when={at}"));
    numbered("renameat2").chain(numbered("fsync"))
}

/// Runs the program with `kill -9` at a step; whether it came there.
fn killed_at(site: &Site, step: &str, own_secret: bool, arguments: &[&str]) -> bool {
    let mut command = Command::new("strace");
    // Without -f: the first thread alone, and no program of PostgreSQL's.
    command.args(["-qq", "-o", "/dev/null", "-e", "trace=renameat2,fsync", "-e"]);
    command.arg(format!("inject={step}")).arg(PROGRAM).args(arguments).current_dir(site.folder.path());
    for (name, value) in site.command(arguments, &[]).get_envs() {
        match value.filter(|_| !(own_secret && name == "SECRET_KEY")) {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.stdin(Stdio::null()).output().expect("strace starts");
    let killed = output.status.signal() == Some(9);
    assert!(killed || output.status.success(), "{step}: {output:?}");
    if !killed {
        // It came to its end before this step: as if nothing had been tried.
        for name in [arguments[1].to_owned(), format!("{}.secret-key", arguments[1])] {
            if arguments[0] == "backup" {
                let _ = fs::remove_file(site.folder.path().join(name));
            }
        }
    }
    killed
}

/// Runs the program to its end: its exit code and what it complained of.
fn finish(site: &Site, own_secret: bool, arguments: &[&str]) -> (Option<i32>, String) {
    let path = std::env::var("PATH").expect("a path");
    let mut command = site.command(arguments, &[("PATH", &path)]);
    if own_secret {
        command.env_remove("SECRET_KEY");
    }
    let output = command.output().expect("the program starts");
    (output.status.code(), text(&output.stderr))
}

/// On SQLite, a secret key as a server keeps that it made itself; whether there is one.
fn keep_a_secret(site: &Site) -> bool {
    let Some(file) = site.database.file() else { return false };
    private(&file.with_extension("db.secret-key"), SECRET);
    true
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a file of ours");
}

/// The names of files that were not finished.
fn unfinished(site: &Site) -> Vec<String> {
    let entries = fs::read_dir(site.folder.path()).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("unfinished")).collect()
}

const SECRET: &str = "0123456789012345678901234567890123456789";
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
