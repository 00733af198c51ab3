//! Numbered, forward-only migrations, under a lock, all pending ones in one transaction.

mod enums;

use fastpki_types::Timestamp;

use crate::{
    db::{Db, Tx},
    error::StoreError,
    schema::{Migration, Schema, SchemaKind},
};

/// A migration: its name and its script for both databases.
struct Script {
    version: i32,
    name: &'static str,
    script: &'static str,
}

const MIGRATIONS: [Script; 9] = [
    Script { version: BASELINE, name: "fastpki_0_4", script: BASELINE_SCRIPT },
    Script { version: 2, name: "own", script: include_str!("../migrations/0002_own.sql") },
    Script {
        version: 3,
        name: "encryption_keys",
        script: include_str!("../migrations/0003_encryption_keys.sql"),
    },
    Script { version: 4, name: "principals", script: include_str!("../migrations/0004_principals.sql") },
    Script {
        version: 5,
        name: "audit_actions",
        script: include_str!("../migrations/0005_audit_actions.sql"),
    },
    Script { version: 6, name: "authorities", script: include_str!("../migrations/0006_authorities.sql") },
    Script { version: 7, name: "keys", script: include_str!("../migrations/0007_keys.sql") },
    Script { version: 8, name: "possessions", script: include_str!("../migrations/0008_possessions.sql") },
    Script { version: 9, name: "clocks", script: include_str!("../migrations/0009_clocks.sql") },
];

const BASELINE_SCRIPT: &str = include_str!("../migrations/0001_fastpki_0_4.sql");

/// The last migration.
pub(crate) const NEWEST: i32 = MIGRATIONS[MIGRATIONS.len() - 1].version;

/// The migration that makes what FastPKI 0.4.0 made; an adopted database has it already.
const BASELINE: i32 = 1;

/// The revisions at which FastPKI 0.4.0 leaves its database: the release, and its main branch two commits later.
const REVISIONS_OF_0_4: [&str; 2] = ["c7d99ce53025", "d968617a7e2f"];

/// Brings the database to this program's schema, or refuses it with what to do.
pub(crate) async fn migrate(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    db.write(move |tx| {
        Box::pin(async move {
            if !tx.is_sqlite() {
                // Several servers may start at once. SQLite's writer holds its lock already.
                tx.script("SELECT pg_advisory_xact_lock(4706318)").await?;
            }
            let applied = match applied(tx).await? {
                Some(applied) => applied,
                None => {
                    let inherited = inherited(tx).await?;
                    tx.script(&dialect(MARKS, tx.is_sqlite())).await?;
                    for migration in MIGRATIONS.iter().filter(|migration| migration.version <= inherited) {
                        record(tx, migration, now).await?;
                    }
                    inherited
                }
            };
            for migration in MIGRATIONS.iter().filter(|migration| migration.version > applied) {
                tx.script(&dialect(migration.script, tx.is_sqlite())).await?;
                record(tx, migration, now).await?;
            }
            // Last: PostgreSQL takes no value in the transaction that adds it.
            enums::complete(tx, BASELINE_SCRIPT).await
        })
    })
    .await
}

/// What a database has of this program's schema, and what is pending. Reads only.
pub(crate) async fn schema(tx: &mut Tx) -> Result<Schema, StoreError> {
    let (kind, version) = match applied(tx).await? {
        Some(version) => (SchemaKind::Ours, version),
        None => match inherited(tx).await? {
            0 => (SchemaKind::None, 0),
            baseline => (SchemaKind::Inherited, baseline),
        },
    };
    let pending = MIGRATIONS.iter().filter(|migration| migration.version > version);
    let pending = pending.map(|script| Migration { version: script.version, name: script.name }).collect();
    Ok(Schema { kind, version, newest: NEWEST, pending })
}

/// The newest migration that was applied; `None` where this program has never been. A newer one than this program
/// has is refused.
async fn applied(tx: &mut Tx) -> Result<Option<i32>, StoreError> {
    if !tables(tx).await?.iter().any(|table| table == "fastpki_migrations") {
        return Ok(None);
    }
    let row = tx.row("/* applied */ SELECT COALESCE(MAX(version), 0) FROM fastpki_migrations", &[]).await?;
    let version = row.ok_or(StoreError::Gone)?.next()?;
    if version > NEWEST {
        return Err(StoreError::Unusable(
            "the database was written by a newer version of this program: start that version".into(),
        ));
    }
    Ok(Some(version))
}

/// What a database without our mark has of our schema: nothing if it is empty, the baseline if
/// FastPKI 0.4.0 made it, with its migrations or without. Anything else is refused.
async fn inherited(tx: &mut Tx) -> Result<i32, StoreError> {
    let present = tables(tx).await?;
    let is_there = |name: &str| present.iter().any(|table| table == name);
    if present.is_empty() {
        return Ok(0);
    }
    if is_there("alembic_version") {
        check_stamp(tx).await?;
    }
    let expected = schema_of_0_4()?;
    if !expected.iter().any(|(table, _)| is_there(table)) && !is_there("alembic_version") {
        return Err(StoreError::Unusable(format!(
            "the database has tables that are not FastPKI's ({}): give this program a database of its own",
            present.join(", ")
        )));
    }
    for (table, columns) in expected.iter().filter(|(table, _)| table != "alembic_version") {
        let there = columns_of(tx, table).await?;
        if let Some(missing) = columns.iter().find(|column| !there.contains(column)) {
            return Err(StoreError::Unusable(format!(
                "the database has no column '{missing}' in a table '{table}', which FastPKI 0.4.0 has: if another version of FastPKI made it, bring it to 0.4.0 with that system first; else give this program a database of its own"
            )));
        }
    }
    Ok(BASELINE)
}

async fn check_stamp(tx: &mut Tx) -> Result<(), StoreError> {
    let rows = tx.rows("/* stamps */ SELECT version_num FROM alembic_version ORDER BY 1", &[]).await?;
    if rows.is_empty() {
        return Err(StoreError::Unusable(format!(
            "the table alembic_version is empty: FastPKI's own migrations did not finish, and {}",
            bring_to_0_4()
        )));
    }
    // Several, where branches of migrations were applied in part: then each has to be one of ours.
    for mut row in rows {
        let found: String = row.next()?;
        if !REVISIONS_OF_0_4.contains(&found.as_str()) {
            return Err(StoreError::Unusable(format!(
                "the database is at revision {} of FastPKI, and {}",
                found.escape_debug(),
                bring_to_0_4()
            )));
        }
    }
    Ok(())
}

fn bring_to_0_4() -> String {
    format!(
        "only a database of FastPKI 0.4.0 can be adopted (revision {}): back it up, update the old FastPKI to 0.4.0, start that on it once, and then start this program; docs/migrating-from-0.4.md has the steps",
        REVISIONS_OF_0_4.join(" or ")
    )
}

/// The tables of FastPKI 0.4.0 with their columns, as the first migration makes them.
fn schema_of_0_4() -> Result<Vec<(String, Vec<String>)>, StoreError> {
    let model = rusqlite::Connection::open_in_memory()?;
    model.execute_batch(&dialect(BASELINE_SCRIPT, true))?;
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    let mut statement = model.prepare(
        "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY t.rowid",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, column): (String, String) = (row.get(0)?, row.get(1)?);
        match tables.last_mut() {
            Some((last, columns)) if *last == table => columns.push(column),
            _ => tables.push((table, vec![column])),
        }
    }
    Ok(tables)
}

async fn tables(tx: &mut Tx) -> Result<Vec<String>, StoreError> {
    let sql = if tx.is_sqlite() {
        "/* tables */ SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite#_%' ESCAPE '#' ORDER BY name"
    } else {
        "/* tables */ SELECT CAST(c.relname AS TEXT) FROM pg_class c
         WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND c.relkind IN ('r', 'p') ORDER BY 1"
    };
    tx.rows(sql, &[]).await?.into_iter().map(|mut row| row.next()).collect()
}

async fn columns_of(tx: &mut Tx, table: &str) -> Result<Vec<String>, StoreError> {
    let sql = if tx.is_sqlite() {
        "/* columns */ SELECT name FROM pragma_table_info($1)"
    } else {
        "/* columns */ SELECT CAST(a.attname AS TEXT) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND CAST(c.relname AS TEXT) = $1
           AND a.attnum > 0 AND NOT a.attisdropped"
    };
    tx.rows(sql, &[table.into()]).await?.into_iter().map(|mut row| row.next()).collect()
}

async fn record(tx: &mut Tx, migration: &Script, now: Timestamp) -> Result<(), StoreError> {
    let values = [migration.version.into(), migration.name.into(), now.into()];
    let sql = "/* record */ INSERT INTO fastpki_migrations (version, name, applied_at) VALUES ($1, $2, $3)";
    tx.execute(sql, &values).await.map(drop)
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

/// Where it is written down which migrations were applied.
const MARKS: &str = "CREATE TABLE fastpki_migrations (
    version INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR NOT NULL,
    applied_at {timestamp} NOT NULL
)";
