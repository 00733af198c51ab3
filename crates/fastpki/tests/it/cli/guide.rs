//! What docs/cli.md says: its commands, run one after another.

use std::path::Path;

use fastpki_testing::{Database, on_both_databases};

use super::Person;
use crate::program::{PROGRAM, Site};

on_both_databases! {
    commands_of_the_guide_work,
}

async fn commands_of_the_guide_work(database: Database) {
    let server = Site::of(database).serve(&[]);
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md")).unwrap();
    let blocks = guide.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let script = blocks.collect::<Vec<_>>().join("\n");
    assert!(script.lines().count() > 60, "{script}");

    let person = Person::new("");
    let programs = Path::new(PROGRAM).parent().unwrap().to_str().unwrap();
    let mut bash = std::process::Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &script])
        .env_clear()
        .env("HOME", person.folder())
        .env("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin"))
        .env("server", &server.base_url)
        .current_dir(person.folder());
    super::ran(&mut bash).succeeded();
}
