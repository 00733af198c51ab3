//! `fastpki serve`: read the settings, start the engine, listen, and stop when told to.

use std::{net::TcpListener, path::PathBuf, sync::Arc};

use fastpki_engine::{Engine, Progress};
use fastpki_server::{
    AppState, Running, Tls, WebSettings, encryption_keys, engine_config, serve as listen,
    settings::{Settings, read_key_file},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{environment, progress::Watch};

/// Runs the server until it is told to stop. An error is a text for the operator.
pub(crate) fn serve() -> Result<(), String> {
    let settings = environment::settings()?;
    environment::start_log(settings.log_level, settings.log_format);
    environment::runtime()?.block_on(run(settings))
}

async fn run(settings: Settings) -> Result<(), String> {
    for note in &settings.notes {
        tracing::warn!("{note}");
    }
    if settings.encryption_keys.is_empty() {
        tracing::warn!(
            "PRIVATE_KEY_ENCRYPTION_KEY is not set: private keys lie in the database in plaintext"
        );
    }
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("error: {what}{error}");
    // Before anything that takes long: unless it is caught, a SIGHUP ends the process.
    let signals = Signals::new().map_err(|error| failed("signals cannot be received: ", &error))?;
    let progress: Arc<Progress> = Arc::default();
    let config = engine_config(&settings, Arc::clone(&progress)).map_err(|error| failed("", &error))?;
    let watch = Watch::over(&progress, |line| tracing::info!("{line}"));
    let engine = Engine::start(config).await;
    drop(watch);
    let engine = Arc::new(engine.map_err(|error| failed("", &error))?);
    if engine.awaits_first_user().await.map_err(|error| failed("", &error))? {
        tracing::warn!(
            "there is no user yet: whoever first sends POST {}/users/ decides who runs this PKI. Do it now, or run `fastpki admin create-user`",
            settings.api_prefix
        );
    }
    let tls = settings.tls.as_ref().map(Tls::load).transpose().map_err(|problem| failed("", &problem))?;
    let address = settings.listen;
    let listener = TcpListener::bind(address)
        .map_err(|error| failed(&format!("cannot listen on {address} (FASTPKI_LISTEN): "), &error))?;
    let key_file = settings.encryption_key_file.clone();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let state = AppState::new(Arc::clone(&engine), web_settings(settings));
    let running =
        listen(state, listener, tls).map_err(|error| failed("the server did not start: ", &error))?;
    tracing::info!("listening on {scheme}://{}", running.address);
    signals.wait(&engine, key_file, running.tls.as_ref()).await;
    stop(running).await
}

fn web_settings(settings: Settings) -> WebSettings {
    WebSettings {
        api_prefix: settings.api_prefix,
        https: settings.tls.is_some(),
        project_name: settings.project_name,
        public_url: settings.public_url,
        trusted_proxies: settings.trusted_proxies,
        cors_origins: settings.cors_origins,
        allow_unauthenticated_registration: settings.allow_unauthenticated_registration,
        enable_docs: settings.enable_docs,
        auth_rate_limit: settings.auth_rate_limit,
    }
}

/// What the process is told from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits until the process is to end; reads the files of keys again as often as it is told to.
    async fn wait(mut self, engine: &Arc<Engine>, key_file: Option<PathBuf>, tls: Option<&Tls>) {
        let one_at_a_time: Arc<tokio::sync::Mutex<()>> = Arc::default();
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    if let Some(tls) = tls {
                        tls.reload();
                    }
                    if tls.is_some() && key_file.is_none() {
                        continue;
                    }
                    let (engine, key_file) = (Arc::clone(engine), key_file.clone());
                    let turn = Arc::clone(&one_at_a_time).lock_owned();
                    tokio::spawn(async move {
                        let turn = turn.await;
                        reload_keys(&engine, key_file).await;
                        drop(turn);
                    });
                }
            }
        }
    }
}

async fn reload_keys(engine: &Engine, key_file: Option<PathBuf>) {
    let Some(path) = key_file else {
        tracing::warn!(
            "SIGHUP: there is nothing to read again, since PRIVATE_KEY_ENCRYPTION_KEY_FILE is not set, nor FASTPKI_TLS_CERT_FILE"
        );
        return;
    };
    let keys = match read_key_file(&path) {
        Ok(keys) => encryption_keys(&keys).map_err(|error| error.to_string()),
        Err(problem) => Err(problem.to_string()),
    };
    let fingerprints = |keys: &[fastpki_engine::FernetKey]| {
        keys.iter().map(|key| key.fingerprint().to_string()).collect::<Vec<_>>().join(" ")
    };
    match keys {
        Ok(keys) => {
            let set = fingerprints(&keys);
            match engine.replace_encryption_keys(keys).await {
                Ok(()) => tracing::info!(keys = set, "SIGHUP: encryption keys were read again"),
                Err(error) => tracing::error!(
                    keys = set,
                    %error,
                    "SIGHUP: encryption keys that are not in the file any more stay in use, since not every private key can be read without them"
                ),
            }
        }
        Err(error) => tracing::error!(%error, "SIGHUP: the encryption keys stay as they were"),
    }
}

async fn stop(running: Running) -> Result<(), String> {
    tracing::info!("stopping: finishing what runs, refusing what is new");
    running.stop().await.map_err(|error| format!("error: the server did not stop in good order: {error}"))?;
    tracing::info!("stopped");
    Ok(())
}
