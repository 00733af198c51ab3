//! `POST /cas/import`: a CA that another program kept goes on here.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, Options, P256, Server, merge, on_both_databases, openssl};

on_both_databases! {
    imported_ca_goes_on_with_all_it_had,
    importing_again_changes_nothing_and_adds_what_is_new,
    dry_run_changes_nothing_and_tells_the_same,
    imported_intermediate_hangs_below_its_issuer_where_that_is_here,
    wrong_keys_and_foreign_certificates_are_refused_whole,
    ca_of_another_organization_is_not_taken_over,
    ca_that_cannot_sign_crls_says_so_and_issues_nothing,
    ca_below_one_that_cannot_sign_crls_is_deleted_by_who_may_delete_it,
    nothing_is_issued_that_the_imported_ca_makes_useless,
    number_of_the_next_crl_leaves_room,
    serial_numbers_of_the_past_are_not_used_again,
    problems_within_lists_are_named,
    imports_go_into_ones_own_organization,
    certificate_that_never_ends_is_imported_revoked,
}

const IMPORT: &str = "/api/v1/cas/import";

/// A CA with three certificates, as another server here made them: what an import of them says. The second is revoked.
async fn foreign(server: &Server, name: &str) -> Value {
    let elsewhere = server.database_beside().await;
    let other = Server::start(&elsewhere, Options::default()).await;
    let root = other.superuser().await;
    let ca = root.create_ca(name, json!({})).await;
    let mut certificates = Vec::new();
    for number in 1..=3 {
        let made = root.create_certificate(&ca, &format!("{number}.example.com"), json!({})).await;
        certificates.push(json!({"certificate": made["certificate"], "private_key": made["private_key"]}));
    }
    certificates[1]["revoked_at"] = json!("2026-01-02T03:04:05Z");
    certificates[1]["reason"] = json!("key_compromise");
    certificates[2]["private_key"] = Value::Null;
    other.stop().await;
    elsewhere.remove().await;
    // Time has not stood still meanwhile.
    server.clock.advance(60);
    json!({
        "name": name, "certificate": ca["certificate"], "private_key": ca["private_key"], "next_crl_number": 42,
        "certificates": certificates,
        "revocations": [{"serial_number": "0A:BC", "revoked_at": "2026-02-03T00:00:00Z", "reason": "superseded"}],
    })
}

async fn crl_of(client: &Client, name: &str, id: &Value) -> String {
    let der = client.get(&format!("/crl/{name}-{id}")).await.bytes;
    openssl(&["crl", "-inform", "DER", "-noout", "-text"], &der)
}

async fn imported_ca_goes_on_with_all_it_had(server: Server) {
    let world = server.world().await;
    let import = foreign(&server, "Old").await;
    let report = world.red_admin.post(IMPORT, import.clone()).await.expect(StatusCode::OK);
    for (field, expected) in [
        ("created", json!(true)),
        ("certificates", json!(3)),
        ("certificates_present", json!(0)),
        ("revocations", json!(2)),
        ("revocations_present", json!(0)),
        ("dry_run", json!(false)),
    ] {
        assert_eq!(report[field], expected, "{field}");
    }
    let ca = &report["ca"];
    assert_eq!(
        (&ca["is_root"], &ca["organization_id"], &ca["created_by_user_id"]),
        (&json!(true), &world.red, &json!(2))
    );
    let key =
        world.red_admin.get(&format!("/api/v1/cas/{}/private-key", ca["id"])).await.expect(StatusCode::OK);
    assert_eq!(key["private_key"], import["private_key"]);
    let list = world.red_admin.get("/api/v1/certificates/").await.expect(StatusCode::OK);
    let seen: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["common_name"].as_str().unwrap(), it["status"].as_str().unwrap()))
        .collect();
    assert_eq!(seen, [("1.example.com", "valid"), ("2.example.com", "revoked"), ("3.example.com", "valid")]);
    assert_eq!(list[1]["revoked_at"], "2026-01-02T03:04:05.000000Z");
    let crl = crl_of(&server.stranger(), "old", &ca["id"]).await;
    assert_eq!(
        (
            crl.matches("Serial Number").count(),
            crl.matches("Key Compromise").count(),
            crl.matches("Superseded").count()
        ),
        (2, 1, 1),
        "{crl}"
    );
    assert!(crl.contains("Serial Number: 0ABC") && crl.contains("Jan  2 03:04:05 2026"), "{crl}");
    let number = crl.lines().skip_while(|line| !line.contains("CRL Number")).nth(1).unwrap().trim();
    assert_eq!(number, "42");
    // It issues, renews and revokes as any other.
    let new = world.red_admin.create_certificate(ca, "new.example.com", json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    std::fs::write(&root, ca["certificate"].as_str().unwrap()).unwrap();
    let verdict = openssl(
        &["verify", "-x509_strict", "-no_check_time", "-CAfile", root.to_str().unwrap()],
        new["certificate"].as_str().unwrap().as_bytes(),
    );
    assert_eq!(verdict.trim(), "stdin: OK");
    world.red_admin.post("/api/v1/certificates/1/renew", json!({})).await.expect(StatusCode::CREATED);
    // Whose key is not here is renewed with a CSR.
    let refused =
        world.red_admin.post("/api/v1/certificates/3/renew", json!({})).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(refused["detail"]["code"], "csr_required_for_csr_origin_cert");
    world.red_admin.post("/api/v1/certificates/3/revoke", json!({})).await.expect(StatusCode::OK);
    assert_eq!(crl_of(&server.stranger(), "old", &ca["id"]).await.matches("Serial Number").count(), 3);
    let log = world.red_admin.get("/api/v1/audit-logs/?action=ca_import").await.expect(StatusCode::OK);
    assert_eq!((log.as_array().unwrap().len(), &log[0]["resource_id"]), (1, &ca["id"]));
    let known = "SELECT CAST(action AS VARCHAR) FROM audit_logs WHERE own_action = 'CA_IMPORT'";
    assert_eq!(server.database.peek(known).await, ["CA_CREATE"]);
}

async fn importing_again_changes_nothing_and_adds_what_is_new(server: Server) {
    let root = server.superuser().await;
    let mut import = foreign(&server, "Old").await;
    let all = import["certificates"].clone();
    import["certificates"] = json!([all[0], all[1]]);
    root.post(IMPORT, import.clone()).await.expect(StatusCode::OK);
    let log = "SELECT count(*) FROM audit_logs WHERE own_action = 'CA_IMPORT'";
    let again = root.post(IMPORT, import.clone()).await.expect(StatusCode::OK);
    assert_eq!(
        [
            &again["created"],
            &again["certificates"],
            &again["revocations"],
            &again["certificates_present"],
            &again["revocations_present"]
        ],
        [&json!(false), &json!(0), &json!(0), &json!(2), &json!(2)]
    );
    assert_eq!(server.database.peek(log).await, ["1"]);
    // A certificate that is new, and one that was revoked since.
    import["certificates"] = all;
    import["certificates"][0]["revoked_at"] = json!("2026-05-05T00:00:00Z");
    let more = root.post(IMPORT, import).await.expect(StatusCode::OK);
    assert_eq!([&more["certificates"], &more["revocations"]], [&json!(1), &json!(1)]);
    let first = root.get("/api/v1/certificates/1").await.expect(StatusCode::OK);
    assert_eq!(first["status"], "revoked");
    assert_eq!(server.database.peek("SELECT count(*) FROM certificate_authorities").await, ["1"]);
    assert_eq!(server.database.peek(log).await, ["2"]);
}

async fn dry_run_changes_nothing_and_tells_the_same(server: Server) {
    let root = server.superuser().await;
    let mut import = foreign(&server, "Old").await;
    import["dry_run"] = json!(true);
    let told = root.post(IMPORT, import.clone()).await.expect(StatusCode::OK);
    assert_eq!(
        (&told["created"], &told["certificates"], &told["ca"], &told["dry_run"]),
        (&json!(true), &json!(3), &Value::Null, &json!(true))
    );
    for table in ["certificate_authorities", "certificates", "crl_entries", "fastpki_serials", "fastpki_crls"]
    {
        assert_eq!(server.database.peek(&format!("SELECT count(*) FROM {table}")).await, ["0"], "{table}");
    }
    import["dry_run"] = json!(false);
    root.post(IMPORT, import.clone()).await.expect(StatusCode::OK);
    import["dry_run"] = json!(true);
    let told = root.post(IMPORT, import).await.expect(StatusCode::OK);
    assert_eq!(
        (&told["created"], &told["certificates_present"], &told["ca"]["name"]),
        (&json!(false), &json!(3), &json!("Old"))
    );
}

async fn imported_intermediate_hangs_below_its_issuer_where_that_is_here(server: Server) {
    let world = server.world().await;
    let top = world.red_admin.create_ca("Top", json!({})).await;
    let sub = world.red_admin.create_ca("Sub", json!({"parent_ca_id": top["id"]})).await;
    let elsewhere = format!("/api/v1/cas/{}?revoke=false", sub["id"]);
    world.red_admin.delete(&elsewhere).await.expect(StatusCode::NO_CONTENT);
    let import = json!({"name": "Sub", "certificate": sub["certificate"], "private_key": sub["private_key"]});
    // Blue may not create CAs under Red's.
    let of_blue = world.blue_admin.post(IMPORT, import.clone()).await.expect(StatusCode::OK);
    assert_eq!((&of_blue["ca"]["parent_ca_id"], &of_blue["ca"]["is_root"]), (&Value::Null, &json!(false)));
    world
        .blue_admin
        .delete(&format!("/api/v1/cas/{}", of_blue["ca"]["id"]))
        .await
        .expect(StatusCode::NO_CONTENT);
    let of_red = world.red_admin.post(IMPORT, import).await.expect(StatusCode::OK);
    assert_eq!(of_red["ca"]["parent_ca_id"], top["id"]);
    let chain = world
        .red_admin
        .get(&format!("/api/v1/cas/{}/chain", of_red["ca"]["id"]))
        .await
        .expect(StatusCode::OK);
    assert_eq!(chain.as_array().unwrap().len(), 2);
}

async fn wrong_keys_and_foreign_certificates_are_refused_whole(server: Server) {
    let root = server.superuser().await;
    let (import, other) = (foreign(&server, "Old").await, foreign(&server, "Other").await);
    let refused = async |field: &str, value: Value, word: &str| {
        let mut bad = import.clone();
        merge(&mut bad, json!({field: value}));
        let answer = root.post(IMPORT, bad).await.expect(StatusCode::BAD_REQUEST);
        assert!(answer["detail"].as_str().unwrap().contains(word), "{field}: {answer}");
        assert!(!answer.to_string().contains("PRIVATE KEY"), "{answer}");
    };
    refused("private_key", other["private_key"].clone(), "private key").await;
    refused("private_key", json!("nonsense"), "private_key").await;
    refused("certificate", import["certificates"][0]["certificate"].clone(), "not the certificate of a CA")
        .await;
    refused("certificate", json!("nonsense"), "certificate").await;
    let mixed = json!([import["certificates"][0], other["certificates"][0]]);
    refused("certificates", mixed, "certificates[1]: this CA did not issue it").await;
    let mut swapped = import["certificates"].clone();
    swapped[0]["private_key"] = other["private_key"].clone();
    refused("certificates", swapped, "certificates[0]: it belongs to no certificate").await;
    refused(
        "revocations",
        json!([{"serial_number": "xyz", "revoked_at": "2026-01-01T00:00:00Z"}]),
        "revocations[0]",
    )
    .await;
    for date in ["1969-12-31T23:59:59Z", "-000044-03-15T12:00:00Z", "9999-12-30T00:00:00Z"] {
        refused(
            "revocations",
            json!([{"serial_number": "1", "revoked_at": date}]),
            "revocations[0]: revoked_at",
        )
        .await;
    }
    assert_eq!(server.database.peek("SELECT count(*) FROM certificate_authorities").await, ["0"]);
}

async fn ca_of_another_organization_is_not_taken_over(server: Server) {
    let world = server.world().await;
    let import = foreign(&server, "Old").await;
    world.red_admin.post(IMPORT, import.clone()).await.expect(StatusCode::OK);
    world.blue_admin.post(IMPORT, import.clone()).await.expect(StatusCode::CONFLICT);
    world.root.post(IMPORT, import.clone()).await.expect(StatusCode::CONFLICT);
    let mut of_red = import;
    of_red["organization_id"] = world.red.clone();
    world.root.post(IMPORT, of_red).await.expect(StatusCode::OK);
}

async fn serial_numbers_of_the_past_are_not_used_again(server: Server) {
    let root = server.superuser().await;
    let import = foreign(&server, "Old").await;
    root.post(IMPORT, import).await.expect(StatusCode::OK);
    // Three of its certificates, and its own.
    assert_eq!(server.database.peek("SELECT count(*) FROM fastpki_serials").await, ["4"]);
}

async fn problems_within_lists_are_named(server: Server) {
    let root = server.superuser().await;
    let body = json!({
        "name": "", "certificate": "x", "private_key": "y", "next_crl_number": -1,
        "certificates": [{"certificate": "z"}, {"revoked_at": "soon"}, 7],
        "revocations": [{"serial_number": "1"}],
    });
    let answer = root.post(IMPORT, body).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let places: Vec<String> =
        answer["detail"].as_array().unwrap().iter().map(|problem| problem["loc"].to_string()).collect();
    assert_eq!(
        places,
        [
            r#"["body","name"]"#,
            r#"["body","next_crl_number"]"#,
            r#"["body","certificates",1,"certificate"]"#,
            r#"["body","certificates",1,"revoked_at"]"#,
            r#"["body","certificates",2]"#,
            r#"["body","revocations",0,"revoked_at"]"#,
        ]
    );
}

async fn imports_go_into_ones_own_organization(server: Server) {
    let world = server.world().await;
    let mut import = foreign(&server, "Old").await;
    for client in [&world.red_user, &world.loner] {
        client.post(IMPORT, import.clone()).await.expect(StatusCode::FORBIDDEN);
    }
    import["organization_id"] = world.blue.clone();
    world.red_admin.post(IMPORT, import.clone()).await.expect(StatusCode::FORBIDDEN);
    import["organization_id"] = json!(99);
    world.root.post(IMPORT, import).await.expect(StatusCode::BAD_REQUEST);
}

/// A CA that OpenSSL made: what an import of it says.
fn of_openssl(name: &str, extensions: &[&str]) -> Value {
    signed_by_openssl(name, extensions, &[])
}

fn signed_by_openssl(name: &str, extensions: &[&str], issuer: &[&str]) -> Value {
    let subject = format!("/CN={name}");
    let mut arguments =
        vec!["req", "-x509", "-nodes", "-keyout", "/dev/stdout", "-days", "30", "-subj", subject.as_str()];
    arguments.extend_from_slice(&P256);
    arguments.extend_from_slice(issuer);
    for extension in extensions {
        arguments.extend_from_slice(&["-addext", extension]);
    }
    let text = openssl(&arguments, b"");
    let block = |label: &str| {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let start = text.find(&begin).unwrap_or_else(|| panic!("{text}"));
        text[start..text.find(&end).unwrap() + end.len()].to_owned() + "\n"
    };
    json!({"name": name, "certificate": block("CERTIFICATE"), "private_key": block("PRIVATE KEY")})
}

async fn ca_that_cannot_sign_crls_says_so_and_issues_nothing(server: Server) {
    server.clock.advance(60);
    let root = server.superuser().await;
    let import = of_openssl("Mute", &["keyUsage=critical,keyCertSign"]);
    let report = root.post(IMPORT, import).await.expect(StatusCode::OK);
    let warning = report["warnings"][0].as_str().unwrap();
    assert!(warning.contains("does not let it sign CRLs"), "{report}");
    let ca = &report["ca"];
    let refused = |answer: crate::harness::Answer| {
        let answer = answer.expect(StatusCode::BAD_REQUEST);
        assert!(answer["detail"].as_str().unwrap().contains("sign CRLs"), "{answer}");
    };
    refused(root.try_create_certificate(ca, "www.example.com", json!({})).await);
    refused(root.try_create_ca("Sub", json!({"parent_ca_id": ca["id"]})).await);
    // A revocation that no CRL can tell is not answered as if it were one.
    let good = root.create_ca("Good", json!({})).await;
    root.create_certificate(&good, "www.example.com", json!({})).await;
    root.create_ca("Sub", json!({"parent_ca_id": good["id"]})).await;
    server.database.script("UPDATE certificates SET issuer_id = 1").await;
    server.database.script("UPDATE certificate_authorities SET parent_ca_id = 1 WHERE id = 3").await;
    refused(root.post("/api/v1/certificates/1/revoke", json!({})).await);
    refused(root.post("/api/v1/cas/3/revoke", json!({})).await);
    refused(root.delete("/api/v1/cas/3").await);
    assert_eq!(server.database.peek("SELECT count(*) FROM crl_entries").await, ["0"]);
    root.delete("/api/v1/cas/3?revoke=false").await.expect(StatusCode::NO_CONTENT);
}

async fn ca_below_one_that_cannot_sign_crls_is_deleted_by_who_may_delete_it(server: Server) {
    server.clock.advance(60);
    let world = server.world().await;
    let mute = of_openssl("Mute", &["keyUsage=critical,keyCertSign"]);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, mute[name].as_str().unwrap()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = (file("certificate"), file("private_key"));
    let usage = ["keyUsage=critical,keyCertSign,cRLSign"];
    let low = signed_by_openssl("Low", &usage, &["-CA", &certificate, "-CAkey", &key]);
    let above = world.red_admin.post(IMPORT, mute).await.expect(StatusCode::OK);
    let below = world.red_admin.post(IMPORT, low).await.expect(StatusCode::OK);
    assert_eq!(below["ca"]["parent_ca_id"], above["ca"]["id"]);
    let flags = json!({"can_delete_ca": true});
    let (_, account) = server.service_account(&world.red_admin, "deleter", flags).await;
    let path = format!("/api/v1/cas/{}", below["ca"]["id"]);
    let refused = account.delete(&path).await.expect(StatusCode::BAD_REQUEST);
    assert!(refused["detail"].as_str().unwrap().contains("revoke=false"), "{refused}");
    account.delete(&format!("{path}?revoke=false")).await.expect(StatusCode::NO_CONTENT);
}

async fn nothing_is_issued_that_the_imported_ca_makes_useless(server: Server) {
    server.clock.advance(60);
    let root = server.superuser().await;
    let usage = "keyUsage=critical,keyCertSign,cRLSign";
    for (name, extension, words, client_too) in [
        ("Critical", "1.2.3.4=critical,ASN1:NULL", "1.2.3.4", true),
        ("Clients", "extendedKeyUsage=clientAuth", "TLS servers", false),
        ("Dotted", "nameConstraints=critical,permitted;DNS:example.com.", "name constraints", false),
    ] {
        let import = of_openssl(name, &[usage, extension]);
        let report = root.post(IMPORT, import).await.expect(StatusCode::OK);
        let answer = root.try_create_certificate(&report["ca"], "www.example.com", json!({})).await;
        let answer = answer.expect(StatusCode::BAD_REQUEST);
        assert!(answer["detail"].as_str().unwrap().contains(words), "{name}: {answer}");
        let client = json!({"certificate_type": "client", "subject_dn": "CN=alice", "common_name": "alice"});
        let answer = root.try_create_certificate(&report["ca"], "alice", client).await;
        assert_eq!(answer.status == StatusCode::BAD_REQUEST, client_too, "{name}");
        if name != "Dotted" {
            assert!(report["warnings"][0].as_str().unwrap().contains(words), "{name}: {report}");
        }
    }
}

async fn number_of_the_next_crl_leaves_room(server: Server) {
    let root = server.superuser().await;
    let mut import = foreign(&server, "Old").await;
    for number in [(1_u64 << 62) + 1, i64::MAX.unsigned_abs()] {
        import["next_crl_number"] = json!(number);
        root.post(IMPORT, import.clone()).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    import["next_crl_number"] = json!(1_u64 << 62);
    let report = root.post(IMPORT, import).await.expect(StatusCode::OK);
    let crl = crl_of(&server.stranger(), "old", &report["ca"]["id"]).await;
    assert!(crl.contains("4611686018427387904") || crl.contains("0x4000000000000000"), "{crl}");
    root.post("/api/v1/certificates/1/revoke", json!({})).await.expect(StatusCode::OK);
    let crl = crl_of(&server.stranger(), "old", &report["ca"]["id"]).await;
    assert!(crl.contains("4611686018427387905") || crl.contains("0x4000000000000001"), "{crl}");
}

/// RFC 5280's "no end", 9999-12-31T23:59:59Z, is later than jiff's last instant.
async fn certificate_that_never_ends_is_imported_revoked(server: Server) {
    let root = server.superuser().await;
    let import = json!({
        "name": "Endless",
        "certificate": include_str!("../../testdata/no-end/ca.crt"),
        "private_key": include_str!("../../testdata/no-end/ca.key"),
        "certificates": [{
            "certificate": include_str!("../../testdata/no-end/02.crt"),
            "revoked_at": "2026-01-02T03:04:05Z",
        }],
    });
    let report = root.post(IMPORT, import).await.expect(StatusCode::OK);
    assert_eq!((&report["certificates"], &report["revocations"]), (&json!(1), &json!(1)), "{report}");
    let list = root.get("/api/v1/certificates/").await.expect(StatusCode::OK);
    assert!(list[0]["not_after"].as_str().unwrap().starts_with("9999-12-3"), "{list}");
    assert_eq!(list[0]["status"], "revoked");
    let crl = crl_of(&server.stranger(), "endless", &report["ca"]["id"]).await;
    assert!(crl.contains("Serial Number: 02"), "{crl}");
}
