//! PostgreSQL's enumerated types of FastPKI 0.4, whole.
//!
//! What FastPKI left in them depends on its version and on whether its migrations were run, so they are looked at, at
//! each start.

use crate::{db::Tx, error::StoreError};

/// Adds the values that each enumerated type lacks of those that the script of FastPKI 0.4's tables gives it.
pub(super) async fn complete(tx: &mut Tx, script: &'static str) -> Result<(), StoreError> {
    if tx.is_sqlite() {
        return Ok(());
    }
    for (name, values) in types(script) {
        let present = values_of(tx, name).await?;
        for value in values.iter().filter(|value| !present.iter().any(|there| there == *value)) {
            tx.script(&format!("ALTER TYPE {name} ADD VALUE '{value}'")).await?;
        }
    }
    Ok(())
}

async fn values_of(tx: &mut Tx, name: &str) -> Result<Vec<String>, StoreError> {
    let sql = "/* enum_values */ SELECT CAST(e.enumlabel AS TEXT) FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
               WHERE t.typnamespace = CAST(current_schema() AS regnamespace) AND CAST(t.typname AS TEXT) = $1";
    tx.rows(sql, &[name.into()]).await?.into_iter().map(|mut row| row.next()).collect()
}

/// The types that a script creates, with their values.
fn types(script: &'static str) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    script.lines().filter_map(|line| {
        let (name, values) = line.strip_prefix("postgres: CREATE TYPE ")?.split_once(" AS ENUM (")?;
        Some((
            name,
            values.trim_end_matches(");").split(", ").map(|value| value.trim_matches('\'')).collect(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::types;
    use crate::migrate::BASELINE_SCRIPT;

    #[test]
    fn script_names_four_types_with_all_their_values() {
        let counts: Vec<_> = types(BASELINE_SCRIPT).map(|(name, values)| (name, values.len())).collect();
        let expected =
            [("userrole", 3), ("certificatetype", 4), ("certificatestatus", 3), ("auditaction", 20)];
        assert_eq!(counts, expected);
        assert!(types(BASELINE_SCRIPT).any(|(_, values)| values.contains(&"SERVICE_ACCOUNT_TOKEN_REVOKE")));
    }
}
