//! Users.

use axum::{Json, extract::State};
use fastpki_engine::{
    Caller, CreateUser, Error, Permit, is_international_host, is_unseen, new_name, new_principal_name,
};
use fastpki_types::{OrganizationId, Password, User, UserCreate, UserId, UserUpdate};

use super::{DELETE, GET, MAX_EMAIL, PATCH, POST};
use crate::{
    answers::{Created, NoContent},
    error::ApiError,
    extract::{MAX_ANONYMOUS_BODY, MaybeSigned, PathId, Query, SignedUser, Unread},
    fields::{Fields, FromFields, Text},
    routes::Routes,
    state::AppState,
};

pub(super) fn routes() -> Routes {
    Routes::tagged("users")
        .on(GET, "/users/", list, "Users by id; superusers only", &[403])
        .on(
            POST,
            "/users/",
            create,
            "Create a user: anybody the very first one, then admins and superusers",
            &[400, 403, 503],
        )
        .on(GET, "/users/me", me, "Oneself", &[])
        .on(
            GET,
            "/users/{user_id}",
            show,
            "A user: oneself, for admins those of their organization, for superusers anybody",
            &[403, 404],
        )
        .on(
            PATCH,
            "/users/{user_id}",
            update,
            "Change a user; what is not given stays",
            &[400, 403, 404, 409, 503],
        )
        .on(
            DELETE,
            "/users/{user_id}",
            delete,
            "Delete a user; what they had created stays. Superusers only, and not oneself",
            &[400, 403, 404, 409],
        )
}

impl FromFields for UserCreate {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            username: fields.name("username", new_principal_name),
            email: email(fields),
            password: password(fields),
            role: fields.optional_choice("role"),
            is_active: fields.optional_flag("is_active"),
            organization_id: fields.optional_id("organization_id", OrganizationId),
            flags: fields.flags(),
        }
    }
}

impl FromFields for UserUpdate {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            email: optional_email(fields),
            password: optional_password(fields),
            role: fields.optional_choice("role"),
            is_active: fields.optional_flag("is_active"),
            organization_id: fields.optional_id("organization_id", OrganizationId),
            flags: fields.flags_update(),
        }
    }
}

fn email(fields: &mut Fields) -> String {
    optional_email(fields).unwrap_or_else(|| fields.missing("email"))
}

fn optional_email(fields: &mut Fields) -> Option<String> {
    let email = fields.optional_text("email", Text::line(MAX_EMAIL));
    fields.refine("format", "email");
    fields.refine("pattern", EMAIL);
    let email = email?;
    if !email.is_empty() && !is_email(&email) {
        fields.note("email", "value_error", "should be an e-mail address".into());
    } else if let (false, Err(problem)) = (email.is_empty(), new_name(&email)) {
        // It tells who somebody is, as a name does.
        fields.note("email", "value_error", problem);
    }
    Some(email)
}

/// Whether mail may go there: RFC 5321 without quoted names and addresses in brackets, and RFC 6531's letters beyond ASCII.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let atom = |atom: &str| !atom.is_empty() && atom.chars().all(|c| is_letter(c) || ATOM_SIGNS.contains(c));
    local.split('.').all(atom) && domain.contains('.') && is_international_host(domain)
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || (!c.is_ascii() && !c.is_whitespace() && !is_unseen(c))
}

fn password(fields: &mut Fields) -> Password {
    optional_password(fields).unwrap_or_else(|| fields.missing::<String>("password").into())
}

fn optional_password(fields: &mut Fields) -> Option<Password> {
    let password = fields.optional_text("password", Text::lines(BCRYPT_BYTES));
    fields.refine("format", "password");
    fields.refine("minLength", MIN_PASSWORD);
    let password = Password::from(password?);
    let text = password.expose();
    if text.chars().count() < MIN_PASSWORD {
        let msg = format!("should have at least {MIN_PASSWORD} characters");
        fields.note("password", "string_too_short", msg);
    }
    if text.chars().all(|c| c.is_whitespace() || is_unseen(c)) {
        fields.note("password", "value_error", "should have characters that can be seen".into());
    }
    if text.len() > BCRYPT_BYTES {
        let msg = format!("should have at most {BCRYPT_BYTES} bytes; letters beyond ASCII have several");
        fields.note("password", "string_too_long", msg);
    }
    Some(password)
}

/// The very first user may be created by anybody; then admins and superusers create users, and
/// strangers only where registration is open.
async fn create(
    State(state): State<AppState>,
    MaybeSigned(caller): MaybeSigned,
    body: Unread<UserCreate, MAX_ANONYMOUS_BODY>,
) -> Result<Created<User>, ApiError> {
    let engine = &state.engine;
    check_may_create(&state, caller.as_ref()).await?;
    let new = body.read().await?;
    let user = match caller {
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
    Ok(Created(user))
}

/// Whether there is anybody whom this caller may create: asked before a body is read.
async fn check_may_create(state: &AppState, caller: Option<&Caller>) -> Result<(), ApiError> {
    let open = state.web.allow_unauthenticated_registration;
    match caller {
        Some(caller) if caller.user_id().is_none() => {
            Err(Error::Unauthenticated("this is for users, not for service accounts").into())
        }
        Some(caller) if !open => Ok(caller.check_creates_users()?),
        None if !open && !state.engine.awaits_first_user().await? => Err(Error::Forbidden(
            "there are users already: sign in as an admin or a superuser to create more".into(),
        )
        .into()),
        _ => Ok(()),
    }
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

async fn update(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<UserId>,
    body: Unread<UserUpdate>,
) -> Result<Json<User>, ApiError> {
    let user = state.engine.any_user(id).await?;
    caller.check_updates_user(&user)?;
    let change = body.read().await?;
    let permit = caller.permit_update_user(user, change)?;
    Ok(Json(state.engine.update_user(permit).await?))
}

async fn delete(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<UserId>,
) -> Result<NoContent, ApiError> {
    let permit = caller.permit_delete_user(state.engine.any_user(id).await?)?;
    state.engine.delete_user(permit).await?;
    Ok(NoContent)
}

/// Characters of a new password at the least.
const MIN_PASSWORD: usize = 8;
/// An e-mail address, of those that are all ASCII.
const EMAIL: &str = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\
    @[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$";
/// What else the name in an e-mail address may have: RFC 5322's atext.
const ATOM_SIGNS: &str = "!#$%&'*+-/=?^_`{|}~";
/// bcrypt looks at no more.
const BCRYPT_BYTES: usize = 72;
