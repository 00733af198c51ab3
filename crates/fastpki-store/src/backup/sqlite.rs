//! An SQLite database in another file.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::{db::open_to_read, error::StoreError};

/// Copies a database as it is at one instant. Nothing of what was deleted or replaced goes with it, other than in
/// a copy of the file.
pub(super) fn copy(from: PathBuf, into: PathBuf) -> Result<(), StoreError> {
    let connection = open_to_read(&from)?;
    connection.execute("VACUUM INTO ?1", [into.to_string_lossy()])?;
    Ok(())
}

/// The version of the schema of a database of ours that is whole.
pub(super) fn check(file: &Path) -> Result<i32, StoreError> {
    let shown = file.display();
    let connection = open_to_read(file)?;
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
