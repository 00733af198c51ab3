//! SQLite: one writer thread that commits in groups, read-only connections for everybody else.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Statement};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Row, Tx, Value, Work};
use crate::error::StoreError;

/// A database file, its writer thread and its idle readers.
#[derive(Clone)]
pub(crate) struct Sqlite {
    writer: mpsc::Sender<Order>,
    readers: Arc<Readers>,
}

struct Readers {
    path: PathBuf,
    /// Whether nobody has the file open, so that it can be read without the files that SQLite puts beside it.
    unopened: bool,
    idle: Mutex<Vec<Connection>>,
    scans: Arc<Semaphore>,
}

enum Order {
    Work(Job),
    Checkpoint(oneshot::Sender<Result<(), String>>),
    Wipe(oneshot::Sender<Result<(), String>>),
    Close(oneshot::Sender<()>),
}

/// A unit of work on its way to the writer, which may have no transaction for it and says why; gives back what
/// is to be said once the group is committed.
type Job = Box<dyn FnOnce(Result<&mut Tx, String>) -> Answer + Send>;

/// Says how a unit of work ended, given how the commit did.
type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = open_writer(path)?;
        let (orders, queue) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write_in_groups(writer, queue))
            .map_err(|error| StoreError::Database(format!("the writer thread did not start: {error}")))?;
        Ok(Self { writer: orders, readers: Arc::new(Readers::of(path, false)) })
    }

    /// Opens a file that is there, to read it. Nothing in its folder changes, and every write fails.
    pub(crate) fn look(path: &Path) -> Result<Self, StoreError> {
        let (orders, _) = mpsc::channel(1);
        let readers = Readers::of(path, is_unopened(path));
        let first = readers.take().map_err(|error| cannot_be_opened(path, &error))?;
        readers.put_back(first);
        Ok(Self { writer: orders, readers: Arc::new(readers) })
    }

    pub(crate) fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T>,
    {
        let mut tx = Tx::Sqlite(self.readers.take()?);
        let result = poll_once(work(&mut tx));
        if let Tx::Sqlite(connection) = tx {
            self.readers.put_back(connection);
        }
        result
    }

    /// Reads on a thread of its own.
    pub(crate) async fn scan<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Send + 'static,
    {
        let turn = Arc::clone(&self.readers.scans).acquire_owned().await.map_err(|_| closed())?;
        let sqlite = self.clone();
        let scan = tokio::task::spawn_blocking(move || {
            let result = sqlite.read(work);
            // Kept until here: a caller who hangs up does not make room for another while this one runs.
            drop(turn);
            result
        });
        scan.await.unwrap_or_else(|error| Err(StoreError::Database(format!("a read panicked: {error}"))))
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            let result = tx.map_err(StoreError::Database).and_then(|tx| in_savepoint(tx, work));
            Box::new(move |commit| {
                // Nobody listens any more where the caller was dropped; the write stands all the same.
                let _ = answer.send(commit.map_err(StoreError::Database).and(result));
            })
        });
        self.writer.send(Order::Work(job)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Moves what was written from the WAL into the file, and empties the WAL.
    pub(crate) async fn checkpoint(&self) -> Result<(), StoreError> {
        self.order(Order::Checkpoint).await
    }

    /// Overwrites what no row needs, in the whole file, and empties the WAL.
    pub(crate) async fn wipe(&self) -> Result<(), StoreError> {
        self.order(Order::Wipe).await
    }

    async fn order(&self, order: fn(oneshot::Sender<Result<(), String>>) -> Order) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.writer.send(order(answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?.map_err(StoreError::Database)
    }

    /// Waits for what is queued, then lets go of the file.
    pub(crate) async fn close(&self) {
        // The last connection to go folds the WAL into the file: let that be the writer.
        self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let (done, closed) = oneshot::channel();
        if self.writer.send(Order::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

impl Readers {
    fn of(path: &Path, unopened: bool) -> Self {
        let scans = Arc::new(Semaphore::new(SCANS));
        Self { path: path.to_owned(), unopened, idle: Mutex::default(), scans }
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => open_reader(&self.path, self.unopened).map_err(|error| {
                let exhausted =
                    File::open("/dev/null").is_err_and(|error| error.raw_os_error() == Some(EMFILE));
                if exhausted { StoreError::Database(NO_DESCRIPTORS.into()) } else { error }
            }),
        }
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let opened = (|| {
        make_private(path);
        warn_of_readers(path);
        let mut connection = Connection::open(path)?;
        connection.busy_handler(Some(wait_a_moment))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON;
             -- 8 MB: a page that does not fit would be written to the log twice.
             PRAGMA cache_size = -8000;",
        )?;
        Ok(connection)
    })();
    opened.map_err(|error: rusqlite::Error| cannot_be_opened(path, &error))
}

fn cannot_be_opened(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unusable(format!(
        "the SQLite database {} cannot be opened: {error}; check DATABASE_URL, and that the folder exists and may be written to",
        path.display()
    ))
}

/// Waits for another process that has the file locked: in short steps, since SQLite's own grow until a lock that is
/// free for moments only is missed again and again.
fn wait_a_moment(tries: i32) -> bool {
    std::thread::sleep(Duration::from_millis(1));
    Duration::from_millis(u64::from(tries.unsigned_abs())) < BUSY_TIMEOUT
}

/// FastPKI 0.4 left its file to the umask, which lets everybody read it.
fn warn_of_readers(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let others = std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
    if others {
        tracing::warn!(file = %path.display(), "others on this machine may read the database: chmod 600 it");
    }
}

/// A new database is its owner's alone: it may hold private keys in plaintext. SQLite gives its WAL the
/// same mode. A file that is there keeps what its operator gave it; one that cannot be made is SQLite's to report.
fn make_private(path: &Path) {
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
}

fn open_reader(path: &Path, unopened: bool) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if unopened {
        Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Opens a file that is there, to read it; nothing in its folder changes.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    open_reader(path, is_unopened(path)).map_err(|error| cannot_be_opened(path, &error))
}

/// Whether a database in WAL mode has no WAL: then no program has it open. One that only reads would make a WAL,
/// and not remove it.
fn is_unopened(path: &Path) -> bool {
    let mut head = [0; 20];
    let is_wal = File::open(path).is_ok_and(|mut file| file.read_exact(&mut head).is_ok())
        && head[WRITE_VERSION] == WAL_VERSION;
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    is_wal && !Path::new(&wal).exists()
}

/// The URI of a file that nobody changes.
fn immutable(path: &Path) -> String {
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?immutable=1")
}

/// Takes everything that waits, up to [`GROUP`] units of work, commits it at once, and only then answers.
fn write_in_groups(connection: Connection, mut queue: mpsc::Receiver<Order>) {
    let mut tx = Tx::Sqlite(connection);
    let mut left_over = None;
    while let Some(order) = left_over.take().or_else(|| queue.blocking_recv()) {
        match order {
            Order::Work(first) => left_over = write_group(&mut tx, first, &mut queue),
            Order::Checkpoint(answer) => {
                let _ = answer.send(checkpoint(&tx));
            }
            Order::Wipe(answer) => {
                let _ = answer.send(wipe(&tx));
            }
            Order::Close(done) => {
                drop(tx);
                let _ = done.send(());
                return;
            }
        }
    }
}

/// Writes one group; gives back the order that came after it and is no work.
fn write_group(tx: &mut Tx, first: Job, queue: &mut mpsc::Receiver<Order>) -> Option<Order> {
    let mut answers = Vec::new();
    let mut outcome = batch(tx, "BEGIN IMMEDIATE");
    let mut next = Some(Order::Work(first));
    let left_over = loop {
        match next {
            Some(Order::Work(job)) => {
                answers.push(job(outcome.clone().map(|()| &mut *tx)));
                // A full disk, or one that fails, ends the whole transaction and not only the savepoint: what
                // came before in this group is undone, and nothing may follow.
                if outcome.is_ok() && is_autocommit(tx) {
                    outcome = Err("the database ended the transaction: is the disk full?".into());
                }
            }
            other => break other,
        }
        next = if answers.len() < GROUP { queue.try_recv().ok() } else { None };
    };
    if outcome.is_ok() {
        outcome = batch(tx, "COMMIT");
    }
    if let Err(error) = &outcome {
        tracing::error!(%error, "a group of writes was not committed");
        let _ = batch(tx, "ROLLBACK");
    }
    for answer in answers {
        answer(outcome.clone());
    }
    left_over
}

fn is_autocommit(tx: &Tx) -> bool {
    matches!(tx, Tx::Sqlite(connection) if connection.is_autocommit())
}

fn wipe(tx: &Tx) -> Result<(), String> {
    let Tx::Sqlite(connection) = tx else { return Err("not a SQLite connection".into()) };
    super::scrub::scrub(connection).map_err(|error| error.to_string())?;
    checkpoint(tx)
}

fn checkpoint(tx: &Tx) -> Result<(), String> {
    let Tx::Sqlite(connection) = tx else { return Err("not a SQLite connection".into()) };
    let busy: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(|error| error.to_string())?;
    if busy == 0 {
        Ok(())
    } else {
        Err("another program keeps reading the database, so that its write-ahead log cannot be emptied: stop that program and start again".into())
    }
}

fn batch(tx: &Tx, sql: &str) -> Result<(), String> {
    let Tx::Sqlite(connection) = tx else { return Err("not a SQLite connection".into()) };
    connection.execute_batch(sql).map_err(|error| error.to_string())
}

/// Runs one unit of work of a group: if it fails, the rest of the group stands.
fn in_savepoint<T, F>(tx: &mut Tx, work: F) -> Result<T, StoreError>
where
    F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T>,
{
    batch(tx, "SAVEPOINT unit").map_err(StoreError::Database)?;
    let result = catch_unwind(AssertUnwindSafe(|| poll_once(work(tx))))
        .unwrap_or_else(|_| Err(StoreError::Database("a unit of work panicked".into())));
    let end = if result.is_ok() { "RELEASE unit" } else { "ROLLBACK TO unit; RELEASE unit" };
    batch(tx, end).map_err(StoreError::Database)?;
    result
}

/// A unit of work awaits nothing but its statements, and on SQLite those are ready at once.
fn poll_once<T>(mut work: Work<'_, T>) -> Result<T, StoreError> {
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => {
            Err(StoreError::Database("a unit of work waited for something outside of it".into()))
        }
    }
}

pub(super) fn rows(connection: &mut Connection, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let values: Result<Vec<Value>, _> = (0..columns)
            .map(|column| row.get::<_, rusqlite::types::Value>(column).map(Value::from))
            .collect();
        all.push(Row::new(values?));
    }
    Ok(all)
}

pub(super) fn execute(connection: &mut Connection, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    Ok(statement.raw_execute()? as u64)
}

fn bind(statement: &mut Statement<'_>, values: &[Value]) -> Result<(), StoreError> {
    for (index, value) in values.iter().enumerate() {
        // "$3" is a name to SQLite: its place is where it first stood in the statement.
        let name = format!("${}", index + 1);
        let place = statement
            .parameter_index(&name)?
            .ok_or_else(|| StoreError::Database(format!("the statement has no {name}")))?;
        statement.raw_bind_parameter(place, value)?;
    }
    Ok(())
}

fn closed() -> StoreError {
    StoreError::Database("the database is closed or busy".into())
}

/// Where a database's header says how it is written.
const WRITE_VERSION: usize = 18;
/// By a WAL.
const WAL_VERSION: u8 = 2;
/// How long to wait for another process that has the file locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Long reads at once; each has a thread and a connection.
const SCANS: usize = 4;
/// Units of work that share one commit at the most: beyond it the disk is no longer what is waited for.
const GROUP: usize = 256;
/// Units of work that may wait for the writer before senders have to wait themselves.
const QUEUE: usize = 1024;
/// What the kernel answers a process that has as many files open as it may.
const EMFILE: i32 = 24;
/// SQLite only says that it cannot open the file.
const NO_DESCRIPTORS: &str = "no file descriptor is left to read the database with: raise the limit of open files (LimitNOFILE, ulimit -n)";
/// Distinct statements of this crate, with room to spare.
const STATEMENTS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writer_is_durable_and_strict() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_writer(&folder.path().join("x.db")).unwrap();
        let pragma = |name: &str| -> String {
            let value = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
            match connection.query_row(&format!("PRAGMA {name}"), [], value).unwrap() {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(pragma("journal_mode"), "wal");
        assert_eq!(pragma("synchronous"), "2");
        assert_eq!(pragma("foreign_keys"), "1");
        assert_eq!(pragma("secure_delete"), "1");
    }

    #[test]
    fn full_disk_undoes_its_group_and_says_so_to_all() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA max_page_count = 20; CREATE TABLE t (x)").unwrap();
        let mut tx = Tx::Sqlite(connection);
        let (orders, mut queue) = mpsc::channel(8);
        let answers: Arc<Mutex<Vec<bool>>> = Arc::default();
        let job = |size: usize| -> Job {
            let answers = Arc::clone(&answers);
            Box::new(move |tx| {
                let result = tx.map_err(StoreError::Database).and_then(|tx| {
                    in_savepoint(tx, move |tx| {
                        Box::pin(async move {
                            tx.execute("INSERT INTO t VALUES ($1)", &["x".repeat(size).into()]).await
                        })
                    })
                });
                Box::new(move |commit| answers.lock().unwrap().push(commit.is_ok() && result.is_ok()))
            })
        };
        for size in [1_000_000, 10] {
            assert!(orders.try_send(Order::Work(job(size))).is_ok());
        }
        assert!(write_group(&mut tx, job(10), &mut queue).is_none());
        let Tx::Sqlite(connection) = &tx else { panic!("it was SQLite") };
        let rows: i64 = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        let said = answers.lock().unwrap().iter().filter(|done| **done).count();
        assert_eq!(usize::try_from(rows).unwrap(), said, "what was said is what is there");
        assert!(connection.is_autocommit());
    }

    #[tokio::test]
    async fn work_that_panics_or_waits_fails_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(&folder.path().join("x.db")).unwrap();
        let panics = sqlite.write::<(), _>(|_| panic!("on purpose")).await;
        assert!(panics.unwrap_err().to_string().contains("panicked"));
        let waits = sqlite.write::<(), _>(|_| Box::pin(std::future::pending())).await;
        assert!(waits.unwrap_err().to_string().contains("waited"));
        let works =
            sqlite.write(|tx| Box::pin(async move { tx.execute("CREATE TABLE t (x)", &[]).await })).await;
        assert!(works.is_ok());
    }
}
