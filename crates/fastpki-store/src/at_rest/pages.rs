//! Every private key once, a page at a time, on all cores.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use tokio::{sync::Mutex, task::JoinSet};

use super::{KeyTable, Progress};
use crate::{
    Store, authorities::authority_key, certificates::certificate_key, error::StoreError, seal::StoredKey,
};

/// Which private keys are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those that lie in plaintext, without their certificates.
    Plaintext,
}

/// The ids of a table, handed out in spans of about a page of rows each.
struct Spans {
    table: KeyTable,
    which: Which,
    page: i64,
    /// The last id that was handed out.
    after: Mutex<i64>,
    last: i64,
    /// How many ids the next span has: more where rows are sparse.
    width: AtomicI64,
}

impl Store {
    /// The highest id of a table; 0 where it has no rows.
    pub(super) async fn last_id(&self, table: KeyTable) -> Result<i64, StoreError> {
        let sql = format!("/* last_id */ SELECT COALESCE(MAX(id), 0) FROM {}", table.name());
        self.db
            .scan(move |tx| Box::pin(async move { tx.row(&sql, &[]).await?.ok_or(StoreError::Gone)?.next() }))
            .await
    }

    /// Calls `work` with every page of the private keys whose ids are above `after` and up to `last`, several at
    /// once and in no order. Stops at the first error.
    pub(super) async fn each_page<W, F>(
        &self,
        table: KeyTable,
        which: Which,
        page: i64,
        (after, last): (i64, i64),
        progress: &Arc<Progress>,
        work: W,
    ) -> Result<(), StoreError>
    where
        W: Fn(Vec<StoredKey>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let spans = Arc::new(Spans {
            table,
            which,
            page,
            after: Mutex::new(after),
            last,
            width: AtomicI64::new(page),
        });
        let mut workers = JoinSet::new();
        for _ in 0..workers_at_once() {
            let (store, spans, progress) = (self.clone(), Arc::clone(&spans), Arc::clone(progress));
            workers.spawn(read_spans(store, spans, progress, work.clone()));
        }
        while let Some(ended) = workers.join_next().await {
            ended.map_err(|error| StoreError::Database(format!("a worker ended early: {error}")))??;
        }
        Ok(())
    }

    async fn page(&self, spans: &Spans, after: i64, last: i64) -> Result<Vec<StoredKey>, StoreError> {
        let sql = page_sql(spans.table, spans.which);
        let (table, page) = (spans.table, spans.page);
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let rows = tx.rows(sql, &[after.into(), last.into(), page.into()]).await?;
                    let read = match table {
                        KeyTable::Authorities => authority_key,
                        KeyTable::Certificates => certificate_key,
                    };
                    rows.into_iter().map(read).collect()
                })
            })
            .await
    }
}

async fn read_spans<W, F>(
    store: Store,
    spans: Arc<Spans>,
    progress: Arc<Progress>,
    work: W,
) -> Result<(), StoreError>
where
    W: Fn(Vec<StoredKey>) -> F,
    F: Future<Output = Result<(), StoreError>>,
{
    while let Some((mut after, last)) = spans.next().await {
        let mut found = 0;
        loop {
            let page = store.page(&spans, after, last).await?;
            let length = page.len();
            found += i64::try_from(length).unwrap_or(i64::MAX);
            let full = i64::try_from(length).is_ok_and(|length| length == spans.page);
            let end = page.last().filter(|_| full).map_or(last, |last| i64::from(last.owner.id()));
            if length > 0 {
                work(page).await?;
            }
            progress.advance(end.abs_diff(after), length as u64);
            after = end;
            if after == last {
                break;
            }
        }
        spans.learn(found);
    }
    Ok(())
}

impl Spans {
    /// The next span: the ids above the first number up to the second.
    async fn next(&self) -> Option<(i64, i64)> {
        let mut after = self.after.lock().await;
        let from = *after;
        *after = self.last.min(from + self.width.load(Relaxed));
        (from < *after).then_some((from, *after))
    }

    /// Widens the next spans where rows are sparse, narrows them where there are many.
    fn learn(&self, found: i64) {
        let width = self.width.load(Relaxed);
        if found < self.page / 4 {
            self.width.store((width * 2).min(WIDEST), Relaxed);
        } else if found >= self.page && width > self.page {
            self.width.store(width / 2, Relaxed);
        }
    }
}

/// As many as there are cores, and one that waits for the database meanwhile.
fn workers_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) + 1
}

fn page_sql(table: KeyTable, which: Which) -> &'static str {
    match (table, which) {
        (KeyTable::Authorities, Which::All) => {
            "/* authority_keys */
             SELECT id, name, private_key, encryption_key_fingerprint, certificate
             FROM certificate_authorities WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
        }
        (KeyTable::Authorities, Which::Plaintext) => {
            "/* plaintext_authority_keys */
             SELECT id, name, private_key, encryption_key_fingerprint, ''
             FROM certificate_authorities
             WHERE id > $1 AND id <= $2 AND private_key LIKE '-----BEGIN%' ORDER BY id LIMIT $3"
        }
        (KeyTable::Certificates, Which::All) => {
            "/* certificate_keys */
             SELECT id, common_name, private_key, encryption_key_fingerprint, certificate
             FROM certificates
             WHERE id > $1 AND id <= $2 AND private_key IS NOT NULL ORDER BY id LIMIT $3"
        }
        (KeyTable::Certificates, Which::Plaintext) => {
            "/* plaintext_certificate_keys */
             SELECT id, common_name, private_key, encryption_key_fingerprint, ''
             FROM certificates
             WHERE id > $1 AND id <= $2 AND private_key LIKE '-----BEGIN%' ORDER BY id LIMIT $3"
        }
    }
}

/// More ids than this in one span would make progress jump.
const WIDEST: i64 = 1 << 24;
