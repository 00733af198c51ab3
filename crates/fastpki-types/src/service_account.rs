//! What principals may be allowed to do beyond reading.

use serde::{Deserialize, Serialize};

/// The capability flags of a user or a service account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flags {
    /// May create certificate authorities.
    pub can_create_ca: bool,
    /// May issue certificates.
    pub can_create_cert: bool,
    /// May revoke certificates.
    pub can_revoke_cert: bool,
    /// May read private keys.
    pub can_export_private_key: bool,
    /// May delete certificate authorities.
    pub can_delete_ca: bool,
}

impl Flags {
    /// Whether any flag is set.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}
