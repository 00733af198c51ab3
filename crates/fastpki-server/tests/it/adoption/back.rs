//! After adoption and use, the old system can open its database again: its tables are as they were, and every row in
//! them is one that it can read.

use std::collections::BTreeSet;

use fastpki_testing::Database;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Fixture, on_every_fixture, sign_in, superuser};
use crate::harness::{P256, Server, new_csr};

on_every_fixture! {
    old_tables_are_as_they_were,
    old_rows_are_as_they_were,
    every_row_is_one_that_the_old_system_reads,
    ids_that_anything_names_are_never_used_again,
    addresses_that_the_old_system_refuses_are_found_and_changed,
}

const TABLES: [&str; 11] = [
    "organizations",
    "users",
    "certificate_authorities",
    "certificates",
    "crl_entries",
    "service_accounts",
    "service_account_tokens",
    "issuance_policies",
    "refresh_tokens",
    "blocklisted_tokens",
    "audit_logs",
];

/// Every column of the old tables with its type, whether it may be null, and its default; every constraint, index,
/// and value of an enumeration.
async fn schema(database: &Database) -> BTreeSet<String> {
    let names = TABLES.map(|table| format!("'{table}'")).join(", ");
    let queries = match database.file() {
        Some(_) => vec![
            format!(
                "SELECT t.name || '.' || c.name || ' ' || c.type || ' ' || c.[notnull] || ' ' || coalesce(c.dflt_value, '') || ' ' || c.pk
                 FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name IN ({names})"
            ),
            format!(
                "SELECT t.name || '.' || f.[from] || ' -> ' || f.[table] || '.' || coalesce(f.[to], 'id') || ' ' || f.on_delete
                 FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) f WHERE t.type = 'table' AND t.name IN ({names})"
            ),
            format!(
                "SELECT t.name || ' ' || i.name || ' ' || i.[unique] FROM sqlite_master t JOIN pragma_index_list(t.name) i
                 WHERE t.type = 'table' AND t.name IN ({names})"
            ),
        ],
        None => vec![
            format!(
                "SELECT table_name || '.' || column_name || ' ' || udt_name || ' ' || is_nullable || ' ' || coalesce(column_default, '')
                 FROM information_schema.columns WHERE table_schema = 'public' AND table_name IN ({names})"
            ),
            format!(
                "SELECT c.conrelid::regclass || ' ' || c.conname || ' ' || pg_get_constraintdef(c.oid) FROM pg_constraint c
                 WHERE c.conrelid::regclass::text IN ({names})"
            ),
            format!("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename IN ({names})"),
            "SELECT t.typname || ' ' || e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid".to_owned(),
        ],
    };
    let mut found = BTreeSet::new();
    for query in queries {
        found.extend(database.peek(&query).await);
    }
    assert!(found.len() > 100, "{}", found.len());
    found
}

/// What the old system's migrations left; nothing where they were not run.
async fn stamp(database: &Database) -> Vec<String> {
    let tables = database.peek(match database.file() {
        Some(_) => "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'",
        None => "SELECT count(*) FROM information_schema.tables WHERE table_name = 'alembic_version'",
    });
    if tables.await == ["0"] {
        return Vec::new();
    }
    database.peek("SELECT version_num FROM alembic_version").await
}

/// Columns of a table, without those that are ours.
async fn columns(database: &Database, table: &str) -> Vec<String> {
    let sql = match database.file() {
        Some(_) => format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"),
        None => format!(
            "SELECT column_name FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
        ),
    };
    database.peek(&sql).await
}

/// Does with the server what can be done with it.
async fn use_it(server: &Server, contents: &Value) {
    let root = superuser(server, contents).await;
    let (alice, pair) = sign_in(server, contents, &contents["users"]["alice"]["username"]).await;
    alice
        .post("/api/v1/auth/logout", json!({"refresh_token": pair["refresh_token"]}))
        .await
        .expect(StatusCode::NO_CONTENT);
    let (alice, _) = sign_in(server, contents, &contents["users"]["alice"]["username"]).await;
    let organization =
        root.post("/api/v1/organizations/", json!({"name": "New"})).await.expect(StatusCode::CREATED);
    let gone =
        root.post("/api/v1/organizations/", json!({"name": "Brief"})).await.expect(StatusCode::CREATED);
    root.delete(&format!("/api/v1/organizations/{}", gone["id"])).await.expect(StatusCode::NO_CONTENT);
    let user = root.create_user("new", "admin", &organization["id"], json!({"can_create_ca": true})).await;
    root.patch(&format!("/api/v1/users/{}", user["id"]), json!({"email": "newer@example.com"}))
        .await
        .expect(StatusCode::OK);
    let ca = alice.create_ca("New CA", json!({})).await;
    for kind in ["server", "client", "dual_purpose", "ca"] {
        let certificate =
            alice.create_certificate(&ca, "new.example.com", json!({"certificate_type": kind})).await;
        let revoke = format!("/api/v1/certificates/{}/revoke", certificate["id"]);
        alice.post(&revoke, json!({"reason": "superseded"})).await.expect(StatusCode::OK);
    }
    let csr = json!({"csr": new_csr(&P256, "/CN=x.example.com", &[]), "ca_id": ca["id"], "certificate_type": "server"});
    alice.post("/api/v1/certificates/sign-csr", csr).await.expect(StatusCode::CREATED);
    let (account, client) = server.service_account(&alice, "new", json!({"can_create_cert": true})).await;
    let account = format!("/api/v1/service-accounts/{}", account["id"]);
    let policy = json!({"cn_patterns": ["*"], "san_ip_cidrs": ["10.0.0.0/8"], "allowed_ca_ids": [ca["id"]], "allowed_certificate_types": ["dual_purpose"], "max_validity_days": 9});
    alice.put(&format!("{account}/policy"), policy).await.expect(StatusCode::OK);
    client.get("/api/v1/cas/").await.expect(StatusCode::OK);
    server.engine.record_token_uses().await.unwrap();
    alice.patch(&account, json!({"disabled": true})).await.expect(StatusCode::OK);
    root.patch(
        &format!("/api/v1/cas/{}", ca["id"]),
        json!({"organization_id": organization["id"], "cascade": true}),
    )
    .await
    .expect(StatusCode::OK);
    let keys = server.keys_at_rest(&[super::NEW_KEY, super::KEY]).await;
    keys.rotate().await.unwrap();
    keys.verify().await.unwrap();
    root.delete(&format!("/api/v1/users/{}", user["id"])).await.expect(StatusCode::NO_CONTENT);
    alice.post("/api/v1/auth/invalidate", json!({})).await.expect(StatusCode::NO_CONTENT);
    server.stranger().sign_in("nobody", "no password").await.expect(StatusCode::UNAUTHORIZED);
}

async fn old_tables_are_as_they_were(database: Database, fixture: Fixture) {
    let contents = fixture.load(&database).await;
    let (before, stamp) = (schema(&database).await, stamp(&database).await);
    let order = columns(&database, "certificates").await;
    let (server, _) = start(&database, fixture, contents).await;
    server.stop().await;
    let after = schema(&database).await;
    let lost: Vec<&String> = before.difference(&after).collect();
    assert_eq!(lost, Vec::<&String>::new());
    assert_eq!(columns(&database, "certificates").await[..order.len()], order);
    assert_eq!(self::stamp(&database).await, stamp);
    for added in after.difference(&before) {
        // Columns that may be null or have a default, indexes of our own, and what the old migrations forgot.
        let ours = added.contains(" 0  0")
            || added.contains(" 1 false 0")
            || added.contains(" YES ")
            || added.contains(" NO false")
            || added.contains("fastpki_")
            || added.contains("DUAL_PURPOSE")
            || added.contains("auditaction CA_UPDATE")
            || added.contains("auditaction SERVICE_ACCOUNT_");
        assert!(ours, "{added}");
    }
}

/// Adopts what was loaded.
async fn start(database: &Database, fixture: Fixture, contents: Value) -> (Server, Value) {
    (Server::start(database, fixture.options()).await, contents)
}

/// Every row, whole, as one text.
async fn rows(database: &Database, table: &str, columns: &[String]) -> Vec<String> {
    let text = columns
        .iter()
        .map(|column| format!("coalesce(CAST({column} AS VARCHAR), 'null')"))
        .collect::<Vec<_>>()
        .join(" || '|' || ");
    database.peek(&format!("SELECT {text} FROM {table} ORDER BY id")).await
}

async fn old_rows_are_as_they_were(database: Database, fixture: Fixture) {
    let contents = fixture.load(&database).await;
    let mut before = Vec::new();
    for table in TABLES {
        let columns = columns(&database, table).await;
        before.push((table, rows(&database, table, &columns).await, columns));
    }
    let (server, _) = start(&database, fixture, contents).await;
    server.stop().await;
    for (table, before, columns) in before {
        // A key has its entry about what it did at start.
        assert_eq!(rows(&database, table, &columns).await[..before.len()], before, "{table}");
    }
}

async fn every_row_is_one_that_the_old_system_reads(database: Database, fixture: Fixture) {
    let contents = fixture.load(&database).await;
    let (server, contents) = start(&database, fixture, contents).await;
    use_it(&server, &contents).await;
    server.stop().await;
    let none = async |what: &str, sql: String| {
        assert_eq!(database.peek(&sql).await, ["0"], "{what}");
    };
    // PostgreSQL's own types leave no room for anything else.
    if database.file().is_some() {
        for table in TABLES {
            let typed = format!("SELECT name || ' ' || type FROM pragma_table_info('{table}')");
            for column in database.peek(&typed).await {
                let (column, kind) = column.split_once(' ').unwrap();
                let bad = match kind {
                    "DATETIME" => format!(
                        "{column} NOT GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'"
                    ),
                    "BOOLEAN" => format!("{column} NOT IN (0, 1) OR typeof({column}) <> 'integer'"),
                    "INTEGER" => format!("typeof({column}) <> 'integer'"),
                    "JSON" => format!("NOT json_valid({column})"),
                    _ => format!("typeof({column}) <> 'text'"),
                };
                if !column.starts_with("own_") && !column.starts_with("original_") {
                    none(
                        &format!("{table}.{column}"),
                        format!("SELECT count(*) FROM {table} WHERE {column} IS NOT NULL AND ({bad})"),
                    )
                    .await;
                }
            }
        }
    }
    // Those of the release, which lacks CA_UPDATE.
    let known = "('CA_CREATE', 'CA_DELETE', 'CA_EXPORT_PRIVATE_KEY', 'CERT_CREATE', 'CERT_REVOKE', 'CERT_EXPORT_PRIVATE_KEY', 'LOGIN_SUCCESS', 'LOGIN_FAILURE', 'USER_CREATE', 'USER_UPDATE', 'ORG_CREATE', 'ORG_DELETE', 'ORG_ADD_USER', 'ORG_REMOVE_USER', 'SERVICE_ACCOUNT_CREATE', 'SERVICE_ACCOUNT_UPDATE', 'SERVICE_ACCOUNT_DELETE', 'SERVICE_ACCOUNT_TOKEN_CREATE', 'SERVICE_ACCOUNT_TOKEN_REVOKE')";
    for (table, column, values) in [
        ("users", "role", "('SUPERUSER', 'ADMIN', 'USER')"),
        ("certificates", "certificate_type", "('CA', 'SERVER', 'CLIENT', 'DUAL_PURPOSE')"),
        ("certificates", "status", "('VALID', 'REVOKED', 'EXPIRED')"),
        ("audit_logs", "action", known),
    ] {
        none(column, format!("SELECT count(*) FROM {table} WHERE CAST({column} AS VARCHAR) NOT IN {values}"))
            .await;
    }
    for table in ["certificate_authorities", "certificates"] {
        none(table, format!("SELECT count(*) FROM {table} WHERE private_key NOT LIKE '-----BEGIN PRIVATE KEY-----%' AND private_key NOT LIKE 'gAAAAA%'")).await;
        none(table, format!("SELECT count(*) FROM {table} WHERE certificate NOT LIKE '-----BEGIN CERTIFICATE-----%-----END CERTIFICATE-----\n'")).await;
    }
    write_as_the_old_system_does(&database).await;
}

/// The old system names its own columns, and no others.
async fn write_as_the_old_system_does(database: &Database) {
    let now = "'2030-01-01 00:00:00.000000'";
    database
        .script(&format!(
            "INSERT INTO organizations (name, created_at, updated_at) VALUES ('Back', {now}, {now});
             INSERT INTO audit_logs (created_at, action, username) VALUES ({now}, 'LOGIN_SUCCESS', 'back');
             INSERT INTO crl_entries (created_at, serial_number, revocation_date, ca_id) VALUES ({now}, 'abc', {now}, 1);
             INSERT INTO blocklisted_tokens (jti, exp, created_at) VALUES ('x', {now}, {now});"
        ))
        .await;
}

async fn ids_that_anything_names_are_never_used_again(database: Database, fixture: Fixture) {
    let contents = fixture.load(&database).await;
    // FastPKI 0.4 deleted the newest of each, and enforces no references on SQLite.
    if database.file().is_some() {
        database
            .script(
                "UPDATE certificates SET created_by_user_id = 70, created_by_service_account_id = 80 WHERE id = 1;
                 UPDATE audit_logs SET resource_type = 'organization', resource_id = 90 WHERE id = 3;
                 UPDATE crl_entries SET ca_id = 60 WHERE id = 1;",
            )
            .await;
    }
    let (server, contents) = start(&database, fixture, contents).await;
    let root = superuser(&server, &contents).await;
    let user = root.create_user("heir", "user", &Value::Null, json!({})).await;
    let organization =
        root.post("/api/v1/organizations/", json!({"name": "Heir"})).await.expect(StatusCode::CREATED);
    let account = json!({"name": "heir", "organization_id": organization["id"]});
    let account = root.post("/api/v1/service-accounts/", account).await.expect(StatusCode::CREATED);
    let ca = root.create_ca("Heir", json!({})).await;
    let expected = match (database.file(), contents["service_account"].is_null()) {
        (Some(_), _) => [71, 91, 81, 61],
        (None, false) => [6, 3, 3, 5],
        (None, true) => [6, 3, 1, 5],
    };
    assert_eq!(
        [&user["id"], &organization["id"], &account["id"], &ca["id"]],
        expected.map(|id| json!(id)).each_ref()
    );
}

/// The statements of the guide, on addresses that FastPKI 0.4's `email-validator` refuses and on others.
async fn addresses_that_the_old_system_refuses_are_found_and_changed(database: Database, fixture: Fixture) {
    let guide = include_str!("../../../../../docs/migrating-from-0.4.md");
    let (_, after) = guide.split_once("### E-mail addresses that 0.4 refuses").unwrap();
    let mut blocks = after.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap());
    let (find, change, undo) = (blocks.next().unwrap(), blocks.next().unwrap(), blocks.next().unwrap());
    let contents = fixture.load(&database).await;
    let (server, contents) = start(&database, fixture, contents).await;
    let root = superuser(&server, &contents).await;
    let refused =
        ["corp.local", "Corp.LOCAL", "a.test", "b.invalid", "c.localhost", "d.onion", "home.arpa", "e.c1"];
    let taken = ["corp.internal", "local.example", "test.example.com", "f.lan", "localhost.example.org"];
    for (at, domain) in refused.iter().chain(&taken).enumerate() {
        let name = format!("user{at}");
        let email = json!({"email": format!("{name}@{domain}")});
        root.create_user(&name, "user", &Value::Null, email).await;
    }
    let emails = "SELECT email FROM users ORDER BY id";
    let before = database.peek(emails).await;
    let found = database.peek(&find.replace("SELECT id, username, email", "SELECT email")).await;
    let expected: Vec<String> =
        refused.iter().enumerate().map(|(at, domain)| format!("user{at}@{domain}")).collect();
    assert_eq!(found, expected);
    database.script(change).await;
    assert_eq!(database.peek(find).await, Vec::<String>::new());
    let changed = database.peek(emails).await;
    assert!(changed.contains(&"user0@corp.local.internal".to_owned()), "{changed:?}");
    database.script(undo).await;
    assert_eq!(database.peek(emails).await, before);
}
