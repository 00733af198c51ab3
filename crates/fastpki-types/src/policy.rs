//! What a service account may have issued.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CertificateType, PolicyId, ServiceAccountId, Timestamp};

/// What a service account may have issued. Every name must be allowed; an empty list allows nothing.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct IssuancePolicy {
    /// Its id.
    pub id: PolicyId,
    /// Whose it is.
    pub service_account_id: ServiceAccountId,
    /// What it allows.
    #[serde(flatten)]
    pub rules: IssuanceRules,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When it was last set.
    pub updated_at: Timestamp,
}

/// The body of `PUT /service-accounts/{id}/policy`. Lists that are not given are empty.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct IssuanceRules {
    /// Shell globs over whole common names: `*`, `?`, `[seq]`, `[!seq]`. A name with `*` needs one that has it literally.
    #[serde(default)]
    pub cn_patterns: Vec<String>,
    /// Shell globs over whole DNS names.
    #[serde(default)]
    pub san_dns_patterns: Vec<String>,
    /// Networks of IP addresses: `192.0.2.0/24`, `2001:db8::/32`.
    #[serde(default)]
    pub san_ip_cidrs: Vec<String>,
    /// Domains of e-mail addresses.
    #[serde(default)]
    pub san_email_domains: Vec<String>,
    /// The CAs that may be asked; they need not exist yet.
    #[serde(default)]
    pub allowed_ca_ids: Vec<i32>,
    /// What certificates may be for.
    #[serde(default)]
    pub allowed_certificate_types: Vec<CertificateType>,
    /// Days for which a certificate may be asked at the most; the default counts.
    pub max_validity_days: u32,
}
