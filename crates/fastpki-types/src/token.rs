//! Signing in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The body of `POST /auth/refresh` and `POST /auth/logout`.
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
pub struct RefreshTokenRequest {
    /// What a sign-in or a refresh answered.
    pub refresh_token: String,
}

/// What a successful sign-in answers.
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
pub struct Token {
    /// A JWT, to be sent as `Authorization: Bearer`.
    pub access_token: String,
    /// Spent once for the next pair.
    pub refresh_token: Option<String>,
    /// Always `bearer`.
    pub token_type: String,
}
