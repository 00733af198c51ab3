//! Two servers that start at once on one database in plaintext.

use fastpki_testing::{Database, Kind};
use reqwest::StatusCode;
use serde_json::json;

use super::{KEY, all_exported, all_stored, copy_certificate, entries, opens, small_world, under};
use crate::harness::{Options, Server};

#[test]
fn private_keys_are_encrypted_once_on_postgresql() {
    fastpki_testing::run(Kind::Postgresql, |database| {
        Box::pin(async move {
            let server = start_both(database).await;
            let root = server.sign_in("root").await;
            assert_eq!(entries(&root, "keys_encrypt").await.len(), 2);
            assert_eq!(entries(&root, "keys_wipe").await.len(), 1);
        })
    });
}

/// Here it may be done twice, and does no harm.
#[test]
fn private_keys_are_encrypted_on_sqlite() {
    fastpki_testing::run(Kind::Sqlite, |database| Box::pin(async move { drop(start_both(database).await) }));
}

/// Both serve, and everything is encrypted.
async fn start_both(database: Database) -> Server {
    let server = Server::start(&database, Options::default()).await;
    let root = server.superuser().await;
    small_world(&root).await;
    let exported = all_exported(&root).await;
    server.stop().await;
    copy_certificate(&database, 1, 1001, 300).await;
    let (one, two) =
        tokio::join!(Server::start(&database, under(&[KEY])), Server::start(&database, under(&[KEY])));
    let stored = all_stored(&database).await;
    assert_eq!(stored.len(), 304);
    assert!(stored.iter().all(|token| opens(KEY, token)));
    for (place, server) in [&one, &two].into_iter().enumerate() {
        server.stranger().get("/readyz").await.expect(StatusCode::OK);
        let root = server.sign_in("root").await;
        let detail = root.get("/api/v1/cas/1/private-key").await.expect(StatusCode::OK);
        assert_eq!(detail["private_key"], exported[0]);
        root.create_certificate(&json!({"id": 1}), &format!("new{place}.example.com"), json!({})).await;
    }
    one
}
