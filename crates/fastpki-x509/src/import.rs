//! Bringing along a CA that another program kept: reads OpenSSL's `index.txt`, and says what of a folder would be
//! imported, and what is wrong with it. Nothing is read or written here: the caller brings the files' contents.

mod index;
mod kind;
mod plan;
mod status;

pub use index::{Index, IndexEntry, IndexProblem, IndexStatus};
pub use kind::CertificateKind;
pub use plan::{File, Inputs, Plan, PlannedAuthority, PlannedCertificate, Problem, Severity, plan};
pub use status::{OrphanRevocation, Status};

#[cfg(test)]
mod tests;
