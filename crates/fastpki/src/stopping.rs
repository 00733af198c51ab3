//! Commands that are told to stop before they are done.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use crate::environment;

/// Does this on a new runtime, unless a signal ends it first: then what it holds is let go of, so that an unfinished file
/// is removed, and the process ends without waiting for threads. An error is a text for the operator.
pub(crate) fn unless_stopped<T, E: std::fmt::Display>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    let runtime = environment::runtime()?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = work => done.map_err(|error| format!("error: {error}")),
            signal = stopped() => Err(signal),
        }
    });
    runtime.shutdown_background();
    done
}

/// Waits for a signal that is to end the process.
async fn stopped() -> String {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let [terminate, interrupt, hangup] = kinds.map(signal);
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = (terminate, interrupt, hangup) else {
        // Then they end the process as they do by themselves.
        return std::future::pending().await;
    };
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = hangup.recv() => "SIGHUP",
    };
    format!("error: stopped by {name} before it was done")
}
