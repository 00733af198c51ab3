//! The document that FastPKI 0.4 had of encryption at rest, sentence by sentence.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use fastpki_engine::FernetKey;
use fastpki_server::settings::{Secret, Settings};
use fastpki_testing::{Database, Kind, required};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    KEY, OTHER, all_exported, all_remembered, all_stored, entries, fingerprint, opens, refusal, sealed,
    small_world, store, stored, under,
};
use crate::harness::{Client, Options, P256, Server, new_csr, on_one_server, openssl};

on_one_server! {
    all_private_keys_in_the_database_are_encrypted_using_fernet,
    encryption_is_optional,
    on_startup_existing_plaintext_private_keys_are_encrypted,
    new_private_keys_are_encrypted_before_being_stored,
    on_read_private_keys_are_decrypted_transparently,
    a_key_made_by_python_configures_it,
    startup_scans_all_ca_and_certificate_private_keys,
    startup_encrypts_any_keys_that_are_still_in_plaintext,
    startup_verifies_already_encrypted_keys_with_the_current_key,
    wrong_key_refuses_to_start_naming_the_affected_resource,
    missing_key_refuses_to_start_naming_the_affected_resource,
    if_the_key_is_lost_private_keys_cannot_be_recovered,
    key_is_changed_by_decrypting_all_keys_with_the_old_one,
    there_is_a_built_in_key_rotation,
    first_key_encrypts_and_all_decrypt,
    without_a_key_private_keys_are_stored_as_plaintext_pem,
    the_api_functions_identically_without_encryption,
    stored_key_is_encrypted_exactly_when_it_does_not_begin_with_begin,
}

async fn all_private_keys_in_the_database_are_encrypted_using_fernet(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    small_world(&root).await;
    let stored = all_stored(&server.database).await;
    assert_eq!(stored.len(), 4);
    // What Python makes of the tokens is what the API gives out.
    let decrypted: Vec<String> = serde_json::from_str(&python(DECRYPT, &[KEY], &json!(stored))).unwrap();
    assert_eq!(decrypted, all_exported(&root).await);
}

async fn encryption_is_optional(server: Server) {
    let root = server.superuser().await;
    let ca = small_world(&root).await;
    let server = server.restart(Options::default()).await;
    server.stranger().get("/readyz").await.expect(StatusCode::OK);
    server.sign_in("root").await.create_certificate(&ca, "www.example.com", json!({})).await;
}

async fn on_startup_existing_plaintext_private_keys_are_encrypted(server: Server) {
    let root = server.superuser().await;
    small_world(&root).await;
    let before = all_exported(&root).await;
    assert_eq!(all_stored(&server.database).await, before);
    let server = server.restart(under(&[KEY])).await;
    let stored = all_stored(&server.database).await;
    assert_eq!(stored.len(), before.len());
    assert!(stored.iter().all(|token| opens(KEY, token)), "{stored:?}");
    assert_eq!(all_remembered(&server.database).await, vec![fingerprint(KEY); before.len()]);
    assert_eq!(all_exported(&server.sign_in("root").await).await, before);
}

async fn new_private_keys_are_encrypted_before_being_stored(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    root.create_ca("Sub", json!({"parent_ca_id": ca["id"]})).await;
    let other = root.create_ca("Other", json!({})).await;
    root.create_certificate(&other, "www.example.com", json!({})).await;
    root.post("/api/v1/certificates/1/renew", json!({})).await.expect(StatusCode::CREATED);
    let stored = all_stored(&server.database).await;
    assert_eq!(stored.len(), 5);
    assert!(stored.iter().all(|token| opens(KEY, token)), "{stored:?}");
    assert_eq!(all_remembered(&server.database).await, vec![fingerprint(KEY); 5]);
}

async fn on_read_private_keys_are_decrypted_transparently(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let certificate = root.create_certificate(&ca, "www.example.com", json!({})).await;
    let server = server.restart(under(&[KEY])).await;
    let root = server.sign_in("root").await;
    for (path, export, expected) in
        [("cas/1", "ca/1", &ca), ("certificates/1", "certificate/1", &certificate)]
    {
        let detail = root.get(&format!("/api/v1/{path}/private-key")).await.expect(StatusCode::OK);
        assert_eq!(detail["private_key"], expected["private_key"]);
        let file = root.get(&format!("/api/v1/export/{export}/private-key")).await;
        assert_eq!(file.text(), expected["private_key"].as_str().unwrap());
    }
    // Nor does an issuer notice.
    let issued = root.create_certificate(&ca, "other.example.com", json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, ca["certificate"].as_str().unwrap()).unwrap();
    let leaf = issued["certificate"].as_str().unwrap().as_bytes();
    assert_eq!(openssl(&["verify", "-CAfile", file.to_str().unwrap()], leaf).trim(), "stdin: OK");
    server.stranger().get("/readyz").await.expect(StatusCode::OK);
}

async fn a_key_made_by_python_configures_it(server: Server) {
    let made = python(
        "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())",
        &[],
        &Value::Null,
    );
    let dotenv = format!("PRIVATE_KEY_ENCRYPTION_KEY={made}");
    let settings = Settings::load(std::iter::empty(), Some(&dotenv)).ok().unwrap();
    let keys: Vec<&str> = settings.encryption_keys.iter().map(Secret::expose).collect();
    assert_eq!(keys, [made.trim()]);
    let key: &'static str = keys[0].to_owned().leak();
    let server = server.restart(under(&[key])).await;
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let token = stored(&server.database, "certificate_authorities", 1).await;
    let decrypted: Vec<String> = serde_json::from_str(&python(DECRYPT, &[key], &json!([token]))).unwrap();
    assert_eq!(decrypted, [ca["private_key"].as_str().unwrap()]);
}

async fn startup_scans_all_ca_and_certificate_private_keys(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    small_world(&root).await;
    root.create_ca("Last CA", json!({})).await;
    let database = server.database.clone();
    server.stop().await;
    for (table, id, name) in [
        ("certificate_authorities", 1, "CA 1 'Issuing CA'"),
        ("certificate_authorities", 2, "CA 2 'Last CA'"),
        ("certificates", 1, "certificate 1 'ec.example.com'"),
        ("certificates", 3, "certificate 3 'rsa.example.com'"),
    ] {
        let before = stored(&database, table, id).await;
        store(&database, table, id, &sealed(OTHER, "whatever")).await;
        let error = refusal(&database, &[KEY]).await;
        assert!(error.contains(&format!("private key of {name} cannot be decrypted")), "{error}");
        store(&database, table, id, &before).await;
    }
    Server::start(&database, under(&[KEY])).await;
}

async fn startup_encrypts_any_keys_that_are_still_in_plaintext(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    let ca = small_world(&root).await;
    let encrypted = all_stored(&server.database).await;
    let pem = ca["private_key"].as_str().unwrap();
    store(&server.database, "certificate_authorities", 1, pem).await;
    let server = server.restart(under(&[KEY])).await;
    let now = all_stored(&server.database).await;
    assert!(opens(KEY, &now[0]), "{}", now[0]);
    assert_eq!(now[1..], encrypted[1..], "what is encrypted already is left alone");
    let begun_and_done = entries(&server.sign_in("root").await, "keys_encrypt").await;
    assert_eq!(begun_and_done.len(), 2);
    assert!(begun_and_done[1]["detail"].as_str().unwrap().starts_with("Encrypted 1 private keys"));
}

async fn startup_verifies_already_encrypted_keys_with_the_current_key(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    small_world(&root).await;
    let encrypted = all_stored(&server.database).await;
    // The last byte of a token that decrypts all the same, but for its signature.
    let mut token = encrypted[2].clone();
    let place = token.len() - 10;
    let changed = if &token[place..=place] == "A" { "B" } else { "A" };
    token.replace_range(place..=place, changed);
    let database = server.database.clone();
    server.stop().await;
    store(&database, "certificates", 2, &token).await;
    let error = refusal(&database, &[KEY]).await;
    assert!(error.contains("certificate 2 'ed.example.com'"), "{error}");
    store(&database, "certificates", 2, &encrypted[2]).await;
    let server = Server::start(&database, under(&[KEY])).await;
    assert_eq!(all_stored(&server.database).await, encrypted);
}

async fn wrong_key_refuses_to_start_naming_the_affected_resource(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    small_world(&server.superuser().await).await;
    let database = server.database.clone();
    let before = all_stored(&database).await;
    let error = server.try_restart(under(&[OTHER])).await.err().unwrap().to_string();
    for name in ["CA 1 'Issuing CA'", "certificate 1 'ec.example.com'", "certificate 3 'rsa.example.com'"] {
        assert!(error.contains(name), "{error}");
    }
    assert!(error.contains("PRIVATE_KEY_ENCRYPTION_KEY"), "{error}");
    assert!(error.contains(&format!("it needs the key with fingerprint {}", fingerprint(KEY))), "{error}");
    assert!(!error.contains(OTHER) && !error.contains(KEY), "{error}");
    assert_eq!(all_stored(&database).await, before);
}

async fn missing_key_refuses_to_start_naming_the_affected_resource(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    server.superuser().await.create_ca("Root", json!({})).await;
    let error = server.try_restart(Options::default()).await.err().unwrap().to_string();
    assert!(error.contains("CA 1 'Root' is encrypted, but PRIVATE_KEY_ENCRYPTION_KEY is not set"), "{error}");
    assert!(error.contains(&format!("set it to the key with fingerprint {}", fingerprint(KEY))), "{error}");
}

async fn if_the_key_is_lost_private_keys_cannot_be_recovered(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    small_world(&server.superuser().await).await;
    let keys = server.keys_at_rest(&[OTHER]).await;
    for outcome in [keys.encrypt().await, keys.decrypt().await] {
        assert!(outcome.err().unwrap().to_string().contains("4 private keys cannot be used"));
    }
    let survey = server.keys_at_rest(&[]).await.survey().await.unwrap();
    assert_eq!((survey.total().unreadable, survey.total().count()), (4, 4));
    let database = server.database.clone();
    server.stop().await;
    refusal(&database, &[]).await;
    refusal(&database, &[OTHER]).await;
}

async fn key_is_changed_by_decrypting_all_keys_with_the_old_one(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    small_world(&root).await;
    let exported = all_exported(&root).await;
    server.keys_at_rest(&[KEY]).await.decrypt().await.unwrap();
    assert_eq!(all_stored(&server.database).await, exported);
    let server = server.restart(under(&[OTHER])).await;
    assert!(all_stored(&server.database).await.iter().all(|token| opens(OTHER, token)));
    assert_eq!(all_exported(&server.sign_in("root").await).await, exported);
}

async fn there_is_a_built_in_key_rotation(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    small_world(&root).await;
    let exported = all_exported(&root).await;
    let server = server.restart(under(&[OTHER, KEY])).await;
    server.keys_at_rest(&[OTHER, KEY]).await.rotate().await.unwrap();
    let server = server.restart(under(&[OTHER])).await;
    assert_eq!(all_exported(&server.sign_in("root").await).await, exported);
}

async fn first_key_encrypts_and_all_decrypt(server: Server) {
    let server = server.restart(under(&[KEY])).await;
    let root = server.superuser().await;
    let ca = root.create_ca("Old", json!({})).await;
    let server = server.restart(under(&[OTHER, KEY])).await;
    let root = server.sign_in("root").await;
    let detail = root.get("/api/v1/cas/1/private-key").await.expect(StatusCode::OK);
    assert_eq!(detail["private_key"], ca["private_key"]);
    root.create_ca("New", json!({})).await;
    let error = server.try_restart(under(&[KEY])).await.err().unwrap().to_string();
    assert!(error.contains("CA 2 'New'") && !error.contains("CA 1"), "{error}");
}

async fn without_a_key_private_keys_are_stored_as_plaintext_pem(server: Server) {
    let root = server.superuser().await;
    small_world(&root).await;
    let stored = all_stored(&server.database).await;
    assert_eq!(stored, all_exported(&root).await);
    for key in stored {
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{key}");
        assert!(openssl(&["pkey", "-noout", "-check"], key.as_bytes()).contains("valid"), "{key}");
    }
    assert_eq!(all_remembered(&server.database).await, [""; 4]);
}

async fn the_api_functions_identically_without_encryption(server: Server) {
    let kind = if server.database.file().is_some() { Kind::Sqlite } else { Kind::Postgresql };
    let beside = Database::create(kind).await;
    let plaintext = everything(&Server::start(&beside, Options::default()).await).await;
    beside.remove().await;
    let server = server.restart(under(&[KEY])).await;
    let encrypted = everything(&server).await;
    assert!(all_stored(&server.database).await.iter().all(|token| opens(KEY, token)));
    assert_eq!(plaintext.len(), encrypted.len());
    for (left, right) in plaintext.iter().zip(&encrypted) {
        assert_eq!(left, right);
    }
}

/// Every kind of request that has to do with keys, and what comes of it, but for what is never twice the same.
async fn everything(server: &Server) -> Vec<(String, u16, String, Value)> {
    let root = server.superuser().await;
    let csr = new_csr(&P256, "/CN=csr.example.com", &[]);
    let ca = |name: &str, more: Value| {
        let mut body = json!({"name": name, "subject_dn": format!("CN={name}"), "key_type": "ec"});
        crate::harness::merge(&mut body, more);
        body
    };
    let leaf = |name: &str, key_type: &str, keep: bool| {
        json!({"common_name": name, "subject_dn": format!("CN={name}"), "certificate_type": "server",
               "key_type": key_type, "include_private_key": keep})
    };
    let requests = [
        ("POST", "/api/v1/cas/", ca("Root", json!({}))),
        ("POST", "/api/v1/cas/", ca("Issuing", json!({"parent_ca_id": 1}))),
        ("POST", "/api/v1/cas/", ca("Gone", json!({"key_type": "ed25519"}))),
        ("POST", "/api/v1/cas/", ca("Bad", json!({"parent_ca_id": 99}))),
        ("POST", "/api/v1/certificates/?ca_id=2", leaf("ec.example.com", "ec", true)),
        ("POST", "/api/v1/certificates/?ca_id=2", leaf("ed.example.com", "ed25519", true)),
        ("POST", "/api/v1/certificates/?ca_id=2", leaf("none.example.com", "ec", false)),
        (
            "POST",
            "/api/v1/certificates/sign-csr",
            json!({"csr": csr, "ca_id": 2, "certificate_type": "client"}),
        ),
        ("POST", "/api/v1/certificates/1/renew", json!({})),
        ("POST", "/api/v1/certificates/1/revoke", json!({"reason": "superseded"})),
        ("POST", "/api/v1/certificates/1/revoke", json!({})),
        ("DELETE", "/api/v1/cas/1", Value::Null),
        ("DELETE", "/api/v1/cas/3", Value::Null),
    ];
    let mut answers = Vec::new();
    for (method, path, body) in requests {
        answers.push(answer(&root, method, path, body).await);
    }
    for path in [
        "/api/v1/cas/",
        "/api/v1/cas/2",
        "/api/v1/cas/2/private-key",
        "/api/v1/cas/3/private-key",
        "/api/v1/cas/2/chain",
        "/api/v1/certificates/",
        "/api/v1/certificates/1",
        "/api/v1/certificates/1/private-key",
        "/api/v1/certificates/3/private-key",
        "/api/v1/certificates/4/private-key",
        "/api/v1/certificates/99/private-key",
        "/api/v1/export/ca/2/private-key",
        "/api/v1/export/certificate/1/private-key",
        "/api/v1/export/certificate/3/private-key",
        "/api/v1/export/certificate/1/chain",
        "/crl/issuing-2.pem",
        "/readyz",
        "/api/v1/audit-logs/",
    ] {
        answers.push(answer(&root, "GET", path, Value::Null).await);
    }
    answers
}

async fn answer(client: &Client, method: &str, path: &str, body: Value) -> (String, u16, String, Value) {
    let parsed: Method = method.parse().unwrap();
    let answer =
        client.send(parsed, path, |request| if body.is_null() { request } else { request.json(&body) }).await;
    let what = answer.headers.get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
    let content = serde_json::from_slice(&answer.bytes).unwrap_or_else(|_| json!(answer.text()));
    (format!("{method} {path}"), answer.status.as_u16(), what, without_chance(content))
}

/// The same but for dates, serial numbers, keys and certificates.
fn without_chance(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let chance =
                |name: &str| name.ends_with("_at") || name.starts_with("not_") || name == "serial_number";
            let fields = fields.into_iter().map(|(name, value)| {
                let value = if chance(&name) { json!(value.is_null()) } else { without_chance(value) };
                (name, value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(values) => values.into_iter().map(without_chance).collect(),
        Value::String(text) => {
            let labels = text.lines().filter(|line| line.starts_with("-----")).collect::<Vec<_>>();
            json!(if labels.is_empty() { text.clone() } else { labels.join("\n") })
        }
        other => other,
    }
}

async fn stored_key_is_encrypted_exactly_when_it_does_not_begin_with_begin(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({})).await;
    let pem = ca["private_key"].as_str().unwrap();
    let database = server.database.clone();
    server.stop().await;
    let sec1 = openssl(&["ec"], pem.as_bytes()).replace("read EC key\nwriting EC key\n", "");
    assert!(sec1.starts_with("-----BEGIN EC PRIVATE KEY-----"), "{sec1}");
    for (text, needs_a_key) in [
        (pem.to_owned(), false),
        (sec1, false),
        (sealed(KEY, pem), true),
        (format!(" {pem}"), true),
        (format!("\n{pem}"), true),
        (pem["-----BEGIN".len()..].to_owned(), true),
        (String::new(), true),
    ] {
        store(&database, "certificate_authorities", 1, &text).await;
        match Server::try_start(&database, Options::default()).await {
            Ok(server) => {
                assert!(!needs_a_key, "{text:.40}");
                server.stop().await;
            }
            Err(error) => {
                let expected = "is encrypted, but PRIVATE_KEY_ENCRYPTION_KEY is not set";
                assert!(needs_a_key && error.to_string().contains(expected), "{text:.40}: {error}");
            }
        }
    }
    store(&database, "certificate_authorities", 1, "-----BEGIN nothing at all").await;
    for keys in [&[][..], &[KEY]] {
        let error = refusal(&database, keys).await;
        assert!(error.contains("CA 1 'Root' cannot be held against its certificate"), "{error}");
    }
}

#[test]
fn fernet_data_is_a_base64_blob_that_never_begins_with_that_prefix() {
    let key = FernetKey::parse(KEY).unwrap();
    for date in ["1970-01-01T00:00:00Z", "2026-11-24T00:00:00Z", "9999-01-01T00:00:00Z"] {
        for length in 0..200 {
            let token = key.encrypt(&vec![b'-'; length], date.parse().unwrap());
            // The first byte of every token is its version, 0x80.
            assert!(token.starts_with("gA"), "{token}");
            let digit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte);
            assert!(token.bytes().all(digit), "{token}");
        }
    }
}

#[test]
fn key_is_validated_at_startup_with_instructions_for_a_valid_one() {
    for bad in ["hunter2", "", &KEY[..40], "!!!!", &format!("{KEY},hunter2")] {
        let variables = [("PRIVATE_KEY_ENCRYPTION_KEY".to_owned(), bad.to_owned())];
        let problems = Settings::load(variables.into_iter(), None).err().unwrap();
        let [problem] = &problems[..] else { panic!("{problems:?}") };
        let message = problem.to_string();
        assert!(message.starts_with("PRIVATE_KEY_ENCRYPTION_KEY: "), "{message}");
        assert!(message.contains("fastpki keys generate"), "{message}");
        assert!(!message.contains("hunter2") && !message.contains(&KEY[..40]), "{message}");
    }
}

/// What a line of Python prints, given these arguments and this on its standard input.
fn python(program: &str, arguments: &[&str], input: &Value) -> String {
    let mut child = Command::new(required("FASTPKI_TEST_PYTHON"))
        .args(["-c", program])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

const DECRYPT: &str = "
import json, sys
from cryptography.fernet import Fernet
fernet = Fernet(sys.argv[1])
print(json.dumps([fernet.decrypt(token.encode()).decode() for token in json.load(sys.stdin)]))
";
