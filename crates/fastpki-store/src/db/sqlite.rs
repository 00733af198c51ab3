//! SQLite: one writer thread that commits in groups, read-only connections for everybody else.

mod place;

use std::{
    fs::File,
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use fastpki_host::{HostError, check_database, create, open_input};
use rusqlite::{Connection, OpenFlags, Statement};
use tokio::sync::{Semaphore, mpsc, oneshot};

use place::Place;

use super::{Patience, REQUEST_LIMIT, Row, Tx, Value, Work};
use crate::error::StoreError;

/// A database file, its writer thread and its idle readers.
#[derive(Clone)]
pub(crate) struct Sqlite {
    writer: mpsc::Sender<Order>,
    readers: Arc<Readers>,
    /// How long a unit of work may take that a request waits for.
    limit: Duration,
    patience: Patience,
}

struct Readers {
    path: PathBuf,
    /// Where the writer found the file.
    place: Option<Arc<Place>>,
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
type Answer = Box<dyn FnOnce(Result<(), Uncommitted>) + Send>;

/// Why a group of writes was not committed, as far as anybody knows.
#[derive(Clone, Debug)]
enum Uncommitted {
    /// Nothing of it was done.
    NotDone(String),
    /// The commit had begun: it may be there all the same.
    Unknown(String),
}

impl From<Uncommitted> for StoreError {
    fn from(reason: Uncommitted) -> Self {
        match reason {
            Uncommitted::NotDone(text) => Self::stuck(text),
            Uncommitted::Unknown(text) => Self::Uncertain(text),
        }
    }
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = open_writer(path)?;
        let place = Arc::new(Place::of(path).map_err(|error| cannot_be_opened(path, &error))?);
        let (orders, queue) = mpsc::channel(QUEUE);
        let written = Arc::clone(&place);
        std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write_in_groups(writer, &written, queue))
            .map_err(|error| StoreError::Database(format!("the writer thread did not start: {error}")))?;
        let readers = Readers { place: Some(place), ..Readers::of(path, false) };
        Ok(Self {
            writer: orders,
            readers: Arc::new(readers),
            limit: REQUEST_LIMIT,
            patience: Patience::Request,
        })
    }

    /// The same file, for work that may take longer.
    pub(crate) fn with(&self, patience: Patience) -> Self {
        Self { patience, ..self.clone() }
    }

    /// Whether the file is still the one that was opened.
    pub(crate) fn check_in_place(&self) -> Result<(), StoreError> {
        self.readers.check_in_place()
    }

    /// Opens a file that is there, to read it. Nothing in its folder changes, and every write fails.
    pub(crate) fn look(path: &Path) -> Result<Self, StoreError> {
        check_database(path).map_err(unusable)?;
        let (orders, _) = mpsc::channel(1);
        let readers = Readers::of(path, is_unopened(path));
        let first = readers.take().map_err(|error| cannot_be_opened(path, &error))?;
        readers.put_back(first);
        Ok(Self {
            writer: orders,
            readers: Arc::new(readers),
            limit: REQUEST_LIMIT,
            patience: Patience::Request,
        })
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
        let scanned = async {
            let turn = Arc::clone(&self.readers.scans).acquire_owned().await.map_err(|_| closed())?;
            let sqlite = self.clone();
            let scan = tokio::task::spawn_blocking(move || {
                let result = sqlite.read(work);
                // Kept until here: a caller who hangs up does not make room for another while this one runs.
                drop(turn);
                result
            });
            scan.await.unwrap_or_else(|error| Err(StoreError::Database(format!("a read panicked: {error}"))))
        };
        let Some(limit) = self.limit() else { return scanned.await };
        let stuck = || Err(StoreError::stuck("the file could not be read in time"));
        tokio::time::timeout(limit, scanned).await.unwrap_or_else(|_| stuck())
    }

    fn limit(&self) -> Option<Duration> {
        self.patience.limit(self.limit)
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let fate = Arc::new(Fate::default());
        let begun = Arc::clone(&fate);
        let job: Job = Box::new(move |tx| {
            let in_time = if begun.begin() { Ok(()) } else { Err(StoreError::stuck("it was given up")) };
            let tx = in_time.and_then(|()| tx.map_err(StoreError::stuck));
            let result = tx.and_then(|tx| in_savepoint(tx, work));
            Box::new(move |commit| {
                // Nobody listens any more where the caller was dropped; the write stands all the same.
                let _ = answer.send(commit.map_err(StoreError::from).and(result));
            })
        });
        let written = async {
            self.writer.send(Order::Work(job)).await.map_err(|_| closed())?;
            answered.await.map_err(|_| closed())?
        };
        let Some(limit) = self.limit() else { return written.await };
        match tokio::time::timeout(limit, written).await {
            Ok(ended) => ended,
            Err(_) if fate.give_up() => Err(StoreError::stuck(NOT_IN_TIME)),
            Err(_) => Err(StoreError::Uncertain(NOT_IN_TIME.into())),
        }
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

/// Whether a unit of work was begun, or given up before.
#[derive(Default)]
struct Fate(AtomicU8);

impl Fate {
    /// Whether it is still to be done.
    fn begin(&self) -> bool {
        self.decide(BEGUN)
    }

    /// Whether it will not be done.
    fn give_up(&self) -> bool {
        self.decide(GIVEN_UP)
    }

    fn decide(&self, fate: u8) -> bool {
        self.0.compare_exchange(OPEN, fate, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

impl Readers {
    fn of(path: &Path, unopened: bool) -> Self {
        let scans = Arc::new(Semaphore::new(SCANS));
        Self { path: path.to_owned(), place: None, unopened, idle: Mutex::default(), scans }
    }

    fn check_in_place(&self) -> Result<(), StoreError> {
        self.place.as_ref().map_or(Ok(()), |place| place.check()).map_err(StoreError::stuck)
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => {
                // Another file that is there by now is another database.
                self.check_in_place()?;
                open_reader(&self.path, self.unopened).map_err(|error| {
                    let exhausted =
                        File::open("/dev/null").is_err_and(|error| error.raw_os_error() == Some(EMFILE));
                    if exhausted { StoreError::stuck(NO_DESCRIPTORS) } else { error }
                })
            }
        }
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    check_database(path).map_err(unusable)?;
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
    let _ = create(path);
}

fn unusable(error: HostError) -> StoreError {
    StoreError::Unusable(format!("DATABASE_URL: {error}"))
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
    open_input(path).map_err(|error| StoreError::Unusable(error.to_string()))?;
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
fn write_in_groups(connection: Connection, place: &Place, mut queue: mpsc::Receiver<Order>) {
    let mut tx = Tx::Sqlite(connection);
    let mut left_over = None;
    while let Some(order) = left_over.take().or_else(|| queue.blocking_recv()) {
        match order {
            Order::Work(first) => left_over = write_group(&mut tx, place, first, &mut queue),
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
fn write_group(tx: &mut Tx, place: &Place, first: Job, queue: &mut mpsc::Receiver<Order>) -> Option<Order> {
    let mut answers = Vec::new();
    let mut outcome = place.check().and_then(|()| batch(tx, "BEGIN IMMEDIATE"));
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
    // Once more after it: what was written into a file that was just removed is not there either.
    let outcome = outcome.map_err(Uncommitted::NotDone).and_then(|()| {
        commit(tx)?;
        place.check().map_err(Uncommitted::Unknown)
    });
    if let Err(error) = &outcome {
        tracing::error!(?error, "a group of writes was not committed");
        if !is_autocommit(tx) {
            let _ = batch(tx, "ROLLBACK");
        }
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

/// Commits. What a full or read-only disk or another program's lock refuses was not done; after any other failure, what
/// reached the log may be found there again.
fn commit(tx: &Tx) -> Result<(), Uncommitted> {
    use rusqlite::ffi::ErrorCode;
    let Tx::Sqlite(connection) = tx else { unreachable!("the writer is a SQLite connection") };
    connection.execute_batch("COMMIT").map_err(|error| match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked,
        ) => Uncommitted::NotDone(error.to_string()),
        _ => Uncommitted::Unknown(error.to_string()),
    })
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
    batch(tx, "SAVEPOINT unit").map_err(StoreError::stuck)?;
    let result = catch_unwind(AssertUnwindSafe(|| poll_once(work(tx))))
        .unwrap_or_else(|_| Err(StoreError::Database("a unit of work panicked".into())));
    let end = if result.is_ok() { "RELEASE unit" } else { "ROLLBACK TO unit; RELEASE unit" };
    // There is no savepoint any more where the database ended the whole transaction.
    let ended = batch(tx, end).map_err(StoreError::stuck);
    result.and_then(|done| ended.map(|()| done))
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

pub(crate) fn bind(statement: &mut Statement<'_>, values: &[Value]) -> Result<(), StoreError> {
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

const NOT_IN_TIME: &str = "the file could not be written in time: does another program have it locked?";
const OPEN: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;
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
        assert!(write_group(&mut tx, &Place::nowhere(), job(10), &mut queue).is_none());
        let Tx::Sqlite(connection) = &tx else { panic!("it was SQLite") };
        let rows: i64 = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        let said = answers.lock().unwrap().iter().filter(|done| **done).count();
        assert_eq!(usize::try_from(rows).unwrap(), said, "what was said is what is there");
        assert!(connection.is_autocommit());
    }

    #[test]
    fn full_disk_is_an_outage_and_no_fault() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA max_page_count = 20; CREATE TABLE t (x)").unwrap();
        let full = connection.execute("INSERT INTO t VALUES (zeroblob(1000000))", []).unwrap_err();
        assert!(matches!(StoreError::from(full), StoreError::Unavailable { .. }));
        connection.execute_batch("PRAGMA query_only = ON").unwrap();
        let read_only = connection.execute("INSERT INTO t VALUES (1)", []).unwrap_err();
        assert!(matches!(StoreError::from(read_only), StoreError::Unavailable { .. }));
    }

    #[tokio::test]
    async fn write_that_waits_for_another_program_is_given_up_and_not_done_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let sqlite = Sqlite { limit: Duration::from_millis(50), ..Sqlite::open(&path).unwrap() };
        sqlite.write(|tx| Box::pin(async move { tx.script("CREATE TABLE t (x)").await })).await.unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let insert = || {
            sqlite.write(|tx| {
                Box::pin(async move { tx.execute("/* insert */ INSERT INTO t VALUES (1)", &[]).await })
            })
        };
        // The writer takes the first, or not: then nobody can say of it that it is not done.
        let (first, second) = (insert().await, insert().await);
        assert!(matches!(first, Err(StoreError::Unavailable { .. } | StoreError::Uncertain(_))), "{first:?}");
        assert!(matches!(second, Err(StoreError::Unavailable { .. })), "{second:?}");
        other.execute_batch("ROLLBACK").unwrap();
        let count = "/* count */ SELECT count(*) FROM t";
        let patient = sqlite.with(Patience::Unlimited);
        patient
            .write(|tx| {
                Box::pin(async move { tx.execute("/* third */ INSERT INTO t VALUES (3)", &[]).await })
            })
            .await
            .unwrap();
        let rows: i64 =
            sqlite.read(|tx| Box::pin(async move { tx.row(count, &[]).await?.unwrap().next() })).unwrap();
        assert_eq!(rows, 1, "only the third");
    }

    #[tokio::test]
    async fn nothing_is_written_into_a_file_that_was_removed_or_replaced() {
        for name in ["x.db", "x.db-wal", "x.db-shm"] {
            for replaced in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let sqlite = Sqlite::open(&folder.path().join("x.db")).unwrap();
                let write = |sql: &'static str| {
                    sqlite.write(move |tx| Box::pin(async move { tx.execute(sql, &[]).await }))
                };
                write("CREATE TABLE t (x)").await.unwrap();
                let file = folder.path().join(name);
                let aside = folder.path().join("aside");
                std::fs::rename(&file, &aside).unwrap();
                if replaced {
                    std::fs::copy(&aside, &file).unwrap();
                }
                let error = write("INSERT INTO t VALUES (1)").await.unwrap_err();
                assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
                let text = error.to_string();
                assert!(text.contains(name) && text.contains("put the database's files back"), "{text}");
                std::fs::rename(&aside, &file).unwrap();
                write("INSERT INTO t VALUES (1)").await.unwrap();
            }
        }
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
