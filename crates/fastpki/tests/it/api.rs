//! The API as its own description has it, judged by schemathesis.

use std::{path::Path, process::Command};

use fastpki_testing::required;

use crate::program::{PostgresDatabase, SECRET_KEY, Server, text};

#[test]
fn api_is_as_described_on_sqlite() {
    judge(&[], &[]);
}

#[test]
fn api_is_as_described_on_postgresql() {
    let database = PostgresDatabase::create();
    // Who may what is the same on both databases: here, only who may everything.
    judge(&[("DATABASE_URL", &database.url), ("SECRET_KEY", SECRET_KEY)], &["--as", "superuser"]);
}

/// Runs the judge against a server with these settings and those that it asks for.
fn judge(settings: &[(&str, &str)], arguments: &[&str]) {
    let settings = [settings, FOR_THE_JUDGE].concat();
    let server = Server::start(&settings);
    let output = Command::new(required("FASTPKI_TEST_PYTHON"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(JUDGE))
        .args([server.base_url.as_str().as_ref(), server.folder.path().join("judged").as_os_str()])
        .args(arguments)
        .output()
        .expect("the judge starts");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let log = server.stop();
    let errors: Vec<_> = log.iter().filter(|line| line.contains(r#""level":"ERROR""#)).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// From this package's folder.
const JUDGE: &str = "../../scripts/judges/api.py";
const FOR_THE_JUDGE: &[(&str, &str)] = &[
    ("ENABLE_DOCS", "true"),
    ("AUTH_RATE_LIMIT", "1000000/minute"),
    ("CA_KEY_SIZE", "2048"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "600"),
    ("LOG_FORMAT", "json"),
];
