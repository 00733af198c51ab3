//! From the operator's settings to an engine.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use fastpki_engine::{
    BadKey, Config, DatabaseConfig, Entropy, FernetKey, IssuingDefaults, PASSWORD_COST, Progress,
    SystemClock, SystemEntropy, new_secret_key,
};
use fastpki_host::{HostError, Unfinished, check_database, read_secret};
use zeroize::Zeroizing;

use crate::settings::{DatabaseUrl, Secret, Settings};

/// Why the server does not start; the text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file that keeps the secret key cannot be read or made.
    #[error("the secret key file {0}; or set SECRET_KEY")]
    SecretKeyFile(#[from] HostError),
    /// The file that keeps the secret key was cut short.
    #[error(
        "the secret key file {0} holds fewer than 32 characters: restore it, or delete it to have a new one made: access tokens, and tokens of service accounts, made under the old one then end"
    )]
    ShortSecretKey(PathBuf),
    /// An encryption key is none, though it passed the settings' check.
    #[error("PRIVATE_KEY_ENCRYPTION_KEY: {0}")]
    EncryptionKey(#[from] BadKey),
}

/// What an engine needs, from what the operator has set. Without `SECRET_KEY` one is made and kept
/// beside the SQLite database.
pub fn engine_config(settings: &Settings, progress: Arc<Progress>) -> Result<Config, StartError> {
    let secret_key = match (&settings.secret_key, &settings.database) {
        (Some(secret), _) => Zeroizing::new(secret.expose().to_owned()),
        (None, DatabaseUrl::Sqlite { path }) => {
            // No key is made for a database that is then refused.
            check_database(path)?;
            kept_secret_key(path, &SystemEntropy)?
        }
        (None, DatabaseUrl::Postgres { .. }) => {
            unreachable!("with PostgreSQL the settings require SECRET_KEY")
        }
    };
    Ok(Config {
        database: database_config(&settings.database),
        encryption_keys: encryption_keys(&settings.encryption_keys)?,
        progress,
        secret_key,
        service_account_pepper: settings
            .service_account_pepper
            .as_ref()
            .map(|pepper| Zeroizing::new(pepper.expose().to_owned())),
        algorithm: settings.algorithm,
        access_token_minutes: settings.access_token_minutes,
        refresh_token_minutes: settings.refresh_token_minutes,
        defaults: IssuingDefaults {
            ca_key_size: settings.ca_key_size,
            cert_key_size: settings.cert_key_size,
            ca_days: settings.ca_cert_days,
            cert_days: settings.cert_days,
        },
        password_cost: PASSWORD_COST,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    })
}

/// Encryption keys, ready for use.
pub fn encryption_keys(keys: &[Secret]) -> Result<Vec<FernetKey>, BadKey> {
    keys.iter().map(|key| FernetKey::parse(key.expose())).collect()
}

/// Where the database is, as the engine wants to know it.
pub fn database_config(url: &DatabaseUrl) -> DatabaseConfig {
    match url {
        DatabaseUrl::Sqlite { path } => DatabaseConfig::Sqlite { path: path.clone() },
        DatabaseUrl::Postgres { url, tls, root_cert } => DatabaseConfig::Postgres {
            url: Zeroizing::new(url.expose().to_owned()),
            tls: *tls,
            root_cert: root_cert.clone(),
        },
    }
}

/// Where the secret key is kept that was made for an SQLite database.
pub fn secret_key_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".secret-key");
    name.into()
}

/// The secret key beside the database; made, readable by its owner alone, where there is none.
fn kept_secret_key(database: &Path, entropy: &dyn Entropy) -> Result<Zeroizing<String>, StartError> {
    let path = secret_key_file(database);
    match read_secret(&path, LONGEST_SECRET) {
        Ok(bytes) => secret_of(&path, &bytes),
        Err(error) if error.is_missing() => made_secret_key(&path, entropy),
        Err(error) => Err(error.into()),
    }
}

fn secret_of(path: &Path, bytes: &[u8]) -> Result<Zeroizing<String>, StartError> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
    if text.len() < MIN_SECRET {
        return Err(StartError::ShortSecretKey(path.to_owned()));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn made_secret_key(path: &Path, entropy: &dyn Entropy) -> Result<Zeroizing<String>, StartError> {
    let secret = new_secret_key(entropy);
    let mut unfinished = Unfinished::of(path)?;
    unfinished.write(secret.as_bytes())?;
    match unfinished.finish(path) {
        // Another server started at the same time, and was faster.
        Err(HostError::Exists(_)) => return secret_of(path, &read_secret(path, LONGEST_SECRET)?),
        finished => drop(finished?),
    }
    tracing::warn!(
        file = %path.display(),
        "SECRET_KEY is not set: a new one was made and is kept in this file, which belongs into your backups"
    );
    Ok(secret)
}

/// Bytes of the file: one that we made has 43.
const LONGEST_SECRET: usize = 4096;
/// As many characters as `SECRET_KEY` must have.
const MIN_SECRET: usize = 32;
