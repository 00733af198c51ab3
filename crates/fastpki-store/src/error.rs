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
    /// The name looks like this one, which is taken.
    #[error("the name looks like '{0}', which is taken")]
    Lookalike(String),
    /// The row, or one that it refers to, is not there, or no longer in the state that the change needs.
    #[error("the row is gone or has changed")]
    Gone,
    /// Who acts is gone, inactive or disabled, or their token is dead.
    #[error("who acts may not be signed in any more")]
    NoStanding,
    /// Who acts has another role, organization or other permissions than those that were checked.
    #[error("the rights of who acts have changed")]
    RightsChanged,
    /// The user created something that is not of the organization whose admin acts.
    #[error("the user owns something outside of the organization")]
    OwnsElsewhere,
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
    /// Somebody else may have the private key.
    #[error("the key is compromised")]
    CompromisedKey,
    /// Somebody else may have the private key of the CA that is to be imported.
    #[error("the key of the CA is compromised")]
    CompromisedAuthority,
    /// The certificate to be renewed is revoked.
    #[error("the certificate is revoked")]
    RenewsRevoked,
    /// The key is that of a CA here.
    #[error("the key is that of a CA")]
    KeyOfAuthority,
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
    /// Every CRL number of a CA was used.
    #[error("the CA has used every CRL number there is")]
    NoCrlNumberLeft,
    /// The database cannot be used at present. Nothing was changed.
    #[error("database: {text}")]
    Unavailable {
        /// Why.
        outage: Outage,
        /// The same for the log.
        text: String,
    },
    /// The database was told to make a change durable, and did not say whether it did.
    #[error("database: {0}; it is not known whether the change was made")]
    Uncertain(String),
    /// The database refused, in a way that trying again does not help.
    #[error("database: {0}")]
    Database(String),
}

/// Why the database cannot be used at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// The connection ended: another may work.
    ConnectionLost,
    /// Others changed the same rows at the same time: the next attempt may succeed.
    Contended,
    /// It takes too long, is full, may not be written to, or cannot be reached.
    Stuck,
}

impl StoreError {
    /// That the database cannot be used at present.
    pub(crate) fn stuck(text: impl Into<String>) -> Self {
        Self::Unavailable { outage: Outage::Stuck, text: text.into() }
    }

    /// Whether the same work, tried again at once, may succeed.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { outage: Outage::ConnectionLost | Outage::Contended, .. })
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ffi::{self, ErrorCode};
        let rusqlite::Error::SqliteFailure(code, message) = &error else {
            return Self::Database(error.to_string());
        };
        match code.extended_code {
            // "UNIQUE constraint failed: users.username"
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                return Self::Duplicate(unique(message.as_deref().unwrap_or_default()));
            }
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => return Self::Gone,
            _ => {}
        }
        match code.code {
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen => Self::stuck(error.to_string()),
            _ => Self::Database(error.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState;
        let Some(db) = error.as_db_error() else { return without_answer(&error) };
        match db.code() {
            code if *code == SqlState::UNIQUE_VIOLATION => {
                Self::Duplicate(unique(db.constraint().unwrap_or_default()))
            }
            code if *code == SqlState::FOREIGN_KEY_VIOLATION => Self::Gone,
            code => {
                // Only the message: the detail may quote values.
                let text = format!("{} ({})", db.message(), code.code());
                match outage(code) {
                    Some(outage) => Self::Unavailable { outage, text },
                    None => Self::Database(text),
                }
            }
        }
    }
}

/// What an error says that PostgreSQL did not send.
fn without_answer(error: &tokio_postgres::Error) -> StoreError {
    // Why a server cannot be reached stands in the cause.
    let cause = std::error::Error::source(error);
    let text = format!("{error}{}", cause.map(|cause| format!(": {cause}")).unwrap_or_default());
    if error.is_closed() || cause.is_some_and(<dyn std::error::Error>::is::<std::io::Error>) {
        return StoreError::Unavailable { outage: Outage::ConnectionLost, text };
    }
    StoreError::Database(text)
}

/// Whether PostgreSQL says that it cannot serve at present, by the
/// [classes of its codes](https://www.postgresql.org/docs/current/errcodes-appendix.html).
fn outage(code: &tokio_postgres::error::SqlState) -> Option<Outage> {
    match code.code() {
        // Of a serialization failure, a deadlock.
        "40001" | "40P01" => Some(Outage::Contended),
        // It was told to stop, crashed, or ended a session that was idle.
        "57P01" | "57P02" | "57P05" | "25P03" => Some(Outage::ConnectionLost),
        // It starts or stops, was told to cancel, may not be written to, has waited too long for a lock.
        "57P03" | "57014" | "25006" | "55P03" => Some(Outage::Stuck),
        code => match &code[..2] {
            "08" => Some(Outage::ConnectionLost),
            // It has no room, memory or connection left; its disk fails.
            "53" | "58" => Some(Outage::Stuck),
            _ => None,
        },
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            // There was no connection yet, so nothing was done: the next attempt to make one comes with the next request.
            deadpool_postgres::PoolError::Backend(error)
            | deadpool_postgres::PoolError::PostCreateHook(deadpool_postgres::HookError::Backend(error)) => {
                Self::stuck(Self::from(error).to_string())
            }
            deadpool_postgres::PoolError::Timeout(_) => {
                Self::stuck("no connection to PostgreSQL became free in time")
            }
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
