//! A server in this process, a clock that is moved by hand, and clients of every kind.

use std::{
    net::TcpListener,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fastpki_engine::{
    Caller, Clock, Config, DatabaseConfig, Engine, Entropy, Error, FernetKey, IssuingDefaults, JwtAlgorithm,
    KeysAtRest, ManualClock, SystemClock, SystemEntropy, TlsMode,
};
use fastpki_server::{
    AppState, ConnectionBounds, Running, WebSettings, serve,
    settings::{RateLimit, RateLimits},
};
use fastpki_testing::Database;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

/// Runs each of these tests on SQLite, on PostgreSQL, and on two servers on one PostgreSQL, which take turns to
/// answer: `async fn test(server: Server)`.
macro_rules! on_both_databases {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            #[test]
            fn sqlite() {
                $crate::harness::run!(Sqlite, false, super::$test);
            }

            #[test]
            fn postgresql() {
                $crate::harness::run!(Postgresql, false, super::$test);
            }

            #[test]
            fn two_servers() {
                $crate::harness::run!(Postgresql, true, super::$test);
            }
        })*
    };
}
pub(crate) use on_both_databases;

/// The same, of what is each server's own.
macro_rules! on_one_server {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            #[test]
            fn sqlite() {
                $crate::harness::run!(Sqlite, false, super::$test);
            }

            #[test]
            fn postgresql() {
                $crate::harness::run!(Postgresql, false, super::$test);
            }
        })*
    };
}
pub(crate) use on_one_server;

/// Runs these on PostgreSQL alone: what it does with changes that are not committed yet.
macro_rules! on_postgresql {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            #[test]
            fn postgresql() {
                $crate::harness::run!(Postgresql, false, super::$test);
            }
        })*
    };
}
pub(crate) use on_postgresql;

macro_rules! run {
    ($kind:ident, $twin:literal, $test:path) => {
        fastpki_testing::run(fastpki_testing::Kind::$kind, |database| {
            Box::pin(async move {
                let options = $crate::harness::Options { twin: $twin, ..Default::default() };
                $test($crate::harness::Server::start(&database, options).await).await;
            })
        })
    };
}
pub(crate) use run;

pub(crate) fn config(database: &Database) -> DatabaseConfig {
    match database.file() {
        Some(path) => DatabaseConfig::Sqlite { path },
        None => {
            DatabaseConfig::Postgres { url: database.url().into(), tls: TlsMode::Disable, root_cert: None }
        }
    }
}

/// How a test's server differs from others.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) encryption_keys: Vec<&'static str>,
    pub(crate) open_registration: bool,
    pub(crate) public_url: Option<&'static str>,
    pub(crate) trusted_proxies: Vec<&'static str>,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) cors_origins: Vec<&'static str>,
    pub(crate) docs: bool,
    pub(crate) connections: Option<ConnectionBounds>,
    /// The URL under which the server is to reach PostgreSQL.
    pub(crate) database_url: Option<String>,
    /// Whether a second server on the same database answers every other request.
    pub(crate) twin: bool,
}

/// A running server and its strings.
pub(crate) struct Server {
    pub(crate) database: Database,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) base: String,
    running: Running,
    twin: Option<Running>,
}

impl Server {
    pub(crate) async fn start(database: &Database, options: Options) -> Self {
        Self::try_start(database, options).await.unwrap()
    }

    pub(crate) async fn try_start(database: &Database, options: Options) -> Result<Self, Error> {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let gate = Arc::new(Gate::default());
        let (engine, running) = listen(database, &options, &clock, &gate).await?;
        let twin = match options.twin {
            true => Some(listen(database, &options, &clock, &gate).await?.1),
            false => None,
        };
        let base = format!("http://{}", running.address);
        Ok(Self { database: database.clone(), clock, engine, gate, base, running, twin })
    }

    /// Stops this server and starts another on the same database.
    pub(crate) async fn restart(self, options: Options) -> Self {
        self.try_restart(options).await.unwrap()
    }

    pub(crate) async fn try_restart(self, options: Options) -> Result<Self, Error> {
        let database = self.database.clone();
        let twin = self.twin.is_some();
        self.stop().await;
        Self::try_start(&database, Options { twin, ..options }).await
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await.unwrap();
        if let Some(twin) = self.twin {
            twin.stop().await.unwrap();
        }
    }

    /// The private keys as an operator's command sees them, while this server serves.
    pub(crate) async fn keys_at_rest(&self, keys: &[&str]) -> KeysAtRest {
        let keys = keys.iter().map(|key| FernetKey::parse(key).unwrap()).collect();
        KeysAtRest::open(&config(&self.database), keys, self.clock.clone(), Arc::default()).await.unwrap()
    }

    /// Another database of the same kind, for another server.
    pub(crate) async fn database_beside(&self) -> Database {
        Database::create(match self.database {
            Database::Sqlite(_) => fastpki_testing::Kind::Sqlite,
            Database::Postgresql { .. } => fastpki_testing::Kind::Postgresql,
        })
        .await
    }

    /// A client that has not signed in.
    pub(crate) fn stranger(&self) -> Client {
        let twin = self.twin.as_ref().map(|twin| format!("http://{}", twin.address));
        let bases = [self.base.clone()].into_iter().chain(twin).collect();
        Client { http: reqwest::Client::new(), bases: Arc::new((bases, AtomicUsize::new(0))), token: None }
    }

    /// Who a client is, with its rights as they are now.
    pub(crate) async fn caller(&self, client: &Client) -> Caller {
        self.engine.authenticate(client.token.as_deref().unwrap()).await.unwrap()
    }

    /// Does something in a transaction of PostgreSQL that ends when somebody waits for it.
    pub(crate) async fn until_waited_for(&self, sql: &str) -> tokio::task::JoinHandle<()> {
        let script = format!(
            "DO $$ BEGIN
                 {sql};
                 LOOP
                     PERFORM pg_stat_clear_snapshot();
                     EXIT WHEN EXISTS (SELECT 1 FROM pg_stat_activity
                                       WHERE datname = current_database() AND wait_event_type = 'Lock');
                     PERFORM pg_sleep(0.01);
                 END LOOP;
             END $$"
        );
        let database = self.database.clone();
        let transaction = tokio::spawn(async move { database.script(&script).await });
        let running = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND query LIKE 'DO %' AND wait_event = 'PgSleep'";
        while self.database.peek(running).await != ["1"] {
            tokio::task::yield_now().await;
        }
        transaction
    }

    /// A client with this token.
    pub(crate) fn with_token(&self, token: &Value) -> Client {
        Client { token: Some(token.as_str().unwrap().to_owned()), ..self.stranger() }
    }

    /// A service account of an organization with a token of it.
    pub(crate) async fn service_account(&self, admin: &Client, name: &str, more: Value) -> (Value, Client) {
        let mut account = json!({"name": name});
        merge(&mut account, more);
        let account = admin.post("/api/v1/service-accounts/", account).await.expect(StatusCode::CREATED);
        let tokens = format!("/api/v1/service-accounts/{}/tokens", account["id"]);
        let token = admin.post(&tokens, json!({})).await.expect(StatusCode::CREATED);
        let client = self.with_token(&token["token"]);
        (account, client)
    }

    /// The first user, a superuser; signed in.
    pub(crate) async fn superuser(&self) -> Client {
        let user = json!({"username": "root", "email": "root@example.com", "password": PASSWORD, "role": "superuser"});
        self.stranger().post("/api/v1/users/", user).await.expect(StatusCode::CREATED);
        self.sign_in("root").await
    }

    pub(crate) async fn sign_in(&self, username: &str) -> Client {
        let stranger = self.stranger();
        let answer = stranger.sign_in(username, PASSWORD).await.expect(StatusCode::OK);
        Client { token: Some(answer["access_token"].as_str().unwrap().to_owned()), ..stranger }
    }

    /// A small world: two organizations with an admin and a plain user each.
    pub(crate) async fn world(&self) -> World {
        let root = self.superuser().await;
        let red =
            root.post("/api/v1/organizations/", json!({"name": "Red"})).await.expect(StatusCode::CREATED);
        let blue =
            root.post("/api/v1/organizations/", json!({"name": "Blue"})).await.expect(StatusCode::CREATED);
        for (name, role, organization) in [
            ("red-admin", "admin", &red["id"]),
            ("red-user", "user", &red["id"]),
            ("blue-admin", "admin", &blue["id"]),
            ("loner", "user", &Value::Null),
        ] {
            root.create_user(name, role, organization, json!({})).await;
        }
        World {
            red: red["id"].clone(),
            blue: blue["id"].clone(),
            red_admin: self.sign_in("red-admin").await,
            red_user: self.sign_in("red-user").await,
            blue_admin: self.sign_in("blue-admin").await,
            loner: self.sign_in("loner").await,
            root,
        }
    }
}

/// Randomness that can make a request stop where it draws some: when its rights were looked at, and before it writes.
#[derive(Default)]
pub(crate) struct Gate {
    /// Bytes whose drawing is to stop; none.
    armed: AtomicUsize,
    reached: tokio::sync::Notify,
    open: Mutex<bool>,
    opened: Condvar,
}

/// Bytes of a serial number.
pub(crate) const SERIAL: usize = 20;
/// Bytes of a refresh token.
pub(crate) const REFRESH_TOKEN: usize = 48;
/// Bytes of the public half of a service account's token.
pub(crate) const PUBLIC_ID: usize = 12;

impl Gate {
    /// Sends a request, does something else when it draws so many random bytes, and lets it go on.
    pub(crate) async fn meanwhile(
        &self,
        bytes: usize,
        request: impl Future<Output = Answer> + Send + 'static,
        other: impl Future,
    ) -> Answer {
        *self.open.lock().unwrap() = false;
        self.armed.store(bytes, Ordering::SeqCst);
        let request = tokio::spawn(request);
        self.reached.notified().await;
        other.await;
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
        request.await.unwrap()
    }
}

impl Entropy for Gate {
    fn fill(&self, bytes: &mut [u8]) {
        SystemEntropy.fill(bytes);
        if self.armed.compare_exchange(bytes.len(), 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.reached.notify_one();
            tokio::task::block_in_place(|| {
                drop(self.opened.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
            });
        }
    }
}

/// One server.
async fn listen(
    database: &Database,
    options: &Options,
    clock: &Arc<ManualClock>,
    gate: &Arc<Gate>,
) -> Result<(Arc<Engine>, Running), Error> {
    let keys = options.encryption_keys.iter().map(|key| FernetKey::parse(key).unwrap()).collect();
    let engine = Engine::start(Config {
        database: match options.database_url.clone() {
            Some(url) => DatabaseConfig::Postgres { url: url.into(), tls: TlsMode::Disable, root_cert: None },
            None => config(database),
        },
        encryption_keys: keys,
        progress: Arc::default(),
        secret_key: SECRET_KEY.to_owned().into(),
        service_account_pepper: None,
        algorithm: JwtAlgorithm::Hs256,
        access_token_minutes: 15,
        refresh_token_minutes: 1440,
        defaults: IssuingDefaults { ca_key_size: 2048, cert_key_size: 2048, ca_days: 3650, cert_days: 365 },
        // bcrypt's least: a third of a second for each sign-in would be most of the suite.
        password_cost: 4,
        clock: clock.clone(),
        entropy: gate.clone(),
    })
    .await?;
    let engine = Arc::new(engine);
    let many: RateLimits = vec![RateLimit { count: 10_000, window_seconds: 60 }];
    let state = AppState::new(
        engine.clone(),
        WebSettings {
            https: false,
            api_prefix: "/api/v1".into(),
            project_name: "FastPKI".into(),
            public_url: options.public_url.map(str::to_owned),
            trusted_proxies: options.trusted_proxies.iter().map(|network| network.parse().unwrap()).collect(),
            cors_origins: options.cors_origins.iter().map(|&origin| origin.to_owned()).collect(),
            allow_unauthenticated_registration: options.open_registration,
            enable_docs: options.docs,
            connections: options.connections.unwrap_or_default(),
            grace: Duration::from_secs(60),
            auth_rate_limit: options.rate_limit.map_or(many, |limit| vec![limit]),
        },
    );
    let running = serve(state, TcpListener::bind("127.0.0.1:0").unwrap(), None).unwrap();
    Ok((engine, running))
}

pub(crate) struct World {
    pub(crate) red: Value,
    pub(crate) blue: Value,
    pub(crate) root: Client,
    pub(crate) red_admin: Client,
    pub(crate) red_user: Client,
    pub(crate) blue_admin: Client,
    pub(crate) loner: Client,
}

/// Somebody who sends requests.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    /// The servers, which take turns.
    pub(crate) bases: Arc<(Vec<String>, AtomicUsize)>,
    pub(crate) token: Option<String>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    what: String,
}

impl Answer {
    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{}: no {name}", self.what)).to_str().unwrap()
    }
}

impl Client {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, |request| request).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, |request| request).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, |request| request.json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, |request| request.json(&body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, |request| request.json(&body)).await
    }

    pub(crate) async fn sign_in(&self, username: &str, password: &str) -> Answer {
        let form = [("username", username), ("password", password)];
        self.send(Method::POST, "/api/v1/auth/token", |request| request.form(&form)).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        dress: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Answer {
        let what = format!("{method} {path}");
        let (bases, turn) = &*self.bases;
        let base = &bases[turn.fetch_add(1, Ordering::Relaxed) % bases.len()];
        let mut request = self.http.request(method, format!("{base}{path}")).timeout(Duration::from_secs(60));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = dress(request).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, bytes: response.bytes().await.unwrap().to_vec(), what }
    }

    pub(crate) async fn create_user(
        &self,
        name: &str,
        role: &str,
        organization: &Value,
        more: Value,
    ) -> Value {
        let mut user = json!({
            "username": name,
            "email": format!("{name}@example.com"),
            "password": PASSWORD,
            "role": role,
            "organization_id": organization,
        });
        merge(&mut user, more);
        self.post("/api/v1/users/", user).await.expect(StatusCode::CREATED)
    }

    /// A CA with a P-256 key.
    pub(crate) async fn create_ca(&self, name: &str, more: Value) -> Value {
        self.try_create_ca(name, more).await.expect(StatusCode::CREATED)
    }

    pub(crate) async fn try_create_ca(&self, name: &str, more: Value) -> Answer {
        let mut ca = json!({"name": name, "subject_dn": format!("CN={name},O=Example"), "key_type": "ec"});
        merge(&mut ca, more);
        self.post("/api/v1/cas/", ca).await
    }

    /// A certificate with a P-256 key.
    pub(crate) async fn create_certificate(&self, ca: &Value, name: &str, more: Value) -> Value {
        self.try_create_certificate(ca, name, more).await.expect(StatusCode::CREATED)
    }

    pub(crate) async fn try_create_certificate(&self, ca: &Value, name: &str, more: Value) -> Answer {
        let mut certificate = json!({
            "common_name": name,
            "subject_dn": format!("CN={name}"),
            "certificate_type": "server",
            "key_type": "ec",
        });
        merge(&mut certificate, more);
        self.post(&format!("/api/v1/certificates/?ca_id={}", ca["id"]), certificate).await
    }
}

pub(crate) fn merge(object: &mut Value, more: Value) {
    let Value::Object(more) = more else { panic!("more fields come as an object") };
    for (name, value) in more {
        object[name] = value;
    }
}

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef0123";

/// What OpenSSL says of something, whatever its exit status.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> String {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A certificate as OpenSSL prints it.
pub(crate) fn printed(certificate: &Value) -> String {
    let pem = certificate["certificate"].as_str().unwrap();
    openssl(&["x509", "-noout", "-text", "-nameopt", "RFC2253,-dn_rev"], pem.as_bytes())
}

/// A CSR with a new key.
pub(crate) fn new_csr(key: &[&str], subject: &str, extensions: &[&str]) -> String {
    let mut arguments = vec!["req", "-new", "-nodes", "-keyout", "/dev/null", "-subj", subject];
    arguments.extend_from_slice(key);
    for extension in extensions {
        arguments.extend_from_slice(&["-addext", extension]);
    }
    let csr = openssl(&arguments, b"");
    let start = csr.find("-----BEGIN CERTIFICATE REQUEST").unwrap_or_else(|| panic!("{csr}"));
    let end = csr.find("-----END CERTIFICATE REQUEST-----").unwrap();
    csr[start..end].to_owned() + "-----END CERTIFICATE REQUEST-----\n"
}

pub(crate) const P256: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
