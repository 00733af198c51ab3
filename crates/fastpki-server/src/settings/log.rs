//! What is logged, and how.

use super::reader::Fault;

/// Least severity of a logged event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What the server does.
    Info,
    /// What may need a look.
    Warning,
    /// What went wrong.
    Error,
    /// What ends the program.
    Critical,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Auto,
    /// One JSON object a line.
    Json,
}

impl LogLevel {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        match text.trim().to_ascii_uppercase().as_str() {
            "DEBUG" => Ok(Self::Debug),
            "INFO" => Ok(Self::Info),
            "WARNING" => Ok(Self::Warning),
            "ERROR" => Ok(Self::Error),
            "CRITICAL" => Ok(Self::Critical),
            _ => Err(Fault::new("not a log level", "write DEBUG, INFO, WARNING, ERROR or CRITICAL")),
        }
    }
}

impl LogFormat {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        match text.trim().to_ascii_lowercase().as_str() {
            "text" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            _ => Err(Fault::new("not a log format", "write text or json")),
        }
    }
}
