//! Organizations.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use fastpki_types::{Organization, OrganizationCreate};

use super::{MAX_NAME, MAX_TEXT};
use crate::{
    error::ApiError,
    extract::{Body, SignedUser},
    fields::{Fields, FromFields, Text},
    state::AppState,
};

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/organizations/", get(list).post(create))
        .route("/organizations", get(list).post(create))
}

impl FromFields for OrganizationCreate {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.text("name", Text::line(MAX_NAME)),
            description: fields.optional_text("description", Text::lines(MAX_TEXT)),
        }
    }
}

async fn create(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    Body(new): Body<OrganizationCreate>,
) -> Result<(StatusCode, Json<Organization>), ApiError> {
    let permit = caller.permit_create_organization()?;
    Ok((StatusCode::CREATED, Json(state.engine.create_organization(permit, new).await?)))
}

async fn list(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
) -> Result<Json<Vec<Organization>>, ApiError> {
    Ok(Json(state.engine.organizations(&caller).await?))
}
