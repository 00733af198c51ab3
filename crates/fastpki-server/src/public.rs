//! What anybody may download, and whether the server is well.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use fastpki_engine::PublishedCrl;
use fastpki_types::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{answers::PEM, error::ApiError, routes::Routes, state::AppState};

pub(crate) fn routes() -> Routes {
    Routes::tagged("pki")
        .on(Method::GET, "/", welcome, "What this is", &[])
        .on(Method::GET, "/healthz", alive, "Whether the server runs", &[])
        .on(
            Method::GET,
            "/readyz",
            ready,
            "Whether the database answers and private keys can be read",
            &[503],
        )
        .files(
            "/crl/{file}",
            crl,
            &[
                ("/crl/{ca_slug}", "The CRL of a CA as DER", "application/pkix-crl"),
                ("/crl/{ca_slug}.pem", "The CRL of a CA as PEM", PEM),
            ],
        )
        .files(
            "/ca/{file}",
            ca,
            &[
                ("/ca/{ca_slug}.crt", "The certificate of a CA as DER", "application/pkix-cert"),
                ("/ca/{ca_slug}.pem", "The certificate of a CA as PEM", PEM),
            ],
        )
}

/// A word for people.
#[derive(JsonSchema, Serialize)]
struct Message {
    message: String,
}

/// How the server is.
#[derive(JsonSchema, Serialize)]
struct Status {
    status: &'static str,
}

async fn welcome(State(state): State<AppState>) -> Result<Json<Message>, ApiError> {
    Ok(Json(Message { message: format!("Welcome to {}", state.web.project_name) }))
}

async fn alive() -> Result<Json<Status>, ApiError> {
    Ok(Json(Status { status: "alive" }))
}

async fn ready(State(state): State<AppState>) -> Result<Json<Status>, ApiError> {
    match tokio::time::timeout(READY_TIMEOUT, state.engine.check_ready()).await {
        Ok(Ok(())) => return Ok(Json(Status { status: "ready" })),
        Ok(Err(error)) => tracing::error!(%error, "not ready"),
        Err(_) => tracing::error!("not ready: the database does not answer"),
    }
    Err(ApiError::NotReady)
}

/// `/crl/{slug}` as DER, `/crl/{slug}.pem` as PEM.
async fn crl(
    State(state): State<AppState>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (slug, is_pem) = file.strip_suffix(".pem").map_or((file.as_str(), false), |slug| (slug, true));
    let crl = state.engine.crl(slug).await?;
    let left = crl.next_update.as_seconds() - state.engine.now().as_seconds();
    let download = Download {
        media_type: if is_pem { PEM } else { "application/pkix-crl" },
        file_name: if is_pem { format!("{slug}.crl.pem") } else { format!("{slug}.crl") },
        version: crl.number.to_string(),
        changed: crl.this_update,
        changes: true,
        max_age: left.clamp(0, CRL_MAX_AGE),
    };
    if let Some(response) = download.unchanged(&headers) {
        return Ok(response);
    }
    Ok(download.answer(match is_pem {
        true => Bytes::from_owner(Pem(crl)),
        false => Bytes::from_owner(Der(crl)),
    }))
}

/// The bytes of a CRL, which all who download it share.
struct Der(Arc<PublishedCrl>);

impl AsRef<[u8]> for Der {
    fn as_ref(&self) -> &[u8] {
        &self.0.der
    }
}

/// The same as PEM.
struct Pem(Arc<PublishedCrl>);

impl AsRef<[u8]> for Pem {
    fn as_ref(&self) -> &[u8] {
        self.0.pem().as_bytes()
    }
}

/// `/ca/{slug}.crt` as DER, `/ca/{slug}.pem` as PEM.
async fn ca(
    State(state): State<AppState>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (slug, kind) = file.rsplit_once('.').ok_or(ApiError::NoSuchRoute)?;
    let is_pem = match kind {
        "pem" => true,
        "crt" => false,
        _ => return Err(ApiError::NoSuchRoute),
    };
    let row = state.engine.authority_by_slug(slug).await?;
    let download = Download {
        media_type: if is_pem { PEM } else { "application/pkix-cert" },
        file_name: file.clone(),
        version: format!("{}-{}", row.ca.id, row.ca.created_at.as_micros()),
        changed: row.ca.created_at,
        changes: false,
        max_age: CA_MAX_AGE,
    };
    if let Some(response) = download.unchanged(&headers) {
        return Ok(response);
    }
    Ok(download.answer(if is_pem {
        row.ca.certificate.into()
    } else {
        state.engine.certificate_der(&row)?.into()
    }))
}

/// A file that caches may keep for a while.
struct Download {
    media_type: &'static str,
    file_name: String,
    version: String,
    changed: Timestamp,
    /// Whether it will change again.
    changes: bool,
    max_age: i64,
}

impl Download {
    fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }

    /// 304 for who has this version already. `If-None-Match` goes before `If-Modified-Since`: RFC 9110 section 13.2.2.
    fn unchanged(&self, headers: &HeaderMap) -> Option<Response> {
        let same = match headers.get(header::IF_NONE_MATCH) {
            Some(value) => {
                let etag = self.etag();
                let mut tags = value.to_str().ok()?.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
                tags.any(|tag| tag == etag || tag == "*")
            }
            // Two CRLs may be made within the second that is all a date can tell.
            None if self.changes => false,
            None => {
                let since = headers.get(header::IF_MODIFIED_SINCE)?.to_str().ok()?;
                httpdate::parse_http_date(since).ok()? >= self.last_modified()
            }
        };
        same.then(|| self.dressed(StatusCode::NOT_MODIFIED.into_response()))
    }

    fn answer(&self, bytes: Bytes) -> Response {
        let mut response = self.dressed(bytes.into_response());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        let disposition = format!("attachment; filename={}", self.file_name);
        if let Ok(value) = HeaderValue::from_bytes(disposition.as_bytes()) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        response
    }

    fn dressed(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        let lines = [
            (header::ETAG, self.etag()),
            (header::LAST_MODIFIED, httpdate::fmt_http_date(self.last_modified())),
            (header::CACHE_CONTROL, format!("public, max-age={}", self.max_age)),
        ];
        for (name, value) in lines {
            headers.insert(name, HeaderValue::from_str(&value).expect("digits and a date"));
        }
        response
    }

    fn last_modified(&self) -> std::time::SystemTime {
        let seconds = u64::try_from(self.changed.as_seconds()).unwrap_or_default();
        std::time::UNIX_EPOCH + Duration::from_secs(seconds)
    }
}

/// How long the database may take to answer: a load balancer waits no longer.
const READY_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds a cache may keep a CRL: a revocation is seen that much later behind one.
const CRL_MAX_AGE: i64 = 300;
/// Seconds a cache may keep a CA's certificate, which never changes: a day.
const CA_MAX_AGE: i64 = 24 * 3600;
