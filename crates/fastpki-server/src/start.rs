//! From the operator's settings to an engine.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use fastpki_engine::{
    BadKey, Config, DatabaseConfig, Entropy, FernetKey, IssuingDefaults, PASSWORD_COST, Progress,
    SystemClock, SystemEntropy, new_secret_key,
};
use zeroize::Zeroizing;

use crate::settings::{DatabaseUrl, Secret, Settings};

/// Why the server does not start; the text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file that keeps the secret key cannot be read or made.
    #[error("the secret key file {path}: {source}; set SECRET_KEY, or let this program write there")]
    SecretKeyFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
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
        (None, DatabaseUrl::Sqlite { path }) => kept_secret_key(path, &SystemEntropy)?,
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
    let failed = |source| StartError::SecretKeyFile { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(text) => {
            let secret = Zeroizing::new(Zeroizing::new(text).trim().to_owned());
            if secret.len() < MIN_SECRET { Err(StartError::ShortSecretKey(path)) } else { Ok(secret) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = new_secret_key(entropy);
            write_private(&path, secret.as_bytes()).map_err(failed)?;
            tracing::warn!(
                file = %path.display(),
                "SECRET_KEY is not set: a new one was made and is kept in this file, which belongs into your backups"
            );
            Ok(secret)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that only its owner may read; whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("secret-key.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

/// As many characters as `SECRET_KEY` must have.
const MIN_SECRET: usize = 32;
