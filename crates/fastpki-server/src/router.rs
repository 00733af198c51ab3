//! Which address leads where.

use axum::{
    Router,
    http::{HeaderValue, Method, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer},
};

use crate::{
    api, docs, error::ApiError, heads::refuse_long_heads, public, request_log::log_request, routes::Routes,
    state::AppState,
};

/// Every route, dressed.
pub fn router(state: AppState) -> Router {
    let (mut router, description) = routes(&state.web.api_prefix).split();
    if state.web.enable_docs {
        let document = description.document(&state.web.project_name, &state.web.api_prefix);
        router = router.merge(docs::routes(&state.web.api_prefix, document));
    }
    let mut router = router
        .fallback(|| async { ApiError::NoSuchRoute })
        .method_not_allowed_fallback(|| async { ApiError::NoSuchMethod })
        .layer(middleware::from_fn(refuse_long_heads))
        .layer(CatchPanicLayer::custom(|_| panicked()));
    if let Some(cors) = cors(&state.web.cors_origins) {
        router = router.layer(cors);
    }
    router.layer(middleware::from_fn_with_state(state.clone(), log_request)).with_state(state)
}

/// The OpenAPI 3.1 description of the API, as it is served with `ENABLE_DOCS`.
pub fn openapi(project_name: &str, api_prefix: &str) -> serde_json::Value {
    routes(api_prefix).split().1.document(project_name, api_prefix)
}

fn routes(api_prefix: &str) -> Routes {
    api::routes().under(api_prefix).merge(public::routes())
}

/// A panic is a fault of ours; the client gets a plain 500, and the server goes on.
fn panicked() -> Response {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        [(header::CONTENT_TYPE, "application/json")],
        r#"{"detail":"internal error"}"#,
    )
        .into_response()
}

/// Origins listed get credentials, all methods and all headers; `*` never gets credentials.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    let layer = CorsLayer::new()
        .allow_methods(AllowMethods::list(methods))
        .expose_headers([
            header::LINK,
            "x-total-count".parse().expect("a header name"),
            "x-request-id".parse().expect("a header name"),
        ])
        .max_age(std::time::Duration::from_secs(600));
    if origins.iter().any(|origin| origin == "*") {
        return Some(layer.allow_origin(AllowOrigin::any()).allow_headers(AllowHeaders::any()));
    }
    let listed: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    Some(
        layer
            .allow_origin(AllowOrigin::list(listed))
            .allow_headers(AllowHeaders::mirror_request())
            .allow_credentials(true),
    )
}
