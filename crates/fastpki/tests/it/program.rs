//! The program as its users run it: a process of its own, and a database.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use fastpki_testing::{Database, Kind, required};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};

/// The program, serving from a folder of its own with nothing in its environment but these settings.
pub(crate) struct Server {
    pub(crate) folder: Arc<TempDir>,
    child: Child,
    pub(crate) base_url: String,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().expect("a temporary folder")), settings)
    }

    /// Starts in a folder where another may have been before.
    pub(crate) fn start_in(folder: Arc<TempDir>, settings: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(PROGRAM).arg("serve"), folder, settings)
    }

    /// Starts what this command is, and waits until it listens.
    pub(crate) fn spawn(command: &mut Command, folder: Arc<TempDir>, settings: &[(&str, &str)]) -> Self {
        let mut child = command
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
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = Arc::clone(&log);
        let reader = std::thread::spawn(move || read_log(stderr, &lines, &announce));
        let Ok(base_url) = announced.recv_timeout(START_TIMEOUT) else {
            child.kill().expect("it can be killed");
            reader.join().expect("a log");
            panic!("the server does not listen: {:#?}", log.lock().expect("a log"));
        };
        Self { folder, child, base_url, log, reader: Some(reader) }
    }

    /// Ends the server as a service manager does; the lines it logged.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.tell_to_stop();
        let status = self.child.wait().expect("the server ends");
        self.reader.take().expect("a log").join().expect("a log");
        let log = std::mem::take(&mut *self.log.lock().expect("a log"));
        assert!(status.success(), "{status}: {log:#?}");
        log
    }
}

impl Server {
    /// Waits until the server has ended; its exit status, and the lines it logged.
    pub(crate) fn end_within(mut self, time: Duration) -> (Option<i32>, Vec<String>) {
        let status = ended_within(&mut self.child, time);
        self.reader.take().expect("a log").join().expect("a log");
        (status.code(), std::mem::take(&mut *self.log.lock().expect("a log")))
    }

    /// Sends the signal, and does not wait.
    pub(crate) fn tell_to_stop(&self) {
        self.signal("TERM");
    }

    /// Sends SIGINT, as Ctrl-C does, and does not wait.
    pub(crate) fn interrupt(&self) {
        self.signal("INT");
    }

    /// Tells the server to read its keys again; the line it logs about that.
    pub(crate) fn hang_up(&self) -> String {
        let about_it = |lines: &[String]| lines.iter().filter(|line| line.contains("SIGHUP")).count();
        let before = about_it(&self.log.lock().expect("a log"));
        self.signal("HUP");
        let begun = Instant::now();
        loop {
            let log = self.log.lock().expect("a log").clone();
            if about_it(&log) > before {
                return log.into_iter().rfind(|line| line.contains("SIGHUP")).expect("a line");
            }
            assert!(begun.elapsed() < START_TIMEOUT, "nothing about SIGHUP is logged: {log:#?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends SIGHUP, and does not wait.
    pub(crate) fn tell_to_reload(&self) {
        self.signal("HUP");
    }

    /// The line that was logged last.
    pub(crate) fn last_line(&self) -> String {
        self.log.lock().expect("a log").last().cloned().unwrap_or_default()
    }

    /// How many lines the log has with these words.
    pub(crate) fn lines_with(&self, words: &str) -> usize {
        self.log.lock().expect("a log").iter().filter(|line| line.contains(words)).count()
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
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

/// Waits for a process that must end within this time.
pub(crate) fn ended_within(child: &mut Child, time: Duration) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a process") {
            return status;
        }
        if begun.elapsed() > time {
            child.kill().expect("it can be killed");
            panic!("it has not ended within {time:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Keeps the lines of a log, all of them; announces the address that one of them tells.
fn read_log(stderr: ChildStderr, log: &Mutex<Vec<String>>, announce: &Sender<String>) {
    for line in BufReader::new(stderr).lines() {
        let line = line.expect("a log is text");
        if let Some((_, address)) = line.split_once("listening on ") {
            let end = address.find(['"', ' ']).unwrap_or(address.len());
            announce.send(address[..end].to_owned()).expect("somebody waits for the address");
        }
        log.lock().expect("a log").push(line);
    }
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

/// Where servers and commands work: a folder, and a database that is a file in it or has a URL.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) folder: Arc<TempDir>,
    pub(crate) database: Database,
}

impl Site {
    pub(crate) fn of(database: Database) -> Self {
        let folder = match &database {
            Database::Sqlite(folder) => Arc::clone(folder),
            Database::Postgresql { .. } => Arc::new(tempfile::tempdir().expect("a temporary folder")),
        };
        Self { folder, database }
    }

    /// Starts a server here.
    pub(crate) fn serve(&self, settings: &[(&str, &str)]) -> Server {
        self.serve_by(Command::new(PROGRAM).arg("serve"), settings)
    }

    /// Starts a server here by a command of its own.
    pub(crate) fn serve_by(&self, command: &mut Command, settings: &[(&str, &str)]) -> Server {
        let url = self.url();
        let here = url.iter().map(|url| ("DATABASE_URL", url.as_str()));
        let here = here.chain([("SECRET_KEY", SECRET_KEY), ("LOG_FORMAT", "json")]);
        let settings: Vec<_> = here.chain(settings.iter().copied()).collect();
        Server::spawn(command, Arc::clone(&self.folder), &settings)
    }

    /// `fastpki` with these arguments and settings, to be run here.
    pub(crate) fn command(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .env_clear()
            .env("SECRET_KEY", SECRET_KEY)
            .envs(self.url().map(|url| ("DATABASE_URL", url)))
            .envs(settings.iter().copied())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `fastpki keys`. Whatever becomes of it, it prints no key.
    pub(crate) fn keys(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Ran {
        let mut command = self.command(&[&["keys"], arguments].concat(), settings);
        let Output { status, stdout, stderr } = command.output().expect("the program starts");
        let ran = Ran {
            code: status.code().expect("it ends by itself"),
            stdout: text(&stdout),
            stderr: text(&stderr),
        };
        let set = settings.iter().flat_map(|(_, value)| value.split(',')).filter(|key| key.len() == 44);
        for secret in set.chain(["-----BEGIN", "gAAAAA", SECRET_KEY]) {
            let printed = ran.stdout.contains(secret) || ran.stderr.contains(secret);
            assert!(!printed, "{secret} is printed by {arguments:?}: {ran:?}");
        }
        ran
    }

    /// Runs `fastpki keys` with `--json`: what it prints if it succeeds.
    pub(crate) fn keys_json(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Value {
        let ran = self.keys(&[arguments, &["--json"]].concat(), settings);
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran.json()
    }

    /// How many 16-byte parts of these texts lie somewhere in the files of the database.
    pub(crate) async fn traces(&self, of: &[String]) -> usize {
        let parts: HashSet<&[u8]> = of.iter().flat_map(|text| text.as_bytes().windows(16)).collect();
        assert!(!parts.is_empty(), "nothing to look for");
        // Most bytes begin no part, and many are in none: to look all of them up would take long.
        let mut begins = vec![false; 1 << 16];
        let begin = |part: &[u8]| usize::from(part[0]) << 8 | usize::from(part[1]);
        parts.iter().for_each(|part| begins[begin(part)] = true);
        let bytes: HashSet<u8> = of.iter().flat_map(|text| text.bytes()).collect();
        let is_in_none: Vec<bool> = (0..=u8::MAX).map(|byte| !bytes.contains(&byte)).collect();
        let mut found = 0;
        for file in self.files().await {
            for run in file.split(|byte| is_in_none[usize::from(*byte)]) {
                found += run.windows(16).filter(|part| begins[begin(part)] && parts.contains(part)).count();
            }
        }
        found
    }

    /// Leaves the stored private keys in unused parts of the database too, as programs do that overwrite nothing.
    pub(crate) async fn leave_copies(&self) {
        self.database.script(LEAVE_COPIES).await;
    }

    /// What the files that private keys lie in hold.
    async fn files(&self) -> Vec<Vec<u8>> {
        if let Some(file) = self.database.file() {
            let wal = file.with_extension("db-wal");
            return [file, wal].into_iter().filter_map(|file| std::fs::read(file).ok()).collect();
        }
        self.database.script("CHECKPOINT").await;
        let files = self.database.peek(POSTGRES_FILES).await;
        files.into_iter().map(String::into_bytes).collect()
    }

    fn url(&self) -> Option<String> {
        self.database.file().is_none().then(|| self.database.url())
    }
}

/// The line of a private key that holds nothing that its certificate holds too.
pub(crate) fn secret_line(pem: &str) -> String {
    pem.lines().nth(1).expect("a line after the first").to_owned()
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one JSON object on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }
}

/// A user of the API.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) base_url: String,
    pub(crate) token: String,
}

impl Client {
    /// Makes the first user of a server, and signs in.
    pub(crate) async fn first(base_url: &str) -> Self {
        let mut client =
            Self { http: reqwest::Client::new(), base_url: base_url.to_owned(), token: String::new() };
        let user = json!({"username": "root", "email": "root@example.com", "password": "correct horse", "role": "superuser"});
        let created = client.http.post(format!("{base_url}/api/v1/users/")).json(&user).send().await;
        assert_eq!(created.expect("an answer").status(), StatusCode::CREATED);
        let form = [("username", "root"), ("password", "correct horse")];
        let answer = client.http.post(format!("{base_url}/api/v1/auth/token")).form(&form).send().await;
        let token: Value = answer.expect("an answer").json().await.expect("JSON");
        client.token = token["access_token"].as_str().expect("a token").to_owned();
        client
    }

    /// The same user of another server.
    pub(crate) fn of(&self, server: &Server) -> Self {
        Self { base_url: server.base_url.clone(), ..self.clone() }
    }

    pub(crate) async fn create_ca(&self) -> i64 {
        let body = json!({"name": "Root", "subject_dn": "CN=Root", "key_type": "ec"});
        let (status, ca) = self.post("/cas/", body).await.expect("an answer");
        assert_eq!(status, StatusCode::CREATED, "{ca}");
        ca["id"].as_i64().expect("an id")
    }

    /// The answer, if there was a whole one.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Option<(StatusCode, Value)> {
        let url = format!("{}/api/v1{path}", self.base_url);
        let answer = self.http.post(url).bearer_auth(&self.token).json(&body).send().await.ok()?;
        Some((answer.status(), answer.json().await.ok()?))
    }

    /// Issues a certificate with a key.
    pub(crate) async fn issue(&self, ca: i64) -> Option<Value> {
        let body = json!({"common_name": "www.example.com", "subject_dn": "CN=www.example.com",
                          "certificate_type": "server", "key_type": "ed25519"});
        let (status, certificate) = self.post(&format!("/certificates/?ca_id={ca}"), body).await?;
        assert_eq!(status, StatusCode::CREATED, "{certificate}");
        Some(certificate)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}/api/v1{path}", self.base_url);
        let answer = self.http.get(url).bearer_auth(&self.token).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.expect("JSON")
    }
}

/// What `fastpki keys generate` prints.
pub(crate) fn generated_key() -> String {
    let Output { status, stdout, stderr } =
        Command::new(PROGRAM).args(["keys", "generate"]).env_clear().output().expect("the program starts");
    assert!(status.success() && stderr.is_empty(), "{}", text(&stderr));
    let printed = text(&stdout);
    printed.strip_suffix('\n').expect("a line").to_owned()
}

/// What Python prints when it runs this script and reads this text.
pub(crate) fn python(script: &str, input: &str) -> String {
    let mut python = Command::new(required("FASTPKI_TEST_PYTHON"))
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut pipe = python.stdin.take().expect("a pipe");
    pipe.write_all(input.as_bytes()).expect("Python reads");
    drop(pipe);
    let output = python.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// How often a test kills what it tests: as `FASTPKI_KILL_ROUNDS` says, 4 times unless told otherwise.
pub(crate) fn kill_rounds() -> u64 {
    std::env::var("FASTPKI_KILL_ROUNDS").map_or(4, |rounds| rounds.parse().expect("a number"))
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_fastpki");
pub(crate) const SECRET_KEY: &str = "a key that signs tokens, of this test alone";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const LEAVE_COPIES: &str = "
    CREATE TABLE gone AS
    SELECT private_key FROM certificates UNION ALL SELECT private_key FROM certificate_authorities;
    DROP TABLE gone;
    UPDATE certificates SET subject_dn = subject_dn || ',' WHERE private_key IS NOT NULL;
    UPDATE certificates SET subject_dn = 'CN=www.example.com' WHERE private_key IS NOT NULL";
/// The files of both tables and of what they keep apart, with every byte that is no ASCII text as `\\nnn`.
const POSTGRES_FILES: &str = "
    SELECT encode(pg_read_binary_file(pg_relation_filepath(file)), 'escape')
    FROM pg_class, LATERAL (VALUES (oid), (NULLIF(reltoastrelid, 0))) AS files (file)
    WHERE relname IN ('certificate_authorities', 'certificates') AND relkind = 'r' AND file IS NOT NULL";
