//! `fastpki db` and `fastpki admin`: what operators do on the host.

mod backup;
mod db;
mod doctor;
mod killed;
mod planted;
mod users;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::program::{PROGRAM, Ran, SECRET_KEY, Site, text};

/// Runs a command here, with this on its standard input. It prints no secret.
pub(crate) fn operate(site: &Site, arguments: &[&str], settings: &[(&str, &str)], input: &str) -> Ran {
    let mut command = site.command(arguments, settings);
    // PostgreSQL's programs are run by some.
    let path = std::env::var_os("PATH").expect("a path");
    let mut child = command.env("PATH", path).stdin(Stdio::piped()).spawn().expect("the program starts");
    // It may end before it reads anything.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    let ran = Ran {
        code: output.status.code().expect("it ends by itself"),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    };
    for secret in [SECRET_KEY, "-----BEGIN", "correct horse", "battery staple"] {
        let printed = ran.stdout.contains(secret) || ran.stderr.contains(secret);
        assert!(!printed, "{secret} is printed by {arguments:?}: {ran:?}");
    }
    ran
}

#[test]
fn every_help_says_what_it_does_and_gives_an_example() {
    for command in [
        "db status",
        "db migrate",
        "admin create-user",
        "admin reset-password",
        "doctor",
        "backup",
        "restore",
    ] {
        let arguments = command.split(' ').chain(["--help"]);
        let output = Command::new(PROGRAM).args(arguments).env_clear().output().expect("the program starts");
        let help = text(&output.stdout);
        let (described, example) = help.split_once("\nExample").expect("an example");
        let about = described.split_once("\n\nUsage:").expect("a usage").0;
        assert!(about.lines().count() > 2, "{help}");
        assert!(example.contains(&format!("fastpki {command}")), "{help}");
    }
}
