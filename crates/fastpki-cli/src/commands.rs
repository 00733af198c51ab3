//! The commands, a file for each noun.

use std::process::ExitCode;

use clap::Subcommand;
use fastpki_types::PrivateKeyPem;
use serde::Deserialize;

use crate::{
    client::Client,
    config::Config,
    error::Error,
    options::{Common, Output as OutputOption, Reach},
    output::{self, Output},
};

mod audit;
mod auth;
mod ca;
mod cert;
mod config;
mod export;
mod import;
mod inspect;
mod org;
mod service_account;
mod user;

/// A command of the client.
#[derive(Subcommand)]
pub enum Command {
    /// Sign in and out.
    Auth(auth::Auth),
    /// Certificate authorities.
    Ca(ca::Ca),
    /// Certificates: issue, sign, renew, revoke, find.
    #[command(visible_alias = "certificate")]
    Cert(cert::Cert),
    /// Organizations, and who belongs to them.
    Org(org::Org),
    /// Users.
    User(user::User),
    /// Service accounts: programs that have certificates issued, with their tokens and policies.
    #[command(visible_alias = "sa")]
    ServiceAccount(service_account::ServiceAccount),
    /// Write certificates and keys to files.
    Export(export::Export),
    /// Bring along a CA that another program kept, with what it issued and revoked.
    ///
    /// Looks at the files first and says what would happen, then has the server say it, then asks. All of it is imported, or
    /// nothing. What is there already is left as it is, and new revocations are added: doing it again changes nothing. For
    /// superusers and admins.
    Import(Box<import::Import>),
    /// Say what files are: certificates, CSRs, CRLs, keys, PKCS#12 files, and whether they fit together.
    ///
    /// Works offline. Exits with 1 if something cannot be opened or does not fit, such as a key that is of another
    /// certificate.
    #[command(after_help = "Examples:
  fastpki inspect www.crt www.key chain.pem
  fastpki inspect www.p12 --password-file password
  openssl s_client -connect www.example.com:443 -showcerts </dev/null | fastpki inspect -")]
    Inspect(inspect::Inspect),
    /// What was done, by whom.
    Audit(audit::Audit),
    /// This client's configuration file.
    Config(config::ConfigGroup),
}

/// Runs a command; the status that the process is to end with. Errors are printed on standard error.
pub fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Auth(group) => auth::run(group),
        Command::Ca(group) => ca::run(group),
        Command::Cert(group) => cert::run(group),
        Command::Org(group) => org::run(group),
        Command::User(group) => user::run(group),
        Command::ServiceAccount(group) => service_account::run(group),
        Command::Export(group) => export::run(group),
        Command::Import(group) => import::run(*group),
        Command::Inspect(command) => inspect::run(command),
        Command::Audit(group) => audit::run(group),
        Command::Config(group) => config::run(group),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("error: {error}"));
            error.exit_code()
        }
    }
}

/// A CA or a certificate that was answered with its private key, where the server holds one.
#[derive(Deserialize)]
struct WithKey {
    #[serde(default)]
    private_key: Option<PrivateKeyPem>,
}

/// What a command works with.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) client: Client,
    pub(crate) output: Output,
}

impl Context {
    fn of(common: &Common) -> Result<Self, Error> {
        Self::with(&common.reach, common.output)
    }

    fn with(reach: &Reach, output: OutputOption) -> Result<Self, Error> {
        let config = Config::load()?;
        let client = Client::of(reach, &config)?;
        let output = Output::of(output, &config);
        Ok(Self { config, client, output })
    }

    /// The option, or else the default of the configuration.
    fn or_default(&self, option: Option<u32>, key: &str) -> Result<Option<u32>, Error> {
        match (option, self.config.get(key)) {
            (None, Some(text)) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Error::Failed(format!("{key} of the configuration is no number: {text}"))),
            },
            (option, _) => Ok(option),
        }
    }
}
