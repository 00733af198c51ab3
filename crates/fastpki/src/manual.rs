//! Completions for shells and manual pages, made from the commands themselves.

use std::{
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use clap::{Command, ValueEnum};
use clap_complete::aot;
use clap_mangen::Man;

/// A shell that completions are made for.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    /// Bash, with bash-completion.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

/// Prints the completions for a shell.
pub(crate) fn completions(shell: Shell, mut program: Command) -> Result<(), String> {
    let mut script = Vec::new();
    let shell = match shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    aot::generate(shell, &mut program, "fastpki", &mut script);
    print(&script)
}

/// Writes a manual page for each command into a folder, or prints the program's own.
pub(crate) fn man(folder: Option<PathBuf>, program: Command) -> Result<(), String> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        Man::new(program.disable_help_subcommand(true))
            .render(&mut page)
            .map_err(|error| error.to_string())?;
        return print(&page);
    };
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut program = program.disable_help_subcommand(true);
    program.build();
    pages(program, &folder)?;
    eprintln!("written: manual pages in {}; read one with man {0}/fastpki.1", folder.display());
    Ok(())
}

/// A page for a command and for each below it.
fn pages(command: Command, folder: &Path) -> Result<(), String> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below.clone(), folder)?;
    }
    let (man, mut page) = (Man::new(command), Vec::new());
    man.render(&mut page).map_err(|error| error.to_string())?;
    fastpki_host::replace_public(&folder.join(man.get_filename()), &page).map_err(|error| error.to_string())
}

fn print(bytes: &[u8]) -> Result<(), String> {
    match std::io::stdout().write_all(bytes) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| error.to_string()),
    }
}
