//! Listening, and stopping in good order.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum_server::{Handle, Server, tls_rustls::RustlsAcceptor};
use hyper_util::rt::TokioTimer;
use tokio::task::JoinHandle;

use crate::{
    connections::{Door, Doorkeeper},
    heads::MAX_HEAD,
    router::router,
    state::AppState,
    tls::Tls,
};

/// A server that listens.
pub struct Running {
    /// Where it listens; tells the port where 0 was asked for.
    pub address: SocketAddr,
    /// What it shows to its clients, where it speaks TLS.
    pub tls: Option<Tls>,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
    tidying: Vec<JoinHandle<()>>,
    door: Arc<Door>,
    state: AppState,
}

/// Starts to listen and to serve, over TLS where there is a certificate for it.
pub fn serve(state: AppState, listener: TcpListener, tls: Option<Tls>) -> io::Result<Running> {
    let address = listener.local_addr()?;
    let handle = Handle::new();
    let service = router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let door = Door::new(state.web.connections, state.web.trusted_proxies.clone());
    let reports = Arc::clone(&door);
    let server = axum_server::from_tcp(listener)?
        .accept_error_handler(move |peer, error| reports.report(peer, error))
        .acceptor(Doorkeeper { door: Arc::clone(&door), plain: tls.is_none() });
    let task = match tls.clone() {
        Some(tls) => {
            let server = server.map(|doorkeeper| RustlsAcceptor::new(tls.config).acceptor(doorkeeper));
            tokio::spawn(bounded(server, &handle).serve(service))
        }
        None => tokio::spawn(bounded(server, &handle).serve(service)),
    };
    let mut tidying = vec![tokio::spawn(tidy(state.clone()))];
    tidying.extend(tls.clone().map(|tls| tokio::spawn(tls.follow())));
    Ok(Running { address, tls, handle, task, tidying, door, state })
}

/// HTTP/1.1 alone, and no longer or slower heads than any client sends. A client that has said all it has to say may
/// close its half of the connection, and gets its answer all the same.
fn bounded<A>(server: Server<SocketAddr, A>, handle: &Handle<SocketAddr>) -> Server<SocketAddr, A> {
    let mut server = server.http1_only().handle(handle.clone()).first_request_timeout(HEADER_TIMEOUT);
    server
        .http_builder()
        .http1()
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        // Heads that arrive whole may still be twice as long: the router refuses those.
        .max_buf_size(MAX_HEAD);
    server
}

impl Running {
    /// Finishes what runs, refuses what is new, and closes the database; in [`stop_within`] of the grace, whatever
    /// hangs.
    pub async fn stop(self) -> io::Result<()> {
        self.door.stop();
        self.handle.graceful_shutdown(Some(self.state.web.grace));
        let served = self.task.await.map_err(io::Error::other)?;
        self.tidying.iter().for_each(JoinHandle::abort);
        if tokio::time::timeout(CLOSING, self.state.engine.close()).await.is_err() {
            tracing::warn!(
                "the database did not close in time; everything that was answered is in it, but perhaps not when tokens of service accounts were last used"
            );
        }
        served
    }
}

/// How long a process takes to stop at the most, with this grace for the requests that run. `TimeoutStopSec` of the
/// systemd unit is longer.
pub fn stop_within(grace: Duration) -> Duration {
    grace + CLOSING + SLACK
}

/// Lets the engine tidy up.
async fn tidy(state: AppState) {
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    loop {
        minute.tick().await;
        state.engine.drop_idle_keys();
        match state.engine.sweep_tokens().await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "tokens that have ended were removed"),
            Err(error) => tracing::error!(%error, "tokens that have ended could not be removed"),
        }
        if let Err(error) = state.engine.record_token_uses().await {
            tracing::error!(%error, "when tokens were last used could not be written down");
        }
    }
}

/// How long the head of a request may take to arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the database may take to close: what is asked of it last takes milliseconds.
const CLOSING: Duration = Duration::from_secs(8);
/// What everything else takes, on a machine that is busy.
const SLACK: Duration = Duration::from_secs(2);
