//! Public keys that are not certified: known to be compromised, or of a CA here. Each goes by its fingerprint.

use fastpki_types::{CaId, CertificateId, OrganizationId, Timestamp};
use fastpki_x509::{Certificate, Reason};

use crate::{
    Store,
    db::{Row, Tx},
    error::StoreError,
};

/// Where the private key was made here, came along, or signed a CSR, it counts for everybody. Of other certificates that were
/// imported, the importer may have made the certificate for somebody else's public key: it counts for the importer alone.
macro_rules! scoped {
    ($name:literal, $condition:literal) => {
        concat!(
            "/* ", $name, " */
             SELECT certificate,
                    CASE WHEN is_imported AND private_key IS NULL THEN COALESCE(organization_id, $2) ELSE $1 END
             FROM certificates WHERE ", $condition
        )
    };
}
impl Store {
    /// Whether the public key with this fingerprint may be certified by this organization's CAs:
    /// [`StoreError::CompromisedKey`] and [`StoreError::KeyOfAuthority`] say why not.
    pub async fn check_public_key(
        &self,
        fingerprint: String,
        organization: Option<OrganizationId>,
    ) -> Result<(), StoreError> {
        self.db.read(move |tx| Box::pin(async move { check(tx, &fingerprint, organization).await })).await
    }

    /// Notes what FastPKI 0.4 left out: fingerprints, serial numbers and comparable subjects of CAs, and the keys of certificates and CAs
    /// that it revoked as compromised. Says how many CAs and keys there were. Done again it goes on where it ended.
    pub async fn note_public_keys(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.note_authorities().await? + self.note_compromised(now).await?)
    }

    async fn note_authorities(&self) -> Result<u64, StoreError> {
        let find = "/* authorities_without_fingerprint */
                    SELECT id, certificate FROM certificate_authorities
                    WHERE id > $1 AND key_fingerprint IS NULL ORDER BY id LIMIT $2";
        let note = "/* note_authority */
                    UPDATE certificate_authorities SET key_fingerprint = $2, serial_number = $3, subject_key = $4 WHERE id = $1";
        let (mut after, mut noted) = (CaId(0), 0);
        loop {
            let page: Vec<(CaId, String)> = self
                .db
                .scan(move |tx| {
                    Box::pin(async move {
                        let rows = tx.rows(find, &[after.into(), PAGE.into()]).await?;
                        rows.into_iter().map(|mut row| Ok((row.next()?, row.next()?))).collect()
                    })
                })
                .await?;
            let Some((last, _)) = page.last() else { return Ok(noted) };
            after = *last;
            // One that cannot be read issues nothing either.
            let read = |(id, pem): (CaId, String)| Some((id, Certificate::from_pem(&pem).ok()?));
            let rows: Vec<_> = (page.into_iter().filter_map(read))
                .map(|(id, it)| {
                    let subject = it.subject().comparable();
                    [id.into(), it.key_fingerprint().into(), it.serial().to_hex().into(), subject.into()]
                })
                .collect();
            noted +=
                self.db.write(move |tx| Box::pin(async move { tx.execute_many(note, &rows).await })).await?;
        }
    }

    async fn note_compromised(&self, now: Timestamp) -> Result<u64, StoreError> {
        let (mut after, mut noted) = (self.db.read(|tx| Box::pin(entries_looked_through(tx))).await?, 0);
        loop {
            let page = self.db.scan(move |tx| Box::pin(compromised_entries(tx, after))).await?;
            let Some((last, keys)) = page else { break };
            after = last;
            noted += self
                .db
                .write(move |tx| {
                    Box::pin(async move {
                        let mut noted = 0;
                        for key in keys {
                            noted += note_key(tx, key, now).await?;
                        }
                        Ok(noted)
                    })
                })
                .await?;
        }
        let mark = "/* mark_entries */
                    INSERT INTO fastpki_marks (name, last_id) SELECT $1, COALESCE(MAX(id), 0) FROM crl_entries WHERE true
                    ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id";
        self.db
            .write(move |tx| Box::pin(async move { tx.execute(mark, &[COMPROMISED_ENTRIES.into()]).await }))
            .await?;
        Ok(noted)
    }
}

/// The last CRL entry that was looked at. Those that this program has written since are noted already.
async fn entries_looked_through(tx: &mut Tx) -> Result<i32, StoreError> {
    let sql = "/* entries_looked_through */ SELECT last_id FROM fastpki_marks WHERE name = $1";
    tx.row(sql, &[COMPROMISED_ENTRIES.into()]).await?.map_or(Ok(0), |mut row| row.next())
}

/// A public key that is compromised, for whom.
#[derive(Clone)]
struct CompromisedKey {
    fingerprint: String,
    /// An organization's id, [`EVERYBODY`] or [`NO_ORGANIZATION`].
    scope: i32,
}

/// The last entry of a page of CRL entries that say something of a compromise, and the keys that they concern.
async fn compromised_entries(
    tx: &mut Tx,
    after: i32,
) -> Result<Option<(i32, Vec<CompromisedKey>)>, StoreError> {
    // Whatever stands between its letters: see Reason::from_text.
    let sql = "/* compromised_entries */
               SELECT id, ca_id, serial_number, reason FROM crl_entries
               WHERE id > $1 AND LOWER(reason) LIKE '%c%o%m%p%r%o%m%i%s%e%' ORDER BY id LIMIT $2";
    let (mut last, mut keys) = (None, Vec::new());
    for mut row in tx.rows(sql, &[after.into(), PAGE.into()]).await? {
        let (id, issuer, serial): (i32, CaId, String) = (row.next()?, row.next()?, row.next()?);
        last = Some(id);
        if is_compromise(row.next::<Option<String>>()?.as_deref()) {
            keys.extend(keys_of(tx, issuer, &serial).await?);
        }
    }
    Ok(last.map(|last| (last, keys)))
}

/// Whether a certificate that was revoked for this reason tells that somebody else may have its private key.
pub(crate) fn is_compromise(reason: Option<&str>) -> bool {
    matches!(Reason::from_text(reason), Reason::KeyCompromise | Reason::CaCompromise | Reason::AaCompromise)
}

/// Looks again at entries whose ids FastPKI 0.4 may give again on SQLite, once those that had them are deleted.
pub(crate) async fn entries_were_deleted(tx: &mut Tx) -> Result<(), StoreError> {
    let sql = "/* lower_mark */
               UPDATE fastpki_marks SET last_id = (SELECT COALESCE(MAX(id), 0) FROM crl_entries)
               WHERE name = $1 AND last_id > (SELECT COALESCE(MAX(id), 0) FROM crl_entries)";
    tx.execute(sql, &[COMPROMISED_ENTRIES.into()]).await.map(drop)
}

/// Refuses the key with this fingerprint if this organization's CAs do not certify it.
pub(crate) async fn check(
    tx: &mut Tx,
    fingerprint: &str,
    organization: Option<OrganizationId>,
) -> Result<(), StoreError> {
    if is_compromised(tx, fingerprint, organization).await? {
        return Err(StoreError::CompromisedKey);
    }
    let sql =
        "/* key_of_authority */ SELECT id FROM certificate_authorities WHERE key_fingerprint = $1 LIMIT 1";
    match tx.row(sql, &[fingerprint.into()]).await? {
        Some(_) => Err(StoreError::KeyOfAuthority),
        None => Ok(()),
    }
}

/// Whether the key with this fingerprint is known to be compromised, for everybody or for this organization.
pub(crate) async fn is_compromised(
    tx: &mut Tx,
    fingerprint: &str,
    organization: Option<OrganizationId>,
) -> Result<bool, StoreError> {
    let sql = "/* is_compromised */
               SELECT noted_at FROM fastpki_compromised_keys
               WHERE key_fingerprint = $1 AND organization_id IN ($2, $3) LIMIT 1";
    let own = organization.map_or(NO_ORGANIZATION, |id| id.0);
    Ok(tx.row(sql, &[fingerprint.into(), EVERYBODY.into(), own.into()]).await?.is_some())
}

/// Notes the key of a certificate or CA, by its issuer and serial number, as compromised.
pub(crate) async fn note_revoked(
    tx: &mut Tx,
    issuer: CaId,
    serial: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    for key in keys_of(tx, issuer, serial).await? {
        note_key(tx, key, now).await?;
    }
    Ok(())
}

/// Notes the key of this certificate as compromised.
pub(crate) async fn note(tx: &mut Tx, id: CertificateId, now: Timestamp) -> Result<(), StoreError> {
    let sql = scoped!("certificate_with_scope", "id = $3");
    let values = [EVERYBODY.into(), NO_ORGANIZATION.into(), id.into()];
    for row in tx.rows(sql, &values).await? {
        if let Some(key) = key(row)? {
            note_key(tx, key, now).await?;
        }
    }
    Ok(())
}

async fn note_key(tx: &mut Tx, key: CompromisedKey, now: Timestamp) -> Result<u64, StoreError> {
    let sql = "/* note_compromised_key */
               INSERT INTO fastpki_compromised_keys (key_fingerprint, organization_id, noted_at) VALUES ($1, $2, $3)
               ON CONFLICT (key_fingerprint, organization_id) DO NOTHING";
    tx.execute(sql, &[key.fingerprint.into(), key.scope.into(), now.into()]).await
}

/// The keys that an issuer has certified under a serial number.
async fn keys_of(tx: &mut Tx, issuer: CaId, serial: &str) -> Result<Vec<CompromisedKey>, StoreError> {
    // The plus keeps SQLite from reading all that the issuer has.
    let certificates = scoped!("certificates_by_serial", "serial_number = $4 AND +issuer_id = $3");
    let authorities = "/* authorities_by_serial */
                       SELECT certificate, CAST($1 AS INTEGER) FROM certificate_authorities WHERE parent_ca_id = $2 AND serial_number = $3";
    let values = [EVERYBODY.into(), NO_ORGANIZATION.into(), issuer.into(), serial.into()];
    let mut rows = tx.rows(certificates, &values).await?;
    rows.extend(tx.rows(authorities, &[EVERYBODY.into(), issuer.into(), serial.into()]).await?);
    rows.into_iter().filter_map(|row| key(row).transpose()).collect()
}

/// The key of a certificate in PEM, and for whom it counts; `None` where the certificate cannot be read.
fn key(mut row: Row) -> Result<Option<CompromisedKey>, StoreError> {
    let (pem, scope): (String, i32) = (row.next()?, row.next()?);
    let fingerprint = Certificate::from_pem(&pem).ok().map(|certificate| certificate.key_fingerprint());
    Ok(fingerprint.map(|fingerprint| CompromisedKey { fingerprint, scope }))
}

/// The scope of a key that is compromised for everybody.
const EVERYBODY: i32 = -1;
/// The scope of a key that is compromised for what belongs to no organization.
const NO_ORGANIZATION: i32 = 0;
/// What CRL entries are looked through for.
const COMPROMISED_ENTRIES: &str = "compromised_entries";
/// Rows that are looked at in one go: a few milliseconds.
const PAGE: i64 = 500;
