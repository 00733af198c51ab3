//! What principals may be allowed to do beyond reading.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The capability flags of a user or a service account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
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

/// Flags to be changed: what is not given stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct FlagsUpdate {
    /// May create certificate authorities.
    pub can_create_ca: Option<bool>,
    /// May issue certificates.
    pub can_create_cert: Option<bool>,
    /// May revoke certificates.
    pub can_revoke_cert: Option<bool>,
    /// May read private keys.
    pub can_export_private_key: Option<bool>,
    /// May delete certificate authorities.
    pub can_delete_ca: Option<bool>,
}

impl FlagsUpdate {
    /// Whether any flag is given.
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// The flags with those changed that are given.
    pub fn apply(self, flags: Flags) -> Flags {
        Flags {
            can_create_ca: self.can_create_ca.unwrap_or(flags.can_create_ca),
            can_create_cert: self.can_create_cert.unwrap_or(flags.can_create_cert),
            can_revoke_cert: self.can_revoke_cert.unwrap_or(flags.can_revoke_cert),
            can_export_private_key: self.can_export_private_key.unwrap_or(flags.can_export_private_key),
            can_delete_ca: self.can_delete_ca.unwrap_or(flags.can_delete_ca),
        }
    }
}
