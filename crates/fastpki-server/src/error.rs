//! Errors as clients see them. The only place that knows which is which status.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use fastpki_engine::{Error, printable};
use fastpki_types::ValidationProblem;
use serde_json::{Value, json};

/// Why a request was not served.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The engine did not do it.
    Engine(Error),
    /// The request does not validate; every problem.
    Unprocessable(Vec<ValidationProblem>),
    /// The head is longer than any legitimate one.
    HeadTooLarge {
        /// Bytes that are accepted.
        limit: usize,
    },
    /// The body is larger than any legitimate one.
    TooLarge {
        /// Bytes that are accepted.
        limit: usize,
    },
    /// The body did not arrive in time.
    TooSlow,
    /// The client has tried too often.
    TooManyRequests {
        /// Seconds after which to try again.
        retry_after: u64,
    },
    /// The server cannot serve now.
    NotReady,
    /// There is no such page.
    NoSuchRoute,
    /// The page knows no such method.
    NoSuchMethod,
}

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::Engine(error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, detail) = match self {
            Self::Engine(error) => engine(error),
            Self::Unprocessable(problems) => (StatusCode::UNPROCESSABLE_ENTITY, json!(problems)),
            Self::HeadTooLarge { limit } => {
                let detail = format!("the head of the request is longer than {limit} bytes");
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, json!(detail))
            }
            Self::TooLarge { limit } => {
                (StatusCode::PAYLOAD_TOO_LARGE, json!(format!("the body is larger than {limit} bytes")))
            }
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, json!("the body did not arrive in time")),
            Self::TooManyRequests { retry_after } => {
                let detail = format!("too many attempts from your address: try again in {retry_after} s");
                let mut response =
                    (StatusCode::TOO_MANY_REQUESTS, Json(json!({ "detail": detail }))).into_response();
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
                return response;
            }
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, json!("not ready: see the server's log")),
            Self::NoSuchRoute => (StatusCode::NOT_FOUND, json!("there is nothing here")),
            Self::NoSuchMethod => {
                (StatusCode::METHOD_NOT_ALLOWED, json!("this method is not for this address"))
            }
        };
        let mut response = (status, Json(json!({ "detail": detail }))).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn engine(error: Error) -> (StatusCode, Value) {
    match error {
        Error::Unauthenticated(text) => (StatusCode::UNAUTHORIZED, json!(text)),
        Error::Forbidden(text) => (StatusCode::FORBIDDEN, json!(text)),
        Error::NotFound(_) => (StatusCode::NOT_FOUND, json!(error.to_string())),
        Error::Invalid(text) => (StatusCode::BAD_REQUEST, json!(text)),
        Error::Coded { code, message } => {
            (StatusCode::BAD_REQUEST, json!({ "code": code, "message": message }))
        }
        Error::NoPolicy => {
            let code = "service_account_has_no_policy";
            (StatusCode::FORBIDDEN, json!({ "code": code, "message": error.to_string() }))
        }
        Error::PolicyViolation { field, ref value } => {
            let code = "policy_violation";
            let detail =
                json!({ "code": code, "field": field, "value": value, "message": error.to_string() });
            (StatusCode::BAD_REQUEST, detail)
        }
        Error::Conflict(text) => (StatusCode::CONFLICT, json!(text)),
        Error::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, json!(error.to_string())),
        Error::NoCrl(text) => (StatusCode::NOT_FOUND, json!(text)),
        Error::Unavailable(text) => (StatusCode::SERVICE_UNAVAILABLE, json!(text)),
        Error::Database { may_be_done, text } => {
            tracing::error!(error = %text, "the database cannot be used");
            let detail = if may_be_done { MAY_BE_DONE } else { NOT_DONE };
            (StatusCode::SERVICE_UNAVAILABLE, json!(detail))
        }
        Error::Internal(text) => {
            // The span of the request carries its id; the client gets that id and no inside.
            tracing::error!(error = %printable(&text), "internal error");
            let detail = "internal error: the server's log has more under this answer's X-Request-Id";
            (StatusCode::INTERNAL_SERVER_ERROR, json!(detail))
        }
    }
}

const NOT_DONE: &str =
    "the database cannot be used at present, and nothing was changed: try again; the server's log says why";
const MAY_BE_DONE: &str = "the database did not say whether it made the change, so it may have been made: look before you try again";
/// Seconds after which to try again what the server was too busy for; a database that was started again answers by then,
/// as a rule.
const RETRY_AFTER: u64 = 5;
