//! Clients that no library would be: sockets, and bytes by hand.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use tokio::task::block_in_place;

use crate::harness::{Client, Server};

/// A connection to a server.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

impl Raw {
    pub(crate) fn connect(server: &Server) -> Self {
        let address = server.base.strip_prefix("http://").unwrap();
        let stream = block_in_place(|| TcpStream::connect(address)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    /// Sends bytes. A server that has answered may not take them all.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = block_in_place(|| self.stream.write_all(bytes.as_ref()));
        self
    }

    /// Says that nothing more comes.
    pub(crate) fn close_half(&mut self) -> &mut Self {
        self.stream.shutdown(Shutdown::Write).unwrap();
        self
    }

    /// The head of the next answer, or nothing where the server has closed the connection.
    pub(crate) fn head(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match block_in_place(|| self.stream.read(&mut byte)) {
                Ok(0) => break,
                Ok(_) => head.push(byte[0]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("no answer: {error}; so far: {}", String::from_utf8_lossy(&head)),
            }
        }
        String::from_utf8(head).unwrap()
    }

    /// The status of the next answer.
    #[track_caller]
    pub(crate) fn status(&mut self) -> u16 {
        let head = self.head();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no answer: {head:?}"))
    }

    /// Whether an answer begins within this time.
    pub(crate) fn is_answered_within(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let answered = block_in_place(|| self.stream.peek(&mut [0])).is_ok();
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        answered
    }

    /// Waits until the server has cut the connection.
    pub(crate) fn is_cut(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.stream.write_all(b"x").is_err() {
                return true;
            }
            block_in_place(|| std::thread::sleep(Duration::from_millis(20)));
        }
        false
    }
}

/// The head of a request of this client, with a body of so many bytes announced.
pub(crate) fn head(client: &Client, method: &str, path: &str, length: usize) -> String {
    let token = client.token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n"));
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{}content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
        token.unwrap_or_default()
    )
}

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(25);
