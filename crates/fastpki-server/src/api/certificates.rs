//! Certificates.

use axum::{
    Json,
    extract::{OriginalUri, State},
};
use fastpki_engine::{CertificateFilter, ExportKey, Issue, Issued, Read, Revoke, Visible};
use fastpki_types::{
    CaId, Certificate, CertificateCreate, CertificateDetail, CertificateId, CertificateRenew,
    CertificateRevoke, CertificateStatus, CertificateType, CsrSign, Timestamp,
};

use super::{
    GET, MAX_DAYS, MAX_NAME, MAX_TEXT, POST,
    cas::{key, subject_dn},
};
use crate::{
    answers::Created,
    error::ApiError,
    extract::{BaseUrl, Body, PathId, Query, Signed, Unread},
    fields::{Fields, FromFields, Text},
    listing::{self, Item, Listed, Page},
    routes::Routes,
    state::AppState,
};

pub(super) fn routes() -> Routes {
    Routes::tagged("certificates")
        .on(GET, "/certificates/", list, "The certificates that the caller sees, by id", &[])
        .on(
            POST,
            "/certificates/",
            create,
            "Issue a certificate with a key that the server makes",
            &[400, 403, 404, 409],
        )
        .on(POST, "/certificates/sign-csr", sign_csr, "Issue a certificate for a CSR", &[400, 403, 404, 409])
        .on(GET, "/certificates/{cert_id}", show, "A certificate, without its private key", &[403, 404])
        .on(
            GET,
            "/certificates/{cert_id}/private-key",
            private_key,
            "A certificate with its private key, or null where the server has none",
            &[403, 404, 409],
        )
        .on(
            POST,
            "/certificates/{cert_id}/revoke",
            revoke,
            "Revoke a certificate; 409 if it is revoked already",
            &[403, 404, 409],
        )
        .on(
            POST,
            "/certificates/{cert_id}/renew",
            renew,
            "Issue a certificate like one that is there, from now on",
            &[400, 403, 404, 409],
        )
}

/// The CA that a certificate is asked of.
struct Issuer(CaId);

impl FromFields for Issuer {
    fn from_fields(fields: &mut Fields) -> Self {
        Self(fields.id("ca_id", CaId))
    }
}

impl FromFields for CertificateCreate {
    fn from_fields(fields: &mut Fields) -> Self {
        let (key_type, key_size) = key(fields);
        Self {
            common_name: fields.text("common_name", Text::line(MAX_NAME)),
            subject_dn: subject_dn(fields).unwrap_or_else(|| fields.missing("subject_dn")),
            certificate_type: fields.choice("certificate_type"),
            key_type,
            key_size,
            valid_days: fields.optional_count("valid_days", MAX_DAYS),
            include_private_key: fields.optional_flag("include_private_key").unwrap_or(true),
            sans: fields.sans(),
        }
    }
}

impl FromFields for CsrSign {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            csr: fields.text("csr", Text::lines(MAX_CSR)),
            ca_id: fields.optional_id("ca_id", CaId),
            ca_name: fields.optional_text("ca_name", Text::line(MAX_NAME)),
            certificate_type: fields.choice("certificate_type"),
            valid_days: fields.optional_count("valid_days", MAX_DAYS),
            common_name: fields.optional_text("common_name", Text::line(MAX_NAME)),
            subject_dn: subject_dn(fields),
            sans: fields.sans(),
        }
    }
}

impl FromFields for CertificateRevoke {
    fn from_fields(fields: &mut Fields) -> Self {
        // A revocation is not refused for its wording.
        let reason = fields.optional_text("reason", Text::lines(MAX_TEXT));
        let reason = reason.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        Self { reason: reason.filter(|text| !text.is_empty()) }
    }
}

impl FromFields for CertificateRenew {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            csr: fields.optional_text("csr", Text::lines(MAX_CSR)),
            renew_revoked: fields.optional_flag("renew_revoked").unwrap_or_default(),
        }
    }
}

async fn create(
    State(state): State<AppState>,
    Signed(caller): Signed,
    BaseUrl(base): BaseUrl,
    Query(Issuer(issuer)): Query<Issuer>,
    body: Unread<CertificateCreate>,
) -> Result<Created<CertificateDetail>, ApiError> {
    let issuer = state.engine.issuer(issuer).await?;
    let permit = caller.permit::<Issue, _>(issuer)?;
    let new = body.read().await?;
    let issued = state.engine.issue(permit, &caller, new, &base).await?;
    Ok(Created(detail(issued)))
}

async fn sign_csr(
    State(state): State<AppState>,
    Signed(caller): Signed,
    BaseUrl(base): BaseUrl,
    Body(new): Body<CsrSign>,
) -> Result<Created<Certificate>, ApiError> {
    let issuer = state.engine.authority_for_csr(&caller, &new).await?;
    let permit = caller.permit::<Issue, _>(issuer)?;
    let issued = state.engine.sign_csr(permit, &caller, new, &base).await?;
    Ok(Created(issued.certificate))
}

async fn renew(
    State(state): State<AppState>,
    Signed(caller): Signed,
    BaseUrl(base): BaseUrl,
    PathId(id): PathId<CertificateId>,
    body: Unread<CertificateRenew>,
) -> Result<Created<CertificateDetail>, ApiError> {
    let permit = caller.permit::<Issue, _>(state.engine.certificate(id).await?)?;
    let renewal = body.read().await?;
    let issued = state.engine.renew(permit, &caller, renewal, &base).await?;
    Ok(Created(detail(issued)))
}

async fn show(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CertificateId>,
) -> Result<Json<Certificate>, ApiError> {
    let row = state.engine.certificate(id).await?;
    caller.permit::<Read, _>(row.clone())?;
    Ok(Json(row.certificate))
}

async fn private_key(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CertificateId>,
) -> Result<Json<CertificateDetail>, ApiError> {
    let permit = caller.permit::<ExportKey, _>(state.engine.certificate(id).await?)?;
    let (row, private_key) = state.engine.export_certificate_key(permit).await?;
    Ok(Json(CertificateDetail { certificate: row.certificate, private_key }))
}

async fn revoke(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CertificateId>,
    body: Unread<CertificateRevoke>,
) -> Result<Json<Certificate>, ApiError> {
    let permit = caller.permit::<Revoke, _>(state.engine.certificate(id).await?)?;
    let body = body.read().await?;
    Ok(Json(state.engine.revoke(permit, body.reason).await?.certificate))
}

/// Which certificates a list is to have.
struct ListQuery {
    page: Page,
    ca_id: Option<CaId>,
    status: Option<CertificateStatus>,
    certificate_type: Option<CertificateType>,
    common_name: Option<String>,
    serial_number: Option<String>,
    fingerprint: Option<String>,
    expires_before: Option<Timestamp>,
    expires_after: Option<Timestamp>,
}

impl FromFields for ListQuery {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            page: Page::from_fields(fields),
            ca_id: fields.optional_id("ca_id", CaId),
            status: fields.optional_choice("status"),
            certificate_type: fields.optional_choice("certificate_type"),
            common_name: fields.optional_text("common_name", Text::line(MAX_NAME)),
            serial_number: fields.optional_text("serial_number", Text::line(MAX_NAME)),
            fingerprint: fingerprint(fields),
            expires_before: fields.optional_time("expires_before"),
            expires_after: fields.optional_time("expires_after"),
        }
    }
}

impl ListQuery {
    fn filter(self, visible: Visible, now: Timestamp) -> CertificateFilter {
        CertificateFilter {
            visible,
            id: None,
            issuer: self.ca_id,
            status: self.status.map(|status| (status, now)),
            certificate_type: self.certificate_type,
            common_name: self.common_name,
            serial_number: self.serial_number.map(|text| normal_serial(&text)),
            expires_before: self.expires_before,
            expires_after: self.expires_after,
        }
    }
}

/// The SHA-256 of a certificate in hex, however a tool prints it.
fn fingerprint(fields: &mut Fields) -> Option<String> {
    let text = fields.optional_text("fingerprint", Text::line(MAX_NAME));
    fields.refine("pattern", "^([0-9A-Fa-f]{2}[: ]?){31}[0-9A-Fa-f]{2}$");
    let digits: String = text?.to_ascii_lowercase().chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        fields.note("fingerprint", "string_pattern_mismatch", "should be a SHA-256 in 64 hex digits".into());
    }
    Some(digits)
}

/// A serial number as it is stored, however a tool prints it: `0A:1B`, `0x0a1b`, `A1B`.
pub(super) fn normal_serial(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    let digits: String = text.trim_start_matches("0x").chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    digits.trim_start_matches('0').to_owned()
}

impl Item for Certificate {
    fn id(&self) -> i32 {
        self.id.0
    }
}

async fn list(
    State(state): State<AppState>,
    Signed(caller): Signed,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<ListQuery>,
) -> Result<Listed<Certificate>, ApiError> {
    let (page, fingerprint) = (query.page, query.fingerprint.clone());
    let mut filter = query.filter(caller.visible(), state.engine.now());
    if let Some(fingerprint) = fingerprint {
        // No row has a negative id.
        let found = state.engine.certificate_by_fingerprint(&caller, filter.clone(), &fingerprint).await?;
        filter.id = Some(found.unwrap_or(CertificateId(-1)));
    }
    let begins_after = page.after;
    let total = state.engine.count_certificates(&caller, filter.clone()).await?;
    listing::list(uri.path(), uri.query().unwrap_or_default(), page, total, move |after, skip, limit| {
        let (engine, caller, filter) = (state.engine.clone(), caller.clone(), filter.clone());
        async move {
            // A long list that is read slowly ends with the right to it.
            if after > begins_after {
                engine.check_standing(&caller).await?;
            }
            let rows = engine.certificates(&caller, filter, CertificateId(after), skip, limit).await?;
            Ok(rows.into_iter().map(|row| row.certificate).collect())
        }
    })
    .await
}

fn detail(issued: Issued) -> CertificateDetail {
    CertificateDetail { certificate: issued.certificate, private_key: issued.private_key }
}

/// Characters of a CSR: one with 1,000 alternative names has 40,000.
const MAX_CSR: usize = 64 * 1024;
