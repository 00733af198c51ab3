//! PostgreSQL: a pool of connections.

mod address;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use futures_util::future::try_join_all;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_postgres::{NoTls, config::SslMode, types::ToSql};

pub(crate) use address::Address;

use super::{Patience, Row, Tx, Value, Work, value::Column};
use crate::{
    config::TlsMode,
    error::{Outage, StoreError},
    tls,
};

/// A PostgreSQL server.
#[derive(Clone)]
pub(crate) struct Postgres {
    pool: Pool,
    scans: Arc<Semaphore>,
    /// How long a unit of work may take that a request waits for.
    limit: Duration,
    patience: Patience,
}

impl Postgres {
    pub(crate) async fn open(url: &str, tls: TlsMode, root_cert: Option<&Path>) -> Result<Self, StoreError> {
        Self::connect(url, tls, root_cert, DURABLE).await
    }

    /// Connects to look: every write fails.
    pub(crate) async fn look(url: &str, tls: TlsMode, root_cert: Option<&Path>) -> Result<Self, StoreError> {
        Self::connect(url, tls, root_cert, READ_ONLY).await
    }

    /// Connects; every connection begins with this statement.
    async fn connect(
        url: &str,
        tls: TlsMode,
        root_cert: Option<&Path>,
        first: &'static str,
    ) -> Result<Self, StoreError> {
        let Address { mut config, limit } = Address::parse(url)?;
        config.ssl_mode(match tls {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
        if config.get_application_name().is_none() {
            config.application_name("fastpki");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match tls {
            TlsMode::Disable => Manager::from_config(config, NoTls, recycling),
            _ => Manager::from_config(config, tls::connector(tls, root_cert)?, recycling),
        };
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT_TIMEOUT))
            .create_timeout(Some(WAIT_TIMEOUT))
            .post_create(Hook::async_fn(move |client, _| {
                Box::pin(async move { begin_session(client, first).await.map_err(HookError::Backend) })
            }))
            .pre_recycle(look_before_use())
            .build()
            .map_err(|error| StoreError::Database(error.to_string()))?;
        // Fail now, with a word about DATABASE_URL, rather than at the first request.
        let first = pool.get().await.map_err(|error| {
            let reason = StoreError::from(error);
            StoreError::Unusable(format!("PostgreSQL cannot be reached: {reason}; check DATABASE_URL"))
        })?;
        drop(first);
        Ok(Self { pool, scans: Arc::new(Semaphore::new(SCANS)), limit, patience: Patience::Request })
    }

    /// The same server, for work that may take longer.
    pub(crate) fn with(&self, patience: Patience) -> Self {
        Self { patience, ..self.clone() }
    }

    /// Reads; again, on another connection, where one was lost.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Clone,
    {
        self.read_until(self.deadline(), work).await
    }

    async fn read_until<T, F>(&self, deadline: Option<Instant>, work: F) -> Result<T, StoreError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Clone,
    {
        for _ in 1..ATTEMPTS {
            match in_time(deadline, self.read_once(work.clone())).await {
                Err(error) if error.is_passing() => tracing::debug!(%error, "a read is tried again"),
                ended => return ended,
            }
        }
        in_time(deadline, self.read_once(work)).await
    }

    async fn read_once<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T>,
    {
        let mut tx = Tx::Postgres(self.client().await?);
        work(&mut tx).await
    }

    /// Reads what may take long, on no more connections than leave enough for everybody else.
    pub(crate) async fn scan<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Clone,
    {
        let deadline = self.deadline();
        let turn = async { Ok(self.scans.acquire().await.expect("scans are never closed")) };
        let _turn = in_time(deadline, turn).await?;
        self.read_until(deadline, work).await
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Clone + Send + 'static,
    {
        let postgres = self.clone();
        // A task of its own: a caller who hangs up must not leave a transaction half-way.
        let task = tokio::spawn(async move { postgres.write_again(work).await });
        task.await
            .unwrap_or_else(|error| Err(StoreError::Database(format!("a unit of work panicked: {error}"))))
    }

    /// Writes; again where it is certain that nothing was written and the next attempt may succeed.
    async fn write_again<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Clone,
    {
        let deadline = self.deadline();
        for _ in 1..ATTEMPTS {
            match self.write_once(deadline, work.clone()).await {
                Err(error) if error.is_passing() => tracing::debug!(%error, "a write is tried again"),
                ended => return ended,
            }
        }
        self.write_once(deadline, work).await
    }

    async fn write_once<T, F>(&self, deadline: Option<Instant>, work: F) -> Result<T, StoreError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T>,
    {
        let (client, result) = in_time(deadline, async {
            let mut client = self.client().await?;
            client.begin().await?;
            let mut tx = Tx::Postgres(client);
            let result = work(&mut tx).await;
            let Tx::Postgres(client) = tx else { unreachable!("a transaction stays on its database") };
            Ok((client, result))
        })
        .await?;
        match result {
            Ok(done) => in_time(deadline, client.commit()).await.map_err(uncertain).map(|()| done),
            Err(error) => {
                // Where it cannot be rolled back, the connection is closed, which does the same.
                let _ = in_time(deadline, client.roll_back()).await;
                Err(error)
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.patience.limit(self.limit).map(|limit| Instant::now() + limit)
    }

    /// Rewrites tables whole, so that nothing is left of their dead rows, nor of this column in what PostgreSQL
    /// keeps of them for its planner. Nobody can use a table meanwhile.
    pub(crate) async fn rewrite_tables(
        &self,
        tables: &[&'static str],
        column: &'static str,
    ) -> Result<(), StoreError> {
        let client = self.client().await?;
        client.script(&format!("SET lock_timeout = '{LOCK_SECONDS}s'")).await?;
        let rewritten = client.rewrite_tables(tables, column).await;
        client.script("RESET lock_timeout").await?;
        rewritten
    }

    /// Holds a lock on a connection of its own. Whoever waits for it asks again and again: waiting inside of a
    /// statement would keep dead rows from being removed.
    pub(crate) async fn lock(&self, lock: i64) -> Result<Lock, StoreError> {
        let client = self.client().await?;
        let sql = format!("/* lock */ SELECT pg_try_advisory_lock({lock})");
        while !client.first::<bool>(&sql, &[]).await? {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Lock { client })
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }

    async fn client(&self) -> Result<Client, StoreError> {
        let object = Some(self.pool.get().await?);
        Ok(Client { object, in_transaction: false, in_flight: AtomicBool::new(false) })
    }
}

/// Waits no longer than until then. What is cut short closes its connection.
async fn in_time<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let Some(deadline) = deadline else { return work.await };
    timeout_at(deadline, work)
        .await
        .unwrap_or_else(|_| Err(StoreError::stuck("PostgreSQL did not answer in time")))
}

/// What a failed COMMIT means: PostgreSQL undoes what it refuses, but one that says nothing may have done it.
fn uncertain(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable { outage: Outage::ConnectionLost | Outage::Stuck, text } => {
            StoreError::Uncertain(text)
        }
        error => error,
    }
}

/// Prepares a new connection.
async fn begin_session(client: &ClientWrapper, first: &str) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(first).await?;
    // A server on a system without one of these refuses it, and serves all the same.
    if let Err(error) = client.batch_execute(NOTICE_LOST_CLIENTS).await {
        tracing::debug!(%error, "PostgreSQL does not look whether this client is still there");
    }
    Ok(())
}

/// Asks connections that were idle for a word before work is given to them. Where one is dead, all that were idle
/// longer are closed unasked: a server that is gone without a word takes its time to say nothing, once.
fn look_before_use() -> Hook {
    let dead_since: Arc<Mutex<Option<Instant>>> = Arc::default();
    Hook::async_fn(move |client: &mut ClientWrapper, metrics| {
        let (dead_since, idle) = (Arc::clone(&dead_since), metrics.last_used());
        Box::pin(async move {
            let found = *dead_since.lock().unwrap_or_else(PoisonError::into_inner);
            if found.is_some_and(|found| found.elapsed() < idle) {
                return Err(HookError::message("another connection as old was dead"));
            }
            if idle < LOOK_AFTER {
                return Ok(());
            }
            match tokio::time::timeout(LOOK_TIMEOUT, client.simple_query("")).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(_)) | Err(_) => {
                    *dead_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                    Err(HookError::message("the connection is dead"))
                }
            }
        })
    })
}

/// A lock, held until this is dropped.
pub(crate) struct Lock {
    client: Client,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock goes with its connection.
        if let Some(object) = self.client.object.take() {
            drop(Object::take(object));
        }
    }
}

/// A pooled connection. Dropped inside of a transaction, while it waits for an answer or after it was lost, it is
/// closed instead of going back to the pool.
pub(crate) struct Client {
    object: Option<Object>,
    in_transaction: bool,
    in_flight: AtomicBool,
}

impl Client {
    pub(super) async fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let object = self.object()?;
        let rows = self
            .asking(async {
                let statement = object.prepare_cached(sql).await?;
                object.query(&statement, &refer(values)).await
            })
            .await?;
        rows.iter().map(row).collect()
    }

    /// Asks without waiting for one answer before the next question is sent. PostgreSQL answers in their order.
    pub(super) async fn ask(&self, questions: &[(String, Vec<Value>)]) -> Result<Vec<Vec<Row>>, StoreError> {
        let object = self.object()?;
        let answers = self
            .asking(async {
                let mut statements = Vec::with_capacity(questions.len());
                for (sql, _) in questions {
                    statements.push(object.prepare_cached(sql).await?);
                }
                let asked = statements
                    .iter()
                    .zip(questions)
                    .map(async |(statement, (_, values))| object.query(statement, &refer(values)).await);
                try_join_all(asked).await
            })
            .await?;
        answers.iter().map(|rows| rows.iter().map(row).collect()).collect()
    }

    pub(super) async fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let object = self.object()?;
        self.asking(async {
            let statement = object.prepare_cached(sql).await?;
            object.execute(&statement, &refer(values)).await
        })
        .await
    }

    /// Executes without waiting for one answer before the next question is sent.
    pub(super) async fn execute_many<const N: usize>(
        &self,
        sql: &str,
        rows: &[[Value; N]],
    ) -> Result<u64, StoreError> {
        let object = self.object()?;
        self.asking(async {
            let statement = object.prepare_cached(sql).await?;
            let executed = rows.iter().map(async |values| object.execute(&statement, &refer(values)).await);
            Ok(try_join_all(executed).await?.into_iter().sum())
        })
        .await
    }

    /// Waits for an answer, and knows by itself whether one is still to come.
    async fn asking<T>(
        &self,
        question: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        self.in_flight.store(true, Ordering::Relaxed);
        let answer = question.await.map_err(StoreError::from);
        let lost = matches!(answer, Err(StoreError::Unavailable { outage: Outage::ConnectionLost, .. }));
        self.in_flight.store(lost, Ordering::Relaxed);
        answer
    }

    /// The first column of the only row.
    async fn first<T: Column>(&self, sql: &str, values: &[Value]) -> Result<T, StoreError> {
        self.rows(sql, values).await?.into_iter().next().ok_or(StoreError::Gone)?.next()
    }

    async fn rewrite_tables(&self, tables: &[&'static str], column: &'static str) -> Result<(), StoreError> {
        for table in tables {
            // The same type again: PostgreSQL forgets its samples of the column's values, and leaves the table.
            self.script(&format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE VARCHAR")).await?;
        }
        for table in ["pg_statistic"].iter().chain(tables) {
            let file = format!("/* table_file */ SELECT CAST(pg_relation_filenode('{table}') AS BIGINT)");
            let before: Option<i64> = self.first(&file, &[]).await?;
            self.wait_for_older_transactions().await?;
            self.script(&format!("VACUUM (FULL) {table}")).await?;
            // Whoever owns neither the table nor the database gets a warning and no error.
            if self.first::<Option<i64>>(&file, &[]).await? == before {
                return Err(StoreError::Database(format!(
                    "VACUUM FULL did not rewrite {table}: does this PostgreSQL user own the database and its tables?"
                )));
            }
        }
        Ok(())
    }

    /// Waits until nobody can see rows any more that are dead by now. Those who can are transactions of this
    /// database that run now, and all of the server that write.
    async fn wait_for_older_transactions(&self) -> Result<(), StoreError> {
        let this = "/* this_transaction */ SELECT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)";
        let this: i64 = self.first(this, &[]).await?;
        let oldest = "/* oldest_writing */
                      SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)";
        let mut older = self.running_transactions().await?;
        for _ in 0..LOCK_SECONDS * 10 {
            if older.is_empty() && self.first::<i64>(oldest, &[]).await? > this {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            let running = self.running_transactions().await?;
            older.retain(|transaction| running.contains(transaction));
        }
        // An autovacuum of a large table takes longer, keeps no rows, and gives way to a rewrite of its table.
        if older.iter().all(|(_, of_user)| !of_user) && self.first::<i64>(oldest, &[]).await? > this {
            return Ok(());
        }
        Err(StoreError::Database(
            "a transaction has been open in PostgreSQL for long, and keeps dead rows from being removed: end it (SELECT pid, datname, xact_start, query FROM pg_stat_activity ORDER BY xact_start; pg_prepared_xacts) and try again".into(),
        ))
    }

    /// Every transaction in this database but one's own, also those of other roles, of which PostgreSQL tells no
    /// more; and whether it is a user's, and not PostgreSQL's own.
    async fn running_transactions(&self) -> Result<Vec<(String, bool)>, StoreError> {
        let sql = "/* running_transactions */
                   SELECT l.virtualxid, a.usesysid IS NOT NULL
                   FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
                   WHERE l.locktype = 'virtualxid' AND a.datname = current_database() AND l.pid <> pg_backend_pid()";
        self.rows(sql, &[]).await?.into_iter().map(|mut row| Ok((row.next()?, row.next()?))).collect()
    }

    pub(super) async fn script(&self, sql: &str) -> Result<(), StoreError> {
        let object = self.object()?;
        self.asking(object.batch_execute(sql)).await
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        self.in_transaction = true;
        self.script("BEGIN").await
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        self.script("COMMIT").await?;
        self.in_transaction = false;
        Ok(())
    }

    async fn roll_back(mut self) -> Result<(), StoreError> {
        self.script("ROLLBACK").await?;
        self.in_transaction = false;
        Ok(())
    }

    fn object(&self) -> Result<&Object, StoreError> {
        self.object.as_ref().ok_or(StoreError::Gone)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if (self.in_transaction || *self.in_flight.get_mut())
            && let Some(object) = self.object.take()
        {
            drop(Object::take(object));
        }
    }
}

fn row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let values: Result<Vec<Value>, _> =
        (0..row.len()).map(|column| row.try_get::<_, Value>(column)).collect();
    Ok(Row::new(values?))
}

fn refer(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// What was answered survives a power cut, whatever the server's default is; stronger settings stay. Compiling a
/// statement takes PostgreSQL longer than any of ours takes: a page of a CRL a third of a second instead of 0.05 s.
const DURABLE: &str = "SET jit = off;
                       SELECT set_config('synchronous_commit', 'on', false)
                       WHERE current_setting('synchronous_commit') IN ('off', 'local')";
/// What only looks changes nothing.
const READ_ONLY: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
/// PostgreSQL learns that a client is gone, or that nothing lies between them any more, and lets go of what its
/// transaction had locked: within a minute, where the operator has not set it otherwise.
const NOTICE_LOST_CLIENTS: &str = "
    SELECT set_config(s.name, w.value, false)
    FROM pg_settings s JOIN (VALUES
        ('client_connection_check_interval', '5s'), ('idle_in_transaction_session_timeout', '60s'),
        ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3')
    ) AS w (name, value) ON w.name = s.name
    WHERE s.source = 'default'";
/// Connections a server holds at the most; PostgreSQL allows 100 in all unless told otherwise.
const CONNECTIONS: usize = 24;
/// Long reads at once: half of the connections are left for those who sign in, ask by id or write.
const SCANS: usize = CONNECTIONS / 2;
/// Seconds to wait for those who use a table that is to be rewritten; those who come later wait as long.
const LOCK_SECONDS: u32 = 10;
/// How long a request waits for a connection before it fails.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long PostgreSQL may take to answer a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often work is tried on another connection: once for each that may have died with the server, and once more.
const ATTEMPTS: usize = CONNECTIONS + 1;
/// Connections that were idle for longer are asked for a word before they are used.
const LOOK_AFTER: Duration = Duration::from_secs(5);
/// How long they may take to answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
