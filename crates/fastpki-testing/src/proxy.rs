//! Something between a server and PostgreSQL that can stop passing on what is said.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use tokio_postgres::{Config, config::Host};

use crate::Database;

/// Passes on what is said to a PostgreSQL database and what it answers, until it is told to hang.
pub struct Proxy {
    url: String,
    state: Arc<AtomicU8>,
}

impl Proxy {
    /// One before this database.
    pub fn before(database: &Database) -> Self {
        let config: Config = database.url().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let user = config.get_user().unwrap_or("postgres");
        let password = config.get_password().map(String::from_utf8_lossy).unwrap_or_default();
        let (port, name) = (listener.local_addr().unwrap().port(), config.get_dbname().unwrap());
        let url = format!("postgresql://{user}:{password}@127.0.0.1:{port}/{name}?sslmode=disable");
        let state: Arc<AtomicU8> = Arc::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (config, state) = (config.clone(), Arc::clone(&shared));
                thread::spawn(move || connect(client, &config, &state));
            }
        });
        Self { url, state }
    }

    /// The database's URL by way of this.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops passing on anything, on old connections and on new ones.
    pub fn hang(&self) {
        self.state.store(HANGS, Ordering::SeqCst);
    }

    /// Passes on the next COMMIT, and then nothing any more.
    pub fn hang_after_commit(&self) {
        self.state.store(HANGS_AFTER_COMMIT, Ordering::SeqCst);
    }

    /// Goes on.
    pub fn resume(&self) {
        self.state.store(PASSES, Ordering::SeqCst);
    }
}

fn connect(client: TcpStream, config: &Config, state: &Arc<AtomicU8>) {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match &config.get_hosts()[0] {
        Host::Tcp(host) => {
            let server = TcpStream::connect((host.as_str(), port)).unwrap();
            between(client, server.try_clone().unwrap(), server, state);
        }
        Host::Unix(folder) => {
            let server = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).unwrap();
            between(client, server.try_clone().unwrap(), server, state);
        }
    }
}

fn between(
    client: TcpStream,
    to: impl Write + Send + 'static,
    from: impl Read + Send + 'static,
    state: &Arc<AtomicU8>,
) {
    let answers = client.try_clone().unwrap();
    let (asking, answering) = (Arc::clone(state), Arc::clone(state));
    thread::spawn(move || pass_on(client, to, &asking, true));
    thread::spawn(move || pass_on(from, answers, &answering, false));
}

/// Passes on until one side is done, or hangs.
fn pass_on(mut from: impl Read, mut to: impl Write, state: &AtomicU8, asks: bool) -> Option<()> {
    let mut bytes = [0; 65536];
    loop {
        let length = from.read(&mut bytes).ok().filter(|length| *length > 0)?;
        let commits = bytes[..length].windows(6).any(|word| word == b"COMMIT");
        if asks && commits && state.load(Ordering::SeqCst) == HANGS_AFTER_COMMIT {
            state.store(HANGS, Ordering::SeqCst);
        } else {
            while state.load(Ordering::SeqCst) == HANGS {
                thread::sleep(Duration::from_millis(5));
            }
        }
        to.write_all(&bytes[..length]).ok()?;
    }
}

const PASSES: u8 = 0;
const HANGS: u8 = 1;
const HANGS_AFTER_COMMIT: u8 = 2;
