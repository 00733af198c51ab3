//! `fastpki export`: certificates and keys as files.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use fastpki_x509::Certificate;

use crate::{
    client::{Answer, Client},
    config::Config,
    error::Error,
    files::{self, Mode, Place},
    options::Reach,
    output,
};

mod bundle;
mod p12;

/// `fastpki export`.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    command: ExportCommand,
}

#[derive(Subcommand)]
enum ExportCommand {
    /// Write a CA's certificate, as PEM.
    #[command(
        after_help = "Examples:\n  fastpki export ca-cert 1 -o root.pem\n  fastpki export ca-cert 1 -o -"
    )]
    CaCert {
        /// The CA's id.
        id: i32,
        #[command(flatten)]
        file: PublicFile,
    },
    /// Write a CA's private key, as PKCS#8 PEM, readable for you alone. It is written to the audit log.
    #[command(after_help = "Example:\n  fastpki export ca-key 1 -o root.key")]
    CaKey {
        /// The CA's id.
        id: i32,
        #[command(flatten)]
        file: KeyFile,
    },
    /// Write a certificate: as PEM, as DER, or with its key and its chain as PKCS#12.
    ///
    /// A PKCS#12 file is made on this host, under a password: asked for, or the first line of --password-file. It has
    /// the private key that the server holds, or that of --key.
    #[command(after_help = "Examples:
  fastpki export cert 12 -o www.pem
  fastpki export cert 12 --format der
  fastpki export cert 12 --format p12 -o www.p12
  fastpki export cert 13 --format p12 --key db.key --password-file password")]
    Cert(Box<CertificateExport>),
    /// Write a certificate's private key, as PKCS#8 PEM, readable for you alone. It is written to the audit log.
    #[command(after_help = "Example:\n  fastpki export cert-key 12 -o www.key")]
    CertKey {
        /// The certificate's id.
        id: i32,
        #[command(flatten)]
        file: KeyFile,
    },
    /// Write a certificate and its issuers up to the root, as PEM.
    #[command(after_help = "Example:\n  fastpki export cert-chain 12 -o fullchain.pem")]
    CertChain {
        /// The certificate's id.
        id: i32,
        #[command(flatten)]
        file: PublicFile,
    },
    /// Write the root certificates above all CAs that you may see, as one PEM file: a trust bundle.
    #[command(after_help = "Examples:
  fastpki export bundle -o /usr/local/share/ca-certificates/fastpki.crt
  fastpki export bundle --all -o - | openssl verify -CAfile /dev/stdin www.pem")]
    Bundle {
        /// Intermediate CAs too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        file: PublicFile,
    },
}

#[derive(Args)]
struct PublicFile {
    /// Where to; - is standard output. What is there is replaced. [default: the server's name for it, in this folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Args)]
struct KeyFile {
    /// Where to; - is standard output. [default: the server's name for it, in this folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there.
    #[arg(short, long)]
    force: bool,
}

#[derive(Args)]
struct CertificateExport {
    /// The certificate's id.
    id: i32,
    /// As what.
    #[arg(long, value_enum, default_value_t = Encoding::Pem)]
    format: Encoding,
    #[command(flatten)]
    file: KeyFile,
    /// For p12: the private key, as PEM, where the server holds none.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// For p12: the first line of this file is the password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Encoding {
    /// Base64 between two lines.
    Pem,
    /// Bytes.
    Der,
    /// PKCS#12, with private key and chain.
    P12,
}

pub(super) fn run(group: Export) -> Result<(), Error> {
    let client = Client::of(&group.reach, &Config::load()?)?;
    match group.command {
        ExportCommand::CaCert { id, file } => public(&client, &format!("/export/ca/{id}/certificate"), &file),
        ExportCommand::CaKey { id, file } => key(&client, &format!("/export/ca/{id}/private-key"), &file),
        ExportCommand::Cert(export) => certificate(&client, &export),
        ExportCommand::CertKey { id, file } => {
            key(&client, &format!("/export/certificate/{id}/private-key"), &file)
        }
        ExportCommand::CertChain { id, file } => {
            public(&client, &format!("/export/certificate/{id}/chain"), &file)
        }
        ExportCommand::Bundle { all, file } => {
            let bundle = bundle::certificates(&client, all)?;
            write(
                &Place::of(file.output.as_deref(), "fastpki-ca-bundle.pem"),
                bundle.as_bytes(),
                Mode::Public,
                true,
            )
        }
    }
}

fn public(client: &Client, path: &str, file: &PublicFile) -> Result<(), Error> {
    let answer = client.get(path, &[])?;
    let place = place(file.output.as_deref(), &answer)?;
    write(&place, answer.text.as_bytes(), Mode::Public, true)
}

fn key(client: &Client, path: &str, file: &KeyFile) -> Result<(), Error> {
    // Before the server writes down that the key was exported.
    spare(file)?;
    let answer = client.get(path, &[])?;
    let place = place(file.output.as_deref(), &answer)?;
    write(&place, answer.text.as_bytes(), Mode::Private, file.force)
}

fn certificate(client: &Client, export: &CertificateExport) -> Result<(), Error> {
    let path = format!("/export/certificate/{}", export.id);
    let p12 = export.format == Encoding::P12;
    if !p12 && (export.key.is_some() || export.password_file.is_some()) {
        return Err(Error::Usage("--key and --password-file are for --format p12".into()));
    }
    if !p12 {
        let answer = client.get(&path, &[])?;
        let place = place(export.file.output.as_deref(), &answer)?;
        return match export.format {
            Encoding::Der => write(&place.ending_in("der"), &der(&answer, export.id)?, Mode::Public, true),
            _ => write(&place, answer.text.as_bytes(), Mode::Public, true),
        };
    }
    spare(&export.file)?;
    let place = Place::of(export.file.output.as_deref(), &format!("certificate_{}.p12", export.id));
    place.spare(export.file.force)?;
    let sealed = p12::seal(client, export.id, export.key.as_deref(), export.password_file.as_deref())?;
    write(&place, &sealed, Mode::Private, export.file.force)
}

fn der(answer: &Answer, id: i32) -> Result<Vec<u8>, Error> {
    let read = Certificate::from_pem(&answer.text).map(|certificate| certificate.der().to_vec());
    read.map_err(|cause| Error::Pki { what: format!("certificate {id}"), cause })
}

fn spare(file: &KeyFile) -> Result<(), Error> {
    file.output.as_deref().map_or(Ok(()), |path| Place::of(Some(path), "").spare(file.force))
}

fn place(option: Option<&Path>, answer: &Answer) -> Result<Place, Error> {
    match (option, &answer.file_name) {
        (None, None) => Err(Error::Usage("the server suggests no name for the file: give --output".into())),
        (option, name) => Ok(Place::of(option, name.as_deref().unwrap_or_default())),
    }
}

fn write(place: &Place, content: &[u8], mode: Mode, replace: bool) -> Result<(), Error> {
    match place {
        Place::Stdout => output::print_bytes(content),
        Place::File(path) => {
            files::write(path, content, mode, replace)?;
            output::note(&format!("written: {}", path.display()));
            Ok(())
        }
    }
}
