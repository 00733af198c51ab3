//! Databases that FastPKI 0.4.0 wrote, in both shapes and on both databases, go on as they were.

use std::{path::Path, process::Command};

use fastpki_testing::{Database, Kind};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, Options, P256, Server, new_csr, openssl};

#[test]
fn sqlite_database_made_with_migrations_goes_on() {
    fastpki_testing::run(Kind::Sqlite, |database| Box::pin(adopt(database, "plaintext.db", "contents.json")));
}

#[test]
fn sqlite_database_made_without_migrations_goes_on() {
    fastpki_testing::run(Kind::Sqlite, |database| {
        Box::pin(adopt(database, "unmigrated.db", "contents-unmigrated.json"))
    });
}

#[test]
fn sqlite_database_with_encrypted_keys_goes_on() {
    fastpki_testing::run(Kind::Sqlite, |database| Box::pin(adopt(database, "encrypted.db", "contents.json")));
}

#[test]
fn postgresql_database_goes_on() {
    fastpki_testing::run(Kind::Postgresql, |database| {
        Box::pin(adopt(database, "plaintext.pg.sql", "contents-pg.json"))
    });
}

/// Everybody signs in, every object and key is as it was, every CA signs, both revocations are on the CRL.
async fn adopt(database: Database, dump: &str, contents: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fastpki-0.4.0");
    let contents: Value = serde_json::from_slice(&std::fs::read(folder.join(contents)).unwrap()).unwrap();
    match database.file() {
        Some(file) => {
            std::fs::copy(folder.join(dump), file).unwrap();
        }
        None => {
            let arguments = ["-q", "-v", "ON_ERROR_STOP=1", "-d", &database.url(), "-f"];
            let output = Command::new("psql").args(arguments).arg(folder.join(dump)).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let server = Server::start(&database, Options { encryption_keys: vec![KEY], ..Options::default() }).await;

    let password = contents["password"].as_str().unwrap();
    for (name, user) in contents["users"].as_object().unwrap() {
        let username = user["username"].as_str().unwrap();
        let token = server.stranger().sign_in(username, password).await.expect(StatusCode::OK);
        let client = Client { token: token["access_token"].as_str().map(str::to_owned), ..server.stranger() };
        let me = client.get("/api/v1/users/me").await.expect(StatusCode::OK);
        assert_eq!(
            (&me["id"], &me["email"], &me["role"]),
            (&user["id"], &user["email"], &user["role"]),
            "{name}"
        );
    }
    let root = server.database.peek("SELECT username FROM users WHERE role = 'SUPERUSER'").await.remove(0);
    let token = server.stranger().sign_in(&root, password).await.expect(StatusCode::OK);
    let root = Client { token: token["access_token"].as_str().map(str::to_owned), ..server.stranger() };

    for list in ["cas", "certificates"] {
        for (what, before) in contents[list].as_object().unwrap() {
            let path = format!("/api/v1/{list}/{}", before["id"]);
            let now = root.get(&path).await.expect(StatusCode::OK);
            for field in [
                "name",
                "common_name",
                "subject_dn",
                "certificate",
                "serial_number",
                "organization_id",
                "issuer_id",
            ] {
                assert_eq!(now[field], before[field], "{what} {field}");
            }
            if let Some(private_key) = before.get("private_key") {
                let detail = root.get(&format!("{path}/private-key")).await.expect(StatusCode::OK);
                assert_eq!(detail["private_key"], *private_key, "{what}");
            }
        }
    }
    for ca in contents["cas"].as_object().unwrap().values() {
        let csr = new_csr(&P256, "/CN=new.example.com", &[]);
        let body = json!({"csr": csr, "ca_id": ca["id"], "certificate_type": "server"});
        let answer = root.post("/api/v1/certificates/sign-csr", body).await;
        // The root issues no leaves any more, since it has an intermediate.
        let has_child =
            contents["cas"].as_object().unwrap().values().any(|other| other["parent_ca_id"] == ca["id"]);
        let certificate =
            answer.expect(if has_child { StatusCode::BAD_REQUEST } else { StatusCode::CREATED });
        if !has_child {
            verify(ca, &certificate, &contents);
        }
    }
    let renewed = format!("/api/v1/certificates/{}/renew", contents["certificates"]["server"]["id"]);
    root.post(&renewed, json!({})).await.expect(StatusCode::CREATED);

    let sub = &contents["cas"]["sub"];
    let name = sub["name"].as_str().unwrap().trim().to_lowercase().replace(' ', "-");
    let crl = server.stranger().get(&format!("/crl/{name}-{}", sub["id"])).await;
    assert_eq!(crl.status, StatusCode::OK);
    check_crl(&crl.bytes, &contents);
}

/// What `encrypted.db` lies under.
const KEY: &str = "6gZJ-vonVUSftEBVF5e-9k4WO3iuk1jxekieyNW7EW8=";

fn check_crl(der: &[u8], contents: &Value) {
    let text = openssl(&["crl", "-inform", "DER", "-noout", "-text"], der);
    for what in ["revoked", "csr_rsa"] {
        let serial = contents["certificates"][what]["serial_number"].as_str().unwrap().to_uppercase();
        assert!(text.contains(&serial), "{what}: {text}");
    }
    assert_eq!(text.matches("Key Compromise").count(), 1, "{text}");
}

/// OpenSSL follows the new certificate to the old root.
fn verify(ca: &Value, certificate: &Value, contents: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, text.as_str().unwrap()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let issuer = file("issuer.pem", &ca["certificate"]);
    let parent =
        contents["cas"].as_object().unwrap().values().find(|other| other["id"] == ca["parent_ca_id"]);
    let root = file("root.pem", &parent.unwrap_or(ca)["certificate"]);
    let arguments = ["verify", "-CAfile", &root, "-untrusted", &issuer];
    let verdict = openssl(&arguments, certificate["certificate"].as_str().unwrap().as_bytes());
    assert_eq!(verdict.trim(), "stdin: OK");
}
