//! One line for every request, and the headers that every answer carries.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use fastpki_engine::{Caller, PrincipalId};
use tracing::Instrument;

use crate::{proxy, state::AppState};

/// Who turned out to make the request, for the log.
#[derive(Clone, Default)]
pub(crate) struct Principal(Arc<OnceLock<String>>);

impl Principal {
    pub(crate) fn set(&self, caller: &Caller) {
        let text = match caller.id {
            PrincipalId::User(id) => format!("user:{id}"),
            PrincipalId::ServiceAccount(id) => format!("service_account:{id}"),
        };
        // The first stands: a request has one caller.
        let _ = self.0.set(text);
    }
}

/// Logs the request and dresses the answer. Neither the path nor the query is logged, only the route:
/// what people put into addresses is theirs.
pub(crate) async fn log_request(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request, &state);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("(none)".to_owned(), |path| path.as_str().to_owned());
    let principal = Principal::default();
    request.extensions_mut().insert(principal.clone());
    let (parts, body) = request.into_parts();
    if proxy::forwards_untrusted(&parts, &state) {
        warn_of_untrusted_proxy();
    }
    let span = tracing::info_span!("request", id = %id);
    let mut response = next.run(Request::from_parts(parts, body)).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let principal = principal.0.get().map_or("-", String::as_str);
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(%method, route, status, ms, principal, "request"));

    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static(REQUEST_ID), id);
    }
    response
}

/// The client's own id if it is one, else a new one.
fn request_id(request: &Request, state: &AppState) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let fits = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    given.filter(fits).map_or_else(|| state.engine.new_request_id(), str::to_owned)
}

fn warn_of_untrusted_proxy() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        tracing::warn!(
            "a peer sends X-Forwarded-For but is not in TRUSTED_PROXIES: its own address counts. If it is your reverse proxy, name it there"
        );
    });
}

const REQUEST_ID: &str = "x-request-id";

const HEADERS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
];
