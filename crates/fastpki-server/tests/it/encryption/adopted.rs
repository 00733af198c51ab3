//! Databases of FastPKI 0.4.0, whatever their private keys lie under.

use std::{path::Path, process::Command};

use fastpki_testing::{Database, Kind};
use reqwest::StatusCode;
use serde_json::Value;

use super::{all_remembered, all_stored, fingerprint, opens, refusal, sealed, store, under};
use crate::harness::{Client, Server};

#[test]
fn plaintext_on_sqlite() {
    fastpki_testing::run(Kind::Sqlite, |database| Box::pin(plaintext(database)));
}

#[test]
fn plaintext_on_postgresql() {
    fastpki_testing::run(Kind::Postgresql, |database| Box::pin(plaintext(database)));
}

#[test]
fn released_on_sqlite() {
    fastpki_testing::run(Kind::Sqlite, |database| Box::pin(released(database)));
}

#[test]
fn released_on_postgresql() {
    fastpki_testing::run(Kind::Postgresql, |database| Box::pin(released(database)));
}

#[test]
fn encrypted_on_sqlite() {
    fastpki_testing::run(Kind::Sqlite, |database| Box::pin(encrypted(database)));
}

#[test]
fn encrypted_on_postgresql() {
    fastpki_testing::run(Kind::Postgresql, |database| Box::pin(encrypted(database)));
}

#[test]
fn two_keys_on_sqlite() {
    fastpki_testing::run(Kind::Sqlite, |database| Box::pin(two_keys(database)));
}

#[test]
fn two_keys_on_postgresql() {
    fastpki_testing::run(Kind::Postgresql, |database| Box::pin(two_keys(database)));
}

#[test]
fn mixed_on_sqlite() {
    fastpki_testing::run(Kind::Sqlite, |database| Box::pin(mixed(database)));
}

#[test]
fn mixed_on_postgresql() {
    fastpki_testing::run(Kind::Postgresql, |database| Box::pin(mixed(database)));
}

async fn plaintext(database: Database) {
    encrypted_at_first_start(&database, "plaintext").await;
}

async fn released(database: Database) {
    encrypted_at_first_start(&database, "released").await;
}

async fn encrypted_at_first_start(database: &Database, shape: &str) {
    let contents = load(database, shape).await;
    readable(database, &[], &contents).await;
    readable(database, &[KEY], &contents).await;
    lies_under(database, &[KEY]).await;
}

async fn encrypted(database: Database) {
    let contents = load(&database, "encrypted").await;
    let before = all_stored(&database).await;
    for keys in [&[][..], &[OTHER_KEY]] {
        names_all(&refusal(&database, keys).await, &contents, |_, _| true);
    }
    readable(&database, &[KEY], &contents).await;
    assert_eq!(all_stored(&database).await, before);
    // Rows of FastPKI 0.4 do not say what they lie under: they are asked each time.
    assert!(all_remembered(&database).await.iter().all(String::is_empty));
}

async fn two_keys(database: Database) {
    let contents = load(&database, "two_keys").await;
    let before = all_stored(&database).await;
    let error = refusal(&database, &[KEY]).await;
    let expected = "the private key of certificate 1 'www.example.com' cannot be decrypted";
    assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
    let error = refusal(&database, &[OTHER_KEY]).await;
    names_all(&error, &contents, |list, id| (list, id) != ("certificates", 1));
    names_all(&refusal(&database, &[]).await, &contents, |_, _| true);
    assert_eq!(all_stored(&database).await, before);
    readable(&database, &[KEY, OTHER_KEY], &contents).await;
    readable(&database, &[OTHER_KEY, KEY], &contents).await;
    assert_eq!(all_stored(&database).await, before);
}

async fn mixed(database: Database) {
    let contents = load(&database, "mixed").await;
    let before = all_stored(&database).await;
    for keys in [&[][..], &[OTHER_KEY]] {
        let error = refusal(&database, keys).await;
        names_all(&error, &contents, |list, id| {
            (list, id) == ("cas", 2) || (list, id) == ("certificates", 1)
        });
    }
    assert_eq!(all_stored(&database).await, before);
    readable(&database, &[OTHER_KEY, KEY], &contents).await;
    let remembered = all_remembered(&database).await;
    assert_eq!(remembered.iter().filter(|under| **under == fingerprint(OTHER_KEY)).count(), before.len() - 2);
    assert_eq!(remembered.iter().filter(|under| under.is_empty()).count(), 2);
    lies_under(&database, &[KEY, OTHER_KEY]).await;
}

/// Puts what FastPKI 0.4.0 wrote in place; on PostgreSQL its plaintext dump, encrypted as the file of that name is.
async fn load(database: &Database, shape: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fastpki-0.4.0");
    let read = |name: &str| serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    let of_release = if shape == "released" { "-released" } else { "" };
    if let Some(file) = database.file() {
        std::fs::copy(folder.join(format!("{shape}.db")), file).unwrap();
        return read(&format!("contents{of_release}.json"));
    }
    let dump = if shape == "released" { "released.pg.sql" } else { "plaintext.pg.sql" };
    let arguments = ["-q", "-v", "ON_ERROR_STOP=1", "-d", &database.url(), "-f"];
    let output = Command::new("psql").args(arguments).arg(folder.join(dump)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let contents: Value = read(&format!("contents{of_release}-pg.json"));
    for (list, id, pem) in private_keys(&contents) {
        let (ca_2, certificate_1) = ((list, id) == ("cas", 2), (list, id) == ("certificates", 1));
        let key = match shape {
            "encrypted" => Some(KEY),
            "two_keys" => Some(if certificate_1 { OTHER_KEY } else { KEY }),
            "mixed" => (ca_2 || certificate_1).then_some(KEY),
            _ => None,
        };
        if let Some(key) = key {
            let table = if list == "cas" { "certificate_authorities" } else { list };
            store(database, table, id, &sealed(key, &pem)).await;
        }
    }
    contents
}

/// Each private key: whether it is of `cas` or `certificates`, its id, its PEM.
fn private_keys(contents: &Value) -> Vec<(&'static str, i64, String)> {
    let mut keys = Vec::new();
    for list in ["cas", "certificates"] {
        for row in contents[list].as_object().unwrap().values() {
            if let Some(pem) = row["private_key"].as_str() {
                keys.push((list, row["id"].as_i64().unwrap(), pem.to_owned()));
            }
        }
    }
    assert!(keys.len() > 8);
    keys
}

/// A server starts, and gives out every private key that there was.
async fn readable(database: &Database, keys: &[&'static str], contents: &Value) {
    let server = Server::start(database, under(keys)).await;
    let root = database.peek("SELECT username FROM users WHERE role = 'SUPERUSER'").await.remove(0);
    let password = contents["password"].as_str().unwrap();
    let token = server.stranger().sign_in(&root, password).await.expect(StatusCode::OK);
    let root = Client { token: token["access_token"].as_str().map(str::to_owned), ..server.stranger() };
    for (list, id, pem) in private_keys(contents) {
        let path = format!("/api/v1/{list}/{id}/private-key");
        let detail = root.get(&path).await.expect(StatusCode::OK);
        assert_eq!(detail["private_key"], pem, "{list} {id}");
    }
    let survey = server.keys_at_rest(keys).await.survey().await.unwrap();
    assert_eq!(survey.total().count(), private_keys(contents).len() as u64);
    assert_eq!(survey.total().unreadable, 0);
    server.stop().await;
}

/// A refusal names those that are told, and no other.
#[track_caller]
fn names_all(error: &str, contents: &Value, named: fn(&str, i64) -> bool) {
    for (list, id, _) in private_keys(contents) {
        let kind = if list == "cas" { "CA" } else { "certificate" };
        let is_named = error.contains(&format!("the private key of {kind} {id} '"));
        assert_eq!(is_named, named(list, id), "{kind} {id}: {error}");
    }
}

async fn lies_under(database: &Database, keys: &[&str]) {
    for token in all_stored(database).await {
        assert!(keys.iter().any(|key| opens(key, &token)), "{token}");
    }
}

/// What `contents.json` says the databases were written under.
const KEY: &str = "6gZJ-vonVUSftEBVF5e-9k4WO3iuk1jxekieyNW7EW8=";
const OTHER_KEY: &str = "j9T9_dU7zTqxoo6rYmVt-v8ES-gySEbkMAoTPRj5wtI=";
