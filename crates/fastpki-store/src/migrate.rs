//! Numbered, forward-only migrations, under a lock, all pending ones in one transaction.

use fastpki_types::Timestamp;

use crate::{
    db::{Db, Tx},
    error::StoreError,
};

/// A migration: its name and its script for both databases.
struct Migration {
    version: i32,
    name: &'static str,
    script: &'static str,
}

const MIGRATIONS: [Migration; 3] = [
    Migration {
        version: BASELINE,
        name: "fastpki_0_4",
        script: include_str!("../migrations/0001_fastpki_0_4.sql"),
    },
    Migration { version: 2, name: "own", script: include_str!("../migrations/0002_own.sql") },
    Migration {
        version: 3,
        name: "encryption_keys",
        script: include_str!("../migrations/0003_encryption_keys.sql"),
    },
];

/// The migration that makes what FastPKI 0.4.0 made; an adopted database has it already.
const BASELINE: i32 = 1;

/// The revision at which FastPKI 0.4.0 leaves its database.
const ALEMBIC_HEAD: &str = "d968617a7e2f";

/// Brings the database to this program's schema, or refuses it with what to do.
pub(crate) async fn migrate(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    db.write(move |tx| {
        Box::pin(async move {
            if !tx.is_sqlite() {
                // Several servers may start at once. SQLite's writer holds its lock already.
                tx.script("SELECT pg_advisory_xact_lock(4706318)").await?;
            }
            let applied = applied(tx).await?;
            let newest = MIGRATIONS[MIGRATIONS.len() - 1].version;
            if applied.is_some_and(|applied| applied > newest) {
                return Err(StoreError::Unusable(
                    "the database was written by a newer version of this program: start that version".into(),
                ));
            }
            let applied = match applied {
                Some(applied) => applied,
                None => {
                    tx.script(&dialect(
                        "CREATE TABLE fastpki_migrations (
                             version INTEGER NOT NULL PRIMARY KEY,
                             name VARCHAR NOT NULL,
                             applied_at {timestamp} NOT NULL
                         )",
                        tx.is_sqlite(),
                    ))
                    .await?;
                    inherited(tx, now).await?
                }
            };
            for migration in MIGRATIONS.iter().filter(|migration| migration.version > applied) {
                tx.script(&dialect(migration.script, tx.is_sqlite())).await?;
                record(tx, migration, now).await?;
            }
            Ok(())
        })
    })
    .await
}

/// The newest migration that was applied; `None` where this program has never been.
async fn applied(tx: &mut Tx) -> Result<Option<i32>, StoreError> {
    if !has_table(tx, "fastpki_migrations").await? {
        return Ok(None);
    }
    let row = tx.row("/* applied */ SELECT COALESCE(MAX(version), 0) FROM fastpki_migrations", &[]).await?;
    row.ok_or(StoreError::Gone)?.next().map(Some)
}

/// What a database without our mark has of our schema: nothing if it is empty, the baseline if
/// FastPKI 0.4.0 made it, with its migrations or without. Anything else is refused.
async fn inherited(tx: &mut Tx, now: Timestamp) -> Result<i32, StoreError> {
    let mut present = 0;
    for table in OLD_TABLES {
        present += usize::from(has_table(tx, table).await?);
    }
    if has_table(tx, "alembic_version").await? {
        let stamp: Option<String> =
            match tx.row("/* stamp */ SELECT version_num FROM alembic_version", &[]).await? {
                Some(mut row) => row.next()?,
                None => None,
            };
        if stamp.as_deref() != Some(ALEMBIC_HEAD) {
            return Err(StoreError::Unusable(format!(
                "the database is at revision {} of FastPKI, not at that of 0.4.0 ({ALEMBIC_HEAD}): start FastPKI 0.4.0 on it once, which brings it there, and then this program",
                stamp.as_deref().unwrap_or("(none)")
            )));
        }
    } else if present == 0 {
        return Ok(0);
    }
    if present < OLD_TABLES.len() {
        return Err(StoreError::Unusable(
            "the database has other tables than FastPKI 0.4.0 has: give this program a database of its own"
                .into(),
        ));
    }
    record(tx, &MIGRATIONS[0], now).await?;
    Ok(BASELINE)
}

async fn record(tx: &mut Tx, migration: &Migration, now: Timestamp) -> Result<(), StoreError> {
    let values = [migration.version.into(), migration.name.into(), now.into()];
    let sql = "/* record */ INSERT INTO fastpki_migrations (version, name, applied_at) VALUES ($1, $2, $3)";
    tx.execute(sql, &values).await.map(drop)
}

async fn has_table(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    let sql = if tx.is_sqlite() {
        "/* has_table */ SELECT name FROM sqlite_master WHERE type = 'table' AND name = $1"
    } else {
        "/* has_table */ SELECT table_name::text FROM information_schema.tables
         WHERE table_schema = current_schema() AND table_name = $1::text"
    };
    Ok(tx.row(sql, &[name.into()]).await?.is_some())
}

/// A script in the words of one database.
fn dialect(script: &str, sqlite: bool) -> String {
    let (own, other) = if sqlite { ("sqlite: ", "postgres: ") } else { ("postgres: ", "sqlite: ") };
    let mut text: String = script
        .lines()
        .filter(|line| !line.starts_with(other))
        .flat_map(|line| [line.strip_prefix(own).unwrap_or(line), "\n"])
        .collect();
    for (token, on_sqlite, on_postgres) in WORDS {
        text = text.replace(token, if sqlite { on_sqlite } else { on_postgres });
    }
    text
}

/// What stands for what in the scripts: on SQLite, on PostgreSQL.
const WORDS: [(&str, &str, &str); 9] = [
    ("{id}", "INTEGER NOT NULL", "SERIAL"),
    ("{timestamp}", "DATETIME", "TIMESTAMP WITH TIME ZONE"),
    ("{json}", "JSON", "JSON"),
    ("{blob}", "BLOB", "BYTEA"),
    ("{role}", "VARCHAR(9)", "userrole"),
    ("{certificate_type}", "VARCHAR(12)", "certificatetype"),
    ("{status}", "VARCHAR(7)", "certificatestatus"),
    ("{audit_action}", "VARCHAR(28)", "auditaction"),
    ("{without_rowid}", "WITHOUT ROWID", ""),
];

const OLD_TABLES: [&str; 11] = [
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
