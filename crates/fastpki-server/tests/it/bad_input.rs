//! Whatever comes in: a clear 4xx, nothing stored, and the server still there.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Client, Server, on_both_databases};

on_both_databases! {
    bodies_that_are_no_json_objects_are_422,
    huge_bodies_are_413,
    too_many_names_are_refused,
    control_characters_are_refused,
    days_and_sizes_of_zero_and_below_are_refused,
    strange_paths_and_queries_are_refused,
}

async fn raw(client: &Client, path: &str, body: Vec<u8>) -> crate::harness::Answer {
    let dress =
        |request: reqwest::RequestBuilder| request.header("content-type", "application/json").body(body);
    client.send(Method::POST, path, dress).await
}

async fn still_there(server: &Server) {
    server.stranger().get("/readyz").await.expect(StatusCode::OK);
    for table in ["certificate_authorities", "certificates"] {
        assert_eq!(server.database.peek(&format!("SELECT count(*) FROM {table} WHERE id > 1")).await, ["0"]);
    }
}

async fn bodies_that_are_no_json_objects_are_422(server: Server) {
    let root = server.superuser().await;
    let deep = "[".repeat(10_000).into_bytes();
    let nested = format!("{{\"name\":{}1{}}}", "[".repeat(500), "]".repeat(500)).into_bytes();
    for body in [
        b"".to_vec(),
        b"nonsense".to_vec(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"1e999".to_vec(),
        b"{\"name\": \"\xff\xfe\"}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        deep,
        nested,
    ] {
        for path in ["cas/", "certificates/?ca_id=1", "certificates/sign-csr", "users/", "organizations/"] {
            let answer = raw(&root, &format!("/api/v1/{path}"), body.clone()).await;
            let expected = [StatusCode::UNPROCESSABLE_ENTITY, StatusCode::NOT_FOUND];
            assert!(expected.contains(&answer.status), "{path}: {}", answer.status);
            assert!(!answer.json()["detail"].is_null());
        }
    }
    still_there(&server).await;
}

async fn huge_bodies_are_413(server: Server) {
    let root = server.superuser().await;
    let dress = |request: reqwest::RequestBuilder| {
        request.header("content-type", "application/json").body(vec![b' '; 2_000_000])
    };
    root.send(Method::POST, "/api/v1/cas/", dress).await.expect(StatusCode::PAYLOAD_TOO_LARGE);
    // 100 MB announced: refused before they are sent.
    use std::io::{Read, Write};
    let address = server.base.strip_prefix("http://").unwrap().to_owned();
    let token = root.token.clone().unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head = format!(
            "POST /api/v1/cas/ HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 100000000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 64];
        let length = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    });
    assert!(answer.await.unwrap().starts_with("HTTP/1.1 413"));
    still_there(&server).await;
}

async fn too_many_names_are_refused(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let names: Vec<String> = (0..10_000).map(|number| format!("n{number}.example.com")).collect();
    let answer = root.try_create_certificate(&ca, "www.example.com", json!({"san_dns_names": names})).await;
    assert_eq!(answer.expect(StatusCode::UNPROCESSABLE_ENTITY)["detail"][0]["type"], "too_long");
    let half: Vec<String> = (0..900).map(|number| format!("n{number}.example.com")).collect();
    let addresses: Vec<String> = (0..200).map(|number| format!("192.0.2.{number}")).collect();
    let more = json!({"san_dns_names": half, "san_ip_addresses": addresses});
    root.try_create_certificate(&ca, "www.example.com", more).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(server.database.peek("SELECT count(*) FROM certificates").await, ["0"]);
    let fits: Vec<String> = (0..1000).map(|number| format!("n{number}.example.com")).collect();
    root.create_certificate(&ca, "n1.example.com", json!({"san_dns_names": fits})).await;
}

async fn control_characters_are_refused(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    for bad in ["nul\0", "new\nline", "bell\u{7}", "del\u{7f}"] {
        root.try_create_ca(bad, json!({"subject_dn": "CN=x"})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        let subject = json!({"subject_dn": format!("CN={bad}")});
        root.try_create_ca("Root", subject).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        let names = json!({"san_dns_names": [bad]});
        let answer = root.try_create_certificate(&ca, "www.example.com", names).await;
        answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
        root.post("/api/v1/organizations/", json!({"name": bad}))
            .await
            .expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    // The same, escaped within the DN.
    root.try_create_ca("Root", json!({"subject_dn": "CN=nul\\00"})).await.expect(StatusCode::BAD_REQUEST);
    still_there(&server).await;
}

async fn days_and_sizes_of_zero_and_below_are_refused(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    for value in
        [json!(0), json!(-1), json!(-2_147_483_649_i64), json!(99_999_999_999_i64), json!("many"), json!(1.5)]
    {
        for field in ["valid_days", "key_size"] {
            let more = json!({field: value});
            root.try_create_ca("Other", more.clone()).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
            let answer = root.try_create_certificate(&ca, "www.example.com", more).await;
            answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
        }
    }
    // A validity past the year 9999.
    root.try_create_ca("Other", json!({"valid_days": 2_932_896})).await.expect(StatusCode::BAD_REQUEST);
    still_there(&server).await;
}

async fn strange_paths_and_queries_are_refused(server: Server) {
    let root = server.superuser().await;
    for (path, status) in [
        ("/api/v1/cas/1%00", StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/v1/cas/%ff", StatusCode::NOT_FOUND),
        ("/api/v1/cas/1e1", StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/v1/cas/2147483648", StatusCode::NOT_FOUND),
        ("/api/v1/cas/..%2f..%2fetc%2fpasswd", StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/v1/certificates/?ca_id=abc", StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/v1/certificates/?common_name=%00", StatusCode::UNPROCESSABLE_ENTITY),
        ("/crl/%00", StatusCode::NOT_FOUND),
    ] {
        let answer = root.get(path).await;
        assert!(
            answer.status == status || answer.status == StatusCode::BAD_REQUEST,
            "{path}: {}",
            answer.status
        );
        assert_ne!(answer.json(), Value::Null, "{path}");
    }
    root.send(Method::PUT, "/api/v1/cas/", |request| request).await.expect(StatusCode::METHOD_NOT_ALLOWED);
    still_there(&server).await;
}
