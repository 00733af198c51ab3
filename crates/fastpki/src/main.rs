//! One program: a private certificate authority's server and its tools.

mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fastpki_engine::{SystemEntropy, new_encryption_key};

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
    /// good order on SIGTERM and on Ctrl-C.
    #[command(
        after_help = "Examples:\n  fastpki serve\n  FASTPKI_LISTEN=0.0.0.0:8000 PUBLIC_URL=https://pki.example.com fastpki serve"
    )]
    Serve,
    /// Keys that private keys lie under in the database.
    #[command(subcommand)]
    Keys(KeysCommand),
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Print a new key for PRIVATE_KEY_ENCRYPTION_KEY.
    ///
    /// The key is made on the spot and kept nowhere: store it where you store secrets. Whoever has it and the
    /// database has every private key in it; without it, encrypted private keys are lost.
    #[command(after_help = "Example:\n  echo PRIVATE_KEY_ENCRYPTION_KEY=$(fastpki keys generate) >> .env")]
    Generate,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve => serve::serve(),
        Command::Keys(KeysCommand::Generate) => {
            println!("{}", *new_encryption_key(&SystemEntropy));
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
