//! Revoking certificates.

use fastpki_store::StoreError;
use fastpki_types::AuditAction;

use crate::{CertificateRow, Engine, Error, Permit, Revoke, engine::aged};

impl Engine {
    /// Revokes a certificate. Its issuer's next CRL has it.
    pub async fn revoke(
        &self,
        permit: Permit<Revoke, CertificateRow>,
        reason: Option<String>,
    ) -> Result<CertificateRow, Error> {
        let Permit { resource: row, actor, .. } = permit;
        let certificate = row.certificate;
        let now = self.now();
        let detail = match &reason {
            Some(reason) => format!("Revoked certificate '{}': {reason}", certificate.common_name),
            None => format!("Revoked certificate '{}'", certificate.common_name),
        };
        let action = AuditAction::CertRevoke;
        let audit = actor.audit(now, action, certificate.organization_id, "certificate", detail);
        match self.store.revoke_certificate(certificate.id, reason, now, audit).await {
            Ok(row) => Ok(aged(row, now)),
            Err(StoreError::Gone) => Err(Error::Conflict("this certificate is already revoked".into())),
            Err(error) => Err(error.into()),
        }
    }
}
