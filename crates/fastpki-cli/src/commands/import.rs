//! `fastpki import`: bringing along a CA that another program kept, with what it issued.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fastpki_types::{Ca, CaId, CaImported, OrganizationId};
use fastpki_x509::{
    Certificate,
    import::{Plan, plan},
};
use reqwest::StatusCode;

use super::Context;
use crate::{
    ask,
    client::Answer,
    clock,
    error::Error,
    options::Common,
    output, pki,
    progress::Progress,
    table::{self, Column, Kind},
};

mod contents;
mod passphrases;
mod places;
mod request;
mod summary;

use contents::Contents;
use passphrases::Passphrases;
use places::{Named, Places};
use summary::Summary;

/// `fastpki import`.
#[derive(Args)]
pub struct Import {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Subcommand)]
enum ImportCommand {
    /// Bring along a CA of Easy-RSA 3.
    ///
    /// DIR is the folder that has pki/, or pki/ itself. A sub-CA has a folder of its own: import its root first, then
    /// the sub-CA, which then hangs below it.
    #[command(after_help = "Examples:
  fastpki import easy-rsa /etc/openvpn/easy-rsa --dry-run
  fastpki import easy-rsa /etc/openvpn/easy-rsa --name 'Example VPN' --org 1
  fastpki import easy-rsa ~/sub-ca --passphrase-file passphrase --no-keys --yes")]
    EasyRsa(Folder),
    /// Bring along a CA of openssl ca.
    ///
    /// DIR is what `dir` is in openssl.cnf, such as demoCA. Found are a CA certificate called cacert.pem, ca.crt or ca.pem,
    /// its key in private/, certificates in newcerts/ and certs/, index.txt, crlnumber and CRLs; where yours have other
    /// names, say so with the options.
    #[command(after_help = "Examples:
  fastpki import openssl-ca demoCA --dry-run
  fastpki import openssl-ca /root/ca/intermediate --cert certs/intermediate.cert.pem --key private/intermediate.key.pem
  fastpki import openssl-ca keys                      # a folder of Easy-RSA 2")]
    OpensslCa(Folder),
    /// Bring along a CA that is a certificate and a private key.
    ///
    /// With --certs what it issued, and with --crl what it revoked: its next CRLs go on naming that.
    #[command(after_help = "Examples:
  fastpki import ca --cert root.crt --key root.key
  fastpki import ca --cert root.crt --key root.key --certs issued/ --crl root.crl --name 'Old Root'")]
    Ca(Alone),
}

#[derive(Args)]
struct Folder {
    /// Where the CA lies.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The CA's certificate, if it is not the one that is found; a path within DIR, or from here.
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The CA's private key, if it is not the one that is found.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    more: More,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Alone {
    /// The CA's certificate, in PEM or DER.
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Its private key, in PEM or DER.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    more: More,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct More {
    /// A certificate that the CA issued, or a folder of them. Can be given again.
    #[arg(long, value_name = "PATH")]
    certs: Vec<PathBuf>,
    /// The newest CRL of the CA.
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,
}

#[derive(Args)]
struct Options {
    /// What people are to call the CA. [default: the common name of its certificate]
    #[arg(short, long)]
    name: Option<String>,
    /// Free text.
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
    /// Id of the organization it is to belong to. [default: your own]
    #[arg(long, value_name = "ID")]
    org: Option<i32>,
    /// Base of the addresses of CRL and certificate in what it signs from now on. [default: the server's]
    #[arg(long, value_name = "URL")]
    crl_base_url: Option<String>,
    /// Leave the private keys of certificates where they are: they are renewed with a CSR then.
    #[arg(long)]
    no_keys: bool,
    /// The first line of this file opens encrypted private keys. Without it, you are asked.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Show what would happen, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask. Needed where there is no terminal.
    #[arg(short, long)]
    yes: bool,
    /// Show every remark, and not just the first of each kind.
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(group: Import) -> Result<(), Error> {
    let context = Context::of(&group.common)?;
    let (places, options) = match group.command {
        ImportCommand::EasyRsa(it) => {
            (Places::easy_rsa(&it.folder, named(it.cert, it.key, it.more)), it.options)
        }
        ImportCommand::OpensslCa(it) => {
            (Places::openssl_ca(&it.folder, named(it.cert, it.key, it.more)), it.options)
        }
        ImportCommand::Ca(it) => (Places::alone(named(Some(it.cert), Some(it.key), it.more)), it.options),
    };
    let plan = look(&context, places?, &options)?;
    bring(&context, &plan, &options)
}

fn named(cert: Option<PathBuf>, key: Option<PathBuf>, more: More) -> Named {
    Named { cert, key, certs: more.certs, crl: more.crl }
}

/// Reads and judges everything on this host, and tells; fails where nothing could be imported.
fn look(context: &Context, places: Places, options: &Options) -> Result<Plan, Error> {
    let mut contents = Contents::read(places, !options.no_keys)?;
    let given = options.passphrase_file.as_deref().map(pki::first_line).transpose()?;
    Passphrases::new(given).open(&mut contents)?;
    let now = clock::now();
    let mut plan = contents.inputs(now, plan);
    request::make_acceptable(&mut plan, now);
    let parent = match &plan.authority {
        Some(authority) if !authority.is_root => parent(context, &authority.certificate)?,
        _ => None,
    };
    let summary =
        Summary { plan: &plan, contents: &contents, parent: parent.as_ref(), verbose: options.verbose };
    // Standard output is the answer's where that is JSON.
    if context.output.is_json() {
        output::note(&summary.text())
    } else {
        output::print(&summary.text())?
    }
    if plan.is_blocked() || plan.authority.is_none() {
        return Err(Error::Failed(
            "this cannot be imported, see above; nothing was sent to the server".into(),
        ));
    }
    Ok(plan)
}

/// The CA of the server that signed this one.
fn parent(context: &Context, certificate: &Certificate) -> Result<Option<Ca>, Error> {
    let cas: Vec<Ca> = context.client.get("/cas/", &[])?.parse()?;
    let signed = |ca: &Ca| {
        Certificate::from_pem(&ca.certificate).is_ok_and(|issuer| certificate.is_issued_by(&issuer).is_ok())
    };
    Ok(cas.into_iter().find(signed))
}

/// Has the server say what would happen, asks, and has it done.
fn bring(context: &Context, plan: &Plan, options: &Options) -> Result<(), Error> {
    let mut requests = request::requests(plan, options)?;
    if requests.len() > 1 {
        output::note(&format!(
            "this takes {} requests, each of which is all or nothing by itself; if one fails, run this again: what has been \
             imported stays, and is not imported twice (--no-keys makes it less)",
            requests.len()
        ));
    }
    let mut send = |dry_run: bool| -> Result<(Option<Answer>, CaImported), Error> {
        let (what, mut answers) =
            (if dry_run { "the server looks at it" } else { "the server imports it" }, Vec::new());
        let progress = Progress::counting(what, requests.len());
        for request in &mut requests {
            request.dry_run = dry_run;
            answers.push(context.client.post("/cas/import", &[], request).map_err(advised)?);
            progress.reached(answers.len());
        }
        drop(progress);
        let report = sum(&answers)?;
        Ok((answers.pop().filter(|_| answers.is_empty()), report))
    };
    let (answer, report) = send(true)?;
    if options.dry_run {
        return show(context, answer.as_ref(), &report);
    }
    if is_new(&report) {
        ask::consent(&question(&report, plan, context.client.server()), options.yes)?;
    }
    // Even where nothing is new: the number of the next CRL may be.
    let (answer, report) = send(false)?;
    show(context, answer.as_ref(), &report)?;
    if is_new(&report) {
        output::note(
            "stop the other program now: two that issue and revoke for one CA contradict each other",
        );
    }
    Ok(())
}

fn question(report: &CaImported, plan: &Plan, server: &str) -> String {
    let subject = plan.authority.as_ref().map(|it| it.certificate.subject().to_string()).unwrap_or_default();
    let (verb, subject) = (if report.created { "Import" } else { "Add to" }, table::harmless(&subject));
    let (certificates, revocations) = (report.certificates, report.revocations);
    format!("{verb} the CA {subject} at {server}: {certificates} certificates and {revocations} revocations?")
}

fn is_new(report: &CaImported) -> bool {
    report.created || report.certificates > 0 || report.revocations > 0
}

/// The report of several requests.
fn sum(answers: &[Answer]) -> Result<CaImported, Error> {
    let reports = answers.iter().map(Answer::parse::<CaImported>).collect::<Result<Vec<_>, _>>()?;
    let added = reports.into_iter().reduce(|all, next| CaImported {
        ca: next.ca,
        created: all.created,
        certificates: all.certificates + next.certificates,
        certificates_present: all.certificates_present + next.certificates_present,
        revocations: all.revocations + next.revocations,
        revocations_present: all.revocations_present + next.revocations_present,
        dry_run: all.dry_run,
        warnings: all.warnings,
    });
    added.ok_or_else(|| Error::Failed("there is nothing to import".into()))
}

fn show(context: &Context, answer: Option<&Answer>, report: &CaImported) -> Result<(), Error> {
    let failed = |error: serde_json::Error| Error::Failed(error.to_string());
    if context.output.is_json() {
        let text = match answer {
            Some(answer) => answer.text.to_string(),
            None => serde_json::to_string(report).map_err(failed)?,
        };
        output::print(&text)?;
    } else {
        let mut fields = serde_json::to_value(report).map_err(failed)?;
        for field in ["id", "name", "parent_ca_id", "organization_id"] {
            fields[field] = fields["ca"][field].take();
        }
        output::print(&format!("\n{}", table::detail(&fields, &REPORT, clock::now())))?;
    }
    for warning in &report.warnings {
        output::note(&format!("warning: {}", table::harmless(warning)));
    }
    let ca = |id: CaId| format!("as CA {id}");
    let known = report.ca.as_ref().map(|it| ca(it.id)).unwrap_or_default();
    output::note(&match (report.dry_run, is_new(report)) {
        (true, _) => "nothing was changed: that was a dry run".to_owned(),
        (false, true) => format!("it is imported {known}"),
        (false, false) => format!("nothing has changed: all of it was there {known}"),
    });
    Ok(())
}

fn advised(error: Error) -> Error {
    let Error::Refused { status, detail, advice } = error else { return error };
    let advice = match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            return Error::Failed("this server imports no CAs: FastPKI does from version 0.5 on".into());
        }
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
            "a proxy may let less pass, or the way is slow: --no-keys sends less, or run this beside the server".into()
        }
        StatusCode::CONFLICT => {
            "--org names the organization that a CA belongs to; `fastpki ca list` shows which".into()
        }
        _ => advice,
    };
    Error::Refused { status, detail, advice }
}

fn organization(options: &Options) -> Option<OrganizationId> {
    options.org.map(OrganizationId)
}

const REPORT: [Column; 9] = [
    Column("CA", "id", Kind::Plain),
    Column("Name", "name", Kind::Plain),
    Column("Parent", "parent_ca_id", Kind::Plain),
    Column("Organization", "organization_id", Kind::Plain),
    Column("New CA", "created", Kind::Plain),
    Column("New certificates", "certificates", Kind::Plain),
    Column("Certificates that were there", "certificates_present", Kind::Plain),
    Column("New revocations", "revocations", Kind::Plain),
    Column("Revocations that were there", "revocations_present", Kind::Plain),
];
