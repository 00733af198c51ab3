//! `fastpki service-account token`: what service accounts sign in with.

use clap::Subcommand;
use fastpki_types::{ServiceAccountSecret, ServiceAccountTokenCreate, Timestamp};
use serde::Deserialize;

use super::{Context, path};
use crate::{
    ask,
    error::Error,
    listing,
    options::{Force, Page, instant},
    output,
    table::{Column, Kind},
};

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it. This is the only time that it is shown.
    ///
    /// Standard output has the token alone (with -o json all about it).
    #[command(after_help = "Examples:
  (umask 077; fastpki service-account token create 1 --name ci > token)
  FASTPKI_TOKEN=$(cat token) fastpki ca list
  fastpki service-account token create 1 --name ci --expires-at 2030-12-31")]
    Create {
        /// The service account's id.
        id: i32,
        /// What people call the token.
        #[arg(short, long)]
        name: Option<String>,
        /// When it ends: 2030-12-31, 2030-12-31T12:00:00Z. [default: never]
        #[arg(long, value_name = "DATE", value_parser = instant)]
        expires_at: Option<Timestamp>,
    },
    /// List the tokens of a service account, without their secrets.
    #[command(after_help = "Example:\n  fastpki service-account token list 1")]
    List {
        /// The service account's id.
        id: i32,
        #[command(flatten)]
        page: Page,
    },
    /// Revoke a token. Asks first.
    #[command(after_help = "Example:\n  fastpki service-account token revoke 1 3")]
    Revoke {
        /// The service account's id.
        id: i32,
        /// The token's id.
        token: i32,
        #[command(flatten)]
        force: Force,
    },
}

pub(super) fn run(context: &Context, command: TokenCommand) -> Result<(), Error> {
    match command {
        TokenCommand::Create { id, name, expires_at } => {
            let body = ServiceAccountTokenCreate { name, expires_at };
            create(context, id, &body)
        }
        TokenCommand::List { id, page } => {
            let answer = context.client.get(&format!("{}/tokens", path(id)), &[])?;
            listing::show_part(&answer, page, context.output, &LIST)
        }
        TokenCommand::Revoke { id, token, force } => {
            ask::confirm(&format!("Revoke token {token} of service account {id}?"), force.force)?;
            let answer = context.client.delete(&format!("{}/tokens/{token}", path(id)))?;
            context.output.done(&answer, &format!("token {token} of service account {id} is revoked"))
        }
    }
}

fn create(context: &Context, id: i32, body: &ServiceAccountTokenCreate) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct New {
        id: i64,
        token: ServiceAccountSecret,
    }
    let answer = context.client.post(&format!("{}/tokens", path(id)), &[], body)?;
    let new: New = answer.parse()?;
    output::note(&format!("token {}: keep it, it is not shown again", new.id));
    context.output.either(&answer, new.token.expose())
}

const LIST: [Column; 7] = [
    Column("ID", "id", Kind::Plain),
    Column("Name", "name", Kind::Plain),
    Column("Public ID", "public_id", Kind::Plain),
    Column("Status", "", Kind::TokenStatus),
    Column("Ends", "expires_at", Kind::Time),
    Column("Last used", "last_used_at", Kind::Time),
    Column("Created", "created_at", Kind::Time),
];
