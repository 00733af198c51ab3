//! `fastpki auth`: signing in and out.

use clap::{Args, Subcommand};
use fastpki_types::{Password, RefreshTokenRequest};

use super::Context;
use crate::{
    ask,
    client::Client,
    config::{self, Config},
    error::Error,
    options::{OF_EVERY_COMMAND, Output, Reach, Trust},
    output,
    session::{self, Session, Source},
    table::{self, Column, Kind},
};

/// `fastpki auth`.
#[derive(Args)]
pub struct Auth {
    /// The server's URL. [default: $FASTPKI_SERVER, server.url of the configuration, http://localhost:8000]
    #[arg(short, long, global = true, value_name = "URL", help_heading = OF_EVERY_COMMAND)]
    server: Option<String>,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: AuthCommand,
}

#[derive(Subcommand)]
enum AuthCommand {
    /// Sign in; the session is kept in the configuration file.
    ///
    /// Asks for what is missing. Where standard input is no terminal, its first line is the password. The server given
    /// with --server is remembered for all later commands. The session goes on by itself as long as it is used.
    #[command(after_help = "Examples:
  fastpki auth login --server https://pki.example.com --username alice
  pass show pki/alice | fastpki auth login -u alice")]
    Login {
        /// Name of the user.
        #[arg(short, long)]
        username: Option<String>,
        /// The password. Others on this machine can see it here: better leave it out and be asked.
        #[arg(short, long)]
        password: Option<String>,
    },
    /// Sign out: the session dies on the server too.
    #[command(after_help = "Example:\n  fastpki auth logout")]
    Logout,
    /// Show as whom you are signed in, where, and what you may.
    ///
    /// Exits with 1 if the server does not take the token.
    #[command(after_help = "Examples:\n  fastpki auth status\n  fastpki auth status -o json | jq -r .role")]
    Status,
}

pub(super) fn run(group: Auth) -> Result<(), Error> {
    let reach = Reach { server: group.server, trust: group.trust };
    match group.command {
        AuthCommand::Login { username, password } => log_in(&reach, username, password.map(Password::from)),
        AuthCommand::Logout => log_out(&reach),
        AuthCommand::Status => status(&Context::with(&reach, group.output)?),
    }
}

fn log_in(reach: &Reach, username: Option<String>, password: Option<Password>) -> Result<(), Error> {
    let server = session::server(reach.server.as_deref(), &Config::load()?)?;
    let client = Client::to(server.clone(), &reach.trust)?;
    if session::is_in_the_clear(&server) {
        output::note(&format!("warning: {server} is plain HTTP: the password can be read on its way"));
    }
    let username = username.map_or_else(|| ask::text("Username", "--username"), Ok)?;
    let password = password.map_or_else(|| ask::password("Password"), Ok)?;
    let token = client.sign_in(&username, password.expose())?;
    Config::change(|config| {
        session::remember(config, &server, &token);
        if reach.server.is_some() {
            session::settle(config, &server);
        }
        Ok(())
    })?;
    output::note(&format!("signed in to {server} as {username}"));
    if Session::of(&Config::load()?, &server).is_some_and(|session| session.source() == Source::Environment) {
        output::note("note: FASTPKI_TOKEN is set, and goes before this session");
    }
    Ok(())
}

fn log_out(reach: &Reach) -> Result<(), Error> {
    let config = Config::load()?;
    let client = Client::of_file(reach, &config)?;
    if client.session(|_| ()).is_none() {
        output::note(&match session::signed_in_to(&config) {
            Some(other) => {
                format!("you are signed in to another server: fastpki auth logout --server {other}")
            }
            None => "you are not signed in".into(),
        });
        return Ok(());
    }
    let result = end_session(&client);
    Config::change(|config| {
        session::forget(config);
        Ok(())
    })?;
    match result {
        Ok(()) => output::note(&format!("signed out of {}", client.server())),
        Err(Error::Refused { status, .. }) if status.as_u16() == 401 => {
            output::note("the session was over already")
        }
        Err(error) => {
            output::note("the session was forgotten here, and goes on at the server until it ends by itself");
            return Err(error);
        }
    }
    Ok(())
}

fn end_session(client: &Client) -> Result<(), Error> {
    // If the access token has ended, this renews the session: the refresh token to be ended is then a new one.
    client.get("/users/me", &[])?;
    // FastPKI 0.4's client keeps none; the access token dies nevertheless.
    let refresh_token = Config::load()?.get(config::REFRESH_TOKEN).unwrap_or_else(|| "none".into());
    client.post("/auth/logout", &[], &RefreshTokenRequest { refresh_token }).map(drop)
}

fn status(context: &Context) -> Result<(), Error> {
    let client = &context.client;
    if client.session(Session::is_service_account) == Some(true) {
        return status_of_service_account(context);
    }
    let answer = client.get("/users/me", &[])?;
    if context.output.is_json() {
        return context.output.detail(&answer, &[]);
    }
    output::print(&about_session(client))?;
    context.output.detail(&answer, &USER)
}

/// Service accounts may not ask who they are: whether they are let in is all there is to know.
fn status_of_service_account(context: &Context) -> Result<(), Error> {
    context.client.get("/cas/", &[("limit", Some("1".into()))])?;
    let text = about_session(&context.client);
    if context.output.is_json() {
        let server = context.client.server();
        return output::print(
            &serde_json::json!({"server": server, "principal": "service_account"}).to_string(),
        );
    }
    output::print(&text)
}

fn about_session(client: &Client) -> String {
    let mut pairs = vec![("Server".to_owned(), client.server().to_owned())];
    let about = client.session(|session| {
        let source = match session.source() {
            Source::Environment => "FASTPKI_TOKEN",
            Source::File => "configuration file",
        };
        let kind = if session.is_service_account() { "a service account's, from " } else { "from " };
        (format!("{kind}{source}"), session.expires_at())
    });
    if let Some((token, expires_at)) = about {
        pairs.push(("Token".into(), token));
        let ends = expires_at.map(|end| end.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
        pairs.extend(ends.map(|end| ("Token ends".into(), end)));
    }
    table::pairs(pairs)
}

const USER: [Column; 6] = [
    Column("User", "username", Kind::Plain),
    Column("User ID", "id", Kind::Plain),
    Column("E-mail", "email", Kind::Plain),
    Column("Role", "role", Kind::Plain),
    Column("Organization", "organization_id", Kind::Plain),
    Column("May", "", Kind::Flags),
];
