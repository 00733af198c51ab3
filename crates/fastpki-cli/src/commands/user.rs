//! `fastpki user`: people who sign in.

use clap::{Args, Subcommand};
use fastpki_types::{OrganizationId, Password, UserCreate, UserRole, UserUpdate};
use serde::Deserialize;

use super::Context;
use crate::{
    ask,
    error::Error,
    flags::{FlagChanges, FlagOptions},
    options::{Common, Force, Page, named},
    output,
    table::{Column, Kind},
};

/// `fastpki user`.
#[derive(Args)]
pub struct User {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Subcommand)]
enum UserCommand {
    /// List users. For superusers.
    ///
    /// The first 100, unless --limit (at most 1000) says otherwise.
    #[command(after_help = "Examples:\n  fastpki user list\n  fastpki user list --skip 100 --limit 100")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Show yourself.
    #[command(after_help = "Example:\n  fastpki user me")]
    Me,
    /// Show a user.
    #[command(after_help = "Example:\n  fastpki user show 7")]
    Show {
        /// The user's id.
        id: i32,
    },
    /// Create a user.
    ///
    /// While a server has no user at all, anybody may create the first, with any role: do so at once. Asks for the
    /// password; where standard input is no terminal, its first line is the password.
    #[command(after_help = "Examples:
  fastpki user create --username admin --email admin@example.com --role superuser     # the first user
  fastpki user create -u alice -e alice@example.com --org 1 --can-create-cert --can-revoke-cert")]
    Create(Create),
    /// Change a user; what is not given stays.
    ///
    /// A new password and --inactive end all sessions of the user.
    #[command(after_help = "Examples:
  fastpki user update 7 --can-create-cert --no-export-key
  fastpki user update 7 --ask-password
  fastpki user update 7 --inactive")]
    Update(Box<Update>),
    /// Delete a user. What they created stays. Asks first.
    #[command(after_help = "Example:\n  fastpki user delete 7")]
    Delete {
        /// The user's id.
        id: i32,
        #[command(flatten)]
        force: Force,
    },
}

#[derive(Args)]
struct Create {
    /// Name to sign in with.
    #[arg(short, long)]
    username: String,
    /// E-mail address.
    #[arg(short, long)]
    email: String,
    /// The password. Others on this machine can see it here: better leave it out and be asked.
    #[arg(short, long)]
    password: Option<String>,
    /// What the user is to the system.
    #[arg(short, long, default_value = "user", value_parser = named::<UserRole>())]
    role: UserRole,
    /// Id of the organization. [default: an admin's own]
    #[arg(long, value_name = "ID")]
    org: Option<i32>,
    #[command(flatten)]
    flags: FlagOptions,
    /// The user may not sign in yet.
    #[arg(long)]
    inactive: bool,
}

#[derive(Args)]
struct Update {
    /// The user's id.
    id: i32,
    /// The new e-mail address.
    #[arg(short, long)]
    email: Option<String>,
    /// The new password. Others on this machine can see it here: better use --ask-password.
    #[arg(short, long)]
    password: Option<String>,
    /// Ask for a new password; where standard input is no terminal, its first line is the password.
    #[arg(long, conflicts_with = "password")]
    ask_password: bool,
    /// The new role.
    #[arg(short, long, value_parser = named::<UserRole>())]
    role: Option<UserRole>,
    /// Id of the new organization.
    #[arg(long, value_name = "ID")]
    org: Option<i32>,
    /// The user may sign in.
    #[arg(long, conflicts_with = "inactive")]
    active: bool,
    /// The user may not sign in any more.
    #[arg(long)]
    inactive: bool,
    #[command(flatten)]
    flags: FlagChanges,
}

pub(super) fn run(group: User) -> Result<(), Error> {
    let context = Context::of(&group.common)?;
    let (client, output) = (&context.client, context.output);
    match group.command {
        UserCommand::List { page } => {
            let text = |number: Option<u64>| number.map(|number| number.to_string());
            let query = [("skip", text(page.skip)), ("limit", text(page.limit))];
            output.list(&client.get("/users/", &query)?, &LIST)
        }
        UserCommand::Me => output.detail(&client.get("/users/me", &[])?, &DETAIL),
        UserCommand::Show { id } => output.detail(&client.get(&format!("/users/{id}"), &[])?, &DETAIL),
        UserCommand::Create(create) => make(&context, create),
        UserCommand::Update(update) => change(&context, *update),
        UserCommand::Delete { id, force } => delete(&context, id, force.force),
    }
}

fn make(context: &Context, create: Create) -> Result<(), Error> {
    let asked = || ask::new_password(&format!("Password for {}", create.username));
    let password = create.password.map(Password::from).map_or_else(asked, Ok)?;
    let body = UserCreate {
        username: create.username,
        email: create.email,
        password,
        role: Some(create.role),
        is_active: Some(!create.inactive),
        organization_id: create.org.map(OrganizationId),
        flags: create.flags.into(),
    };
    context.output.detail(&context.client.post("/users/", &[], &body)?, &DETAIL)
}

fn change(context: &Context, update: Update) -> Result<(), Error> {
    let mut password = update.password.map(Password::from);
    if update.ask_password {
        password = Some(ask::new_password(&format!("New password for user {}", update.id))?);
    }
    let sessions_end = password.is_some() || update.inactive;
    let body = UserUpdate {
        email: update.email,
        password,
        role: update.role,
        is_active: (update.active || update.inactive).then_some(update.active),
        organization_id: update.org.map(OrganizationId),
        flags: update.flags.into(),
    };
    let given =
        [body.email.is_some(), body.role.is_some(), body.organization_id.is_some(), body.is_active.is_some()];
    if !sessions_end && !given.contains(&true) && !body.flags.any() {
        return Err(Error::Usage("nothing is to be changed: see fastpki user update --help".into()));
    }
    context.output.detail(&context.client.patch(&format!("/users/{}", update.id), &body)?, &DETAIL)?;
    if sessions_end {
        output::note("all sessions of this user are over; if it is you: fastpki auth login");
    }
    Ok(())
}

fn delete(context: &Context, id: i32, force: bool) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Named {
        username: String,
    }
    let path = format!("/users/{id}");
    if !force {
        let user: Named = context.client.get(&path, &[])?.parse()?;
        ask::confirm(&format!("Delete user {id} ({})?", user.username.escape_debug()), false)?;
    }
    let answer = context.client.delete(&path)?;
    context.output.done(&answer, &format!("user {id} is deleted"))
}

pub(super) const LIST: [Column; 7] = [
    Column("ID", "id", Kind::Plain),
    Column("User", "username", Kind::Plain),
    Column("E-mail", "email", Kind::Plain),
    Column("Role", "role", Kind::Plain),
    Column("Org", "organization_id", Kind::Plain),
    Column("Active", "is_active", Kind::Plain),
    Column("May", "", Kind::Flags),
];
pub(super) const DETAIL: [Column; 8] = [
    Column("ID", "id", Kind::Plain),
    Column("User", "username", Kind::Plain),
    Column("E-mail", "email", Kind::Plain),
    Column("Role", "role", Kind::Plain),
    Column("Organization", "organization_id", Kind::Plain),
    Column("Active", "is_active", Kind::Plain),
    Column("May", "", Kind::Flags),
    Column("Created", "created_at", Kind::Time),
];
