//! What every command of the server's side begins with: the settings, and where messages go.

use std::{io::IsTerminal, path::Path};

use fastpki_host::read_settings;
use fastpki_server::settings::{LogFormat, LogLevel, Problem, Settings};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt};

/// The settings, from the environment and `.env`. An error is a text for the operator.
pub(crate) fn settings() -> Result<Settings, String> {
    settings_or_problems()?.map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| format!("error: {problem}")).collect();
        lines.join("\n")
    })
}

/// The settings, or everything that is wrong with them. An error is a text for the operator.
pub(crate) fn settings_or_problems() -> Result<Result<Settings, Vec<Problem>>, String> {
    let dotenv = match read_settings(Path::new(".env"), LONGEST_DOTENV) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.is_missing() => None,
        Err(error) => return Err(format!("error: {error}")),
    };
    let text = dotenv.as_ref().map(|bytes| std::str::from_utf8(bytes)).transpose();
    let text = text.map_err(|error| format!("error: .env cannot be read: {error}"))?;
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
    Ok(Settings::load(environment, text))
}

/// Begins to log, to standard error.
pub(crate) fn start_log(level: LogLevel, format: LogFormat) {
    start_log_to(std::io::stderr, level, format);
}

/// Begins to log by a writer that leads to standard error.
pub(crate) fn start_log_to<W>(writer: W, level: LogLevel, format: LogFormat)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warning => "warn",
        LogLevel::Error | LogLevel::Critical => "error",
    };
    // Libraries may log what they are given; only this program's own lines are known to hold no secret.
    let filter = EnvFilter::new(format!(
        "off,fastpki={level},fastpki_server={level},fastpki_engine={level},fastpki_store={level}"
    ));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_target(false).with_writer(writer);
    match format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).init(),
        LogFormat::Auto => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).init(),
    }
}

/// What the async parts run on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("error: the runtime did not start: {error}"))
}

/// Bytes of `.env`: a thousand encryption keys, and every other setting with a page of comments.
const LONGEST_DOTENV: usize = 128 * 1024;
