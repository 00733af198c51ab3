//! Files that somebody else put where the program writes or reads its own: nothing is followed, written or waited for.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use fastpki_testing::{Database, Kind, on_both_databases};

use super::{operate, users::create};
use crate::program::{Ran, Site, run, text};

on_both_databases! {
    nothing_planted_is_written_by_a_backup,
}

async fn nothing_planted_is_written_by_a_backup(database: Database) {
    let site = Site::of(database);
    create(&site, "alice", "superuser", &[]);
    each_planted(&site, "b.unfinished", |_| operate(&site, &["backup", "b"], &[], ""));
    assert_eq!(operate(&site, &["backup", "b"], &[], "").code, 0);
    // A backup that never ends.
    pipe(&site.folder.path().join("pipe"));
    let ran = operate(&site, &["restore", "pipe"], &[], "");
    assert!(ran.code == 1 && ran.stderr.contains("pipe is not a regular file"), "{ran:?}");
}

#[test]
fn nothing_planted_is_written_beside_a_backup_or_a_restored_database() {
    let site = of_its_own_secret();
    each_planted(&site, "b.db.secret-key.unfinished", |_| without_secret(&site, &["backup", "b.db"]));
    assert_eq!(without_secret(&site, &["backup", "b.db"]).code, 0);
    for name in ["fastpki.db", "fastpki.db.secret-key"] {
        fs::remove_file(site.folder.path().join(name)).expect("a file");
    }
    for name in ["fastpki.db.secret-key.unfinished", "fastpki.db.unfinished"] {
        each_planted(&site, name, |_| without_secret(&site, &["restore", "b.db"]));
    }
    assert_eq!(without_secret(&site, &["restore", "b.db"]).code, 0);
}

#[test]
fn secret_key_that_was_planted_is_not_used() {
    let site = of_its_own_secret();
    let secret = site.folder.path().join("fastpki.db.secret-key");
    fs::remove_file(&secret).expect("a file");
    each_planted(&site, "fastpki.db.secret-key", |planted| {
        let ran = serve(&site);
        assert!(planted.symlink_metadata().is_ok(), "it stays for its operator to look at");
        ran
    });
    each_planted(&site, "fastpki.db.secret-key.unfinished", |_| serve(&site));
    assert!(!secret.exists());
}

#[test]
fn database_that_was_planted_is_not_used() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    let file = site.folder.path().join("fastpki.db");
    let target = site.folder.path().join("elsewhere.db");
    for command in
        [&["db", "migrate"][..], &["db", "status"], &["keys", "status"], &["doctor"], &["backup", "b"]]
    {
        pipe(&file);
        let ran = operate(&site, command, &[], "");
        assert!(
            ran.code == 1 && (ran.stdout.clone() + &ran.stderr).contains("fastpki.db is not a regular file"),
            "{ran:?}"
        );
        fs::remove_file(&file).expect("a pipe");
    }
    symlink(&target, &file).expect("a link");
    let ran = operate(&site, &["db", "migrate"], &[], "");
    assert!(ran.code == 1 && ran.stderr.contains("link to a file that is not there"), "{ran:?}");
    assert!(!target.exists());
    // An operator may well have it elsewhere.
    fs::write(&target, "").expect("a file");
    assert_eq!(operate(&site, &["db", "migrate"], &[], "").code, 0);
}

#[test]
fn manual_pages_take_the_place_of_planted_links() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    let (folder, victim) = (site.folder.path().join("man1"), site.folder.path().join("victim"));
    fs::create_dir(&folder).expect("a folder");
    fs::write(&victim, "before").expect("a file");
    symlink(&victim, folder.join("fastpki-backup.1")).expect("a link");
    assert_eq!(operate(&site, &["man", "man1"], &[], "").code, 0);
    assert_eq!(fs::read_to_string(&victim).expect("a file"), "before");
    assert!(fs::read_to_string(folder.join("fastpki-backup.1")).expect("a page").contains("backup"));
}

/// Plants a link, a file that everybody may change, and a pipe under this name, one after the other: each is refused by
/// its name with what to do, and stays as it was.
fn each_planted(site: &Site, name: &str, act: impl Fn(&Path) -> Ran) {
    let (path, victim) = (site.folder.path().join(name), site.folder.path().join("victim"));
    let content = "0123456789012345678901234567890123456789";
    fs::write(&victim, content).expect("a file");
    let plants: [(Plant, &str); 3] = [
        (|path, victim| symlink(victim, path).expect("a link"), "is a symbolic link"),
        (
            |path, victim| {
                fs::copy(victim, path).expect("a file");
                fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("a file of ours");
            },
            "has mode 666",
        ),
        (|path, _| pipe(path), "is not a regular file"),
    ];
    for (plant, words) in plants {
        plant(&path, &victim);
        let ran = act(&path);
        assert_eq!(ran.code, 1, "{name} {words}: {ran:?}");
        assert!(ran.stderr.contains(&format!("{name} {words}")), "{name} {words}: {ran:?}");
        assert!(ran.stderr.contains("who put it there") || ran.stderr.contains("chmod 600"), "{ran:?}");
        if words != "is not a regular file" {
            assert_eq!(fs::read_to_string(&path).expect("a file"), content);
        }
        fs::remove_file(&path).expect("a file");
    }
    fs::remove_file(&victim).expect("a file");
}

/// Puts something under a name, by which it would reach another file.
type Plant = fn(&Path, &Path);

/// A site whose server made its own secret key.
fn of_its_own_secret() -> Site {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    let ran = without_secret(&site, &["db", "migrate"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let kept = site.folder.path().join("fastpki.db.secret-key");
    fs::write(&kept, "0123456789012345678901234567890123456789").expect("a file");
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).expect("a file of ours");
    site
}

/// Tries to serve.
fn serve(site: &Site) -> Ran {
    let mut command = site.command(&["serve"], &[("FASTPKI_LISTEN", "127.0.0.1:0")]);
    ran(command.env_remove("SECRET_KEY"))
}

fn without_secret(site: &Site, arguments: &[&str]) -> Ran {
    ran(site.command(arguments, &[]).env_remove("SECRET_KEY"))
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("the program starts");
    let code = output.status.code().expect("it ends by itself");
    Ran { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo starts").success());
}
