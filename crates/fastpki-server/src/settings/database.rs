//! Where the data is.

use std::path::PathBuf;

pub use fastpki_engine::TlsMode;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::postgres;
use super::reader::{Fault, Reader};
use super::secret::Secret;

/// A database to open.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// An SQLite file.
    Sqlite {
        /// The file, which need not exist; relative to the working directory.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres {
        /// A `postgresql://` URL as `tokio_postgres::Config` parses it, with every option that has a meaning.
        url: Secret,
        /// What is asked of TLS; the URL's `sslmode` knows no more than `disable`, `prefer` and `require`.
        tls: TlsMode,
        /// PEM file of the certificates a server's must chain to; `None` is the system's own.
        root_cert: Option<PathBuf>,
    },
}

/// Reads `DATABASE_URL` and `DATABASE_CONNECT_ARGS`.
pub(super) fn read(reader: &mut Reader<'_>) -> DatabaseUrl {
    let address = reader.or(SETTING, Address::sqlite("./fastpki.db", false), Address::parse);
    let arguments = reader.or(ARGUMENTS, Map::new(), arguments);
    match address {
        Address::Sqlite { path, has_options } => {
            report_meaningless(reader, has_options, &arguments);
            DatabaseUrl::Sqlite { path }
        }
        Address::Postgres(address) => postgres::read(&address, &arguments, reader),
    }
}

/// A `DATABASE_URL` by its scheme.
enum Address {
    Sqlite {
        path: PathBuf,
        has_options: bool,
    },
    /// What follows `postgresql://`.
    Postgres(Zeroizing<String>),
}

impl Address {
    fn sqlite(path: &str, has_options: bool) -> Self {
        Self::Sqlite { path: path.into(), has_options }
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://").filter(|_| !text.contains(char::is_control)) else {
            return Err(Fault::new("not a database URL", URL_HINT));
        };
        let scheme = scheme.to_ascii_lowercase();
        // What follows the plus sign named a Python driver.
        match scheme.split_once('+').map_or(scheme.as_str(), |(name, _)| name) {
            "sqlite" => Self::parse_sqlite(rest),
            "postgresql" | "postgres" => Ok(Self::Postgres(Zeroizing::new(rest.to_owned()))),
            _ => Err(Fault::new("neither SQLite nor PostgreSQL", URL_HINT)),
        }
    }

    fn parse_sqlite(rest: &str) -> Result<Self, Fault> {
        let (rest, options) = rest.split_once('?').map_or((rest, ""), |(rest, options)| (rest, options));
        let Some(path) = rest.strip_prefix('/').or(rest.is_empty().then_some("")) else {
            let wrong = "an SQLite URL names no host: the path begins after the third slash";
            return Err(Fault::new(wrong, SQLITE_HINT));
        };
        if matches!(path, "" | ":memory:") || path.starts_with("file:") && path.contains(":memory:") {
            let wrong = "a database in memory would lose every CA and key when the server stops";
            return Err(Fault::new(wrong, SQLITE_HINT));
        }
        if path.starts_with("file:") || path.ends_with('/') {
            return Err(Fault::new("not the path of a file", SQLITE_HINT));
        }
        Ok(Self::sqlite(path, !options.is_empty()))
    }
}

fn arguments(text: &str) -> Result<Map<String, Value>, Fault> {
    serde_json::from_str(text).map_err(|_| {
        Fault::new("not a JSON object", "write one such as {} or {\"sslmode\": \"verify-full\"}")
    })
}

fn report_meaningless(reader: &mut Reader<'_>, has_options: bool, arguments: &Map<String, Value>) {
    if has_options {
        reader.note(format!("{SETTING}: what stands after \"?\" has no meaning for SQLite"));
    }
    if !arguments.is_empty() {
        reader.note(format!("{ARGUMENTS} has no meaning for SQLite"));
    }
}

/// Name of the setting that holds the URL.
pub(super) const SETTING: &str = "DATABASE_URL";

/// Name of the setting that holds further options as JSON.
pub(super) const ARGUMENTS: &str = "DATABASE_CONNECT_ARGS";

const URL_HINT: &str = "write sqlite:///relative/file.db, sqlite:////absolute/file.db or \
                        postgresql://user:password@host/database";

const SQLITE_HINT: &str = "write sqlite:///relative/file.db or sqlite:////absolute/file.db";
