//! Databases that FastPKI 0.4.0 wrote, in both shapes and on both databases, go on as they were.

mod back;

use std::{path::Path, process::Command};

use fastpki_testing::{Database, Kind};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, Options, P256, SECRET_KEY, Server, new_csr, openssl};

/// A database of FastPKI 0.4.0 in this crate's `testdata`, and what is in it.
#[derive(Clone, Copy)]
pub(crate) struct Fixture {
    file: &'static str,
    contents: &'static str,
    /// SQL that makes of it what the old system makes without its migrations.
    reshape: &'static str,
}

const MIGRATED: Fixture = Fixture { file: "plaintext.db", contents: "contents.json", reshape: "" };
const ENCRYPTED: Fixture = Fixture { file: "encrypted.db", ..MIGRATED };
const UNMIGRATED: Fixture =
    Fixture { file: "unmigrated.db", contents: "contents-unmigrated.json", ..MIGRATED };
/// What the release wrote; the others are of its main branch, two commits later.
const RELEASED: Fixture = Fixture { file: "released.db", contents: "contents-released.json", ..MIGRATED };
const POSTGRES: Fixture = Fixture { file: "plaintext.pg.sql", contents: "contents-pg.json", reshape: "" };
const POSTGRES_RELEASED: Fixture =
    Fixture { file: "released.pg.sql", contents: "contents-released-pg.json", ..POSTGRES };
/// No mark of migrations, no defaults, other names of foreign keys, and enumerations with the names that the release
/// has in Python.
const POSTGRES_UNMIGRATED: Fixture = Fixture {
    reshape: "DROP TABLE alembic_version;
              ALTER TYPE certificatetype ADD VALUE 'DUAL_PURPOSE';
              ALTER TYPE auditaction RENAME TO whole;
              CREATE TYPE auditaction AS ENUM ('CA_CREATE', 'CA_DELETE', 'CA_EXPORT_PRIVATE_KEY', 'CERT_CREATE',
                  'CERT_REVOKE', 'CERT_EXPORT_PRIVATE_KEY', 'LOGIN_SUCCESS', 'LOGIN_FAILURE', 'USER_CREATE',
                  'USER_UPDATE', 'ORG_CREATE', 'ORG_DELETE', 'ORG_ADD_USER', 'ORG_REMOVE_USER',
                  'SERVICE_ACCOUNT_CREATE', 'SERVICE_ACCOUNT_UPDATE', 'SERVICE_ACCOUNT_DELETE',
                  'SERVICE_ACCOUNT_TOKEN_CREATE', 'SERVICE_ACCOUNT_TOKEN_REVOKE');
              ALTER TABLE audit_logs ALTER action TYPE auditaction USING CAST(CAST(action AS TEXT) AS auditaction);
              DROP TYPE whole;
              ALTER TABLE users ALTER can_create_ca DROP DEFAULT, ALTER can_create_cert DROP DEFAULT,
                  ALTER can_revoke_cert DROP DEFAULT, ALTER can_export_private_key DROP DEFAULT,
                  ALTER can_delete_ca DROP DEFAULT;
              ALTER TABLE certificate_authorities ALTER allow_leaf_certs DROP DEFAULT;
              ALTER TABLE certificates ALTER is_csr_origin DROP DEFAULT;
              ALTER TABLE certificates RENAME CONSTRAINT fk_cert_renewed_from_id TO certificates_renewed_from_id_fkey;
              ALTER TABLE service_accounts
                  RENAME CONSTRAINT uq_service_account_org_name TO service_accounts_organization_id_name_key",
    ..POSTGRES
};

/// Runs a test on each kind of database that the old system leaves.
macro_rules! on_every_fixture {
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            use crate::adoption::*;

            #[test]
            fn migrated() {
                fastpki_testing::run(Kind::Sqlite, |database| Box::pin(super::$test(database, MIGRATED)));
            }

            #[test]
            fn encrypted() {
                fastpki_testing::run(Kind::Sqlite, |database| Box::pin(super::$test(database, ENCRYPTED)));
            }

            #[test]
            fn unmigrated() {
                fastpki_testing::run(Kind::Sqlite, |database| Box::pin(super::$test(database, UNMIGRATED)));
            }

            #[test]
            fn released() {
                fastpki_testing::run(Kind::Sqlite, |database| Box::pin(super::$test(database, RELEASED)));
            }

            #[test]
            fn postgresql() {
                fastpki_testing::run(Kind::Postgresql, |database| Box::pin(super::$test(database, POSTGRES)));
            }

            #[test]
            fn postgresql_released() {
                fastpki_testing::run(Kind::Postgresql, |database| {
                    Box::pin(super::$test(database, POSTGRES_RELEASED))
                });
            }

            #[test]
            fn postgresql_unmigrated() {
                fastpki_testing::run(Kind::Postgresql, |database| {
                    Box::pin(super::$test(database, POSTGRES_UNMIGRATED))
                });
            }
        }
    )*};
}
use on_every_fixture;

on_every_fixture! {
    every_object_and_key_is_as_it_was,
    every_credential_works_and_every_dead_one_does_not,
    every_ca_signs_and_both_revocations_are_on_the_crl,
    the_audit_log_is_whole,
    what_the_old_enumerations_lack_can_be_done,
    database_that_an_earlier_build_adopted_is_completed,
}

impl Fixture {
    /// Puts it in place of an empty database, and tells what is in it.
    pub(crate) async fn load(self, database: &Database) -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fastpki-0.4.0");
        match database.file() {
            Some(file) => drop(std::fs::copy(folder.join(self.file), file).unwrap()),
            None => {
                let arguments = ["-q", "-v", "ON_ERROR_STOP=1", "-d", &database.url(), "-f"];
                let output =
                    Command::new("psql").args(arguments).arg(folder.join(self.file)).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
        }
        for statement in self.reshape.split(';') {
            database.script(statement).await;
        }
        serde_json::from_slice(&std::fs::read(folder.join(self.contents)).unwrap()).unwrap()
    }

    /// A server that can read its keys.
    fn options(self) -> Options {
        let keys = if self.file == "encrypted.db" { vec![KEY] } else { Vec::new() };
        Options { encryption_keys: keys, ..Options::default() }
    }

    async fn adopt(self, database: &Database) -> (Server, Value) {
        let contents = self.load(database).await;
        (Server::start(database, self.options()).await, contents)
    }
}

/// What `encrypted.db` lies under.
pub(crate) const KEY: &str = "6gZJ-vonVUSftEBVF5e-9k4WO3iuk1jxekieyNW7EW8=";
const NEW_KEY: &str = "QTFCMkMzRDRFNUY2RzdIOEk5SjBLMUwyTTNONE81UDY=";

pub(crate) async fn sign_in(server: &Server, contents: &Value, username: &Value) -> (Client, Value) {
    let password = contents["password"].as_str().unwrap();
    let pair = server.stranger().sign_in(username.as_str().unwrap(), password).await.expect(StatusCode::OK);
    (server.with_token(&pair["access_token"]), pair)
}

pub(crate) async fn superuser(server: &Server, contents: &Value) -> Client {
    let root = server.database.peek("SELECT username FROM users WHERE role = 'SUPERUSER'").await.remove(0);
    sign_in(server, contents, &json!(root)).await.0
}

/// What the old API answered and what ours does: times have a `Z` now, and there may be more fields.
fn assert_same(now: &Value, before: &Value, but: &[&str], what: &str) {
    for (field, value) in before.as_object().unwrap() {
        let same = match (value.as_str(), now[field].as_str()) {
            (Some(before), Some(now)) => {
                let is_time = field.ends_with("_at") || field.starts_with("not_");
                now == before || is_time && now.trim_end_matches('Z') == before.trim_end_matches('Z')
            }
            _ => now[field] == *value,
        };
        assert!(same || but.contains(&field.as_str()), "{what}: {field} was {value} and is {}", now[field]);
    }
}

async fn every_object_and_key_is_as_it_was(database: Database, fixture: Fixture) {
    let (server, contents) = fixture.adopt(&database).await;
    let root = superuser(&server, &contents).await;
    let get = async |path: String| root.get(&format!("/api/v1/{path}")).await.expect(StatusCode::OK);
    for organization in contents["organizations"].as_array().unwrap() {
        assert_same(
            &get(format!("organizations/{}", organization["id"])).await,
            organization,
            &[],
            "organization",
        );
    }
    for (name, user) in contents["users"].as_object().unwrap() {
        // One of them was changed after it was shown.
        let but =
            ["updated_at", "can_create_cert", "can_revoke_cert", "can_create_ca", "can_export_private_key"];
        assert_same(&get(format!("users/{}", user["id"])).await, user, &but, name);
    }
    for (name, ca) in contents["cas"].as_object().unwrap() {
        let now = get(format!("cas/{}/private-key", ca["id"])).await;
        assert_same(&now, ca, &["updated_at", "allow_leaf_certs"], name);
    }
    for (name, certificate) in contents["certificates"].as_object().unwrap() {
        let now = get(format!("certificates/{}/private-key", certificate["id"])).await;
        let but = ["updated_at", "status", "revoked_at", "renewed_to_ids", "key_size"];
        assert_same(&now, certificate, &but, name);
        let revoked = ["revoked", "csr_rsa"].contains(&name.as_str());
        let ended = now["not_after"].as_str().unwrap() < server.engine.now().to_string().as_str();
        let status = if revoked {
            "revoked"
        } else if ended {
            "expired"
        } else {
            "valid"
        };
        assert_eq!(now["status"], status, "{name}");
    }
    let renewed = &contents["certificates"]["renewed"];
    let predecessor = get(format!("certificates/{}", renewed["renewed_from_id"])).await;
    assert_eq!(predecessor["renewed_to_ids"], json!([renewed["id"]]));
    let account = &contents["service_account"];
    if account.is_null() {
        // On PostgreSQL the release made none: it could not record it.
        return;
    }
    assert_same(&get(format!("service-accounts/{}", account["id"])).await, account, &[], "service account");
    let policy = get(format!("service-accounts/{}/policy", account["id"])).await;
    assert_eq!(
        (&policy["cn_patterns"], &policy["max_validity_days"]),
        (&json!(["*.svc.example.com"]), &json!(90))
    );
}

async fn every_credential_works_and_every_dead_one_does_not(database: Database, fixture: Fixture) {
    let (server, contents) = fixture.adopt(&database).await;
    for user in contents["users"].as_object().unwrap().values() {
        let (client, _) = sign_in(&server, &contents, &user["username"]).await;
        let me = client.get("/api/v1/users/me").await.expect(StatusCode::OK);
        assert_eq!(me["id"], user["id"]);
    }
    let refresh = json!({"refresh_token": contents["bob_refresh_token"]});
    let pair = server.stranger().post("/api/v1/auth/refresh", refresh.clone()).await.expect(StatusCode::OK);
    let bob = server.with_token(&pair["access_token"]).get("/api/v1/users/me").await.expect(StatusCode::OK);
    assert_eq!(bob["id"], contents["users"]["bob"]["id"]);
    server.stranger().post("/api/v1/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
    // An access token that the old system signed: without iat_ms, and another without jti and iat.
    let id = &contents["users"]["alice"]["id"];
    for more in ["'iat': now, 'jti': 'c0ffee00-0000-4000-8000-000000000000'", ""] {
        let token = old_access_token(&contents, id, more);
        let me = server.with_token(&token).get("/api/v1/users/me").await.expect(StatusCode::OK);
        assert_eq!(me["id"], *id);
    }
    if contents["service_account"].is_null() {
        return;
    }
    let runner = server.with_token(&contents["service_account_token"]);
    let sign = json!({
        "csr": new_csr(&P256, "/CN=new.svc.example.com", &[]), "ca_id": contents["cas"]["sub"]["id"],
        "certificate_type": "server", "valid_days": 30,
    });
    let signed = runner.post("/api/v1/certificates/sign-csr", sign).await.expect(StatusCode::CREATED);
    assert_eq!(signed["created_by_service_account_id"], contents["service_account"]["id"]);
    let beyond = json!({
        "csr": new_csr(&P256, "/CN=www.example.com", &[]), "ca_id": contents["cas"]["sub"]["id"],
        "certificate_type": "server", "valid_days": 30,
    });
    let refused = runner.post("/api/v1/certificates/sign-csr", beyond).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(refused["detail"]["code"], "policy_violation");
    for dead in ["revoked_token", "disabled_token"] {
        server.with_token(&contents[dead]).get("/api/v1/cas/").await.expect(StatusCode::UNAUTHORIZED);
    }
}

/// A JWT by Python alone, as the old system makes them.
fn old_access_token(contents: &Value, id: &Value, more: &str) -> Value {
    let (username, secret) =
        (&contents["users"]["alice"]["username"], contents["secret_key"].as_str().unwrap_or(SECRET_KEY));
    let script = format!(
        "
import base64, hashlib, hmac, json, time
now = int(time.time())
part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b'=')
claims = {{'sub': {username}, 'id': {id}, 'role': 'admin', 'exp': now + 600, {more}}}
text = part({{'alg': 'HS256', 'typ': 'JWT'}}) + b'.' + part(claims)
mac = hmac.new(b'{secret}', text, hashlib.sha256).digest()
print((text + b'.' + base64.urlsafe_b64encode(mac).rstrip(b'=')).decode())"
    );
    let output = Command::new("python3").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json!(String::from_utf8(output.stdout).unwrap().trim())
}

async fn every_ca_signs_and_both_revocations_are_on_the_crl(database: Database, fixture: Fixture) {
    let (server, contents) = fixture.adopt(&database).await;
    let root = superuser(&server, &contents).await;
    let cas = contents["cas"].as_object().unwrap();
    let mut signed = 0;
    for ca in cas.values() {
        let csr = new_csr(&P256, "/CN=new.example.com", &[]);
        let body = json!({"csr": csr, "ca_id": ca["id"], "certificate_type": "server"});
        let answer = root.post("/api/v1/certificates/sign-csr", body).await;
        // The root issues no leaves any more, since it has an intermediate.
        if cas.values().any(|other| other["parent_ca_id"] == ca["id"]) {
            answer.expect(StatusCode::BAD_REQUEST);
            let child =
                json!({"name": "New", "subject_dn": "CN=New", "key_type": "ec", "parent_ca_id": ca["id"]});
            let child = root.post("/api/v1/cas/", child).await.expect(StatusCode::CREATED);
            verify(ca, &child, &contents);
        } else {
            verify(ca, &answer.expect(StatusCode::CREATED), &contents);
        }
        signed += 1;
    }
    assert_eq!(signed, 4);
    let renew = format!("/api/v1/certificates/{}/renew", contents["certificates"]["server"]["id"]);
    root.post(&renew, json!({})).await.expect(StatusCode::CREATED);

    let sub = &contents["cas"]["sub"];
    let name = sub["name"].as_str().unwrap().trim().to_lowercase().replace(' ', "-");
    let crl = server.stranger().get(&format!("/crl/{name}-{}", sub["id"])).await;
    assert_eq!(crl.status, StatusCode::OK);
    let text = openssl(&["crl", "-inform", "DER", "-noout", "-text"], &crl.bytes);
    for what in ["revoked", "csr_rsa"] {
        let serial = contents["certificates"][what]["serial_number"].as_str().unwrap().to_uppercase();
        assert!(text.contains(&serial), "{what}: {text}");
    }
    // One for its key, one for "laptop stolen", which RFC 5280 has no code for.
    assert_eq!(
        (text.matches("Key Compromise").count(), text.matches("CRL Reason").count()),
        (1, 1),
        "{text}"
    );
}

/// OpenSSL follows a new certificate to the old root.
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

async fn the_audit_log_is_whole(database: Database, fixture: Fixture) {
    let contents = fixture.load(&database).await;
    // What a key has done at start is written down; adoption itself is not.
    let count = "SELECT CAST(count(*) AS INTEGER) FROM audit_logs WHERE username IS NULL OR username <> 'fastpki serve'";
    let before: usize = database.peek(count).await[0].parse().unwrap();
    let server = Server::start(&database, fixture.options()).await;
    // Adoption alone writes nothing.
    assert_eq!(database.peek(count).await[0].parse::<usize>().unwrap(), before);
    let root = superuser(&server, &contents).await;
    let log = root.get("/api/v1/audit-logs/?limit=1000").await.expect(StatusCode::OK);
    let adopted = log.as_array().unwrap().iter().filter(|entry| entry["username"] != "fastpki serve").count();
    assert_eq!(adopted, before + 1, "what was there, and one sign-in");
    let (alice, _) = sign_in(&server, &contents, &contents["users"]["alice"]["username"]).await;
    let revocations = alice.get("/api/v1/audit-logs/?action=cert_revoke").await.expect(StatusCode::OK);
    assert_eq!(revocations.as_array().unwrap().len(), 2);
    let own = alice.get("/api/v1/audit-logs/?service_account_id=1").await.expect(StatusCode::OK);
    if !contents["service_account"].is_null() {
        assert_eq!((own.as_array().unwrap().len(), &own[0]["action"]), (1, &json!("cert_create")));
    }
}

async fn what_the_old_enumerations_lack_can_be_done(database: Database, fixture: Fixture) {
    let (server, contents) = fixture.adopt(&database).await;
    let moved = move_a_ca(&server, &contents).await;
    let root = superuser(&server, &contents).await;
    for kind in ["dual_purpose", "server"] {
        let ca = &contents["cas"]["sub"];
        root.create_certificate(ca, "new.example.com", json!({"certificate_type": kind})).await;
    }
    let (account, _) = server.service_account(&root, "new", json!({"organization_id": 1})).await;
    // The first start with a new encryption key, and a rotation.
    let mut keys = vec![NEW_KEY, KEY];
    keys.truncate(fixture.options().encryption_keys.len() + 1);
    let server = server.restart(Options { encryption_keys: keys.clone(), ..Options::default() }).await;
    let at_rest = server.keys_at_rest(&keys).await;
    at_rest.rotate().await.unwrap();
    assert_eq!(at_rest.verify().await.unwrap().total().unreadable, 0);
    let root = superuser(&server, &contents).await;
    for (action, id) in [
        ("ca_update", &moved),
        ("service_account_create", &account["id"]),
        ("service_account_token_create", &account["id"]),
        ("keys_rotate", &Value::Null),
    ] {
        let entries = root.get(&format!("/api/v1/audit-logs/?action={action}")).await.expect(StatusCode::OK);
        assert_eq!((&entries[0]["action"], &entries[0]["resource_id"]), (&json!(action), id), "{entries}");
    }
}

/// An earlier build completed no enumeration, and wrote `CA_UPDATE` where the database took it.
async fn database_that_an_earlier_build_adopted_is_completed(database: Database, fixture: Fixture) {
    let (server, contents) = fixture.adopt(&database).await;
    server.stop().await;
    let now = "'2090-01-01 00:00:00.000000'";
    let entry = |columns: &str, values: &str| {
        format!("INSERT INTO audit_logs (id, created_at, action{columns}) VALUES ({values});")
    };
    let of_ours = [
        entry(", resource_type, resource_id", &format!("900, {now}, 'CA_UPDATE', 'ca', 2")),
        entry(", own_action", &format!("901, {now}, 'CA_UPDATE', 'KEYS_ROTATE'")),
        entry("", "902, '2020-01-01 00:00:00.000000', 'CA_UPDATE'"),
    ];
    let is_whole =
        database.file().is_some() || fixture.file == "plaintext.pg.sql" && fixture.reshape.is_empty();
    if is_whole {
        database.script(&of_ours.concat()).await;
        database.script(include_str!("../../../fastpki-store/migrations/0005_audit_actions.sql")).await;
    } else {
        for statement in fixture.reshape.split(';').filter(|statement| statement.contains("auditaction")) {
            database.script(statement).await;
        }
        if !fixture.reshape.is_empty() {
            database.script("DROP TYPE whole").await;
        }
    }
    let server = Server::start(&database, fixture.options()).await;
    move_a_ca(&server, &contents).await;
    if is_whole {
        let actions = "SELECT CAST(action AS VARCHAR) || ' ' || COALESCE(own_action, '') FROM audit_logs WHERE id >= 900 AND id < 903 ORDER BY id";
        let expected = ["CA_CREATE CA_UPDATE", "CA_CREATE KEYS_ROTATE", "CA_UPDATE "];
        assert_eq!(database.peek(actions).await, expected, "what FastPKI wrote is left as it was");
        let root = superuser(&server, &contents).await;
        let updates = root.get("/api/v1/audit-logs/?action=ca_update").await.expect(StatusCode::OK);
        assert_eq!(
            updates.as_array().unwrap().len(),
            3,
            "ours, the one before, and what FastPKI wrote: {updates}"
        );
    }
}

/// Moves a CA into an organization, which writes `ca_update`; its id.
async fn move_a_ca(server: &Server, contents: &Value) -> Value {
    let id = contents["cas"]["unowned"]["id"].clone();
    let root = superuser(server, contents).await;
    let body = json!({"organization_id": 1, "cascade": true});
    root.patch(&format!("/api/v1/cas/{id}"), body).await.expect(StatusCode::OK);
    id
}
