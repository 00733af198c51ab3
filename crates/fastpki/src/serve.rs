//! `fastpki serve`: read the settings, start the engine, listen, and stop when told to.

use std::{io::IsTerminal, net::TcpListener, sync::Arc};

use fastpki_engine::Engine;
use fastpki_server::{
    AppState, Running, WebSettings, engine_config, serve as listen,
    settings::{LogFormat, LogLevel, Settings},
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Runs the server until it is told to stop. An error is a text for the operator.
pub(crate) fn serve() -> Result<(), String> {
    let settings = settings()?;
    start_log(&settings);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("error: the runtime did not start: {error}"))?;
    runtime.block_on(run(settings))
}

fn settings() -> Result<Settings, String> {
    let dotenv = match std::fs::read_to_string(".env") {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("error: .env cannot be read: {error}")),
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
    Settings::load(environment, dotenv.as_deref()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| format!("error: {problem}")).collect();
        lines.join("\n")
    })
}

fn start_log(settings: &Settings) {
    let level = match settings.log_level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warning => "warn",
        LogLevel::Error | LogLevel::Critical => "error",
    };
    // Libraries may log what they are given; only this program's own lines are known to hold no secret.
    let filter = EnvFilter::new(format!(
        "off,fastpki={level},fastpki_server={level},fastpki_engine={level},fastpki_store={level}"
    ));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).init(),
        LogFormat::Auto => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).init(),
    }
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
    if settings.enable_docs {
        tracing::warn!("ENABLE_DOCS: this version has no API documentation pages yet");
    }
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("error: {what}{error}");
    let config = engine_config(&settings).map_err(|error| failed("", &error))?;
    let engine = Arc::new(Engine::start(config).await.map_err(|error| failed("", &error))?);
    if engine.awaits_first_user().await.map_err(|error| failed("", &error))? {
        tracing::warn!(
            "there is no user yet: whoever first sends POST {}/users/ decides who runs this PKI. Do it now",
            settings.api_prefix
        );
    }
    let address = settings.listen;
    let listener = TcpListener::bind(address)
        .map_err(|error| failed(&format!("cannot listen on {address} (FASTPKI_LISTEN): "), &error))?;
    let state = AppState::new(engine, web_settings(settings));
    let running = listen(state, listener).map_err(|error| failed("the server did not start: ", &error))?;
    tracing::info!("listening on http://{}", running.address);
    wait_for_signal().await.map_err(|error| failed("signals cannot be received: ", &error))?;
    stop(running).await
}

fn web_settings(settings: Settings) -> WebSettings {
    WebSettings {
        api_prefix: settings.api_prefix,
        project_name: settings.project_name,
        public_url: settings.public_url,
        trusted_proxies: settings.trusted_proxies,
        cors_origins: settings.cors_origins,
        allow_unauthenticated_registration: settings.allow_unauthenticated_registration,
        auth_rate_limit: settings.auth_rate_limit,
    }
}

async fn wait_for_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn stop(running: Running) -> Result<(), String> {
    tracing::info!("stopping: finishing what runs, refusing what is new");
    running.stop().await.map_err(|error| format!("error: the server did not stop in good order: {error}"))?;
    tracing::info!("stopped");
    Ok(())
}
