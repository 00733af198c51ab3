//! The command-line client: every command over the REST API of a FastPKI server.
//!
//! Data goes to standard output and nothing else does: questions, progress and errors go to standard error.

mod ask;
mod client;
mod clock;
mod commands;
mod config;
mod delivery;
mod error;
mod files;
mod flags;
mod listing;
mod options;
mod output;
mod pki;
mod progress;
mod session;
mod table;

pub use commands::{Command, run};
