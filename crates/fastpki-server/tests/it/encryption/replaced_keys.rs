//! Encryption keys that are replaced while the server serves.

use fastpki_engine::{Error, FernetKey};
use reqwest::StatusCode;
use serde_json::json;

use super::{KEY, OTHER, all_exported, all_stored, opens, sealed, small_world, store, stored, under};
use crate::harness::{Server, on_one_server};

on_one_server! {
    new_first_key_is_used_at_once,
    key_that_is_still_needed_stays_in_use,
    key_that_is_not_needed_goes,
    encryption_cannot_be_taken_away_from_encrypted_keys,
    first_key_of_a_plaintext_database_is_used_at_once,
}

async fn replace(server: &Server, keys: &[&str]) -> Result<(), Error> {
    let keys = keys.iter().map(|key| FernetKey::parse(key).unwrap()).collect();
    server.engine.replace_encryption_keys(keys).await
}

/// Private keys of every kind under a key, on a server that has that key.
async fn under_one_key(server: Server) -> Server {
    let server = server.restart(under(&[KEY])).await;
    small_world(&server.superuser().await).await;
    server
}

async fn new_first_key_is_used_at_once(server: Server) {
    let server = under_one_key(server).await;
    let root = server.sign_in("root").await;
    let exported = all_exported(&root).await;
    replace(&server, &[OTHER, KEY]).await.unwrap();
    root.create_ca("New", json!({})).await;
    assert!(opens(OTHER, &stored(&server.database, "certificate_authorities", 2).await));
    let now = all_exported(&root).await;
    assert!(exported.iter().all(|key| now.contains(key)));
    server.stranger().get("/readyz").await.expect(StatusCode::OK);
}

async fn key_that_is_still_needed_stays_in_use(server: Server) {
    let server = under_one_key(server).await;
    let root = server.sign_in("root").await;
    let exported = all_exported(&root).await;
    let error = replace(&server, &[OTHER]).await.err().unwrap().to_string();
    for name in ["CA 1 'Issuing CA'", "certificate 1 'ec.example.com'", "certificate 3 'rsa.example.com'"] {
        assert!(error.contains(name), "{error}");
    }
    assert!(!error.contains(KEY) && !error.contains(OTHER), "{error}");
    assert_eq!(all_exported(&root).await, exported);
    server.stranger().get("/readyz").await.expect(StatusCode::OK);
    root.create_certificate(&json!({"id": 1}), "new.example.com", json!({})).await;
}

async fn key_that_is_not_needed_goes(server: Server) {
    let server = under_one_key(server).await;
    let root = server.sign_in("root").await;
    let exported = all_exported(&root).await;
    replace(&server, &[OTHER, KEY]).await.unwrap();
    server.keys_at_rest(&[OTHER, KEY]).await.rotate().await.unwrap();
    replace(&server, &[OTHER]).await.unwrap();
    assert_eq!(all_exported(&root).await, exported);
    // It is gone: what lies under it cannot be read any more.
    store(&server.database, "certificates", 1, &sealed(KEY, &exported[1])).await;
    let answer = root.get("/api/v1/certificates/1/private-key").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    replace(&server, &[OTHER, KEY]).await.unwrap();
    root.get("/api/v1/certificates/1/private-key").await.expect(StatusCode::OK);
}

async fn encryption_cannot_be_taken_away_from_encrypted_keys(server: Server) {
    let server = under_one_key(server).await;
    let root = server.sign_in("root").await;
    let exported = all_exported(&root).await;
    let error = replace(&server, &[]).await.err().unwrap().to_string();
    assert!(error.contains("CA 1 'Issuing CA'"), "{error}");
    assert_eq!(all_exported(&root).await, exported);
    root.create_ca("New", json!({})).await;
    assert!(all_stored(&server.database).await.iter().all(|token| opens(KEY, token)));
}

async fn first_key_of_a_plaintext_database_is_used_at_once(server: Server) {
    let root = server.superuser().await;
    small_world(&root).await;
    let exported = all_exported(&root).await;
    replace(&server, &[KEY]).await.unwrap();
    root.create_ca("New", json!({})).await;
    assert!(opens(KEY, &stored(&server.database, "certificate_authorities", 2).await));
    let now = all_exported(&root).await;
    assert!(exported.iter().all(|key| now.contains(key)));
    // The rest is encrypted at the next start.
    let server = server.restart(under(&[KEY])).await;
    assert!(all_stored(&server.database).await.iter().all(|token| opens(KEY, token)));
}
