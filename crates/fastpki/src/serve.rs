//! `fastpki serve`: read the settings, start the engine, listen, and stop when told to.

use std::{net::TcpListener, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use fastpki_engine::{Engine, Progress};
use fastpki_server::{
    AppState, ConnectionBounds, Running, Tls, WebSettings, encryption_keys, engine_config, serve as listen,
    settings::{Settings, read_key_file},
    stop_within,
};

use crate::{environment, log::Log, progress::Watch, signals::Signals};

/// Runs the server until it is told to stop. An error is a text for the operator.
pub(crate) fn serve() -> Result<ExitCode, String> {
    let settings = environment::settings()?;
    let log = Log::begin(settings.log_level, settings.log_format)?;
    let code = match serve_until_stopped(settings, &log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            log.say(&message);
            ExitCode::FAILURE
        }
    };
    log.wait_until_written();
    Ok(code)
}

fn serve_until_stopped(settings: Settings, log: &Arc<Log>) -> Result<(), String> {
    // Before anything that takes long: unless they are caught, a SIGHUP ends the process, and as the first process
    // of a container it does not see a SIGTERM.
    let signals = Signals::catch(stop_within(grace(&settings)), Arc::clone(log))
        .map_err(|error| format!("error: signals cannot be received: {error}"))?;
    let runtime = environment::runtime()?;
    let served = runtime.block_on(run(settings, signals));
    // Keys that are being made, and a database that hangs, are not waited for: nobody waits for what they would give.
    runtime.shutdown_background();
    served
}

async fn run(settings: Settings, mut signals: Signals) -> Result<(), String> {
    for note in &settings.notes {
        tracing::warn!("{note}");
    }
    if settings.encryption_keys.is_empty() {
        tracing::warn!(
            "PRIVATE_KEY_ENCRYPTION_KEY is not set: private keys lie in the database in plaintext"
        );
    }
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("error: {what}{error}");
    let progress: Arc<Progress> = Arc::default();
    let config = engine_config(&settings, Arc::clone(&progress)).map_err(|error| failed("", &error))?;
    let watch = Watch::over(&progress, |line| tracing::info!("{line}"));
    // A task of its own: where it waits, for a lock or for the disk, signals are seen all the same.
    let starting = tokio::spawn(async move {
        let engine = Engine::start(config).await?;
        let awaits_first_user = engine.awaits_first_user().await?;
        Ok::<_, fastpki_engine::Error>((engine, awaits_first_user))
    });
    let started = tokio::select! {
        started = starting => started.map_err(|error| failed("the start was cut short: ", &error))?,
        () = signals.told_to_stop() => {
            drop(watch);
            tracing::info!("told to stop before listening: stopped; what the start had to do is done by the next one");
            return Ok(());
        }
    };
    drop(watch);
    let (engine, awaits_first_user) = started.map_err(|error| failed("", &error))?;
    let engine = Arc::new(engine);
    if awaits_first_user {
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
    follow(&mut signals, &engine, key_file, running.tls.as_ref()).await;
    stop(running).await
}

/// How long requests may take once the server was told to stop.
fn grace(settings: &Settings) -> Duration {
    Duration::from_secs(settings.stop_seconds.into())
}

fn web_settings(settings: Settings) -> WebSettings {
    WebSettings {
        grace: grace(&settings),
        connections: ConnectionBounds::for_open_files(raised_file_limit()),
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

/// Raises the limit of open files as far as this process may, and tells it: each connection is one.
fn raised_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_) => current.unwrap_or(u64::MAX),
    }
}

/// Waits until the process is to end; reads the files of keys again as often as it is told to.
async fn follow(signals: &mut Signals, engine: &Arc<Engine>, key_file: Option<PathBuf>, tls: Option<&Tls>) {
    let one_at_a_time: Arc<tokio::sync::Mutex<()>> = Arc::default();
    while signals.told_to_reload().await {
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
