//! The options of a PostgreSQL connection, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use zeroize::Zeroizing;

use super::super::database::TlsMode;
use super::super::reader::{Fault, Reader};

/// Options given so far; a stronger place has replaced what a weaker one said.
#[derive(Default)]
pub(super) struct Options {
    known: BTreeMap<&'static str, Given>,
    tls: Option<(&'static str, TlsMode)>,
    session_parameters: Zeroizing<String>,
    meaningless: BTreeSet<(&'static str, String)>,
}

/// An option's text and the setting it stands in.
pub(super) struct Given {
    pub(super) setting: &'static str,
    pub(super) text: Zeroizing<String>,
}

impl Options {
    /// Takes one option; an empty one is as good as none.
    pub(super) fn give(&mut self, setting: &'static str, name: &str, text: &str, reader: &mut Reader<'_>) {
        if text.is_empty() {
            return;
        }
        match name {
            "ssl" | "sslmode" => self.give_tls(setting, name, text, reader),
            _ if TLS_REFUSED.contains(&name) => {
                let wrong = format!("its TLS option {name} is not supported here");
                reader
                    .problem(setting, Fault::new(wrong, "remove it, or have a local proxy do what it asks"));
            }
            _ => match KNOWN.iter().find(|known| known.0 == name) {
                Some((_, known, parse)) => match parse(text) {
                    Some(text) => {
                        self.known.insert(known, Given { setting, text: Zeroizing::new(text) });
                    }
                    None => self.refuse(setting, name, reader),
                },
                None => {
                    self.meaningless.insert((setting, printable(name).to_owned()));
                }
            },
        }
    }

    /// Reports an option whose value is none.
    pub(super) fn refuse(&mut self, setting: &'static str, name: &str, reader: &mut Reader<'_>) {
        let mend = match name {
            "target_session_attrs" => "write read-write: the server writes",
            _ => "write it as PostgreSQL's documentation of connection parameters has it",
        };
        reader
            .problem(setting, Fault::new(format!("its option {} has no such value", printable(name)), mend));
    }

    /// Takes a parameter of the session, such as `search_path`.
    pub(super) fn session_parameter(&mut self, name: &str, value: &str) {
        if !self.session_parameters.is_empty() {
            self.session_parameters.push(' ');
        }
        self.session_parameters.push_str("-c ");
        self.session_parameters.push_str(name);
        self.session_parameters.push('=');
        for character in value.chars() {
            if character == '\\' || character.is_ascii_whitespace() {
                self.session_parameters.push('\\');
            }
            self.session_parameters.push(character);
        }
    }

    pub(super) fn report_meaningless(&self, reader: &mut Reader<'_>) {
        let settings: BTreeSet<&str> = self.meaningless.iter().map(|(setting, _)| *setting).collect();
        for setting in settings {
            let names: Vec<&str> = self
                .meaningless
                .iter()
                .filter(|(of, _)| *of == setting)
                .map(|(_, name)| name.as_str())
                .collect();
            reader.note(format!("{setting}: these options have no meaning here: {}", names.join(", ")));
        }
    }

    pub(super) fn tls(&self) -> Option<TlsMode> {
        self.tls.map(|(_, mode)| mode)
    }

    pub(super) fn known(&self, name: &str) -> Option<&Given> {
        self.known.get(name)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Given> {
        self.known.remove(name)
    }

    /// What has not been taken, parameters of the session among it.
    pub(super) fn rest(mut self) -> Vec<(&'static str, Zeroizing<String>)> {
        let mut options = self.take("options").map(|given| given.text).unwrap_or_default();
        if !options.is_empty() && !self.session_parameters.is_empty() {
            options.push(' ');
        }
        options.push_str(&self.session_parameters);
        let mut rest: Vec<_> = self.known.into_iter().map(|(name, given)| (name, given.text)).collect();
        if !options.is_empty() {
            rest.push(("options", options));
        }
        rest
    }

    fn give_tls(&mut self, setting: &'static str, name: &str, text: &str, reader: &mut Reader<'_>) {
        let Some(mode) = tls_mode(text) else {
            let mend = "write disable, prefer, require, verify-ca or verify-full";
            return reader.problem(setting, Fault::new(format!("its option {name} has no such value"), mend));
        };
        if self.tls.is_some_and(|(before, said)| before == setting && said != mode) {
            let wrong = "its TLS options ssl and sslmode contradict each other";
            reader.problem(setting, Fault::new(wrong, "keep sslmode alone"));
        }
        self.tls = Some((setting, mode));
    }
}

fn tls_mode(text: &str) -> Option<TlsMode> {
    match text.replace('_', "-").as_str() {
        "disable" | "false" => Some(TlsMode::Disable),
        // libpq's `allow` tries without TLS first; a server that has TLS need not be asked to do without.
        "allow" | "prefer" => Some(TlsMode::Prefer),
        "require" => Some(TlsMode::Require),
        "verify-ca" => Some(TlsMode::VerifyCa),
        // asyncpg: `ssl=True` checks chain and name.
        "verify-full" | "true" => Some(TlsMode::VerifyFull),
        _ => None,
    }
}

/// The name as far as it may be shown: a stray piece of a password must not be.
fn printable(name: &str) -> &str {
    let is_name =
        !name.is_empty() && name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name { name } else { "(not a name)" }
}

/// Brings an option's text into the form that `tokio_postgres` reads.
type Parse = fn(&str) -> Option<String>;

/// Options by the names libpq and asyncpg have for them, and by the name `tokio_postgres` has.
const KNOWN: &[(&str, &str, Parse)] = &[
    ("application_name", "application_name", verbatim),
    ("channel_binding", "channel_binding", |text| one_of(&["disable", "prefer", "require"], text)),
    ("command_timeout", "command_timeout", seconds_of_work),
    ("connect_timeout", "connect_timeout", seconds),
    ("database", "dbname", verbatim),
    ("dbname", "dbname", verbatim),
    ("host", "host", verbatim),
    ("hostaddr", "hostaddr", addresses),
    ("keepalives", "keepalives", flag),
    ("keepalives_count", "keepalives_retries", number),
    ("keepalives_idle", "keepalives_idle", number),
    ("keepalives_interval", "keepalives_interval", number),
    ("keepalives_retries", "keepalives_retries", number),
    ("load_balance_hosts", "load_balance_hosts", |text| one_of(&["disable", "random"], text)),
    ("options", "options", verbatim),
    ("password", "password", verbatim),
    ("port", "port", verbatim),
    ("sslrootcert", "sslrootcert", verbatim),
    ("target_session_attrs", "target_session_attrs", session),
    ("tcp_user_timeout", "tcp_user_timeout", number),
    ("timeout", "connect_timeout", seconds),
    ("user", "user", verbatim),
];

/// TLS and authentication options whose loss would weaken a connection.
const TLS_REFUSED: &[&str] = &[
    "gssencmode",
    "require_auth",
    "requirepeer",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslpassword",
];

fn verbatim(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn addresses(text: &str) -> Option<String> {
    text.split(',').all(|address| address.parse::<IpAddr>().is_ok()).then(|| text.to_owned())
}

fn one_of(allowed: &[&str], text: &str) -> Option<String> {
    allowed.contains(&text).then(|| text.to_owned())
}

fn session(text: &str) -> Option<String> {
    match text {
        "primary" => Some("read-write".to_owned()),
        _ => one_of(&["any", "read-write"], text),
    }
}

fn number(text: &str) -> Option<String> {
    text.trim().parse::<u32>().ok().map(|number| number.to_string())
}

/// Whole seconds, a fraction rounded up.
fn seconds(text: &str) -> Option<String> {
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds))?;
    Some(seconds.ceil().to_string())
}

/// Seconds, with a fraction; the store reads them.
fn seconds_of_work(text: &str) -> Option<String> {
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| (1.0..=86_400.0).contains(seconds))?;
    Some(seconds.to_string())
}

fn flag(text: &str) -> Option<String> {
    match text {
        "true" => Some("1".to_owned()),
        "false" => Some("0".to_owned()),
        _ => number(text),
    }
}
