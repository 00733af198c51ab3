//! A PostgreSQL database in a file, by PostgreSQL's own programs.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use fastpki_host::bound;
use tokio_postgres::config::Host;
use zeroize::Zeroizing;

use super::{again, cannot_be_read};
use crate::{config::TlsMode, db::Address, error::StoreError};

/// How a server is reached, in the words that PostgreSQL's programs read from their environment: what stands in
/// arguments, everybody on the machine can read.
pub(super) struct Server {
    variables: Vec<(&'static str, Zeroizing<String>)>,
    database: String,
}

impl Server {
    pub(super) fn of(url: &str, tls: TlsMode, root_cert: Option<&Path>) -> Result<Self, StoreError> {
        let config = Address::parse(url)?.config;
        let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
        let ports: Vec<String> = config.get_ports().iter().map(u16::to_string).collect();
        let addresses: Vec<String> = config.get_hostaddrs().iter().map(ToString::to_string).collect();
        let password = config.get_password().map(String::from_utf8_lossy).unwrap_or_default();
        let user = config.get_user().unwrap_or_default();
        let database = config.get_dbname().filter(|name| !name.is_empty()).unwrap_or(user).to_owned();
        let mode = match tls {
            TlsMode::Disable => "disable",
            TlsMode::Prefer => "prefer",
            TlsMode::Require => "require",
            TlsMode::VerifyCa => "verify-ca",
            TlsMode::VerifyFull => "verify-full",
        };
        root_cert.map(crate::tls::open_roots).transpose()?;
        let roots = match (root_cert, tls) {
            (Some(path), _) => path.to_string_lossy().into_owned(),
            (None, TlsMode::VerifyCa | TlsMode::VerifyFull) => "system".to_owned(),
            (None, TlsMode::Disable | TlsMode::Prefer | TlsMode::Require) => String::new(),
        };
        let variables = [
            ("PGHOST", hosts.join(",")),
            ("PGPORT", ports.join(",")),
            ("PGHOSTADDR", addresses.join(",")),
            ("PGUSER", user.to_owned()),
            ("PGPASSWORD", password.into_owned()),
            ("PGDATABASE", database.clone()),
            ("PGSSLMODE", mode.to_owned()),
            ("PGSSLROOTCERT", roots),
            ("PGOPTIONS", config.get_options().unwrap_or_default().to_owned()),
            ("PGAPPNAME", "fastpki".to_owned()),
            ("PGCONNECT_TIMEOUT", "10".to_owned()),
        ];
        let set = variables.into_iter().map(|(name, value)| (name, Zeroizing::new(value)));
        Ok(Self { variables: set.filter(|(_, value)| !value.is_empty()).collect(), database })
    }

    /// Writes the whole database, as it is at one instant, into a file. It is told no name: another file may have
    /// that meanwhile.
    pub(super) fn dump(&self, into: File) -> Result<(), StoreError> {
        let mut command = self.command("pg_dump");
        command.args(["--format=custom", "--no-owner", "--no-privileges", "--no-password"]);
        output("pg_dump", command.stdout(into)).map(drop)
    }

    /// Loads a dump into the database, all or nothing.
    pub(super) fn load(&self, path: &Path, dump: &File) -> Result<(), StoreError> {
        let mut command = self.command("pg_restore");
        command.args(["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]);
        // A name alone: the rest is in the environment.
        let name = self.database.replace('\\', "\\\\").replace('\'', "\\'");
        command.args(["--no-password", &format!("--dbname=dbname='{name}'")]);
        output("pg_restore", command.stdin(from_start(path, dump)?)).map(drop)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = bare(program);
        command.envs(self.variables.iter().map(|(name, value)| (name, value.as_str())));
        command
    }
}

/// The version of the schema in a dump of a database of ours that is whole.
pub(super) fn check(path: &Path, file: &File) -> Result<i32, StoreError> {
    let mut whole = bare("pg_restore");
    // Reads everything, and writes it nowhere.
    output("pg_restore", whole.arg("--file=/dev/null").stdin(from_start(path, file)?))?;
    let mut marks = bare("pg_restore");
    marks.args(["--data-only", "--table=fastpki_migrations", "--file=-"]);
    let marks = output("pg_restore", marks.stdin(from_start(path, file)?))?;
    newest_mark(&marks).ok_or_else(|| {
        StoreError::Unusable(format!(
            "{} is no backup of this program's: it has no fastpki_migrations with a version in it",
            path.display()
        ))
    })
}

/// The file, to be read from its first byte on.
fn from_start(path: &Path, file: &File) -> Result<File, StoreError> {
    let mut file = again(path, file)?;
    file.seek(SeekFrom::Start(0)).map_err(|error| cannot_be_read(path, &error))?;
    Ok(file)
}

/// The highest version among the rows that a dump copies into `fastpki_migrations`.
fn newest_mark(script: &str) -> Option<i32> {
    let rows = script.lines().skip_while(|line| !(line.starts_with("COPY ") && line.contains("(version,")));
    let rows = rows.skip(1).take_while(|line| *line != "\\.");
    rows.filter_map(|row| row.split('\t').next()?.parse().ok()).max()
}

/// A program with nothing in its environment except where programs are. It ends with this one, however that ends.
fn bare(program: &str) -> Command {
    let mut command = bound(program);
    command.env_clear().env("LC_ALL", "C").stdin(Stdio::null());
    command.envs(["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// Runs a program to its end; what it printed.
fn output(program: &str, command: &mut Command) -> Result<String, StoreError> {
    let output = command
        .output()
        .map_err(|error| StoreError::Unusable(format!("{program} cannot be run: {error}")))?;
    if output.status.code() == Some(NOT_FOUND) {
        return Err(StoreError::Unusable(format!(
            "{program} is not installed: install PostgreSQL's client programs, of the server's version or later (Debian: apt-get install postgresql-client)"
        )));
    }
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words: Vec<&str> = words.lines().take(LINES).collect();
    let words = if words.is_empty() { output.status.to_string() } else { words.join("; ") };
    Err(StoreError::Unusable(format!("{program} failed: {words}")))
}

fn host(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => PathBuf::from(folder).to_string_lossy().into_owned(),
    }
}

/// With what `bound` exits where there is no such program.
const NOT_FOUND: i32 = 127;
/// Lines of a program's complaint that are passed on.
const LINES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_has_the_password_and_arguments_have_not() {
        let url =
            "postgresql://me:s%27cret@db1:5433,db2:5434/pki?sslmode=require&options=-c%20search_path%3Dx";
        let server = Server::of(url, TlsMode::VerifyFull, None).unwrap();
        let variable = |name: &str| {
            server.variables.iter().find(|(set, _)| *set == name).map(|(_, value)| value.as_str())
        };
        assert_eq!(variable("PGPASSWORD"), Some("s'cret"));
        assert_eq!(variable("PGHOST"), Some("db1,db2"));
        assert_eq!(variable("PGPORT"), Some("5433,5434"));
        assert_eq!(variable("PGSSLMODE"), Some("verify-full"));
        assert_eq!(variable("PGSSLROOTCERT"), Some("system"));
        assert_eq!(variable("PGOPTIONS"), Some("-c search_path=x"));
        let shown = format!("{:?}", server.command("pg_dump").get_args());
        assert!(!shown.contains("cret"), "{shown}");
    }

    #[test]
    fn newest_mark_is_found_among_rows_alone() {
        let script = "--\nCOPY public.fastpki_migrations (version, name, applied_at) FROM stdin;\n\
                      1\tfastpki_0_4\t2030\n4\tprincipals\t2030\n\\.\n9\tx\n";
        assert_eq!(newest_mark(script), Some(4));
        assert_eq!(newest_mark("SET x = 1;\n"), None);
    }
}
