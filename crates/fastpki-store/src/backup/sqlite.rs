//! An SQLite database in another file.

use std::{fs::File, path::Path};

use fastpki_host::{ByName, HostError, check_database};
use rusqlite::{
    Connection, ErrorCode,
    hooks::{AuthAction, AuthContext, Authorization},
};

use super::cannot_be_read;
use crate::{db::open_to_read, error::StoreError};

/// Copies a database as it is at one instant. Nothing of what was deleted or replaced goes with it, other than in
/// a copy of the file. SQLite opens by its name what it writes to; it goes on only if that is the file.
pub(super) fn copy(from: &Path, into: &Path, file: &File) -> Result<(), StoreError> {
    let mut connection = open_to_read(from)?;
    check_database(into).map_err(unusable)?;
    let by_name = ByName::of(file).map_err(|error| cannot_be_read(into, &error))?;
    // Asked before each statement of which this one is made: the first opens the file.
    connection.authorizer(Some(move |asked: AuthContext<'_>| match asked.action {
        AuthAction::Attach { .. } => Authorization::Allow,
        _ if by_name.is_opened() => Authorization::Allow,
        _ => Authorization::Deny,
    }))?;
    match connection.execute("VACUUM INTO ?1", [into.to_string_lossy()]) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::AuthorizationForStatementDenied) => {
            Err(unusable(HostError::Replaced(into.to_owned())))
        }
        copied => Ok(copied.map(drop)?),
    }
}

fn unusable(error: HostError) -> StoreError {
    StoreError::Unusable(error.to_string())
}

/// The version of the schema of a database of ours that is whole.
pub(super) fn check(path: &Path, file: &File) -> Result<i32, StoreError> {
    let shown = path.display();
    let by_name = ByName::of(file).map_err(|error| cannot_be_read(path, &error))?;
    let connection = open_to_read(path)?;
    if !by_name.is_opened() {
        return Err(unusable(HostError::Replaced(path.to_owned())));
    }
    let damage = first_damage(&connection)
        .map_err(|error| StoreError::Unusable(format!("{shown} is no SQLite database: {error}")))?;
    if damage != "ok" {
        return Err(StoreError::Unusable(format!("{shown} is damaged: {damage}; use another backup")));
    }
    let version = "/* applied */ SELECT MAX(version) FROM fastpki_migrations";
    connection.query_row(version, [], |row| row.get(0)).map_err(|_| {
        StoreError::Unusable(format!(
            "{shown} is no backup of this program's: it has no fastpki_migrations with a version in it"
        ))
    })
}

fn first_damage(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
}
