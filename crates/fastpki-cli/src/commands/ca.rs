//! `fastpki ca`: certificate authorities.

use clap::{Args, Subcommand};
use fastpki_types::{CaCreate, CaId, CaUpdate, CertificateRevoke, KeyType, OrganizationId};
use serde::Deserialize;

use super::Context;
use crate::{
    ask, config,
    error::Error,
    listing::{self, Listing},
    options::{Common, Force, Page, named},
    output,
    progress::Progress,
    table::{Column, Kind},
};

/// `fastpki ca`.
#[derive(Args)]
pub struct Ca {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Subcommand)]
enum CaCommand {
    /// List the CAs that you may see.
    #[command(after_help = "Examples:\n  fastpki ca list\n  fastpki ca list -o json | jq -r '.[].name'")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Show a CA.
    #[command(after_help = "Example:\n  fastpki ca show 1")]
    Show {
        /// The CA's id.
        id: i32,
    },
    /// Show a CA and those above it, up to the root.
    #[command(after_help = "Example:\n  fastpki ca chain 2")]
    Chain {
        /// The CA's id.
        id: i32,
    },
    /// List the CAs that a CA has signed.
    #[command(after_help = "Example:\n  fastpki ca children 1")]
    Children {
        /// The CA's id.
        id: i32,
        #[command(flatten)]
        page: Page,
    },
    /// Print a CA's private key, as PKCS#8 PEM.
    ///
    /// It is written to the audit log. To write it to a file that only you can read: fastpki export ca-key.
    #[command(after_help = "Example:\n  fastpki ca private-key 1")]
    PrivateKey {
        /// The CA's id.
        id: i32,
    },
    /// Create a root CA, or with --parent an intermediate CA.
    ///
    /// The server makes the key and keeps it.
    #[command(after_help = "Examples:
  fastpki ca create --name 'Example Root' --subject-dn 'CN=Example Root,O=Example' --key-type ec --path-length 1
  fastpki ca create -n 'Example Issuing' -s 'CN=Example Issuing,O=Example' -p 1 -k 3072 -v 1825")]
    Create(Create),
    /// Change a CA's name, description or settings. For admins of its organization and superusers.
    ///
    /// The addresses of its CRL and certificate stay those of its first name. A new base of these addresses goes into what
    /// it signs from now on: keep the old one working for as long as certificates name it.
    #[command(after_help = "Examples:
  fastpki ca update 2 --allow-leaf-certs              # after a CA was created below it
  fastpki ca update 2 --name 'Example Issuing 2026' --crl-base-url https://pki.example.com")]
    Update {
        /// The CA's id.
        id: i32,
        #[command(flatten)]
        change: Change,
    },
    /// Move a CA into another organization. For superusers.
    #[command(after_help = "Example:\n  fastpki ca assign-org 3 --org 2 --cascade")]
    AssignOrg {
        /// The CA's id.
        id: i32,
        /// The organization's id.
        #[arg(long, value_name = "ID")]
        org: i32,
        /// Move the CAs below it, and certificates that have no organization, too.
        #[arg(long)]
        cascade: bool,
    },
    /// Revoke a CA: its parent puts it on its CRL, and nothing is issued below it any more. Asks first.
    ///
    /// There is no way back. It takes the right to revoke under the parent. A root cannot be revoked: have it removed
    /// wherever it is trusted.
    #[command(after_help = "Examples:
  fastpki ca revoke 3 --reason ca_compromise
  fastpki ca revoke 3 -r superseded --force

Reasons: key_compromise, ca_compromise, affiliation_changed, superseded, cessation_of_operation,
certificate_hold, privilege_withdrawn, aa_compromise; or any text, which goes into the record alone.")]
    Revoke {
        /// The CA's id.
        id: i32,
        /// Why. It goes into the parent's CRL.
        #[arg(short, long)]
        reason: Option<String>,
        #[command(flatten)]
        force: Force,
    },
    /// Delete a CA, with its private key, its certificates and its CRL.
    ///
    /// Its parent revokes it, so that nobody goes on trusting what it signed. There is no way back. Asks first.
    #[command(
        after_help = "Examples:\n  fastpki ca delete 3\n  fastpki ca delete 3 --no-revoke                     # it goes on elsewhere"
    )]
    Delete {
        /// The CA's id.
        id: i32,
        /// Leave its certificate good: then nobody can revoke it any more. Takes the right to revoke under the parent.
        #[arg(long)]
        no_revoke: bool,
        #[command(flatten)]
        force: Force,
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
    /// It may issue certificates that are not CAs.
    #[arg(long, overrides_with = "no_leaf_certs")]
    allow_leaf_certs: bool,
    /// It may issue nothing but CAs.
    #[arg(long)]
    no_leaf_certs: bool,
    /// Base of the addresses of its CRL and certificate in what it signs from now on; empty for the server's.
    #[arg(long, value_name = "URL")]
    crl_base_url: Option<String>,
}

#[derive(Args)]
struct Create {
    /// What people call it.
    #[arg(short, long)]
    name: String,
    /// The subject of its certificate, such as 'CN=Example Root,O=Example'. [default: CN= and the name]
    #[arg(short, long, value_name = "DN")]
    subject_dn: Option<String>,
    /// Free text.
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
    /// The family of its key. [default: rsa]
    #[arg(long, value_name = "TYPE", value_parser = named::<KeyType>())]
    key_type: Option<KeyType>,
    /// Bits of its key. [default: defaults.ca_key_size of the configuration for RSA keys, the server's]
    #[arg(short, long, value_name = "BITS")]
    key_size: Option<u32>,
    /// Days for which it is to be valid. [default: defaults.ca_valid_days of the configuration, the server's]
    #[arg(short, long, value_name = "DAYS")]
    valid_days: Option<u32>,
    /// Id of the CA that is to sign it. Without one, it signs itself.
    #[arg(short, long, value_name = "ID")]
    parent: Option<i32>,
    /// How many CAs may follow below it. [default: the parent's minus one, or no limit]
    #[arg(long, value_name = "N")]
    path_length: Option<u8>,
    /// It may issue certificates that are not CAs. [default]
    #[arg(long, overrides_with = "no_leaf_certs")]
    allow_leaf_certs: bool,
    /// It may issue nothing but CAs.
    #[arg(long)]
    no_leaf_certs: bool,
    /// Base of the addresses of its CRL and certificate in what it signs. [default: the server's]
    #[arg(long, value_name = "URL")]
    crl_base_url: Option<String>,
}

pub(super) fn run(group: Ca) -> Result<(), Error> {
    let context = Context::of(&group.common)?;
    let (client, output) = (&context.client, context.output);
    match group.command {
        CaCommand::List { page } => {
            let listing = Listing {
                path: "/cas/",
                filters: Vec::new(),
                matches: &|_| true,
                page,
                all: false,
                check: false,
                sort: None,
            };
            listing.show(client, output, &LIST)
        }
        CaCommand::Show { id } => output.detail(&client.get(&format!("/cas/{id}"), &[])?, &DETAIL),
        CaCommand::Chain { id } => output.list(&client.get(&format!("/cas/{id}/chain"), &[])?, &LIST),
        CaCommand::Children { id, page } => {
            listing::show_part(&client.get(&format!("/cas/{id}/children"), &[])?, page, output, &LIST)
        }
        CaCommand::PrivateKey { id } => private_key(&context, id),
        CaCommand::Create(create) => make(&context, create),
        CaCommand::AssignOrg { id, org, cascade } => {
            let body =
                CaUpdate { organization_id: Some(OrganizationId(org)), cascade, ..CaUpdate::default() };
            output.detail(&client.patch(&format!("/cas/{id}"), &body)?, &DETAIL)
        }
        CaCommand::Update { id, change } => {
            let body = CaUpdate {
                name: change.name,
                description: change.description,
                allow_leaf_certs: flag(change.allow_leaf_certs, change.no_leaf_certs),
                crl_base_url: change.crl_base_url,
                ..CaUpdate::default()
            };
            output.detail(&client.patch(&format!("/cas/{id}"), &body)?, &DETAIL)
        }
        CaCommand::Revoke { id, reason, force } => revoke(&context, id, reason, force.force),
        CaCommand::Delete { id, no_revoke, force } => delete(&context, id, no_revoke, force.force),
    }
}

fn make(context: &Context, create: Create) -> Result<(), Error> {
    let rsa = create.key_type.is_none_or(|key_type| key_type == KeyType::Rsa);
    let key_size =
        if rsa { context.or_default(create.key_size, config::CA_KEY_SIZE)? } else { create.key_size };
    let body = CaCreate {
        subject_dn: create.subject_dn.unwrap_or_else(|| super::cert::subject_of(&create.name)),
        name: create.name,
        description: create.description,
        key_type: create.key_type,
        key_size,
        valid_days: context.or_default(create.valid_days, config::CA_VALID_DAYS)?,
        parent_ca_id: create.parent.map(CaId),
        path_length: create.path_length,
        allow_leaf_certs: flag(create.allow_leaf_certs, create.no_leaf_certs),
        crl_base_url: create.crl_base_url,
    };
    let progress = Progress::waiting("the server makes the key and the certificate");
    let answer = context.client.post("/cas/", &[], &body)?;
    drop(progress);
    context.output.detail(&answer, &DETAIL)
}

fn private_key(context: &Context, id: i32) -> Result<(), Error> {
    let answer = context.client.get(&format!("/cas/{id}/private-key"), &[])?;
    let key: super::WithKey = answer.parse()?;
    match key.private_key {
        Some(key) => context.output.either(&answer, key.expose()),
        None => Err(Error::Failed(format!("the server holds no private key for CA {id}"))),
    }
}

/// Of two options that contradict each other, the one that was given.
fn flag(yes: bool, no: bool) -> Option<bool> {
    match (yes, no) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

fn revoke(context: &Context, id: i32, reason: Option<String>, force: bool) -> Result<(), Error> {
    if !force {
        let name = name_of(context, id)?;
        ask::confirm(&format!("Revoke CA {id} ({name}) and all below it for good?"), false)?;
    }
    let answer = context.client.post(&format!("/cas/{id}/revoke"), &[], &CertificateRevoke { reason })?;
    context.output.detail(&answer, &DETAIL)?;
    output::note(&format!("CA {id} is revoked: its parent's CRL says so from now on"));
    Ok(())
}

/// A CA's name, harmless on a terminal.
fn name_of(context: &Context, id: i32) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let ca: Named = context.client.get(&format!("/cas/{id}"), &[])?.parse()?;
    Ok(ca.name.escape_debug().to_string())
}

fn delete(context: &Context, id: i32, no_revoke: bool, force: bool) -> Result<(), Error> {
    if !force {
        let name = name_of(context, id)?;
        let question = format!("Delete CA {id} ({name}) with its private key, its certificates and its CRL?");
        ask::confirm(&question, false)?;
    }
    let query = if no_revoke { "?revoke=false" } else { "" };
    let answer = context.client.delete(&format!("/cas/{id}{query}"))?;
    context.output.done(&answer, &format!("CA {id} is deleted"))?;
    output::note("relying parties see no CRL of it any more");
    Ok(())
}

const LIST: [Column; 7] = [
    Column("ID", "id", Kind::Plain),
    Column("Name", "name", Kind::Plain),
    Column("Subject", "subject_dn", Kind::Plain),
    Column("Parent", "parent_ca_id", Kind::Plain),
    Column("Org", "organization_id", Kind::Plain),
    Column("Ends", "certificate", Kind::EndOfPem),
    Column("Status", "certificate", Kind::CaStatus),
];
const DETAIL: [Column; 19] = [
    Column("ID", "id", Kind::Plain),
    Column("Name", "name", Kind::Plain),
    Column("Description", "description", Kind::Plain),
    Column("Subject", "subject_dn", Kind::Plain),
    Column("Status", "certificate", Kind::CaStatus),
    Column("Ends", "certificate", Kind::EndOfPem),
    Column("Revoked", "revoked_at", Kind::Time),
    Column("Reason", "revocation_reason", Kind::Plain),
    Column("Valid days", "valid_days", Kind::Plain),
    Column("Key type", "key_type", Kind::Plain),
    Column("Key size", "key_size", Kind::Plain),
    Column("Root", "is_root", Kind::Plain),
    Column("Parent", "parent_ca_id", Kind::Plain),
    Column("Path length", "path_length", Kind::Plain),
    Column("Leaf certificates", "allow_leaf_certs", Kind::Plain),
    Column("CRL base URL", "crl_base_url", Kind::Plain),
    Column("Organization", "organization_id", Kind::Plain),
    Column("Created by user", "created_by_user_id", Kind::Plain),
    Column("Created", "created_at", Kind::Time),
];
