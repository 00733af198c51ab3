//! The program as its users run it: a process of its own, and a database.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
    time::Duration,
};

use tempfile::TempDir;
use tokio::runtime::{self, Runtime};

/// The program, serving from a folder of its own with nothing in its environment but these settings.
pub(crate) struct Server {
    pub(crate) folder: Arc<TempDir>,
    child: Child,
    pub(crate) base_url: String,
    log: Option<JoinHandle<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().expect("a temporary folder")), settings)
    }

    /// Starts in a folder where another may have been before.
    pub(crate) fn start_in(folder: Arc<TempDir>, settings: &[(&str, &str)]) -> Self {
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

    /// Ends the server as a service manager does; the lines it logged.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.tell_to_stop();
        let status = self.child.wait().expect("the server ends");
        let log = self.log.take().expect("a log").join().expect("a log");
        assert!(status.success(), "{status}: {log:#?}");
        log
    }
}

impl Server {
    /// Sends the signal, and does not wait.
    pub(crate) fn tell_to_stop(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        let told = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(told.success(), "{kill}: {told}");
    }

    /// Ends the server as a power cut does, for all that a process can see of one; where it was.
    pub(crate) fn kill(mut self) -> Arc<TempDir> {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("the server ends");
        Arc::clone(&self.folder)
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
pub(crate) struct Database {
    runtime: Runtime,
    maintenance: tokio_postgres::Client,
    name: String,
    pub(crate) url: String,
}

impl Database {
    pub(crate) fn create(purpose: &str) -> Self {
        let maintenance_url = required("FASTPKI_TEST_POSTGRES");
        let name = format!("{purpose}_{}", std::process::id());
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

pub(crate) fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run scripts/test"))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_fastpki");
pub(crate) const SECRET_KEY: &str = "a key that signs tokens, of this test alone";
const START_TIMEOUT: Duration = Duration::from_secs(60);
