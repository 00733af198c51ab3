//! Jobs of which one of several servers does each, and signs of life.

use fastpki_types::Timestamp;

use crate::{Store, error::StoreError};

impl Store {
    /// Whether this server is to do a job now: true for the first that asks once it is due. It is due again
    /// after so many seconds. One that is due later than that was put off by a clock that was ahead, and is due now.
    pub async fn claim_job(
        &self,
        name: &'static str,
        every_seconds: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "/* claim_job */
                   INSERT INTO fastpki_jobs (name, due) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET due = excluded.due
                   WHERE fastpki_jobs.due <= $3 OR fastpki_jobs.due > $4";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let due = now.plus_seconds(every_seconds);
                    let latest = due.plus_seconds(CLOCKS_DIFFER_SECONDS);
                    let values = [name.into(), due.into(), now.into(), latest.into()];
                    Ok(tx.execute(sql, &values).await? == 1)
                })
            })
            .await
    }

    /// When a job is due, if it was ever done.
    pub async fn job_due(&self, name: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let sql = "/* job_due */ SELECT due FROM fastpki_jobs WHERE name = $1";
        self.db
            .read(move |tx| {
                Box::pin(
                    async move { tx.row(sql, &[name.into()]).await?.map(|mut row| row.next()).transpose() },
                )
            })
            .await
    }

    /// Writes a long row, durably: whether a change could be recorded now. A short one fits into a full disk, where the
    /// database has room left in what it has allocated.
    pub async fn prove_writable(&self, now: Timestamp) -> Result<(), StoreError> {
        let sql = "/* prove_writable */
                   INSERT INTO fastpki_jobs (name, due, proof) VALUES ($1, $2, $3)
                   ON CONFLICT (name) DO UPDATE SET due = excluded.due, proof = excluded.proof";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let proof = "0".repeat(PROOF_BYTES);
                    tx.execute(sql, &["prove_writable".into(), now.into(), proof.into()]).await.map(drop)
                })
            })
            .await
    }
}

/// More than an ordinary change writes: a certificate takes some ten pages of 4 KiB.
const PROOF_BYTES: usize = 128 * 1024;
/// Seconds by which the clocks of servers may differ, and by which a clock may be set back, without anything that was
/// written being disbelieved.
pub const CLOCKS_DIFFER_SECONDS: i64 = 5;
