//! Private keys at rest: how they lie in the database, what a start does to them, and who notices a change.

mod adopted;
mod at_rest;
mod refusal;
mod replaced_keys;
mod sentences;
mod several;
mod tampering;
mod traces;

use fastpki_engine::{Clock, FernetKey, SystemClock};
use fastpki_testing::Database;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, Options, Server};

const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const OTHER: &str = "6gZJ-vonVUSftEBVF5e-9k4WO3iuk1jxekieyNW7EW8=";
const THIRD: &str = "j9T9_dU7zTqxoo6rYmVt-v8ES-gySEbkMAoTPRj5wtI=";

fn under(keys: &[&'static str]) -> Options {
    Options { encryption_keys: keys.to_vec(), ..Options::default() }
}

fn fingerprint(key: &str) -> String {
    FernetKey::parse(key).unwrap().fingerprint().to_string()
}

/// A token of this text, as FastPKI 0.4 would store it.
fn sealed(key: &str, text: &str) -> String {
    FernetKey::parse(key).unwrap().encrypt(text.as_bytes(), SystemClock.now())
}

/// Whether this key, alone, opens the token.
fn opens(key: &str, token: &str) -> bool {
    FernetKey::parse(key).unwrap().decrypt(token).is_ok()
}

/// The private key of a row, as it lies.
async fn stored(database: &Database, table: &str, id: i64) -> String {
    let sql = format!("SELECT COALESCE(private_key, '') FROM {table} WHERE id = {id}");
    database.peek(&sql).await.remove(0)
}

/// Every private key as it lies, those of CAs first, by id.
async fn all_stored(database: &Database) -> Vec<String> {
    let mut keys = Vec::new();
    for table in TABLES {
        let sql = format!("SELECT private_key FROM {table} WHERE private_key IS NOT NULL ORDER BY id");
        keys.extend(database.peek(&sql).await);
    }
    keys
}

/// What every row with a private key remembers of the key it lies under.
async fn all_remembered(database: &Database) -> Vec<String> {
    let mut remembered = Vec::new();
    for table in TABLES {
        let sql = format!(
            "SELECT COALESCE(encryption_key_fingerprint, '') FROM {table} WHERE private_key IS NOT NULL ORDER BY id"
        );
        remembered.extend(database.peek(&sql).await);
    }
    remembered
}

/// Stores another private key in a row, behind the program's back.
async fn store(database: &Database, table: &str, id: i64, key: &str) {
    database.script(&format!("UPDATE {table} SET private_key = '{key}' WHERE id = {id}")).await;
}

/// Adds copies of a row, with ids from `first` on and serial numbers of their own.
async fn copy_certificate(database: &Database, id: i64, first: i64, count: i64) {
    let last = first + count - 1;
    database
        .script(&format!(
            "WITH RECURSIVE ids (new) AS (SELECT {first} UNION ALL SELECT new + 1 FROM ids WHERE new < {last})
             INSERT INTO certificates (id, serial_number, common_name, {COPIED})
             SELECT new, 'c0ffee' || new, 'copy ' || new, {COPIED} FROM certificates, ids WHERE id = {id}"
        ))
        .await;
}

/// A CA with a certificate for each kind of key, and one whose key is not kept.
async fn small_world(root: &Client) -> Value {
    let ca = root.create_ca("Issuing CA", json!({})).await;
    for (name, key_type) in
        [("ec.example.com", "ec"), ("ed.example.com", "ed25519"), ("rsa.example.com", "rsa")]
    {
        root.create_certificate(&ca, name, json!({"key_type": key_type})).await;
    }
    root.create_certificate(&ca, "none.example.com", json!({"include_private_key": false})).await;
    ca
}

/// Every private key that the API gives out, those of CAs first, by id.
async fn all_exported(client: &Client) -> Vec<String> {
    let mut keys = Vec::new();
    for list in ["cas", "certificates"] {
        let rows = client.get(&format!("/api/v1/{list}/?limit=1000")).await.expect(StatusCode::OK);
        let mut ids: Vec<i64> =
            rows.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
        ids.sort_unstable();
        for id in ids {
            let path = format!("/api/v1/{list}/{id}/private-key");
            let detail = client.get(&path).await.expect(StatusCode::OK);
            keys.extend(detail["private_key"].as_str().map(str::to_owned));
        }
    }
    keys
}

/// The audit entries of one action, oldest first, as a superuser reads them.
async fn entries(client: &Client, action: &str) -> Vec<Value> {
    let log = client.get(&format!("/api/v1/audit-logs/?action={action}&limit=1000")).await;
    let mut entries = log.expect(StatusCode::OK).as_array().unwrap().clone();
    entries.reverse();
    entries
}

/// How many audit entries there are of everything that is done to private keys at rest.
async fn entries_of_keys(client: &Client) -> usize {
    let mut count = 0;
    for action in ["keys_encrypt", "keys_rotate", "keys_decrypt", "keys_verify", "keys_retire", "keys_wipe"] {
        count += entries(client, action).await.len();
    }
    count
}

/// Why a server does not start on a database.
async fn refusal(database: &Database, keys: &[&'static str]) -> String {
    match Server::try_start(database, under(keys)).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

const TABLES: [&str; 2] = ["certificate_authorities", "certificates"];
/// The columns of a certificate that its copy has too.
const COPIED: &str = "subject_dn, certificate_type, key_size, valid_days, status, created_at, updated_at,
    private_key, certificate, not_before, not_after, issuer_id, organization_id, created_by_user_id,
    is_csr_origin, key_type, encryption_key_fingerprint";
