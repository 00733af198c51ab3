//! Signing in.

use axum::{Json, Router, extract::State, routing::post};
use fastpki_types::{Password, Token};

use super::MAX_NAME;
use crate::{
    error::ApiError,
    extract::{ClientAddress, FormBody},
    fields::{Fields, FromFields, Text},
    state::AppState,
};

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/auth/token", post(token))
}

struct SignIn {
    username: String,
    password: Password,
}

impl FromFields for SignIn {
    fn from_fields(fields: &mut Fields) -> Self {
        if fields.optional_text("grant_type", Text::line(MAX_NAME)).is_some_and(|grant| grant != "password") {
            fields.note("grant_type", "string_pattern_mismatch", "should be 'password'".into());
        }
        Self {
            username: fields.text("username", Text::line(MAX_NAME)),
            password: fields.text("password", Text::lines(MAX_PASSWORD)).into(),
        }
    }
}

async fn token(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    FormBody(SignIn { username, password }): FormBody<SignIn>,
) -> Result<Json<Token>, ApiError> {
    let attempt = state.sign_in_limit.attempt(address, state.engine.now());
    attempt.map_err(|retry_after| ApiError::TooManyRequests { retry_after })?;
    Ok(Json(state.engine.sign_in(username, password).await?))
}

/// Characters of a password at sign-in: the old system took more than bcrypt's 72 bytes.
const MAX_PASSWORD: usize = 1024;
