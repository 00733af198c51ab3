//! The configuration file: `fastpki/config.json` under `$XDG_CONFIG_HOME` or `~/.config`.

use std::{
    fs::{self, File, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::error::Error;

/// What a key's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// URL of a server.
    Url,
    /// A text that nobody should see by chance.
    Secret,
    /// `table` or `json`.
    Format,
    /// A whole number from one.
    Number,
}

/// Every key that means something, with its kind.
pub(crate) const KEYS: [(&str, Kind); 9] = [
    (SERVER_URL, Kind::Url),
    (TOKEN, Kind::Secret),
    (REFRESH_TOKEN, Kind::Secret),
    (TOKEN_SERVER, Kind::Url),
    (OUTPUT_FORMAT, Kind::Format),
    (CA_KEY_SIZE, Kind::Number),
    (CA_VALID_DAYS, Kind::Number),
    (CERT_KEY_SIZE, Kind::Number),
    (CERT_VALID_DAYS, Kind::Number),
];

/// The server to talk to.
pub(crate) const SERVER_URL: &str = "server.url";
/// The access token.
pub(crate) const TOKEN: &str = "auth.token";
/// What is spent for the next access token.
pub(crate) const REFRESH_TOKEN: &str = "auth.refresh_token";
/// The server that the tokens are for: they are sent to no other. Where it is missing, `server.url`.
pub(crate) const TOKEN_SERVER: &str = "auth.server";
/// How results are shown.
pub(crate) const OUTPUT_FORMAT: &str = "defaults.output_format";
/// Bits of a new CA's RSA key.
pub(crate) const CA_KEY_SIZE: &str = "defaults.ca_key_size";
/// Days for which a new CA is valid.
pub(crate) const CA_VALID_DAYS: &str = "defaults.ca_valid_days";
/// Bits of a new certificate's RSA key.
pub(crate) const CERT_KEY_SIZE: &str = "defaults.cert_key_size";
/// Days for which a new certificate is valid.
pub(crate) const CERT_VALID_DAYS: &str = "defaults.cert_valid_days";
/// The server where none is named.
pub(crate) const DEFAULT_SERVER: &str = "http://localhost:8000";

/// The configuration file as it was read. What is in it besides our keys stays.
#[derive(Debug)]
pub(crate) struct Config {
    path: PathBuf,
    values: Map<String, Value>,
}

impl Config {
    /// Reads the file of this user; a missing one is empty.
    pub(crate) fn load() -> Result<Self, Error> {
        Self::read(file_path()?)
    }

    /// Reads this file; a missing one is empty.
    pub(crate) fn read(path: PathBuf) -> Result<Self, Error> {
        let values = match fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => Map::new(),
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| Error::Config { path: path.clone(), cause: error.to_string() })?,
            Err(error) if error.kind() == ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(Error::Config { path, cause: error.to_string() }),
        };
        Ok(Self { path, values })
    }

    /// Changes the file as it is now, while nobody else does.
    pub(crate) fn change<T>(change: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let path = file_path()?;
        let _lock = Lock::take(&path)?;
        let mut config = Self::read(path)?;
        let result = change(&mut config)?;
        config.save()?;
        Ok(result)
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The text, number or flag under `section.name`, as text.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        match self.find(key)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }
    }

    fn find(&self, key: &str) -> Option<&Value> {
        let nested = key.split_once('.').and_then(|(section, name)| self.values.get(section)?.get(name));
        nested.or_else(|| self.values.get(key))
    }

    /// Puts a value under `section.name`.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.unset(key);
        let Some((section, name)) = key.split_once('.') else { return };
        let section = self.values.entry(section).or_insert_with(|| Value::Object(Map::new()));
        if !section.is_object() {
            *section = Value::Object(Map::new());
        }
        if let Some(section) = section.as_object_mut() {
            section.insert(name.to_owned(), value.into());
        }
    }

    /// Takes a key out; whether it was there.
    pub(crate) fn unset(&mut self, key: &str) -> bool {
        let flat = self.values.remove(key).is_some();
        let Some((section, name)) = key.split_once('.') else { return flat };
        let section = self.values.get_mut(section).and_then(Value::as_object_mut);
        section.is_some_and(|section| section.remove(name).is_some()) || flat
    }

    /// Everything in it, with tokens masked.
    pub(crate) fn shown(&self) -> Map<String, Value> {
        let mut shown = Self { path: PathBuf::new(), values: self.values.clone() };
        for (key, _) in KEYS.into_iter().filter(|(_, kind)| *kind == Kind::Secret) {
            if let Some(secret) = shown.get(key) {
                shown.set(key, masked(&secret));
            }
        }
        shown.values
    }

    /// Writes it, all or nothing, for this user alone.
    pub(crate) fn save(&self) -> Result<(), Error> {
        // Where the file is a link into somebody's dotfiles, it stays one.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let folder = path.parent().unwrap_or(Path::new("."));
        let failed = |error: std::io::Error| Error::file(&path, error);
        let mut file = tempfile::Builder::new().prefix(".config").tempfile_in(folder).map_err(failed)?;
        let text = serde_json::to_string_pretty(&self.values).map_err(|error| Error::file(&path, error))?;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// The lock that whoever changes the file holds, until it is dropped.
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock is held as long as the file is open")] File);

impl Lock {
    /// Waits for it. Makes the folder where it is missing.
    pub(crate) fn take(config: &Path) -> Result<Self, Error> {
        let folder = config.parent().unwrap_or(Path::new("."));
        private_folder(folder)?;
        let path = folder.join(LOCK);
        let lock = fastpki_host::lock_file(&path).map_err(|error| Error::Failed(error.to_string()))?;
        lock.lock().map_err(|error| Error::file(&path, error))?;
        Ok(Self(lock))
    }
}

fn private_folder(folder: &Path) -> Result<(), Error> {
    let failed = |error| Error::file(folder, error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let mode = fs::metadata(folder).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// Where this user's configuration lies.
pub(crate) fn file_path() -> Result<PathBuf, Error> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    base.map(|base| base.join("fastpki").join("config.json"))
        .ok_or_else(|| Error::Failed("no place for the configuration: set HOME or XDG_CONFIG_HOME".into()))
}

/// A secret that can be told from others and not used.
fn masked(secret: &str) -> String {
    match secret.char_indices().rev().nth(MASK_SHOWS - 1) {
        Some((at, _)) if secret.len() >= 4 * MASK_SHOWS => format!("********{}", &secret[at..]),
        _ => "********".into(),
    }
}

const LOCK: &str = "config.lock";
/// Characters of a masked secret that are shown.
const MASK_SHOWS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config { path: PathBuf::new(), values: serde_json::from_str(text).unwrap() }
    }

    #[test]
    fn keys_are_read_nested_or_flat() {
        assert_eq!(config(r#"{"server": {"url": "http://a"}}"#).get(SERVER_URL).unwrap(), "http://a");
        assert_eq!(config(r#"{"server.url": "http://a"}"#).get(SERVER_URL).unwrap(), "http://a");
        assert_eq!(config(r#"{"defaults": {"ca_key_size": 4096}}"#).get(CA_KEY_SIZE).unwrap(), "4096");
        assert_eq!(config(r#"{"auth": {"token": null}}"#).get(TOKEN), None);
    }

    #[test]
    fn what_is_not_ours_stays() {
        let mut config = config(r#"{"theirs": [1], "auth": {"other": "x", "token": "t"}, "server": null}"#);
        config.set(SERVER_URL, "http://b");
        assert!(config.unset(TOKEN));
        assert!(!config.unset(TOKEN));
        let expected = r#"{"auth":{"other":"x"},"server":{"url":"http://b"},"theirs":[1]}"#;
        assert_eq!(serde_json::to_string(&config.values).unwrap(), expected);
    }

    #[test]
    fn tokens_are_masked_when_shown() {
        let shown =
            config(r#"{"auth": {"token": "abcdefghijklmnopqrst", "refresh_token": "short"}}"#).shown();
        assert_eq!(shown["auth"]["token"], "********qrst");
        assert_eq!(shown["auth"]["refresh_token"], "********");
    }

    #[test]
    fn file_that_is_no_json_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "{").unwrap();
        let error = Config::read(path).unwrap_err().to_string();
        assert!(error.contains("config.json"), "{error}");
    }
}
