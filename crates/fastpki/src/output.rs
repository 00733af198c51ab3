//! How an operator's command prints what it found.

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
    /// Prints one of the two.
    pub(crate) fn print(self, text: &str, json: &Value) {
        match self.output {
            Format::Text => println!("{text}"),
            Format::Json => println!("{json}"),
        }
    }
}
