//! Questions to whoever sits at the terminal, on standard error.

use std::io::{BufRead, IsTerminal};

use dialoguer::{Confirm, Input, Password as HiddenInput};
use fastpki_types::Password;
use zeroize::Zeroizing;

use crate::error::Error;

/// Goes on only after a yes, or without asking where the question is answered beforehand.
pub(crate) fn confirm(question: &str, force: bool) -> Result<(), Error> {
    if force {
        return Ok(());
    }
    if !at_terminal() {
        return Err(Error::Failed(format!("{question} There is nobody to ask: add --force")));
    }
    match Confirm::new().with_prompt(question).default(false).interact() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Failed("nothing was done".into())),
        Err(error) => Err(unanswered(error)),
    }
}

/// A line of text.
pub(crate) fn text(prompt: &str, option: &str) -> Result<String, Error> {
    if !at_terminal() {
        return Err(Error::Usage(format!("{prompt} is missing: add {option}")));
    }
    Input::new().with_prompt(prompt).interact_text().map_err(unanswered)
}

/// A password that exists: asked for without showing it, or the first line of standard input.
pub(crate) fn password(prompt: &str) -> Result<Password, Error> {
    if !at_terminal() {
        return first_line(prompt);
    }
    HiddenInput::new().with_prompt(prompt).interact().map(Password::from).map_err(unanswered)
}

/// A password to be set: asked for twice.
pub(crate) fn new_password(prompt: &str) -> Result<Password, Error> {
    if !at_terminal() {
        return first_line(prompt);
    }
    HiddenInput::new()
        .with_prompt(prompt)
        .with_confirmation("The same once more", "These two differ")
        .interact()
        .map(Password::from)
        .map_err(unanswered)
}

fn first_line(what: &str) -> Result<Password, Error> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().lock().read_line(&mut line)?;
    let password = Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned());
    if password.is_empty() {
        return Err(Error::Usage(format!(
            "{what} is missing: run this in a terminal, or give it on standard input"
        )));
    }
    Ok(Password::from(password))
}

/// Whether somebody is there to be asked.
pub(crate) fn at_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn unanswered(error: dialoguer::Error) -> Error {
    let dialoguer::Error::IO(error) = error;
    Error::Terminal(error)
}
