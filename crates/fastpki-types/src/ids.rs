//! Database ids, one type for each kind of thing, so that they cannot be mixed up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema, Serialize, Deserialize)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(pub i32);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// The id of an entry of the audit log.
    AuditId;
    /// The id of a certificate authority.
    CaId;
    /// The id of a certificate.
    CertificateId;
    /// The id of an organization.
    OrganizationId;
    /// The id of an issuance policy.
    PolicyId;
    /// The id of a service account.
    ServiceAccountId;
    /// The id of a service account's token.
    ServiceAccountTokenId;
    /// The id of a user.
    UserId;
}
