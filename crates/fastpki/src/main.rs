//! One program: a private certificate authority's server and its tools.

mod admin;
mod db;
mod environment;
mod keys;
mod output;
mod progress;
mod serve;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};

/// A self-hosted private certificate authority.
///
/// Settings come from the environment and from .env in the working directory; none is needed to start.
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
    /// good order on SIGTERM and on Ctrl-C, and reads PRIVATE_KEY_ENCRYPTION_KEY_FILE again on SIGHUP.
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
}

fn main() -> ExitCode {
    forbid_core_dumps();
    let result = match Arguments::parse().command {
        Command::Serve => serve::serve().map(|()| ExitCode::SUCCESS),
        Command::Openapi => print_openapi(),
        Command::Keys(command) => keys::run(command),
        Command::Db(command) => db::run(command),
        Command::Admin(command) => admin::run(command),
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
