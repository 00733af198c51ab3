//! What every handler can reach.

use std::{sync::Arc, time::Duration};

use fastpki_engine::Engine;
use ipnet::IpNet;

use crate::{connections::ConnectionBounds, rate_limit::RateLimiter, settings::RateLimits};

/// What every handler can reach. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub(crate) engine: Arc<Engine>,
    pub(crate) web: Arc<WebSettings>,
    pub(crate) sign_in_limit: Arc<RateLimiter>,
}

/// The settings that concern HTTP alone.
pub struct WebSettings {
    /// Path under which the REST API stands.
    pub api_prefix: String,
    /// What the service calls itself.
    pub project_name: String,
    /// Base of the addresses written into certificates; unset, it is each request's own.
    pub public_url: Option<String>,
    /// Whether the server itself speaks TLS.
    pub https: bool,
    /// Peers whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may call the API, or `*`.
    pub cors_origins: Vec<String>,
    /// Whether anyone may create an account.
    pub allow_unauthenticated_registration: bool,
    /// Whether the API's description and its page are served.
    pub enable_docs: bool,
    /// How often one client address may try to sign in.
    pub auth_rate_limit: RateLimits,
    /// How many connections there may be.
    pub connections: ConnectionBounds,
    /// How long requests may take once the server was told to stop.
    pub grace: Duration,
}

impl AppState {
    /// The state of a server of this engine.
    pub fn new(engine: Arc<Engine>, web: WebSettings) -> Self {
        let sign_in_limit = Arc::new(RateLimiter::new(web.auth_rate_limit.clone()));
        Self { engine, web: Arc::new(web), sign_in_limit }
    }
}
