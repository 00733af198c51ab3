//! `fastpki db`: the schema of the database.

use std::{process::ExitCode, sync::Arc};

use clap::Subcommand;
use fastpki_engine::{DatabaseConfig, Operator, Schema, SchemaKind, SystemClock};
use fastpki_server::{database_config, settings::LogLevel};
use serde_json::{Value, json};

use crate::{environment, output::Output};

#[derive(Subcommand)]
pub(crate) enum DbCommand {
    /// Show which schema the database has, and what the next start would do to it.
    ///
    /// Changes nothing and makes no file, whether a server runs or not. Exits with 1 where this program cannot use
    /// the database: another program's, or one that a newer version of FastPKI has written.
    #[command(after_help = "Examples:\n  fastpki db status\n  fastpki db status --output json | jq .pending")]
    Status(Output),
    /// Bring the database up to date, without starting a server.
    ///
    /// Every start of the server does the same. Makes the database where there is none, and takes over one of
    /// FastPKI 0.4. All that is pending is one transaction: if it fails, nothing is changed. Make a backup first;
    /// there is no way back but that.
    #[command(after_help = "Example:\n  fastpki backup before-upgrade.db && fastpki db migrate")]
    Migrate(Output),
}

/// Runs a command. An error is a text for the operator.
pub(crate) fn run(command: DbCommand) -> Result<ExitCode, String> {
    let settings = environment::settings()?;
    environment::start_log(LogLevel::Warning, settings.log_format);
    let database = database_config(&settings.database);
    let runtime = environment::runtime()?;
    match command {
        DbCommand::Status(output) => runtime.block_on(status(&database, output)),
        DbCommand::Migrate(output) => runtime.block_on(migrate(&database, output)),
    }
    .map_err(|error| format!("error: {error}"))
}

async fn status(database: &DatabaseConfig, output: Output) -> Result<ExitCode, fastpki_engine::Error> {
    let schema = fastpki_engine::schema(database).await?;
    let text = match &schema {
        Some(schema) => describe(schema),
        None => "there is no database yet: the next start, or `fastpki db migrate`, makes one".into(),
    };
    let pending = schema.as_ref().map(|schema| {
        schema
            .pending
            .iter()
            .map(|migration| json!({"version": migration.version, "name": migration.name}))
            .collect::<Vec<Value>>()
    });
    let printed = output.print(
        &text,
        &json!({
            "database": kind(database),
            "schema": schema.as_ref().map_or("none", |schema| name(schema.kind)),
            "version": schema.as_ref().map_or(0, |schema| schema.version),
            "newest": schema.as_ref().map(|schema| schema.newest),
            "pending": pending,
        }),
    );
    Ok(printed)
}

async fn migrate(database: &DatabaseConfig, output: Output) -> Result<ExitCode, fastpki_engine::Error> {
    let before = fastpki_engine::schema(database).await?;
    let operator = Operator::open(database, Arc::new(SystemClock)).await?;
    let after = operator.schema().await;
    operator.close().await;
    let after = after?;
    let text = match &before {
        Some(before) if before.is_current() => {
            format!("the database is at version {} already", after.version)
        }
        Some(before) if before.kind == SchemaKind::Inherited => {
            format!("took over the database of FastPKI 0.4: it is at version {} now", after.version)
        }
        Some(before) if before.kind == SchemaKind::Ours => {
            format!("brought the database from version {} to {}", before.version, after.version)
        }
        _ => format!("made the database, at version {}", after.version),
    };
    let from = before.map_or(0, |before| before.version);
    Ok(output.print(&text, &json!({"database": kind(database), "from": from, "version": after.version})))
}

fn describe(schema: &Schema) -> String {
    let Schema { kind, version, newest, pending } = schema;
    let mut text = match kind {
        SchemaKind::None => "the database is empty".to_owned(),
        SchemaKind::Inherited => "the database is one of FastPKI 0.4, which can be taken over".to_owned(),
        SchemaKind::Ours => format!("the database is at version {version} of {newest}"),
    };
    if pending.is_empty() {
        text.push_str(": up to date");
    }
    for migration in pending {
        text.push_str(&format!("\npending: {:04} {}", migration.version, migration.name));
    }
    if !pending.is_empty() {
        text.push_str("\nthe next start of the server, or `fastpki db migrate`, does what is pending");
    }
    text
}

fn name(kind: SchemaKind) -> &'static str {
    match kind {
        SchemaKind::None => "none",
        SchemaKind::Inherited => "fastpki-0.4",
        SchemaKind::Ours => "fastpki",
    }
}

fn kind(database: &DatabaseConfig) -> &'static str {
    match database {
        DatabaseConfig::Sqlite { .. } => "sqlite",
        DatabaseConfig::Postgres { .. } => "postgresql",
    }
}
