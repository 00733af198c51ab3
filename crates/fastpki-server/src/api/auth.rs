//! Signing in and out.

use axum::{Json, extract::State};
use fastpki_types::{Password, RefreshTokenRequest, Token};
use schemars::JsonSchema;

use super::{MAX_NAME, POST};
use crate::{
    answers::NoContent,
    error::ApiError,
    extract::{Body, ClientAddress, FormBody, MAX_ANONYMOUS_BODY, SignedUser},
    fields::{Fields, FromFields, Text},
    routes::Routes,
    state::AppState,
};

pub(super) fn routes() -> Routes {
    Routes::tagged("authentication")
        .on(POST, "/auth/token", token, "Sign in with name and password", &[401, 503])
        .on(POST, "/auth/refresh", refresh, "Spend a refresh token for the next pair of tokens", &[401])
        .on(POST, "/auth/logout", logout, "Sign out: the access token and the refresh token die", &[403])
        .on(POST, "/auth/invalidate", invalidate, "Make every token of one's own invalid", &[])
}

/// What signs in: the password grant of OAuth 2.
#[derive(JsonSchema)]
#[schemars(rename = "SignIn")]
struct SignIn {
    /// Who signs in.
    username: String,
    /// Their password.
    password: Password,
}

impl FromFields for SignIn {
    fn from_fields(fields: &mut Fields) -> Self {
        let grant = fields.optional_text("grant_type", Text::line(MAX_NAME));
        fields.refine("pattern", "^password$");
        if grant.is_some_and(|grant| grant != "password") {
            fields.note("grant_type", "string_pattern_mismatch", "should be 'password'".into());
        }
        // What OAuth's forms have besides is passed over.
        for name in ["scope", "client_id", "client_secret"] {
            fields.optional_text(name, Text::lines(MAX_PASSWORD));
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
    Body(body): Body<RefreshTokenRequest, MAX_ANONYMOUS_BODY>,
) -> Result<Json<Token>, ApiError> {
    Ok(Json(state.engine.refresh(&body.refresh_token).await?))
}

async fn logout(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    Body(body): Body<RefreshTokenRequest, MAX_ANONYMOUS_BODY>,
) -> Result<NoContent, ApiError> {
    state.engine.sign_out(caller, &body.refresh_token).await?;
    Ok(NoContent)
}

async fn invalidate(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
) -> Result<NoContent, ApiError> {
    state.engine.invalidate_tokens(caller).await?;
    Ok(NoContent)
}

/// Characters of a refresh token: ours have 64.
const MAX_REFRESH_TOKEN: usize = 255;
/// Characters of a password at sign-in: the old system took more than bcrypt's 72 bytes.
const MAX_PASSWORD: usize = 1024;
