//! How long a start and a rotation take with many private keys in the database, each beside its floor: one bare
//! loop over the same rows, on one connection and one thread, without any checks.
//!
//! The certificates are copies of 32 that the server issued, with RSA-2048 keys: a million of their own would take a
//! day to make. Each copy has names and a serial number of its own in its row, while its PEM is that of the
//! certificate it was copied from, so that every key fits its certificate. Serial numbers and audit entries are
//! recorded beside it, as the server does.
//!
//! The filled database is kept as a template, and what changes a database begins with a copy of the same state. Before
//! each measurement, of the program and of a floor alike, the database is settled: PostgreSQL has vacuumed and
//! checkpointed, every page was read once and thus is in the page cache as far as memory reaches, and no write is
//! outstanding. A floor commits a thousand rows at a time, as durably as the program does, and ends when its
//! connection is closed.
//!
//! `scripts/bench-keys` runs this.

use std::{
    fs::File,
    future::Future,
    hint::black_box,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use fastpki_engine::{Clock, FernetKey, SystemClock, SystemEntropy, new_encryption_key};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{interval, sleep},
};
use tokio_postgres::{NoTls, Statement};

#[derive(Parser)]
struct Arguments {
    /// Certificates in the database.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(i64::from(POOL)..))]
    rows: u32,
    /// Only this database; both unless told otherwise.
    #[arg(long)]
    database: Option<Kind>,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Sqlite,
    Postgres,
}

fn main() {
    let arguments = Arguments::parse();
    let kinds = arguments.database.map_or(vec![Kind::Sqlite, Kind::Postgres], |kind| vec![kind]);
    // One thread: a floor's PostgreSQL connection shares it with its loop.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut lines = fernet_speed();
    for kind in kinds {
        lines.extend(runtime.block_on(measure(kind, arguments.rows)));
    }
    println!("{} certificates, with {POOL} RSA-2048 keys in turn", arguments.rows);
    for line in lines {
        println!("{line}");
    }
}

/// Every measurement on one kind of database, as lines of the report.
async fn measure(kind: Kind, rows: u32) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (old, new) = (Key::generate(), Key::generate());
    let mut lines = vec![format!("{kind:?}:"), HEAD.to_owned()];

    let template = make_template(kind, folder.path(), rows).await;
    let copy = template.copy("floor_of_first_start").await;
    let floor = copy.rewrite_keys(|pem| Some(old.encrypt(pem))).await;
    copy.remove().await;
    let database = template.copy("measured").await;
    template.remove().await;
    let server = Server::start_settled(&database, &old.text).await;
    lines.push(line("start, all plaintext", server.started_in, floor, server.peak_memory()));
    server.stop();

    let floor = database.rewrite_keys(|token| none_but_check(old.decrypt(token))).await;
    let server = Server::start_settled(&database, &old.text).await;
    lines.push(line("start, all encrypted", server.started_in, floor, server.peak_memory()));
    server.stop();

    let copy = database.copy("floor_of_rotation").await;
    let floor = copy.rewrite_keys(|token| Some(new.encrypt(&old.decrypt(token)))).await;
    copy.remove().await;
    let keys = format!("{},{}", new.text, old.text);
    let server = Server::start_settled(&database, &keys).await;
    let api = Arc::new(Api::sign_in(&server.base_url).await);
    let ((), calm) = under_load(&api, rows, sleep(CALM)).await;
    let rotating = database.clone();
    let rotation = spawn_blocking(move || Rotation::run(&rotating, &keys));
    let (rotation, loaded) = under_load(&api, rows, rotation).await;
    let rotation = rotation.expect("a rotation");
    server.stop();
    database.remove().await;

    lines.push(line("rotate under load", rotation.duration, floor, rotation.peak_memory));
    lines.push(format!("  rotate says {}", rotation.report));
    lines.push(calm.line("without rotation"));
    lines.push(loaded.line("during rotation"));
    lines
}

/// A database that holds this many certificates, and a CA, with their keys in plaintext.
async fn make_template(kind: Kind, folder: &Path, rows: u32) -> Database {
    let database = Database { kind, folder: folder.to_owned(), name: "template" };
    database.create().await;
    let server = Server::start(&database, None).await;
    issue_pool(&server.base_url).await;
    server.stop();
    fill(&database, rows).await;
    database
}

/// The first user, a CA, and the certificates that all others are copies of.
async fn issue_pool(base_url: &str) {
    let user =
        json!({"username": USER, "email": "bench@example.com", "password": PASSWORD, "role": "superuser"});
    let users = Client::new().post(format!("{base_url}/api/v1/users/")).json(&user);
    users.send().await.and_then(reqwest::Response::error_for_status).expect("a first user");
    let api = Api::sign_in(base_url).await;
    let ca =
        json!({"name": "Issuing", "subject_dn": "CN=Issuing,O=Example", "key_type": "ec", "key_size": 256});
    let ca = api.send(api.post("cas/").json(&ca)).await;
    assert_eq!(ca["id"], CA);
    for number in 1..=POOL {
        let name = format!("host-{number}.example.com");
        let certificate = json!({"common_name": name, "subject_dn": format!("CN={name},O=Example"),
            "certificate_type": "server", "key_type": "rsa", "key_size": 2048});
        let certificate = api.send(api.post(&format!("certificates/?ca_id={CA}")).json(&certificate)).await;
        assert_eq!(certificate["id"], number, "ids follow one another from 1");
    }
}

/// Copies the pool until there are this many certificates. Ids come from where the server takes them:
/// PostgreSQL's sequence, or the highest so far.
async fn fill(database: &Database, rows: u32) {
    let mut connection = database.connect().await;
    let (hurry, serial) = match database.kind {
        Kind::Sqlite => (
            "PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;",
            "'5' || substr(lower(hex(randomblob(20))), 2)",
        ),
        Kind::Postgres => (
            "SET synchronous_commit = off;",
            "'5' || substr(md5(random()::text) || md5(random()::text), 1, 39)",
        ),
    };
    connection.script(&format!("{hurry} CREATE TEMP TABLE pool AS SELECT * FROM certificates")).await;
    let copy = COPY_POOL.replace("{serial}", serial);
    let mut first = POOL + 1;
    while first <= rows {
        let last = rows.min(first + FILLED_AT_ONCE - 1);
        let script = copy.replace("{first}", &first.to_string()).replace("{last}", &last.to_string());
        connection.script(&script).await;
        progress(database, &format!("{last} of {rows} certificates"));
        first = last + 1;
    }
    connection.close().await;
}

/// A database of one kind, in this folder or on the PostgreSQL server.
#[derive(Clone)]
struct Database {
    kind: Kind,
    folder: PathBuf,
    name: &'static str,
}

impl Database {
    fn url(&self) -> String {
        match self.kind {
            Kind::Sqlite => format!("sqlite:///{}", self.file().display()),
            Kind::Postgres => {
                let server = postgres_server();
                let (server, _) = server.rsplit_once('/').expect("the URL ends with a database's name");
                format!("{server}/{}", self.name)
            }
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.join(self.name).with_extension("db")
    }

    async fn create(&self) {
        if let Kind::Postgres = self.kind {
            administer(&format!("CREATE DATABASE {}", self.name)).await;
        }
    }

    async fn copy(&self, name: &'static str) -> Self {
        let copy = Self { name, ..self.clone() };
        match self.kind {
            Kind::Sqlite => {
                std::fs::copy(self.file(), copy.file()).expect("the disk has room for a copy");
            }
            Kind::Postgres => {
                administer(&format!("CREATE DATABASE {name} TEMPLATE {} STRATEGY FILE_COPY", self.name))
                    .await;
            }
        }
        copy
    }

    async fn remove(self) {
        match self.kind {
            Kind::Sqlite => std::fs::remove_file(self.file()).expect("the file is there"),
            Kind::Postgres => administer(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await,
        }
    }

    /// Leaves nothing to write, and all pages read.
    async fn settle(&self) {
        match self.kind {
            Kind::Sqlite => {
                let mut file = File::open(self.file()).expect("the file is there");
                file.sync_all().expect("the disk takes it");
                io::copy(&mut file, &mut io::sink()).expect("the file can be read");
            }
            Kind::Postgres => {
                let mut connection = self.connect().await;
                for script in ["VACUUM (ANALYZE)", "CHECKPOINT", READ_ALL] {
                    connection.script(script).await;
                }
                connection.close().await;
            }
        }
    }

    /// A floor: reads every certificate's private key, and replaces those that `rewrite` gives another for.
    async fn rewrite_keys(&self, rewrite: impl Fn(&str) -> Option<String>) -> Duration {
        self.settle().await;
        progress(self, "reading every key in a bare loop");
        let mut connection = self.connect().await;
        let begun = Instant::now();
        let mut after = 0;
        loop {
            let page = connection.keys_after(after).await;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            connection.script("BEGIN").await;
            for (id, key) in &page {
                if let Some(key) = rewrite(key) {
                    connection.replace_key(*id, &key).await;
                }
            }
            connection.script("COMMIT").await;
        }
        connection.close().await;
        begun.elapsed()
    }

    async fn connect(&self) -> Connection {
        match self.kind {
            Kind::Sqlite => Connection::sqlite(&self.file()),
            Kind::Postgres => Connection::postgres(&self.url()).await,
        }
    }

    /// The program with its settings, in the folder.
    fn program(&self, keys: Option<&str>) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_fastpki"));
        program
            .env_clear()
            .env("DATABASE_URL", self.url())
            .env("SECRET_KEY", "a key that signs tokens, of this benchmark alone")
            .envs(keys.map(|keys| ("PRIVATE_KEY_ENCRYPTION_KEY", keys)))
            .env("FASTPKI_LISTEN", "127.0.0.1:0")
            .env("PUBLIC_URL", "https://pki.example.com")
            .env("ACCESS_TOKEN_EXPIRE_MINUTES", "1440")
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        program
    }
}

/// One connection to one database.
enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres { client: tokio_postgres::Client, driver: JoinHandle<()>, page: Statement, replace: Statement },
}

impl Connection {
    /// As durable, and as thorough in overwriting, as the program's own.
    fn sqlite(file: &Path) -> Self {
        let connection = rusqlite::Connection::open(file).expect("the file can be opened");
        let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;";
        connection.execute_batch(pragmas).expect("SQLite knows them");
        Self::Sqlite(connection)
    }

    async fn postgres(url: &str) -> Self {
        let (client, driver) = connect_postgres(url).await;
        let page = client.prepare(PAGE).await.expect("the schema is there");
        let replace = client.prepare(REPLACE).await.expect("the schema is there");
        Self::Postgres { client, driver, page, replace }
    }

    async fn script(&mut self, sql: &str) {
        match self {
            Self::Sqlite(connection) => connection.execute_batch(sql).expect(sql),
            Self::Postgres { client, .. } => client.batch_execute(sql).await.expect(sql),
        }
    }

    async fn keys_after(&mut self, id: i32) -> Vec<(i32, String)> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(PAGE).expect("the schema is there");
                let rows = statement.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)));
                rows.and_then(Iterator::collect).expect("rows")
            }
            Self::Postgres { client, page, .. } => {
                let rows = client.query(page, &[&id]).await.expect("rows");
                rows.iter().map(|row| (row.get(0), row.get(1))).collect()
            }
        }
    }

    async fn replace_key(&mut self, id: i32, key: &str) {
        let replaced = match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(REPLACE).expect("the schema is there");
                statement.execute((key, id)).expect("the disk has room") as u64
            }
            Self::Postgres { client, replace, .. } => {
                client.execute(replace, &[&key, &id]).await.expect("the disk has room")
            }
        };
        assert_eq!(replaced, 1, "the row was there a moment ago");
    }

    async fn close(self) {
        match self {
            Self::Sqlite(connection) => {
                connection.close().map_err(|(_, error)| error).expect("nothing is open")
            }
            Self::Postgres { client, driver, .. } => {
                drop(client);
                driver.await.expect("the connection ends");
            }
        }
    }
}

async fn connect_postgres(url: &str) -> (tokio_postgres::Client, JoinHandle<()>) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    (client, tokio::spawn(async { connection.await.expect("PostgreSQL stays") }))
}

/// Runs a statement about whole databases.
async fn administer(sql: &str) {
    let (client, driver) = connect_postgres(&postgres_server()).await;
    client.batch_execute(sql).await.expect(sql);
    drop(client);
    driver.await.expect("the connection ends");
}

fn postgres_server() -> String {
    std::env::var("FASTPKI_BENCH_POSTGRES").expect("FASTPKI_BENCH_POSTGRES is set: run scripts/bench-keys")
}

/// The server, serving.
struct Server {
    child: Child,
    base_url: String,
    /// From its start until it listened.
    started_in: Duration,
}

impl Server {
    async fn start_settled(database: &Database, keys: &str) -> Self {
        database.settle().await;
        progress(database, "starting the server");
        Self::start(database, Some(keys)).await
    }

    async fn start(database: &Database, keys: Option<&str>) -> Self {
        let mut command = database.program(keys);
        command.arg("serve").stdout(Stdio::null()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn().expect("the program starts");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let base_url = wait_for_address(&mut log);
        let started_in = begun.elapsed();
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        // It minds signals only a moment after it listens.
        reqwest::get(format!("{base_url}/readyz")).await.expect("the server answers");
        Self { child, base_url, started_in }
    }

    fn peak_memory(&self) -> u64 {
        peak_memory(self.child.id()).expect("it runs")
    }

    fn stop(mut self) {
        let kill = format!("kill -TERM {}", self.child.id());
        Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        let status = self.child.wait().expect("the server ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where the server was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log up to the line that says where the server listens.
fn wait_for_address(log: &mut BufReader<ChildStderr>) -> String {
    let mut said = String::new();
    loop {
        let start = said.len();
        let read = log.read_line(&mut said).expect("a log is text");
        assert!(read > 0, "the server does not listen:\n{said}");
        if let Some((_, address)) = said[start..].split_once("listening on ") {
            return address.trim_end().to_owned();
        }
    }
}

/// A `fastpki keys rotate` that is over.
struct Rotation {
    duration: Duration,
    peak_memory: u64,
    report: Value,
}

impl Rotation {
    fn run(database: &Database, keys: &str) -> Self {
        progress(database, "rotating");
        let begun = Instant::now();
        let mut command = database.program(Some(keys));
        let mut child = command
            .args(["keys", "rotate", "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut peak = 0;
        while child.try_wait().expect("it is ours").is_none() {
            peak = peak_memory(child.id()).unwrap_or(peak);
            thread::sleep(SAMPLE);
        }
        let duration = begun.elapsed();
        let output = child.wait_with_output().expect("a pipe");
        assert!(output.status.success(), "keys rotate: {}", output.status);
        let report = serde_json::from_slice(&output.stdout).expect("keys rotate --json prints JSON");
        Self { duration, peak_memory: peak, report }
    }
}

/// The most memory that a process has had resident, in KiB; none once it has ended.
fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// The API, as the first user.
struct Api {
    client: Client,
    base: String,
    token: String,
}

impl Api {
    async fn sign_in(base_url: &str) -> Self {
        let client = Client::builder().timeout(PATIENCE).build().expect("a client");
        let api = Self { client, base: format!("{base_url}/api/v1"), token: String::new() };
        let form = [("username", USER), ("password", PASSWORD)];
        let answer = api.send(api.post("auth/token").form(&form)).await;
        Self { token: answer["access_token"].as_str().expect("a token").to_owned(), ..api }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}/{path}", self.base)).bearer_auth(&self.token)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}/{path}", self.base)).bearer_auth(&self.token)
    }

    async fn send(&self, request: RequestBuilder) -> Value {
        let answer = request.send().await.and_then(reqwest::Response::error_for_status).expect("2xx");
        answer.json().await.expect("JSON")
    }

    /// One request of the load: half sign a CSR, a quarter read a certificate, a quarter its key too.
    fn request(&self, number: u32, rows: u32) -> RequestBuilder {
        let id = 1 + number.wrapping_mul(SCATTER) % rows;
        let sign = |csr: &str| {
            let body = json!({"csr": csr, "ca_id": CA, "certificate_type": "server"});
            self.post("certificates/sign-csr").json(&body)
        };
        match number % 4 {
            0 => self.get(&format!("certificates/{id}")),
            1 => self.get(&format!("certificates/{id}/private-key")),
            2 => sign(P256_CSR),
            _ => sign(RSA_CSR),
        }
    }
}

/// How requests were answered.
struct Load {
    /// From when each was due until it was answered, in order of length.
    latencies: Vec<Duration>,
    not_2xx: usize,
}

/// Sends a request each [`PERIOD`] for as long as `work` takes, whether the ones before were answered or not.
async fn under_load<W>(api: &Arc<Api>, rows: u32, work: W) -> (W::Output, Load)
where
    W: Future<Output: Send> + Send + 'static,
{
    let work = tokio::spawn(work);
    let mut requests = Vec::new();
    let mut ticks = interval(PERIOD);
    for number in 0.. {
        let due = ticks.tick().await;
        if work.is_finished() {
            break;
        }
        let request = api.request(number, rows);
        requests.push(tokio::spawn(async move { (is_2xx(request).await, due.elapsed()) }));
    }
    let mut load = Load { latencies: Vec::with_capacity(requests.len()), not_2xx: 0 };
    for request in requests {
        let (is_2xx, latency) = request.await.expect("a request does not panic");
        load.latencies.push(latency);
        load.not_2xx += usize::from(!is_2xx);
    }
    load.latencies.sort_unstable();
    (work.await.expect("the work does not panic"), load)
}

async fn is_2xx(request: RequestBuilder) -> bool {
    let Ok(answer) = request.send().await else { return false };
    answer.status().is_success() && answer.bytes().await.is_ok()
}

impl Load {
    fn line(&self, when: &str) -> String {
        let at = |percent: usize| match self.latencies.len() {
            0 => 0.0,
            count => self.latencies[(count * percent / 100).min(count - 1)].as_secs_f64() * 1000.0,
        };
        format!(
            "  100 requests/s {when}: {} sent, {} not 2xx, p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            self.latencies.len(),
            self.not_2xx,
            at(50),
            at(99),
            at(100)
        )
    }
}

/// A Fernet key, and its text for the settings.
struct Key {
    text: String,
    fernet: FernetKey,
}

impl Key {
    fn generate() -> Self {
        let text = new_encryption_key(&SystemEntropy).to_string();
        let fernet = FernetKey::parse(&text).expect("a new key");
        Self { text, fernet }
    }

    fn encrypt(&self, plaintext: &str) -> String {
        self.fernet.encrypt(plaintext.as_bytes(), SystemClock.now())
    }

    fn decrypt(&self, token: &str) -> String {
        let plaintext = self.fernet.decrypt(token).expect("every key lies under this one");
        String::from_utf8(plaintext.to_vec()).expect("PEM")
    }
}

/// Leaves a key as it is, once it was looked at.
fn none_but_check(pem: String) -> Option<String> {
    assert!(black_box(pem).starts_with("-----BEGIN"), "a private key");
    None
}

/// What one core does without a database, on a plaintext as long as an RSA-2048 key.
fn fernet_speed() -> Vec<String> {
    let key = Key::generate();
    let plaintext = "x".repeat(PLAINTEXT);
    let token = key.encrypt(&plaintext);
    let encrypted = per_second(|| drop(black_box(key.encrypt(black_box(&plaintext)))));
    let decrypted = per_second(|| drop(black_box(key.fernet.decrypt(black_box(&token)))));
    vec![format!(
        "Fernet on one core, {PLAINTEXT} bytes: encrypts {encrypted:.0}/s, decrypts {decrypted:.0}/s"
    )]
}

fn per_second(work: impl Fn()) -> f64 {
    let begun = Instant::now();
    let mut times = 0.0;
    while begun.elapsed() < SPEED_TEST {
        work();
        times += 1.0;
    }
    times / begun.elapsed().as_secs_f64()
}

fn line(what: &str, measured: Duration, floor: Duration, peak_memory: u64) -> String {
    let (measured, floor) = (measured.as_secs_f64(), floor.as_secs_f64());
    let (ratio, memory) = (measured / floor, peak_memory as f64 / 1024.0);
    format!("  {what:<22} {measured:>10.2} s {floor:>10.2} s {ratio:>8.2} {memory:>10.1} MiB")
}

fn progress(database: &Database, what: &str) {
    eprintln!("{:?} {}: {what}", database.kind, database.name);
}

const HEAD: &str = "                           measured        floor    ratio    peak memory";
/// Certificates that the server issues; all others are copies of these.
const POOL: u32 = 32;
const FILLED_AT_ONCE: u32 = 10_000;
const CA: u32 = 1;
const USER: &str = "bench";
const PASSWORD: &str = "correct horse battery";
const P256_CSR: &str = include_str!("p256.csr.pem");
const RSA_CSR: &str = include_str!("rsa2048.csr.pem");
/// Between two requests of the load.
const PERIOD: Duration = Duration::from_millis(10);
/// How long the load is measured without a rotation.
const CALM: Duration = Duration::from_secs(10);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the memory of a rotation.
const SAMPLE: Duration = Duration::from_millis(50);
const SPEED_TEST: Duration = Duration::from_secs(2);
const PLAINTEXT: usize = 1704;
/// A prime, so that successive numbers fall on ids far apart and each id has its turn.
const SCATTER: u32 = 2_654_435_761;

const PAGE: &str = "/* page */
    SELECT id, private_key FROM certificates WHERE id > $1 AND private_key IS NOT NULL ORDER BY id LIMIT 1000";
const REPLACE: &str = "/* replace */ UPDATE certificates SET private_key = $1 WHERE id = $2";
/// Brings what lies beside the rows too: PostgreSQL keeps long values in a table of their own.
const READ_ALL: &str =
    "/* read_all */ SELECT sum(length(private_key) + length(certificate)) FROM certificates";
const COPY_POOL: &str = "/* copy_pool */
    BEGIN;
    WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
    INSERT INTO certificates
        (common_name, subject_dn, certificate_type, key_type, key_size, valid_days, status, created_at, updated_at,
         private_key, certificate, serial_number, not_before, not_after, issuer_id, organization_id,
         created_by_user_id, is_csr_origin)
    SELECT 'host-' || n || '.example.com', 'CN=host-' || n || '.example.com,O=Example', certificate_type, key_type,
           key_size, valid_days, status, created_at, updated_at, private_key, certificate, {serial}, not_before,
           not_after, issuer_id, organization_id, created_by_user_id, is_csr_origin
    FROM numbers JOIN pool ON pool.id = 1 + n % 32;
    INSERT INTO fastpki_serials (issuer_id, serial_number)
    SELECT issuer_id, serial_number FROM certificates WHERE id BETWEEN {first} AND {last};
    INSERT INTO audit_logs
        (created_at, action, user_id, username, organization_id, resource_type, resource_id, detail)
    SELECT created_at, 'CERT_CREATE', created_by_user_id, 'bench', organization_id, 'certificate', id,
           'Issued certificate ''' || common_name || ''' under CA ''Issuing'''
    FROM certificates WHERE id BETWEEN {first} AND {last};
    COMMIT";
