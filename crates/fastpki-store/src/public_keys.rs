//! Public keys that are not certified: known to be compromised, or of a CA here. Each goes by its fingerprint.

use fastpki_types::{CaId, Timestamp};
use fastpki_x509::{Certificate, Reason};

use crate::{
    Store,
    db::{Row, Tx},
    error::StoreError,
};

impl Store {
    /// Whether the public key with this fingerprint may be certified: [`StoreError::CompromisedKey`] and
    /// [`StoreError::KeyOfAuthority`] say why not.
    pub async fn check_public_key(&self, fingerprint: String) -> Result<(), StoreError> {
        self.db.read(move |tx| Box::pin(async move { check(tx, &fingerprint).await })).await
    }

    /// Notes what FastPKI 0.4 left out: fingerprints and serial numbers of CAs, and the keys of certificates and CAs
    /// that it revoked as compromised. Says how many CAs and keys there were. Done again it finds nothing.
    pub async fn note_public_keys(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.note_authorities().await? + self.note_compromised(now).await?)
    }

    async fn note_authorities(&self) -> Result<u64, StoreError> {
        let find = "/* authorities_without_fingerprint */
                    SELECT id, certificate FROM certificate_authorities
                    WHERE id > $1 AND key_fingerprint IS NULL ORDER BY id LIMIT $2";
        let note = "/* note_authority */
                    UPDATE certificate_authorities SET key_fingerprint = $2, serial_number = $3 WHERE id = $1";
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
                .map(|(id, it)| [id.into(), it.key_fingerprint().into(), it.serial().to_hex().into()])
                .collect();
            noted +=
                self.db.write(move |tx| Box::pin(async move { tx.execute_many(note, &rows).await })).await?;
        }
    }

    async fn note_compromised(&self, now: Timestamp) -> Result<u64, StoreError> {
        let (mut after, mut noted) = (0, 0);
        loop {
            let page = self.db.scan(move |tx| Box::pin(compromised_entries(tx, after))).await?;
            let Some((last, fingerprints)) = page else { return Ok(noted) };
            after = last;
            if fingerprints.is_empty() {
                continue;
            }
            noted += self
                .db
                .write(move |tx| {
                    Box::pin(async move {
                        let mut noted = 0;
                        for fingerprint in fingerprints {
                            noted += note_fingerprint(tx, fingerprint, now).await?;
                        }
                        Ok(noted)
                    })
                })
                .await?;
        }
    }
}

/// The last entry of a page of CRL entries that say something of a compromise, and the keys that they concern and that are
/// not noted yet.
async fn compromised_entries(tx: &mut Tx, after: i32) -> Result<Option<(i32, Vec<String>)>, StoreError> {
    // Whatever stands between its letters: see Reason::from_text.
    let sql = "/* compromised_entries */
               SELECT id, ca_id, serial_number, reason FROM crl_entries
               WHERE id > $1 AND LOWER(reason) LIKE '%c%o%m%p%r%o%m%i%s%e%' ORDER BY id LIMIT $2";
    let (mut last, mut fingerprints) = (None, Vec::new());
    for mut row in tx.rows(sql, &[after.into(), PAGE.into()]).await? {
        let (id, issuer, serial): (i32, CaId, String) = (row.next()?, row.next()?, row.next()?);
        last = Some(id);
        if is_compromise(row.next::<Option<String>>()?.as_deref()) {
            for fingerprint in fingerprints_of(tx, issuer, &serial).await? {
                if !is_compromised(tx, &fingerprint).await? {
                    fingerprints.push(fingerprint);
                }
            }
        }
    }
    Ok(last.map(|last| (last, fingerprints)))
}

/// Whether a certificate that was revoked for this reason tells that somebody else may have its private key.
pub(crate) fn is_compromise(reason: Option<&str>) -> bool {
    matches!(Reason::from_text(reason), Reason::KeyCompromise | Reason::CaCompromise | Reason::AaCompromise)
}

/// Refuses the key with this fingerprint if it is not certified.
pub(crate) async fn check(tx: &mut Tx, fingerprint: &str) -> Result<(), StoreError> {
    if is_compromised(tx, fingerprint).await? {
        return Err(StoreError::CompromisedKey);
    }
    let sql =
        "/* key_of_authority */ SELECT id FROM certificate_authorities WHERE key_fingerprint = $1 LIMIT 1";
    match tx.row(sql, &[fingerprint.into()]).await? {
        Some(_) => Err(StoreError::KeyOfAuthority),
        None => Ok(()),
    }
}

/// Notes the key of a certificate or CA, by its issuer and serial number, as compromised.
pub(crate) async fn note_revoked(
    tx: &mut Tx,
    issuer: CaId,
    serial: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    for fingerprint in fingerprints_of(tx, issuer, serial).await? {
        note_fingerprint(tx, fingerprint, now).await?;
    }
    Ok(())
}

/// Notes the key of this certificate as compromised.
pub(crate) async fn note(tx: &mut Tx, pem: &str, now: Timestamp) -> Result<(), StoreError> {
    if let Ok(certificate) = Certificate::from_pem(pem) {
        note_fingerprint(tx, certificate.key_fingerprint(), now).await?;
    }
    Ok(())
}

async fn note_fingerprint(tx: &mut Tx, fingerprint: String, now: Timestamp) -> Result<u64, StoreError> {
    let sql = "/* note_compromised_key */
               INSERT INTO fastpki_compromised_keys (key_fingerprint, noted_at) VALUES ($1, $2)
               ON CONFLICT (key_fingerprint) DO NOTHING";
    tx.execute(sql, &[fingerprint.into(), now.into()]).await
}

async fn is_compromised(tx: &mut Tx, fingerprint: &str) -> Result<bool, StoreError> {
    let sql = "/* is_compromised */
               SELECT noted_at FROM fastpki_compromised_keys WHERE key_fingerprint = $1";
    Ok(tx.row(sql, &[fingerprint.into()]).await?.is_some())
}

/// The fingerprints of the keys that an issuer has certified under a serial number.
async fn fingerprints_of(tx: &mut Tx, issuer: CaId, serial: &str) -> Result<Vec<String>, StoreError> {
    // The plus keeps SQLite from reading all that the issuer has.
    let certificates = "/* certificates_by_serial */
                        SELECT certificate FROM certificates WHERE serial_number = $2 AND +issuer_id = $1";
    let authorities = "/* authorities_by_serial */
                       SELECT certificate FROM certificate_authorities WHERE parent_ca_id = $1 AND serial_number = $2";
    let values = [issuer.into(), serial.into()];
    let mut fingerprints = Vec::new();
    for sql in [certificates, authorities] {
        for row in tx.rows(sql, &values).await? {
            fingerprints.extend(fingerprint(row)?);
        }
    }
    Ok(fingerprints)
}

/// The fingerprint of the key of a certificate in PEM; `None` where that cannot be read.
fn fingerprint(mut row: Row) -> Result<Option<String>, StoreError> {
    let pem: String = row.next()?;
    Ok(Certificate::from_pem(&pem).ok().map(|certificate| certificate.key_fingerprint()))
}

/// Rows that are looked at in one go: a few milliseconds.
const PAGE: i64 = 500;
