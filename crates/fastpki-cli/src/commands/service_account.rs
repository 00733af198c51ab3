//! `fastpki service-account`: programs that have certificates issued.

use clap::{Args, Subcommand};
use fastpki_types::{OrganizationId, ServiceAccountCreate, ServiceAccountUpdate};
use serde::Deserialize;

use super::Context;
use crate::{
    ask,
    error::Error,
    flags::{FlagChanges, FlagOptions},
    listing,
    options::{Common, Force, Page},
    table::{Column, Kind},
};

mod policy;
mod token;

/// `fastpki service-account`.
#[derive(Args)]
pub struct ServiceAccount {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: ServiceAccountCommand,
}

#[derive(Subcommand)]
enum ServiceAccountCommand {
    /// Create a service account. It can do nothing without a token, and issue nothing without a policy.
    #[command(after_help = "Example:
  fastpki service-account create --name deploy --can-create-cert --can-revoke-cert")]
    Create {
        /// Its name; no two of an organization have the same.
        #[arg(short, long)]
        name: String,
        /// Free text.
        #[arg(short, long, value_name = "TEXT")]
        description: Option<String>,
        /// Id of the organization. [default: your own]
        #[arg(long, value_name = "ID")]
        organization_id: Option<i32>,
        #[command(flatten)]
        flags: FlagOptions,
    },
    /// List the service accounts that you may see.
    #[command(after_help = "Example:\n  fastpki service-account list")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Show a service account.
    #[command(after_help = "Example:\n  fastpki service-account show 1")]
    Show {
        /// The service account's id.
        id: i32,
    },
    /// Change a service account; what is not given stays.
    #[command(after_help = "Examples:
  fastpki service-account update 1 --disable
  fastpki service-account update 1 --can-create-cert --no-can-revoke-cert")]
    Update(Update),
    /// Delete a service account with its tokens and its policy. What it had issued stays. Asks first.
    #[command(after_help = "Example:\n  fastpki service-account delete 1")]
    Delete {
        /// The service account's id.
        id: i32,
        #[command(flatten)]
        force: Force,
    },
    /// Tokens that a service account signs in with.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// What a service account may have issued.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
}

#[derive(Args)]
struct Update {
    /// The service account's id.
    id: i32,
    /// Its new name.
    #[arg(short, long)]
    name: Option<String>,
    /// Its new description.
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
    /// Refuse its tokens.
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Take its tokens again.
    #[arg(long)]
    enable: bool,
    #[command(flatten)]
    flags: FlagChanges,
}

pub(super) fn run(group: ServiceAccount) -> Result<(), Error> {
    let context = Context::of(&group.common)?;
    let (client, output) = (&context.client, context.output);
    match group.command {
        ServiceAccountCommand::Create { name, description, organization_id, flags } => {
            let organization_id = organization_id.map(OrganizationId);
            let body = ServiceAccountCreate { name, description, organization_id, flags: flags.into() };
            output.detail(&client.post("/service-accounts/", &[], &body)?, &DETAIL)
        }
        ServiceAccountCommand::List { page } => {
            listing::show_part(&client.get("/service-accounts/", &[])?, page, output, &LIST)
        }
        ServiceAccountCommand::Show { id } => output.detail(&client.get(&path(id), &[])?, &DETAIL),
        ServiceAccountCommand::Update(update) => change(&context, update),
        ServiceAccountCommand::Delete { id, force } => delete(&context, id, force.force),
        ServiceAccountCommand::Token(command) => token::run(&context, command),
        ServiceAccountCommand::Policy(command) => policy::run(&context, command),
    }
}

fn change(context: &Context, update: Update) -> Result<(), Error> {
    let body = ServiceAccountUpdate {
        name: update.name,
        description: update.description,
        disabled: (update.disable || update.enable).then_some(update.disable),
        flags: update.flags.into(),
    };
    if body.name.is_none() && body.description.is_none() && body.disabled.is_none() && !body.flags.any() {
        return Err(Error::Usage(
            "nothing is to be changed: see fastpki service-account update --help".into(),
        ));
    }
    context.output.detail(&context.client.patch(&path(update.id), &body)?, &DETAIL)
}

fn delete(context: &Context, id: i32, force: bool) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    if !force {
        let account: Named = context.client.get(&path(id), &[])?.parse()?;
        let name = account.name.escape_debug();
        ask::confirm(
            &format!("Delete service account {id} ({name}) with its tokens and its policy?"),
            false,
        )?;
    }
    let answer = context.client.delete(&path(id))?;
    context.output.done(&answer, &format!("service account {id} is deleted"))
}

fn path(id: i32) -> String {
    format!("/service-accounts/{id}")
}

const LIST: [Column; 5] = [
    Column("ID", "id", Kind::Plain),
    Column("Name", "name", Kind::Plain),
    Column("Org", "organization_id", Kind::Plain),
    Column("Status", "disabled_at", Kind::Disabled),
    Column("May", "", Kind::Flags),
];
const DETAIL: [Column; 8] = [
    Column("ID", "id", Kind::Plain),
    Column("Name", "name", Kind::Plain),
    Column("Description", "description", Kind::Plain),
    Column("Organization", "organization_id", Kind::Plain),
    Column("Status", "disabled_at", Kind::Disabled),
    Column("May", "", Kind::Flags),
    Column("Created by user", "created_by_user_id", Kind::Plain),
    Column("Created", "created_at", Kind::Time),
];
