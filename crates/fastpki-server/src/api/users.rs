//! Users.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use fastpki_engine::{CreateUser, Error, Permit};
use fastpki_types::{OrganizationId, User, UserCreate, UserId};

use super::{MAX_EMAIL, MAX_NAME};
use crate::{
    error::ApiError,
    extract::{Body, MaybeSigned, PathId, Query, SignedUser},
    fields::{Fields, FromFields, Text},
    state::AppState,
};

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/users/", get(list).post(create))
        .route("/users", get(list).post(create))
        .route("/users/me", get(me))
        .route("/users/{user_id}", get(show))
}

impl FromFields for UserCreate {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            username: fields.text("username", Text::line(MAX_NAME)),
            email: email(fields),
            password: password(fields),
            role: fields.optional_choice("role"),
            is_active: fields.optional_flag("is_active"),
            organization_id: fields.optional_id("organization_id", OrganizationId),
            flags: fields.flags(),
        }
    }
}

fn email(fields: &mut Fields) -> String {
    let email = fields.text("email", Text::line(MAX_EMAIL));
    let plausible = email.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.')
    });
    if !email.is_empty() && (!plausible || email.contains(char::is_whitespace)) {
        fields.note("email", "value_error", "should be an e-mail address".into());
    }
    email
}

fn password(fields: &mut Fields) -> fastpki_types::Password {
    let password = fields.text("password", Text::lines(BCRYPT_BYTES));
    if !password.is_empty() && password.chars().count() < MIN_PASSWORD {
        let msg = format!("should have at least {MIN_PASSWORD} characters");
        fields.note("password", "string_too_short", msg);
    }
    if password.len() > BCRYPT_BYTES {
        let msg = format!("should have at most {BCRYPT_BYTES} bytes; letters beyond ASCII have several");
        fields.note("password", "string_too_long", msg);
    }
    password.into()
}

/// The very first user may be created by anybody; then admins and superusers create users, and
/// strangers only where registration is open.
async fn create(
    State(state): State<AppState>,
    MaybeSigned(caller): MaybeSigned,
    Body(new): Body<UserCreate>,
) -> Result<(StatusCode, Json<User>), ApiError> {
    let engine = &state.engine;
    let user = match caller {
        Some(caller) if caller.user_id().is_none() => {
            return Err(Error::Unauthenticated("this is for users, not for service accounts").into());
        }
        Some(caller) => {
            let open = state.web.allow_unauthenticated_registration;
            let permit = match caller.permit_create_user(new.clone()) {
                // What a stranger may, a user may too.
                Err(Error::Forbidden(_)) if open => Permit::<CreateUser, _>::registration(new)?,
                permit => permit?,
            };
            engine.create_user(permit).await?
        }
        None if engine.awaits_first_user().await? => engine.create_first_user(Permit::bootstrap(new)).await?,
        None if state.web.allow_unauthenticated_registration => {
            engine.create_user(Permit::<CreateUser, _>::registration(new)?).await?
        }
        None => {
            return Err(Error::Forbidden(
                "there are users already: sign in as an admin or a superuser to create more".into(),
            )
            .into());
        }
    };
    Ok((StatusCode::CREATED, Json(user)))
}

struct Page {
    skip: i64,
    limit: i64,
}

impl FromFields for Page {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            skip: fields.optional_number("skip", 0, i64::MAX).unwrap_or(0),
            limit: fields.optional_number("limit", 1, 1000).unwrap_or(100),
        }
    }
}

async fn list(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    Query(page): Query<Page>,
) -> Result<Json<Vec<User>>, ApiError> {
    Ok(Json(state.engine.users(&caller, page.skip, page.limit).await?))
}

async fn me(State(state): State<AppState>, SignedUser(caller): SignedUser) -> Result<Json<User>, ApiError> {
    let id = caller.user_id().ok_or(Error::NotFound("user"))?;
    Ok(Json(state.engine.user(&caller, id).await?))
}

async fn show(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<UserId>,
) -> Result<Json<User>, ApiError> {
    Ok(Json(state.engine.user(&caller, id).await?))
}

/// Characters of a new password at the least.
const MIN_PASSWORD: usize = 8;
/// bcrypt looks at no more.
const BCRYPT_BYTES: usize = 72;
