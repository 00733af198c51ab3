use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, Server, on_both_databases};

on_both_databases! {
    long_lists_stream_whole_and_in_order,
    pages_are_linked,
    filters_choose,
    certificate_is_found_by_its_fingerprint,
    cas_are_paged,
}

async fn many(server: &Server, count: usize) -> (Client, Value) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    let tasks: Vec<_> = (0..8)
        .map(|worker| {
            let (root, ca) = (root.clone(), ca.clone());
            tokio::spawn(async move {
                for number in (worker..count).step_by(8) {
                    root.create_certificate(
                        &ca,
                        &format!("n{number}.example.com"),
                        json!({"key_type": "ed25519"}),
                    )
                    .await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (root, ca)
}

fn ids(list: &Value) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
}

async fn long_lists_stream_whole_and_in_order(server: Server) {
    let (root, _) = many(&server, 450).await;
    let answer = root.get("/api/v1/certificates/").await;
    assert_eq!(answer.header("x-total-count"), "450");
    assert_eq!(ids(&answer.expect(StatusCode::OK)), (1..=450).collect::<Vec<_>>());
    let answer = root.get("/api/v1/certificates?limit=300&skip=100").await;
    assert_eq!(ids(&answer.expect(StatusCode::OK)), (101..=400).collect::<Vec<_>>());
}

async fn pages_are_linked(server: Server) {
    let (root, _) = many(&server, 10).await;
    let mut path = "/api/v1/certificates/?limit=4&common_name=EXAMPLE".to_owned();
    let mut seen = Vec::new();
    loop {
        let answer = root.get(&path).await;
        let next = answer.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
        assert_eq!(answer.header("x-total-count"), "10");
        seen.push(ids(&answer.expect(StatusCode::OK)));
        let Some(next) = next else { break };
        path = next.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
    assert_eq!(seen, [vec![1, 2, 3, 4], vec![5, 6, 7, 8], vec![9, 10]]);
    assert_eq!(root.get("/api/v1/certificates/?after_id=10").await.expect(StatusCode::OK), json!([]));
    for query in ["limit=0", "limit=x", "skip=-1", "status=dead", "certificate_type=x", "expires_before=soon"]
    {
        root.get(&format!("/api/v1/certificates/?{query}")).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
}

async fn filters_choose(server: Server) {
    let root = server.superuser().await;
    let one = root.create_ca("One", json!({})).await;
    let two = root.create_ca("Two", json!({})).await;
    let web = root.create_certificate(&one, "web.example.com", json!({"valid_days": 10})).await;
    root.create_certificate(&one, "100%_sure", json!({"certificate_type": "client"})).await;
    root.create_certificate(&two, "mail.example.com", json!({"valid_days": 100})).await;
    root.create_certificate(&two, "Ärzte Bund", json!({"certificate_type": "client"})).await;
    let serial = web["serial_number"].as_str().unwrap();
    let colons = serial
        .to_uppercase()
        .chars()
        .enumerate()
        .map(|(n, c)| if n > 0 && n % 2 == 0 { format!(":{c}") } else { c.to_string() })
        .collect::<String>();
    let colons = if serial.len() % 2 == 0 { colons } else { format!("0{serial}") };
    for (query, expected) in [
        ("ca_id=1".to_owned(), vec![1, 2]),
        ("certificate_type=client".to_owned(), vec![2, 4]),
        ("common_name=EXAMPLE.com".to_owned(), vec![1, 3]),
        ("common_name=%25_".to_owned(), vec![2]),
        ("common_name=Ärzte".to_owned(), vec![4]),
        (format!("serial_number={colons}"), vec![1]),
        (format!("expires_before={}", web["not_after"].as_str().unwrap()), vec![]),
        (format!("expires_after={}", web["not_after"].as_str().unwrap()), vec![2, 3, 4]),
        ("status=valid&ca_id=2".to_owned(), vec![3, 4]),
        ("status=revoked".to_owned(), vec![]),
    ] {
        let list = root.get(&format!("/api/v1/certificates/?{query}")).await.expect(StatusCode::OK);
        assert_eq!(ids(&list), expected, "{query}");
    }
}

async fn cas_are_paged(server: Server) {
    let root = server.superuser().await;
    for number in 1..=5 {
        root.create_ca(&format!("CA {number}"), json!({})).await;
    }
    let answer = root.get("/api/v1/cas?limit=2&skip=1").await;
    assert_eq!(answer.header("x-total-count"), "5");
    assert_eq!(answer.header("link"), "</api/v1/cas?limit=2&after_id=3>; rel=\"next\"");
    assert_eq!(ids(&answer.expect(StatusCode::OK)), [2, 3]);
    let rest = root.get("/api/v1/cas?limit=2&after_id=3").await;
    assert!(rest.headers.get("link").is_none());
    assert_eq!(ids(&rest.expect(StatusCode::OK)), [4, 5]);
}

async fn certificate_is_found_by_its_fingerprint(server: Server) {
    let (root, ca) = many(&server, 3).await;
    let two = root.get("/api/v1/certificates/2").await.expect(StatusCode::OK);
    let printed = crate::harness::openssl(
        &["x509", "-noout", "-fingerprint", "-sha256"],
        two["certificate"].as_str().unwrap().as_bytes(),
    );
    let fingerprint = printed.trim().split_once('=').unwrap().1.to_owned();
    for text in [fingerprint.clone(), fingerprint.replace(':', "").to_lowercase()] {
        let answer = root.get(&format!("/api/v1/certificates/?fingerprint={text}")).await;
        assert_eq!(answer.header("x-total-count"), "1");
        assert_eq!(answer.expect(StatusCode::OK)[0]["id"], 2);
        let narrower =
            format!("/api/v1/certificates/?fingerprint={text}&ca_id={}", ca["id"].as_i64().unwrap() + 1);
        assert_eq!(root.get(&narrower).await.expect(StatusCode::OK), json!([]));
    }
    let unknown = "0".repeat(64);
    assert_eq!(
        root.get(&format!("/api/v1/certificates/?fingerprint={unknown}")).await.expect(StatusCode::OK),
        json!([])
    );
    root.get("/api/v1/certificates/?fingerprint=abc").await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    // Others do not find it.
    root.create_user("loner", "user", &Value::Null, json!({})).await;
    let loner = server.sign_in("loner").await;
    assert_eq!(
        loner.get(&format!("/api/v1/certificates/?fingerprint={fingerprint}")).await.expect(StatusCode::OK),
        json!([])
    );
}
