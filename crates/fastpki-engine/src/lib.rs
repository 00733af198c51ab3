//! What the PKI does and who may.
//!
//! No HTTP and no SQL. Whatever changes something takes a [`Permit`], which only a check of the
//! caller's rights can make, and writes its audit entry from it in the same transaction.

mod accounts;
mod at_rest;
mod audit;
mod authorities;
mod backup;
mod caller;
mod checkup;
mod clock;
mod crl;
mod engine;
mod error;
mod glob;
mod imports;
mod issuance;
mod keyring;
mod lanes;
mod names;
mod operator;
mod organizations;
mod patterns;
mod permissions;
mod policy;
mod revocation;
mod service_accounts;
mod sessions;
mod slug;
mod subject;

pub use at_rest::{KeysAtRest, Stored, Traces};
pub use authorities::AuthorityPage;
pub use backup::{Backup, backup, restore};
pub use caller::{Caller, PrincipalId};
pub use checkup::{Finding, Level, check_database, check_private_file, check_space};
pub use clock::{
    Clock, Entropy, ManualClock, SystemClock, SystemEntropy, new_encryption_key, new_secret_key,
};
pub use crl::PublishedCrl;
pub use engine::{Config, Engine, IssuingDefaults, JwtAlgorithm};
pub use error::Error;
pub use fastpki_store::{
    AuditFilter, AuthorityRow, BadKey, CertificateFilter, CertificateRow, DatabaseConfig, FernetKey,
    Fingerprint, KeyTable, Migration, Progress, Schema, SchemaKind, Stage, Survey, TlsMode, UnreadableKeys,
    Visible,
};
pub use fastpki_x509::{is_international_host, is_unseen, printable};
pub use issuance::Issued;
pub use lanes::LargeBodyTurn;
pub use names::{new_name, new_principal_name};
pub use operator::{Operator, schema};
pub use permissions::{
    Act, Action, AddMember, CreateCa, CreateFirstUser, CreateServiceAccount, CreateUser, DeleteCa,
    DeleteOrganization, DeleteUser, ExportKey, Home, ImportCa, Issue, ManageServiceAccount, NewOrganization,
    Owned, Ownership, Permit, Read, RemoveMember, Revoke, RevokeCa, UpdateCa, UpdateOrganization, UpdateUser,
};
pub use policy::parse_network;
pub use sessions::PASSWORD_COST;
pub(crate) use slug::{Slug, slug};

#[cfg(test)]
mod tests;
