//! Jobs of which one of several servers does each.

use fastpki_types::Timestamp;

use crate::{Store, error::StoreError};

impl Store {
    /// Whether this server is to do a job now: true for the first that asks once it is due. It is due again
    /// after so many seconds.
    pub async fn claim_job(
        &self,
        name: &'static str,
        every_seconds: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "/* claim_job */
                   INSERT INTO fastpki_jobs (name, due) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET due = excluded.due WHERE fastpki_jobs.due <= $3";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let due = now.plus_seconds(every_seconds);
                    Ok(tx.execute(sql, &[name.into(), due.into(), now.into()]).await? == 1)
                })
            })
            .await
    }
}
