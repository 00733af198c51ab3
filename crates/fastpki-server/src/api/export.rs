//! Files.

use axum::extract::State;
use fastpki_engine::{Error, ExportKey, Read};
use fastpki_types::{CaId, CertificateId};

use super::GET;
use crate::{
    answers::PemFile,
    error::ApiError,
    extract::{PathId, Signed},
    routes::Routes,
    state::AppState,
};

pub(super) fn routes() -> Routes {
    Routes::tagged("export")
        .on(GET, "/export/ca/{ca_id}/certificate", ca_certificate, "A CA's certificate as PEM", &[403, 404])
        .on(
            GET,
            "/export/ca/{ca_id}/private-key",
            ca_private_key,
            "A CA's private key as PEM",
            &[403, 404, 409],
        )
        .on(GET, "/export/certificate/{cert_id}", certificate, "A certificate as PEM", &[403, 404])
        .on(
            GET,
            "/export/certificate/{cert_id}/private-key",
            certificate_private_key,
            "A certificate's private key as PEM",
            &[403, 404, 409],
        )
        .on(
            GET,
            "/export/certificate/{cert_id}/chain",
            certificate_chain,
            "A certificate, then every CA up to the root, as PEM",
            &[403, 404],
        )
}

async fn ca_certificate(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CaId>,
) -> Result<PemFile, ApiError> {
    let row = state.engine.authority(id).await?;
    caller.permit::<Read, _>(row.clone())?;
    Ok(PemFile { name: format!("ca_{id}_certificate.pem"), pem: row.ca.certificate })
}

async fn ca_private_key(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CaId>,
) -> Result<PemFile, ApiError> {
    let permit = caller.permit::<ExportKey, _>(state.engine.authority(id).await?)?;
    let (_, key) = state.engine.export_authority_key(permit).await?;
    Ok(PemFile { name: format!("ca_{id}_private_key.pem"), pem: key.expose().to_owned() })
}

async fn certificate(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CertificateId>,
) -> Result<PemFile, ApiError> {
    let row = state.engine.certificate(id).await?;
    caller.permit::<Read, _>(row.clone())?;
    Ok(PemFile { name: format!("certificate_{id}.pem"), pem: row.certificate.certificate })
}

async fn certificate_private_key(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CertificateId>,
) -> Result<PemFile, ApiError> {
    let permit = caller.permit::<ExportKey, _>(state.engine.certificate(id).await?)?;
    let (_, key) = state.engine.export_certificate_key(permit).await?;
    let key = key.ok_or(Error::NotFound("private key"))?;
    Ok(PemFile { name: format!("certificate_{id}_private_key.pem"), pem: key.expose().to_owned() })
}

/// The certificate, then every CA up to the root.
async fn certificate_chain(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CertificateId>,
) -> Result<PemFile, ApiError> {
    let row = state.engine.certificate(id).await?;
    caller.permit::<Read, _>(row.clone())?;
    let mut chain = row.certificate.certificate;
    if let Some(issuer) = row.certificate.issuer_id {
        chain.extend(state.engine.chain(issuer).await?.into_iter().map(|row| row.ca.certificate));
    }
    Ok(PemFile { name: format!("certificate_{id}_chain.pem"), pem: chain })
}
