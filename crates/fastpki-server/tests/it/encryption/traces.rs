//! Once private keys are encrypted, nothing of them lies about in the database's files.

use std::collections::HashSet;

use fastpki_engine::Traces;
use fastpki_testing::{Database, Kind};
use serde_json::json;

use super::{KEY, OTHER, all_stored, copy_certificate, small_world, under};
use crate::harness::{Options, Server, on_one_server};

on_one_server! {
    nothing_of_a_private_key_is_left_in_plaintext,
    nothing_is_left_of_a_token_under_the_old_key,
    nothing_is_left_of_deleted_certificates_either,
    nothing_is_left_in_the_statistics_of_the_database,
}

async fn nothing_of_a_private_key_is_left_in_plaintext(server: Server) {
    let (server, traces) = many_in_plaintext(server).await;
    assert!(found(&server.database, &traces).await > 300);
    let server = server.restart(under(&[KEY])).await;
    // While it runs, and afterwards.
    assert_eq!(found(&server.database, &traces).await, 0);
    let database = server.database.clone();
    server.stop().await;
    assert_eq!(found(&database, &traces).await, 0);
}

async fn nothing_is_left_of_a_token_under_the_old_key(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    small_world(&server.superuser().await).await;
    for (id, first) in [(1, 1001), (2, 2001), (3, 3001)] {
        copy_certificate(&server.database, id, first, 100).await;
    }
    let traces = fragments(&all_stored(&server.database).await);
    assert!(found(&server.database, &traces).await > 300);
    let stored = server.keys_at_rest(&[OTHER, KEY]).await.rotate().await.unwrap();
    assert_eq!(stored.traces, Traces::Wiped);
    assert_eq!(found(&server.database, &traces).await, 0);
}

async fn nothing_is_left_of_deleted_certificates_either(server: Server) {
    let (server, traces) = many_in_plaintext(server).await;
    // By a program that overwrites nothing, as FastPKI 0.4.
    server.database.script("DELETE FROM certificates WHERE id > 1000 AND id % 3 > 0").await;
    assert!(found(&server.database, &traces).await > 300);
    let server = server.restart(under(&[KEY])).await;
    assert_eq!(found(&server.database, &traces).await, 0);
}

async fn nothing_is_left_in_the_statistics_of_the_database(server: Server) {
    let (server, traces) = many_in_plaintext(server).await;
    // What autovacuum does by itself, sooner or later.
    server.database.script("ANALYZE").await;
    let server = server.restart(under(&[KEY])).await;
    assert_eq!(found(&server.database, &traces).await, 0);
}

#[test]
fn nothing_is_left_after_a_transaction_that_was_open_in_the_same_postgresql_database() {
    fastpki_testing::run(Kind::Postgresql, |database| {
        Box::pin(async move { nothing_is_left_beside_a_transaction(&database, &database).await })
    });
}

#[test]
fn nothing_is_left_after_a_transaction_that_was_open_in_another_postgresql_database() {
    fastpki_testing::run(Kind::Postgresql, |database| {
        Box::pin(async move {
            let other = Database::create(Kind::Postgresql).await;
            nothing_is_left_beside_a_transaction(&database, &other).await;
            other.remove().await;
        })
    });
}

/// PostgreSQL keeps dead rows for a transaction that was open when they died.
async fn nothing_is_left_beside_a_transaction(database: &Database, busy: &Database) {
    let (server, traces) = many_in_plaintext(Server::start(database, Options::default()).await).await;
    server.stop().await;
    let busy = busy.clone();
    let transaction = tokio::spawn(async move { busy.script(TRANSACTION).await });
    let others =
        format!("SELECT pid FROM pg_stat_activity WHERE query = '{TRANSACTION}' AND backend_xid IS NOT NULL");
    while database.peek(&others).await.is_empty() {}
    let server = Server::start(database, under(&[KEY])).await;
    assert_eq!(found(database, &traces).await, 0);
    transaction.await.unwrap();
    server.stop().await;
}

/// A database in plaintext with more than 300 private keys of every kind, and the traces that they would leave.
async fn many_in_plaintext(server: Server) -> (Server, HashSet<[u8; LENGTH]>) {
    let root = server.superuser().await;
    let ca = small_world(&root).await;
    root.create_ca("Sub", json!({"parent_ca_id": ca["id"]})).await;
    for (id, first) in [(1, 1001), (2, 2001), (3, 3001)] {
        copy_certificate(&server.database, id, first, 110).await;
    }
    let keys = all_stored(&server.database).await;
    assert_eq!(keys.len(), 335);
    let mut traces = fragments(&keys);
    // A certificate tells the public half of its key, in the same base64 where they happen to be aligned.
    let certificates = "SELECT certificate FROM certificate_authorities
                        UNION ALL SELECT certificate FROM certificates WHERE id < 1000";
    for certificate in server.database.peek(certificates).await {
        for window in certificate.as_bytes().windows(LENGTH) {
            traces.remove(window);
        }
    }
    (server, traces)
}

/// Every aligned fragment of the base64 of these keys.
fn fragments(keys: &[String]) -> HashSet<[u8; LENGTH]> {
    let lines = keys.iter().flat_map(|key| key.lines()).filter(|line| !line.starts_with("-----"));
    let fragments = lines.flat_map(|line| line.as_bytes().chunks_exact(LENGTH));
    fragments.map(|fragment| fragment.try_into().unwrap()).collect()
}

/// How many fragments stand in the files of a database, wherever they begin.
async fn found(database: &Database, traces: &HashSet<[u8; LENGTH]>) -> usize {
    let mut found = 0;
    for file in files(database).await {
        let mut run = 0;
        for (place, byte) in file.iter().enumerate() {
            run = if byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte) { run + 1 } else { 0 };
            if run >= LENGTH && traces.contains(&file[place + 1 - LENGTH..=place]) {
                found += 1;
            }
        }
    }
    found
}

/// The bytes of every file of a database; of PostgreSQL's own catalogs, only those that hold samples of columns.
async fn files(database: &Database) -> Vec<Vec<u8>> {
    if let Some(file) = database.file() {
        let names = ["", "-wal"].map(|suffix| format!("{}{suffix}", file.display()));
        return names.iter().filter_map(|name| std::fs::read(name).ok()).collect();
    }
    database.script("CHECKPOINT").await;
    let files = database.peek(FILES).await;
    let digit = |digit: u8| if digit < b'a' { digit - b'0' } else { digit - b'a' + 10 };
    let bytes =
        |hex: &String| hex.as_bytes().chunks_exact(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect();
    files.iter().map(bytes).collect()
}

/// Holds on to what it could see for a second.
const TRANSACTION: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id(); SELECT pg_sleep(1); COMMIT";
/// Long enough that no two are the same by chance.
const LENGTH: usize = 16;
const FILES: &str = "
    SELECT encode(pg_read_binary_file(folder || '/' || name), 'hex')
    FROM (SELECT 'base/' || oid AS folder FROM pg_database WHERE datname = current_database()) f,
         pg_ls_dir(folder) AS name
    WHERE split_part(split_part(name, '_', 1), '.', 1) NOT IN (
        SELECT pg_relation_filenode(oid)::text FROM pg_class
        WHERE oid < 16384 AND pg_relation_filenode(oid) IS NOT NULL
          AND oid <> 'pg_statistic'::regclass
          AND oid <> (SELECT reltoastrelid FROM pg_class WHERE oid = 'pg_statistic'::regclass))";
