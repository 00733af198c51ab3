//! Service accounts, their tokens and policies. Managed by users only.

use axum::{Json, extract::State};
use fastpki_engine::parse_network;
use fastpki_types::{
    IssuancePolicy, IssuanceRules, NewServiceAccountToken, OrganizationId, ServiceAccount,
    ServiceAccountCreate, ServiceAccountId, ServiceAccountToken, ServiceAccountTokenCreate,
    ServiceAccountTokenId, ServiceAccountUpdate,
};
use serde_json::json;

use super::{DELETE, GET, MAX_DAYS, MAX_NAME, MAX_TEXT, PATCH, POST, PUT};
use crate::{
    answers::{Created, NoContent},
    error::ApiError,
    extract::{PathId, PathIds, SignedUser, Unread},
    fields::{Fields, FromFields, Text},
    routes::Routes,
    state::AppState,
};

pub(super) fn routes() -> Routes {
    Routes::tagged("service-accounts")
        .on(GET, "/service-accounts/", list, "The service accounts that the caller sees, by name", &[])
        .on(POST, "/service-accounts/", create, "Create a service account", &[400, 403, 409])
        .on(GET, "/service-accounts/{sa_id}", show, "A service account", &[404])
        .on(
            PATCH,
            "/service-accounts/{sa_id}",
            update,
            "Change a service account; what is not given stays",
            &[400, 403, 404, 409],
        )
        .on(
            DELETE,
            "/service-accounts/{sa_id}",
            delete,
            "Delete a service account: its tokens die, what it had issued stays",
            &[403, 404, 409],
        )
        .on(
            POST,
            "/service-accounts/{sa_id}/tokens",
            create_token,
            "Make a token: the only time that it is shown",
            &[400, 403, 404, 409],
        )
        .on(
            GET,
            "/service-accounts/{sa_id}/tokens",
            tokens,
            "Tokens in the order in which they were made",
            &[404],
        )
        .on(
            DELETE,
            "/service-accounts/{sa_id}/tokens/{token_id}",
            revoke_token,
            "Revoke a token",
            &[403, 404, 409],
        )
        .on(
            PUT,
            "/service-accounts/{sa_id}/policy",
            set_policy,
            "Say what a service account may have issued",
            &[403, 404, 409],
        )
        .on(GET, "/service-accounts/{sa_id}/policy", policy, "What a service account may have issued", &[404])
        .on(
            DELETE,
            "/service-accounts/{sa_id}/policy",
            clear_policy,
            "Let a service account have nothing issued",
            &[403, 404, 409],
        )
}

impl FromFields for ServiceAccountCreate {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.text("name", Text::line(MAX_NAME)),
            description: fields.optional_text("description", Text::lines(MAX_TEXT)),
            organization_id: fields.optional_id("organization_id", OrganizationId),
            flags: fields.flags(),
        }
    }
}

impl FromFields for ServiceAccountUpdate {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.optional_text("name", Text::line(MAX_NAME)),
            description: fields.optional_text("description", Text::lines(MAX_TEXT)),
            disabled: fields.optional_flag("disabled"),
            flags: fields.flags_update(),
        }
    }
}

impl FromFields for ServiceAccountTokenCreate {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.optional_text("name", Text::line(MAX_NAME)),
            expires_at: fields.optional_time("expires_at"),
        }
    }
}

impl FromFields for IssuanceRules {
    fn from_fields(fields: &mut Fields) -> Self {
        let mut texts =
            |name| fields.optional_texts(name, MAX_RULES, Text::line(MAX_NAME)).unwrap_or_default();
        Self {
            cn_patterns: texts("cn_patterns"),
            san_dns_patterns: texts("san_dns_patterns"),
            san_email_domains: texts("san_email_domains"),
            san_ip_cidrs: networks(fields),
            allowed_ca_ids: fields.optional_ids("allowed_ca_ids", MAX_RULES).unwrap_or_default(),
            allowed_certificate_types: fields
                .optional_choices("allowed_certificate_types")
                .unwrap_or_default(),
            max_validity_days: fields.count("max_validity_days", MAX_DAYS),
        }
    }
}

fn networks(fields: &mut Fields) -> Vec<String> {
    let name = "san_ip_cidrs";
    let networks = fields.optional_texts(name, MAX_RULES, Text::line(MAX_NAME)).unwrap_or_default();
    let network = json!({ "type": "string", "maxLength": MAX_NAME, "pattern": NETWORK });
    fields.refine("items", network);
    for (index, text) in networks.iter().enumerate() {
        if parse_network(text).is_none() {
            let msg = "should be an address or a network such as 192.0.2.0/24 or 2001:db8::/32";
            fields.note_item(name, index, "value_error", msg.into());
        }
    }
    networks
}

async fn create(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    body: Unread<ServiceAccountCreate>,
) -> Result<Created<ServiceAccount>, ApiError> {
    caller.check_creates_service_accounts()?;
    let new = body.read().await?;
    let permit = caller.permit_create_service_account(new.organization_id)?;
    Ok(Created(state.engine.create_service_account(permit, new).await?))
}

async fn list(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
) -> Result<Json<Vec<ServiceAccount>>, ApiError> {
    Ok(Json(state.engine.service_accounts(&caller).await?))
}

async fn show(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<ServiceAccountId>,
) -> Result<Json<ServiceAccount>, ApiError> {
    Ok(Json(state.engine.service_account(&caller, id).await?))
}

async fn update(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<ServiceAccountId>,
    body: Unread<ServiceAccountUpdate>,
) -> Result<Json<ServiceAccount>, ApiError> {
    let permit = caller.permit_manage(state.engine.service_account(&caller, id).await?)?;
    let change = body.read().await?;
    Ok(Json(state.engine.update_service_account(permit, change).await?))
}

async fn delete(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<ServiceAccountId>,
) -> Result<NoContent, ApiError> {
    let permit = caller.permit_manage(state.engine.service_account(&caller, id).await?)?;
    state.engine.delete_service_account(permit).await?;
    Ok(NoContent)
}

async fn create_token(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<ServiceAccountId>,
    body: Unread<ServiceAccountTokenCreate>,
) -> Result<Created<NewServiceAccountToken>, ApiError> {
    let permit = caller.permit_manage(state.engine.service_account(&caller, id).await?)?;
    let new = body.read().await?;
    Ok(Created(state.engine.create_service_account_token(permit, new).await?))
}

async fn tokens(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<ServiceAccountId>,
) -> Result<Json<Vec<ServiceAccountToken>>, ApiError> {
    Ok(Json(state.engine.service_account_tokens(&caller, id).await?))
}

async fn revoke_token(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathIds(id, token): PathIds<ServiceAccountId, ServiceAccountTokenId>,
) -> Result<NoContent, ApiError> {
    let permit = caller.permit_manage(state.engine.service_account(&caller, id).await?)?;
    state.engine.revoke_service_account_token(permit, token).await?;
    Ok(NoContent)
}

async fn set_policy(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<ServiceAccountId>,
    body: Unread<IssuanceRules>,
) -> Result<Json<IssuancePolicy>, ApiError> {
    let permit = caller.permit_manage(state.engine.service_account(&caller, id).await?)?;
    let rules = body.read().await?;
    Ok(Json(state.engine.set_policy(permit, rules).await?))
}

async fn policy(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<ServiceAccountId>,
) -> Result<Json<IssuancePolicy>, ApiError> {
    Ok(Json(state.engine.policy(&caller, id).await?))
}

async fn clear_policy(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    PathId(id): PathId<ServiceAccountId>,
) -> Result<NoContent, ApiError> {
    let permit = caller.permit_manage(state.engine.service_account(&caller, id).await?)?;
    state.engine.clear_policy(permit).await?;
    Ok(NoContent)
}

/// How an address or a network is written.
const NETWORK: &str = "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$";
/// Entries of one list of a policy: each name of a certificate is held against all of them.
const MAX_RULES: usize = 1000;
