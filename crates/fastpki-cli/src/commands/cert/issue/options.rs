//! What new certificates are asked for with.

use std::path::PathBuf;

use clap::Args;
use fastpki_types::{CertificateType, KeyType, SanRequest};

use crate::{
    delivery::OutDir,
    options::{Force, named},
};

/// What a certificate is to say.
#[derive(Args)]
pub(in crate::commands::cert) struct Names {
    /// The common name.
    #[arg(short = 'n', long)]
    pub(super) cn: String,
    /// The subject, such as 'CN=www.example.com,O=Example'. [default: CN= and the common name]
    #[arg(short, long, value_name = "DN")]
    pub(super) subject_dn: Option<String>,
    #[command(flatten)]
    pub(super) sans: SanOptions,
}

#[derive(Args)]
pub(in crate::commands::cert) struct SanOptions {
    /// A host name in it; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(super) san_dns: Vec<String>,
    /// An IP address in it; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) san_ip: Vec<String>,
    /// An e-mail address in it; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) san_email: Vec<String>,
}

#[derive(Args)]
pub(in crate::commands::cert) struct Terms {
    /// What it is for.
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "server", value_parser = named::<CertificateType>())]
    pub(super) certificate_type: CertificateType,
    /// Days for which it is to be valid. [default: defaults.cert_valid_days of the configuration, the server's]
    #[arg(short, long, value_name = "DAYS")]
    pub(super) valid_days: Option<u32>,
}

#[derive(Args)]
pub(in crate::commands::cert) struct KeyOptions {
    /// The family of its key. [default: rsa]
    #[arg(long, value_name = "TYPE", value_parser = named::<KeyType>())]
    pub(super) key_type: Option<KeyType>,
    /// Bits of its key. [default: defaults.cert_key_size of the configuration for RSA keys, the server's]
    #[arg(short, long, value_name = "BITS")]
    pub(super) key_size: Option<u32>,
}

#[derive(Args)]
pub(in crate::commands::cert) struct Create {
    /// Id of the CA that is to issue it.
    #[arg(short, long, value_name = "ID")]
    pub(super) ca: i32,
    #[command(flatten)]
    pub(super) names: Names,
    #[command(flatten)]
    pub(super) terms: Terms,
    #[command(flatten)]
    pub(super) key: KeyOptions,
    /// Throw the key away at once: the certificate is useless but as a placeholder.
    #[arg(long)]
    pub(super) no_private_key: bool,
    #[command(flatten)]
    pub(super) out: OutDir,
    /// Replace a key that lies in --out-dir.
    #[arg(short, long, requires = "out_dir")]
    pub(super) force: bool,
}

#[derive(Args)]
#[group(id = "authority", required = true, multiple = false, args = ["ca", "ca_name"])]
pub(in crate::commands::cert) struct Authority {
    /// Id of the CA that is to sign it.
    #[arg(short, long, value_name = "ID")]
    pub(super) ca: Option<i32>,
    /// Name of the CA that is to sign it.
    #[arg(long, value_name = "NAME")]
    pub(super) ca_name: Option<String>,
}

#[derive(Args)]
pub(in crate::commands::cert) struct RequestCertificate {
    #[command(flatten)]
    pub(super) authority: Authority,
    #[command(flatten)]
    pub(super) names: Names,
    #[command(flatten)]
    pub(super) terms: Terms,
    /// The family of its key.
    #[arg(long, value_name = "TYPE", default_value = "rsa", value_parser = named::<KeyType>())]
    pub(super) key_type: KeyType,
    /// Bits of its key. [default: defaults.cert_key_size of the configuration or 2048 for RSA keys, 256 for EC keys]
    #[arg(short, long, value_name = "BITS")]
    pub(super) key_size: Option<u32>,
    #[command(flatten)]
    pub(super) out: OutDir,
    #[command(flatten)]
    pub(super) force: Force,
}

#[derive(Args)]
pub(in crate::commands::cert) struct SignCsr {
    /// The CSR: PKCS#10 in PEM; - is standard input.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) authority: Authority,
    #[command(flatten)]
    pub(super) terms: Terms,
    /// Takes the place of the CSR's common name.
    #[arg(short = 'n', long)]
    pub(super) cn: Option<String>,
    /// Takes the place of the CSR's subject.
    #[arg(short, long, value_name = "DN")]
    pub(super) subject_dn: Option<String>,
    #[command(flatten)]
    pub(super) sans: SanOptions,
    #[command(flatten)]
    pub(super) out: OutDir,
}

#[derive(Args)]
pub(in crate::commands::cert) struct Renew {
    /// The certificate's id.
    pub(super) id: i32,
    /// A new CSR, for a certificate whose key came in one; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) csr: Option<PathBuf>,
    /// Renew it although it is revoked.
    #[arg(long)]
    pub(super) revoked: bool,
    #[command(flatten)]
    pub(super) out: OutDir,
}

impl From<SanOptions> for SanRequest {
    fn from(options: SanOptions) -> Self {
        let given = |names: Vec<String>| (!names.is_empty()).then_some(names);
        Self {
            san_dns_names: given(options.san_dns),
            san_ip_addresses: given(options.san_ip),
            san_email_addresses: given(options.san_email),
        }
    }
}
