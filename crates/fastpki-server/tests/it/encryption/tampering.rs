//! A private key that was moved to another row, or changed, is neither used nor given out.

use fastpki_testing::Database;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{KEY, all_stored, refusal, store, stored, under};
use crate::harness::{Server, on_one_server};

on_one_server! {
    swapped_keys_are_found_at_start,
    key_of_a_certificate_swapped_while_serving_is_not_given_out,
    key_of_a_ca_swapped_while_serving_signs_nothing,
    damaged_plaintext_key_is_found_at_start_and_while_serving,
    certificate_replaced_beside_its_key_is_found_too,
}

type Row = (&'static str, i64);

/// Two CAs and two certificates of the first, under these keys.
async fn two_of_each(server: Server, keys: &[&'static str]) -> (Server, Vec<Value>) {
    let server = server.restart(under(keys)).await;
    let root = server.superuser().await;
    let one = root.create_ca("One", json!({})).await;
    let two = root.create_ca("Two", json!({})).await;
    let a = root.create_certificate(&one, "a.example.com", json!({})).await;
    let b = root.create_certificate(&one, "b.example.com", json!({})).await;
    (server, vec![one, two, a, b])
}

/// Swaps two private keys and what their rows remember of them, as somebody would who can write to the database.
async fn swap(database: &Database, one: Row, other: Row) {
    let (first, second) = (stored(database, one.0, one.1).await, stored(database, other.0, other.1).await);
    assert_ne!(first, second);
    store(database, one.0, one.1, &second).await;
    store(database, other.0, other.1, &first).await;
}

async fn swapped_keys_are_found_at_start(server: Server) {
    let (server, _) = two_of_each(server, &[]).await;
    let database = server.database.clone();
    server.stop().await;
    // Plaintext, plaintext that is to be encrypted, and encrypted.
    for keys in [&[][..], &[KEY], &[KEY]] {
        for (one, other) in [
            (
                (CERTIFICATES, 1, "certificate 1 'a.example.com'"),
                (CERTIFICATES, 2, "certificate 2 'b.example.com'"),
            ),
            ((CAS, 1, "CA 1 'One'"), (CAS, 2, "CA 2 'Two'")),
            ((CAS, 2, "CA 2 'Two'"), (CERTIFICATES, 1, "certificate 1 'a.example.com'")),
        ] {
            swap(&database, (one.0, one.1), (other.0, other.1)).await;
            let swapped = all_stored(&database).await;
            let error = refusal(&database, keys).await;
            for (.., name) in [one, other] {
                let expected = format!("private key of {name} does not belong to its certificate");
                assert!(error.contains(&expected) && error.contains("tampering"), "{error}");
            }
            assert!(error.contains("2 private keys cannot be used:"), "{error}");
            assert_eq!(all_stored(&database).await, swapped, "a refused start writes nothing");
            swap(&database, (one.0, one.1), (other.0, other.1)).await;
        }
        Server::start(&database, under(keys)).await.stop().await;
    }
}

async fn key_of_a_certificate_swapped_while_serving_is_not_given_out(server: Server) {
    for_plaintext_and_encrypted(server, |server, made| {
        Box::pin(async move {
            let root = server.sign_in("root").await;
            swap(&server.database, (CERTIFICATES, 1), (CERTIFICATES, 2)).await;
            for path in [
                "certificates/1/private-key",
                "certificates/2/private-key",
                "export/certificate/1/private-key",
                "export/certificate/2/private-key",
            ] {
                let answer = root.get(&format!("/api/v1/{path}")).await;
                assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
                nothing_in(&answer.text(), &made);
            }
            // The others go on.
            root.get("/api/v1/cas/1/private-key").await.expect(StatusCode::OK);
            root.create_certificate(&made[0], "new.example.com", json!({})).await;
            server.stranger().get("/readyz").await.expect(StatusCode::OK);
            swap(&server.database, (CERTIFICATES, 1), (CERTIFICATES, 2)).await;
            root.get("/api/v1/certificates/1/private-key").await.expect(StatusCode::OK);
        })
    })
    .await;
}

async fn key_of_a_ca_swapped_while_serving_signs_nothing(server: Server) {
    for_plaintext_and_encrypted(server, |server, made| {
        Box::pin(async move {
            let root = server.sign_in("root").await;
            let before = server.database.peek("SELECT COUNT(*) FROM certificates").await;
            server.stranger().get("/readyz").await.expect(StatusCode::OK);
            swap(&server.database, (CAS, 1), (CAS, 2)).await;
            for (place, id) in [(0, 1), (1, 2)] {
                let issuing = root.try_create_certificate(&made[place], "new.example.com", json!({})).await;
                let sub = root.try_create_ca("Sub", json!({"parent_ca_id": id})).await;
                let read = root.get(&format!("/api/v1/cas/{id}/private-key")).await;
                let exported = root.get(&format!("/api/v1/export/ca/{id}/private-key")).await;
                for answer in [issuing, sub, read, exported] {
                    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", answer.text());
                    nothing_in(&answer.text(), &made);
                }
            }
            let ready = server.stranger().get("/readyz").await;
            assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
            nothing_in(&ready.text(), &made);
            assert_eq!(server.database.peek("SELECT COUNT(*) FROM certificates").await, before);
            swap(&server.database, (CAS, 1), (CAS, 2)).await;
            server.stranger().get("/readyz").await.expect(StatusCode::OK);
        })
    })
    .await;
}

async fn damaged_plaintext_key_is_found_at_start_and_while_serving(server: Server) {
    let (server, made) = two_of_each(server, &[]).await;
    let root = server.sign_in("root").await;
    let database = server.database.clone();
    for (table, place, path) in [(CAS, 1, "cas/2"), (CERTIFICATES, 3, "certificates/2")] {
        let pem = made[place]["private_key"].as_str().unwrap();
        let mut lines: Vec<&str> = pem.lines().collect();
        lines.remove(1);
        store(&database, table, 2, &lines.join("\n")).await;
        let answer = root.get(&format!("/api/v1/{path}/private-key")).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", answer.text());
        nothing_in(&answer.text(), &made);
    }
    let answer = root.try_create_certificate(&made[1], "new.example.com", json!({})).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    server.stop().await;
    let damaged = all_stored(&database).await;
    for keys in [&[][..], &[KEY]] {
        let error = refusal(&database, keys).await;
        for name in ["CA 2 'Two'", "certificate 2 'b.example.com'"] {
            let expected = format!("private key of {name} cannot be held against its certificate");
            assert!(error.contains(&expected) && error.contains("tampering"), "{error}");
        }
        nothing_in(&error, &made);
        assert_eq!(all_stored(&database).await, damaged);
    }
}

async fn certificate_replaced_beside_its_key_is_found_too(server: Server) {
    let (server, made) = two_of_each(server, &[KEY]).await;
    let database = server.database.clone();
    let root = server.sign_in("root").await;
    let other = made[3]["certificate"].as_str().unwrap();
    database.script(&format!("UPDATE certificates SET certificate = '{other}' WHERE id = 1")).await;
    let answer = root.get("/api/v1/certificates/1/private-key").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    nothing_in(&answer.text(), &made);
    server.stop().await;
    let error = refusal(&database, &[KEY]).await;
    assert!(error.contains("certificate 1 'a.example.com' does not belong to its certificate"), "{error}");
}

type Case = fn(Server, Vec<Value>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a case on a server that has opened no CA yet, on a database in plaintext and on the same encrypted.
async fn for_plaintext_and_encrypted(server: Server, case: Case) {
    let (server, made) = two_of_each(server, &[]).await;
    let database = server.database.clone();
    server.stop().await;
    for keys in [&[][..], &[KEY]] {
        case(Server::start(&database, under(keys)).await, made.clone()).await;
    }
}

/// No line of any private key stands in a text, nor what one looks like at rest.
#[track_caller]
fn nothing_in(text: &str, made: &[Value]) {
    assert!(!text.contains("PRIVATE KEY") && !text.contains("gAAAAA"), "{text}");
    for made in made {
        let pem = made["private_key"].as_str().unwrap();
        let leaked = pem.lines().filter(|line| !line.starts_with('-')).find(|line| text.contains(line));
        assert_eq!(leaked, None, "{text}");
    }
}

const CERTIFICATES: &str = "certificates";
const CAS: &str = "certificate_authorities";
