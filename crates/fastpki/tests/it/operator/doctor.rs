//! `fastpki doctor`.

use std::{fs, os::unix::fs::PermissionsExt};

use fastpki_testing::{Database, Kind, on_both_databases};
use serde_json::Value;

use super::{operate, users::create};
use crate::{
    keys::fixture::{Issued, NEW, OLD, store, under},
    program::{Site, run},
};

on_both_databases! {
    all_is_well_while_a_server_runs_and_when_it_does_not,
    unreadable_keys_are_an_error_and_plaintext_is_a_warning,
    schema_that_is_behind_is_a_warning,
    ca_that_ends_and_crl_that_is_over_are_warnings,
    superuser_who_is_locked_out_is_an_error,
}

#[test]
fn every_setting_that_is_wrong_is_an_error() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    let ran = operate(&site, &["doctor"], &[("CERT_DAYS", "0"), ("FASTPKI_LISTEN", "nowhere")], "");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("error    settings: CERT_DAYS: less than 1"), "{ran:?}");
    assert!(ran.stdout.contains("error    settings: FASTPKI_LISTEN:"), "{ran:?}");
    assert!(ran.stdout.ends_with("2 errors, 0 warnings\n"), "{ran:?}");
}

#[test]
fn nothing_is_made() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    let ran = operate(&site, &["doctor"], &[], "");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("warning  database: there is none yet"), "{ran:?}");
    assert_eq!(operate(&site, &["doctor", "--strict"], &[], "").code, 1);
    assert_eq!(fs::read_dir(site.folder.path()).expect("a folder").count(), 0);
}

#[test]
fn file_that_others_may_read_is_an_error() {
    let site = run(async { Site::of(Database::create(Kind::Sqlite).await) });
    create(&site, "alice", "superuser", &[]);
    let file = site.folder.path().join("fastpki.db");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a file");
    let (code, found) = diagnose(&site, &[], WELL);
    assert_eq!((code, level(&found, "database file")), (1, "error"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a file");
    let (code, found) = diagnose(&site, &[], WELL);
    assert_eq!((code, level(&found, "database file")), (0, "warning"));
}

async fn all_is_well_while_a_server_runs_and_when_it_does_not(database: Database) {
    let site = Site::of(database);
    let server = site.serve(WELL);
    let client = crate::program::Client::first(&server.base_url).await;
    let ca = client.create_ca().await;
    client.issue(ca).await.expect("an answer");
    for arguments in [&["--strict"][..], &["--strict", "--all-keys"]] {
        let (code, found) = diagnose(&site, arguments, WELL);
        assert_eq!((code, &found["level"]), (0, &Value::from("ok")), "{found:#}");
    }
    server.stop();
    let (code, found) = diagnose(&site, &["--strict"], WELL);
    assert_eq!(code, 0, "{found:#}");
    for subject in
        ["settings", "PUBLIC_URL", "database", "schema", "users", "private keys", "clock", "CAs", "CRLs"]
    {
        assert_eq!(level(&found, subject), "ok", "{subject}");
    }
}

async fn unreadable_keys_are_an_error_and_plaintext_is_a_warning(database: Database) {
    let site = Site::of(database);
    let issued = Issued::first(&site, &under(OLD), 2).await;
    let (code, found) = diagnose(&site, &[], &under(NEW));
    assert_eq!((code, level(&found, "private keys")), (1, "error"));
    let pem = issued.certificates[0]["private_key"].as_str().expect("a key").to_owned();
    store(&site, 1, &pem).await;
    let (code, found) = diagnose(&site, &[], &under(OLD));
    assert_eq!((code, level(&found, "encryption at rest")), (0, "warning"), "{found:#}");
    assert!(found.to_string().contains("1 of 3 private keys lie in plaintext"), "{found:#}");
}

async fn schema_that_is_behind_is_a_warning(database: Database) {
    let site = Site::of(database);
    create(&site, "alice", "superuser", &[]);
    site.database.script("DELETE FROM fastpki_migrations WHERE version > 3").await;
    let (code, found) = diagnose(&site, &[], &[]);
    assert_eq!((code, level(&found, "schema")), (0, "warning"));
    site.database.script("INSERT INTO fastpki_migrations VALUES (99, 'later', '2030-01-01 00:00:00')").await;
    let (code, found) = diagnose(&site, &[], &[]);
    assert_eq!((code, level(&found, "database")), (1, "error"));
    assert!(found.to_string().contains("written by a newer version"), "{found:#}");
}

async fn ca_that_ends_and_crl_that_is_over_are_warnings(database: Database) {
    let site = Site::of(database);
    let server = site.serve(&[("CA_CERT_DAYS", "30")]);
    let client = crate::program::Client::first(&server.base_url).await;
    client.create_ca().await;
    let crl = reqwest::get(format!("{}/crl/root-1", server.base_url)).await.expect("an answer");
    assert!(crl.status().is_success());
    server.stop();
    site.database.script("UPDATE fastpki_crls SET next_update = '2026-01-02 00:00:00'").await;
    let (code, found) = diagnose(&site, &[], WELL);
    assert_eq!((code, level(&found, "CAs"), level(&found, "CRLs")), (0, "warning", "warning"), "{found:#}");
    assert!(found.to_string().contains("and all that it issued with it"), "{found:#}");
    assert!(found.to_string().contains("/crl/root-1 makes a new one"), "{found:#}");
}

async fn superuser_who_is_locked_out_is_an_error(database: Database) {
    let site = Site::of(database);
    operate(&site, &["db", "migrate"], &[], "");
    let (code, found) = diagnose(&site, &[], &[]);
    assert_eq!((code, level(&found, "users")), (0, "warning"));
    create(&site, "alice", "superuser", &[]);
    site.database.script("UPDATE users SET is_active = FALSE").await;
    let (code, found) = diagnose(&site, &[], &[]);
    assert_eq!((code, level(&found, "users")), (1, "error"));
}

/// What the command exits with and prints.
fn diagnose(site: &Site, arguments: &[&str], settings: &[(&str, &str)]) -> (i32, Value) {
    let ran = operate(site, &[&["doctor", "--output", "json"], arguments].concat(), settings, "");
    (ran.code, ran.json())
}

/// The worst of what is found about a subject.
fn level<'a>(found: &'a Value, subject: &str) -> &'a str {
    let findings = found["findings"].as_array().expect("a list").iter();
    let about = findings.filter(|finding| finding["subject"] == subject);
    let levels: Vec<&str> = about.map(|finding| finding["level"].as_str().expect("a level")).collect();
    ["error", "warning", "ok"].into_iter().find(|level| levels.contains(level)).expect("it was looked at")
}

/// Settings that there is nothing to say about.
const WELL: &[(&str, &str)] =
    &[("PUBLIC_URL", "http://pki.example.com"), ("PRIVATE_KEY_ENCRYPTION_KEY", OLD)];
