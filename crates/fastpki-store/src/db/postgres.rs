//! PostgreSQL: a pool of connections.

use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use futures_util::future::try_join_all;
use tokio::sync::Semaphore;
use tokio_postgres::{NoTls, config::SslMode, types::ToSql};

use super::{Row, Tx, Value, Work, value::Column};
use crate::{config::TlsMode, error::StoreError, tls};

/// A PostgreSQL server.
#[derive(Clone)]
pub(crate) struct Postgres {
    pool: Pool,
    scans: Arc<Semaphore>,
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
        let mut config = tokio_postgres::Config::from_str(url)
            .map_err(|error| StoreError::Unusable(format!("DATABASE_URL cannot be read: {error}")))?;
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
                Box::pin(async move { client.batch_execute(first).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|error| StoreError::Database(error.to_string()))?;
        // Fail now, with a word about DATABASE_URL, rather than at the first request.
        let first = pool.get().await.map_err(|error| {
            let reason = StoreError::from(error);
            StoreError::Unusable(format!("PostgreSQL cannot be reached: {reason}; check DATABASE_URL"))
        })?;
        drop(first);
        Ok(Self { pool, scans: Arc::new(Semaphore::new(SCANS)) })
    }

    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T>,
    {
        let mut tx = Tx::Postgres(self.client().await?);
        work(&mut tx).await
    }

    /// Reads what may take long, on no more connections than leave enough for everybody else.
    pub(crate) async fn scan<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T>,
    {
        let _turn = self.scans.acquire().await;
        self.read(work).await
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Send + 'static,
    {
        let mut client = self.client().await?;
        // A task of its own: a caller who hangs up must not leave a transaction half-way.
        let task = tokio::spawn(async move {
            client.begin().await?;
            let mut tx = Tx::Postgres(client);
            let result = work(&mut tx).await;
            let Tx::Postgres(client) = tx else { unreachable!("a transaction stays on its database") };
            client.end(result.is_ok()).await?;
            result
        });
        task.await
            .unwrap_or_else(|error| Err(StoreError::Database(format!("a unit of work panicked: {error}"))))
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
        Ok(Client { object: Some(self.pool.get().await?), in_transaction: false })
    }
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

/// A pooled connection. Dropped inside of a transaction, it is closed instead of going back to the pool.
pub(crate) struct Client {
    object: Option<Object>,
    in_transaction: bool,
}

impl Client {
    pub(super) async fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let object = self.object()?;
        let statement = object.prepare_cached(sql).await?;
        let rows = object.query(&statement, &refer(values)).await?;
        rows.iter().map(row).collect()
    }

    /// Asks without waiting for one answer before the next question is sent. PostgreSQL answers in their order.
    pub(super) async fn ask(&self, questions: &[(String, Vec<Value>)]) -> Result<Vec<Vec<Row>>, StoreError> {
        let object = self.object()?;
        let mut statements = Vec::with_capacity(questions.len());
        for (sql, _) in questions {
            statements.push(object.prepare_cached(sql).await?);
        }
        let asked = statements.iter().zip(questions).map(async |(statement, (_, values))| {
            let rows = object.query(statement, &refer(values)).await?;
            rows.iter().map(row).collect::<Result<Vec<Row>, StoreError>>()
        });
        try_join_all(asked).await
    }

    pub(super) async fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let object = self.object()?;
        let statement = object.prepare_cached(sql).await?;
        Ok(object.execute(&statement, &refer(values)).await?)
    }

    /// Executes without waiting for one answer before the next question is sent.
    pub(super) async fn execute_many<const N: usize>(
        &self,
        sql: &str,
        rows: &[[Value; N]],
    ) -> Result<u64, StoreError> {
        let object = self.object()?;
        let statement = object.prepare_cached(sql).await?;
        let executed = rows.iter().map(async |values| object.execute(&statement, &refer(values)).await);
        Ok(try_join_all(executed).await?.into_iter().sum())
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
        Ok(self.object()?.batch_execute(sql).await?)
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        self.in_transaction = true;
        self.script("BEGIN").await
    }

    async fn end(mut self, commit: bool) -> Result<(), StoreError> {
        self.script(if commit { "COMMIT" } else { "ROLLBACK" }).await?;
        self.in_transaction = false;
        Ok(())
    }

    fn object(&self) -> Result<&Object, StoreError> {
        self.object.as_ref().ok_or(StoreError::Gone)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.in_transaction
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

/// What was answered survives a power cut, whatever the server's default is; stronger settings stay.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false)
                       WHERE current_setting('synchronous_commit') IN ('off', 'local')";
/// What only looks changes nothing.
const READ_ONLY: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
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
