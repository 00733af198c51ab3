//! Against a server of FastPKI 0.4: fewer fields, no `Z`, no filters, no totals.

use serde_json::{Value, json};

use super::{
    Person,
    stub::{Reply, Stub},
};

fn certificate(id: i64, common_name: &str, status: &str, not_after: &str) -> Value {
    json!({"id": id, "common_name": common_name, "subject_dn": format!("CN={common_name}"),
           "certificate_type": "server", "key_size": 2048, "valid_days": 365, "status": status, "certificate": "PEM",
           "serial_number": format!("{id:x}{id:x}"), "not_before": "2020-01-01T00:00:00", "not_after": not_after,
           "issuer_id": 1, "created_at": "2020-01-01T00:00:00.123456"})
}

fn old_server() -> Stub {
    let certificates = json!([
        certificate(1, "www.example.com", "valid", "2999-01-01T00:00:00"),
        certificate(2, "old.example.com", "valid", "2020-02-01T00:00:00.5"),
        certificate(3, "bad.example.com", "revoked", "2998-01-01T00:00:00"),
    ]);
    let cas = json!([{"id": 1, "name": "Root", "subject_dn": "CN=Root", "key_size": 4096, "created_at": "2020-01-01T00:00:00"}]);
    Stub::start(move |request| {
        let (_, path) = request.line.split_once(' ').expect("a path");
        match path.split('?').next().expect("a path") {
            "/api/v1/certificates/" => Reply::json(200, &certificates.to_string()),
            "/api/v1/certificates/1" => Reply::json(200, &certificates[0].to_string()),
            "/api/v1/cas/" => Reply::json(200, &cas.to_string()),
            "/api/v1/cas" => {
                Reply { status: 307, headers: vec![("location", "/api/v1/cas/".into())], body: String::new() }
            }
            _ => Reply::json(404, r#"{"detail":"Not Found"}"#),
        }
    })
}

#[test]
fn lists_and_details_do_without_newer_fields() {
    crate::program::run(async {
        let stub = old_server();
        let person = Person::new(&stub.url);
        let cas = person.prints(&["ca", "list"]);
        assert!(cas.lines().nth(1).unwrap().contains("CN=Root"), "{cas}");
        let shown = person.prints(&["cert", "show", "1"]);
        assert!(shown.contains("2999-01-01 00:00:00Z") && !shown.contains("Key type"), "{shown}");
        let certificates = person.prints(&["cert", "list"]);
        let ends: Vec<&str> =
            certificates.lines().skip(1).map(|line| line.rsplit(' ').next().expect("a word")).collect();
        assert_eq!(ends, ["valid", "expired", "revoked"], "{certificates}");
        let words =
            person.refused(&["cert", "list", "--ca", "1", "--limit", "1", "--server", "http://127.0.0.1:9"]);
        assert!(words.contains("127.0.0.1:9"), "{words}");
    });
}

#[test]
fn filters_that_the_server_does_not_know_are_applied_here() {
    crate::program::run(async {
        let stub = old_server();
        let person = Person::new(&stub.url);
        for (search, ids) in [
            ([].as_slice(), [1, 2, 3].as_slice()),
            (&["--limit", "2"], &[1, 2]),
            (&["--skip", "1", "--limit", "1"], &[2]),
            (&["--status", "valid"], &[1]),
            (&["--status", "expired"], &[2]),
            (&["--status", "revoked"], &[3]),
            (&["--type", "client"], &[]),
            (&["--cn", "WWW"], &[1]),
            (&["--serial", "02:2"], &[2]),
            (&["--expires-before", "2021-01-01"], &[2]),
            (&["--expires-after", "2998-06-01"], &[1]),
            (&["--all", "--sort", "not_after"], &[2, 3, 1]),
        ] {
            let list = person.json(&[&["cert", "list"], search].concat());
            let found: Vec<i64> =
                list.as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect();
            assert_eq!(found, ids, "{search:?}");
        }
        assert_eq!(person.json(&["cert", "find", "0x11"])[0]["id"], 1);
        assert_eq!(person.run(&["cert", "find", &"a".repeat(64)]).code, 1);
    });
}
