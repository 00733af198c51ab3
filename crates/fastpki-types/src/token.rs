//! Signing in.

use serde::{Deserialize, Serialize};

/// What a successful sign-in answers.
#[derive(Clone, Serialize, Deserialize)]
pub struct Token {
    /// A JWT, to be sent as `Authorization: Bearer`.
    pub access_token: String,
    /// Spent once for the next pair.
    pub refresh_token: Option<String>,
    /// Always `bearer`.
    pub token_type: String,
}
