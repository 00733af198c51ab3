//! The client as its users run it, against the server as it is run.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use fastpki_testing::Database;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{PROGRAM, Ran, Server, Site, text};

mod auth;
mod ca;
mod cert;
mod config;
mod export;
mod guide;
mod help;
mod inspect;
mod members;
mod old_server;
mod reference;
mod refusals;
mod service_account;
mod stub;
mod terminal;
mod tls;

/// Somebody with a home and a configuration of their own, who works with one server.
#[derive(Clone)]
pub(crate) struct Person {
    home: Arc<TempDir>,
    server: String,
}

impl Person {
    /// Nobody yet.
    fn new(server: &str) -> Self {
        Self { home: Arc::new(tempfile::tempdir().expect("a temporary folder")), server: server.to_owned() }
    }

    /// The first user of a server, signed in.
    fn first(server: &str) -> Self {
        let person = Self::new(server);
        let user = ["user", "create", "-u", "root", "-e", "root@example.com", "-r", "superuser"];
        person.told(&user, PASSWORD).succeeded();
        person.sign_in("root");
        person
    }

    /// Signs in under a name, with the password that all have.
    fn sign_in(&self, name: &str) {
        self.told(&["auth", "login", "-u", name], PASSWORD).succeeded();
    }

    /// Another user, with these options, signed in.
    fn another(&self, name: &str, options: &[&str]) -> Self {
        let email = format!("{name}@example.com");
        self.told(&[&["user", "create", "-u", name, "-e", &email], options].concat(), PASSWORD).succeeded();
        let person = Self::new(&self.server);
        person.sign_in(name);
        person
    }

    fn folder(&self) -> &Path {
        self.home.path()
    }

    fn config_file(&self) -> std::path::PathBuf {
        self.folder().join(".config/fastpki/config.json")
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder())
            .env("FASTPKI_SERVER", &self.server)
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }

    /// Runs a command that reads this line.
    fn told(&self, arguments: &[&str], line: &str) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("the program starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        writeln!(pipe, "{line}").expect("it reads");
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        Ran {
            code: output.status.code().expect("by itself"),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// What a command that succeeds prints.
    fn prints(&self, arguments: &[&str]) -> String {
        self.run(arguments).succeeded().stdout
    }

    /// What a command that succeeds prints with `-o json`.
    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["-o", "json"]].concat()).succeeded().json()
    }

    /// The words on standard error of a command that the server refuses or that fails.
    fn refused(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{arguments:?}: {ran:?}");
        ran.stderr
    }

    /// A root CA and an issuing CA below it, with small keys: ids 1 and 2.
    fn create_cas(&self) {
        self.run(&["ca", "create", "-n", "Root", "--key-type", "ec", "--path-length", "1"]).succeeded();
        self.run(&["ca", "create", "-n", "Issuing", "--key-type", "ec", "-p", "1"]).succeeded();
    }

    /// The access token.
    fn token(&self) -> String {
        self.prints(&["config", "get", "auth.token"]).trim_end().to_owned()
    }

    /// What the API answers, byte for byte.
    async fn api(&self, path: &str) -> String {
        let url = format!("{}/api/v1{path}", self.server);
        let answer = reqwest::Client::new().get(url).bearer_auth(self.token()).send().await;
        answer.expect("an answer").text().await.expect("a text")
    }
}

impl Ran {
    fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("the program starts");
    Ran {
        code: output.status.code().expect("it ends by itself"),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// A server on this database, and its first user.
fn serve(database: Database) -> (Server, Person) {
    let server = Site::of(database).serve(&[]);
    let person = Person::first(&server.base_url);
    (server, person)
}

const PASSWORD: &str = "correct horse battery";
