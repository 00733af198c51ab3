//! Why the engine did not do what was asked.

use fastpki_store::{StoreError, Unique};

/// Why the engine did not do what was asked. The texts are for the client, but for `Internal`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody is signed in, or not any more.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The caller may not.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// What is asked cannot be.
    #[error("{0}")]
    Invalid(String),
    /// What is asked cannot be, for a reason that programs know by its code.
    #[error("{message}")]
    Coded {
        /// The code.
        code: &'static str,
        /// The same for people.
        message: &'static str,
    },
    /// A service account without an issuance policy asked for a certificate.
    #[error("this service account has no issuance policy: ask an admin to set one")]
    NoPolicy,
    /// A service account asked for a certificate that its policy does not allow.
    #[error("the issuance policy of this service account does not allow it: {field} {value}")]
    PolicyViolation {
        /// The rule of the policy.
        field: &'static str,
        /// What it does not allow.
        value: String,
    },
    /// It is not in the state for it.
    #[error("{0}")]
    Conflict(String),
    /// Too much of the same kind is waiting already: what it is. It may be tried again after a moment.
    #[error("{0}: try again in a moment")]
    Busy(&'static str),
    /// It cannot be done at present, for a reason that the client may know.
    #[error("{0}")]
    Unavailable(String),
    /// The database cannot be used at present.
    #[error("{text}")]
    Database {
        /// Whether the change that was asked for may have been made all the same.
        may_be_done: bool,
        /// What is wrong; for the log alone.
        text: String,
    },
    /// The CA publishes no CRL.
    #[error("{0}")]
    NoCrl(String),
    /// A fault of ours or of the machine; the text is for the log alone.
    #[error("{0}")]
    Internal(String),
}

impl From<fastpki_host::HostError> for Error {
    fn from(error: fastpki_host::HostError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate(Unique::Username) => {
                Self::Invalid("this username is taken: choose another".into())
            }
            StoreError::Lookalike(name) => {
                Self::Invalid(format!("this username looks like '{name}', which is taken: choose another"))
            }
            StoreError::Duplicate(Unique::Email) => Self::Invalid("this e-mail address is taken".into()),
            StoreError::Duplicate(Unique::OrganizationName) => {
                Self::Invalid("an organization with this name exists: choose another name".into())
            }
            StoreError::Duplicate(Unique::ServiceAccountName) => Self::Invalid(
                "a service account with this name exists in the organization: choose another name".into(),
            ),
            StoreError::Duplicate(Unique::AuthorityName) => Self::Invalid(
                "there is a CA with this name in the organization: choose another name, or rename that one".into(),
            ),
            StoreError::Duplicate(Unique::AuthoritySubject) => Self::Invalid(
                "there is a CA with this subject, under the same parent or, for CAs without one, in the same organization: \
                 choose another subject, since programs could not tell the two apart (one that is imported can go into \
                 another organization)"
                    .into(),
            ),
            StoreError::NotEmpty(what) => {
                Self::Invalid(format!("the organization still has {what}: delete or move those first"))
            }
            StoreError::SerialTaken(serial) => Self::Conflict(format!(
                "the CA has issued another certificate with the serial number {serial}, so this one cannot be imported"
            )),
            StoreError::CompromisedKey => Self::Invalid(
                "this key is known to be compromised, so it is not certified again: make a new key".into(),
            ),
            StoreError::CompromisedAuthority => Self::Invalid(format!(
                "the key of this CA is known to be compromised, so it is not imported: {NEW_CA}"
            )),
            StoreError::RenewsRevoked => Self::Conflict(
                "this certificate is revoked: set renew_revoked to issue one like it all the same".into(),
            ),
            StoreError::KeyOfAuthority => Self::Invalid(
                "this is the key of a CA, so it is not certified for anything else: make a new key".into(),
            ),
            StoreError::NotTheirs => Self::Conflict(
                "this CA is here already, in another organization: a superuser can move it (PATCH /cas/{id})"
                    .into(),
            ),
            StoreError::LastSuperuser => {
                Self::Forbidden("this is the last active superuser: make another one first".into())
            }
            StoreError::Duplicate(Unique::Serial | Unique::Other)
            | StoreError::Corrupt(_)
            | StoreError::Unusable(_)
            | StoreError::Unreadable(_)
            | StoreError::UnreadableKeys(_)
            | StoreError::DryRun(_)
            | StoreError::Database(_) => Self::Internal(error.to_string()),
            StoreError::Unavailable { .. } => Self::Database { may_be_done: false, text: error.to_string() },
            StoreError::Uncertain(_) => Self::Database { may_be_done: true, text: error.to_string() },
            StoreError::NoCrlNumberLeft => Self::Unavailable(
                "this CA has used every CRL number there is, so that it cannot publish another CRL".into(),
            ),
            StoreError::Gone => Self::Conflict("it was changed or deleted meanwhile: look again".into()),
            StoreError::NoStanding => Self::Unauthenticated(
                "signed out, deactivated or disabled while the request was served, so nothing was done: sign in again",
            ),
            StoreError::RightsChanged => Self::Forbidden(
                "your role, organization or permissions changed while the request was served, so nothing was done: try again".into(),
            ),
            StoreError::OwnsElsewhere => Self::Forbidden(
                "this user has created CAs or certificates outside your organization, which you would come to reach: ask a superuser to do it".into(),
            ),
            StoreError::PolicyChanged => Self::Conflict(
                "the issuance policy changed while the request was served, so nothing was issued: try again".into(),
            ),
            StoreError::IssuerRevoked => Self::Conflict(
                "the CA, or one above it, was revoked while the request was served: nothing can be issued under it any more".into(),
            ),
            StoreError::AlreadyRevoked => Self::Conflict("this certificate is already revoked".into()),
            StoreError::HasChildren => {
                Self::Conflict("this CA has intermediate CAs below it: delete those first".into())
            }
            StoreError::NotFirstUser => Self::Forbidden(
                "there are users already: sign in as an admin or a superuser to create more".into(),
            ),
        }
    }
}

impl From<fastpki_x509::Error> for Error {
    fn from(error: fastpki_x509::Error) -> Self {
        use fastpki_x509::Error as X509;
        match error {
            X509::Pem { .. }
            | X509::Malformed { .. }
            | X509::TooLarge { .. }
            | X509::TooMany { .. }
            | X509::WeakKey { .. }
            | X509::UnsupportedKey { .. }
            | X509::Name { .. }
            | X509::San { .. }
            | X509::SanNotAllowed { .. }
            | X509::SanRequired { .. }
            | X509::TooManySans { .. }
            | X509::Serial
            | X509::Validity { .. }
            | X509::IssuerExpired { .. }
            | X509::IssuerNotYetValid { .. }
            | X509::NotACa
            | X509::PathLenExceeded { .. }
            | X509::NameConstraint { .. }
            | X509::UnsupportedConstraint { .. }
            | X509::SubjectOfIssuer { .. }
            | X509::UnknownExtension { .. }
            | X509::PurposeNotAllowed { .. }
            | X509::PolicyRequired { .. }
            | X509::BadSignature { .. }
            | X509::UnsupportedSignature { .. }
            | X509::ListIssuerMismatch { .. }
            | X509::PasswordNeeded { .. }
            | X509::WrongPassword { .. }
            | X509::UnusablePassword { .. }
            | X509::UnsupportedEncryption { .. }
            | X509::KeyOfAnother => Self::Invalid(error.to_string()),
            X509::PrivateKey { .. }
            | X509::KeyMismatch
            | X509::IssuerMismatch { .. }
            | X509::Lint(_)
            | X509::Internal(_) => Self::Internal(error.to_string()),
        }
    }
}

impl Error {
    /// A fault in what only this program has touched.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }
}

/// The way on with a CA whose key others may have.
pub(crate) const NEW_CA: &str = "make a new CA, and replace what this one issued; until then publish its CRLs with the program that has it";
