//! `fastpki config`: the configuration file.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{
    config::{self, Config, KEYS, Kind},
    error::Error,
    options,
    output::{self, Output},
    session, table,
};

/// `fastpki config`.
#[derive(Args)]
#[command(after_help = "Keys:
  server.url                 the server                     http://localhost:8000
  auth.token                 access token                   kept by `fastpki auth login`
  auth.refresh_token         spent for the next one         kept by `fastpki auth login`
  auth.server                server that the tokens are for kept by `fastpki auth login`
  defaults.output_format     table or json                  table
  defaults.ca_key_size       bits of new CAs' RSA keys      the server's
  defaults.ca_valid_days     days for new CAs               the server's
  defaults.cert_key_size     bits of new RSA keys           the server's
  defaults.cert_valid_days   days for new certificates      the server's

FASTPKI_SERVER and FASTPKI_TOKEN go before the file.")]
pub struct ConfigGroup {
    #[command(flatten)]
    output: options::Output,
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Show what is in the file; tokens are masked.
    #[command(after_help = "Examples:\n  fastpki config show\n  fastpki config show -o json")]
    Show,
    /// Print the value of one key, tokens too.
    ///
    /// Exits with 1 if it is not set.
    #[command(after_help = "Example:\n  fastpki config get server.url")]
    Get {
        /// For instance server.url.
        #[arg(value_parser = key)]
        key: &'static str,
    },
    /// Set a key.
    #[command(after_help = "Examples:
  fastpki config set server.url https://pki.example.com
  fastpki config set defaults.cert_valid_days 90")]
    Set {
        /// For instance defaults.output_format.
        #[arg(value_parser = key)]
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// Take a key out, so that its default is used.
    #[command(after_help = "Example:\n  fastpki config unset defaults.cert_valid_days")]
    Unset {
        /// For instance defaults.output_format.
        #[arg(value_parser = key)]
        key: &'static str,
    },
    /// Print where the file lies.
    #[command(after_help = "Example:\n  fastpki config path")]
    Path,
}

pub(super) fn run(group: ConfigGroup) -> Result<(), Error> {
    match group.command {
        ConfigCommand::Show => show(group.output),
        ConfigCommand::Get { key } => {
            let value = Config::load()?.get(key);
            output::print(&value.ok_or_else(|| Error::Failed(format!("{key} is not set")))?)
        }
        ConfigCommand::Set { key, value } => {
            let value = checked(key, &value)?;
            Config::change(|config| {
                match value.as_str().filter(|_| key == config::SERVER_URL) {
                    Some(server) => session::settle(config, server),
                    None => config.set(key, value),
                }
                Ok(())
            })
        }
        ConfigCommand::Unset { key } => Config::change(|config| {
            config.unset(key);
            Ok(())
        }),
        ConfigCommand::Path => output::print(&config::file_path()?.display().to_string()),
    }
}

fn show(options: options::Output) -> Result<(), Error> {
    let config = Config::load()?;
    let shown = Value::Object(config.shown());
    if Output::of(options, &config).is_json() {
        return output::print(&shown.to_string());
    }
    let mut pairs = Vec::new();
    flatten("", &shown, &mut pairs);
    if pairs.is_empty() {
        output::note(&format!("nothing is set in {}", config.path().display()));
        return Ok(());
    }
    output::print(&table::pairs(pairs))
}

fn flatten(path: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, pairs);
            }
        }
        Value::Null => {}
        Value::String(text) => pairs.push((path.to_owned(), text.clone())),
        other => pairs.push((path.to_owned(), other.to_string())),
    }
}

fn key(text: &str) -> Result<&'static str, String> {
    let known = KEYS.into_iter().map(|(key, _)| key);
    known.clone().find(|key| *key == text).ok_or_else(|| {
        let known: Vec<&str> = known.collect();
        format!("there is no such key; there are {}", known.join(", "))
    })
}

fn checked(key: &str, value: &str) -> Result<Value, Error> {
    let kind = KEYS.into_iter().find(|(known, _)| *known == key).map_or(Kind::Secret, |(_, kind)| kind);
    let wrong = |right: &str| Error::Usage(format!("{key} should be {right}, not '{value}'"));
    Ok(match kind {
        Kind::Url => session::normal(value)?.into(),
        Kind::Secret if value.trim().is_empty() => return Err(wrong("a token")),
        Kind::Secret => value.trim().into(),
        Kind::Format if matches!(value, "table" | "json") => value.into(),
        Kind::Format => return Err(wrong("table or json")),
        Kind::Number => match value.parse::<u32>() {
            Ok(number) if number > 0 => number.into(),
            _ => return Err(wrong("a whole number from 1")),
        },
    })
}
