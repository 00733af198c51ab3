//! The server's log: a thread of its own writes it to standard error, so that a log that nobody reads holds up nothing.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, Write},
    mem, panic,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use fastpki_server::settings::{LogFormat, LogLevel};

use crate::environment;

/// Lines on their way to standard error. There is room for so many; others are lost, and counted.
pub(crate) struct Log {
    queue: Mutex<Queue>,
    changed: Condvar,
    room: usize,
}

#[derive(Default)]
struct Queue {
    /// Lines that are written next.
    text: Vec<u8>,
    /// Whether those before them are still being written.
    writing: bool,
    /// How many lines were lost since the start.
    lost: usize,
}

impl Log {
    /// Begins to log, panics included. An error is a text for the operator.
    pub(crate) fn begin(level: LogLevel, format: LogFormat) -> Result<Arc<Self>, String> {
        let tell = |_: &Self, lost| {
            tracing::error!(lost, "lines of this log were lost since the start: it was not read");
        };
        let log = Self::over(io::stderr(), ROOM, tell)
            .map_err(|error| format!("error: the log's thread did not start: {error}"))?;
        environment::start_log_to(Arc::clone(&log), level, format);
        let panics = Arc::clone(&log);
        panic::set_hook(Box::new(move |panic| {
            let name = thread::current().name().unwrap_or("<unnamed>").to_owned();
            panics.say(&format!("thread '{name}' {panic}"));
            // As RUST_BACKTRACE says.
            let trace = Backtrace::capture();
            if trace.status() == BacktraceStatus::Captured {
                panics.say(&trace.to_string());
            }
        }));
        Ok(log)
    }

    /// Logs to this; says how many lines were lost when it is read again.
    fn over(
        out: impl Write + Send + 'static,
        room: usize,
        tell: impl Fn(&Self, usize) + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let log = Arc::new(Self { queue: Mutex::default(), changed: Condvar::new(), room });
        let writer = Arc::clone(&log);
        thread::Builder::new().name("log".into()).spawn(move || writer.write_to(out, tell))?;
        Ok(log)
    }

    /// Writes this as it is, whatever the format.
    pub(crate) fn say(&self, text: &str) {
        self.take(format!("{text}\n").as_bytes());
    }

    /// Waits until everything is written, for as long as somebody who reads it may take.
    pub(crate) fn wait_until_written(&self) {
        let unwritten = |queue: &mut Queue| queue.writing || !queue.text.is_empty();
        // Where it takes longer, nobody reads it.
        drop(self.changed.wait_timeout_while(self.queue(), WRITTEN_WITHIN, unwritten));
    }

    fn take(&self, lines: &[u8]) {
        let mut queue = self.queue();
        if queue.text.len() + lines.len() > self.room {
            queue.lost += count(lines);
        } else {
            queue.text.extend_from_slice(lines);
            self.changed.notify_all();
        }
    }

    /// Writes what comes, as long as the process lives.
    fn write_to(&self, mut out: impl Write, tell: impl Fn(&Self, usize)) {
        let mut told = 0;
        loop {
            let text = self.next();
            if write_whole(&mut out, &text).is_err() {
                self.queue().lost += count(&text);
            } else if let Some(lost) = self.lost_since(told) {
                // It is read again.
                told = lost;
                tell(self, lost);
            }
        }
    }

    /// What is to be written, once there is something.
    fn next(&self) -> Vec<u8> {
        let mut queue = self.queue();
        queue.writing = false;
        self.changed.notify_all();
        let waited = self.changed.wait_while(queue, |queue| queue.text.is_empty());
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        queue.writing = true;
        mem::take(&mut queue.text)
    }

    /// How many lines were lost, if it is more than that, and there is room to say so.
    fn lost_since(&self, told: usize) -> Option<usize> {
        let queue = self.queue();
        (queue.lost > told && queue.text.len() < self.room / 2).then_some(queue.lost)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One event a call.
impl Write for &Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.take(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn count(lines: &[u8]) -> usize {
    lines.iter().filter(|byte| **byte == b'\n').count()
}

/// Writes all of it, also where another program has made the file one that does not wait.
fn write_whole(out: &mut impl Write, mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        match out.write(text) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => text = &text[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Bytes that wait to be written at the most: some 40,000 lines of requests, as many as a quick server writes within
/// several seconds, the time that a collector takes to start again.
const ROOM: usize = 8 << 20;
/// How long somebody who reads the log may take for the last lines.
pub(crate) const WRITTEN_WITHIN: Duration = Duration::from_secs(1);
/// Time between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    #[test]
    fn lines_that_nobody_reads_are_lost_and_counted_once_somebody_does() {
        let (reader, writer) = io::pipe().unwrap();
        let log = begin(writer);
        let line = "x".repeat(1023);
        for _ in 0..MANY {
            log.say(&line);
        }
        // Nothing waits for it.
        log.wait_until_written();
        let lost = log.queue().lost;
        assert!(lost > 0 && lost < MANY, "{lost}");
        let mut lines = BufReader::new(reader).lines().map(|line| line.unwrap());
        for _ in lost..MANY {
            assert_eq!(lines.next().unwrap(), line);
        }
        assert_eq!(lines.next().unwrap(), format!("{lost} lost"));
        log.say("again");
        assert_eq!(lines.next().unwrap(), "again");
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_nothing_is_said_of_them_in_vain() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let log = begin(writer);
        for lost in 1..=3 {
            log.say("x");
            log.wait_until_written();
            assert_eq!(log.queue().lost, lost);
        }
    }

    #[test]
    fn everything_is_written_before_the_wait_is_over() {
        let (reader, writer) = io::pipe().unwrap();
        let log = begin(writer);
        for number in 0..100 {
            log.say(&number.to_string());
            log.wait_until_written();
            let queue = log.queue();
            assert!(queue.text.is_empty() && !queue.writing);
        }
        let lines = BufReader::new(reader).lines().map(|line| line.unwrap());
        assert!(lines.take(100).eq((0..100).map(|number: i32| number.to_string())));
    }

    fn begin(writer: io::PipeWriter) -> Arc<Log> {
        Log::over(writer, 1 << 20, |log, lost| log.say(&format!("{lost} lost"))).unwrap()
    }

    /// Kibibytes: more than a pipe holds, what is being written and what waits.
    const MANY: usize = 4096;
}
