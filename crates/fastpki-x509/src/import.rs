//! Bringing along a CA that another program kept: reads OpenSSL's `index.txt`, and says what of a folder would be
//! imported, and what is wrong with it. Nothing is read or written here: the caller brings the files' contents.

mod index;
mod inputs;
mod kind;
mod plan;
mod status;

pub use index::{Index, IndexEntry, IndexProblem, IndexStatus};
pub use inputs::{File, Inputs};
pub use kind::CertificateKind;
pub use plan::{MAX_CRL_NUMBER, Plan, PlannedAuthority, PlannedCertificate, Problem, Severity, plan};
pub use status::{OrphanRevocation, Status};

#[cfg(test)]
mod tests;
