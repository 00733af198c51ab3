//! Service accounts: principals that are programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Flags, FlagsUpdate, OrganizationId, ServiceAccountId, ServiceAccountSecret, ServiceAccountTokenId,
    Timestamp, UserId,
};

/// A program that signs in with tokens; what it may have issued, its policy says.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct ServiceAccount {
    /// Its id.
    pub id: ServiceAccountId,
    /// Unique within its organization.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The organization it belongs to.
    pub organization_id: OrganizationId,
    /// The user who created it.
    pub created_by_user_id: Option<UserId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Since when its tokens are refused; null while they are taken.
    pub disabled_at: Option<Timestamp>,
    /// What it may do beyond reading.
    #[serde(flatten)]
    pub flags: Flags,
}

/// The body of `POST /service-accounts/`.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct ServiceAccountCreate {
    /// Unique within its organization.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The creator's own when it is not given.
    pub organization_id: Option<OrganizationId>,
    /// What it may do beyond reading.
    #[serde(flatten)]
    pub flags: Flags,
}

/// The body of `PATCH /service-accounts/{id}`: what is not given stays.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceAccountUpdate {
    /// Unique within its organization.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Whether its tokens are refused.
    pub disabled: Option<bool>,
    /// What it may do beyond reading.
    #[serde(flatten)]
    pub flags: FlagsUpdate,
}

/// A token of a service account, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct ServiceAccountToken {
    /// Its id.
    pub id: ServiceAccountTokenId,
    /// The part of the token that is no secret.
    pub public_id: String,
    /// What people call it.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it ends; null is never.
    pub expires_at: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A token that was just made: the only time that it is shown.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct NewServiceAccountToken {
    /// Everything but the token itself.
    #[serde(flatten)]
    pub info: ServiceAccountToken,
    /// To be sent as `Authorization: Bearer`.
    pub token: ServiceAccountSecret,
}

/// The body of `POST /service-accounts/{id}/tokens`.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceAccountTokenCreate {
    /// What people call it.
    pub name: Option<String>,
    /// When it ends; never when not given.
    pub expires_at: Option<Timestamp>,
}
