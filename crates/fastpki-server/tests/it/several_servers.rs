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

#[test]
fn clocks_that_differ_neither_revive_tokens_nor_kill_new_ones() {
    fastpki_testing::run(fastpki_testing::Kind::Postgresql, |database| {
        Box::pin(async move {
            let right = Server::start(&database, Options::default()).await;
            let ahead = Server::start(&database, Options::default()).await;
            ahead.clock.advance(10 * 60);
            right.superuser().await;
            for (one, other) in [(&right, &ahead), (&ahead, &right)] {
                let (of_one, of_other) = (one.sign_in("root").await, other.sign_in("root").await);
                of_one.post("/api/v1/auth/invalidate", json!({})).await.expect(StatusCode::NO_CONTENT);
                for server in [one, other] {
                    for dead in [&of_one, &of_other] {
                        let dead = server.with_token(&json!(dead.token));
                        dead.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
                    }
                }
                for issuer in [one, other] {
                    let token = json!(issuer.sign_in("root").await.token);
                    for server in [one, other] {
                        server.with_token(&token).get("/api/v1/users/me").await.expect(StatusCode::OK);
                    }
                }
            }
        })
    });
}

#[test]
fn clocks_that_differ_agree_on_a_crl() {
    fastpki_testing::run(fastpki_testing::Kind::Postgresql, |database| {
        Box::pin(async move {
            let right = Server::start(&database, Options::default()).await;
            let ahead = Server::start(&database, Options::default()).await;
            ahead.clock.advance(10 * 60);
            right.superuser().await.create_ca("Issuing", json!({})).await;
            let tag = async |server: &Server| {
                let answer = server.stranger().get("/crl/issuing-1").await;
                assert_eq!(answer.status, StatusCode::OK);
                answer.header("etag").to_owned()
            };
            assert_eq!(tag(&ahead).await, "\"1\"");
            // Of the future for one of them, which makes another that is good for both.
            for _ in 0..5 {
                assert_eq!((tag(&right).await, tag(&ahead).await), ("\"2\"".to_owned(), "\"2\"".to_owned()));
            }
        })
    });
}
