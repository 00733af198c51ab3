//! `fastpki backup` and `fastpki restore`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fastpki_testing::{Database, Kind, on_both_databases};

use super::{operate, users::create};
use crate::{
    keys::fixture::{Issued, OLD, under},
    program::{Client, Ran, Site, kill_rounds, run},
};

on_both_databases! {
    backup_under_load_is_restored_whole,
    backup_of_a_killed_program_bears_no_backups_name,
    nothing_is_overwritten,
    what_is_no_backup_of_ours_is_not_restored,
}

#[test]
fn secret_key_that_the_server_made_goes_with_its_database() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    let own = [("SECRET_KEY", "")];
    let without = |arguments: &[&str]| {
        let mut command = site.command(arguments, &own);
        let output = command.env_remove("SECRET_KEY").output().expect("the program starts");
        assert!(output.status.success(), "{output:?}");
    };
    without(&["db", "migrate"]);
    let kept = site.folder.path().join("fastpki.db.secret-key");
    fs::write(&kept, "0123456789012345678901234567890123456789").expect("a file");
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).expect("a file of ours");
    without(&["backup", "b.db"]);
    let beside = site.folder.path().join("b.db.secret-key");
    assert_eq!(fs::read(&beside).expect("a file"), fs::read(&kept).expect("a file"));
    assert_eq!(mode(&beside), 0o600);
    fs::remove_file(site.folder.path().join("fastpki.db")).expect("a file");
    fs::remove_file(&kept).expect("a file");
    without(&["restore", "b.db"]);
    assert_eq!(fs::read(&beside).expect("a file"), fs::read(&kept).expect("a file"));
    assert_eq!(mode(&kept), 0o600);
}

#[test]
fn damaged_backup_is_not_restored() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    create(&site, "alice", "superuser", &[]);
    assert_eq!(operate(&site, &["backup", "b.db"], &[], "").code, 0);
    let path = site.folder.path().join("b.db");
    let mut bytes = fs::read(&path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xaa);
    fs::write(&path, bytes).expect("a file");
    fs::remove_file(site.folder.path().join("fastpki.db")).expect("a file");
    let ran = operate(&site, &["restore", "b.db"], &[], "");
    assert!(ran.code == 1 && ran.stderr.contains("damaged"), "{ran:?}");
    assert!(!site.folder.path().join("fastpki.db").exists());
}

async fn backup_under_load_is_restored_whole(database: Database) {
    let site = Site::of(database);
    let server = site.serve(&under(OLD));
    let client = Client::first(&server.base_url).await;
    let ca = client.create_ca().await;
    let over = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (client, over) = (client.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    client.issue(ca).await.expect("an answer");
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = client.get("/certificates/?limit=1000").await;
    let made = backup(&site, "b");
    assert_eq!(made.code, 0, "{made:?}");
    over.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("a worker");
    }
    server.stop();
    let file = site.folder.path().join("b");
    assert_eq!(mode(&file), 0o600);

    let other = Site::of(Database::create(kind(&site)).await);
    let restored = operate(&other, &["restore", &file.display().to_string()], &[], "");
    assert_eq!(restored.code, 0, "{restored:?}");
    assert_eq!(operate(&other, &["db", "status"], &[], "").code, 0);
    let verified = other.keys_json(&["verify"], &under(OLD));
    assert_eq!(verified["unreadable"]["count"], 0);
    let server = other.serve(&under(OLD));
    let client = client.of(&server);
    for certificate in before.as_array().expect("a list") {
        let found = client.get(&format!("/certificates/{}", certificate["id"])).await;
        assert_eq!(found["certificate"], certificate["certificate"]);
    }
    assert!(client.issue(ca).await.is_some(), "ids and serial numbers go on");
    server.stop();
    other.database.clone().remove().await;
}

async fn backup_of_a_killed_program_bears_no_backups_name(database: Database) {
    let site = Site::of(database);
    Issued::first(&site, &[], 3).await;
    // Enough to be killed in the middle of.
    let (many, text) = match site.database.file() {
        Some(_) => (
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000)",
            "hex(randomblob(4000))",
        ),
        None => ("WITH n AS (SELECT generate_series(1, 3000) AS x)", "repeat(md5(random()::text), 250)"),
    };
    let insert = format!("CREATE TABLE filler AS {many} SELECT x, {text} AS t FROM n");
    site.database.script(&insert).await;
    let file = site.folder.path().join("b");
    let path = std::env::var("PATH").expect("a path");
    for round in 0..kill_rounds() * 3 {
        let mut child =
            site.command(&["backup", "b"], &[("PATH", &path)]).spawn().expect("the program starts");
        tokio::time::sleep(Duration::from_millis(5 + round * 23 % 250)).await;
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        if file.exists() {
            check(&site, &file);
            fs::remove_file(&file).expect("a file");
        }
    }
    let made = backup(&site, "b");
    assert_eq!(made.code, 0, "{made:?}");
    check(&site, &file);
    assert!(!site.folder.path().join("b.unfinished").exists());
}

async fn nothing_is_overwritten(database: Database) {
    let site = Site::of(database);
    let ran = backup(&site, "b");
    assert!(
        ran.code == 1
            && (ran.stderr.contains("there is no database") || ran.stderr.contains("not this program's")),
        "{ran:?}"
    );
    create(&site, "alice", "superuser", &[]);
    assert_eq!(backup(&site, "b").code, 0);
    let ran = backup(&site, "b");
    assert!(ran.code == 1 && ran.stderr.contains("b is there already"), "{ran:?}");
    let ran = operate(&site, &["restore", "b"], &[], "");
    assert!(ran.code == 1 && ran.stderr.contains("nothing is overwritten"), "{ran:?}");
    assert_eq!(site.database.peek("SELECT username FROM users").await, ["alice"]);
    if let Some(file) = site.database.file() {
        fs::remove_file(&file).expect("a file");
        fs::write(file.with_extension("db-wal"), "left").expect("a file");
        let ran = operate(&site, &["restore", "b"], &[], "");
        assert!(ran.code == 1 && ran.stderr.contains("fastpki.db-wal is there already"), "{ran:?}");
        assert!(!file.exists());
    }
}

async fn what_is_no_backup_of_ours_is_not_restored(database: Database) {
    let other = Database::create(match &database {
        Database::Sqlite(_) => Kind::Sqlite,
        Database::Postgresql { .. } => Kind::Postgresql,
    })
    .await;
    let site = Site::of(database);
    fs::write(site.folder.path().join("text"), "not a backup").expect("a file");
    let ran = operate(&site, &["restore", "text"], &[], "");
    assert_eq!(ran.code, 1, "{ran:?}");
    let ran = operate(&site, &["restore", "nowhere"], &[], "");
    assert!(ran.code == 1 && ran.stderr.contains("nowhere cannot be read"), "{ran:?}");
    // A dump of another program's.
    let foreign = Site::of(other);
    foreign.database.script("CREATE TABLE recipes (id INTEGER PRIMARY KEY)").await;
    let dump = site.folder.path().join("foreign");
    match foreign.database.file() {
        Some(file) => drop(fs::copy(file, &dump).expect("a copy")),
        None => {
            let dumped = std::process::Command::new("pg_dump")
                .args(["--format=custom", "--file"])
                .arg(&dump)
                .arg(foreign.database.url())
                .status();
            assert!(dumped.expect("pg_dump starts").success());
        }
    }
    let ran = operate(&site, &["restore", "foreign"], &[], "");
    assert!(ran.code == 1 && ran.stderr.contains("no backup of this program's"), "{ran:?}");
    assert_eq!(operate(&site, &["db", "status", "--output", "json"], &[], "").json()["schema"], "none");
    foreign.database.clone().remove().await;
}

/// Makes a backup here.
fn backup(site: &Site, file: &str) -> Ran {
    operate(site, &["backup", file], &[], "")
}

/// A backup is whole.
pub(super) fn check(site: &Site, file: &Path) {
    let kind = kind(site);
    let shown = file.display().to_string();
    let other = std::thread::spawn(move || {
        run(async {
            let other = Site::of(Database::create(kind).await);
            let ran = operate(&other, &["restore", &shown], &[], "");
            other.database.clone().remove().await;
            ran
        })
    });
    let ran = other.join().expect("a restore");
    assert_eq!(ran.code, 0, "{ran:?}");
}

fn kind(site: &Site) -> Kind {
    if site.database.file().is_some() { Kind::Sqlite } else { Kind::Postgresql }
}

fn mode(file: &PathBuf) -> u32 {
    fs::metadata(file).expect("a file").permissions().mode() & 0o777
}
