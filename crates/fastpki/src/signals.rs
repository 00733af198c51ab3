//! Signals from outside: the process ends when it is told to, whatever its other threads wait for.

use std::{io, process, sync::Arc, thread, time::Duration};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    time::sleep,
};

use crate::log::{Log, WRITTEN_WITHIN};

/// The signals that have arrived.
pub(crate) struct Signals {
    stop: watch::Receiver<bool>,
    reload: mpsc::Receiver<()>,
}

impl Signals {
    /// Catches SIGTERM, SIGINT and SIGHUP from now on, on a thread of its own, whatever the others wait for. Once
    /// told to stop, the process ends within this time, or at once on another SIGINT. Another SIGTERM changes nothing:
    /// service managers repeat it.
    pub(crate) fn catch(stop_within: Duration, log: Arc<Log>) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let caught = {
            let _inside = runtime.enter();
            Caught {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup: signal(SignalKind::hangup())?,
            }
        };
        let (stop, told_to_stop) = watch::channel(false);
        let (reload, told_to_reload) = mpsc::channel(1);
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(caught.pass_on(&stop, &reload, stop_within, &log)))?;
        Ok(Self { stop: told_to_stop, reload: told_to_reload })
    }

    /// Waits until the process is to stop.
    pub(crate) async fn told_to_stop(&mut self) {
        // An error is a thread that has ended: it ends with the process alone.
        let _ = self.stop.wait_for(|stop| *stop).await;
    }

    /// Waits until files are to be read again; false where the process is to stop.
    pub(crate) async fn told_to_reload(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => false,
            told = self.reload.recv() => told.is_some(),
        }
    }
}

/// The sources of signals.
struct Caught {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Caught {
    /// What is logged here waits for nobody who reads it; nor may anything else here wait.
    async fn pass_on(
        mut self,
        stop: &watch::Sender<bool>,
        reload: &mpsc::Sender<()>,
        end: Duration,
        log: &Log,
    ) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                // Where one is not dealt with yet, its files are read after this.
                _ = self.hangup.recv() => drop(reload.try_send(())),
            }
        }
        stop.send_replace(true);
        tokio::select! {
            _ = self.interrupt.recv() => {
                tracing::warn!("interrupted again: ending at once; requests that ran get no answer");
                log.wait_until_written();
                process::exit(1);
            }
            () = sleep(end.saturating_sub(WRITTEN_WITHIN)) => {
                tracing::warn!(
                    "still not stopped after {} s: ending; requests that ran get no answer, and what was answered is in the database",
                    end.as_secs()
                );
                log.wait_until_written();
                process::exit(0);
            }
        }
    }
}
