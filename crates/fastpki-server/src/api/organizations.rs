//! Organizations.

use axum::{Json, extract::State};
use fastpki_types::{Organization, OrganizationCreate, OrganizationId, OrganizationUpdate, User, UserId};

use super::{DELETE, GET, MAX_NAME, MAX_TEXT, POST, PUT};
use crate::{
    answers::{Created, NoContent},
    error::ApiError,
    extract::{PathId, PathIds, SignedUser, Unread},
    fields::{Fields, FromFields, Text},
    routes::Routes,
    state::AppState,
};

pub(super) fn routes() -> Routes {
    Routes::tagged("organizations")
        .on(GET, "/organizations/", list, "Superusers see all, by name; others their own or none", &[])
        .on(POST, "/organizations/", create, "Create an organization; admins and superusers", &[400, 403])
        .on(GET, "/organizations/{organization_id}", show, "An organization", &[403, 404])
        .on(
            PUT,
            "/organizations/{organization_id}",
            update,
            "Change an organization; what is not given stays",
            &[400, 403, 404, 409],
        )
        .on(
            DELETE,
            "/organizations/{organization_id}",
            delete,
            "Delete an organization that has nothing any more; superusers only",
            &[400, 403, 404, 409],
        )
        .on(
            GET,
            "/organizations/{organization_id}/users",
            members,
            "The users of an organization",
            &[403, 404],
        )
        .on(
            POST,
            "/organizations/{organization_id}/users/{user_id}",
            add_member,
            "Put a user into an organization",
            &[403, 404, 409],
        )
        .on(
            DELETE,
            "/organizations/{organization_id}/users/{user_id}",
            remove_member,
            "Take a user out of an organization",
            &[400, 403, 404, 409],
        )
}

impl FromFields for OrganizationCreate {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.text("name", Text::line(MAX_NAME)),
            description: fields.optional_text("description", Text::lines(MAX_TEXT)),
        }
    }
}

impl FromFields for OrganizationUpdate {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.optional_text("name", Text::line(MAX_NAME)),
            description: fields.optional_text("description", Text::lines(MAX_TEXT)),
        }
    }
}

async fn create(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    body: Unread<OrganizationCreate>,
) -> Result<Created<Organization>, ApiError> {
    let permit = caller.permit_create_organization()?;
    let new = body.read().await?;
    Ok(Created(state.engine.create_organization(permit, new).await?))
}

async fn list(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
) -> Result<Json<Vec<Organization>>, ApiError> {
    Ok(Json(state.engine.organizations(&caller).await?))
}

async fn show(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<OrganizationId>,
) -> Result<Json<Organization>, ApiError> {
    Ok(Json(state.engine.organization(&caller, id).await?))
}

async fn update(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<OrganizationId>,
    body: Unread<OrganizationUpdate>,
) -> Result<Json<Organization>, ApiError> {
    let permit = caller.permit_update_organization(id)?;
    let change = body.read().await?;
    Ok(Json(state.engine.update_organization(permit, change).await?))
}

async fn delete(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<OrganizationId>,
) -> Result<NoContent, ApiError> {
    let permit = caller.permit_delete_organization(id)?;
    state.engine.delete_organization(permit).await?;
    Ok(NoContent)
}

async fn members(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<OrganizationId>,
) -> Result<Json<Vec<User>>, ApiError> {
    Ok(Json(state.engine.members(&caller, id).await?))
}

async fn add_member(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathIds(id, user): PathIds<OrganizationId, UserId>,
) -> Result<Json<User>, ApiError> {
    // Who may not, learns not who there is.
    caller.check_administers(id)?;
    let organization = state.engine.any_organization(id).await?;
    let permit = caller.permit_add_member(organization.id, state.engine.any_user(user).await?)?;
    Ok(Json(state.engine.add_member(permit).await?))
}

async fn remove_member(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathIds(id, user): PathIds<OrganizationId, UserId>,
) -> Result<Json<User>, ApiError> {
    caller.check_administers(id)?;
    let organization = state.engine.any_organization(id).await?;
    let permit = caller.permit_remove_member(organization.id, state.engine.any_user(user).await?)?;
    Ok(Json(state.engine.remove_member(permit).await?))
}
