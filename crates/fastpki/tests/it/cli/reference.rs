//! Completions and manual pages.

use std::process::Command;

use super::{Person, cert::names};
use crate::program::text;

#[test]
fn completions_are_scripts_of_their_shells() {
    let person = Person::new("");
    for (shell, part) in
        [("bash", "complete -F _fastpki"), ("zsh", "#compdef fastpki"), ("fish", "complete -c fastpki")]
    {
        let script = person.prints(&["completions", shell]);
        assert!(script.contains(part) && script.contains("service-account"), "{shell}");
    }
    std::fs::write(person.folder().join("script"), person.prints(&["completions", "bash"])).unwrap();
    let script = "source ./script; COMP_WORDS=(fastpki ca cr); COMP_CWORD=2; _fastpki fastpki cr ca; echo ${COMPREPLY[@]}";
    let output =
        Command::new("bash").args(["-c", script]).current_dir(person.folder()).output().expect("bash");
    assert_eq!(text(&output.stdout), "create\n", "{}", text(&output.stderr));
}

#[test]
fn every_command_has_a_manual_page() {
    let person = Person::new("");
    person.run(&["man", "man1"]).succeeded();
    let pages = names(&person.folder().join("man1"));
    assert!(pages.len() > 70, "{pages:?}");
    for page in
        ["fastpki.1", "fastpki-serve.1", "fastpki-cert-create.1", "fastpki-service-account-token-create.1"]
    {
        assert!(person.read(&format!("man1/{page}")).contains(".SH SYNOPSIS"), "{page}");
    }
    assert_eq!(person.prints(&["man"]), person.read("man1/fastpki.1"));
}
