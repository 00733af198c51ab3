//! What travels over the wire: ids, request and response bodies, enumerations.
//!
//! Shared by the server and its clients. Request bodies derive `Serialize` for clients; the server
//! reads them field by field, so that it can name every problem at once.

mod audit;
mod ca;
mod certificate;
mod error;
mod ids;
mod names;
mod organization;
mod secret;
mod service_account;
mod timestamp;
mod token;
mod user;

pub use audit::{AuditAction, AuditLog};
pub use ca::{Ca, CaCreate, CaDetail, ChainLink, ForeignCa};
pub use certificate::{
    Certificate, CertificateCreate, CertificateDetail, CertificateRenew, CertificateRevoke,
    CertificateStatus, CertificateType, CsrSign, SanRequest,
};
pub use error::{Location, ValidationProblem};
pub use ids::{AuditId, CaId, CertificateId, OrganizationId, ServiceAccountId, UserId};
pub use names::{Named, UnknownName};
pub use organization::{Organization, OrganizationCreate};
pub use secret::{Password, PrivateKeyPem};
pub use service_account::Flags;
pub use timestamp::{BadTimestamp, Timestamp};
pub use token::{RefreshTokenRequest, Token};
pub use user::{KeyType, User, UserCreate, UserRole};
