//! What can go wrong between the engine and its rows.

/// A column, or a set of columns, that may hold a value only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// The name of a user.
    Username,
    /// The e-mail address of a user.
    Email,
    /// The name of an organization.
    OrganizationName,
    /// The name of a CA within its organization.
    AuthorityName,
    /// The subject of a CA below its parent or, without one, within its organization.
    AuthoritySubject,
    /// The name of a service account within its organization.
    ServiceAccountName,
    /// The serial number of what one CA issued.
    Serial,
    /// Any other.
    Other,
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The value is there already, and may be only once.
    #[error("{0:?} is taken")]
    Duplicate(Unique),
    /// The row, or one that it refers to, is not there, or no longer in the state that the change needs.
    #[error("the row is gone or has changed")]
    Gone,
    /// Who acts is gone, inactive or disabled, or their token is dead.
    #[error("who acts may not be signed in any more")]
    NoStanding,
    /// Who acts has another role, organization or other permissions than those that were checked.
    #[error("the rights of who acts have changed")]
    RightsChanged,
    /// The issuance policy is another than the one that was checked.
    #[error("the issuance policy has changed")]
    PolicyChanged,
    /// A CA that was to sign was revoked, or one above it.
    #[error("the CA was revoked")]
    IssuerRevoked,
    /// The certificate is revoked already.
    #[error("the certificate is revoked already")]
    AlreadyRevoked,
    /// A CA that others hang below cannot be deleted.
    #[error("the CA has children")]
    HasChildren,
    /// The organization still has something: what, in the plural.
    #[error("the organization still has {0}")]
    NotEmpty(&'static str),
    /// Another certificate of the CA has this serial number.
    #[error("another certificate has the serial number {0}")]
    SerialTaken(String),
    /// Everything was done, and taken back, as asked.
    #[error("nothing was changed, as asked")]
    DryRun(Box<fastpki_types::CaImported>),
    /// The CA is there, and another organization's.
    #[error("the CA is there and belongs to another organization")]
    NotTheirs,
    /// There would be no active superuser left.
    #[error("this is the last active superuser")]
    LastSuperuser,
    /// Somebody else became the first user.
    #[error("there are users already")]
    NotFirstUser,
    /// A stored private key cannot be read, or must not be used.
    #[error("{0}")]
    Unreadable(#[from] crate::seal::Unreadable),
    /// Several private keys at once.
    #[error("{0}")]
    UnreadableKeys(crate::at_rest::UnreadableKeys),
    /// The database holds something that neither this program nor the old system writes.
    #[error("the database holds an unexpected value: {0}")]
    Corrupt(String),
    /// The database is one that this program cannot use; the text says what to do.
    #[error("{0}")]
    Unusable(String),
    /// The database did not answer, or refused.
    #[error("database: {0}")]
    Database(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ffi;
        match &error {
            rusqlite::Error::SqliteFailure(code, Some(message)) => match code.extended_code {
                // "UNIQUE constraint failed: users.username"
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                    Self::Duplicate(unique(message))
                }
                ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Self::Gone,
                _ => Self::Database(error.to_string()),
            },
            _ => Self::Database(error.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState;
        let Some(db) = error.as_db_error() else {
            // Why a server cannot be reached stands in the cause.
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            return Self::Database(format!("{error}{cause}"));
        };
        match db.code() {
            code if *code == SqlState::UNIQUE_VIOLATION => {
                Self::Duplicate(unique(db.constraint().unwrap_or_default()))
            }
            code if *code == SqlState::FOREIGN_KEY_VIOLATION => Self::Gone,
            // Only the message: the detail may quote values.
            code => Self::Database(format!("{} ({})", db.message(), code.code())),
        }
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => error.into(),
            other => Self::Database(other.to_string()),
        }
    }
}

fn unique(constraint: &str) -> Unique {
    const NAMES: [(&str, Unique); 8] = [
        ("issuance_policies", Unique::Other),
        ("service_account_tokens", Unique::Other),
        ("service_account", Unique::ServiceAccountName),
        ("username", Unique::Username),
        ("email", Unique::Email),
        ("organizations", Unique::OrganizationName),
        ("fastpki_serials", Unique::Serial),
        ("", Unique::Other),
    ];
    NAMES.iter().find(|(part, _)| constraint.contains(part)).map_or(Unique::Other, |(_, unique)| *unique)
}
