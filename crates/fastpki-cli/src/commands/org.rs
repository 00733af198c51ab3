//! `fastpki org`: organizations.

use clap::{Args, Subcommand};
use fastpki_types::{OrganizationCreate, OrganizationUpdate};
use serde::Deserialize;

use super::{Context, user};
use crate::{
    ask,
    error::Error,
    listing,
    options::{Common, Force, Page},
    table::{Column, Kind},
};

/// `fastpki org`.
#[derive(Args)]
pub struct Org {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: OrgCommand,
}

#[derive(Subcommand)]
enum OrgCommand {
    /// List organizations: superusers see all, others their own.
    #[command(after_help = "Example:\n  fastpki org list")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Show an organization.
    #[command(after_help = "Example:\n  fastpki org show 1")]
    Show {
        /// The organization's id.
        id: i32,
    },
    /// Create an organization.
    #[command(after_help = "Example:\n  fastpki org create --name Example --description 'Example Ltd.'")]
    Create {
        /// Its name; no two have the same.
        #[arg(short, long)]
        name: String,
        /// Free text.
        #[arg(short, long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Change an organization; what is not given stays.
    #[command(after_help = "Example:\n  fastpki org update 1 --description 'Example Ltd., Zurich'")]
    Update {
        /// The organization's id.
        id: i32,
        #[command(flatten)]
        change: Change,
    },
    /// Delete an organization that has no users, CAs, certificates and service accounts. Asks first.
    #[command(after_help = "Example:\n  fastpki org delete 1")]
    Delete {
        /// The organization's id.
        id: i32,
        #[command(flatten)]
        force: Force,
    },
    /// Put a user into an organization.
    #[command(after_help = "Example:\n  fastpki org add-user 1 7")]
    AddUser {
        /// The organization's id.
        org: i32,
        /// The user's id.
        user: i32,
    },
    /// Take a user out of an organization.
    #[command(after_help = "Example:\n  fastpki org remove-user 1 7")]
    RemoveUser {
        /// The organization's id.
        org: i32,
        /// The user's id.
        user: i32,
    },
    /// List the users of an organization.
    #[command(after_help = "Example:\n  fastpki org users 1")]
    Users {
        /// The organization's id.
        id: i32,
        #[command(flatten)]
        page: Page,
    },
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// Its new name.
    #[arg(short, long)]
    name: Option<String>,
    /// Its new description.
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
}

pub(super) fn run(group: Org) -> Result<(), Error> {
    let context = Context::of(&group.common)?;
    let (client, output) = (&context.client, context.output);
    let one = |id: i32| format!("/organizations/{id}");
    let member = |org: i32, user: i32| format!("/organizations/{org}/users/{user}");
    match group.command {
        OrgCommand::List { page } => {
            listing::show_part(&client.get("/organizations/", &[])?, page, output, &COLUMNS)
        }
        OrgCommand::Show { id } => output.detail(&client.get(&one(id), &[])?, &COLUMNS),
        OrgCommand::Create { name, description } => {
            let body = OrganizationCreate { name, description };
            output.detail(&client.post("/organizations/", &[], &body)?, &COLUMNS)
        }
        OrgCommand::Update { id, change } => {
            let body = OrganizationUpdate { name: change.name, description: change.description };
            output.detail(&client.put(&one(id), &body)?, &COLUMNS)
        }
        OrgCommand::Delete { id, force } => delete(&context, id, force.force),
        OrgCommand::AddUser { org, user } => {
            output.detail(&client.post_nothing(&member(org, user))?, &user::DETAIL)
        }
        OrgCommand::RemoveUser { org, user } => {
            output.detail(&client.delete(&member(org, user))?, &user::DETAIL)
        }
        OrgCommand::Users { id, page } => {
            let answer = client.get(&format!("/organizations/{id}/users"), &[])?;
            listing::show_part(&answer, page, output, &user::LIST)
        }
    }
}

fn delete(context: &Context, id: i32, force: bool) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let path = format!("/organizations/{id}");
    if !force {
        let organization: Named = context.client.get(&path, &[])?.parse()?;
        ask::confirm(&format!("Delete organization {id} ({})?", organization.name.escape_debug()), false)?;
    }
    let answer = context.client.delete(&path)?;
    context.output.done(&answer, &format!("organization {id} is deleted"))
}

const COLUMNS: [Column; 4] = [
    Column("ID", "id", Kind::Plain),
    Column("Name", "name", Kind::Plain),
    Column("Description", "description", Kind::Plain),
    Column("Created", "created_at", Kind::Time),
];
