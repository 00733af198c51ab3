//! `fastpki audit`: what was done, by whom.

use clap::{Args, Subcommand};
use fastpki_types::Timestamp;

use super::Context;
use crate::{
    error::Error,
    options::{Common, Page, instant_or_ago},
    table::{Column, Kind},
};

/// `fastpki audit`.
#[derive(Args)]
pub struct Audit {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// List entries of the audit log, newest first. Admins see their organization's, superusers all.
    ///
    /// The newest 100, unless --limit (at most 1000) says otherwise.
    #[command(after_help = "Examples:
  fastpki audit list --since 24h
  fastpki audit list --action cert_revoke --since 2030-01-01 --until 2030-02-01
  fastpki audit list --resource-type ca --resource-id 2 --limit 1000 -o json")]
    List(List),
}

#[derive(Args)]
struct List {
    /// Only this action: ca_create, ca_update, ca_delete, ca_export_private_key, cert_create, cert_revoke,
    /// cert_export_private_key, login_success, login_failure, logout, user_create, …
    #[arg(short, long)]
    action: Option<String>,
    /// Only by the user with this id.
    #[arg(short, long, value_name = "ID")]
    user: Option<i32>,
    /// Only by the service account with this id.
    #[arg(long, value_name = "ID")]
    service_account: Option<i32>,
    /// Only about this kind of thing: ca, certificate, user, organization, service_account.
    #[arg(short = 't', long, value_name = "TYPE")]
    resource_type: Option<String>,
    /// Only about the thing with this id.
    #[arg(long, value_name = "ID")]
    resource_id: Option<i32>,
    /// Only from then on: 2030-01-31, 2030-01-31T12:00:00Z, or how long ago: 24h, 7d.
    #[arg(long, value_name = "DATE|TIME", value_parser = instant_or_ago)]
    since: Option<Timestamp>,
    /// Only until then.
    #[arg(long, value_name = "DATE|TIME", value_parser = instant_or_ago)]
    until: Option<Timestamp>,
    #[command(flatten)]
    page: Page,
}

pub(super) fn run(group: Audit) -> Result<(), Error> {
    let context = Context::of(&group.common)?;
    let AuditCommand::List(list) = group.command;
    let number = |number: Option<i32>| number.map(|number| number.to_string());
    let count = |number: Option<u64>| number.map(|number| number.to_string());
    let query = [
        ("action", list.action),
        ("user_id", number(list.user)),
        ("service_account_id", number(list.service_account)),
        ("resource_type", list.resource_type),
        ("resource_id", number(list.resource_id)),
        ("since", list.since.map(|instant| instant.to_string())),
        ("until", list.until.map(|instant| instant.to_string())),
        ("skip", count(list.page.skip)),
        ("limit", count(list.page.limit)),
    ];
    context.output.list(&context.client.get("/audit-logs/", &query)?, &LIST)
}

const LIST: [Column; 8] = [
    Column("ID", "id", Kind::Plain),
    Column("Time", "created_at", Kind::Time),
    Column("Action", "action", Kind::Plain),
    Column("User", "user", Kind::Actor),
    Column("Service account", "service_account", Kind::Actor),
    Column("On", "resource_type", Kind::Plain),
    Column("Its ID", "resource_id", Kind::Plain),
    Column("Detail", "detail", Kind::Plain),
];
