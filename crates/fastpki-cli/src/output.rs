//! Results on standard output: a table, or JSON as the server answered.

use std::io::{IsTerminal, Write};

use serde::de::IgnoredAny;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    client::Answer,
    clock,
    config::{self, Config},
    error::Error,
    options::{self, Format},
    table::{self, Column},
};

/// How this command shows its result.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    /// The option's format, the configuration's, or a table.
    pub(crate) fn of(options: options::Output, config: &Config) -> Self {
        let configured = || match config.get(config::OUTPUT_FORMAT)?.as_str() {
            "json" => Some(Format::Json),
            _ => None,
        };
        Self { format: options.output.or_else(configured).unwrap_or(Format::Table) }
    }

    /// Whether it is JSON.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Shows a list of objects.
    pub(crate) fn list(self, answer: &Answer, columns: &[Column]) -> Result<(), Error> {
        if self.is_json() {
            answer.parse::<IgnoredAny>()?;
            return print(&answer.text);
        }
        let objects: Vec<Value> = answer.parse()?;
        print_list(&objects, columns)
    }

    /// Shows one object.
    pub(crate) fn detail(self, answer: &Answer, columns: &[Column]) -> Result<(), Error> {
        if self.is_json() {
            answer.parse::<IgnoredAny>()?;
            return print(&answer.text);
        }
        let mut object: Value = answer.parse()?;
        // Shown by no table, and not to be left in memory.
        if let Some(Value::String(key)) = object.get_mut("private_key").map(Value::take) {
            drop(Zeroizing::new(key));
        }
        print(&table::detail(&object, columns, clock::now()))
    }

    /// Shows an answer in JSON, or else this text.
    pub(crate) fn either(self, answer: &Answer, text: &str) -> Result<(), Error> {
        print(if self.is_json() { &answer.text } else { text })
    }

    /// What was done: on standard error, and in JSON what the server answered, if anything.
    pub(crate) fn done(self, answer: &Answer, what: &str) -> Result<(), Error> {
        if self.is_json() && !answer.text.trim().is_empty() {
            print(&answer.text)?;
        }
        note(what);
        Ok(())
    }
}

/// Shows a list of objects as a table.
pub(crate) fn print_list(objects: &[Value], columns: &[Column]) -> Result<(), Error> {
    if objects.is_empty() {
        note("there is none");
        return Ok(());
    }
    print(&table::list(objects, columns, clock::now()))
}

/// Prints data, with one line end after it.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()?;
    Ok(())
}

/// Prints a part of a line.
pub(crate) fn print_part(text: &str) -> Result<(), Error> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

/// Prints data that may be no text, as it is.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Error> {
    if std::io::stdout().is_terminal() && std::str::from_utf8(bytes).is_err() {
        return Err(Error::Usage("this is no text for a terminal: name a file with --output".into()));
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(())
}

/// Tells people something that is no data.
pub(crate) fn note(text: &str) {
    eprintln!("{}", table::harmless_lines(text.trim_end()));
}
