use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Options, Server, on_both_databases};

on_both_databases! {
    new_keys_are_encrypted_before_they_are_stored,
    keys_are_decrypted_transparently,
    without_a_key_private_keys_are_plaintext,
    plaintext_keys_are_encrypted_at_the_next_start,
    wrong_key_refuses_to_start_and_names_the_resource,
    missing_key_refuses_to_start,
    first_key_encrypts_and_all_decrypt,
}

const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const OTHER: &str = "6gZJ-vonVUSftEBVF5e-9k4WO3iuk1jxekieyNW7EW8=";
const STORED: &str =
    "SELECT private_key FROM certificate_authorities UNION ALL SELECT private_key FROM certificates";

fn under(keys: &[&'static str]) -> Options {
    Options { encryption_keys: keys.to_vec(), ..Options::default() }
}

async fn new_keys_are_encrypted_before_they_are_stored(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    root.create_certificate(&ca, "www.example.com", json!({})).await;
    let stored = server.database.peek(STORED).await;
    assert_eq!(stored.len(), 2);
    for key in stored {
        assert!(key.starts_with("gAAAAA"), "{key}");
    }
}

async fn keys_are_decrypted_transparently(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let certificate = root.create_certificate(&ca, "www.example.com", json!({})).await;
    let server = server.restart(under(&[KEY])).await;
    let root = server.sign_in("root").await;
    for (path, expected) in [("cas/1", &ca), ("certificates/1", &certificate)] {
        let detail = root.get(&format!("/api/v1/{path}/private-key")).await.expect(StatusCode::OK);
        assert_eq!(detail["private_key"], expected["private_key"]);
    }
    root.create_certificate(&ca, "other.example.com", json!({})).await;
    server.stranger().get("/readyz").await.expect(StatusCode::OK);
}

async fn without_a_key_private_keys_are_plaintext(server: Server) {
    let root = server.superuser().await;
    root.create_ca("Root", json!({})).await;
    let lines = server.database.peek(STORED).await;
    assert!(lines[0].starts_with("-----BEGIN PRIVATE KEY-----"), "{}", lines[0]);
}

async fn plaintext_keys_are_encrypted_at_the_next_start(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    root.create_certificate(&ca, "www.example.com", json!({})).await;
    root.create_certificate(&ca, "none.example.com", json!({"include_private_key": false})).await;
    let server = server.restart(under(&[KEY])).await;
    let stored = server.database.peek("SELECT private_key FROM certificate_authorities UNION ALL SELECT private_key FROM certificates WHERE private_key IS NOT NULL").await;
    assert_eq!(stored.len(), 2);
    assert!(stored.iter().all(|key| key.starts_with("gAAAAA")));
    let root = server.sign_in("root").await;
    let detail = root.get("/api/v1/cas/1/private-key").await.expect(StatusCode::OK);
    assert_eq!(detail["private_key"], ca["private_key"]);
    // Nor does any of it lie about in the file, while the server runs.
    if let Some(file) = server.database.file() {
        for suffix in ["", "-wal"] {
            let bytes = std::fs::read(format!("{}{suffix}", file.display())).unwrap();
            let found = bytes.windows(17).any(|window| window == b"BEGIN PRIVATE KEY");
            assert!(!found, "a private key lies in plaintext in the file{suffix}");
        }
    }
}

async fn wrong_key_refuses_to_start_and_names_the_resource(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    server.superuser().await.create_ca("Issuing CA", json!({})).await;
    let database = server.database.clone();
    let before = database.peek(STORED).await;
    let error = server.try_restart(under(&[OTHER])).await.err().unwrap().to_string();
    assert!(error.contains("CA 1 'Issuing CA'") && error.contains("PRIVATE_KEY_ENCRYPTION_KEY"), "{error}");
    assert!(!error.contains(OTHER) && !error.contains(KEY));
    assert_eq!(database.peek(STORED).await, before);
}

async fn missing_key_refuses_to_start(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    root.create_certificate(&ca, "www.example.com", json!({})).await;
    let error = server.try_restart(Options::default()).await.err().unwrap().to_string();
    assert!(error.contains("PRIVATE_KEY_ENCRYPTION_KEY is not set"), "{error}");
}

async fn first_key_encrypts_and_all_decrypt(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    let ca = root.create_ca("Old", json!({})).await;
    let server = server.restart(under(&[OTHER, KEY])).await;
    let root = server.sign_in("root").await;
    let detail = root.get("/api/v1/cas/1/private-key").await.expect(StatusCode::OK);
    assert_eq!(detail["private_key"], ca["private_key"]);
    root.create_ca("New", json!({})).await;
    let error = server.try_restart(under(&[KEY])).await.err().unwrap().to_string();
    assert!(error.contains("CA 2 'New'"), "{error}");
}
