//! People who sign in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Flags, FlagsUpdate, OrganizationId, Password, Timestamp, UserId, names::named};

named! {
    /// What a user is to the system.
    UserRole {
        /// May do everything.
        Superuser = "superuser",
        /// May do everything in their organization.
        Admin = "admin",
        /// May read in their organization, and what their flags say.
        User = "user",
    }
}

named! {
    /// The family of a key.
    KeyType {
        /// RSA, 2048 to 8192 bits.
        Rsa = "rsa",
        /// ECDSA on P-256, P-384 or P-521.
        Ec = "ec",
        /// Ed25519.
        Ed25519 = "ed25519",
    }
}

/// A user, as the API shows them.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct User {
    /// Unique over all users.
    pub username: String,
    /// Unique over all users.
    pub email: String,
    /// What the user is to the system.
    pub role: UserRole,
    /// Whether the user may sign in.
    pub is_active: bool,
    /// The organization the user belongs to.
    pub organization_id: Option<OrganizationId>,
    /// What the user may do beyond reading.
    #[serde(flatten)]
    pub flags: Flags,
    /// The user's id.
    pub id: UserId,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When the user was last changed.
    pub updated_at: Timestamp,
}

/// The body of `POST /users/`.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct UserCreate {
    /// Unique over all users.
    pub username: String,
    /// Unique over all users.
    pub email: String,
    /// 8 characters to 72 bytes.
    pub password: Password,
    /// `user` when not given.
    pub role: Option<UserRole>,
    /// True when not given.
    pub is_active: Option<bool>,
    /// The creator's own when an admin does not give it.
    pub organization_id: Option<OrganizationId>,
    /// What the user may do beyond reading.
    #[serde(flatten)]
    pub flags: Flags,
}

/// The body of `PATCH /users/{id}`: what is not given stays.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct UserUpdate {
    /// Unique over all users.
    pub email: Option<String>,
    /// 8 characters to 72 bytes; all tokens of the user die.
    pub password: Option<Password>,
    /// What the user is to the system.
    pub role: Option<UserRole>,
    /// Whether the user may sign in; with false all tokens of the user die.
    pub is_active: Option<bool>,
    /// The organization the user belongs to.
    pub organization_id: Option<OrganizationId>,
    /// What the user may do beyond reading.
    #[serde(flatten)]
    pub flags: FlagsUpdate,
}
