//! CAs that their parents have revoked.

use fastpki_types::{CaId, CertificateStatus, Timestamp};
use fastpki_x509::Certificate;

use super::{AuthorityRow, is_authority, one};
use crate::{
    Store,
    audit::{self, NewAudit},
    certificates::{lock_crl, put_on_crl},
    crls::is_on_crl,
    db::{Table, Tx, Value},
    error::StoreError,
    grants::{self, Grant, Lock},
};

/// A CA that is to be revoked.
pub struct AuthorityRevocation {
    /// The CA.
    pub id: CaId,
    /// Its parent, which revokes it.
    pub parent: CaId,
    /// Why.
    pub reason: Option<String>,
}

impl Store {
    /// Puts a CA that is not revoked yet on its parent's CRL.
    pub async fn revoke_authority(
        &self,
        revocation: AuthorityRevocation,
        now: Timestamp,
        grant: Grant,
        audits: Vec<NewAudit>,
    ) -> Result<AuthorityRow, StoreError> {
        let AuthorityRevocation { id, parent, reason } = revocation;
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    tx.lock_table(Table::Authorities).await?;
                    grants::check(tx, &grant).await?;
                    // Certificates that it is about to issue are waited for: none comes out after this.
                    let own = "/* lock_authority */ SELECT id FROM certificate_authorities WHERE id = $1";
                    tx.row(&tx.locking(Lock::Update, own), &[id.into()]).await?;
                    let row = one(tx, id).await?.ok_or(StoreError::Gone)?;
                    if row.ca.parent_ca_id != Some(parent) {
                        return Err(StoreError::Gone);
                    }
                    revoke(tx, &row, parent, reason.as_deref(), now).await?;
                    for audit in &audits {
                        audit::record(tx, audit, Some(id.0)).await?;
                    }
                    shown(tx, id).await
                })
            })
            .await
    }

    /// Whether a CA's certificate was revoked by any CA here that signed it, also one that the caller does not see, or by this parent.
    pub async fn is_authority_revoked(
        &self,
        certificate: Certificate,
        parent: Option<CaId>,
    ) -> Result<bool, StoreError> {
        self.db
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "/* revocations_of_authority */
                               SELECT e.ca_id, a.certificate FROM crl_entries e
                               JOIN certificate_authorities a ON a.id = e.ca_id WHERE e.serial_number = $1";
                    for mut row in tx.rows(sql, &[certificate.serial().to_hex().into()]).await? {
                        let (issuer, pem): (CaId, String) = (row.next()?, row.next()?);
                        if parent == Some(issuer) || is_signed_by(&certificate, &pem) {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                })
            })
            .await
    }

    /// All CAs here that signed a certificate, by id.
    pub async fn issuers_of(&self, certificate: Certificate) -> Result<Vec<(CaId, Certificate)>, StoreError> {
        self.db
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "/* issuers_of */
                               SELECT id, certificate FROM certificate_authorities WHERE subject_key = $1 ORDER BY id";
                    let mut issuers = Vec::new();
                    for mut row in tx.rows(sql, &[certificate.issuer().comparable().into()]).await? {
                        let (id, pem): (CaId, String) = (row.next()?, row.next()?);
                        if is_signed_by(&certificate, &pem) {
                            issuers.extend(Certificate::from_pem(&pem).ok().map(|issuer| (id, issuer)));
                        }
                    }
                    Ok(issuers)
                })
            })
            .await
    }

    /// These CAs with what the CRLs of those who signed them say of them.
    pub async fn with_revocations(
        &self,
        mut rows: Vec<AuthorityRow>,
    ) -> Result<Vec<AuthorityRow>, StoreError> {
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    add_revocations(tx, &mut rows).await?;
                    Ok(rows)
                })
            })
            .await
    }
}

/// Puts a CA on its parent's CRL, and marks the certificate that an import of the parent may have brought of it.
pub(super) async fn revoke(
    tx: &mut Tx,
    row: &AuthorityRow,
    parent: CaId,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let serial = row.serial_number.as_str();
    // Before the CRL's lock, as a revocation of that certificate takes them. The plus keeps SQLite from reading all that
    // the issuer has, by the index of issuers.
    let sql = "/* revoke_twin */
               UPDATE certificates SET status = $3, revoked_at = $4, updated_at = $4
               WHERE serial_number = $1 AND +issuer_id = $2 AND status <> $3";
    let values = [serial.into(), parent.into(), Value::named(CertificateStatus::Revoked), now.into()];
    tx.execute(sql, &values).await?;
    lock_crl(tx, parent).await?;
    if is_on_crl(tx, parent, serial).await? {
        return Err(StoreError::AlreadyRevoked);
    }
    put_on_crl(tx, parent, serial, now, reason, now).await
}

/// The parent that is to revoke a CA which is deleted: `None` where it is not here, has done so, or need not any more.
pub(super) async fn parent_to_revoke(
    tx: &mut Tx,
    row: &AuthorityRow,
    now: Timestamp,
) -> Result<Option<CaId>, StoreError> {
    let Some(parent) = row.ca.parent_ca_id else { return Ok(None) };
    let is_over = row.not_after.is_none_or(|end| end < now);
    if is_over || !is_authority(tx, parent).await? || is_on_crl(tx, parent, &row.serial_number).await? {
        return Ok(None);
    }
    Ok(Some(parent))
}

/// The CA with this id, as people are shown it.
pub(crate) async fn shown(tx: &mut Tx, id: CaId) -> Result<AuthorityRow, StoreError> {
    let mut rows = [one(tx, id).await?.ok_or(StoreError::Gone)?];
    add_revocations(tx, &mut rows).await?;
    let [row] = rows;
    Ok(row)
}

/// Fills in which of these CAs are revoked.
async fn add_revocations(tx: &mut Tx, rows: &mut [AuthorityRow]) -> Result<(), StoreError> {
    for rows in rows.chunks_mut(REVOCATIONS_AT_ONCE) {
        let serials: Vec<&str> =
            (rows.iter().filter(|row| !row.ca.is_root)).map(|row| row.serial_number.as_str()).collect();
        let Some(last) = serials.last().copied() else { continue };
        // One statement for a row, one for many: a list that is short is filled up with its last serial number.
        let places = if serials.len() == 1 { 1 } else { REVOCATIONS_AT_ONCE };
        let values: Vec<Value> =
            serials.into_iter().chain(std::iter::repeat(last)).take(places).map(Value::from).collect();
        let numbers: Vec<String> = (1..=places).map(|number| format!("${number}")).collect();
        // The first entry of a serial number is the one that a CRL has: it is read last.
        let sql = format!(
            "/* authority_revocations */
             SELECT e.ca_id, e.serial_number, e.revocation_date, e.reason, a.certificate
             FROM crl_entries e LEFT JOIN certificate_authorities a ON a.id = e.ca_id
             WHERE e.serial_number IN ({}) ORDER BY e.id DESC",
            numbers.join(", ")
        );
        for mut entry in tx.rows(&sql, &values).await? {
            let (issuer, serial): (CaId, String) = (entry.next()?, entry.next()?);
            let (at, reason): (Timestamp, Option<String>) = (entry.next()?, entry.next()?);
            let pem: Option<String> = entry.next()?;
            for row in rows.iter_mut().filter(|row| !row.ca.is_root && row.serial_number == serial) {
                let is_parent = row.ca.parent_ca_id == Some(issuer);
                let signed = || {
                    let read = Certificate::from_pem(&row.ca.certificate).ok();
                    read.zip(pem.as_deref()).is_some_and(|(own, pem)| is_signed_by(&own, pem))
                };
                if is_parent || signed() {
                    row.ca.status = CertificateStatus::Revoked;
                    row.ca.revoked_at = Some(at);
                    // The words of somebody who signed it, but is not shown as its parent, are not told.
                    row.ca.revocation_reason = reason.clone().filter(|_| is_parent);
                }
            }
        }
    }
    Ok(())
}

/// Whether a CA signed a certificate. One that signed itself is not looked at: nobody revokes a root.
fn is_signed_by(certificate: &Certificate, issuer: &str) -> bool {
    certificate.issuer() != certificate.subject()
        && Certificate::from_pem(issuer).is_ok_and(|issuer| certificate.is_issued_by(&issuer).is_ok())
}

/// CAs whose revocations are asked for in one statement.
const REVOCATIONS_AT_ONCE: usize = 50;
