//! How the databases find what each statement asks for: of many rows of one issuer only those, with statistics and
//! without.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use fastpki_testing::{Database, on_both_databases};
use fastpki_types::{
    AuditAction, CaId, CertificateId, Flags, FlagsUpdate, OrganizationId, PrivateKeyPem, ServiceAccountId,
    Timestamp, UserId, UserRole,
};

use crate::{
    CertificateFilter, DatabaseConfig, Grant, Held, Lock, NewAudit, NewCertificate, NewRefreshToken, Seal,
    ServiceAccountChange, Standing, Store, StoreError, TlsMode, Visible, db::Value,
};

on_both_databases! {
    every_statement_seeks_what_it_asks_for,
    page_of_a_crl_costs_as_much_as_it_has_entries,
}

/// The statements that were run, with values they were run with.
static SEEN: Mutex<BTreeMap<String, Vec<Value>>> = Mutex::new(BTreeMap::new());

/// Notes a statement that is run.
pub(crate) fn note(sql: &str, values: &[Value]) {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.insert(sql.to_owned(), values.to_vec());
}

fn name_of(sql: &str) -> &str {
    sql.split_whitespace().nth(1).unwrap_or_default()
}

fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

fn audit() -> NewAudit {
    NewAudit {
        at: now(),
        action: AuditAction::OrgCreate,
        user: None,
        service_account: None,
        username: None,
        organization_id: None,
        resource_type: None,
        resource_id: None,
        detail: None,
        grant: Grant::default(),
    }
}

/// What an act may be permitted for, of every kind.
fn grant() -> Grant {
    let standing = Standing::User {
        id: UserId(1),
        role: UserRole::Superuser,
        organization_id: None,
        flags: Flags::default(),
        tokens_invalidated_at: None,
        token_generation: 0,
        access_token: Some("another jti".into()),
    };
    let held = vec![
        Held::Authority {
            id: CaId(1),
            organization_id: None,
            allow_leaf_certs: Some(true),
            lock: Lock::Share,
        },
        Held::Certificate {
            id: CertificateId(7),
            organization_id: Some(OrganizationId(1)),
            lock: Lock::Share,
        },
        Held::Unrevoked { issuer: CaId(1), serial_number: "a9".into() },
    ];
    Grant { standing: Some(standing), held }
}

async fn open(database: &Database) -> Store {
    let config = match database.file() {
        Some(path) => DatabaseConfig::Sqlite { path },
        None => {
            DatabaseConfig::Postgres { url: database.url().into(), tls: TlsMode::Disable, root_cert: None }
        }
    };
    Store::open(&config, now()).await.unwrap()
}

/// One CA with 20,000 certificates, half of them revoked, and as many tokens.
async fn fill(database: &Database) {
    if database.file().is_none() {
        for table in BIG {
            database.script(&format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).await;
        }
    }
    let day = "'2030-01-01 00:00:00'";
    let numbers = "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 20000)";
    database
        .script(&format!(
            "INSERT INTO organizations (id, name, created_at, updated_at) VALUES (1, 'Red', {day}, {day});
             INSERT INTO users (id, username, email, hashed_password, role, is_active, created_at, updated_at)
             VALUES (1, 'root', 'root@example.com', 'x', 'SUPERUSER', true, {day}, {day}),
                    (2, 'eve', 'eve@example.com', 'x', 'USER', true, {day}, {day});
             INSERT INTO service_accounts (id, name, created_at, updated_at, can_create_ca, can_create_cert,
                                           can_revoke_cert, can_export_private_key, can_delete_ca, organization_id)
             VALUES (1, 'ci', {day}, {day}, true, true, true, true, true, 1),
                    (2, 'idle', {day}, {day}, true, true, true, true, true, 1);
             INSERT INTO certificate_authorities (name, subject_dn, key_size, valid_days, id, created_at, updated_at,
                                                  private_key, certificate)
             VALUES ('Root', 'CN=Root', 256, 10, 1, {day}, {day}, 'x', 'y'),
                    ('Other', 'CN=Other', 256, 10, 2, {day}, {day}, 'x', 'y');
             INSERT INTO fastpki_crls (ca_id, reserved) VALUES (1, 0);
             {numbers}
             INSERT INTO certificates (id, common_name, subject_dn, certificate_type, key_size, valid_days, status,
                                       created_at, updated_at, certificate, serial_number, not_before, not_after,
                                       issuer_id, organization_id, created_by_user_id)
             SELECT n, 'host ' || n, 'CN=host', 'SERVER', 256, 10, 'VALID', {day}, {day}, 'z', 'a' || n, {day}, {day},
                    1, 1, 1 FROM g;
             {numbers}
             INSERT INTO crl_entries (id, created_at, serial_number, revocation_date, reason, ca_id)
             SELECT n, {day}, 'a' || n, {day}, 'superseded', 1 FROM g WHERE n % 2 = 0;
             {numbers}
             INSERT INTO fastpki_serials (issuer_id, serial_number) SELECT 1, 'a' || n FROM g;
             {numbers}
             INSERT INTO refresh_tokens (id, token_hash, user_id, expires_at, revoked, created_at)
             SELECT n, 'hash ' || n, 1, {day}, false, {day} FROM g;
             {numbers}
             INSERT INTO service_account_tokens (id, service_account_id, public_id, digest, pepper_version, created_at, revoked)
             SELECT n, 1, 'id ' || n, 'x', 1, {day}, false FROM g;
             {numbers}
             INSERT INTO audit_logs (id, created_at, action, user_id) SELECT n, {day}, 'LOGIN_SUCCESS', 1 FROM g;"
        ))
        .await;
    if database.file().is_none() {
        for table in BIG {
            let next = format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), 30000)");
            database.script(&next).await;
        }
    }
}

/// Does what requests and jobs do, with many rows in the way.
async fn use_all(store: &Store, round: i32) -> Result<(), StoreError> {
    let id = CertificateId(100 + round);
    let (one, user, account) = (CaId(1), UserId(2), ServiceAccountId(1));
    store.crl_head(one, now()).await?;
    store.crl_entries(one, 0, i32::MAX, now(), 5000).await?;
    let leaf = include_str!("../../fastpki-x509/testdata/leaf.cert.pem");
    let leaf = fastpki_x509::Certificate::from_pem(leaf).unwrap();
    store.is_authority_revoked(leaf.clone(), Some(one)).await?;
    store.issuers_of(leaf).await?;
    store.reserve_crl_number(one).await?;
    store.revoke_certificate(id, Some("key_compromise".into()), now(), audit()).await?;
    store.certificate(id).await?;
    store.certificate_key(id).await?;
    store.check_public_key("abc".into(), None).await?;
    store.note_public_keys(now()).await?;
    let filter = |visible, serial: bool| CertificateFilter {
        visible,
        id: None,
        issuer: Some(one),
        status: None,
        certificate_type: None,
        common_name: None,
        serial_number: serial.then(|| "a9".to_owned()),
        expires_before: None,
        expires_after: None,
    };
    // The lists of whole organizations and CAs are long; these two are not.
    store.certificates(filter(Visible::CreatedByUser(user), false), CertificateId(0), 0, 100).await?;
    store.count_certificates(filter(Visible::Organization(OrganizationId(1)), true)).await?;
    store
        .certificates(filter(Visible::Organization(OrganizationId(1)), true), CertificateId(0), 0, 100)
        .await?;
    store.create_certificate(certificate(round), now(), NewAudit { grant: grant(), ..audit() }).await?;
    store.user_of_token(user, Some("jti".into())).await?;
    store.refresh_token_owner("hash 7".into()).await?;
    let token = NewRefreshToken { token_hash: format!("new {round}"), user_id: user, expires_at: now() };
    let hash = crate::PasswordHash("x".into());
    store.sign_in(token, hash, now(), audit()).await?;
    store.invalidate_tokens(user, now(), audit()).await?;
    store.sign_out(user, Some((format!("jti {round}"), now())), "hash 9".into(), now(), audit()).await?;
    store.service_account_token("id 7").await?;
    store.note_token_uses(vec![(fastpki_types::ServiceAccountTokenId(7), now())]).await?;
    store
        .update_service_account(
            account,
            ServiceAccountChange { flags: FlagsUpdate::default(), ..Default::default() },
            now(),
            audit(),
        )
        .await?;
    store.policy(account).await?;
    store.claim_job("x", 60, now()).await?;
    store.job_due("x").await?;
    store.sweep_tokens(3600, now(), now()).await?;
    // Those who have nothing of all that is there.
    if round == 1 {
        store.delete_user(user, audit()).await?;
        store.delete_service_account(ServiceAccountId(2), audit()).await?;
        store.delete_authority(CaId(2), true, now(), Grant::default(), |_| vec![audit()]).await?;
    }
    Ok(())
}

fn certificate(round: i32) -> NewCertificate {
    NewCertificate {
        common_name: "www.example.com".into(),
        subject_dn: "CN=www.example.com".into(),
        certificate_type: fastpki_types::CertificateType::Server,
        key_type: fastpki_types::KeyType::Ec,
        key_size: 256,
        valid_days: 1,
        private_key: Some(Seal::default().seal(&PrivateKeyPem::from("-----BEGIN".to_owned()), now())),
        certificate: "-----BEGIN".into(),
        serial_number: format!("b{round}"),
        not_before: now(),
        not_after: now(),
        issuer_id: CaId(1),
        organization_id: None,
        created_by_user_id: None,
        created_by_service_account_id: None,
        is_csr_origin: true,
        renewed_from_id: None,
        checked_key: Some("abc".into()),
        renews_revoked: false,
        is_imported: false,
    }
}

async fn every_statement_seeks_what_it_asks_for(database: Database) {
    let store = open(&database).await;
    fill(&database).await;
    for round in 0..2 {
        if round == 1 {
            database.script("ANALYZE").await;
        }
        SEEN.lock().unwrap().clear();
        use_all(&store, round).await.unwrap();
        let seen = SEEN.lock().unwrap().clone();
        assert!(seen.len() > 30, "only these were run: {:?}", seen.keys());
        for (sql, values) in seen {
            let name = name_of(&sql);
            if READS_ALL.contains(&name)
                || !["SELECT", "UPDATE", "DELETE"].iter().any(|word| sql.contains(word))
            {
                continue;
            }
            for line in plan(&store, &sql, values).await {
                let line = line.as_str();
                let scans = BIG.iter().any(|table| scans(line, table)) || line.contains("CROSS JOIN");
                let reads_the_issuer = [
                    "fastpki_certificates_issuer_id",
                    "fastpki_certificates_organization_id",
                    "Index Cond: (issuer_id",
                    "BitmapAnd",
                    "Seq Scan on certificates",
                ]
                .iter()
                .any(|word| line.contains(word));
                // What is deleted takes all with it that it has issued, and is not deleted while others refer to it.
                let may = name.starts_with("delete_");
                assert!(!scans && (may || !reads_the_issuer), "{name}, round {round}: {line}");
            }
        }
    }
}

/// Whether a line of a plan reads a whole table, by its name or by the letter that stands for it.
fn scans(line: &str, table: &str) -> bool {
    let letter = match table {
        "certificates" => "c",
        "crl_entries" => "e",
        "service_account_tokens" => "t",
        other => other,
    };
    line.contains(&format!("Seq Scan on {table}"))
        || line == format!("SCAN {table}")
        || line == format!("SCAN {letter}")
        || line.starts_with(&format!("SCAN {table} USING"))
        || line.starts_with(&format!("SCAN {letter} USING"))
}

async fn plan(store: &Store, sql: &str, values: Vec<Value>) -> Vec<String> {
    let (words, column) = if store.db.is_sqlite() { ("EXPLAIN QUERY PLAN", 3) } else { ("EXPLAIN", 0) };
    let sql = format!("{words} {sql}");
    let name = sql.clone();
    store
        .db
        .scan(move |tx| {
            Box::pin(async move {
                let rows = tx.rows(&sql, &values).await?;
                rows.into_iter()
                    .map(|mut row| {
                        for _ in 0..column {
                            row.next::<i64>()?;
                        }
                        row.next::<String>()
                    })
                    .collect()
            })
        })
        .await
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The steps that SQLite's machine takes, and the rows that PostgreSQL touches, grow with the entries of a page and not with
/// what the CA has besides.
async fn page_of_a_crl_costs_as_much_as_it_has_entries(database: Database) {
    let store = open(&database).await;
    fill(&database).await;
    SEEN.lock().unwrap().clear();
    let entries =
        store.crl_entries(CaId(1), 0, 1000, "2029-01-01T00:00:00Z".parse().unwrap(), 5000).await.unwrap();
    assert_eq!(entries.len(), 500);
    let seen = SEEN.lock().unwrap().clone();
    let (sql, values) = seen.into_iter().find(|(sql, _)| name_of(sql) == "crl_entries").unwrap();
    let cost = if store.db.is_sqlite() {
        steps(&database, &sql, &values)
    } else {
        let sql = sql.replacen(
            "/* crl_entries */",
            "/* rows_read */ EXPLAIN (ANALYZE, TIMING OFF, FORMAT TEXT)",
            1,
        );
        rows_read(&store, sql, values).await
    };
    // A few dozen steps, or two rows, for each entry; there are 20,000 certificates.
    assert!(cost < 500 * 100, "{cost}");
}

fn steps(database: &Database, sql: &str, values: &[Value]) -> i64 {
    let connection = rusqlite::Connection::open(database.file().unwrap()).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    crate::db::bind_on_sqlite(&mut statement, values).unwrap();
    let mut rows = statement.raw_query();
    while rows.next().unwrap().is_some() {}
    drop(rows);
    i64::from(statement.get_status(rusqlite::StatementStatus::VmStep))
}

async fn rows_read(store: &Store, sql: String, values: Vec<Value>) -> i64 {
    let lines: Vec<String> = store
        .db
        .scan(move |tx| {
            Box::pin(
                async move { tx.rows(&sql, &values).await?.into_iter().map(|mut row| row.next()).collect() },
            )
        })
        .await
        .unwrap();
    let number = |line: &str, word: &str| -> Option<i64> {
        let rest = line.split(word).nth(1)?;
        let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        digits.split('.').next()?.parse().ok()
    };
    let actual = |line: &&String| line.contains("actual rows=");
    lines
        .iter()
        .filter(actual)
        .map(|line| number(line, "actual rows=").unwrap() * number(line, "loops=").unwrap())
        .sum()
}

/// The tables that grow.
const BIG: [&str; 5] =
    ["certificates", "crl_entries", "refresh_tokens", "service_account_tokens", "audit_logs"];
/// Statements that are to read a whole table: jobs, off everybody's way.
const READS_ALL: [&str; 5] = [
    "compromised_entries",
    "spent_refresh_tokens",
    "ended_blocklisted_tokens",
    "old_service_account_tokens",
    "tokens_revoked_sometime",
];
