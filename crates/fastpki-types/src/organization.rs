//! Tenants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{OrganizationId, Timestamp};

/// A tenant: users, service accounts, CAs and certificates belong to one or to none.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Organization {
    /// Unique over all organizations.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Its id.
    pub id: OrganizationId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The body of `PUT /organizations/{id}`: what is not given stays.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct OrganizationUpdate {
    /// Unique over all organizations, not blank.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
}

/// The body of `POST /organizations/`.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct OrganizationCreate {
    /// Unique over all organizations, not blank.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
}
