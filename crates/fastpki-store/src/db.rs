//! One way to talk to both databases: the same `$1`-numbered statements, values that bind themselves
//! by the column's type, rows that are read from left to right.
//!
//! A unit of work is a closure over [`Tx`]. On SQLite its futures are always ready, so the writer
//! thread (or, for reads, the calling thread) polls it once, without an executor. On PostgreSQL it
//! runs on a pooled connection.

mod postgres;
mod scrub;
mod sqlite;
mod value;

use std::{future::Future, pin::Pin, time::Duration};

pub(crate) use postgres::{Address, Lock};
#[cfg(test)]
pub(crate) use sqlite::bind as bind_on_sqlite;
pub(crate) use sqlite::open_to_read;
pub(crate) use value::{Row, Value};

use crate::{config::DatabaseConfig, error::StoreError, grants::Lock as RowLock};

/// What a unit of work returns.
pub(crate) type Work<'t, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 't>>;

/// How long somebody waits for a unit of work before it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as a request waits for a few rows.
    Request,
    /// As long as a request waits for what may be a hundred thousand rows.
    ManyRows,
    /// For ever: nobody but an operator waits.
    Unlimited,
}

impl Patience {
    /// The time it gives, of which a request's is this.
    fn limit(self, of_request: Duration) -> Option<Duration> {
        match self {
            Self::Request => Some(of_request),
            Self::ManyRows => Some(of_request.max(MANY_ROWS_LIMIT)),
            Self::Unlimited => None,
        }
    }
}

/// A database: SQLite in this process or PostgreSQL over the network.
#[derive(Clone)]
pub(crate) enum Db {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Db {
    pub(crate) async fn open(config: &DatabaseConfig) -> Result<Self, StoreError> {
        match config {
            DatabaseConfig::Sqlite { path } => sqlite::Sqlite::open(path).map(Self::Sqlite),
            DatabaseConfig::Postgres { url, tls, root_cert } => {
                postgres::Postgres::open(url, *tls, root_cert.as_deref()).await.map(Self::Postgres)
            }
        }
    }

    /// Opens a database that is there, to read it; every write fails.
    pub(crate) async fn look(config: &DatabaseConfig) -> Result<Self, StoreError> {
        match config {
            DatabaseConfig::Sqlite { path } => sqlite::Sqlite::look(path).map(Self::Sqlite),
            DatabaseConfig::Postgres { url, tls, root_cert } => {
                postgres::Postgres::look(url, *tls, root_cert.as_deref()).await.map(Self::Postgres)
            }
        }
    }

    /// The same database, for work that may take this long.
    pub(crate) fn with(&self, patience: Patience) -> Self {
        match self {
            Self::Sqlite(sqlite) => Self::Sqlite(sqlite.with(patience)),
            Self::Postgres(postgres) => Self::Postgres(postgres.with(patience)),
        }
    }

    /// Reads a few rows by their keys. Each statement sees the database as it is then.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Clone + Send,
    {
        match self {
            Self::Sqlite(sqlite) => sqlite.read(work),
            Self::Postgres(postgres) => postgres.read(work).await,
        }
    }

    /// Reads what may take long: lists, counts, pages of a CRL. Off the async runtime's threads, few at once.
    pub(crate) async fn scan<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Clone + Send + 'static,
    {
        match self {
            Self::Sqlite(sqlite) => sqlite.scan(work).await,
            Self::Postgres(postgres) => postgres.scan(work).await,
        }
    }

    /// Writes, all or nothing; durable when this returns. Goes on to its end even if the caller is
    /// dropped meanwhile. On PostgreSQL it is run again where it was undone for no fault of its own.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Clone + Send + 'static,
    {
        match self {
            Self::Sqlite(sqlite) => sqlite.write(work).await,
            Self::Postgres(postgres) => postgres.write(work).await,
        }
    }

    /// Moves what was written from SQLite's WAL into the file: until then the file has the old contents, and
    /// afterwards the WAL has nothing.
    pub(crate) async fn checkpoint(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.checkpoint().await,
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Overwrites what is left of rows that were deleted or replaced, in these tables at the least, and of this
    /// column of theirs wherever else the database keeps it. Their writers wait meanwhile.
    pub(crate) async fn wipe(&self, tables: &[&'static str], column: &'static str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.wipe().await,
            Self::Postgres(postgres) => postgres.rewrite_tables(tables, column).await,
        }
    }

    /// Waits for a lock that one program at a time can hold, and holds it until what this returns is dropped.
    /// On SQLite there is none: nothing here relies on it but to not do things twice.
    pub(crate) async fn lock(&self, lock: i64) -> Result<Option<Lock>, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(postgres) => postgres.lock(lock).await.map(Some),
        }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Fails where what is written would not be found again: the file was removed or replaced.
    pub(crate) fn check_in_place(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.check_in_place(),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Waits until what was asked is written, and closes.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.close(),
        }
    }
}

/// The tables whose ids this program hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Organizations,
    Users,
    Authorities,
    Certificates,
    CrlEntries,
    RefreshTokens,
    BlocklistedTokens,
    ServiceAccounts,
    ServiceAccountTokens,
    Policies,
    AuditLogs,
}

impl Table {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Organizations => "organizations",
            Self::Users => "users",
            Self::Authorities => "certificate_authorities",
            Self::Certificates => "certificates",
            Self::CrlEntries => "crl_entries",
            Self::RefreshTokens => "refresh_tokens",
            Self::BlocklistedTokens => "blocklisted_tokens",
            Self::ServiceAccounts => "service_accounts",
            Self::ServiceAccountTokens => "service_account_tokens",
            Self::Policies => "issuance_policies",
            Self::AuditLogs => "audit_logs",
        }
    }
}

/// A connection while a unit of work has it.
pub(crate) enum Tx {
    Sqlite(rusqlite::Connection),
    Postgres(postgres::Client),
}

impl Tx {
    /// Every row that the statement gives.
    pub(crate) async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        #[cfg(test)]
        crate::plans::note(sql, values);
        match self {
            Self::Sqlite(connection) => sqlite::rows(connection, sql, values),
            Self::Postgres(client) => client.rows(sql, values).await,
        }
    }

    /// The first row that the statement gives.
    pub(crate) async fn row(&mut self, sql: &str, values: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// The rows that each of these statements gives, in their order, without waiting for one before the next is sent.
    pub(crate) async fn ask(
        &mut self,
        questions: &[(String, Vec<Value>)],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        #[cfg(test)]
        questions.iter().for_each(|(sql, values)| crate::plans::note(sql, values));
        match self {
            Self::Sqlite(connection) => {
                questions.iter().map(|(sql, values)| sqlite::rows(connection, sql, values)).collect()
            }
            Self::Postgres(client) => client.ask(questions).await,
        }
    }

    /// How many rows the statement changed.
    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        #[cfg(test)]
        crate::plans::note(sql, values);
        match self {
            Self::Sqlite(connection) => sqlite::execute(connection, sql, values),
            Self::Postgres(client) => client.execute(sql, values).await,
        }
    }

    /// How many rows the statement changed, over all these values.
    pub(crate) async fn execute_many<const N: usize>(
        &mut self,
        sql: &str,
        rows: &[[Value; N]],
    ) -> Result<u64, StoreError> {
        #[cfg(test)]
        if let Some(values) = rows.first() {
            crate::plans::note(sql, values);
        }
        match self {
            Self::Sqlite(connection) => {
                rows.iter().map(|values| sqlite::execute(connection, sql, values)).sum()
            }
            Self::Postgres(client) => client.execute_many(sql, rows).await,
        }
    }

    /// Runs a script of statements without values.
    pub(crate) async fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Self::Postgres(client) => client.script(sql).await,
        }
    }

    /// The next id of a table. An id is never handed out twice, not even after its row was deleted:
    /// PostgreSQL's sequences see to that; SQLite would take the highest id again, so a high-water
    /// mark of our own is kept.
    pub(crate) async fn next_id(&mut self, table: Table) -> Result<i32, StoreError> {
        let name = table.name();
        let sql = match self {
            // The table's own maximum counts too: another program may have written to it since.
            Self::Sqlite(_) => format!(
                "/* next_id */ INSERT INTO fastpki_ids (table_name, last_id)
                 VALUES ('{name}', (SELECT COALESCE(MAX(id), 0) + 1 FROM {name}))
                 ON CONFLICT (table_name) DO UPDATE
                 SET last_id = MAX(last_id, (SELECT COALESCE(MAX(id), 0) FROM {name})) + 1
                 RETURNING last_id"
            ),
            Self::Postgres(_) => {
                format!("/* next_id */ SELECT nextval(pg_get_serial_sequence('{name}', 'id'))")
            }
        };
        self.row(&sql, &[]).await?.ok_or(StoreError::Gone)?.next()
    }

    /// Takes the next id of a table, for the statement that has this in its place: on PostgreSQL it is taken there.
    pub(crate) async fn next_id_within(&mut self, table: Table) -> Result<String, StoreError> {
        let name = table.name();
        if self.is_sqlite() {
            self.next_id(table).await?;
            return Ok(format!("(SELECT last_id FROM fastpki_ids WHERE table_name = '{name}')"));
        }
        Ok(format!("nextval(pg_get_serial_sequence('{name}', 'id'))"))
    }

    /// Keeps other writers out of a table until this unit of work ends. SQLite has one writer anyway.
    pub(crate) async fn lock_table(&mut self, table: Table) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(client) => {
                client.script(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.name())).await
            }
        }
    }

    /// Says before any row is locked that a table is going to be written, so that one who keeps all other writers out
    /// of it is waited for now.
    pub(crate) async fn will_write(&mut self, table: Table) -> Result<(), StoreError> {
        match self.will_write_sql(table) {
            Some(sql) => self.execute(&sql, &[]).await.map(drop),
            None => Ok(()),
        }
    }

    /// The statement of [`Tx::will_write`]. SQLite has one writer anyway.
    pub(crate) fn will_write_sql(&self, table: Table) -> Option<String> {
        let sql = || format!("/* will_write */ LOCK TABLE {} IN ROW EXCLUSIVE MODE", table.name());
        (!self.is_sqlite()).then(sql)
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// A `SELECT` that keeps its rows as they are until this unit of work ends. SQLite has one writer anyway.
    pub(crate) fn locking(&self, lock: RowLock, select: &str) -> String {
        let strength = match (self, lock) {
            (Self::Sqlite(_), _) => "",
            (Self::Postgres(_), RowLock::Share) => " FOR SHARE",
            // Foreign keys do not wait for it: those are asked last.
            (Self::Postgres(_), RowLock::Update) => " FOR NO KEY UPDATE",
        };
        format!("{select}{strength}")
    }

    /// What makes a `SELECT` keep its rows from being deleted until this unit of work ends. SQLite has one writer anyway.
    pub(crate) fn for_key_share(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => " FOR KEY SHARE",
        }
    }

    /// What makes a `SELECT` keep its rows from being changed until this unit of work ends. SQLite has one writer anyway.
    pub(crate) fn for_update(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => " FOR UPDATE",
        }
    }
}

/// How long a unit of work may take that a request waits for: a hundred times what any takes on a disk that is slow,
/// and less than load balancers and clients wait.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(20);
/// How long deleting a CA with a million certificates, or importing one, may take.
const MANY_ROWS_LIMIT: Duration = Duration::from_secs(300);
