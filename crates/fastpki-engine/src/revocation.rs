//! Revoking certificates.

use fastpki_store::{AuthorityRevocation, StoreError};
use fastpki_types::AuditAction;
use fastpki_x509::Certificate;

use crate::{
    AuthorityRow, CertificateRow, Engine, Error, Permit, Revoke, RevokeCa, authorities::aged_authority,
    engine::aged,
};

impl Engine {
    /// Revokes a certificate. Its issuer's next CRL has it.
    pub async fn revoke(
        &self,
        permit: Permit<Revoke, CertificateRow>,
        reason: Option<String>,
    ) -> Result<CertificateRow, Error> {
        let Permit { resource: row, actor, .. } = permit;
        let certificate = row.certificate;
        if let Some(issuer) = certificate.issuer_id
            && let Some(issuer) = self.store.authority(issuer).await?
        {
            check_row_publishes(&issuer)?;
        }
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
    /// Revokes a CA: its parent's next CRL has it, and nothing is issued under it any more.
    pub async fn revoke_authority(
        &self,
        permit: Permit<RevokeCa, (AuthorityRow, AuthorityRow)>,
        reason: Option<String>,
    ) -> Result<AuthorityRow, Error> {
        let Permit { resource: (row, parent), mut actor, .. } = permit;
        let grant = std::mem::take(&mut actor.grant);
        check_row_publishes(&parent)?;
        let now = self.now();
        let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let detail = format!("Revoked CA '{}' under CA '{}'{why}", row.ca.name, parent.ca.name);
        // Whose parent it is reads of it too.
        let (own, above) = (row.ca.organization_id, parent.ca.organization_id);
        let logs = [Some(own), Some(above).filter(|above| *above != own)].into_iter().flatten();
        let entry = |log| actor.clone().audit(now, AuditAction::CaRevoke, log, "ca", detail.clone());
        let audits = logs.map(entry).collect();
        let revocation = AuthorityRevocation { id: row.ca.id, parent: parent.ca.id, reason };
        let row = match self.store.revoke_authority(revocation, now, grant, audits).await {
            Err(StoreError::AlreadyRevoked) => {
                return Err(Error::Conflict("this CA is already revoked".into()));
            }
            done => done?,
        };
        Ok(aged_authority(row, now))
    }
}

fn check_row_publishes(row: &AuthorityRow) -> Result<(), Error> {
    // An adopted certificate that cannot be read is found elsewhere.
    Certificate::from_pem(&row.ca.certificate).map_or(Ok(()), |certificate| check_publishes(&certificate))
}

/// Refuses a CA whose certificate does not let it sign CRLs: what is issued or revoked under it would be good for ever.
pub(crate) fn check_publishes(certificate: &Certificate) -> Result<(), Error> {
    if certificate.may_sign_revocation_lists() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the key usage of the CA '{}' does not let it sign CRLs, so that nothing can be issued or revoked under it: have its \
         certificate issued again with cRLSign, delete it here, and import it with that",
        certificate.subject()
    )))
}
