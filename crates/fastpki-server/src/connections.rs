//! Connections: how many there may be, and how long a client may leave an answer unread.

mod stream;

use std::{
    collections::HashMap,
    future::{Ready, ready},
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum_server::accept::Accept;
use ipnet::IpNet;
use tokio::net::TcpStream;

use crate::network::network;
use stream::PatientStream;

/// How many connections there may be, and how patient the server is with them.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionBounds {
    /// In all.
    pub all: usize,
    /// From one client address, or from one IPv6 /64. Trusted proxies, which speak for many, have no such bound.
    pub of_one_address: usize,
    /// How long a client may take nothing of its answer.
    pub unread: Duration,
}

impl ConnectionBounds {
    /// Bounds for a process that may have so many files open.
    pub fn for_open_files(limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let all = (limit - OTHER_FILES.min(limit / 2)).clamp(1, MAX_CONNECTIONS);
        Self { all, of_one_address: (all / 4).clamp(1, MAX_PER_ADDRESS), unread: UNREAD }
    }
}

impl Default for ConnectionBounds {
    fn default() -> Self {
        // The limit on Linux where nobody has set one.
        Self::for_open_files(1024)
    }
}

/// Decides which connections are let in, and counts those that are.
pub(crate) struct Door {
    bounds: ConnectionBounds,
    trusted_proxies: Vec<IpNet>,
    open: Mutex<Open>,
    stopping: AtomicBool,
    /// When a refusal, or a failure, was last logged.
    logged: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// A connection that was let in; makes room when it is dropped.
struct Place {
    door: Arc<Door>,
    /// Where it counts.
    network: Option<IpAddr>,
}

impl Door {
    pub(crate) fn new(bounds: ConnectionBounds, trusted_proxies: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            trusted_proxies,
            open: Mutex::default(),
            stopping: AtomicBool::new(false),
            logged: Mutex::default(),
        })
    }

    /// From now on, clients that take nothing of their answers are not waited for.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Reports that a connection could not be taken, at most once a minute.
    pub(crate) fn report(&self, peer: Option<&SocketAddr>, error: &io::Error) {
        // With a peer it is about that one alone: a TLS handshake that failed, a client that was refused.
        if peer.is_none() && self.may_log() {
            tracing::error!(
                %error,
                "connections cannot be accepted; if too many files are open, raise the limit (LimitNOFILE, ulimit -n)"
            );
        }
    }

    fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<Place, &'static str> {
        let peer = peer.to_canonical();
        let is_proxy = self.trusted_proxies.iter().any(|proxies| proxies.contains(&peer));
        let network = (!is_proxy).then(|| network(peer, CLIENT_PREFIX));
        // Health checks come from this machine: they are answered when nobody else is.
        let all = self.bounds.all + if peer.is_loopback() && !is_proxy { FOR_THIS_MACHINE } else { 0 };
        let mut open = self.open();
        if open.all >= all {
            return Err("as many connections as there may be are open");
        }
        if let Some(network) = network {
            let count = open.by_network.entry(network).or_default();
            if *count >= self.bounds.of_one_address {
                return Err("a client address has as many connections as one may have");
            }
            *count += 1;
        }
        open.all += 1;
        Ok(Place { door: Arc::clone(self), network })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_log(&self) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let may = logged.is_none_or(|at| at.elapsed() >= LOG_EVERY);
        if may {
            *logged = Some(Instant::now());
        }
        may
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.door.open();
        open.all -= 1;
        if let Some(network) = self.network
            && let Some(count) = open.by_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                open.by_network.remove(&network);
            }
        }
    }
}

/// Lets clients in, or turns them away.
#[derive(Clone)]
pub(crate) struct Doorkeeper {
    pub(crate) door: Arc<Door>,
    /// Whether HTTP is spoken without TLS, so that a refusal can be said in it.
    pub(crate) plain: bool,
}

impl<S> Accept<TcpStream, S> for Doorkeeper {
    type Stream = PatientStream;
    type Service = S;
    type Future = Ready<io::Result<(PatientStream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.admit(stream).map(|stream| (stream, service)))
    }
}

impl Doorkeeper {
    fn admit(&self, stream: TcpStream) -> io::Result<PatientStream> {
        let peer = stream.peer_addr()?.ip();
        match self.door.enter(peer) {
            Ok(place) => {
                // Bounds what the kernel keeps for a client that does not read, and lets the server see sooner
                // that a slow one goes on reading. Where it cannot be set, the kernel's own size does.
                let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER);
                Ok(PatientStream::new(stream, place))
            }
            Err(why) => {
                if self.door.may_log() {
                    tracing::warn!(%peer, "a connection was refused, and perhaps others: {why}");
                }
                if self.plain {
                    // It fits into the buffer of a new connection; where it does not, nobody waits.
                    let _ = stream.into_std().and_then(|mut stream| stream.write(REFUSAL));
                }
                Err(io::Error::other(why))
            }
        }
    }
}

/// The answer to a client that is not let in.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 10\r\ncontent-type: application/json\r\ncontent-length: 56\r\n\r\n{\"detail\":\"too many connections: try again in a moment\"}";
/// Connections in all, however many files may be open: at 20 KB each they take 160 MB.
const MAX_CONNECTIONS: usize = 8192;
/// Connections of one address: many clients behind one NAT, or a proxy that was not named as one, have fewer at once.
const MAX_PER_ADDRESS: usize = 256;
/// Files that are no connections: databases, the log, files of keys.
const OTHER_FILES: usize = 256;
/// Connections beyond the bound that are kept for this machine.
const FOR_THIS_MACHINE: usize = 16;
/// An IPv6 client has its whole /64.
const CLIENT_PREFIX: u8 = 64;
/// How long a client may take nothing of its answer: a broken network is back by then, or the client starts again.
const UNREAD: Duration = Duration::from_secs(60);
/// Bytes that the kernel keeps for a client; at 100 ms to the client, 2.5 MB/s.
const SEND_BUFFER: usize = 256 * 1024;
/// Time between two lines about refused connections.
const LOG_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
