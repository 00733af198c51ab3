//! A connection that does not wait for ever for a client that does not read.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::Place;

/// A stream whose writes fail where the client takes nothing for long.
pub(crate) struct PatientStream {
    stream: TcpStream,
    place: Place,
    stalled: Option<Stalled>,
}

/// A write that waits for the client.
struct Stalled {
    looks: u32,
    next_look: Pin<Box<Sleep>>,
}

impl PatientStream {
    pub(super) fn new(stream: TcpStream, place: Place) -> Self {
        Self { stream, place, stalled: None }
    }

    /// Passes on how a write went, unless it has waited for too long.
    fn patiently<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let door = &self.place.door;
        let pause = door.bounds.unread / LOOKS;
        let stalled = self.stalled.get_or_insert_with(|| Stalled::begin(pause));
        loop {
            ready!(stalled.next_look.as_mut().poll(context));
            stalled.looks += 1;
            if stalled.looks >= LOOKS || door.stopping.load(Ordering::Relaxed) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            stalled.next_look = Box::pin(sleep(pause));
        }
    }
}

impl Stalled {
    fn begin(pause: Duration) -> Self {
        Self { looks: 0, next_look: Box::pin(sleep(pause)) }
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.patiently(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.patiently(context, written)
    }

    /// Without it, what is to be sent would be copied for each client.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// How often a stalled write is looked at before it fails. A server that stops does not wait for a second look.
const LOOKS: u32 = 12;
