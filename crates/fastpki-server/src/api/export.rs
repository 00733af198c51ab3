//! Files.

use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use fastpki_engine::{Error, ExportKey, Read};
use fastpki_types::{CaId, CertificateId};

use crate::{
    error::ApiError,
    extract::{PathId, Signed},
    state::AppState,
};

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/export/ca/{ca_id}/certificate", get(ca_certificate))
        .route("/export/ca/{ca_id}/private-key", get(ca_private_key))
        .route("/export/certificate/{cert_id}", get(certificate))
        .route("/export/certificate/{cert_id}/private-key", get(certificate_private_key))
        .route("/export/certificate/{cert_id}/chain", get(certificate_chain))
}

async fn ca_certificate(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CaId>,
) -> Result<Response, ApiError> {
    let row = state.engine.authority(id).await?;
    caller.permit::<Read, _>(row.clone())?;
    Ok(pem_file(&format!("ca_{id}_certificate.pem"), row.ca.certificate))
}

async fn ca_private_key(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CaId>,
) -> Result<Response, ApiError> {
    let permit = caller.permit::<ExportKey, _>(state.engine.authority(id).await?)?;
    let (_, key) = state.engine.export_authority_key(permit).await?;
    Ok(pem_file(&format!("ca_{id}_private_key.pem"), key.expose().to_owned()))
}

async fn certificate(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CertificateId>,
) -> Result<Response, ApiError> {
    let row = state.engine.certificate(id).await?;
    caller.permit::<Read, _>(row.clone())?;
    Ok(pem_file(&format!("certificate_{id}.pem"), row.certificate.certificate))
}

async fn certificate_private_key(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CertificateId>,
) -> Result<Response, ApiError> {
    let permit = caller.permit::<ExportKey, _>(state.engine.certificate(id).await?)?;
    let (_, key) = state.engine.export_certificate_key(permit).await?;
    let key = key.ok_or(Error::NotFound("private key"))?;
    Ok(pem_file(&format!("certificate_{id}_private_key.pem"), key.expose().to_owned()))
}

/// The certificate, then every CA up to the root.
async fn certificate_chain(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CertificateId>,
) -> Result<Response, ApiError> {
    let row = state.engine.certificate(id).await?;
    caller.permit::<Read, _>(row.clone())?;
    let mut chain = row.certificate.certificate;
    if let Some(issuer) = row.certificate.issuer_id {
        chain.extend(state.engine.chain(issuer).await?.into_iter().map(|row| row.ca.certificate));
    }
    Ok(pem_file(&format!("certificate_{id}_chain.pem"), chain))
}

fn pem_file(name: &str, pem: String) -> Response {
    let disposition = format!("attachment; filename={name}");
    (
        [
            (header::CONTENT_TYPE, "application/x-pem-file".to_owned()),
            (header::CONTENT_DISPOSITION, disposition),
        ],
        pem,
    )
        .into_response()
}
