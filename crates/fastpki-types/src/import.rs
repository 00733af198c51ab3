//! Bringing along a CA that another program kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Ca, OrganizationId, PrivateKeyPem, Timestamp};

/// The body of `POST /cas/import`.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct CaImport {
    /// What people are to call it.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Its certificate as PEM.
    pub certificate: String,
    /// Its private key as PEM, without a passphrase.
    pub private_key: PrivateKeyPem,
    /// Whose it is to be; the caller's own when not given.
    pub organization_id: Option<OrganizationId>,
    /// Whether it issues certificates that are not CAs; true when not given.
    pub allow_leaf_certs: Option<bool>,
    /// Base of the CRL and CA addresses in what it issues from now on.
    pub crl_base_url: Option<String>,
    /// The number of its next CRL: greater than that of every CRL it has published. Above 2^62, no room would be left for
    /// those that follow.
    pub next_crl_number: Option<u64>,
    /// What it has issued.
    #[serde(default)]
    pub certificates: Vec<CertificateImport>,
    /// Revocations of certificates that are not there: its CRLs go on naming them.
    #[serde(default)]
    pub revocations: Vec<RevocationImport>,
    /// Whether only to say what would happen; false when not given.
    #[serde(default)]
    pub dry_run: bool,
}

/// A certificate that an imported CA has issued.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct CertificateImport {
    /// PEM.
    pub certificate: String,
    /// Its private key as PEM, without a passphrase, where it is to be kept here.
    pub private_key: Option<PrivateKeyPem>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Why: a reason of RFC 5280 (`key_compromise`, …) or free text.
    pub reason: Option<String>,
}

/// A revoked serial number whose certificate is not there.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct RevocationImport {
    /// Hex.
    pub serial_number: String,
    /// When it was revoked.
    pub revoked_at: Timestamp,
    /// Why: a reason of RFC 5280 (`key_compromise`, …) or free text.
    pub reason: Option<String>,
}

/// What an import did, or would do. What is there already is not imported again.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct CaImported {
    /// The CA; null where it would be new.
    pub ca: Option<Ca>,
    /// Whether the CA is new.
    pub created: bool,
    /// Certificates that are new.
    pub certificates: u32,
    /// Certificates that were there.
    pub certificates_present: u32,
    /// Revocations that are new.
    pub revocations: u32,
    /// Revocations that were there.
    pub revocations_present: u32,
    /// Whether nothing was changed, as asked.
    pub dry_run: bool,
    /// What the CA cannot do here, and what else may surprise.
    #[serde(default)]
    pub warnings: Vec<String>,
}
