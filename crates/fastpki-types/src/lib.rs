//! What travels over the wire: ids, request and response bodies, enumerations.
//!
//! Shared by the server and its clients. Request bodies derive `Serialize` for clients; the server
//! reads them field by field, so that it can name every problem at once.

mod audit;
mod ca;
mod certificate;
mod error;
mod flags;
mod ids;
mod import;
mod names;
mod organization;
mod policy;
mod secret;
mod service_account;
mod timestamp;
mod token;
mod user;

pub use audit::{AuditAction, AuditLog};
pub use ca::{Ca, CaCreate, CaDetail, CaUpdate, ChainLink, ForeignCa};
pub use certificate::{
    Certificate, CertificateCreate, CertificateDetail, CertificateRenew, CertificateRevoke,
    CertificateStatus, CertificateType, CsrSign, SanRequest,
};
pub use error::{Location, ValidationProblem};
pub use flags::{Flags, FlagsUpdate};
pub use ids::{
    AuditId, CaId, CertificateId, OrganizationId, PolicyId, ServiceAccountId, ServiceAccountTokenId, UserId,
};
pub use import::{CaImport, CaImported, CertificateImport, RevocationImport};
pub use names::{Named, UnknownName};
pub use organization::{Organization, OrganizationCreate, OrganizationUpdate};
pub use policy::{IssuancePolicy, IssuanceRules};
pub use secret::{Password, PrivateKeyPem, ServiceAccountSecret};
pub use service_account::{
    NewServiceAccountToken, ServiceAccount, ServiceAccountCreate, ServiceAccountToken,
    ServiceAccountTokenCreate, ServiceAccountUpdate,
};
pub use timestamp::{BadTimestamp, Timestamp};
pub use token::{RefreshTokenRequest, Token};
pub use user::{KeyType, User, UserCreate, UserRole, UserUpdate};
