//! Listening, and stopping in good order.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use tokio::task::JoinHandle;

use crate::{router::router, state::AppState, tls::Tls};

/// A server that listens.
pub struct Running {
    /// Where it listens; tells the port where 0 was asked for.
    pub address: SocketAddr,
    /// What it shows to its clients, where it speaks TLS.
    pub tls: Option<Tls>,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
    tidying: Vec<JoinHandle<()>>,
    state: AppState,
}

/// Starts to listen and to serve, over TLS where there is a certificate for it.
pub fn serve(state: AppState, listener: TcpListener, tls: Option<Tls>) -> io::Result<Running> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let handle = Handle::new();
    let service = router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let task = match tls.clone() {
        Some(tls) => {
            let server = axum_server::from_tcp_rustls(listener, tls.config)?;
            tokio::spawn(bounded(server, &handle).serve(service))
        }
        None => tokio::spawn(bounded(axum_server::from_tcp(listener)?, &handle).serve(service)),
    };
    let mut tidying = vec![tokio::spawn(tidy(state.clone()))];
    tidying.extend(tls.clone().map(|tls| tokio::spawn(tls.follow())));
    Ok(Running { address, tls, handle, task, tidying, state })
}

/// HTTP/1.1 alone, and no longer or slower heads than any client sends.
fn bounded<A>(server: Server<SocketAddr, A>, handle: &Handle<SocketAddr>) -> Server<SocketAddr, A> {
    let mut server = server.http1_only().handle(handle.clone()).first_request_timeout(HEADER_TIMEOUT);
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD);
    server
}

impl Running {
    /// Finishes what runs, refuses what is new, and closes the database.
    pub async fn stop(self) -> io::Result<()> {
        self.handle.graceful_shutdown(Some(GRACE));
        let served = self.task.await.map_err(io::Error::other)?;
        self.tidying.iter().for_each(JoinHandle::abort);
        self.state.engine.close().await;
        served
    }
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
/// Bytes of the head of a request: an access token, a long query, and what proxies add.
const MAX_HEAD: usize = 64 * 1024;
/// How long running requests may take once the server was told to stop; an RSA-8192 key takes up to a minute.
const GRACE: Duration = Duration::from_secs(60);
