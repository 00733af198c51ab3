//! What is well with a database, what is not, and what to do about it. Changes nothing.

mod clock;
mod expiry;
mod files;
mod keys;

use std::sync::Arc;

use fastpki_store::{DatabaseConfig, FernetKey, SchemaKind, Seal, Store};

pub use files::{check_private_file, check_space};

use crate::{Clock, Error};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: &'static str,
    /// Whether it is well.
    pub level: Level,
    /// How it is; where it is not well, what to do.
    pub text: String,
}

/// Whether something is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is.
    Ok,
    /// It can go on like this, and should not.
    Warning,
    /// It cannot.
    Error,
}

impl Finding {
    /// That something is well.
    pub fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, level: Level::Ok, text: text.into() }
    }

    /// That something should be mended.
    pub fn warning(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, level: Level::Warning, text: text.into() }
    }

    /// That something must be mended.
    pub fn error(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, level: Level::Error, text: text.into() }
    }
}

impl Level {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Looks at a database and at everything in it: at the newest private keys, or at all of them.
pub async fn check_database(
    database: &DatabaseConfig,
    keys: Vec<FernetKey>,
    clock: &dyn Clock,
    all_keys: bool,
) -> Vec<Finding> {
    let store = match Store::look(database).await {
        Ok(Some(store)) => store,
        Ok(None) => {
            let text = "there is none yet: the next start, or `fastpki db migrate`, makes one; is this the server's working directory, and DATABASE_URL the server's?";
            return vec![Finding::warning("database", text)];
        }
        Err(error) => return vec![Finding::error("database", error.to_string())],
    };
    let mut findings = Vec::new();
    if let Err(error) = look(&store, keys, clock, all_keys, &mut findings).await {
        findings.push(Finding::error("database", error.to_string()));
    }
    store.close().await;
    findings
}

async fn look(
    store: &Store,
    keys: Vec<FernetKey>,
    clock: &dyn Clock,
    all_keys: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    store.ping().await?;
    findings.push(Finding::ok("database", "it answers"));
    let schema = store.schema().await?;
    let text = match schema.kind {
        SchemaKind::Ours if schema.is_current() => {
            findings.push(Finding::ok("schema", format!("version {}, up to date", schema.version)));
            None
        }
        SchemaKind::Ours => Some(format!("version {} of {}", schema.version, schema.newest)),
        SchemaKind::Inherited => Some("that of FastPKI 0.4".to_owned()),
        SchemaKind::None => Some("the database is empty".to_owned()),
    };
    if let Some(text) = text {
        let advice =
            "the next start, or `fastpki db migrate`, brings it up to date; the rest was not looked at";
        findings.push(Finding::warning("schema", format!("{text}: {advice}")));
        return Ok(());
    }
    let now = clock.now();
    clock::check(store, now, findings).await?;
    check_users(store, findings).await?;
    keys::check(store, &Arc::new(Seal::new(keys)), all_keys, findings).await?;
    expiry::check(store, now, findings).await
}

async fn check_users(store: &Store, findings: &mut Vec<Finding>) -> Result<(), Error> {
    findings.push(if !store.any_user().await? {
        let text = "there are none: whoever reaches the server first becomes the first one; run `fastpki admin create-user --role superuser`";
        Finding::warning("users", text)
    } else if store.any_active_superuser().await? {
        Finding::ok("users", "there is an active superuser")
    } else {
        let text = "no superuser may sign in: run `fastpki admin reset-password USERNAME --activate`, or create one with `fastpki admin create-user --role superuser`";
        Finding::error("users", text)
    });
    Ok(())
}
