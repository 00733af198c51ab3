//! How an operator's command prints what it found.

use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use serde_json::Value;

#[derive(Args, Clone, Copy)]
pub(crate) struct Output {
    /// How to print what was found.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

impl Output {
    /// Prints one of the two; how the command ends.
    #[must_use]
    pub(crate) fn print(self, text: &str, json: &Value) -> ExitCode {
        match self.output {
            Format::Text => print(text),
            Format::Json => print(&json.to_string()),
        }
    }
}

/// Prints a text; how the command ends. That nobody reads it to its end is no failure.
#[must_use]
pub(crate) fn print(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("error: standard output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
