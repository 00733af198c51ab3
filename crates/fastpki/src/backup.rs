//! `fastpki backup` and `fastpki restore`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use fastpki_engine::Backup;
use fastpki_server::{
    database_config, secret_key_file,
    settings::{DatabaseUrl, LogLevel, Settings},
};
use serde_json::json;

use crate::{environment, output::Output, stopping::unless_stopped};

#[derive(Args)]
pub(crate) struct BackupArguments {
    /// Where the backup is; its folder must be there.
    file: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// Makes a backup. An error is a text for the operator.
pub(crate) fn backup(arguments: &BackupArguments) -> Result<ExitCode, String> {
    let settings = settings()?;
    let database = database_config(&settings.database);
    let secret_key = kept_secret_key(&settings);
    let made = fastpki_engine::backup(&database, secret_key.as_deref(), &arguments.file);
    let made = unless_stopped(made)?;
    Ok(report(arguments, "wrote", &made, secret_key.as_deref()))
}

/// Restores a backup. An error is a text for the operator.
pub(crate) fn restore(arguments: &BackupArguments) -> Result<ExitCode, String> {
    let settings = settings()?;
    let database = database_config(&settings.database);
    let secret_key = kept_secret_key(&settings);
    let restored = fastpki_engine::restore(&database, secret_key.as_deref(), &arguments.file);
    let restored = unless_stopped(restored)?;
    Ok(report(arguments, "restored", &restored, secret_key.as_deref()))
}

fn settings() -> Result<Settings, String> {
    let settings = environment::settings()?;
    environment::start_log(LogLevel::Warning, settings.log_format);
    Ok(settings)
}

/// The file of the secret key that the server made for its SQLite database.
fn kept_secret_key(settings: &Settings) -> Option<PathBuf> {
    match (&settings.secret_key, &settings.database) {
        (None, DatabaseUrl::Sqlite { path }) => Some(secret_key_file(path)),
        (_, DatabaseUrl::Sqlite { .. } | DatabaseUrl::Postgres { .. }) => None,
    }
}

fn report(arguments: &BackupArguments, did: &str, backup: &Backup, kept: Option<&Path>) -> ExitCode {
    let file = arguments.file.display();
    let mut text = format!("{did} {file}: {} bytes, version {}", backup.size, backup.version);
    match (&backup.secret_key, kept) {
        (Some(secret_key), _) => {
            text.push_str(&format!("\n{did} {}: it belongs to it", secret_key.display()));
        }
        (None, Some(kept)) => text.push_str(&format!(
            "\nno secret key was found beside it: SECRET_KEY is not set here, and the server keeps its own in {}",
            kept.display()
        )),
        (None, None) => {}
    }
    text.push_str("\nencryption keys are not in it: keep them elsewhere, as long as this backup");
    let json = json!({
        "file": file.to_string(),
        "bytes": backup.size,
        "version": backup.version,
        "secret_key": backup.secret_key.as_ref().map(|path| path.display().to_string()),
    });
    arguments.output.print(&text, &json)
}
