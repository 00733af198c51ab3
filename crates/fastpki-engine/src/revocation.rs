//! Revoking certificates.

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
        let row = self.store.revoke_certificate(certificate.id, reason, now, audit).await?;
        Ok(aged(row, now))
    }
}
