//! Removing tokens that nobody can use any more, a few at a time.

use fastpki_types::Timestamp;

use crate::{Store, db::Value, error::StoreError};

impl Store {
    /// Removes tokens that nobody can use any more and nobody looks for: refresh tokens that have ended or are spent,
    /// access tokens that were signed out and have ended since, tokens of service accounts some time after they
    /// ended or were revoked. Says how many there were. The database stays free for others meanwhile.
    ///
    /// Nothing is removed because of one look at a clock, which may be ahead: a token that was good once more when the clock
    /// is right again would be lost, and one that was signed out would live again. What has ended must have done so by the sweep
    /// before this one, which was at `last`; an access token that was signed out, by one that was so many seconds ago.
    pub async fn sweep_tokens(
        &self,
        every_seconds: i64,
        last: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let before = now.plus_seconds(-every_seconds);
        let ended = last.min(now);
        let long_ago = ended.plus_seconds(-KEPT_SECONDS);
        let delete = |sql, find, values| self.for_each(find, values, sql, Vec::new());
        // FastPKI 0.4 does not say when it revoked one: it counts from the first sweep.
        self.for_each(
            "/* tokens_revoked_sometime */
             SELECT id FROM service_account_tokens
             WHERE id > $1 AND revoked = $3 AND revoked_at IS NULL ORDER BY id LIMIT $2",
            vec![true.into()],
            "/* note_revoked */ UPDATE service_account_tokens SET revoked_at = $2 WHERE id = $1",
            vec![now.into()],
        )
        .await?;
        let refresh_tokens = delete(
            "/* sweep_refresh_token */ DELETE FROM refresh_tokens WHERE id = $1",
            "/* spent_refresh_tokens */
             SELECT id FROM refresh_tokens
             WHERE id > $1 AND (expires_at < $3 OR revoked = $4) ORDER BY id LIMIT $2",
            vec![ended.into(), true.into()],
        );
        let access_tokens = delete(
            "/* sweep_blocklisted_token */ DELETE FROM blocklisted_tokens WHERE id = $1",
            "/* ended_blocklisted_tokens */
             SELECT id FROM blocklisted_tokens
             WHERE id > $1 AND exp < $3 AND seen_ended_at <= $4 ORDER BY id LIMIT $2",
            vec![now.into(), before.into()],
        );
        let account_tokens = delete(
            "/* sweep_service_account_token */ DELETE FROM service_account_tokens WHERE id = $1",
            "/* old_service_account_tokens */
             SELECT id FROM service_account_tokens
             WHERE id > $1 AND (expires_at < $3 OR revoked_at < $3) ORDER BY id LIMIT $2",
            vec![long_ago.into()],
        );
        let swept = refresh_tokens.await? + access_tokens.await? + account_tokens.await?;
        // A clock that was ahead found them ended.
        self.for_each(
            "/* tokens_not_ended_yet */
             SELECT id FROM blocklisted_tokens
             WHERE id > $1 AND seen_ended_at IS NOT NULL AND (exp >= $3 OR seen_ended_at > $3) ORDER BY id LIMIT $2",
            vec![now.into()],
            "/* unsee_ended_token */ UPDATE blocklisted_tokens SET seen_ended_at = NULL WHERE id = $1",
            Vec::new(),
        )
        .await?;
        self.for_each(
            "/* newly_ended_tokens */
             SELECT id FROM blocklisted_tokens
             WHERE id > $1 AND exp < $3 AND seen_ended_at IS NULL ORDER BY id LIMIT $2",
            vec![now.into()],
            "/* see_ended_token */ UPDATE blocklisted_tokens SET seen_ended_at = $2 WHERE id = $1",
            vec![now.into()],
        )
        .await?;
        Ok(swept)
    }

    /// Finds rows by id, with `find` over the last id, a limit and these values, and does `act` over the id and these
    /// values to each; a page to a write.
    async fn for_each(
        &self,
        find: &'static str,
        values: Vec<Value>,
        act: &'static str,
        more: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let (mut after, mut done) = (0_i32, 0);
        loop {
            let keys = [after.into(), PAGE.into()];
            let values: Vec<Value> = keys.into_iter().chain(values.clone()).collect();
            let page: Vec<i32> = self
                .db
                .scan(move |tx| {
                    Box::pin(async move {
                        let rows = tx.rows(find, &values).await?;
                        rows.into_iter().map(|mut row| row.next()).collect()
                    })
                })
                .await?;
            let Some(last) = page.last() else { return Ok(done) };
            after = *last;
            let more = more.clone();
            done += self
                .db
                .write(move |tx| {
                    Box::pin(async move {
                        let mut done = 0;
                        for id in page {
                            let values: Vec<Value> = [id.into()].into_iter().chain(more.clone()).collect();
                            done += tx.execute(act, &values).await?;
                        }
                        Ok(done)
                    })
                })
                .await?;
        }
    }
}

/// Rows to a write: a few milliseconds, for which other writers wait.
const PAGE: i64 = 500;
/// How long a token of a service account is listed after its end: 90 days, in which somebody asks what became of it.
/// The audit log has it afterwards.
const KEPT_SECONDS: i64 = 90 * 24 * 3600;
