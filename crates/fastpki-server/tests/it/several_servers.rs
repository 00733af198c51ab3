//! Several servers on one PostgreSQL. (SQLite has one server.)

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Options, Server, openssl};

#[test]
fn revocation_on_one_server_is_on_the_crl_of_the_others() {
    fastpki_testing::run(fastpki_testing::Kind::Postgresql, |database| {
        Box::pin(async move {
            let one = Server::start(&database, Options::default()).await;
            let two = Server::start(&database, Options::default()).await;
            let root = one.superuser().await;
            let ca = root.create_ca("Issuing", json!({})).await;
            let mut highest = 0;
            for round in 1..=10 {
                root.create_certificate(&ca, "www.example.com", json!({})).await;
                let path = format!("/api/v1/certificates/{round}/revoke");
                root.post(&path, json!({})).await.expect(StatusCode::OK);
                // Both are asked at once: whichever makes it, both have it.
                let (stranger, other) = (one.stranger(), two.stranger());
                let (left, right) = tokio::join!(stranger.get("/crl/issuing-1"), other.get("/crl/issuing-1"));
                let mut numbers = Vec::new();
                for answer in [left, right] {
                    assert_eq!(answer.status, StatusCode::OK);
                    let text = openssl(&["crl", "-inform", "DER", "-noout", "-text"], &answer.bytes);
                    assert_eq!(text.matches("Serial Number").count(), round, "{text}");
                    let mut lines = text.lines().skip_while(|line| !line.contains("CRL Number"));
                    numbers.push(lines.nth(1).unwrap().trim().parse::<u64>().unwrap());
                }
                assert!(numbers.iter().all(|number| *number > highest), "{numbers:?} after {highest}");
                highest = *numbers.iter().max().unwrap();
            }
        })
    });
}
