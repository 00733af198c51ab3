//! The whole job of a private CA, done by the program itself and judged by other people's programs.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::mpsc::{self, Sender},
    thread::JoinHandle,
    time::Duration,
};

use tempfile::TempDir;
use tokio::runtime::{self, Runtime};

#[test]
fn whole_job_with_curl_on_sqlite() {
    let server = Server::start(&[]);
    server.does_the_whole_job();
    server.stop();
}

#[test]
fn whole_job_with_curl_on_postgresql() {
    let database = Database::create();
    let server = Server::start(&[("DATABASE_URL", &database.url), ("SECRET_KEY", SECRET_KEY)]);
    server.does_the_whole_job();
    server.stop();
}

#[test]
fn log_holds_no_secrets() {
    let encryption_key = generated_key();
    let server = Server::start(&[
        ("LOG_LEVEL", "DEBUG"),
        ("LOG_FORMAT", "json"),
        ("SECRET_KEY", SECRET_KEY),
        ("PRIVATE_KEY_ENCRYPTION_KEY", &encryption_key),
    ]);
    let met = server.does_the_whole_job().join("secrets");
    let met = std::fs::read_to_string(met).expect("the secrets that the job met");
    let log = server.stop();

    let requests = log.iter().filter(|line| line.contains(r#""route":"/api/v1/"#)).count();
    assert!(requests > 200, "{requests} requests to the API are logged: is this the whole log?");
    let keys = [SECRET_KEY, &encryption_key, "-----BEGIN"];
    let secrets: Vec<&str> = met.lines().chain(keys).collect();
    assert!(secrets.len() > 200, "{} secrets: is this all that the job met?", secrets.len());
    for line in &log {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "not JSON: {line}");
        let leaked = secrets.iter().find(|secret| line.contains(**secret));
        assert_eq!(leaked, None, "in the log: {line}");
    }
}

#[test]
fn generated_encryption_keys_are_fernet_keys_and_differ() {
    let keys = [generated_key(), generated_key()];
    assert_ne!(keys[0], keys[1]);
    for key in keys {
        let mut python = Command::new(required("FASTPKI_TEST_PYTHON"))
            .args(["-c", FERNET_ROUND_TRIP])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut input = python.stdin.take().expect("a pipe");
        input.write_all(key.as_bytes()).expect("Python reads");
        drop(input);
        let output = python.wait_with_output().expect("Python ends");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

/// What `fastpki keys generate` prints.
fn generated_key() -> String {
    let Output { status, stdout, stderr } =
        Command::new(PROGRAM).args(["keys", "generate"]).env_clear().output().expect("the program starts");
    assert!(status.success() && stderr.is_empty(), "{}", text(&stderr));
    let printed = text(&stdout);
    printed.strip_suffix('\n').expect("a line").to_owned()
}

/// The program, serving from a folder of its own with nothing in its environment but these settings.
struct Server {
    folder: TempDir,
    child: Child,
    base_url: String,
    log: Option<JoinHandle<Vec<String>>>,
}

impl Server {
    fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new(PROGRAM)
            .arg("serve")
            .env_clear()
            .env("FASTPKI_LISTEN", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("a pipe");
        let (announce, announced) = mpsc::channel();
        let log = std::thread::spawn(move || read_log(stderr, &announce));
        let Ok(base_url) = announced.recv_timeout(START_TIMEOUT) else {
            child.kill().expect("it can be killed");
            panic!("the server does not listen: {:#?}", log.join().expect("a log"));
        };
        Self { folder, child, base_url, log: Some(log) }
    }

    /// Runs the script that does the whole job, and tells in which folder it left what it met.
    fn does_the_whole_job(&self) -> PathBuf {
        let folder = self.folder.path().join("job");
        let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(WHOLE_JOB))
            .args([self.base_url.as_str().as_ref(), folder.as_os_str()])
            .env("FASTPKI_TEST_PYTHON", required("FASTPKI_TEST_PYTHON"))
            .output()
            .expect("the script starts");
        let (passed, failed) = (text(&output.stdout), text(&output.stderr));
        let last: Vec<&str> = passed.lines().rev().take(10).collect();
        assert!(output.status.success(), "{failed}\nbefore that, latest first: {last:#?}");
        folder
    }

    /// Ends the server as a service manager does; the lines it logged.
    fn stop(mut self) -> Vec<String> {
        let kill = format!("kill -TERM {}", self.child.id());
        let told = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(told.success(), "{kill}: {told}");
        let status = self.child.wait().expect("the server ends");
        let log = self.log.take().expect("a log").join().expect("a log");
        assert!(status.success(), "{status}: {log:#?}");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where the server was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a log, all of them; announces the address that one of them tells.
fn read_log(stderr: ChildStderr, announce: &Sender<String>) -> Vec<String> {
    let lines = BufReader::new(stderr).lines().map(|line| line.expect("a log is text"));
    let announced = lines.inspect(|line| {
        if let Some((_, address)) = line.split_once("listening on ") {
            let end = address.find(['"', ' ']).unwrap_or(address.len());
            announce.send(address[..end].to_owned()).expect("somebody waits for the address");
        }
    });
    announced.collect()
}

/// A PostgreSQL database that one test has for itself.
struct Database {
    runtime: Runtime,
    maintenance: tokio_postgres::Client,
    name: String,
    url: String,
}

impl Database {
    fn create() -> Self {
        let maintenance_url = required("FASTPKI_TEST_POSTGRES");
        let name = format!("whole_job_{}", std::process::id());
        let (before, options) = maintenance_url.split_once('?').unwrap_or((&maintenance_url, ""));
        let (server, _) = before.rsplit_once('/').expect("the URL names a database");
        let url = format!("{server}/{name}?{options}");

        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connected = runtime.block_on(tokio_postgres::connect(&maintenance_url, tokio_postgres::NoTls));
        let (maintenance, connection) = connected.expect("FASTPKI_TEST_POSTGRES is a server's URL");
        runtime.spawn(connection);
        let database = Self { runtime, maintenance, name, url };
        // One of this name is left over from a test that was killed.
        database.execute("DROP DATABASE IF EXISTS").expect("no database of this name");
        database.execute("CREATE DATABASE").expect("a database");
        database
    }

    fn execute(&self, command: &str) -> Result<(), tokio_postgres::Error> {
        let command = format!("{command} {}", self.name);
        self.runtime.block_on(self.maintenance.batch_execute(&command))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.execute("DROP DATABASE") {
            eprintln!("the database {} is left over: {error}", self.name);
        }
    }
}

fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run scripts/test"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_fastpki");
/// From this package's folder.
const WHOLE_JOB: &str = "../../scripts/judges/whole-job.sh";
const SECRET_KEY: &str = "a key that signs tokens, of this test alone";
const FERNET_ROUND_TRIP: &str = "
import sys
from cryptography.fernet import Fernet
key = Fernet(sys.stdin.read())
assert key.decrypt(key.encrypt(b'text')) == b'text'
";
const START_TIMEOUT: Duration = Duration::from_secs(60);
