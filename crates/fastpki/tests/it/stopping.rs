//! Stopping: within the time that there is for it, whatever the server waits for.

use std::{
    fs,
    io::{BufRead, BufReader, PipeReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fastpki_server::{settings::Settings, stop_within};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

use crate::program::{Client, PROGRAM, PostgresDatabase, SECRET_KEY, Server, ended_within, run};

#[test]
fn server_that_waits_for_the_lock_of_an_sqlite_file_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = Connection::open(folder.path().join("fastpki.db")).expect("a database");
    other.execute_batch("CREATE TABLE t (x); BEGIN EXCLUSIVE").expect("a lock");
    let mut waiting = begin(&folder, &[]);
    terminate(&waiting);
    assert!(ended_within(&mut waiting, SOON).success());
    other.execute_batch("ROLLBACK").expect("it was locked until now");
}

#[test]
fn server_that_waits_for_another_ones_migration_stops() {
    let database = PostgresDatabase::create();
    let other = Other::of(&database);
    other.run("SELECT pg_advisory_lock(4706318)");
    let folder = tempfile::tempdir().expect("a folder");
    let mut waiting = begin(&folder, &[("DATABASE_URL", &database.url)]);
    other.wait_for("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
    terminate(&waiting);
    assert!(ended_within(&mut waiting, SOON).success());
    other.run("SELECT pg_advisory_unlock(4706318)");
}

#[test]
fn server_stops_while_its_database_hangs() {
    let database = PostgresDatabase::create();
    let server = Server::start(&[
        ("DATABASE_URL", &database.url),
        ("SECRET_KEY", SECRET_KEY),
        ("FASTPKI_STOP_SECONDS", "1"),
    ]);
    let token = run(async {
        let root = Client::first(&server.base_url).await;
        root.post("/organizations/", json!({"name": "Red"})).await.expect("an organization");
        root.post("/service-accounts/", json!({"name": "ci", "organization_id": 1}))
            .await
            .expect("an account");
        let (_, token) = root.post("/service-accounts/1/tokens", json!({})).await.expect("a token");
        token["token"].as_str().expect("a token").to_owned()
    });
    // It is noted when the token was used, and not written down yet.
    assert!(request(&server, &token, "GET /api/v1/cas/", 0).1.starts_with("HTTP/1.1 200"));
    let other = Other::of(&database);
    other.run("BEGIN; LOCK TABLE service_account_tokens");
    server.tell_to_stop();
    let (status, log) = server.end_within(stop_within(Duration::from_secs(1)) + SOON);
    assert_eq!(status, Some(0), "{log:#?}");
    assert!(log.iter().any(|line| line.contains("the database did not close in time")), "{log:#?}");
    other.run("ROLLBACK");
}

#[test]
fn server_stops_while_keys_are_made() {
    let server = Server::start(&[("SECRET_KEY", SECRET_KEY), ("FASTPKI_STOP_SECONDS", "1")]);
    let root = run(Client::first(&server.base_url));
    let body =
        json!({"name": "Large", "subject_dn": "CN=Large", "key_type": "rsa", "key_size": 8192}).to_string();
    let mut waiting = Vec::new();
    // As many as keep every core busy for a minute.
    for _ in 0..12 {
        let mut stream = connect(&server);
        write!(
            stream,
            "POST /api/v1/cas/ HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
            root.token,
            body.len()
        )
        .expect("it reads");
        waiting.push(stream);
    }
    // An answer to something else, so that those before it have arrived.
    request(&server, &root.token, "GET /api/v1/cas/", 0);
    server.tell_to_stop();
    let (status, log) = server.end_within(stop_within(Duration::from_secs(1)) + SOON);
    assert_eq!(status, Some(0), "{log:#?}");
}

#[test]
fn server_stops_before_clients_that_do_not_read_have_used_up_the_grace() {
    let server = Server::start(&[("SECRET_KEY", SECRET_KEY), ("ENABLE_DOCS", "true")]);
    let many = "GET /api/v1/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(300);
    let mut unread = connect(&server);
    unread.write_all(many.as_bytes()).expect("it reads");
    // The first byte of an answer, and no more.
    unread.read_exact(&mut [0]).expect("an answer");
    server.tell_to_stop();
    let (status, log) = server.end_within(Duration::from_secs(40));
    assert_eq!(status, Some(0), "{log:#?}");
}

#[test]
fn stopping_server_that_is_interrupted_ends_at_once_and_one_that_is_told_again_does_not() {
    let server = Server::start(&[("SECRET_KEY", SECRET_KEY), ("FASTPKI_STOP_SECONDS", "3600")]);
    let root = run(Client::first(&server.base_url));
    // It waits for this body for half a minute.
    let (mut withheld, _) = request(&server, &root.token, "POST /api/v1/cas/", 1000);
    let (_other, _) = request(&server, &root.token, "POST /api/v1/cas/", 1000);
    server.tell_to_stop();
    let begun = Instant::now();
    while server.lines_with("stopping: finishing what runs") == 0 {
        assert!(begun.elapsed() < SOON);
        std::thread::sleep(Duration::from_millis(5));
    }
    server.tell_to_stop();
    // It answers what had begun: the second SIGTERM has changed nothing.
    withheld.write_all(&[b' '; 1000]).expect("it reads");
    let mut answer = [0; 12];
    withheld.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 422");
    server.interrupt();
    let (status, log) = server.end_within(SOON);
    assert_eq!(status, Some(1), "{log:#?}");
    assert!(log.iter().any(|line| line.contains("ending at once")), "{log:#?}");
}

#[test]
fn server_whose_log_nobody_reads_answers_and_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut server, address, unread) = begin_unread(&folder, "1");
    answer_more_than_a_pipe_holds(&address);
    terminate(&server);
    assert!(ended_within(&mut server, stop_within(Duration::from_secs(1)) + SOON).success());
    drop(unread);
}

#[test]
fn server_whose_log_nobody_reads_ends_at_once_when_it_is_interrupted_while_it_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut server, address, unread) = begin_unread(&folder, "3600");
    // It waits for this body for half a minute.
    let mut withheld = TcpStream::connect(&address).expect("it listens");
    let head = "POST /api/v1/auth/token HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n";
    withheld.write_all(head.as_bytes()).expect("it reads");
    answer_more_than_a_pipe_holds(&address);
    terminate(&server);
    // The one before has been seen once nobody listens any more.
    let begun = Instant::now();
    while TcpStream::connect(&address).is_ok() {
        assert!(begun.elapsed() < SOON);
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&server, "INT");
    assert_eq!(ended_within(&mut server, SOON).code(), Some(1));
    drop(unread);
}

#[test]
fn server_whose_log_is_read_again_has_lost_nothing_that_there_was_room_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut server, address, unread) = begin_unread(&folder, "60");
    answer_more_than_a_pipe_holds(&address);
    let reader = std::thread::spawn(move || unread.lines().map_while(Result::ok).collect::<Vec<_>>());
    terminate(&server);
    assert!(ended_within(&mut server, SOON).success());
    let log = reader.join().expect("a log");
    assert_eq!(log.iter().filter(|line| line.contains("/healthz")).count(), MANY);
    assert!(log.last().is_some_and(|line| line.contains("stopped")), "{:?}", log.last());
}

#[test]
fn systemd_waits_longer_than_the_server_takes() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/fastpki.service");
    let unit = fs::read_to_string(unit).expect("a unit");
    let waits = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).expect("a line");
    let waits = Duration::from_secs(waits.parse().expect("seconds"));
    let settings = Settings::load(std::iter::empty(), None).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(waits > stop_within(Duration::from_secs(settings.stop_seconds.into())), "{waits:?}");
}

/// Starts the program, and waits until it has begun to open its database.
fn begin(folder: &TempDir, settings: &[(&str, &str)]) -> Child {
    let mut child = Command::new(PROGRAM)
        .arg("serve")
        .env_clear()
        .envs([("FASTPKI_LISTEN", "127.0.0.1:0"), ("SECRET_KEY", SECRET_KEY)])
        .envs(settings.iter().copied())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("PRIVATE_KEY_ENCRYPTION_KEY is not set") {
        line.clear();
        assert!(log.read_line(&mut line).expect("a line") > 0, "it has ended");
    }
    // Nobody reads the rest of the log; writing to it must not fail.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    child
}

/// Starts the program, and reads its log until it listens, and no further; where that is.
fn begin_unread(folder: &TempDir, stop_seconds: &str) -> (Child, String, BufReader<PipeReader>) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let server = Command::new(PROGRAM)
        .arg("serve")
        .env_clear()
        .envs([("FASTPKI_LISTEN", "127.0.0.1:0"), ("SECRET_KEY", SECRET_KEY)])
        .env("FASTPKI_STOP_SECONDS", stop_seconds)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(writer.try_clone().expect("a pipe"))
        .stderr(writer)
        .spawn()
        .expect("the program starts");
    let mut log = BufReader::new(reader);
    let mut line = String::new();
    while !line.contains(LISTENING) {
        line.clear();
        assert!(log.read_line(&mut line).expect("a line") > 0, "it has ended");
    }
    let (_, address) = line.trim_end().split_once(LISTENING).expect("an address");
    (server, address.to_owned(), log)
}

/// Asks one thing after another, each with its line in the log.
fn answer_more_than_a_pipe_holds(address: &str) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    let mut answers = stream.try_clone().expect("a stream");
    let asking = std::thread::spawn(move || {
        let last = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let others = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(MANY - 1);
        stream.write_all((others + last).as_bytes()).expect("it reads");
    });
    let mut answered = String::new();
    answers.read_to_string(&mut answered).expect("answers");
    asking.join().expect("it was asked");
    assert_eq!(answered.matches("HTTP/1.1 200").count(), MANY);
}

fn terminate(child: &Child) {
    signal(child, "TERM");
}

fn signal(child: &Child, name: &str) {
    let told =
        Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().expect("kill");
    assert!(told.success());
}

fn connect(server: &Server) -> TcpStream {
    let address = server.base_url.trim_start_matches("http://");
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream
}

/// Sends the head of a request, with a body of so many bytes announced and not sent; what is answered at first, if
/// there is no body to wait for.
fn request(server: &Server, token: &str, line: &str, length: usize) -> (TcpStream, String) {
    let mut stream = connect(server);
    write!(
        stream,
        "{line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n"
    )
    .expect("it reads");
    let mut answer = [0; 64];
    let read = if length == 0 { stream.read(&mut answer).expect("an answer") } else { 0 };
    (stream, String::from_utf8_lossy(&answer[..read]).into_owned())
}

/// Another program on the same PostgreSQL database.
struct Other {
    runtime: Runtime,
    client: tokio_postgres::Client,
}

impl Other {
    fn of(database: &PostgresDatabase) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (client, connection) =
            runtime.block_on(tokio_postgres::connect(&database.url, NoTls)).expect("a connection");
        runtime.spawn(connection);
        Self { runtime, client }
    }

    fn run(&self, sql: &str) {
        self.runtime.block_on(self.client.batch_execute(sql)).expect("it runs");
    }

    /// Waits until this gives a row.
    fn wait_for(&self, sql: &str) {
        let begun = Instant::now();
        while self.runtime.block_on(self.client.query(sql, &[])).expect("rows").is_empty() {
            assert!(begun.elapsed() < SOON, "{sql}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A limit for things that take no time, on a machine that is busy.
const SOON: Duration = Duration::from_secs(20);
/// So many lines of the log are some 200 KB; a pipe holds 64.
const MANY: usize = 2000;
const LISTENING: &str = "listening on http://";
