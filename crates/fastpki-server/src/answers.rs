//! What handlers answer with.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{openapi::Operation, routes::Describe};

/// What was created: 201.
pub(crate) struct Created<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

/// Nothing to say: 204.
pub(crate) struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// A file to be kept.
pub(crate) struct PemFile {
    pub(crate) name: String,
    pub(crate) pem: String,
}

impl IntoResponse for PemFile {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, PEM.to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename={}", self.name)),
        ];
        (headers, self.pem).into_response()
    }
}

/// The media type of PEM.
pub(crate) const PEM: &str = "application/x-pem-file";

impl<T: JsonSchema> Describe for Json<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers::<T>(200);
    }
}

impl<T: JsonSchema> Describe for Created<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers::<T>(201);
    }
}

impl Describe for NoContent {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers_nothing(204, "Done; there is nothing to say");
    }
}

impl Describe for PemFile {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers_file(PEM);
    }
}
