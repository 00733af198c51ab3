//! Certificate authorities.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CaId, CertificateStatus, KeyType, OrganizationId, PrivateKeyPem, Timestamp, UserId};

/// A certificate authority without its private key.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Ca {
    /// Its id.
    pub id: CaId,
    /// What people call it; unique in its organization, except among CAs that FastPKI 0.4 made.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The subject of its certificate.
    pub subject_dn: String,
    /// The family of its key.
    pub key_type: KeyType,
    /// Bits of its key.
    pub key_size: u32,
    /// Whole days for which its certificate was issued.
    pub valid_days: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its certificate as PEM.
    pub certificate: String,
    /// The organization it belongs to.
    pub organization_id: Option<OrganizationId>,
    /// The user who created it.
    pub created_by_user_id: Option<UserId>,
    /// The CA that signed it; null for a root.
    pub parent_ca_id: Option<CaId>,
    /// How many CAs may follow below it; null is no limit.
    pub path_length: Option<i32>,
    /// Whether it issues certificates that are not CAs.
    pub allow_leaf_certs: bool,
    /// Base of the CRL and CA addresses in what it issues.
    pub crl_base_url: Option<String>,
    /// Whether it signed itself.
    pub is_root: bool,
    /// The state of its own certificate. Where it is `revoked`, nothing is issued under it, nor below it.
    pub status: CertificateStatus,
    /// When its parent revoked it.
    pub revoked_at: Option<Timestamp>,
    /// Why, as it was given.
    pub revocation_reason: Option<String>,
}

/// A certificate authority with its private key.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct CaDetail {
    /// Everything but the key.
    #[serde(flatten)]
    pub ca: Ca,
    /// PKCS#8 PEM.
    pub private_key: PrivateKeyPem,
}

/// A step of a CA's chain.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum ChainLink {
    /// A CA that the caller may read.
    Visible(Ca),
    /// A CA of somebody else: what its own certificate says in public, and no more.
    Foreign(ForeignCa),
}

/// What the chain shows of a CA that the caller may not read: everything else is null or empty.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct ForeignCa {
    /// Its id.
    pub id: Option<CaId>,
    /// Its name.
    pub name: String,
    /// Its certificate as PEM.
    pub certificate: String,
    /// Whether it signed itself.
    pub is_root: bool,
    description: Option<()>,
    subject_dn: &'static str,
    key_type: Option<()>,
    key_size: Option<()>,
    valid_days: Option<()>,
    created_at: Option<()>,
    updated_at: Option<()>,
    organization_id: Option<()>,
    created_by_user_id: Option<()>,
    parent_ca_id: Option<()>,
    path_length: Option<()>,
    allow_leaf_certs: Option<()>,
    crl_base_url: Option<()>,
    status: Option<()>,
    revoked_at: Option<()>,
    revocation_reason: Option<()>,
}

impl From<Ca> for ForeignCa {
    fn from(ca: Ca) -> Self {
        Self {
            id: Some(ca.id),
            name: ca.name,
            certificate: ca.certificate,
            is_root: ca.is_root,
            ..Self::default()
        }
    }
}

/// The body of `PATCH /cas/{id}`: what is to change. What is null or missing stays.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct CaUpdate {
    /// The organization that the CA is to belong to; superusers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// Whether the CAs below it, and certificates that have no organization, move with it; false when not given.
    pub cascade: bool,
    /// What people are to call it. Its public addresses stay: certificates name them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it issues certificates that are not CAs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_leaf_certs: Option<bool>,
    /// Base of the CRL and CA addresses in what it issues from now on; empty for the server's own. What was issued before
    /// names the address of that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl_base_url: Option<String>,
}

/// The body of `POST /cas/`.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct CaCreate {
    /// What people call it.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The subject: `CN=Example Root CA,O=Example`.
    pub subject_dn: String,
    /// The family of its key; RSA when not given.
    pub key_type: Option<KeyType>,
    /// Bits of its key.
    pub key_size: Option<u32>,
    /// Days for which its certificate is to be valid.
    pub valid_days: Option<u32>,
    /// The CA that is to sign it; none makes a root.
    pub parent_ca_id: Option<CaId>,
    /// How many CAs may follow below it.
    pub path_length: Option<u8>,
    /// Whether it issues certificates that are not CAs; true when not given.
    pub allow_leaf_certs: Option<bool>,
    /// Base of the CRL and CA addresses in what it issues.
    pub crl_base_url: Option<String>,
}
