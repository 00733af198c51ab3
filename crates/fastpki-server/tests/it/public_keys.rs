//! Keys that are not certified: compromised, of CAs, weak.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Options, Server, on_both_databases, openssl};

on_both_databases! {
    compromised_key_is_not_certified_again,
    compromised_key_is_refused_by_renewal_too,
    compromise_counts_for_all_organizations,
    key_revoked_for_another_reason_is_certified_again,
    other_exponent_does_not_make_a_compromised_rsa_key_another,
    key_that_fastpki_0_4_revoked_is_refused_after_a_start,
    imported_revocations_count,
    import_forbids_nobody_elses_keys,
    key_of_a_ca_is_certified_for_nothing_else,
    key_of_a_ca_of_fastpki_0_4_is_known_after_a_start,
    keys_that_can_be_broken_are_refused_with_their_reasons,
    ca_with_a_compromised_key_is_not_imported,
    ca_whose_key_can_be_broken_is_not_imported,
    revoked_certificate_is_renewed_only_when_that_is_asked_for,
}

const SIGN: &str = "/api/v1/certificates/sign-csr";

/// A new private key as OpenSSL makes it.
fn new_key() -> String {
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], b"")
}

/// A CSR for this key.
fn csr_of(key: &str, name: &str) -> String {
    let csr =
        openssl(&["req", "-new", "-key", "/dev/stdin", "-subj", &format!("/CN={name}")], key.as_bytes());
    csr[csr.find("-----BEGIN").unwrap_or_else(|| panic!("{csr}"))..].to_owned()
}

async fn sign(client: &Client, ca: &Value, csr: &str) -> Answer {
    let body = json!({"csr": csr, "ca_id": ca["id"], "certificate_type": "server"});
    client.post(SIGN, body).await
}

async fn is_refused(client: &Client, ca: &Value, csr: &str, word: &str) {
    let refused = sign(client, ca, csr).await.expect(StatusCode::BAD_REQUEST);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains(word) && detail.contains("make a new key"), "{detail}");
}

async fn revoke(client: &Client, certificate: &Value, reason: &str) {
    let path = format!("/api/v1/certificates/{}/revoke", certificate["id"]);
    client.post(&path, json!({"reason": reason})).await.expect(StatusCode::OK);
}

async fn compromised_key_is_not_certified_again(server: Server) {
    let root = server.superuser().await;
    let (ca, other) = (root.create_ca("One", json!({})).await, root.create_ca("Two", json!({})).await);
    for reason in ["key_compromise", "Key Compromise", "keyCompromise", "cACompromise", "aa-compromise"] {
        let key = new_key();
        let csr = csr_of(&key, "www.example.com");
        let signed = sign(&root, &ca, &csr).await.expect(StatusCode::CREATED);
        // The same key may be certified as long as it is good.
        sign(&root, &ca, &csr).await.expect(StatusCode::CREATED);
        revoke(&root, &signed, reason).await;
        for csr in [csr, csr_of(&key, "mail.example.com")] {
            is_refused(&root, &ca, &csr, "compromised").await;
            is_refused(&root, &other, &csr, "compromised").await;
        }
    }
    sign(&root, &ca, &csr_of(&new_key(), "www.example.com")).await.expect(StatusCode::CREATED);
}

async fn compromised_key_is_refused_by_renewal_too(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let key = new_key();
    let signed = sign(&root, &ca, &csr_of(&key, "www.example.com")).await.expect(StatusCode::CREATED);
    revoke(&root, &signed, "key_compromise").await;
    let renew = async |key: &str| {
        let body = json!({"csr": csr_of(key, "x.example.com"), "renew_revoked": true});
        root.post("/api/v1/certificates/1/renew", body).await
    };
    let refused = renew(&key).await.expect(StatusCode::BAD_REQUEST);
    assert!(refused["detail"].as_str().unwrap().contains("compromised"), "{refused}");
    renew(&new_key()).await.expect(StatusCode::CREATED);
}

async fn compromise_counts_for_all_organizations(server: Server) {
    let world = server.world().await;
    let red = world.red_admin.create_ca("Red", json!({})).await;
    let blue = world.blue_admin.create_ca("Blue", json!({})).await;
    let csr = csr_of(&new_key(), "www.example.com");
    let signed = sign(&world.red_admin, &red, &csr).await.expect(StatusCode::CREATED);
    revoke(&world.red_admin, &signed, "key_compromise").await;
    let refused = sign(&world.blue_admin, &blue, &csr).await.expect(StatusCode::BAD_REQUEST);
    // Nothing of whose it was.
    let told = "this key is known to be compromised, so it is not certified again: make a new key";
    assert_eq!(refused["detail"], told);
    // Deleting the CA does not make the key good.
    let path = format!("/api/v1/cas/{}", red["id"]);
    world.red_admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    is_refused(&world.blue_admin, &blue, &csr, "compromised").await;
}

async fn key_revoked_for_another_reason_is_certified_again(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let csr = csr_of(&new_key(), "www.example.com");
    for reason in ["superseded", "not compromised at all", "cessation_of_operation"] {
        let signed = sign(&root, &ca, &csr).await.expect(StatusCode::CREATED);
        revoke(&root, &signed, reason).await;
    }
    sign(&root, &ca, &csr).await.expect(StatusCode::CREATED);
}

async fn other_exponent_does_not_make_a_compromised_rsa_key_another(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let signed = sign(&root, &ca, MODULUS_65537).await.expect(StatusCode::CREATED);
    sign(&root, &ca, MODULUS_65539).await.expect(StatusCode::CREATED);
    revoke(&root, &signed, "key_compromise").await;
    is_refused(&root, &ca, MODULUS_65539, "compromised").await;
}

async fn key_that_fastpki_0_4_revoked_is_refused_after_a_start(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let csr = csr_of(&new_key(), "www.example.com");
    let signed = sign(&root, &ca, &csr).await.expect(StatusCode::CREATED);
    revoke(&root, &signed, "superseded").await;
    server.database.script("UPDATE crl_entries SET reason = 'Key-Compromise'").await;
    sign(&root, &ca, &csr).await.expect(StatusCode::CREATED);
    let server = server.restart(Options::default()).await;
    let root = Client { token: root.token, ..server.stranger() };
    is_refused(&root, &ca, &csr, "compromised").await;
    assert_eq!(server.database.peek("SELECT count(*) FROM fastpki_compromised_keys").await, ["1"]);
}

/// A certificate over a public key shows nothing of the private key: anybody makes one with a CA of their own.
async fn import_forbids_nobody_elses_keys(server: Server) {
    let world = server.world().await;
    let blue = world.blue_admin.create_ca("Blue", json!({})).await;
    let csr = csr_of(&new_key(), "www.example.com");
    sign(&world.blue_admin, &blue, &csr).await.expect(StatusCode::CREATED);
    // A CA elsewhere certifies the key that blue uses, and is imported with that certificate as compromised.
    let elsewhere = server.database_beside().await;
    let other = Server::start(&elsewhere, Options::default()).await;
    let root = other.superuser().await;
    let ca = root.create_ca("Forger", json!({})).await;
    let forged = sign(&root, &ca, &csr).await.expect(StatusCode::CREATED);
    other.stop().await;
    elsewhere.remove().await;
    server.clock.advance(60);
    let import = json!({
        "name": "Forger", "certificate": ca["certificate"], "private_key": ca["private_key"],
        "certificates": [{"certificate": forged["certificate"], "revoked_at": "2026-01-02T03:04:05Z", "reason": "key_compromise"}],
    });
    world.red_admin.post("/api/v1/cas/import", import).await.expect(StatusCode::OK);
    let red = world.red_admin.create_ca("Red", json!({})).await;
    is_refused(&world.red_admin, &red, &csr, "compromised").await;
    sign(&world.blue_admin, &blue, &csr).await.expect(StatusCode::CREATED);
}

async fn imported_revocations_count(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Old", json!({})).await;
    let csr = csr_of(&new_key(), "www.example.com");
    let signed = sign(&root, &ca, &csr).await.expect(StatusCode::CREATED);
    let ca_key = root.get("/api/v1/cas/1/private-key").await.expect(StatusCode::OK)["private_key"].clone();
    root.delete("/api/v1/cas/1").await.expect(StatusCode::NO_CONTENT);
    let certificate = json!({
        "certificate": signed["certificate"], "revoked_at": signed["not_before"], "reason": "keyCompromise",
    });
    let import = json!({
        "name": "Old", "certificate": ca["certificate"], "private_key": ca_key, "certificates": [certificate],
    });
    // What another program has certified stays certified, and is not certified again.
    let report = root.post("/api/v1/cas/import", import).await.expect(StatusCode::OK);
    assert_eq!((&report["certificates"], &report["revocations"]), (&json!(1), &json!(1)));
    is_refused(&root, &report["ca"], &csr, "compromised").await;
}

async fn key_of_a_ca_is_certified_for_nothing_else(server: Server) {
    let world = server.world().await;
    let red = world.red_admin.create_ca("Red", json!({})).await;
    let sub = world.red_admin.create_ca("Sub", json!({"parent_ca_id": red["id"]})).await;
    let blue = world.blue_admin.create_ca("Blue", json!({})).await;
    for (key, name) in [(&red, "red.example.com"), (&sub, "sub.example.com"), (&blue, "blue.example.com")] {
        let csr = csr_of(key["private_key"].as_str().unwrap(), name);
        is_refused(&world.red_admin, &sub, &csr, "key of a CA").await;
        is_refused(&world.blue_admin, &blue, &csr, "key of a CA").await;
    }
    // By renewal neither.
    let signed = sign(&world.blue_admin, &blue, &csr_of(&new_key(), "www.example.com")).await;
    let signed = signed.expect(StatusCode::CREATED);
    let csr = csr_of(blue["private_key"].as_str().unwrap(), "www.example.com");
    let path = format!("/api/v1/certificates/{}/renew", signed["id"]);
    let refused = world.blue_admin.post(&path, json!({"csr": csr})).await.expect(StatusCode::BAD_REQUEST);
    assert!(refused["detail"].as_str().unwrap().contains("key of a CA"), "{refused}");
}

async fn key_of_a_ca_of_fastpki_0_4_is_known_after_a_start(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let csr = csr_of(ca["private_key"].as_str().unwrap(), "www.example.com");
    let forget = "UPDATE certificate_authorities SET key_fingerprint = NULL, serial_number = NULL";
    server.database.script(forget).await;
    let server = server.restart(Options::default()).await;
    let root = Client { token: root.token, ..server.stranger() };
    is_refused(&root, &ca, &csr, "key of a CA").await;
    let left = "SELECT count(*) FROM certificate_authorities WHERE serial_number IS NULL";
    assert_eq!(server.database.peek(left).await, ["0"]);
}

async fn keys_that_can_be_broken_are_refused_with_their_reasons(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    for (csr, word) in [
        (include_str!("../../../fastpki-x509/testdata/rsa2048.close.csr.pem"), "close to each other"),
        (include_str!("../../../fastpki-x509/testdata/rsa2048.near.csr.pem"), "close to each other"),
        (include_str!("../../../fastpki-x509/testdata/rsa2048.small.csr.pem"), "divided by 9973"),
        (include_str!("../../../fastpki-x509/testdata/rsa2048.roca.csr.pem"), "ROCA"),
    ] {
        is_refused(&root, &ca, csr, word).await;
    }
    assert_eq!(server.database.peek("SELECT count(*) FROM certificates").await, ["0"]);
}

async fn ca_with_a_compromised_key_is_not_imported(server: Server) {
    let world = server.world().await;
    let red = world.red_admin.create_ca("Red", json!({})).await;
    let key = new_key();
    let arguments = ["req", "-x509", "-key", "/dev/stdin", "-subj", "/CN=Back", "-days", "3650"];
    let made = openssl(&arguments, key.as_bytes());
    let certificate = &made[made.find("-----BEGIN").unwrap_or_else(|| panic!("{made}"))..];
    let import = json!({"name": "Back", "certificate": certificate, "private_key": key});
    let signed = sign(&world.red_admin, &red, &csr_of(&key, "www.example.com")).await;
    revoke(&world.red_admin, &signed.expect(StatusCode::CREATED), "key_compromise").await;
    for (client, dry_run) in
        [(&world.red_admin, false), (&world.blue_admin, false), (&world.blue_admin, true)]
    {
        let mut import = import.clone();
        import["dry_run"] = json!(dry_run);
        let refused = client.post("/api/v1/cas/import", import).await.expect(StatusCode::BAD_REQUEST);
        let told = refused["detail"].as_str().unwrap();
        assert!(told.contains("compromised") && told.contains("make a new CA"), "{told}");
    }
    // One that is here already takes what comes to be known of it.
    let top = world.red_admin.create_ca("Top", json!({})).await;
    let sub = world.red_admin.create_ca("Sub", json!({"parent_ca_id": top["id"]})).await;
    let path = format!("/api/v1/cas/{}/revoke", sub["id"]);
    world.red_admin.post(&path, json!({"reason": "ca_compromise"})).await.expect(StatusCode::OK);
    let revocations = json!([{"serial_number": "0a", "revoked_at": "2026-01-02T03:04:05Z"}]);
    let mut again =
        json!({"name": "Sub", "certificate": sub["certificate"], "private_key": sub["private_key"]});
    again["revocations"] = revocations;
    let report = world.red_admin.post("/api/v1/cas/import", again.clone()).await.expect(StatusCode::OK);
    assert_eq!((&report["created"], &report["revocations"]), (&json!(false), &json!(1)));
    world.red_admin.delete(&format!("/api/v1/cas/{}", sub["id"])).await.expect(StatusCode::NO_CONTENT);
    world.red_admin.post("/api/v1/cas/import", again).await.expect(StatusCode::BAD_REQUEST);
}

async fn ca_whose_key_can_be_broken_is_not_imported(server: Server) {
    let root = server.superuser().await;
    let import = json!({
        "name": "Weak", "certificate": include_str!("../../../fastpki-x509/testdata/rsa2048.close.ca.pem"),
        "private_key": include_str!("../../../fastpki-x509/testdata/rsa2048.close.pkcs8.pem"),
    });
    let refused = root.post("/api/v1/cas/import", import).await.expect(StatusCode::BAD_REQUEST);
    let told = refused["detail"].as_str().unwrap();
    assert!(told.contains("close to each other") && told.contains("make a new CA"), "{told}");
    assert_eq!(server.database.peek("SELECT count(*) FROM certificate_authorities").await, ["0"]);
}

async fn revoked_certificate_is_renewed_only_when_that_is_asked_for(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let made = root.create_certificate(&ca, "www.example.com", json!({})).await;
    revoke(&root, &made, "key_compromise").await;
    let path = "/api/v1/certificates/1/renew";
    let refused = root.post(path, json!({})).await.expect(StatusCode::CONFLICT);
    assert!(refused["detail"].as_str().unwrap().contains("renew_revoked"), "{refused}");
    root.post(path, json!({"renew_revoked": false})).await.expect(StatusCode::CONFLICT);
    // The server makes a new key.
    let renewed = root.post(path, json!({"renew_revoked": true})).await.expect(StatusCode::CREATED);
    assert_ne!(renewed["private_key"], made["private_key"]);
    assert_eq!(server.database.peek("SELECT count(*) FROM certificates").await, ["2"]);
}

/// Two requests for one RSA modulus, with one exponent and another.
const MODULUS_65537: &str = include_str!("../../../fastpki-x509/testdata/rsa2048.e65537.csr.pem");
const MODULUS_65539: &str = include_str!("../../../fastpki-x509/testdata/rsa2048.e65539.csr.pem");
