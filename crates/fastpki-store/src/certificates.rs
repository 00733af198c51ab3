//! Certificates.

use fastpki_types::{
    CaId, Certificate, CertificateId, CertificateStatus, CertificateType, KeyType, Named, OrganizationId,
    ServiceAccountId, Timestamp, UserId,
};

use crate::{
    Store,
    audit::{self, NewAudit},
    authorities::{is_authority, key_of, use_serial},
    db::{Row, Table, Tx, Value},
    error::StoreError,
    public_keys,
    seal::{KeyOwner, SealedKey, StoredKey},
};

/// A certificate with what only the engine sees.
#[derive(Clone, Debug)]
pub struct CertificateRow {
    /// What the API shows; its status is what the database holds, which knows nothing of time.
    pub certificate: Certificate,
    /// Whether its key was made elsewhere.
    pub is_csr_origin: bool,
}

/// A certificate to be recorded.
#[derive(Clone)]
pub struct NewCertificate {
    /// The common name of its subject.
    pub common_name: String,
    /// Its subject.
    pub subject_dn: String,
    /// What it is for.
    pub certificate_type: CertificateType,
    /// The family of its key.
    pub key_type: KeyType,
    /// Bits of its key.
    pub key_size: u32,
    /// Whole days for which it was issued.
    pub valid_days: u32,
    /// Its key, sealed; none where the key was made elsewhere.
    pub private_key: Option<SealedKey>,
    /// PEM.
    pub certificate: String,
    /// Lower-case hex without leading zeros.
    pub serial_number: String,
    /// First instant of its validity.
    pub not_before: Timestamp,
    /// Last instant of its validity.
    pub not_after: Timestamp,
    /// The CA that signed it.
    pub issuer_id: CaId,
    /// The organization it belongs to.
    pub organization_id: Option<OrganizationId>,
    /// The user who had it issued.
    pub created_by_user_id: Option<UserId>,
    /// The service account that had it issued.
    pub created_by_service_account_id: Option<ServiceAccountId>,
    /// Whether its key was made elsewhere.
    pub is_csr_origin: bool,
    /// The certificate it renews.
    pub renewed_from_id: Option<CertificateId>,
    /// The fingerprint of its public key where that is to be refused if it is compromised or a CA's.
    pub checked_key: Option<String>,
    /// Whether the certificate that it renews may be revoked.
    pub renews_revoked: bool,
    /// Whether another program issued it.
    pub is_imported: bool,
}

/// Which rows a principal sees in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// All.
    All,
    /// Those of an organization.
    Organization(OrganizationId),
    /// Those without an organization that this user created.
    CreatedByUser(UserId),
    /// Those without an organization that this service account created.
    CreatedByServiceAccount(ServiceAccountId),
}

impl Visible {
    /// The condition on a table, to be put behind others.
    pub(crate) fn condition(self, table: &str, values: &mut Vec<Value>) -> String {
        let (column, value, without_organization): (_, Value, _) = match self {
            Self::All => return String::new(),
            Self::Organization(id) => ("organization_id", id.into(), false),
            Self::CreatedByUser(id) => ("created_by_user_id", id.into(), true),
            Self::CreatedByServiceAccount(id) => ("created_by_service_account_id", id.into(), true),
        };
        values.push(value);
        let mut condition = format!(" AND {table}.{column} = ${}", values.len());
        if without_organization {
            // The plus keeps SQLite from reading all that has no organization.
            let table = table.trim_start_matches('+');
            condition.push_str(&format!(" AND +{table}.organization_id IS NULL"));
        }
        condition
    }
}

/// Which certificates to list.
#[derive(Clone, Debug)]
pub struct CertificateFilter {
    /// Those that the principal sees.
    pub visible: Visible,
    /// The one with this id.
    pub id: Option<CertificateId>,
    /// Those this CA issued.
    pub issuer: Option<CaId>,
    /// Those of this status at this instant.
    pub status: Option<(CertificateStatus, Timestamp)>,
    /// Those of this type.
    pub certificate_type: Option<CertificateType>,
    /// Those whose common name contains this, in any case.
    pub common_name: Option<String>,
    /// The one with this serial number, in lower-case hex.
    pub serial_number: Option<String>,
    /// Those that expire before.
    pub expires_before: Option<Timestamp>,
    /// Those that expire after.
    pub expires_after: Option<Timestamp>,
}

macro_rules! select_certificates {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ", $name, " */
             SELECT c.id, c.common_name, c.subject_dn, c.certificate_type, c.key_type, c.key_size, c.valid_days,
                    c.status, c.certificate, c.serial_number, c.not_before, c.not_after, c.revoked_at, c.created_at,
                    c.updated_at, c.issuer_id, c.organization_id, c.created_by_user_id,
                    c.created_by_service_account_id, c.renewed_from_id, c.is_csr_origin ",
            $rest
        )
    };
}

impl Store {
    /// Records a certificate; its serial number must be new to its issuer.
    pub async fn create_certificate(
        &self,
        new: NewCertificate,
        now: Timestamp,
        mut audit: NewAudit,
    ) -> Result<Certificate, StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    audit.admit(tx).await?;
                    if let Some(fingerprint) = &new.checked_key {
                        public_keys::check(tx, fingerprint, new.organization_id).await?;
                    }
                    if let Some(old) = new.renewed_from_id
                        && !new.renews_revoked
                        && is_revoked(tx, old).await?
                    {
                        return Err(StoreError::RenewsRevoked);
                    }
                    let id = CertificateId(tx.next_id(Table::Certificates).await?);
                    use_serial(tx, new.issuer_id, &new.serial_number).await?;
                    insert(tx, id, &new, new.issuer_id, now).await?;
                    audit::record(tx, &audit, Some(id.0)).await?;
                    Ok(new.recorded(id, now))
                })
            })
            .await
    }

    /// The certificate with this id.
    pub async fn certificate(&self, id: CertificateId) -> Result<Option<CertificateRow>, StoreError> {
        self.db.read(move |tx| Box::pin(async move { one(tx, id).await })).await
    }

    /// The private key of a certificate, as it is stored; `None` where it is not here.
    pub async fn certificate_key(&self, id: CertificateId) -> Result<Option<StoredKey>, StoreError> {
        let sql = "/* certificate_key */
                   SELECT id, common_name, private_key, encryption_key_fingerprint, certificate
                   FROM certificates WHERE id = $1 AND private_key IS NOT NULL";
        self.db
            .read(move |tx| {
                Box::pin(async move { tx.row(sql, &[id.into()]).await?.map(certificate_key).transpose() })
            })
            .await
    }

    /// A page of certificates after this id, by id.
    pub async fn certificates(
        &self,
        filter: CertificateFilter,
        after: CertificateId,
        skip: i64,
        limit: i64,
    ) -> Result<Vec<CertificateRow>, StoreError> {
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let mut values: Vec<Value> = vec![after.into(), limit.into(), skip.into()];
                    let conditions = filter.conditions(&mut values);
                    let head = select_certificates!("certificates", "FROM certificates c WHERE c.id > $1");
                    let sql = format!("{head}{conditions} ORDER BY c.id LIMIT $2 OFFSET $3");
                    let rows: Result<Vec<CertificateRow>, _> =
                        tx.rows(&sql, &values).await?.into_iter().map(certificate_row).collect();
                    let mut rows = rows?;
                    add_renewals(tx, &mut rows).await?;
                    Ok(rows)
                })
            })
            .await
    }

    /// How many certificates there are in a list.
    pub async fn count_certificates(&self, filter: CertificateFilter) -> Result<i64, StoreError> {
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let mut values: Vec<Value> = vec![0.into()];
                    let conditions = filter.conditions(&mut values);
                    let sql = format!(
                        "/* count_certificates */ SELECT COUNT(*) FROM certificates c WHERE c.id > $1{conditions}"
                    );
                    tx.row(&sql, &values).await?.ok_or(StoreError::Gone)?.next()
                })
            })
            .await
    }

    /// Revokes a certificate that is not revoked yet and puts it on its issuer's CRL.
    pub async fn revoke_certificate(
        &self,
        id: CertificateId,
        reason: Option<String>,
        now: Timestamp,
        mut audit: NewAudit,
    ) -> Result<CertificateRow, StoreError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    audit.admit(tx).await?;
                    let Some((issuer, serial)) = mark_revoked(tx, id, now, now).await? else {
                        let there = one(tx, id).await?.is_some();
                        return Err(if there { StoreError::AlreadyRevoked } else { StoreError::Gone });
                    };
                    // An adopted row may name an issuer that is gone, and with it its CRL.
                    if let Some(issuer) = issuer
                        && is_authority(tx, issuer).await?
                    {
                        put_on_crl(tx, issuer, &serial, now, reason.as_deref(), now).await?;
                    }
                    audit::record(tx, &audit, Some(id.0)).await?;
                    let row = one(tx, id).await?.ok_or(StoreError::Gone)?;
                    if public_keys::is_compromise(reason.as_deref()) {
                        public_keys::note(tx, id, now).await?;
                    }
                    Ok(row)
                })
            })
            .await
    }
}

impl NewCertificate {
    fn recorded(self, id: CertificateId, now: Timestamp) -> Certificate {
        Certificate {
            id,
            common_name: self.common_name,
            subject_dn: self.subject_dn,
            certificate_type: self.certificate_type,
            key_type: self.key_type,
            key_size: self.key_size,
            valid_days: self.valid_days,
            status: CertificateStatus::Valid,
            certificate: self.certificate,
            serial_number: self.serial_number,
            not_before: self.not_before,
            not_after: self.not_after,
            revoked_at: None,
            created_at: now,
            updated_at: now,
            issuer_id: Some(self.issuer_id),
            organization_id: self.organization_id,
            created_by_user_id: self.created_by_user_id,
            created_by_service_account_id: self.created_by_service_account_id,
            renewed_from_id: self.renewed_from_id,
            renewed_to_ids: Vec::new(),
        }
    }
}

impl CertificateFilter {
    fn conditions(&self, values: &mut Vec<Value>) -> String {
        // A serial number finds a row or two: the pluses keep SQLite from reading all of an organization or a CA.
        let has_serial = self.serial_number.is_some();
        // Nor does somebody without an organization have much.
        let is_short = has_serial
            || matches!(self.visible, Visible::CreatedByUser(_) | Visible::CreatedByServiceAccount(_));
        let mut conditions = self.visible.condition(if has_serial { "+c" } else { "c" }, values);
        let mut only = |condition: &str, value: Value| {
            if !matches!(value, Value::Null) {
                values.push(value);
                conditions
                    .push_str(&format!(" AND {}", condition.replace('?', &format!("${}", values.len()))));
            }
        };
        only("c.id = ?", self.id.into());
        only(if is_short { "+c.issuer_id = ?" } else { "c.issuer_id = ?" }, self.issuer.into());
        only("c.certificate_type = ?", self.certificate_type.map_or(Value::Null, Value::named));
        only(
            "LOWER(c.common_name) LIKE LOWER(?) ESCAPE '\\'",
            self.common_name.as_deref().map(|text| format!("%{}%", escape_like(text))).into(),
        );
        only("c.serial_number = ?", self.serial_number.as_deref().into());
        only("c.not_after < ?", self.expires_before.into());
        only("c.not_after > ?", self.expires_after.into());
        if let Some((status, now)) = self.status {
            let revoked = Value::named(CertificateStatus::Revoked);
            match status {
                CertificateStatus::Revoked => only("c.status = ?", revoked),
                CertificateStatus::Valid => {
                    only("c.status <> ?", revoked);
                    only("c.not_after >= ?", now.into());
                }
                CertificateStatus::Expired => {
                    only("c.status <> ?", revoked);
                    only("c.not_after < ?", now.into());
                }
            }
        }
        conditions
    }
}

fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

async fn is_revoked(tx: &mut Tx, id: CertificateId) -> Result<bool, StoreError> {
    let sql = "/* is_revoked_certificate */ SELECT id FROM certificates WHERE id = $1 AND status = $2";
    Ok(tx.row(sql, &[id.into(), Value::named(CertificateStatus::Revoked)]).await?.is_some())
}

/// Marks a certificate as revoked at an instant; gives its issuer and its serial number, if it was not revoked.
pub(crate) async fn mark_revoked(
    tx: &mut Tx,
    id: CertificateId,
    at: Timestamp,
    now: Timestamp,
) -> Result<Option<(Option<CaId>, String)>, StoreError> {
    let sql = "/* revoke_certificate */
               UPDATE certificates SET status = $2, revoked_at = $3, updated_at = $4
               WHERE id = $1 AND status <> $2 RETURNING issuer_id, serial_number";
    let values = [id.into(), Value::named(CertificateStatus::Revoked), at.into(), now.into()];
    let Some(mut row) = tx.row(sql, &values).await? else { return Ok(None) };
    Ok(Some((row.next()?, row.next()?)))
}

/// Puts a serial number on its issuer's CRL.
pub(crate) async fn put_on_crl(
    tx: &mut Tx,
    issuer: CaId,
    serial: &str,
    revoked_at: Timestamp,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Taken before the entry's id: entries of one CA are committed in the order of their ids, so that the newest
    // id says which entries a CRL has seen.
    lock_crl(tx, issuer).await?;
    let entry = tx.next_id(Table::CrlEntries).await?;
    let sql = "/* create_crl_entry */
               INSERT INTO crl_entries (id, created_at, serial_number, revocation_date, reason, ca_id)
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values = [entry.into(), now.into(), serial.into(), revoked_at.into(), reason.into(), issuer.into()];
    tx.execute(sql, &values).await?;
    if public_keys::is_compromise(reason) {
        public_keys::note_revoked(tx, issuer, serial, now).await?;
    }
    Ok(())
}

/// Makes other revocations under this CA wait until this one is committed.
pub(crate) async fn lock_crl(tx: &mut Tx, ca: CaId) -> Result<(), StoreError> {
    tx.execute(
        "/* lock_crl */
         INSERT INTO fastpki_crls (ca_id, reserved) VALUES ($1, 0)
         ON CONFLICT (ca_id) DO UPDATE SET reserved = fastpki_crls.reserved",
        &[ca.into()],
    )
    .await
    .map(drop)
}

pub(crate) async fn insert(
    tx: &mut Tx,
    id: CertificateId,
    new: &NewCertificate,
    issuer: CaId,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "/* create_certificate */
         INSERT INTO certificates
             (id, common_name, subject_dn, certificate_type, key_type, key_size, valid_days, status, created_at,
              updated_at, private_key, certificate, serial_number, not_before, not_after, issuer_id,
              organization_id, created_by_user_id, created_by_service_account_id, is_csr_origin, renewed_from_id,
              encryption_key_fingerprint, is_imported)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12, $13, $14, $15,
                 (SELECT o.id FROM organizations o WHERE o.id = $16), $17, $18, $19, $20, $21, $22)",
        &[
            id.into(),
            new.common_name.as_str().into(),
            new.subject_dn.as_str().into(),
            Value::named(new.certificate_type),
            new.key_type.name().into(),
            new.key_size.into(),
            new.valid_days.into(),
            Value::named(CertificateStatus::Valid),
            now.into(),
            new.private_key.as_ref().map_or(Value::Null, SealedKey::text),
            new.certificate.as_str().into(),
            new.serial_number.as_str().into(),
            new.not_before.into(),
            new.not_after.into(),
            issuer.into(),
            new.organization_id.into(),
            new.created_by_user_id.into(),
            new.created_by_service_account_id.into(),
            new.is_csr_origin.into(),
            new.renewed_from_id.into(),
            new.private_key.as_ref().map_or(Value::Null, SealedKey::fingerprint),
            new.is_imported.into(),
        ],
    )
    .await
    .map(drop)
}

/// The row of a certificate's key.
pub(crate) fn certificate_key(mut row: Row) -> Result<StoredKey, StoreError> {
    let owner = KeyOwner::Certificate(row.next()?, row.next()?);
    Ok(StoredKey { owner, key: SealedKey::from_columns(row.next()?, row.next()?), certificate: row.next()? })
}

async fn one(tx: &mut Tx, id: CertificateId) -> Result<Option<CertificateRow>, StoreError> {
    let sql = select_certificates!("certificate", "FROM certificates c WHERE c.id = $1");
    let Some(row) = tx.row(sql, &[id.into()]).await? else { return Ok(None) };
    let mut rows = [certificate_row(row)?];
    add_renewals(tx, &mut rows).await?;
    let [row] = rows;
    Ok(Some(row))
}

/// Fills in what renews these certificates, which are in the order of their ids.
async fn add_renewals(tx: &mut Tx, rows: &mut [CertificateRow]) -> Result<(), StoreError> {
    for rows in rows.chunks_mut(RENEWALS_AT_ONCE) {
        let Some(last) = rows.last().map(|row| row.certificate.id) else { return Ok(()) };
        // One statement for a row, one for many: a list that is short is filled up with its last id.
        let places = if rows.len() == 1 { 1 } else { RENEWALS_AT_ONCE };
        let ids = rows.iter().map(|row| row.certificate.id).chain(std::iter::repeat(last)).take(places);
        let values: Vec<Value> = ids.map(Value::from).collect();
        let numbers: Vec<String> = (1..=places).map(|number| format!("${number}")).collect();
        let sql = format!(
            "/* renewals */ SELECT renewed_from_id, id FROM certificates WHERE renewed_from_id IN ({}) ORDER BY id",
            numbers.join(", ")
        );
        for mut renewal in tx.rows(&sql, &values).await? {
            let (from, to): (CertificateId, CertificateId) = (renewal.next()?, renewal.next()?);
            if let Ok(place) = rows.binary_search_by_key(&from, |row| row.certificate.id) {
                rows[place].certificate.renewed_to_ids.push(to);
            }
        }
    }
    Ok(())
}

/// Certificates whose renewals are asked for in one statement.
const RENEWALS_AT_ONCE: usize = 50;

fn certificate_row(mut row: Row) -> Result<CertificateRow, StoreError> {
    let (id, common_name, subject_dn) = (row.next()?, row.next()?, row.next()?);
    let certificate_type = row.named()?;
    let (key_type, key_size): (Option<String>, u32) = (row.next()?, row.next()?);
    let valid_days = row.next()?;
    let status = row.named()?;
    let pem: String = row.next()?;
    let (key_type, key_size) = key_of(key_type.as_deref(), key_size, &pem);
    let certificate = Certificate {
        id,
        common_name,
        subject_dn,
        certificate_type,
        key_type,
        key_size,
        valid_days,
        status,
        certificate: pem,
        serial_number: row.next()?,
        not_before: row.next()?,
        not_after: row.next()?,
        revoked_at: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
        issuer_id: row.next()?,
        organization_id: row.next()?,
        created_by_user_id: row.next()?,
        created_by_service_account_id: row.next()?,
        renewed_from_id: row.next()?,
        renewed_to_ids: Vec::new(),
    };
    Ok(CertificateRow { certificate, is_csr_origin: row.next()? })
}
