//! Files that somebody else put where the program writes or reads its own: nothing is followed, written or waited for.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use fastpki_testing::{Database, Kind, on_both_databases};

use super::{
    killed::{PATIENCE, children_of},
    operate,
    users::create,
};
use crate::program::{PROGRAM, Ran, Site, run, text};

on_both_databases! {
    nothing_planted_is_written_by_a_backup,
    backup_is_not_written_into_a_file_that_takes_its_name,
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

async fn backup_is_not_written_into_a_file_that_takes_its_name(database: Database) {
    let site = Site::of(database);
    create(&site, "alice", "superuser", &[]);
    planted_while_it_stands_still(&site, &["backup", "b"], "b");
    assert_eq!(operate(&site, &["backup", "b"], &[], "").code, 0);
}

#[test]
fn database_is_not_restored_into_a_file_that_takes_its_name() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    create(&site, "alice", "superuser", &[]);
    assert_eq!(operate(&site, &["backup", "b"], &[], "").code, 0);
    fs::remove_file(site.folder.path().join("fastpki.db")).expect("a file");
    planted_while_it_stands_still(&site, &["restore", "b"], "fastpki.db");
    assert_eq!(operate(&site, &["restore", "b"], &[], "").code, 0);
}

/// Stops the program when it has made its file, gives that file's name to another one, and lets the program go on:
/// nothing is written into the other file.
fn planted_while_it_stands_still(site: &Site, arguments: &[&str], target: &str) {
    let folder = site.folder.path();
    let (unfinished, own) = (folder.join(format!("{target}.unfinished")), folder.join("own"));
    let log = folder.join("calls");
    fs::write(&own, "").expect("a file");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o666)).expect("a file of ours");
    let planted = fs::File::open(&own).expect("a file");
    let mut command = Command::new("strace");
    // Without -f: the first thread alone. It makes the file empty as the last thing before others write it.
    command.args(["-e", "trace=ftruncate", "-e", "inject=ftruncate:signal=SIGSTOP:when=1", "-o"]);
    command.arg(&log).arg(PROGRAM).args(arguments).current_dir(folder).env_clear();
    command.envs(site.command(arguments, &[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", std::env::var_os("PATH").expect("a path")).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("strace starts");
    let begun = Instant::now();
    while !fs::read_to_string(&log).is_ok_and(|log| log.contains("stopped by SIGSTOP")) {
        assert!(begun.elapsed() < PATIENCE, "it does not stop");
        std::thread::sleep(Duration::from_millis(10));
    }
    fs::rename(&own, &unfinished).expect("another file under its name");
    let program = children_of(child.id());
    assert_eq!(program.len(), 1, "{program:?}");
    let go_on = format!("kill -CONT {}", program[0]);
    assert!(Command::new("sh").args(["-c", &go_on]).status().expect("a shell").success());
    let output = child.wait_with_output().expect("it ends");
    let stderr = text(&output.stderr);
    assert!(!output.status.success() && stderr.contains("was replaced while it was written"), "{stderr}");
    assert_eq!(planted.metadata().expect("a file").len(), 0);
    assert!(!folder.join(target).exists());
    for left in [&unfinished, &log] {
        let _ = fs::remove_file(left);
    }
}

#[test]
fn nothing_planted_is_written_beside_a_backup_or_a_restored_database() {
    let site = of_its_own_secret();
    each_planted(&site, "b.db.secret-key.unfinished", |_| without_secret(&site, &["backup", "b.db"]));
    let journal = site.folder.path().join("b.db.unfinished-journal");
    symlink("nowhere", &journal).expect("a link");
    let ran = without_secret(&site, &["backup", "b.db"]);
    assert!(ran.code == 1 && ran.stderr.contains("unfinished-journal is a symbolic link"), "{ran:?}");
    fs::remove_file(&journal).expect("a link");
    assert_eq!(without_secret(&site, &["backup", "b.db"]).code, 0);
    for name in ["fastpki.db", "fastpki.db.secret-key"] {
        fs::remove_file(site.folder.path().join(name)).expect("a file");
    }
    for name in ["fastpki.db.secret-key.unfinished", "fastpki.db.unfinished"] {
        each_planted(&site, name, |_| without_secret(&site, &["restore", "b.db"]));
    }
    let log = site.folder.path().join("fastpki.db.unfinished-wal");
    symlink("nowhere", &log).expect("a link");
    let ran = without_secret(&site, &["restore", "b.db"]);
    assert!(ran.code == 1 && ran.stderr.contains("unfinished-wal is a symbolic link"), "{ran:?}");
    fs::remove_file(&log).expect("a link");
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
fn backup_without_the_secret_key_does_not_look_whole() {
    let site = of_its_own_secret();
    let secret = site.folder.path().join("fastpki.db.secret-key");
    fs::remove_file(&secret).expect("a file");
    symlink("nowhere", &secret).expect("a link");
    let ran = without_secret(&site, &["backup", "b"]);
    assert!(ran.code == 1 && ran.stderr.contains("fastpki.db.secret-key is a symbolic link"), "{ran:?}");
    assert!(!site.folder.path().join("b").exists());
    fs::remove_file(&secret).expect("a link");
    let ran = without_secret(&site, &["backup", "b"]);
    assert!(ran.code == 0 && ran.stdout.contains("no secret key was found"), "{ran:?}");
}

#[test]
fn settings_of_others_are_not_read() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    let path = site.folder.path().join(".env");
    let commands = [&["serve"][..], &["db", "status"], &["backup", "b"], &["keys", "status"], &["doctor"]];
    let refused = |words: &str| {
        for command in commands {
            let ran = operate(&site, command, &[], "");
            assert!(ran.code != 0 && ran.stderr.contains(words), "{command:?}: {ran:?}");
        }
    };
    pipe(&path);
    refused(".env is not a regular file");
    fs::remove_file(&path).expect("a pipe");
    fs::write(&path, "DATABASE_URL=sqlite:///other.db").expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("a file of ours");
    refused(".env has mode 666");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a file of ours");
    assert_eq!(operate(&site, &["db", "status"], &[], "").code, 0);
    // Only root can give files away.
    if std::os::unix::fs::chown(&path, Some(65534), None).is_ok() {
        refused(".env belongs to another user (uid 65534)");
        std::os::unix::fs::chown(&path, Some(0), None).expect("a file of ours");
    }
    // An operator may well have it elsewhere.
    fs::rename(&path, site.folder.path().join("settings")).expect("a file");
    symlink("settings", &path).expect("a link");
    assert_eq!(operate(&site, &["db", "status"], &[], "").code, 0);
    fs::write(&path, "#".repeat(200_000)).expect("a file");
    refused(".env is larger than");
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
    let ran = serve(&site);
    assert!(ran.code == 1 && ran.stderr.contains("link to a file that is not there"), "{ran:?}");
    assert!(!site.folder.path().join("fastpki.db.secret-key").exists(), "no key for no database");
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
