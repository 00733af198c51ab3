//! CAs that cannot publish a CRL, and what anybody who asks for one costs then.

use fastpki_engine::check_database;
use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Answer, Server, config, on_both_databases, on_one_server, openssl};

on_both_databases! {
    ca_that_may_not_sign_crls_says_so_and_spends_no_number,
    ca_whose_key_cannot_be_read_says_so_and_spends_no_number,
    ca_without_a_number_left_says_so,
}

on_one_server! {
    last_crl_is_served_while_no_new_one_can_be_signed,
}

const DAY: i64 = 24 * 3600;

async fn crl(server: &Server) -> Answer {
    server.stranger().get("/crl/issuing-1").await
}

async fn reserved(server: &Server) -> Vec<String> {
    server.database.peek("SELECT reserved FROM fastpki_crls").await
}

fn number(answer: &Answer) -> String {
    let text = openssl(&["crl", "-inform", "DER", "-noout", "-crlnumber"], &answer.bytes);
    text.trim().to_owned()
}

fn expect_503(answer: Answer, words: &str) {
    assert_eq!(answer.header("retry-after"), "5");
    let detail = answer.expect(StatusCode::SERVICE_UNAVAILABLE)["detail"].clone();
    assert!(detail.as_str().unwrap().contains(words), "{detail}");
}

/// A key and a certificate for it, whose key usage leaves out CRLs.
fn without_crl_sign() -> String {
    openssl(
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            "-",
            "-subj",
            "/CN=Issuing",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ],
        b"",
    )
}

async fn ca_that_may_not_sign_crls_says_so_and_spends_no_number(server: Server) {
    server.superuser().await.create_ca("Issuing", json!({})).await;
    let both = without_crl_sign();
    let (key, certificate) = both.split_at(both.find("-----BEGIN CERTIFICATE").unwrap());
    let key = &key[key.find("-----BEGIN PRIVATE").unwrap()..key.rfind("KEY-----").unwrap() + 8];
    let certificate = &certificate[..certificate.find("-----END CERTIFICATE-----").unwrap() + 25];
    let sql = format!(
        "UPDATE certificate_authorities SET private_key = '{key}\n', certificate = '{certificate}\n'"
    );
    server.database.script(&sql).await;
    for _ in 0..5 {
        let answer = crl(&server).await.expect(StatusCode::NOT_FOUND);
        assert!(answer["detail"].as_str().unwrap().contains("cRLSign"), "{answer}");
        server.clock.advance(61);
    }
    assert_eq!(reserved(&server).await, ["0"]);
    let database = config(&server.database);
    let findings = check_database(&database, Vec::new(), &*server.clock, false).await;
    assert!(findings.iter().any(|finding| finding.text.contains("cRLSign")), "{findings:?}");
}

async fn ca_whose_key_cannot_be_read_says_so_and_spends_no_number(server: Server) {
    server.superuser().await.create_ca("Issuing", json!({})).await;
    let key = server.database.peek("SELECT private_key FROM certificate_authorities").await.remove(0);
    server.database.script("UPDATE certificate_authorities SET private_key = 'nonsense'").await;
    for _ in 0..5 {
        expect_503(crl(&server).await, "cannot sign a new CRL");
    }
    assert_eq!(reserved(&server).await, ["0"]);
    server.database.script(&format!("UPDATE certificate_authorities SET private_key = '{key}'")).await;
    // What failed is not tried again for each who asks.
    expect_503(crl(&server).await, "cannot sign a new CRL");
    expect_503(crl(&server).await, "cannot sign a new CRL");
    server.clock.advance(61);
    assert_eq!(crl(&server).await.status, StatusCode::OK);
    assert_eq!(reserved(&server).await, ["1"]);
}

async fn ca_without_a_number_left_says_so(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    let last = "9223372036854775807";
    server
        .database
        .script(&format!("UPDATE fastpki_crls SET reserved = {last} - 1, number = {last} - 1"))
        .await;
    assert_eq!(number(&crl(&server).await), "crlNumber=0x7FFFFFFFFFFFFFFF");
    root.create_certificate(&ca, "www.example.com", json!({})).await;
    assert_eq!(crl(&server).await.status, StatusCode::OK);
    root.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::OK);
    for _ in 0..3 {
        expect_503(crl(&server).await, "has used every CRL number");
        server.clock.advance(61);
    }
    assert_eq!(reserved(&server).await, [last]);
}

async fn last_crl_is_served_while_no_new_one_can_be_signed(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    root.create_certificate(&ca, "www.example.com", json!({})).await;
    let before = crl(&server).await;
    server.database.script("UPDATE certificate_authorities SET private_key = 'nonsense'").await;
    server.clock.advance(2 * DAY);
    server.engine.drop_idle_keys();
    for _ in 0..3 {
        let answer = crl(&server).await;
        assert_eq!((answer.status, number(&answer)), (StatusCode::OK, number(&before)));
        server.clock.advance(61);
    }
    assert_eq!(reserved(&server).await, ["1"]);
    // One that has ended, or lacks a revocation that was answered, is not served.
    server.clock.advance(5 * DAY);
    expect_503(crl(&server).await, "cannot sign a new CRL");
    server.clock.advance(-5 * DAY);
    let root = server.sign_in("root").await;
    root.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::OK);
    expect_503(crl(&server).await, "cannot sign a new CRL");
}
