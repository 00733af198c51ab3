//! Programs that end with this one.
//!
//! A child outlives its parent, unless the kernel is told otherwise, by the child itself, before it becomes the other
//! program. So this program is started once more, says so, and becomes the other.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// A command that runs `pg_dump` or `pg_restore`, which the kernel kills as soon as the thread that started it is gone, however
/// that ended. The program's `main` must begin with [`run_bound`]. It exits with 127 where there is no such program.
pub fn bound(program: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(BOUND).arg(std::process::id().to_string()).arg(program);
    command
}

/// Where this process was started by [`bound`], becomes what it is to run; returns only where that fails. `None`
/// where it was not.
pub fn run_bound(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != BOUND {
        return None;
    }
    let (parent, program) = (arguments.next()?, arguments.next()?);
    let error = match bind(&parent) {
        // Who may run this program as somebody else is not to run any other by it.
        Ok(()) if !PROGRAMS.iter().any(|known| program == *known) => {
            io::Error::other("not one of PostgreSQL's")
        }
        Ok(()) => Command::new(&program).args(arguments).exec(),
        Err(error) => error,
    };
    if error.kind() == io::ErrorKind::NotFound {
        return Some(ExitCode::from(NOT_FOUND));
    }
    eprintln!("{}: {error}", program.display());
    Some(ExitCode::from(NOT_STARTED))
}

fn bind(parent: &OsString) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before the kernel was told.
    let now = getppid().map_or(0, |parent| parent.as_raw_nonzero().get());
    if parent.to_str().and_then(|parent| parent.parse().ok()) == Some(now) {
        return Ok(());
    }
    Err(io::Error::other("the program that started this one has ended"))
}

/// What this program runs.
const PROGRAMS: [&str; 2] = ["pg_dump", "pg_restore"];
/// The first argument of a process that becomes another program; no person writes it.
const BOUND: &str = "__bound";
/// As shells have it.
const NOT_FOUND: u8 = 127;
/// As shells have it.
const NOT_STARTED: u8 = 126;
