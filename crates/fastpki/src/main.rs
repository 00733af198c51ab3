//! One program: a private certificate authority's server and its tools.

mod admin;
mod backup;
mod db;
mod doctor;
mod environment;
mod healthcheck;
mod keys;
mod log;
mod manual;
mod output;
mod progress;
mod serve;
mod signals;
mod stopping;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

/// A self-hosted private certificate authority: the server, and its command-line client.
///
/// Settings of the server come from the environment and from .env in the working directory; none is needed to start.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    ///
    /// Without any settings it keeps its data in ./fastpki.db and listens on 127.0.0.1:8000. It stops in
    /// good order on SIGTERM and on Ctrl-C, and reads PRIVATE_KEY_ENCRYPTION_KEY_FILE again on SIGHUP. With FASTPKI_TLS_CERT_FILE
    /// and FASTPKI_TLS_KEY_FILE it speaks TLS itself.
    #[command(
        after_help = "Examples:\n  fastpki serve\n  FASTPKI_LISTEN=0.0.0.0:8000 PUBLIC_URL=https://pki.example.com fastpki serve"
    )]
    Serve,
    /// Print the OpenAPI description of the REST API.
    ///
    /// It is the one that a server with the same settings serves where ENABLE_DOCS is true.
    #[command(after_help = "Examples:\n  fastpki openapi > openapi.json")]
    Openapi,
    /// Keys that private keys lie under in the database.
    ///
    /// These work on the database itself, whether a server runs or not, with the server's settings: run them in its
    /// working directory or with its environment.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Look at everything that the server needs, and say what to do where something is not well.
    ///
    /// Settings, files and who may read them, the database and its schema, private keys, the clock, CAs that end,
    /// CRLs that are over, disk space. Changes nothing, whether a server runs or not. Exits with 1 where there is an
    /// error, and with --strict where there is a warning.
    #[command(after_help = "Examples:
  fastpki doctor
  fastpki doctor --strict --output json | jq -r '.findings[] | select(.level != \"ok\") | .text'")]
    Doctor(doctor::Doctor),
    /// Ask the server on this machine whether it is ready.
    ///
    /// By the address in FASTPKI_LISTEN. Exits with 1 where it does not answer, or where its database or its private
    /// keys cannot be used. For containers, in which there is nothing else to ask with.
    #[command(after_help = "Example:\n  fastpki healthcheck")]
    Healthcheck,
    /// Write the whole database into a file, while the server runs.
    ///
    /// As it is at one instant, checked, and readable by its owner alone. Nothing is overwritten. With SQLite, FILE is
    /// an SQLite database, and FILE.secret-key beside it the secret key if the server made one: keep both. With
    /// PostgreSQL, pg_dump is run, and FILE is a dump in its custom format. Encryption keys are in neither.
    #[command(after_help = "Examples:
  fastpki backup /var/backups/fastpki-$(date +%F).db
  fastpki backup /var/backups/fastpki-$(date +%F).dump     # with PostgreSQL")]
    Backup(backup::BackupArguments),
    /// Make the database from a backup.
    ///
    /// Where there is none: no SQLite file, or a PostgreSQL database without tables. The backup must be whole and of
    /// the same kind of database; it is read whole before anything is written. Stop the server first, and read in
    /// docs/operations.md what to do about certificates that were issued or revoked since.
    #[command(after_help = "Example:
  fastpki restore /var/backups/fastpki-2030-01-31.db && fastpki keys verify && fastpki doctor")]
    Restore(backup::BackupArguments),
    /// The schema of the database.
    ///
    /// With the server's settings: run these in its working directory or with its environment.
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Users, by those who run the server, on its host: the first superuser, and one who is locked out.
    ///
    /// These work on the database itself, whether a server runs or not, with the server's settings: run them in its
    /// working directory or with its environment.
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    #[command(flatten)]
    Client(Box<fastpki_cli::Command>),
    /// Print completions for a shell.
    #[command(after_help = "Examples:
  fastpki completions bash > /etc/bash_completion.d/fastpki
  fastpki completions zsh > /usr/local/share/zsh/site-functions/_fastpki
  fastpki completions fish > ~/.config/fish/completions/fastpki.fish")]
    Completions {
        /// Which shell.
        shell: manual::Shell,
    },
    /// Write manual pages.
    ///
    /// One for each command, into a folder; without one, the page of the program itself is printed.
    #[command(after_help = "Examples:\n  fastpki man /usr/local/share/man/man1\n  fastpki man | man -l -")]
    Man {
        /// The folder; it is made where it is missing.
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    if let Some(code) = fastpki_host::run_bound(std::env::args_os()) {
        return code;
    }
    forbid_core_dumps();
    let result = match Arguments::parse().command {
        Command::Serve => serve::serve(),
        Command::Openapi => print_openapi(),
        Command::Keys(command) => keys::run(command),
        Command::Doctor(doctor) => doctor::run(&doctor),
        Command::Healthcheck => healthcheck::run(),
        Command::Backup(arguments) => backup::backup(&arguments),
        Command::Restore(arguments) => backup::restore(&arguments),
        Command::Db(command) => db::run(command),
        Command::Admin(command) => admin::run(command),
        Command::Completions { shell } => {
            manual::completions(shell, Arguments::command()).map(|()| ExitCode::SUCCESS)
        }
        Command::Man { folder } => manual::man(folder, Arguments::command()).map(|()| ExitCode::SUCCESS),
        Command::Client(command) => Ok(fastpki_cli::run(*command)),
    };
    result.unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::FAILURE
    })
}

fn print_openapi() -> Result<ExitCode, String> {
    let settings = environment::settings()?;
    let document = fastpki_server::openapi(&settings.project_name, &settings.api_prefix);
    writeln!(std::io::stdout(), "{document:#}").map_err(|error| format!("error: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

/// A core dump would write the private keys in memory to the disk; and who may make one may read that memory.
fn forbid_core_dumps() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Neither can fail on a Linux that runs this; where one does, the other is left.
    let _ = (set_dumpable_behavior(DumpableBehavior::NotDumpable), setrlimit(Resource::Core, none));
}
