//! `fastpki cert`: certificates.

use clap::{Args, Subcommand};
use fastpki_types::CertificateRevoke;
use serde::Deserialize;

use super::Context;
use crate::{
    ask,
    error::Error,
    options::{Common, Force},
    output,
    table::{Column, Kind},
};

mod find;
mod issue;
mod search;

pub(super) use issue::subject_of;

/// `fastpki cert`.
#[derive(Args)]
pub struct Cert {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: CertCommand,
}

#[derive(Subcommand)]
enum CertCommand {
    /// List and search the certificates that you may see.
    ///
    /// Shows the first 100, unless --limit or --all say otherwise.
    #[command(after_help = "Examples:
  fastpki cert list --ca 2
  fastpki cert list --expires-in 30d --sort not_after
  fastpki cert list --status revoked --type server --cn example.com
  fastpki cert list --all -o json | jq length")]
    List(search::Search),
    /// Find a certificate by serial number, by fingerprint, or by a file that has it.
    ///
    /// Exits with 1 if the server knows none.
    #[command(after_help = "Examples:
  fastpki cert find 3a:91:0c:…                        # serial number in hex, with or without colons or 0x
  fastpki cert find 5f2b…                             # SHA-256 fingerprint: 64 hex digits
  fastpki cert find /etc/ssl/www.crt                  # PEM or DER")]
    Find {
        /// A serial number, a SHA-256 fingerprint, or a file.
        #[arg(value_name = "SERIAL|FINGERPRINT|FILE")]
        what: String,
    },
    /// Show a certificate.
    #[command(after_help = "Example:\n  fastpki cert show 12")]
    Show {
        /// The certificate's id.
        id: i32,
    },
    /// Print a certificate's private key, as PKCS#8 PEM, where the server holds one.
    ///
    /// It is written to the audit log. To write it to a file that only you can read: fastpki export cert-key.
    #[command(after_help = "Example:\n  fastpki cert private-key 12")]
    PrivateKey {
        /// The certificate's id.
        id: i32,
    },
    /// Issue a certificate with a key that the server makes and keeps.
    ///
    /// For a key that stays on this host: fastpki cert request.
    #[command(after_help = "Examples:
  fastpki cert create --ca 2 --cn www.example.com --san-dns www.example.com --san-dns example.com
  fastpki cert create -c 2 --cn alice@example.com -t client --san-email alice@example.com --key-type ec
  fastpki cert create -c 2 --cn www.example.com --out-dir /etc/ssl/www")]
    Create(issue::Create),
    /// Make a key and a request on this host, and have it signed: the key leaves this host never.
    #[command(after_help = "Example:
  fastpki cert request --ca 2 --cn db.example.com --san-dns db.example.com --out-dir /etc/ssl/db")]
    Request(issue::RequestCertificate),
    /// Have a CSR signed.
    #[command(after_help = "Examples:
  fastpki cert sign-csr db.csr --ca 2
  fastpki cert sign-csr db.csr --ca-name 'Example Issuing' --type dual_purpose --san-dns db.example.com")]
    SignCsr(issue::SignCsr),
    /// Issue a certificate anew: same names, same length of validity, from now on. The old one stays valid.
    #[command(after_help = "Examples:
  fastpki cert renew 12 --out-dir /etc/ssl/www        # the server made the key: it makes a new one
  fastpki cert renew 13 --csr db.csr                  # the key came in a CSR: a new CSR")]
    Renew(issue::Renew),
    /// Revoke a certificate. There is no way back. Asks first.
    #[command(after_help = "Examples:
  fastpki cert revoke 12 --reason key_compromise
  fastpki cert revoke 12 -r superseded --force

Reasons: key_compromise, ca_compromise, affiliation_changed, superseded, cessation_of_operation,
certificate_hold, privilege_withdrawn, aa_compromise; or any text, which goes into the record alone.")]
    Revoke {
        /// The certificate's id.
        id: i32,
        /// Why. It goes into the CRL.
        #[arg(short, long)]
        reason: Option<String>,
        #[command(flatten)]
        force: Force,
    },
}

pub(super) fn run(group: Cert) -> Result<(), Error> {
    let context = Context::of(&group.common)?;
    match group.command {
        CertCommand::List(list) => search::run(&context, &list),
        CertCommand::Find { what } => find::run(&context, &what),
        CertCommand::Show { id } => {
            context.output.detail(&context.client.get(&format!("/certificates/{id}"), &[])?, &DETAIL)
        }
        CertCommand::PrivateKey { id } => private_key(&context, id),
        CertCommand::Create(create) => issue::create(&context, create),
        CertCommand::Request(request) => issue::request(&context, request),
        CertCommand::SignCsr(sign) => issue::sign_csr(&context, sign),
        CertCommand::Renew(renew) => issue::renew(&context, renew),
        CertCommand::Revoke { id, reason, force } => revoke(&context, id, reason, force.force),
    }
}

fn private_key(context: &Context, id: i32) -> Result<(), Error> {
    let answer = context.client.get(&format!("/certificates/{id}/private-key"), &[])?;
    let key: super::WithKey = answer.parse()?;
    match key.private_key {
        Some(key) => context.output.either(&answer, key.expose()),
        None => Err(Error::Failed(format!(
            "the server holds no private key for certificate {id}: it was issued from a CSR, or without keeping the key"
        ))),
    }
}

fn revoke(context: &Context, id: i32, reason: Option<String>, force: bool) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Named {
        common_name: String,
    }
    if !force {
        let certificate: Named = context.client.get(&format!("/certificates/{id}"), &[])?.parse()?;
        ask::confirm(
            &format!("Revoke certificate {id} ({}) for good?", certificate.common_name.escape_debug()),
            false,
        )?;
    }
    let path = format!("/certificates/{id}/revoke");
    let answer = context.client.post(&path, &[], &CertificateRevoke { reason })?;
    context.output.detail(&answer, &DETAIL)?;
    output::note(&format!("certificate {id} is revoked"));
    Ok(())
}

const LIST: [Column; 7] = [
    Column("ID", "id", Kind::Plain),
    Column("Common name", "common_name", Kind::Plain),
    Column("Type", "certificate_type", Kind::Plain),
    Column("CA", "issuer_id", Kind::Plain),
    Column("Begins", "not_before", Kind::Date),
    Column("Ends", "not_after", Kind::Date),
    Column("Status", "status", Kind::CertificateStatus),
];
const DETAIL: [Column; 18] = [
    Column("ID", "id", Kind::Plain),
    Column("Common name", "common_name", Kind::Plain),
    Column("Subject", "subject_dn", Kind::Plain),
    Column("Type", "certificate_type", Kind::Plain),
    Column("Status", "status", Kind::CertificateStatus),
    Column("Serial number", "serial_number", Kind::Plain),
    Column("Begins", "not_before", Kind::Time),
    Column("Ends", "not_after", Kind::Time),
    Column("Revoked", "revoked_at", Kind::Time),
    Column("Key type", "key_type", Kind::Plain),
    Column("Key size", "key_size", Kind::Plain),
    Column("CA", "issuer_id", Kind::Plain),
    Column("Organization", "organization_id", Kind::Plain),
    Column("Renews", "renewed_from_id", Kind::Plain),
    Column("Renewed by", "renewed_to_ids", Kind::Plain),
    Column("Created by user", "created_by_user_id", Kind::Plain),
    Column("Created by service account", "created_by_service_account_id", Kind::Plain),
    Column("Recorded", "created_at", Kind::Time),
];
