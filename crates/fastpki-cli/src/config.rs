//! The configuration file: `fastpki/config.json` under `$XDG_CONFIG_HOME` or `~/.config`.

use std::{
    fs::{self, File, Metadata, Permissions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

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
        let text = content(&path)?;
        let values = if text.trim().is_empty() {
            Map::new()
        } else {
            serde_json::from_str(&text)
                .map_err(|error| Error::Config { path: path.clone(), cause: error.to_string() })?
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
        // Where the file is a link into this user's dotfiles, it stays one.
        ours(&self.path)?;
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
    ours(folder)?;
    let metadata = fs::symlink_metadata(folder).map_err(failed)?;
    // A link leads to a folder that has its mode from somebody else.
    if metadata.is_dir() && metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// What is in the file; nothing where there is none. A file or link of somebody else is refused, as is one that others
/// can write: it says which server gets the tokens.
fn content(path: &Path) -> Result<Zeroizing<String>, Error> {
    let refused = |cause: String| Error::Config { path: path.to_owned(), cause };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Zeroizing::default()),
        found => found.map_err(|error| refused(error.to_string()))?,
    };
    ours(path)?;
    let file = fastpki_host::open_input(path).map_err(|error| Error::Failed(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| refused(error.to_string()))?;
    whose(path, &metadata)?;
    if metadata.mode() & WRITTEN_BY_OTHERS != 0 {
        return Err(refused("others can write it: look what is in it, and run `chmod 600` on it".into()));
    }
    let mut text = Zeroizing::new(String::new());
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
    match read.map_err(|error| refused(error.to_string()))? as u64 {
        0..=MAX_FILE => Ok(text),
        _ => Err(refused(format!("is larger than {MAX_FILE} bytes"))),
    }
}

/// Refuses what is somebody else's, and a link that is or leads there.
fn ours(path: &Path) -> Result<(), Error> {
    for look in [fs::symlink_metadata::<&Path>, fs::metadata::<&Path>] {
        match look(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => whose(path, &found.map_err(|error| Error::file(path, error))?)?,
        }
    }
    Ok(())
}

fn whose(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    match metadata.uid() {
        uid if uid == 0 || uid == geteuid().as_raw() => Ok(()),
        uid => Err(Error::file(
            path,
            format!("belongs to another user ({uid}): set HOME or XDG_CONFIG_HOME to a folder of your own"),
        )),
    }
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

/// Writing by those who are not the owner and not of the group.
const WRITTEN_BY_OTHERS: u32 = 0o002;
/// Bytes of the file: a few tokens of some kilobytes, and what else somebody keeps in it.
const MAX_FILE: u64 = 1024 * 1024;
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

    fn shut(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn pipe_and_file_that_others_write_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "{}").unwrap();
        shut(&path, 0o666);
        assert!(Config::read(path.clone()).is_err());
        shut(&path, 0o644);
        assert!(Config::read(path).is_ok());
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(Config::read(pipe).is_err(), "and it is not waited for");
    }

    #[test]
    fn what_is_somebody_elses_is_neither_read_nor_written() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let link = folder.path().join("link.json");
        fs::write(&path, "{}").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(Config::read(link.clone()).is_ok());
        std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
        assert!(Config::read(link.clone()).is_err(), "a link of somebody else");
        assert!(Config { path: link, values: Map::new() }.save().is_err());
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        assert!(Config::read(path).is_err());
        std::os::unix::fs::chown(folder.path(), Some(65534), None).unwrap();
        assert!(private_folder(folder.path()).is_err());
    }

    #[test]
    fn folder_behind_a_link_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("fastpki"));
        fs::create_dir(&real).unwrap();
        shut(&real, 0o755);
        std::os::unix::fs::symlink(&real, &link).unwrap();
        private_folder(&link).unwrap();
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o755);
        private_folder(&real).unwrap();
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o700);
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
