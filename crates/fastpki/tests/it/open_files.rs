//! The limit of open files: connections leave enough of them for the database.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::program::{PROGRAM, SECRET_KEY, Server};

#[test]
fn connections_leave_files_for_the_database() {
    let server = limited("ulimit -n 128");
    let mut clients: Vec<TcpStream> = (0..64).map(|_| connect(&server)).collect();
    for client in &mut clients {
        assert_eq!(status(client, true), "200");
    }
    // All at once: each reads from the database.
    clients.iter_mut().for_each(ask);
    for client in &mut clients {
        assert_eq!(status(client, false), "200");
    }
    assert_eq!(status(&mut connect(&server), false), "503");
    drop(clients);
    let log = server.stop();
    assert!(log.iter().any(|line| line.contains("as many connections as there may be are open")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("ERROR")), "{log:#?}");
}

#[test]
fn soft_limit_of_open_files_is_raised() {
    let server = limited("ulimit -Hn 1024; ulimit -Sn 64");
    let mut clients: Vec<TcpStream> = (0..150).map(|_| connect(&server)).collect();
    for client in &mut clients {
        assert_eq!(status(client, true), "200");
    }
    server.stop();
}

#[test]
fn server_without_a_file_to_open_says_so_and_goes_on() {
    // 80 files that it knows nothing of: fewer are left than it takes connections.
    let server = limited("for file in {20..99}; do eval \"exec $file</dev/null\"; done; ulimit -n 128");
    let waiting: Vec<TcpStream> = (0..60).map(|_| connect(&server)).collect();
    let begun = Instant::now();
    while server.lines_with("connections cannot be accepted") == 0 {
        assert!(begun.elapsed() < PATIENCE, "{}", server.last_line());
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(waiting);
    assert_eq!(status(&mut connect(&server), true), "200");
    assert_eq!(
        server.lines_with("connections cannot be accepted"),
        1,
        "it is said once a minute at the most"
    );
    let log = server.stop();
    assert!(log.iter().any(|line| line.contains("Too many open files")), "{log:#?}");
}

/// Starts a server with limits.
fn limited(limits: &str) -> Server {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("{limits}; exec {PROGRAM} serve")]);
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let settings = [("SECRET_KEY", SECRET_KEY), ("TRUSTED_PROXIES", "127.0.0.1"), ("PATH", "/usr/bin:/bin")];
    Server::spawn(&mut command, folder, &settings)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.base_url.trim_start_matches("http://")).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

fn ask(client: &mut TcpStream) {
    // One that is refused has been closed.
    let _ = client.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n");
}

/// The status of the next answer, to a question that is asked now or was before.
fn status(client: &mut TcpStream, asks: bool) -> String {
    if asks {
        ask(client);
    }
    let mut answer = [0; 4096];
    let mut length = 0;
    // Each is a small object.
    while !answer[..length].ends_with(b"}") {
        let read = client.read(&mut answer[length..]).expect("an answer");
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer[..length]));
        length += read;
    }
    String::from_utf8_lossy(&answer[9..12]).into_owned()
}

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);
