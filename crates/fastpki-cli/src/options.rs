//! Options that many commands share.

use std::path::PathBuf;

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use fastpki_types::{Named, Timestamp};
use jiff::{SignedDuration, Span, SpanRelativeTo};

use crate::clock;

/// Under which title options stand in the help that are the same everywhere.
pub(crate) const OF_EVERY_COMMAND: &str = "Output and server";

/// How to reach the server.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Reach {
    /// The server's URL, for this command. [default: $FASTPKI_SERVER, server.url of the configuration, http://localhost:8000]
    #[arg(long, global = true, value_name = "URL", help_heading = OF_EVERY_COMMAND)]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) trust: Trust,
}

/// Whom to trust over TLS.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Trust {
    /// PEM file of root certificates that the server's TLS certificate may come from, besides the system's. [default: $FASTPKI_CA_FILE]
    #[arg(long, global = true, value_name = "FILE", help_heading = OF_EVERY_COMMAND)]
    pub(crate) ca_file: Option<PathBuf>,
}

/// How results are shown.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Output {
    /// A table for people, or JSON as the server answered. [default: defaults.output_format of the configuration, table]
    #[arg(short, long, global = true, value_name = "FORMAT", help_heading = OF_EVERY_COMMAND)]
    pub(crate) output: Option<Format>,
}

/// A way to show a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// As the server answered.
    Json,
}

/// What most commands take.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// Which part of a list is wanted.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Page {
    /// Pass over so many.
    #[arg(long, value_name = "N")]
    pub(crate) skip: Option<u64>,
    /// Show so many at the most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
}

/// Not to be asked.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Force {
    /// Do not ask. Needed where there is no terminal.
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Reads an enumeration by the names it has on the wire.
pub(crate) fn named<T: Named + Send + Sync>() -> impl TypedValueParser<Value = T> {
    let names = T::ALL.iter().map(|value| value.name());
    PossibleValuesParser::new(names)
        .map(|name| T::from_name(&name).expect("only names of values are let through"))
}

/// Reads a date, or a date and a time: `2030-01-31`, `2030-01-31T12:00:00Z`.
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|error| format!("{error}, nor a date such as 2030-01-31"))
}

/// Reads a date, a date and a time, or how long ago: `2030-01-31`, `24h`, `7d`.
pub(crate) fn instant_or_ago(text: &str) -> Result<Timestamp, String> {
    match duration(text) {
        Ok(ago) => Ok(Timestamp::from(clock::now()).plus_seconds(-ago.as_secs())),
        Err(_) => text.parse().map_err(|error| format!("{error}, nor a date or a time ago such as 7d")),
    }
}

/// Reads a length of time: `30d`, `2w`, `12h`.
pub(crate) fn duration(text: &str) -> Result<SignedDuration, String> {
    let span: Span =
        text.parse().map_err(|_| "should be a length of time such as 30d, 2w or 12h".to_owned())?;
    let duration =
        span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())?;
    if duration.is_negative() { Err("should not be negative".into()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        assert_eq!(duration("30d"), Ok(SignedDuration::from_hours(30 * 24)));
        assert_eq!(duration("2w"), Ok(SignedDuration::from_hours(14 * 24)));
        assert_eq!(duration("12h"), Ok(SignedDuration::from_hours(12)));
        for wrong in ["", "30", "-1d", "1month", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_are_read_with_and_without_time() {
        assert_eq!(instant("2030-01-31").unwrap().to_string(), "2030-01-31T00:00:00.000000Z");
        assert_eq!(instant("2030-01-31T12:00:00Z").unwrap().to_string(), "2030-01-31T12:00:00.000000Z");
        assert!(instant("31.1.2030").is_err());
        assert!(instant_or_ago("7d").unwrap() < Timestamp::from(clock::now()));
    }
}
