//! `fastpki cert`: certificates.

use clap::{Args, Subcommand};
use fastpki_types::{CertificateRevoke, CertificateStatus, CertificateType, Timestamp};
use jiff::SignedDuration;
use serde::Deserialize;

use super::Context;
use crate::{
    ask, clock,
    error::Error,
    listing::{Listing, Row, Sort},
    options::{Common, Force, Page, duration, instant, named},
    output,
    table::{Column, Kind},
};

mod find;
mod issue;

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
    List(List),
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

#[derive(Args)]
struct List {
    /// Only of the CA with this id.
    #[arg(short, long, value_name = "ID")]
    ca: Option<i32>,
    /// Only with this status.
    #[arg(long, value_parser = named::<CertificateStatus>())]
    status: Option<CertificateStatus>,
    /// Only of this type.
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = named::<CertificateType>())]
    certificate_type: Option<CertificateType>,
    /// Only with this in the common name, in any case.
    #[arg(short = 'n', long, value_name = "TEXT")]
    cn: Option<String>,
    /// Only with this serial number, in hex.
    #[arg(long, value_name = "HEX", value_parser = find::serial)]
    serial: Option<String>,
    /// Only those that end within this time, and have not ended: 30d, 2w, 12h.
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["expires_before", "expires_after"])]
    expires_in: Option<SignedDuration>,
    /// Only those that end before: 2030-01-31, 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "DATE", value_parser = instant)]
    expires_before: Option<Timestamp>,
    /// Only those that end after.
    #[arg(long, value_name = "DATE", value_parser = instant)]
    expires_after: Option<Timestamp>,
    /// In this order: id, not_after or common_name; the other way round behind a '-', as in --sort=-not_after.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    sort: Option<Sort>,
    #[command(flatten)]
    page: Page,
    /// Show all, page by page.
    #[arg(long, conflicts_with_all = ["skip", "limit"])]
    all: bool,
}

pub(super) fn run(group: Cert) -> Result<(), Error> {
    let context = Context::of(&group.common)?;
    match group.command {
        CertCommand::List(list) => show_list(&context, &list),
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

fn show_list(context: &Context, list: &List) -> Result<(), Error> {
    let now = Timestamp::from(clock::now());
    let before = list.expires_in.map(|time| now.plus_seconds(time.as_secs())).or(list.expires_before);
    let after = list.expires_in.map(|_| now).or(list.expires_after);
    let text = |value: Option<&dyn std::fmt::Display>| value.map(ToString::to_string);
    let filters = vec![
        ("ca_id", text(list.ca.as_ref().map(|id| id as _))),
        ("status", text(list.status.as_ref().map(|status| status as _))),
        ("certificate_type", text(list.certificate_type.as_ref().map(|kind| kind as _))),
        ("common_name", list.cn.clone()),
        ("serial_number", list.serial.clone()),
        ("expires_before", text(before.as_ref().map(|instant| instant as _))),
        ("expires_after", text(after.as_ref().map(|instant| instant as _))),
    ];
    // What a server of FastPKI 0.4 leaves to us; the CA is the one filter that it has.
    let matches = |row: &Row| {
        list.status.is_none_or(|status| row.status_at(now) == status.to_string())
            && list.certificate_type.is_none_or(|kind| row.certificate_type == kind.to_string())
            && list.cn.as_ref().is_none_or(|cn| row.common_name.to_lowercase().contains(&cn.to_lowercase()))
            && list.serial.as_ref().is_none_or(|serial| row.serial_number == *serial)
            && before.is_none_or(|before| row.not_after.is_some_and(|end| end < before))
            && after.is_none_or(|after| row.not_after.is_some_and(|end| end > after))
    };
    let page = Page { limit: list.page.limit.or((!list.all).then_some(DEFAULT_LIMIT)), ..list.page };
    let (all, sort) = (list.all, list.sort);
    let listing =
        Listing { path: "/certificates/", filters, matches: &matches, page, all, check: false, sort };
    listing.show(&context.client, context.output, &LIST)
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

const DEFAULT_LIMIT: u64 = 100;
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
