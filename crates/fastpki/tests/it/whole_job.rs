//! The whole job of a private CA, done by the program itself and judged by other people's programs.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use fastpki_testing::required;

use crate::program::{PostgresDatabase, SECRET_KEY, Server, generated_key, python, text};

#[test]
fn whole_job_with_curl_on_sqlite() {
    let server = Server::start(&[]);
    do_the_whole_job(&server);
    server.stop();
}

#[test]
fn whole_job_with_curl_on_postgresql() {
    let database = PostgresDatabase::create();
    let server = Server::start(&[("DATABASE_URL", &database.url), ("SECRET_KEY", SECRET_KEY)]);
    do_the_whole_job(&server);
    server.stop();
}

#[test]
fn log_holds_no_secrets() {
    let encryption_key = generated_key();
    let server = Server::start(&[
        ("LOG_LEVEL", "DEBUG"),
        ("LOG_FORMAT", "json"),
        ("SECRET_KEY", SECRET_KEY),
        ("PRIVATE_KEY_ENCRYPTION_KEY", &encryption_key),
    ]);
    let met = do_the_whole_job(&server).join("secrets");
    let met = std::fs::read_to_string(met).expect("the secrets that the job met");
    let log = server.stop();

    let requests = log.iter().filter(|line| line.contains(r#""route":"/api/v1/"#)).count();
    assert!(requests > 200, "{requests} requests to the API are logged: is this the whole log?");
    let keys = [SECRET_KEY, &encryption_key, "-----BEGIN"];
    let secrets: Vec<&str> = met.lines().chain(keys).collect();
    assert!(secrets.len() > 200, "{} secrets: is this all that the job met?", secrets.len());
    for line in &log {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "not JSON: {line}");
        let leaked = secrets.iter().find(|secret| line.contains(**secret));
        assert_eq!(leaked, None, "in the log: {line}");
    }
}

#[test]
fn generated_encryption_keys_are_fernet_keys_and_differ() {
    let keys = [generated_key(), generated_key()];
    assert_ne!(keys[0], keys[1]);
    for key in keys {
        python(FERNET_ROUND_TRIP, &key);
    }
}

/// Runs the script that does the whole job, and tells in which folder it left what it met.
fn do_the_whole_job(server: &Server) -> PathBuf {
    let folder = server.folder.path().join("job");
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(WHOLE_JOB))
        .args([server.base_url.as_str().as_ref(), folder.as_os_str()])
        .env("FASTPKI_TEST_PYTHON", required("FASTPKI_TEST_PYTHON"))
        .output()
        .expect("the script starts");
    let (passed, failed) = (text(&output.stdout), text(&output.stderr));
    let last: Vec<&str> = passed.lines().rev().take(10).collect();
    assert!(output.status.success(), "{failed}\nbefore that, latest first: {last:#?}");
    folder
}

/// From this package's folder.
const WHOLE_JOB: &str = "../../scripts/judges/whole-job.sh";
const FERNET_ROUND_TRIP: &str = "
import sys
from cryptography.fernet import Fernet
key = Fernet(sys.stdin.read())
assert key.decrypt(key.encrypt(b'text')) == b'text'
";
