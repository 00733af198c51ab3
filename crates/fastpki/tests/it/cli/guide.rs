//! What README.md, docs/cli.md and docs/importing.md say: their commands, run one after another.

use std::path::Path;

use fastpki_testing::{Database, on_both_databases};

use super::{Person, importing};
use crate::program::{PROGRAM, Ran, Server, Site};

on_both_databases! {
    commands_of_the_guide_work,
    imports_of_the_guide_work,
    tour_of_the_readme_works,
}

async fn commands_of_the_guide_work(database: Database) {
    let server = Site::of(database).serve(&[]);
    let script = commands(&read("docs/cli.md"));
    assert!(script.lines().count() > 60, "{script}");
    run(&Person::new(""), &server, &script);
}

async fn imports_of_the_guide_work(database: Database) {
    let (server, root) = super::serve(database);
    importing::old_folders(root.folder());
    let server_is = format!("export FASTPKI_SERVER={}", server.base_url);
    let script = format!("{server_is}\n{}", commands(&read("docs/importing.md")));
    assert!(script.matches("fastpki import").count() > 5, "{script}");
    let told = run(&root, &server, &script);
    assert!(told.stdout.contains("alice") && told.stdout.contains("www.example.com"), "{told:?}");
}

async fn tour_of_the_readme_works(database: Database) {
    let server = Site::of(database).serve(&[]);
    let readme = read("README.md");
    let (_, tour) = readme.split_once("## A tour").expect("a tour");
    let script = commands(tour);
    assert!(script.lines().count() > 12, "{script}");
    let script = script.replace("http://127.0.0.1:8000", &server.base_url);
    let told = run(&Person::new(""), &server, &script);
    for words in ["www/www.example.com.crt: OK", "Key Compromise", "revoked, as it should be", "cert_revoke"]
    {
        assert!(told.stdout.contains(words), "{words}: {told:?}");
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// The commands in a document.
fn commands(document: &str) -> String {
    let blocks = document.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    blocks.collect::<Vec<_>>().join("\n")
}

/// Runs them as somebody, at home.
fn run(person: &Person, server: &Server, script: &str) -> Ran {
    let programs = Path::new(PROGRAM).parent().unwrap().to_str().unwrap();
    let mut bash = std::process::Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script])
        .env_clear()
        .env("HOME", person.folder())
        .env("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin"))
        .env("server", &server.base_url)
        .current_dir(person.folder());
    super::ran(&mut bash).succeeded()
}
