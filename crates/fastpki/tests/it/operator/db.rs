//! `fastpki db`.

use std::fs;

use fastpki_testing::{Database, Kind, on_both_databases};
use serde_json::json;

use super::operate;
use crate::program::{Site, run};

on_both_databases! {
    status_tells_the_schema_and_changes_nothing,
    migrate_makes_what_a_server_finds_in_order,
    another_programs_database_is_refused,
}

#[test]
fn status_makes_no_file() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    let ran = operate(&site, &["db", "status"], &[], "");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("there is no database yet"), "{ran:?}");
    assert_eq!(names(&site), [""; 0]);
    operate(&site, &["db", "migrate"], &[], "");
    assert_eq!(names(&site), ["fastpki.db"]);
    let before = fs::read(site.folder.path().join("fastpki.db")).expect("a file");
    let ran = operate(&site, &["db", "status"], &[], "");
    assert!(ran.stdout.contains("up to date"), "{ran:?}");
    assert_eq!(names(&site), ["fastpki.db"]);
    assert_eq!(fs::read(site.folder.path().join("fastpki.db")).expect("a file"), before);
}

async fn status_tells_the_schema_and_changes_nothing(database: Database) {
    let site = Site::of(database);
    let status = || operate(&site, &["db", "status", "--output", "json"], &[], "").json();
    // An empty database: on SQLite, no file at all.
    assert_eq!(status()["schema"], "none");
    operate(&site, &["db", "migrate"], &[], "");
    let current = status();
    assert_eq!((&current["schema"], &current["pending"]), (&json!("fastpki"), &json!([])));
    assert_eq!(current["version"], current["newest"]);
    // While a server runs too.
    let server = site.serve(&[]);
    assert_eq!(status(), current);
    server.stop();
    site.database.script("DELETE FROM fastpki_migrations WHERE version > 2").await;
    let behind = status();
    assert_eq!(behind["version"], 2);
    assert_eq!(behind["pending"][0], json!({"version": 3, "name": "encryption_keys"}));
    site.database.script("DROP TABLE fastpki_migrations").await;
    let inherited = status();
    assert_eq!((&inherited["schema"], &inherited["version"]), (&json!("fastpki-0.4"), &json!(1)));
    assert_eq!(status(), inherited, "it changed nothing");
}

async fn migrate_makes_what_a_server_finds_in_order(database: Database) {
    let site = Site::of(database);
    let ran = operate(&site, &["db", "migrate"], &[], "");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("made the database, at version "), "{ran:?}");
    let ran = operate(&site, &["db", "migrate"], &[], "");
    assert!(ran.stdout.contains("already"), "{ran:?}");
    site.serve(&[]).stop();
}

async fn another_programs_database_is_refused(database: Database) {
    database.script("CREATE TABLE recipes (id INTEGER PRIMARY KEY)").await;
    let site = Site::of(database);
    for command in ["status", "migrate"] {
        let ran = operate(&site, &["db", command], &[], "");
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains("tables that are not FastPKI's (recipes)"), "{ran:?}");
    }
}

fn names(site: &Site) -> Vec<String> {
    let entries = fs::read_dir(site.folder.path()).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
