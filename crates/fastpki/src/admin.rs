//! `fastpki admin`: users, by those who run the server, on its host.

use std::{
    io::{IsTerminal, Read},
    process::ExitCode,
    sync::Arc,
};

use clap::{Args, Subcommand, ValueEnum};
use fastpki_engine::{DatabaseConfig, Operator, SystemClock};
use fastpki_server::{
    database_config, new_password, new_user,
    settings::{LogLevel, Settings},
};
use fastpki_types::{Password, User, UserRole};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{environment, output::Output};

#[derive(Subcommand)]
pub(crate) enum AdminCommand {
    /// Create a user of any role, the very first one too.
    ///
    /// Then nobody needs to be the first to reach the server over HTTP. Makes the database where there is none. It is
    /// in the audit log, as done by 'fastpki admin'.
    #[command(after_help = "Examples:
  fastpki admin create-user --username alice --email alice@example.com --role superuser
  pass show pki/alice | fastpki admin create-user --username alice --email alice@example.com \\
      --role superuser --password-stdin")]
    CreateUser {
        /// The name to sign in with: unique over all users.
        #[arg(long)]
        username: String,
        /// The e-mail address: unique over all users.
        #[arg(long)]
        email: String,
        /// What the user is to the system.
        #[arg(long, value_enum)]
        role: Role,
        /// The id of the organization the user belongs to.
        #[arg(long, value_name = "ID")]
        organization: Option<i32>,
        #[command(flatten)]
        password: PasswordSource,
        #[command(flatten)]
        output: Output,
    },
    /// Give a user a new password: for a superuser who is locked out.
    ///
    /// Ends all of the user's sessions, at once and on every server. It is in the audit log, as done by
    /// 'fastpki admin'. No server needs to be stopped.
    #[command(after_help = "Examples:
  fastpki admin reset-password alice
  fastpki admin reset-password alice --activate")]
    ResetPassword {
        /// The user's name.
        username: String,
        /// Let an inactive user sign in again.
        #[arg(long)]
        activate: bool,
        #[command(flatten)]
        password: PasswordSource,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// May do everything.
    Superuser,
    /// May do everything in their organization.
    Admin,
    /// May read in their organization.
    User,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct PasswordSource {
    /// Read the password from standard input, one line, instead of asking for it twice.
    #[arg(long)]
    password_stdin: bool,
}

/// Runs a command. An error is a text for the operator.
pub(crate) fn run(command: AdminCommand) -> Result<ExitCode, String> {
    let settings = environment::settings()?;
    environment::start_log(LogLevel::Warning, settings.log_format);
    match command {
        AdminCommand::CreateUser { username, email, role, organization, password, output } => {
            let new = new_user(&username, &email, &password.read()?, role.into(), organization);
            let new = new.map_err(|problems| lines(&problems))?;
            tell_of_new_database(&settings);
            let user = with_operator(&settings, async |operator| operator.create_user(new).await)?;
            let text = format!("created {}", describe(&user));
            Ok(output.print(&text, &json!(user)))
        }
        AdminCommand::ResetPassword { username, activate, password, output } => {
            existing(&database_config(&settings.database))?;
            let password = new_password(&password.read()?).map_err(|problems| lines(&problems))?;
            let reset =
                async |operator: &Operator| operator.reset_password(&username, password, activate).await;
            let user = with_operator(&settings, reset)?;
            let mut text =
                format!("the password of {} is new, and all of their sessions have ended", describe(&user));
            if !user.is_active {
                text.push_str("\nthe user is inactive and cannot sign in: say --activate to change that too");
            }
            Ok(output.print(&text, &json!(user)))
        }
    }
}

fn with_operator(
    settings: &Settings,
    work: impl AsyncFnOnce(&Operator) -> Result<User, fastpki_engine::Error>,
) -> Result<User, String> {
    let database = database_config(&settings.database);
    let done = environment::runtime()?.block_on(async {
        let operator = Operator::open(&database, Arc::new(SystemClock)).await?;
        let done = work(&operator).await;
        operator.close().await;
        done
    });
    done.map_err(|error| format!("error: {error}"))
}

/// Refuses where there is no SQLite file.
pub(crate) fn existing(database: &DatabaseConfig) -> Result<(), String> {
    match database {
        DatabaseConfig::Sqlite { path } if !path.exists() => Err(format!(
            "error: there is no database {}: run this in the server's working directory, or set DATABASE_URL",
            path.display()
        )),
        DatabaseConfig::Sqlite { .. } | DatabaseConfig::Postgres { .. } => Ok(()),
    }
}

fn tell_of_new_database(settings: &Settings) {
    if let DatabaseConfig::Sqlite { path } = database_config(&settings.database)
        && !path.exists()
    {
        eprintln!("there is no database {} yet: it is made", path.display());
    }
}

fn describe(user: &User) -> String {
    format!("{} {} '{}'", user.role, user.id, user.username.escape_debug())
}

fn lines(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("error: {problem}")).collect::<Vec<_>>().join("\n")
}

impl From<Role> for UserRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Superuser => Self::Superuser,
            Role::Admin => Self::Admin,
            Role::User => Self::User,
        }
    }
}

impl PasswordSource {
    fn read(self) -> Result<Password, String> {
        if self.password_stdin {
            return from_stdin();
        }
        if !std::io::stdin().is_terminal() {
            return Err("error: there is no terminal to ask for the password: say --password-stdin".into());
        }
        let password = dialoguer::Password::new()
            .with_prompt("New password")
            .with_confirmation("The same again", "the two differ: try again")
            .interact()
            .map_err(|error| format!("error: the terminal cannot be asked: {error}"))?;
        Ok(Password::from(password))
    }
}

/// The first line of standard input, without its end.
fn from_stdin() -> Result<Password, String> {
    // Room for all of it: growing would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST + 1));
    std::io::stdin()
        .take(LONGEST as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("error: standard input cannot be read: {error}"))?;
    let line = text.lines().next().unwrap_or_default();
    if text.lines().count() > 1 || text.len() > LONGEST {
        return Err("error: standard input has more than one line: give the password alone".into());
    }
    Ok(Password::from(Zeroizing::new(line.to_owned())))
}

/// Bytes of a password with the end of its line: bcrypt looks at 72.
const LONGEST: usize = 1024;
