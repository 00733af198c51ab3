//! Certificate revocation lists.

use fastpki_types::{CaId, Timestamp};

use crate::{Store, authorities, db::Tx, error::StoreError, jobs::CLOCKS_DIFFER_SECONDS};

/// What is known of a CA's latest CRL without reading it.
#[derive(Clone, Debug)]
pub struct CrlHead {
    /// What people call the CA.
    pub ca_name: String,
    /// The name that its public addresses are made from, where that is another.
    pub published_name: Option<String>,
    /// The number of the latest CRL; 0 before the first.
    pub number: u64,
    /// The newest entry that the latest CRL has seen; `None` where it must be made anew.
    pub covers: Option<i32>,
    /// The newest entry there is; 0 if there is none.
    pub newest_entry: i32,
    /// When the latest CRL was made.
    pub this_update: Option<Timestamp>,
    /// When the latest CRL ends.
    pub next_update: Option<Timestamp>,
}

/// A CRL to be recorded.
pub struct CrlRow {
    /// The CA it is of.
    pub ca: CaId,
    /// Its number, reserved before.
    pub number: u64,
    /// The newest entry it has seen; 0 if there was none.
    pub covers: i32,
    /// When it was made.
    pub this_update: Timestamp,
    /// When it ends.
    pub next_update: Timestamp,
    /// The CRL itself.
    pub der: Vec<u8>,
}

/// A revoked serial number.
#[derive(Clone, Debug)]
pub struct CrlEntryRow {
    /// Its id.
    pub id: i32,
    /// Hex.
    pub serial_number: String,
    /// When it was revoked.
    pub revoked_at: Timestamp,
    /// As it was given: a reason's name, free text, or nothing.
    pub reason: Option<String>,
}

impl Store {
    /// What is known of a CA's latest CRL; `None` if there is no such CA.
    pub async fn crl_head(&self, ca: CaId, now: Timestamp) -> Result<Option<CrlHead>, StoreError> {
        // A CRL older than the CA is of another that had its id before: the old system gives ids again. A CA that was
        // made by a clock that was ahead is not younger than its CRLs for that.
        let sql = "/* crl_head */
                   SELECT a.name, a.published_name, COALESCE(r.number, 0),
                          CASE WHEN r.this_update >= a.created_at OR a.created_at > $2 THEN r.last_entry_id END,
                          COALESCE((SELECT MAX(e.id) FROM crl_entries e WHERE e.ca_id = a.id), 0),
                          r.this_update, r.next_update
                   FROM certificate_authorities a LEFT JOIN fastpki_crls r ON r.ca_id = a.id
                   WHERE a.id = $1";
        self.db
            .read(move |tx| {
                Box::pin(async move {
                    let believed = now.plus_seconds(CLOCKS_DIFFER_SECONDS);
                    let Some(mut row) = tx.row(sql, &[ca.into(), believed.into()]).await? else {
                        return Ok(None);
                    };
                    Ok(Some(CrlHead {
                        ca_name: row.next()?,
                        published_name: row.next()?,
                        number: row.next()?,
                        covers: row.next()?,
                        newest_entry: row.next()?,
                        this_update: row.next()?,
                        next_update: row.next()?,
                    }))
                })
            })
            .await
    }

    /// The latest CRL of a CA, if it still has this number.
    pub async fn crl_der(&self, ca: CaId, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let sql =
            "/* crl_der */ SELECT der FROM fastpki_crls WHERE ca_id = $1 AND number = $2 AND der IS NOT NULL";
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let row = tx.row(sql, &[ca.into(), number.into()]).await?;
                    row.map(|mut row| row.next()).transpose()
                })
            })
            .await
    }

    /// Takes the next CRL number of a CA. It is never given again, even if no CRL comes of it. [`StoreError::Gone`] if
    /// there is no such CA, or not any more; [`StoreError::NoCrlNumberLeft`] if it was imported with a number so high
    /// that there is none above it.
    pub async fn reserve_crl_number(&self, ca: CaId) -> Result<u64, StoreError> {
        let sql = "/* reserve_crl_number */
                   INSERT INTO fastpki_crls (ca_id, reserved) VALUES ($1, 1)
                   ON CONFLICT (ca_id) DO UPDATE SET reserved = fastpki_crls.reserved + 1
                   WHERE fastpki_crls.reserved < $2
                   RETURNING reserved";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let row = tx.row(sql, &[ca.into(), i64::MAX.into()]).await?;
                    let number = row.ok_or(StoreError::NoCrlNumberLeft)?.next()?;
                    // Only now: a deletion takes its locks in this order too.
                    if authorities::keep(tx, ca).await? { Ok(number) } else { Err(StoreError::Gone) }
                })
            })
            .await
    }

    /// Records a CRL as its CA's latest; false if one with a higher number was recorded meanwhile.
    pub async fn record_crl(&self, crl: CrlRow) -> Result<bool, StoreError> {
        let number = i64::try_from(crl.number).unwrap_or(i64::MAX);
        let sql = "/* record_crl */
                   UPDATE fastpki_crls SET number = $2, last_entry_id = $3, this_update = $4, next_update = $5, der = $6
                   WHERE ca_id = $1 AND number < $2";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let values = [
                        crl.ca.into(),
                        number.into(),
                        crl.covers.into(),
                        crl.this_update.into(),
                        crl.next_update.into(),
                        crl.der.into(),
                    ];
                    Ok(tx.execute(sql, &values).await? == 1)
                })
            })
            .await
    }

    /// A page of a CA's entries with ids above `after` and not above `upto`, by id, without those whose
    /// certificate ended before `ended_before`, each serial number once. An entry whose certificate is gone stays.
    pub async fn crl_entries(
        &self,
        ca: CaId,
        after: i32,
        upto: i32,
        ended_before: Timestamp,
        limit: i64,
    ) -> Result<Vec<CrlEntryRow>, StoreError> {
        // For each entry both databases are to look for its serial number and for nothing else. The pluses keep them
        // from reading all that the CA has, by the indexes of CAs and of ids; the aggregates keep PostgreSQL from
        // joining each page with the whole table.
        let sql = "/* crl_entries */
                   SELECT e.id, e.serial_number, e.revocation_date, e.reason FROM crl_entries e
                   WHERE e.ca_id = $1 AND e.id > $2 AND e.id <= $3 AND COALESCE((
                       SELECT MAX(c.not_after) FROM certificates c
                       WHERE c.serial_number = e.serial_number AND +c.issuer_id = e.ca_id), $4) >= $4
                   AND e.id = (
                       SELECT MIN(+d.id) FROM crl_entries d
                       WHERE d.serial_number = e.serial_number AND +d.ca_id = e.ca_id)
                   ORDER BY e.id LIMIT $5";
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let values = [ca.into(), after.into(), upto.into(), ended_before.into(), limit.into()];
                    let rows = tx.rows(sql, &values).await?;
                    rows.into_iter()
                        .map(|mut row| {
                            Ok(CrlEntryRow {
                                id: row.next()?,
                                serial_number: row.next()?,
                                revoked_at: row.next()?,
                                reason: row.next()?,
                            })
                        })
                        .collect()
                })
            })
            .await
    }
}

/// Whether a serial number is on a CA's CRL.
pub(crate) async fn is_on_crl(tx: &mut Tx, ca: CaId, serial: &str) -> Result<bool, StoreError> {
    Ok(tx.row(IS_REVOKED, &[serial.into(), ca.into()]).await?.is_some())
}

/// The entry of a serial number on a CA's CRL. The plus keeps SQLite from reading all entries of the CA.
pub(crate) const IS_REVOKED: &str =
    "/* is_revoked */ SELECT id FROM crl_entries WHERE serial_number = $1 AND +ca_id = $2 LIMIT 1";
