//! `fastpki service-account policy`: what service accounts may have issued.

use clap::{Args, Subcommand};
use fastpki_types::{CertificateType, IssuanceRules};

use super::{Context, path};
use crate::{
    ask,
    error::Error,
    options::{Force, named},
    table::{Column, Kind},
};

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Set the policy of a service account, in place of the one it has.
    ///
    /// Every name in a certificate must be allowed; what is not given allows nothing. Patterns are shell globs over
    /// whole names: *, ?, [seq], [!seq]. A name with '*' in it needs a pattern that has it literally: [*].example.com.
    #[command(after_help = "Example:
  fastpki service-account policy set 1 --cn-pattern '*.example.com' --san-dns-pattern '*.example.com' \\
      --allowed-ca-id 2 --cert-type server --max-validity-days 90")]
    Set(Set),
    /// Show the policy of a service account.
    #[command(after_help = "Example:\n  fastpki service-account policy show 1")]
    Show {
        /// The service account's id.
        id: i32,
    },
    /// Take the policy away: the service account can have nothing issued any more. Asks first.
    #[command(after_help = "Example:\n  fastpki service-account policy clear 1")]
    Clear {
        /// The service account's id.
        id: i32,
        #[command(flatten)]
        force: Force,
    },
}

#[derive(Args)]
pub(super) struct Set {
    /// The service account's id.
    id: i32,
    /// Common names that are allowed; may be repeated, as all below.
    #[arg(long, value_name = "PATTERN")]
    cn_pattern: Vec<String>,
    /// Host names that are allowed.
    #[arg(long, value_name = "PATTERN")]
    san_dns_pattern: Vec<String>,
    /// Networks whose IP addresses are allowed: 192.0.2.0/24, 2001:db8::/32.
    #[arg(long, value_name = "CIDR")]
    san_ip_cidr: Vec<String>,
    /// Domains whose e-mail addresses are allowed.
    #[arg(long, value_name = "DOMAIN")]
    san_email_domain: Vec<String>,
    /// Ids of CAs that may be asked.
    #[arg(long, value_name = "ID")]
    allowed_ca_id: Vec<i32>,
    /// What certificates may be for.
    #[arg(short = 't', long, value_name = "TYPE", value_parser = named::<CertificateType>())]
    cert_type: Vec<CertificateType>,
    /// Days for which a certificate may be valid at the most.
    #[arg(long, value_name = "DAYS")]
    max_validity_days: u32,
}

pub(super) fn run(context: &Context, command: PolicyCommand) -> Result<(), Error> {
    let policy = |id: i32| format!("{}/policy", path(id));
    match command {
        PolicyCommand::Set(set) => {
            let path = policy(set.id);
            context.output.detail(&context.client.put(&path, &IssuanceRules::from(set))?, &DETAIL)
        }
        PolicyCommand::Show { id } => context.output.detail(&context.client.get(&policy(id), &[])?, &DETAIL),
        PolicyCommand::Clear { id, force } => {
            ask::confirm(&format!("Take the policy of service account {id} away?"), force.force)?;
            let answer = context.client.delete(&policy(id))?;
            context.output.done(&answer, &format!("service account {id} has no policy"))
        }
    }
}

impl From<Set> for IssuanceRules {
    fn from(set: Set) -> Self {
        Self {
            cn_patterns: set.cn_pattern,
            san_dns_patterns: set.san_dns_pattern,
            san_ip_cidrs: set.san_ip_cidr,
            san_email_domains: set.san_email_domain,
            allowed_ca_ids: set.allowed_ca_id,
            allowed_certificate_types: set.cert_type,
            max_validity_days: set.max_validity_days,
        }
    }
}

const DETAIL: [Column; 9] = [
    Column("Service account", "service_account_id", Kind::Plain),
    Column("Common names", "cn_patterns", Kind::Plain),
    Column("Host names", "san_dns_patterns", Kind::Plain),
    Column("IP addresses", "san_ip_cidrs", Kind::Plain),
    Column("E-mail domains", "san_email_domains", Kind::Plain),
    Column("CAs", "allowed_ca_ids", Kind::Plain),
    Column("Types", "allowed_certificate_types", Kind::Plain),
    Column("At most days", "max_validity_days", Kind::Plain),
    Column("Set", "updated_at", Kind::Time),
];
