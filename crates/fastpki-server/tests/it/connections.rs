//! Connections: how many, how long they may stay unread, and how they end.

use std::time::Duration;

use fastpki_server::ConnectionBounds;
use fastpki_testing::{Database, Kind};
use reqwest::StatusCode;
use serde_json::json;

use crate::{
    harness::{Options, PASSWORD, Server, on_one_server},
    raw::Raw,
};

on_one_server! {
    heads_of_64_kib_are_served_and_longer_ones_are_not,
    heads_of_100_fields_are_served_and_longer_ones_are_not,
    client_that_closes_its_half_gets_its_answer,
    unread_downloads_share_the_bytes_of_a_crl,
}

async fn heads_of_64_kib_are_served_and_longer_ones_are_not(server: Server) {
    for (length, status) in [(60, 200), (63, 200), (65, 431), (90, 431), (127, 431), (200, 431)] {
        let head = head_of(length * 1024, 1);
        assert_eq!(Raw::connect(&server).send(&head).status(), status, "{length} KiB at once");
        let mut slow = Raw::connect(&server);
        for piece in head.as_bytes().chunks(10_000) {
            slow.send(piece);
            // So that each arrives by itself.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(slow.status(), status, "{length} KiB in pieces");
    }
    server.stranger().get("/healthz").await.expect(StatusCode::OK);
}

async fn heads_of_100_fields_are_served_and_longer_ones_are_not(server: Server) {
    // One field is the host.
    for (fields, status) in [(99, 200), (100, 431), (1000, 431)] {
        assert_eq!(Raw::connect(&server).send(head_of(0, fields)).status(), status, "{fields} fields");
    }
}

/// The head of a request of this length, or of the least that its fields take.
fn head_of(length: usize, fields: usize) -> String {
    let least = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: \r\n\r\n".len();
    let padding = "x".repeat(length.saturating_sub(least));
    let more = "x: \r\n".repeat(fields - 1);
    format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {padding}\r\n{more}\r\n")
}

async fn client_that_closes_its_half_gets_its_answer(server: Server) {
    server.superuser().await;
    let form = format!("username=root&password={}", PASSWORD.replace(' ', "+"));
    let request = format!(
        "POST /api/v1/auth/token HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    for _ in 0..20 {
        let mut client = Raw::connect(&server);
        assert_eq!(client.send(&request).close_half().status(), 200);
    }
}

async fn unread_downloads_share_the_bytes_of_a_crl(server: Server) {
    let root = server.superuser().await;
    root.create_ca("Root", json!({})).await;
    let is_sqlite = server.database.file().is_some();
    let now = if is_sqlite { "'2026-01-01 00:00:00.000000'" } else { "now()" };
    let script = if is_sqlite {
        format!(
            "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {REVOKED})
             INSERT INTO crl_entries (id, created_at, serial_number, revocation_date, ca_id)
             SELECT id, {now}, printf('7%039x', id), {now}, 1 FROM n"
        )
    } else {
        format!(
            "INSERT INTO crl_entries (id, created_at, serial_number, revocation_date, ca_id)
             SELECT id, {now}, '7' || lpad(to_hex(id), 39, '0'), {now}, 1 FROM generate_series(1, {REVOKED}) AS n (id)"
        )
    };
    server.database.script(&script).await;
    let crl = server.stranger().get("/crl/root-1").await;
    assert_eq!(crl.status, StatusCode::OK);
    let unread = 60;
    assert!(crl.bytes.len() > 1_000_000);
    for pem in ["", ".pem"] {
        server.stranger().get(&format!("/crl/root-1{pem}")).await;
        let before = resident();
        let mut clients: Vec<Raw> = (0..unread).map(|_| Raw::connect(&server)).collect();
        let request = format!("GET /crl/root-1{pem} HTTP/1.1\r\nhost: localhost\r\n\r\n").repeat(20);
        for client in &mut clients {
            client.send(&request);
        }
        for client in &mut clients {
            assert_eq!(client.status(), 200);
        }
        let grown = resident().saturating_sub(before);
        let copies = unread * crl.bytes.len();
        assert!(
            grown < copies / 2,
            "{grown} bytes for {unread} unread downloads{pem} of {}",
            crl.bytes.len()
        );
    }
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Revoked certificates on a CRL of more than a megabyte.
const REVOKED: usize = 28_000;

fn with_bounds(all: usize, of_one_address: usize, unread: Duration) -> Options {
    let connections = Some(ConnectionBounds { all, of_one_address, unread });
    Options { connections, docs: true, ..Options::default() }
}

/// Starts a server with these options, on SQLite: nothing of this is the database's.
fn on_a_server_with(options: fn() -> Options, test: fn(Server)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let database = Database::create(Kind::Sqlite).await;
        let server = Server::start(&database, options()).await;
        tokio::task::spawn_blocking(move || test(server)).await.unwrap();
    });
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
const LONG: Duration = Duration::from_secs(60);

#[test]
fn clients_beyond_the_bound_are_told_and_served_when_there_is_room() {
    on_a_server_with(
        || with_bounds(4, 1000, LONG),
        |server| {
            // Sixteen more are kept for this machine, and tests are on it.
            let mut clients: Vec<Raw> = (0..20).map(|_| Raw::connect(&server)).collect();
            for client in &mut clients {
                assert_eq!(client.send(HEALTH).status(), 200);
            }
            let head = Raw::connect(&server).head();
            assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: "), "{head}");
            clients.truncate(5);
            wait_for(|| Raw::connect(&server).send(HEALTH).head().starts_with("HTTP/1.1 200 "));
        },
    );
}

#[test]
fn address_with_its_share_of_connections_is_refused_more() {
    on_a_server_with(
        || with_bounds(100, 3, LONG),
        |server| {
            let mut clients: Vec<Raw> = (0..3).map(|_| Raw::connect(&server)).collect();
            for client in &mut clients {
                assert_eq!(client.send(HEALTH).status(), 200);
            }
            assert_eq!(Raw::connect(&server).status(), 503);
        },
    );
}

#[test]
fn trusted_proxy_has_as_many_connections_as_there_are() {
    on_a_server_with(
        || Options { trusted_proxies: vec!["127.0.0.1/32"], ..with_bounds(100, 3, LONG) },
        |server| {
            let mut clients: Vec<Raw> = (0..50).map(|_| Raw::connect(&server)).collect();
            for client in &mut clients {
                assert_eq!(client.send(HEALTH).status(), 200);
            }
        },
    );
}

#[test]
fn client_that_does_not_read_is_cut_and_one_that_reads_is_not() {
    on_a_server_with(
        || with_bounds(100, 100, Duration::from_secs(1)),
        |server| {
            let many = "GET /api/v1/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(300);
            let mut unread = Raw::connect(&server);
            unread.send(&many);
            let mut idle = Raw::connect(&server);
            assert!(unread.is_cut());
            // One that was silent for as long, because it had nothing to read.
            assert_eq!(idle.send(HEALTH).status(), 200);
        },
    );
}

/// Waits until something holds.
fn wait_for(holds: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "it does not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}
