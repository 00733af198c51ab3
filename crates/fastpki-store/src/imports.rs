//! CAs that are brought along with what they issued.

use std::sync::Arc;

use fastpki_types::{CaId, CaImported, CertificateId, OrganizationId, Timestamp};

use crate::{
    NewAuthority, NewCertificate, Store,
    audit::{self, NewAudit},
    authorities,
    certificates::{self, mark_revoked, put_on_crl},
    crls::is_on_crl,
    db::{Patience, Table, Tx},
    error::StoreError,
    grants::{self, Grant},
    public_keys,
};

/// A CA that is brought along, and what it issued.
pub struct ImportedAuthority {
    /// The CA.
    pub authority: NewAuthority,
    /// The number of its next CRL.
    pub next_crl_number: u64,
    /// What it issued; the issuer of each is filled in.
    pub certificates: Vec<ImportedCertificate>,
    /// Revocations without their certificates.
    pub revocations: Vec<ImportedRevocation>,
}

/// A certificate that is brought along.
pub struct ImportedCertificate {
    /// The certificate.
    pub certificate: NewCertificate,
    /// When it was revoked, and why.
    pub revoked: Option<(Timestamp, Option<String>)>,
}

/// A revocation that is brought along without its certificate.
#[derive(Clone, Debug)]
pub struct ImportedRevocation {
    /// Lower-case hex.
    pub serial_number: String,
    /// When.
    pub revoked_at: Timestamp,
    /// Why.
    pub reason: Option<String>,
}

impl Store {
    /// Records a CA and what it issued, all or nothing; what is there already is left as it is, but for revocations,
    /// which are added. A dry run changes nothing and tells the same.
    pub async fn import_authority(
        &self,
        import: ImportedAuthority,
        dry_run: bool,
        now: Timestamp,
        grant: Grant,
        audit: impl FnOnce(&CaImported) -> NewAudit + Clone + Send + 'static,
    ) -> Result<CaImported, StoreError> {
        // Shared: an import may be large, and may be tried again.
        let import = Arc::new(import);
        let done = self
            .db
            .with(Patience::ManyRows)
            .write(move |tx| {
                Box::pin(async move {
                    tx.lock_table(Table::Authorities).await?;
                    grants::check(tx, &grant).await?;
                    let mut report = import_all(tx, &import, now).await?;
                    report.dry_run = dry_run;
                    if dry_run {
                        if report.created {
                            report.ca = None;
                        }
                        return Err(StoreError::DryRun(Box::new(report)));
                    }
                    if report.created || report.certificates > 0 || report.revocations > 0 {
                        let id = report.ca.as_ref().map(|ca| ca.id.0);
                        audit::record(tx, &audit(&report), id).await?;
                    }
                    Ok(report)
                })
            })
            .await;
        match done {
            Err(StoreError::DryRun(report)) => Ok(*report),
            done => done,
        }
    }
}

async fn import_all(
    tx: &mut Tx,
    import: &ImportedAuthority,
    now: Timestamp,
) -> Result<CaImported, StoreError> {
    let (id, created) = match present(tx, &import.authority).await? {
        Some(id) => (id, false),
        None => (create(tx, &import.authority, now).await?, true),
    };
    let mut report = CaImported {
        ca: None,
        created,
        certificates: 0,
        certificates_present: 0,
        revocations: 0,
        revocations_present: 0,
        dry_run: false,
        warnings: Vec::new(),
    };
    // Certificates before the row of the CRL, as a revocation takes them.
    let mut listed = Vec::new();
    for certificate in &import.certificates {
        listed.extend(import_certificate(tx, id, certificate, now, &mut report).await?);
    }
    number_crls_from(tx, id, import.next_crl_number).await?;
    for (serial_number, (at, reason)) in listed {
        put_on_crl(tx, id, serial_number, *at, reason.as_deref(), now).await?;
        report.revocations += 1;
    }
    for revocation in &import.revocations {
        if is_on_crl(tx, id, &revocation.serial_number).await? {
            report.revocations_present += 1;
            continue;
        }
        let ImportedRevocation { serial_number, revoked_at, reason } = revocation;
        put_on_crl(tx, id, serial_number, *revoked_at, reason.as_deref(), now).await?;
        report.revocations += 1;
    }
    report.ca = Some(authorities::shown(tx, id).await?.ca);
    Ok(report)
}

/// The CA, if it is there and of the organization that it is to be of.
async fn present(tx: &mut Tx, new: &NewAuthority) -> Result<Option<CaId>, StoreError> {
    let sql = "/* authority_by_certificate */
               SELECT id, organization_id FROM certificate_authorities WHERE certificate = $1 ORDER BY id LIMIT 1";
    let Some(mut row) = tx.row(sql, &[new.certificate.as_str().into()]).await? else { return Ok(None) };
    let (id, owner): (CaId, Option<OrganizationId>) = (row.next()?, row.next()?);
    if owner == new.organization_id { Ok(Some(id)) } else { Err(StoreError::NotTheirs) }
}

async fn create(tx: &mut Tx, new: &NewAuthority, now: Timestamp) -> Result<CaId, StoreError> {
    authorities::check_unique(tx, new).await?;
    if public_keys::is_compromised(tx, &new.key_fingerprint, new.organization_id).await? {
        return Err(StoreError::CompromisedAuthority);
    }
    let id = CaId(tx.next_id(Table::Authorities).await?);
    note_serial(tx, new.parent_ca_id.unwrap_or(id), &new.serial_number).await?;
    authorities::insert(tx, id, new, now).await?;
    Ok(id)
}

/// A serial number that is to be put on the CRL: since when it is revoked, and why.
type Listed<'i> = (&'i str, &'i (Timestamp, Option<String>));

/// Imports a certificate; gives what is to be put on the CRL.
async fn import_certificate<'i>(
    tx: &mut Tx,
    issuer: CaId,
    import: &'i ImportedCertificate,
    now: Timestamp,
    report: &mut CaImported,
) -> Result<Option<Listed<'i>>, StoreError> {
    let new = &import.certificate;
    // The plus keeps SQLite from reading all that the issuer has, for each certificate, by the index of issuers.
    let sql = "/* certificate_by_serial */
               SELECT id, certificate FROM certificates WHERE serial_number = $2 AND +issuer_id = $1";
    let id = match tx.row(sql, &[issuer.into(), new.serial_number.as_str().into()]).await? {
        Some(mut row) => {
            let (id, pem): (CertificateId, String) = (row.next()?, row.next()?);
            if pem.trim() != new.certificate.trim() {
                return Err(StoreError::SerialTaken(new.serial_number.clone()));
            }
            report.certificates_present += 1;
            id
        }
        None => {
            let id = CertificateId(tx.next_id(Table::Certificates).await?);
            note_serial(tx, issuer, &new.serial_number).await?;
            certificates::insert(tx, id, new, issuer, now).await?;
            report.certificates += 1;
            id
        }
    };
    let Some(revoked) = &import.revoked else { return Ok(None) };
    if mark_revoked(tx, id, revoked.0, now).await?.is_none() {
        report.revocations_present += 1;
        return Ok(None);
    }
    Ok(Some((&new.serial_number, revoked)))
}

/// Notes that an issuer has used a serial number, which may be noted already.
async fn note_serial(tx: &mut Tx, issuer: CaId, serial: &str) -> Result<(), StoreError> {
    let sql = "/* note_serial */
               INSERT INTO fastpki_serials (issuer_id, serial_number) VALUES ($1, $2)
               ON CONFLICT (issuer_id, serial_number) DO NOTHING";
    tx.execute(sql, &[issuer.into(), serial.into()]).await.map(drop)
}

/// Sees to it that the next CRL has this number at the least.
async fn number_crls_from(tx: &mut Tx, ca: CaId, next: u64) -> Result<(), StoreError> {
    let reserved = i64::try_from(next.saturating_sub(1)).unwrap_or(i64::MAX - 1);
    let sql = "/* number_crls_from */
               INSERT INTO fastpki_crls (ca_id, reserved) VALUES ($1, $2)
               ON CONFLICT (ca_id) DO UPDATE SET reserved = excluded.reserved
               WHERE fastpki_crls.reserved < excluded.reserved";
    tx.execute(sql, &[ca.into(), reserved.into()]).await.map(drop)
}
