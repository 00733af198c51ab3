use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, P256, Server, new_csr, on_both_databases, openssl, printed};

on_both_databases! {
    certificate_is_made_as_asked,
    each_type_has_its_purpose,
    each_key_type_makes_a_certificate,
    sans_follow_the_type,
    contradicting_names_are_400,
    certificate_never_outlives_its_issuer,
    key_that_is_not_wanted_is_not_kept,
    csr_gives_subject_names_and_key,
    given_fields_override_the_csr,
    csr_keys_of_every_kind_are_signed,
    bad_csrs_are_400_with_the_reason,
    csr_finds_its_ca_by_name,
    certificate_of_type_ca_needs_the_right_to_create_cas,
    server_made_key_is_renewed_with_a_new_key,
    csr_born_certificate_is_renewed_with_a_csr,
    renewal_needs_leave_for_the_ca_too,
    revocation_happens_once,
    revoked_ca_issues_nothing,
    certificate_expires_by_itself,
    serial_numbers_are_distinct,
}

async fn authority(server: &Server) -> (Client, Value) {
    let root = server.superuser().await;
    let ca = root.create_ca("Issuing", json!({})).await;
    (root, ca)
}

fn sans(certificate: &Value) -> String {
    let text = printed(certificate);
    let mut lines = text.lines().skip_while(|line| !line.contains("Subject Alternative Name"));
    lines.nth(1).unwrap_or_default().trim().to_owned()
}

async fn certificate_is_made_as_asked(server: Server) {
    let (root, ca) = authority(&server).await;
    let more = json!({"subject_dn": "O=Example,CN=www.example.com,OU=Web", "valid_days": 30});
    let certificate = root.create_certificate(&ca, "www.example.com", more).await;
    for (field, value) in [
        ("common_name", json!("www.example.com")),
        ("subject_dn", json!("O=Example,CN=www.example.com,OU=Web")),
        ("certificate_type", json!("server")),
        ("key_type", json!("ec")),
        ("key_size", json!(256)),
        ("valid_days", json!(30)),
        ("status", json!("valid")),
        ("revoked_at", json!(null)),
        ("issuer_id", ca["id"].clone()),
        ("created_by_user_id", json!(1)),
        ("renewed_from_id", json!(null)),
        ("renewed_to_ids", json!([])),
    ] {
        assert_eq!(certificate[field], value, "{field}");
    }
    let key = certificate["private_key"].as_str().unwrap();
    let of_key = openssl(&["pkey", "-pubout"], key.as_bytes());
    let of_certificate =
        openssl(&["x509", "-pubkey", "-noout"], certificate["certificate"].as_str().unwrap().as_bytes());
    assert_eq!(of_key, of_certificate);
    let serial =
        openssl(&["x509", "-serial", "-noout"], certificate["certificate"].as_str().unwrap().as_bytes());
    let serial = serial.trim().trim_start_matches("serial=").trim_start_matches('0').to_lowercase();
    assert_eq!(certificate["serial_number"], serial);
    let shown = root.get("/api/v1/certificates/1").await.expect(StatusCode::OK);
    assert!(shown.get("private_key").is_none());
    assert_eq!(shown["certificate"], certificate["certificate"]);
    let body = json!({"common_name": "x.example.com", "subject_dn": "CN=x.example.com", "certificate_type": "server"});
    root.post("/api/v1/certificates/?ca_id=99", body.clone()).await.expect(StatusCode::NOT_FOUND);
    root.post("/api/v1/certificates/", body).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
}

async fn each_type_has_its_purpose(server: Server) {
    let (root, ca) = authority(&server).await;
    for (kind, name, usage) in [
        ("server", "www.example.com", "TLS Web Server Authentication"),
        ("client", "Some Body", "TLS Web Client Authentication"),
        ("dual_purpose", "node.example.com", "TLS Web Server Authentication, TLS Web Client Authentication"),
    ] {
        let certificate = root.create_certificate(&ca, name, json!({"certificate_type": kind})).await;
        let text = printed(&certificate);
        assert!(text.lines().any(|line| line.trim() == usage), "{kind}: {text}");
        assert!(text.contains("CA:FALSE"), "{text}");
        assert!(!text.contains("Key Encipherment"), "{text}");
    }
}

async fn each_key_type_makes_a_certificate(server: Server) {
    let (root, ca) = authority(&server).await;
    for (key_type, size, usage) in [
        ("rsa", 2048, "Digital Signature, Key Encipherment"),
        ("ec", 256, "Digital Signature"),
        ("ec", 384, "Digital Signature"),
        ("ed25519", 256, "Digital Signature"),
    ] {
        let more = json!({"key_type": key_type, "key_size": size});
        let certificate = root.create_certificate(&ca, "www.example.com", more).await;
        assert_eq!((&certificate["key_type"], &certificate["key_size"]), (&json!(key_type), &json!(size)));
        assert!(printed(&certificate).lines().any(|line| line.trim() == usage), "{key_type}");
    }
}

async fn sans_follow_the_type(server: Server) {
    let (root, ca) = authority(&server).await;
    for (name, more, expected) in [
        ("www.example.com", json!({}), "DNS:www.example.com"),
        ("192.0.2.7", json!({}), "IP Address:192.0.2.7"),
        (
            "www.example.com",
            json!({"san_dns_names": ["A.example.com", "a.example.com"]}),
            "DNS:a.example.com",
        ),
        ("*.example.com", json!({}), "DNS:*.example.com"),
        ("bücher.example", json!({}), "DNS:xn--bcher-kva.example"),
        ("Some Host", json!({"san_ip_addresses": ["2001:db8::1"]}), "IP Address:2001:DB8:0:0:0:0:0:1"),
        ("a@example.com", json!({"certificate_type": "client"}), "email:a@example.com"),
        ("Some Body", json!({"certificate_type": "client"}), ""),
    ] {
        let certificate = root.create_certificate(&ca, name, more).await;
        assert_eq!(sans(&certificate), expected, "{name}");
    }
    for (name, more) in [
        ("Some Host", json!({})),
        ("www.example.com", json!({"san_email_addresses": ["a@example.com"]})),
        ("a@example.com", json!({"certificate_type": "client", "san_dns_names": ["www.example.com"]})),
        ("www.example.com", json!({"san_dns_names": ["under_score.example.com"]})),
        ("www.example.com", json!({"san_dns_names": ["a.*.example.com"]})),
        ("www.example.com", json!({"san_dns_names": ["192.0.2.7"]})),
        ("www.example.com", json!({"san_ip_addresses": ["300.0.2.7"]})),
    ] {
        root.try_create_certificate(&ca, name, more).await.expect(StatusCode::BAD_REQUEST);
    }
}

async fn contradicting_names_are_400(server: Server) {
    let (root, ca) = authority(&server).await;
    for subject in ["CN=other.example.com", "O=Example"] {
        let answer =
            root.try_create_certificate(&ca, "www.example.com", json!({"subject_dn": subject})).await;
        answer.expect(StatusCode::BAD_REQUEST);
    }
    root.create_certificate(
        &ca,
        "two",
        json!({"subject_dn": "CN=one,CN=two", "san_dns_names": ["x.example.com"]}),
    )
    .await;
}

async fn certificate_never_outlives_its_issuer(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Short", json!({"valid_days": 10})).await;
    server.clock.advance(60);
    let certificate = root.create_certificate(&ca, "www.example.com", json!({"valid_days": 100})).await;
    assert_eq!(certificate["valid_days"], 9);
    let end =
        |item: &Value| printed(item).lines().find(|line| line.contains("Not After")).unwrap().to_owned();
    assert_eq!(end(&certificate), end(&ca));
}

async fn key_that_is_not_wanted_is_not_kept(server: Server) {
    let (root, ca) = authority(&server).await;
    let certificate =
        root.create_certificate(&ca, "www.example.com", json!({"include_private_key": false})).await;
    assert_eq!(certificate["private_key"], json!(null));
    let detail = root.get("/api/v1/certificates/1/private-key").await.expect(StatusCode::OK);
    assert_eq!(detail["private_key"], json!(null));
    root.get("/api/v1/export/certificate/1/private-key").await.expect(StatusCode::NOT_FOUND);
}

async fn sign(root: &Client, ca: &Value, csr: &str, more: Value) -> crate::harness::Answer {
    let mut body = json!({"csr": csr, "ca_id": ca["id"], "certificate_type": "server"});
    crate::harness::merge(&mut body, more);
    root.post("/api/v1/certificates/sign-csr", body).await
}

async fn csr_gives_subject_names_and_key(server: Server) {
    let (root, ca) = authority(&server).await;
    let csr = new_csr(
        &P256,
        "/C=CA/O=Acme/CN=api.example.com",
        &["subjectAltName=DNS:api.example.com,IP:192.0.2.1"],
    );
    let certificate = sign(&root, &ca, &csr, json!({"valid_days": 7})).await.expect(StatusCode::CREATED);
    assert!(certificate.get("private_key").is_none());
    assert_eq!(certificate["subject_dn"], "C=CA,O=Acme,CN=api.example.com");
    assert_eq!(certificate["common_name"], "api.example.com");
    assert_eq!(sans(&certificate), "DNS:api.example.com, IP Address:192.0.2.1");
    let of_csr = openssl(&["req", "-pubkey", "-noout"], csr.as_bytes());
    let of_certificate =
        openssl(&["x509", "-pubkey", "-noout"], certificate["certificate"].as_str().unwrap().as_bytes());
    assert_eq!(of_csr, of_certificate);
    let detail = root.get("/api/v1/certificates/1/private-key").await.expect(StatusCode::OK);
    assert_eq!(detail["private_key"], json!(null));
}

async fn given_fields_override_the_csr(server: Server) {
    let (root, ca) = authority(&server).await;
    let csr =
        new_csr(&P256, "/O=Acme/CN=old.example.com", &["subjectAltName=DNS:old.example.com,IP:192.0.2.1"]);
    let named =
        sign(&root, &ca, &csr, json!({"common_name": "new.example.com"})).await.expect(StatusCode::CREATED);
    assert_eq!(named["subject_dn"], "O=Acme,CN=new.example.com");
    let subject = json!({"subject_dn": "CN=other.example.com"});
    let subjected = sign(&root, &ca, &csr, subject).await.expect(StatusCode::CREATED);
    assert_eq!(
        (&subjected["subject_dn"], &subjected["common_name"]),
        (&json!("CN=other.example.com"), &json!("other.example.com"))
    );
    let listed =
        sign(&root, &ca, &csr, json!({"san_dns_names": ["x.example.com"]})).await.expect(StatusCode::CREATED);
    assert_eq!(sans(&listed), "IP Address:192.0.2.1, DNS:x.example.com");
    let both = json!({"subject_dn": "CN=a.example.com", "common_name": "b.example.com"});
    sign(&root, &ca, &csr, both).await.expect(StatusCode::BAD_REQUEST);
}

async fn csr_keys_of_every_kind_are_signed(server: Server) {
    let (root, ca) = authority(&server).await;
    for (key, key_type, size) in [
        (&["-newkey", "rsa:2048"][..], "rsa", 2048),
        (&P256[..], "ec", 256),
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"][..], "ec", 384),
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp521r1"][..], "ec", 521),
        (&["-newkey", "ed25519"][..], "ed25519", 256),
    ] {
        let csr = new_csr(key, "/CN=key.example.com", &[]);
        let certificate = sign(&root, &ca, &csr, json!({})).await.expect(StatusCode::CREATED);
        assert_eq!((&certificate["key_type"], &certificate["key_size"]), (&json!(key_type), &json!(size)));
    }
}

async fn bad_csrs_are_400_with_the_reason(server: Server) {
    let (root, ca) = authority(&server).await;
    let good = new_csr(&P256, "/CN=www.example.com", &[]);
    let forged = {
        let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
        let last = lines.len() - 2;
        let turned: String = lines[last].chars().map(|c| if c == 'A' { 'B' } else { c }).collect();
        let turned = if turned == lines[last] {
            turned.replacen(|c: char| c.is_ascii_lowercase(), "A", 1)
        } else {
            turned
        };
        lines[last] = turned;
        lines.join("\n") + "\n"
    };
    let weak = new_csr(&["-newkey", "rsa:1024"], "/CN=www.example.com", &[]);
    let nameless = new_csr(&P256, "/O=Acme", &[]);
    let certificate = ca["certificate"].as_str().unwrap();
    for (csr, word) in [
        ("nonsense", "CERTIFICATE REQUEST"),
        (certificate, "CERTIFICATE REQUEST"),
        (&forged, ""),
        (&weak, "1024"),
        (&nameless, "common name"),
    ] {
        let answer = sign(&root, &ca, csr, json!({})).await.expect(StatusCode::BAD_REQUEST);
        assert!(answer["detail"].as_str().unwrap().contains(word), "{answer}");
    }
    // The CA is looked at first.
    let body = json!({"csr": "nonsense", "ca_id": 99, "certificate_type": "server"});
    root.post("/api/v1/certificates/sign-csr", body).await.expect(StatusCode::NOT_FOUND);
    let body = json!({"csr": good, "certificate_type": "server"});
    root.post("/api/v1/certificates/sign-csr", body).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(server.database.peek("SELECT count(*) FROM certificates").await, ["0"]);
}

async fn csr_finds_its_ca_by_name(server: Server) {
    let world = server.world().await;
    world.red_admin.create_ca("Issuing", json!({})).await;
    let csr = new_csr(&P256, "/CN=www.example.com", &[]);
    let body = json!({"csr": csr, "ca_name": "Issuing", "certificate_type": "server"});
    let post = async |client: &Client| client.post("/api/v1/certificates/sign-csr", body.clone()).await;
    let certificate = post(&world.red_admin).await.expect(StatusCode::CREATED);
    assert_eq!(certificate["issuer_id"], 1);
    post(&world.blue_admin).await.expect(StatusCode::NOT_FOUND);
    post(&world.loner).await.expect(StatusCode::NOT_FOUND);
    post(&world.red_user).await.expect(StatusCode::FORBIDDEN);
    world.blue_admin.create_ca("Issuing", json!({})).await;
    assert_eq!(post(&world.blue_admin).await.expect(StatusCode::CREATED)["issuer_id"], 2);
    post(&world.root).await.expect(StatusCode::CONFLICT);
}

async fn certificate_of_type_ca_needs_the_right_to_create_cas(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Issuing", json!({"path_length": 1})).await;
    let flags = json!({"can_create_cert": true});
    world.red_admin.create_user("issuer", "user", &world.red, flags).await;
    let issuer = server.sign_in("issuer").await;
    issuer.create_certificate(&ca, "www.example.com", json!({})).await;
    let more = json!({"certificate_type": "ca", "san_dns_names": ["ignored.example.com"]});
    issuer.try_create_certificate(&ca, "Sub CA", more.clone()).await.expect(StatusCode::FORBIDDEN);
    let sub = world.red_admin.create_certificate(&ca, "Sub CA", more.clone()).await;
    let text = printed(&sub);
    assert!(text.contains("CA:TRUE, pathlen:0") && !text.contains("Alternative Name"), "{text}");
    let full = world.red_admin.create_ca("Full", json!({"path_length": 0})).await;
    world.red_admin.try_create_certificate(&full, "Sub CA", more).await.expect(StatusCode::BAD_REQUEST);
    // It is no CA of the inventory: its issuer goes on issuing.
    let ca = world.red_admin.get("/api/v1/cas/1").await.expect(StatusCode::OK);
    assert_eq!(ca["allow_leaf_certs"], true);
}

async fn server_made_key_is_renewed_with_a_new_key(server: Server) {
    let (root, ca) = authority(&server).await;
    let more = json!({
        "subject_dn": "OU=b,CN=www.example.com,O=a", "key_size": 384, "valid_days": 30,
        "san_dns_names": ["www.example.com", "example.com"], "san_ip_addresses": ["192.0.2.1"],
    });
    let old = root.create_certificate(&ca, "www.example.com", more).await;
    server.clock.advance(600);
    let new = root.post("/api/v1/certificates/1/renew", json!({})).await.expect(StatusCode::CREATED);
    for field in
        ["common_name", "subject_dn", "certificate_type", "key_type", "key_size", "valid_days", "issuer_id"]
    {
        assert_eq!(new[field], old[field], "{field}");
    }
    assert_eq!(sans(&new), sans(&old));
    assert_eq!(new["renewed_from_id"], old["id"]);
    assert_ne!(new["private_key"], old["private_key"]);
    assert_ne!(new["serial_number"], old["serial_number"]);
    assert!(new["not_before"].as_str() > old["not_before"].as_str());
    let old = root.get("/api/v1/certificates/1").await.expect(StatusCode::OK);
    assert_eq!((&old["status"], &old["renewed_to_ids"]), (&json!("valid"), &json!([2])));
    let csr = new_csr(&P256, "/CN=www.example.com", &[]);
    let refused =
        root.post("/api/v1/certificates/1/renew", json!({"csr": csr})).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(refused["detail"]["code"], "csr_not_allowed_for_server_key_cert");
    root.post("/api/v1/certificates/99/renew", json!({})).await.expect(StatusCode::NOT_FOUND);
}

async fn csr_born_certificate_is_renewed_with_a_csr(server: Server) {
    let (root, ca) = authority(&server).await;
    let csr = new_csr(&P256, "/O=Acme/CN=api.example.com", &[]);
    sign(&root, &ca, &csr, json!({})).await.expect(StatusCode::CREATED);
    let refused = root.post("/api/v1/certificates/1/renew", json!({})).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(refused["detail"]["code"], "csr_required_for_csr_origin_cert");
    let csr = new_csr(&["-newkey", "ed25519"], "/CN=ignored.example.com", &[]);
    let new =
        root.post("/api/v1/certificates/1/renew", json!({"csr": csr})).await.expect(StatusCode::CREATED);
    assert_eq!(
        (&new["subject_dn"], &new["key_type"]),
        (&json!("O=Acme,CN=api.example.com"), &json!("ed25519"))
    );
    assert_eq!(new["private_key"], json!(null));
}

async fn renewal_needs_leave_for_the_ca_too(server: Server) {
    let world = server.world().await;
    let ca = world.root.create_ca("Lone", json!({})).await;
    world.root.create_certificate(&ca, "www.example.com", json!({})).await;
    // Such a row an adopted database may hold: the tenant's certificate under somebody else's CA.
    let sql = format!("UPDATE certificates SET organization_id = {} WHERE id = 1", world.red);
    server.database.peek(&sql).await;
    world.red_admin.get("/api/v1/certificates/1").await.expect(StatusCode::OK);
    world.red_admin.post("/api/v1/certificates/1/renew", json!({})).await.expect(StatusCode::FORBIDDEN);
}

async fn revocation_happens_once(server: Server) {
    let (root, ca) = authority(&server).await;
    root.create_certificate(&ca, "www.example.com", json!({})).await;
    let path = "/api/v1/certificates/1/revoke";
    let attempts: Vec<_> = (0..4)
        .map(|_| {
            let root = root.clone();
            tokio::spawn(
                async move { root.post(path, json!({"reason": "key_compromise"})).await.status.as_u16() },
            )
        })
        .collect();
    let mut statuses = Vec::new();
    for attempt in attempts {
        statuses.push(attempt.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
    let revoked = root.get("/api/v1/certificates/1").await.expect(StatusCode::OK);
    assert_eq!(revoked["status"], "revoked");
    assert!(revoked["revoked_at"].is_string());
    assert_eq!(server.database.peek("SELECT count(*) FROM crl_entries").await, ["1"]);
    root.post("/api/v1/certificates/99/revoke", json!({})).await.expect(StatusCode::NOT_FOUND);
}

async fn revoked_ca_issues_nothing(server: Server) {
    let root = server.superuser().await;
    let top = root.create_ca("Top", json!({})).await;
    let middle = root.create_ca("Middle", json!({"parent_ca_id": top["id"]})).await;
    let bottom = root.create_ca("Bottom", json!({"parent_ca_id": middle["id"]})).await;
    root.create_certificate(&bottom, "www.example.com", json!({})).await;
    let serial = openssl(&["x509", "-serial", "-noout"], middle["certificate"].as_str().unwrap().as_bytes());
    let serial = serial.trim().trim_start_matches("serial=").trim_start_matches('0').to_lowercase();
    let now = "'2026-01-01 00:00:00.000000'";
    let sql = format!(
        "INSERT INTO crl_entries (id, created_at, serial_number, revocation_date, ca_id) VALUES (77, {now}, '{serial}', {now}, 1)"
    );
    server.database.peek(&sql).await;
    for ca in [&middle, &bottom] {
        let answer = root
            .try_create_ca("Child", json!({"parent_ca_id": ca["id"]}))
            .await
            .expect(StatusCode::BAD_REQUEST);
        assert!(answer["detail"].as_str().unwrap().contains("revoked"), "{answer}");
    }
    root.try_create_certificate(&bottom, "www.example.com", json!({})).await.expect(StatusCode::BAD_REQUEST);
}

async fn certificate_expires_by_itself(server: Server) {
    let (root, ca) = authority(&server).await;
    root.create_certificate(&ca, "www.example.com", json!({"valid_days": 1})).await;
    root.create_certificate(&ca, "revoked.example.com", json!({"valid_days": 1})).await;
    root.post("/api/v1/certificates/2/revoke", json!({})).await.expect(StatusCode::OK);
    server.clock.advance(24 * 3600 + 1);
    let root = server.sign_in("root").await;
    for (id, status) in [(1, "expired"), (2, "revoked")] {
        let certificate = root.get(&format!("/api/v1/certificates/{id}")).await.expect(StatusCode::OK);
        assert_eq!(certificate["status"], status);
        let list = root.get(&format!("/api/v1/certificates/?status={status}")).await.expect(StatusCode::OK);
        assert_eq!((list.as_array().unwrap().len(), &list[0]["id"]), (1, &json!(id)));
    }
    assert_eq!(root.get("/api/v1/certificates/?status=valid").await.expect(StatusCode::OK), json!([]));
}

async fn serial_numbers_are_distinct(server: Server) {
    let (root, ca) = authority(&server).await;
    let issued: Vec<_> = (0..20)
        .map(|number| {
            let (root, ca) = (root.clone(), ca.clone());
            tokio::spawn(async move {
                root.create_certificate(&ca, &format!("n{number}.example.com"), json!({})).await
            })
        })
        .collect();
    let mut serials = std::collections::HashSet::new();
    for certificate in issued {
        serials.insert(certificate.await.unwrap()["serial_number"].as_str().unwrap().to_owned());
    }
    assert_eq!(serials.len(), 20);
    assert_eq!(server.database.peek("SELECT count(*) FROM fastpki_serials").await, ["21"]);
}
