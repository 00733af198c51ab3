//! What `--help` says, for each command there is.

use std::{path::Path, process::Command};

use snapbox::{Assert, Data};

use crate::program::{PROGRAM, text};

#[test]
fn help_of_every_command_is_as_it_was_agreed_on() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let assert = Assert::new().action_env("SNAPSHOTS");
    let mut seen = Vec::new();
    look(&mut Vec::new(), &mut |path, help| {
        let name = [&["fastpki".to_owned()], path].concat().join("-") + ".txt";
        assert.eq(help.to_owned(), Data::read_from(&folder.join(&name), None));
        seen.push(name);
    });
    for entry in std::fs::read_dir(&folder).expect("transcripts") {
        let name = entry.expect("a transcript").file_name().into_string().expect("text");
        assert!(seen.contains(&name), "{name} is of no command");
    }
}

#[test]
fn help_of_every_command_that_does_something_has_an_example() {
    let mut count = 0;
    look(&mut Vec::new(), &mut |path, help| {
        if !help.contains("\nCommands:\n") {
            assert!(help.contains("\nExample"), "{path:?}: {help}");
            count += 1;
        }
    });
    assert!(count > 60, "{count} commands");
}

/// Looks at the help of a command and of all below it.
fn look(path: &mut Vec<String>, see: &mut dyn FnMut(&[String], &str)) {
    let help = help(path);
    see(path, &help);
    let commands = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
    let names = commands.lines().take_while(|line| !line.is_empty());
    // A line that goes on is further in.
    let names = names.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        path.push(name.to_owned());
        look(path, see);
        path.pop();
    }
}

fn help(path: &[String]) -> String {
    let output =
        Command::new(PROGRAM).args(path).arg("--help").env_clear().output().expect("the program starts");
    assert!(output.status.success() && output.stderr.is_empty(), "{path:?}");
    // Trailing blanks are clap's.
    text(&output.stdout).lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
