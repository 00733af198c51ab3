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

use fastpki_testing::{Database, Kind};
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
pub(crate) struct PostgresDatabase {
    runtime: Runtime,
    database: Option<Database>,
    pub(crate) url: String,
}

impl PostgresDatabase {
    pub(crate) fn create() -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let database = runtime.block_on(Database::create(Kind::Postgresql));
        Self { runtime, url: database.url(), database: Some(database) }
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            self.runtime.block_on(database.remove());
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_fastpki");
pub(crate) const SECRET_KEY: &str = "a key that signs tokens, of this test alone";
const START_TIMEOUT: Duration = Duration::from_secs(60);
