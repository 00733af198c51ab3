//! Where the database is.

use std::path::PathBuf;

use zeroize::Zeroizing;

/// Where the database is and how to reach it.
pub enum DatabaseConfig {
    /// A file in this machine's file system.
    Sqlite {
        /// Made when it does not exist.
        path: PathBuf,
    },
    /// A PostgreSQL server, 13 or later.
    Postgres {
        /// A `postgresql://` URL, with the password in it.
        url: Zeroizing<String>,
        /// Whether the connection is encrypted, and what of the server's certificate is checked.
        tls: TlsMode,
        /// PEM file of the certificates to trust; `None` is the system's own.
        root_cert: Option<PathBuf>,
    },
}

/// What is asked of TLS towards PostgreSQL, weakest first, as
/// [libpq has it](https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted where the server can.
    Prefer,
    /// Encrypted; whoever answers is taken for the server.
    Require,
    /// Encrypted; the server's certificate must come from a trusted root.
    VerifyCa,
    /// Encrypted; the server's certificate must come from a trusted root and carry the host's name.
    VerifyFull,
}
