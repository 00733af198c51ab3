//! Certificates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CaId, CertificateId, KeyType, OrganizationId, PrivateKeyPem, ServiceAccountId, Timestamp, UserId,
    names::named,
};

named! {
    /// What a certificate is for.
    CertificateType {
        /// An authority below the one that issues it, kept outside of the CA inventory.
        Ca = "ca",
        /// A TLS server.
        Server = "server",
        /// A TLS client or a person.
        Client = "client",
        /// A server that is also a client.
        DualPurpose = "dual_purpose",
    }
}

named! {
    /// Whether a certificate may be relied on.
    CertificateStatus {
        /// It may.
        Valid = "valid",
        /// It was revoked.
        Revoked = "revoked",
        /// Its time is over.
        Expired = "expired",
    }
}

/// A certificate without its private key.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Certificate {
    /// Its id.
    pub id: CertificateId,
    /// The common name of its subject.
    pub common_name: String,
    /// Its subject.
    pub subject_dn: String,
    /// What it is for.
    pub certificate_type: CertificateType,
    /// The family of its key.
    pub key_type: KeyType,
    /// Bits of its key.
    pub key_size: u32,
    /// Whole days for which it was issued.
    pub valid_days: u32,
    /// Whether it may be relied on.
    pub status: CertificateStatus,
    /// PEM.
    pub certificate: String,
    /// Lower-case hex without leading zeros.
    pub serial_number: String,
    /// First instant of its validity.
    pub not_before: Timestamp,
    /// Last instant of its validity.
    pub not_after: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When its record was last changed.
    pub updated_at: Timestamp,
    /// The CA that issued it.
    pub issuer_id: Option<CaId>,
    /// The organization it belongs to.
    pub organization_id: Option<OrganizationId>,
    /// The user who had it issued.
    pub created_by_user_id: Option<UserId>,
    /// The service account that had it issued.
    pub created_by_service_account_id: Option<ServiceAccountId>,
    /// The certificate it renews.
    pub renewed_from_id: Option<CertificateId>,
    /// The certificates that renew it.
    pub renewed_to_ids: Vec<CertificateId>,
}

/// A certificate with its private key, where the server holds one.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct CertificateDetail {
    /// Everything but the key.
    #[serde(flatten)]
    pub certificate: Certificate,
    /// PKCS#8 PEM.
    pub private_key: Option<PrivateKeyPem>,
}

/// The alternative names that are asked for.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct SanRequest {
    /// Host names.
    pub san_dns_names: Option<Vec<String>>,
    /// IPv4 and IPv6 addresses.
    pub san_ip_addresses: Option<Vec<String>>,
    /// E-mail addresses.
    pub san_email_addresses: Option<Vec<String>>,
}

/// The body of `POST /certificates/`.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct CertificateCreate {
    /// Must be one of the subject's common names.
    pub common_name: String,
    /// The subject: `CN=www.example.com,O=Example`.
    pub subject_dn: String,
    /// What it is for.
    pub certificate_type: CertificateType,
    /// The family of its key; RSA when not given.
    pub key_type: Option<KeyType>,
    /// Bits of its key.
    pub key_size: Option<u32>,
    /// Days for which it is to be valid.
    pub valid_days: Option<u32>,
    /// False throws the key away, which makes the certificate useless.
    pub include_private_key: bool,
    /// Alternative names.
    #[serde(flatten)]
    pub sans: SanRequest,
}

/// The body of `POST /certificates/sign-csr`.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct CsrSign {
    /// A PKCS#10 request as PEM.
    pub csr: String,
    /// The CA by its id,
    pub ca_id: Option<CaId>,
    /// or by its name.
    pub ca_name: Option<String>,
    /// What the certificate is for.
    pub certificate_type: CertificateType,
    /// Days for which it is to be valid.
    pub valid_days: Option<u32>,
    /// Takes the place of the request's common name.
    pub common_name: Option<String>,
    /// Takes the place of the request's subject.
    pub subject_dn: Option<String>,
    /// Alternative names; a list that is given takes the place of the request's names of that kind.
    #[serde(flatten)]
    pub sans: SanRequest,
}

/// The body of `POST /certificates/{id}/revoke` and `POST /cas/{id}/revoke`.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateRevoke {
    /// A reason of RFC 5280 (`key_compromise`, …) or free text.
    pub reason: Option<String>,
}

/// The body of `POST /certificates/{id}/renew`.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateRenew {
    /// A new request; for certificates that were issued from one.
    pub csr: Option<String>,
    /// Whether to renew it although it is revoked.
    pub renew_revoked: bool,
}
