//! The audit log.

use axum::{Json, extract::State};
use fastpki_engine::AuditFilter;
use fastpki_types::{AuditLog, ServiceAccountId, UserId};

use super::{GET, MAX_NAME};
use crate::{
    error::ApiError,
    extract::{Query, SignedUser},
    fields::{Fields, FromFields, Text},
    routes::Routes,
    state::AppState,
};

pub(super) fn routes() -> Routes {
    Routes::tagged("audit-logs").on(
        GET,
        "/audit-logs/",
        list,
        "The audit log, newest first: admins see their organization's, superusers all",
        &[403],
    )
}

struct Filter(AuditFilter);

impl FromFields for Filter {
    fn from_fields(fields: &mut Fields) -> Self {
        Self(AuditFilter {
            // Whose log it is follows from the caller.
            organization_id: None,
            action: fields.optional_choice("action"),
            user_id: fields.optional_id("user_id", UserId),
            service_account_id: fields.optional_id("service_account_id", ServiceAccountId),
            resource_type: fields.optional_text("resource_type", Text::line(MAX_NAME)),
            resource_id: fields.optional_id("resource_id", |id| id),
            since: fields.optional_time("since"),
            until: fields.optional_time("until"),
            skip: fields.optional_number("skip", 0, i64::MAX).unwrap_or(0),
            limit: fields.optional_number("limit", 1, 1000).unwrap_or(100),
        })
    }
}

async fn list(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    Query(Filter(filter)): Query<Filter>,
) -> Result<Json<Vec<AuditLog>>, ApiError> {
    Ok(Json(state.engine.audit_logs(&caller, filter).await?))
}
