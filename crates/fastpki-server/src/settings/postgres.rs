//! A PostgreSQL address, put together from the places that may hold parts of it.
//!
//! From weak to strong: the `PG*` variables of libpq, the URL, its query, `DATABASE_CONNECT_ARGS`. Names are
//! libpq's or asyncpg's. What is understood ends up in one URL that `tokio_postgres` parses; a TLS option that is
//! not understood is refused, any other is reported.

mod address;
mod options;

use std::path::PathBuf;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::database::{ARGUMENTS, DatabaseUrl, SETTING, TlsMode};
use super::reader::{Fault, Reader};
use super::secret::Secret;
use options::{Given, Options};

/// Puts the address together; where it is wrong, problems say so and the result is none to connect to.
pub(super) fn read(address: &str, arguments: &Map<String, Value>, reader: &mut Reader<'_>) -> DatabaseUrl {
    let mut options = Options::default();
    for (variable, name) in ENVIRONMENT {
        if let Some(text) = reader.environment(variable) {
            options.give(variable, name, text, reader);
        }
    }
    match address::split(address) {
        Ok(pairs) => pairs.iter().for_each(|(name, text)| options.give(SETTING, name, text, reader)),
        Err(fault) => reader.problem(SETTING, fault),
    }
    for (name, value) in arguments {
        argument(name, value, &mut options, reader);
    }
    options.report_meaningless(reader);
    report_unread_variables(reader);
    assemble(options, reader)
}

fn argument(name: &str, value: &Value, options: &mut Options, reader: &mut Reader<'_>) {
    match value {
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => options.give(ARGUMENTS, name, &value.to_string(), reader),
        Value::String(text) => options.give(ARGUMENTS, name, text, reader),
        Value::Object(settings) if name == "server_settings" => server_settings(settings, options, reader),
        Value::Array(items) if matches!(name, "host" | "port") => {
            let items: Vec<String> = items.iter().map(plain_text).collect();
            options.give(ARGUMENTS, name, &items.join(","), reader);
        }
        Value::Array(_) | Value::Object(_) => options.refuse(ARGUMENTS, name, reader),
    }
}

/// Parameters of the session, handed to the server as command-line options.
fn server_settings(settings: &Map<String, Value>, options: &mut Options, reader: &mut Reader<'_>) {
    for (name, value) in settings {
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
        match value {
            _ if !is_name => options.refuse(ARGUMENTS, "server_settings", reader),
            Value::Array(_) | Value::Object(_) | Value::Null => {
                options.refuse(ARGUMENTS, "server_settings", reader);
            }
            _ if name == "application_name" => options.give(ARGUMENTS, name, &plain_text(value), reader),
            _ => options.session_parameter(name, &plain_text(value)),
        }
    }
}

fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn report_unread_variables(reader: &mut Reader<'_>) {
    let set: Vec<&str> = UNREAD.into_iter().filter(|name| reader.environment(name).is_some()).collect();
    if !set.is_empty() {
        reader.note(format!("set but not read here: {}", set.join(", ")));
    }
}

fn assemble(mut options: Options, reader: &mut Reader<'_>) -> DatabaseUrl {
    let hosts = hosts(&mut options, reader);
    let root_cert = options.take("sslrootcert");
    let tls = tls_mode(&hosts, root_cert.as_ref(), options.tls(), reader);
    let root_cert =
        root_cert.map(|given| PathBuf::from(&*given.text)).filter(|path| path.as_os_str() != SYSTEM);
    DatabaseUrl::Postgres { url: url(&hosts, tls, options), tls, root_cert }
}

/// `postgresql://user:password@host:port,…/database?option=value&…`
fn url(hosts: &[(String, u16)], tls: TlsMode, mut options: Options) -> Secret {
    let mut url = Zeroizing::new("postgresql://".to_owned());
    if let Some(user) = options.take("user") {
        address::append_encoded(&mut url, &user.text);
        if let Some(password) = options.take("password") {
            url.push(':');
            address::append_encoded(&mut url, &password.text);
        }
        url.push('@');
    }
    for (at, (name, port)) in hosts.iter().enumerate() {
        url.push_str(if at == 0 { "" } else { "," });
        address::append_encoded(&mut url, name);
        url.push_str(&format!(":{port}"));
    }
    url.push('/');
    if let Some(database) = options.take("dbname") {
        address::append_encoded(&mut url, &database.text);
    }
    url.push_str(match tls {
        TlsMode::Disable => "?sslmode=disable",
        TlsMode::Prefer => "?sslmode=prefer",
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => "?sslmode=require",
    });
    for (name, text) in options.rest() {
        url.push('&');
        url.push_str(name);
        url.push('=');
        address::append_encoded(&mut url, &text);
    }
    Secret::new(url.as_str())
}

/// Hosts to try in turn, each with its port; a host that begins with a slash is a socket's directory.
fn hosts(options: &mut Options, reader: &mut Reader<'_>) -> Vec<(String, u16)> {
    let given = options.take("host").or_else(|| options.take("hostaddr"));
    let setting = given.as_ref().map_or(SETTING, |given| given.setting);
    let names: Vec<&str> =
        given.as_ref().map_or_else(|| DEFAULT_HOSTS.to_vec(), |given| given.text.split(',').collect());
    if !names.iter().all(|name| address::is_host(name)) {
        reader
            .problem(setting, Fault::new("a host is empty or no host name, address or directory", HOST_HINT));
    }
    if let Some(addresses) = options.known("hostaddr") {
        // An address for a socket would make a TCP connection of what passes for local, and take no TLS.
        let has_socket = names.iter().any(|name| name.starts_with('/'));
        if has_socket || addresses.text.split(',').count() != names.len() {
            let wrong = "hostaddr and host do not go together, one address for each host name";
            reader.problem(addresses.setting, Fault::new(wrong, HOST_HINT));
        }
    }
    let ports = ports(options, names.len(), reader);
    names.into_iter().zip(ports).map(|(name, port)| address::socket_directory(name, port)).collect()
}

/// A port for each of so many hosts.
fn ports(options: &mut Options, count: usize, reader: &mut Reader<'_>) -> Vec<u16> {
    let Some(given) = options.take("port") else { return vec![DEFAULT_PORT; count] };
    let parse = |text: &str| match text.trim() {
        "" => Some(DEFAULT_PORT),
        text => text.parse::<u16>().ok().filter(|port| *port > 0),
    };
    match given.text.split(',').map(parse).collect::<Option<Vec<u16>>>().as_deref() {
        Some([port]) => vec![*port; count],
        Some(ports) if ports.len() == count => ports.to_vec(),
        Some(_) => {
            reader.problem(given.setting, Fault::new("hosts and ports differ in number", HOST_HINT));
            vec![DEFAULT_PORT; count]
        }
        None => {
            reader.problem(given.setting, Fault::new("a port is not a number from 1 to 65535", HOST_HINT));
            vec![DEFAULT_PORT; count]
        }
    }
}

/// What is asked of TLS, in view of the certificates given and of the hosts.
fn tls_mode(
    hosts: &[(String, u16)],
    root_cert: Option<&Given>,
    asked: Option<TlsMode>,
    reader: &mut Reader<'_>,
) -> TlsMode {
    let system_certificates = root_cert.filter(|given| given.text.as_str() == SYSTEM);
    // libpq: `sslrootcert=system` means verify-full and bears nothing weaker.
    let default = if system_certificates.is_some() { TlsMode::VerifyFull } else { TlsMode::Prefer };
    let mode = asked.unwrap_or(default);
    if let Some(given) = system_certificates.filter(|_| mode < TlsMode::VerifyFull) {
        let mend = "write sslmode=verify-full, or name a file";
        reader.problem(given.setting, Fault::new("sslrootcert=system allows no weaker sslmode", mend));
    }
    if hosts.iter().all(|(name, _)| name.starts_with('/')) {
        if mode > TlsMode::Prefer {
            reader.note(format!("{SETTING}: a Unix socket takes no TLS; its options have no meaning here"));
        }
        return TlsMode::Disable;
    }
    match (mode, root_cert) {
        // libpq: with a root certificate at hand, `require` behaves as `verify-ca`.
        (TlsMode::Require, Some(_)) => TlsMode::VerifyCa,
        (TlsMode::Disable | TlsMode::Prefer, Some(given)) => {
            let setting = given.setting;
            reader.note(format!(
                "{setting}: sslrootcert has no meaning unless sslmode is verify-ca or verify-full"
            ));
            mode
        }
        (_, _) => mode,
    }
}

/// Variables that fill in what the address leaves open, by the option they stand for.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("PGHOST", "host"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGDATABASE", "dbname"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
];

/// Variables that asyncpg would read.
const UNREAD: [&str; 7] = [
    "PGPASSFILE",
    "PGSERVICE",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLCRL",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
];

/// Where PostgreSQL is looked for when no host is named.
const DEFAULT_HOSTS: [&str; 4] = ["/run/postgresql", "/var/run/postgresql", "/tmp", "localhost"];

const DEFAULT_PORT: u16 = 5432;

/// An `sslrootcert` that names the certificates of the operating system.
const SYSTEM: &str = "system";

const HOST_HINT: &str = "write host, host:port, [address]:port or ?host=/directory/of/the/socket";

#[cfg(test)]
mod tests;
