//! Heads of requests: no longer than any client sends.

use axum::{extract::Request, http::request::Parts, middleware::Next, response::Response};

use crate::error::ApiError;

/// Refuses requests whose heads are too long. Those that arrive in pieces are refused before, as they are read.
pub(crate) async fn refuse_long_heads(request: Request, next: Next) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    if length(&parts) > MAX_HEAD {
        return Err(ApiError::HeadTooLarge { limit: MAX_HEAD });
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Bytes of the head as the client sent it, except blanks that mean nothing.
fn length(parts: &Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = parts.method.as_str().len() + target + " ".len() + " HTTP/1.1\r\n".len();
    let field = |name: usize, value: usize| name + ": ".len() + value + "\r\n".len();
    let fields = parts.headers.iter().map(|(name, value)| field(name.as_str().len(), value.len()));
    line + fields.sum::<usize>() + "\r\n".len()
}

/// Bytes of the head of a request: an access token, a long query, and what proxies add.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
