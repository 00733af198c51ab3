use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Options, Server, on_both_databases, openssl, printed};

on_both_databases! {
    welcome_and_health_are_public,
    crl_contains_what_was_revoked,
    crl_is_made_once_and_kept_over_a_restart,
    crl_numbers_only_grow,
    crl_is_not_hidden_by_a_date,
    crl_is_made_anew_before_it_ends,
    revoked_certificates_drop_off_after_they_end,
    entry_without_certificate_stays,
    downloads_have_types_names_and_caching,
    slugs_must_fit_in_both_halves,
    public_url_goes_into_certificates,
    host_header_must_be_a_host,
}

fn text_of(crl: &[u8]) -> String {
    openssl(&["crl", "-inform", "DER", "-noout", "-text"], crl)
}

fn number_of(text: &str) -> u64 {
    let mut lines = text.lines().skip_while(|line| !line.contains("CRL Number"));
    lines.nth(1).unwrap().trim().parse().unwrap()
}

async fn welcome_and_health_are_public(server: Server) {
    let stranger = server.stranger();
    let welcome = stranger.get("/").await.expect(StatusCode::OK);
    assert!(welcome["message"].as_str().unwrap().contains("FastPKI"));
    stranger.get("/healthz").await.expect(StatusCode::OK);
    stranger.get("/readyz").await.expect(StatusCode::OK);
    for path in ["/docs", "/redoc", "/api/v1/openapi.json", "/api/v1/nothing"] {
        let missing = stranger.get(path).await.expect(StatusCode::NOT_FOUND);
        assert!(missing["detail"].is_string());
    }
    stranger.delete("/healthz").await.expect(StatusCode::METHOD_NOT_ALLOWED);
}

async fn crl_contains_what_was_revoked(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    let empty = text_of(&server.stranger().get("/crl/issuing-1").await.bytes);
    assert!(
        empty.contains("No Revoked Certificates") && empty.contains("Authority Key Identifier"),
        "{empty}"
    );
    for (number, (reason, printed)) in [
        (json!("key_compromise"), "Key Compromise"),
        (json!("CA Compromise"), "CA Compromise"),
        (json!("cessationOfOperation"), "Cessation Of Operation"),
        (json!("laptop stolen"), ""),
        (json!("remove_from_crl"), ""),
        (json!(null), ""),
    ]
    .into_iter()
    .enumerate()
    {
        let certificate = root.create_certificate(&ca, "www.example.com", json!({})).await;
        let id = number + 1;
        root.post(&format!("/api/v1/certificates/{id}/revoke"), json!({"reason": reason}))
            .await
            .expect(StatusCode::OK);
        let text = text_of(&server.stranger().get("/crl/issuing-1").await.bytes);
        let serial = certificate["serial_number"].as_str().unwrap().to_uppercase();
        let mut entry =
            text.lines().skip_while(|line| !(line.contains("Serial Number") && line.contains(&serial)));
        assert!(entry.next().is_some(), "{text}");
        let entry: Vec<_> = entry.skip(1).take_while(|line| !line.contains("Serial Number")).collect();
        assert_eq!(entry.iter().any(|line| line.contains("Reason Code")), !printed.is_empty(), "{text}");
        assert!(printed.is_empty() || entry.iter().any(|line| line.trim() == printed), "{text}");
        assert!(!text.contains("Remove From CRL"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, ca["certificate"].as_str().unwrap()).unwrap();
    let pem = server.stranger().get("/crl/issuing-1.pem").await.bytes;
    let verdict = openssl(&["crl", "-noout", "-CAfile", file.to_str().unwrap()], &pem);
    assert_eq!(verdict.trim(), "verify OK");
}

async fn crl_is_made_once_and_kept_over_a_restart(server: Server) {
    let root = server.superuser().await;
    root.create_ca("Issuing", json!({})).await;
    let fetches: Vec<_> = (0..8)
        .map(|_| {
            let stranger = server.stranger();
            tokio::spawn(async move { stranger.get("/crl/issuing-1").await.bytes })
        })
        .collect();
    let mut crls = Vec::new();
    for fetch in fetches {
        crls.push(fetch.await.unwrap());
    }
    assert!(crls.iter().all(|crl| *crl == crls[0]));
    let server = server.restart(Options::default()).await;
    assert_eq!(server.stranger().get("/crl/issuing-1").await.bytes, crls[0]);
}

async fn crl_numbers_only_grow(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    let mut numbers = Vec::new();
    for id in 1..=4 {
        root.create_certificate(&ca, "www.example.com", json!({})).await;
        root.post(&format!("/api/v1/certificates/{id}/revoke"), json!({})).await.expect(StatusCode::OK);
        numbers.push(number_of(&text_of(&server.stranger().get("/crl/issuing-1").await.bytes)));
    }
    assert_eq!(numbers, [1, 2, 3, 4]);
}

async fn crl_is_made_anew_before_it_ends(server: Server) {
    let root = server.superuser().await;
    root.create_ca("Issuing", json!({})).await;
    let first = server.stranger().get("/crl/issuing-1").await.bytes;
    server.clock.advance(23 * 3600);
    assert_eq!(server.stranger().get("/crl/issuing-1").await.bytes, first);
    server.clock.advance(2 * 3600);
    let second = server.stranger().get("/crl/issuing-1").await.bytes;
    assert_eq!((number_of(&text_of(&first)), number_of(&text_of(&second))), (1, 2));
}

async fn crl_is_not_hidden_by_a_date(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    let modified = server.stranger().get("/crl/issuing-1").await.header("last-modified").to_owned();
    root.create_certificate(&ca, "www.example.com", json!({})).await;
    root.post("/api/v1/certificates/1/revoke", json!({"reason": ""})).await.expect(StatusCode::OK);
    // All within one second of the clock, which stands still.
    let dress = |request: reqwest::RequestBuilder| request.header("if-modified-since", &modified);
    let again = server.stranger().send(Method::GET, "/crl/issuing-1", dress).await;
    assert_eq!(again.status, StatusCode::OK);
    assert!(text_of(&again.bytes).contains("Serial Number"));
}

async fn revoked_certificates_drop_off_after_they_end(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    root.create_certificate(&ca, "www.example.com", json!({"valid_days": 1})).await;
    root.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::OK);
    for (days, there) in [(0, true), (2, true), (5, true), (2, false)] {
        server.clock.advance(days * 24 * 3600);
        let text = text_of(&server.stranger().get("/crl/issuing-1").await.bytes);
        assert_eq!(text.contains("Serial Number"), there, "{text}");
    }
}

async fn entry_without_certificate_stays(server: Server) {
    let root = server.superuser().await;
    root.create_ca("Issuing", json!({})).await;
    let then = "'2020-01-01 00:00:00.000000'";
    for (id, serial) in [(1, "abc"), (2, "abc"), (3, "not hex")] {
        let sql = format!(
            "INSERT INTO crl_entries (id, created_at, serial_number, revocation_date, ca_id) VALUES ({id}, {then}, '{serial}', {then}, 1)"
        );
        server.database.peek(&sql).await;
    }
    let text = text_of(&server.stranger().get("/crl/issuing-1").await.bytes);
    assert_eq!(text.matches("Serial Number: 0ABC").count(), 1, "{text}");
}

async fn downloads_have_types_names_and_caching(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    let stranger = server.stranger();
    for (path, media_type, file) in [
        ("/crl/issuing-1", "application/pkix-crl", "issuing-1.crl"),
        ("/crl/issuing-1.pem", "application/x-pem-file", "issuing-1.crl.pem"),
        ("/ca/issuing-1.crt", "application/pkix-cert", "issuing-1.crt"),
        ("/ca/issuing-1.pem", "application/x-pem-file", "issuing-1.pem"),
    ] {
        let answer = stranger.get(path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), media_type);
        assert_eq!(answer.header("content-disposition"), format!("attachment; filename={file}"));
        assert!(answer.header("cache-control").starts_with("public, max-age="));
        let (etag, modified) = (answer.header("etag").to_owned(), answer.header("last-modified").to_owned());
        for (name, value, status) in [
            ("if-none-match", etag.as_str(), StatusCode::NOT_MODIFIED),
            ("if-none-match", "\"other\"", StatusCode::OK),
            (
                "if-modified-since",
                modified.as_str(),
                if path.starts_with("/ca/") { StatusCode::NOT_MODIFIED } else { StatusCode::OK },
            ),
            ("if-modified-since", "Mon, 01 Jan 2001 00:00:00 GMT", StatusCode::OK),
        ] {
            let again = stranger.send(Method::GET, path, |request| request.header(name, value)).await;
            assert_eq!(again.status, status, "{path} {name}: {value}");
            assert_eq!(again.bytes.is_empty(), status == StatusCode::NOT_MODIFIED);
        }
    }
    assert_eq!(stranger.get("/ca/issuing-1.pem").await.text(), ca["certificate"].as_str().unwrap());
    let der = stranger.get("/ca/issuing-1.crt").await.bytes;
    let pem = openssl(&["x509", "-inform", "DER"], &der);
    assert_eq!(pem, ca["certificate"].as_str().unwrap());
}

async fn slugs_must_fit_in_both_halves(server: Server) {
    let root = server.superuser().await;
    root.create_ca("Issuing CA", json!({})).await;
    let stranger = server.stranger();
    for path in [
        "/crl/issuing-ca-2",
        "/crl/issuing-1",
        "/crl/Issuing-CA-1",
        "/crl/1",
        "/crl/-1",
        "/crl/issuing-ca-01",
        "/crl/issuing-ca-99999999999",
        "/ca/issuing-ca-1",
        "/ca/issuing-ca-1.der",
        "/ca/other-1.crt",
        "/crl/%ff-1",
    ] {
        let status = stranger.get(path).await.status;
        assert!(matches!(status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST), "{path}: {status}");
    }
}

async fn public_url_goes_into_certificates(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    let server = server
        .restart(Options { public_url: Some("https://pki.example.com/base"), ..Options::default() })
        .await;
    let root = server.sign_in("root").await;
    let certificate = root.create_certificate(&ca, "www.example.com", json!({})).await;
    assert!(printed(&certificate).contains("URI:https://pki.example.com/base/crl/issuing-1\n"));
}

async fn host_header_must_be_a_host(server: Server) {
    let root = server.superuser().await;
    let ca = json!({"name": "Root", "subject_dn": "CN=Root", "key_type": "ec"});
    for host in ["a/b", "a?b", "user@host", "a b", "\u{fc}.example"] {
        let dress = |request: reqwest::RequestBuilder| request.header("host", host.as_bytes()).json(&ca);
        let status = root.send(Method::POST, "/api/v1/cas/", dress).await.status;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{host}");
    }
    // Untrusted peers do not choose the address by X-Forwarded-Host.
    root.create_ca("Root", json!({})).await;
    let body = json!({"name": "Sub", "subject_dn": "CN=Sub", "key_type": "ec", "parent_ca_id": 1});
    let dress =
        |request: reqwest::RequestBuilder| request.header("x-forwarded-host", "evil.example").json(&body);
    let sub = root.send(Method::POST, "/api/v1/cas/", dress).await.expect(StatusCode::CREATED);
    assert!(!printed(&sub).contains("evil"));
    let trusted_proxies = vec!["127.0.0.1/32"];
    let server = server.restart(Options { trusted_proxies, ..Options::default() }).await;
    let root = server.sign_in("root").await;
    let dress = |request: reqwest::RequestBuilder| {
        // Proxies append to what the client sent.
        let host = "evil.example, pki.example.com";
        let body = json!({"name": "Other", "subject_dn": "CN=Other", "key_type": "ec", "parent_ca_id": 1});
        request.header("x-forwarded-host", host).header("x-forwarded-proto", "https").json(&body)
    };
    let sub = root.send(Method::POST, "/api/v1/cas/", dress).await.expect(StatusCode::CREATED);
    assert!(printed(&sub).contains("URI:https://pki.example.com/crl/root-1\n"));
}
