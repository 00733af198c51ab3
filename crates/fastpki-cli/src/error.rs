//! What can go wrong, in words that say what to do about it.

use std::{io, path::PathBuf, process::ExitCode};

use reqwest::StatusCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// No connection to the server.
    #[error("cannot reach {server}: {cause}\n{advice}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// What the network said.
        cause: String,
        /// What to do.
        advice: &'static str,
    },
    /// The server refused.
    #[error("{}", refusal(*status, detail, advice))]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its words, one problem to a line.
        detail: String,
        /// What to do; may be empty.
        advice: String,
    },
    /// What the server answered is not what the API says.
    #[error("{server} did not answer as a FastPKI server does: {cause}\nis this its address?")]
    Nonsense {
        /// Its URL.
        server: String,
        /// What is wrong with the answer.
        cause: String,
    },
    /// The configuration file cannot be used.
    #[error("{}: {cause}\nmend or remove the file; `fastpki auth login` makes it anew", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said, or what to do.
        cause: String,
    },
    /// A certificate, key or request is not acceptable.
    #[error("{what}: {cause}")]
    Pki {
        /// Where it is from.
        what: String,
        /// What is wrong with it.
        cause: fastpki_x509::Error,
    },
    /// Standard output or the terminal failed.
    #[error("{0}")]
    Terminal(#[from] io::Error),
    /// Anything else that is worth a sentence.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// A file that cannot be read or written.
    pub(crate) fn file(path: impl Into<PathBuf>, cause: impl ToString) -> Self {
        Self::File { path: path.into(), cause: cause.to_string() }
    }

    /// The status that the process ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(if matches!(self, Self::Usage(_)) { 2 } else { 1 })
    }

    /// Whether it is only that nobody reads the output any more, as in `fastpki cert list | head`.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Terminal(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether the server said that there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, .. })
    }
}

fn refusal(status: StatusCode, detail: &str, advice: &str) -> String {
    let head = match status {
        StatusCode::UNAUTHORIZED => "not signed in",
        StatusCode::FORBIDDEN => "not allowed",
        StatusCode::NOT_FOUND => "not found",
        StatusCode::CONFLICT => "conflict",
        StatusCode::UNPROCESSABLE_ENTITY => "not acceptable",
        StatusCode::TOO_MANY_REQUESTS => "too many attempts",
        status if status.is_server_error() => "the server failed",
        _ => "refused",
    };
    let detail = if detail.starts_with(' ') || detail.contains('\n') {
        format!("\n{detail}")
    } else {
        format!(" {detail}")
    };
    let advice = if advice.is_empty() { String::new() } else { format!("\n{advice}") };
    format!("{head} ({}):{detail}{advice}", status.as_u16())
}
