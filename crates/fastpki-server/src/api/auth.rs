//! Signing in and out.

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use fastpki_types::{Password, RefreshTokenRequest, Token};

use super::MAX_NAME;
use crate::{
    error::ApiError,
    extract::{Body, ClientAddress, FormBody, SignedUser},
    fields::{Fields, FromFields, Text},
    state::AppState,
};

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/auth/token", post(token))
        .route("/auth/refresh", post(refresh))
        .route("/auth/logout", post(logout))
        .route("/auth/invalidate", post(invalidate))
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

impl FromFields for RefreshTokenRequest {
    fn from_fields(fields: &mut Fields) -> Self {
        Self { refresh_token: fields.text("refresh_token", Text::line(MAX_REFRESH_TOKEN)) }
    }
}

async fn refresh(
    State(state): State<AppState>,
    Body(body): Body<RefreshTokenRequest>,
) -> Result<Json<Token>, ApiError> {
    Ok(Json(state.engine.refresh(&body.refresh_token).await?))
}

async fn logout(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    Body(body): Body<RefreshTokenRequest>,
) -> Result<StatusCode, ApiError> {
    state.engine.sign_out(caller, &body.refresh_token).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn invalidate(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
) -> Result<StatusCode, ApiError> {
    state.engine.invalidate_tokens(caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Characters of a refresh token: ours have 64.
const MAX_REFRESH_TOKEN: usize = 255;
/// Characters of a password at sign-in: the old system took more than bcrypt's 72 bytes.
const MAX_PASSWORD: usize = 1024;
