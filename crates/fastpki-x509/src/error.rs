use jiff::Timestamp;

use crate::{profile::Profile, san::SanKind};

/// Everything this crate refuses, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text holds no PEM block of the kind asked for, or a broken one.
    #[error("no readable PEM block of type {expected:?}: {reason}")]
    Pem {
        /// The label looked for.
        expected: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// The bytes are not the DER structure they should be.
    #[error("malformed {what}: not the DER structure it should be")]
    Malformed {
        /// The structure that was read.
        what: &'static str,
    },
    /// The input is larger than anything legitimate.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What was read or written.
        what: &'static str,
        /// The most it may have, in bytes.
        limit: usize,
    },
    /// There is more of something than anything legitimate has.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The most there may be.
        limit: usize,
    },
    /// The public key is of a known kind but too weak or malformed to certify.
    #[error("weak public key: {reason}")]
    WeakKey {
        /// What is weak, and what would be right.
        reason: String,
    },
    /// The key is of a kind that cannot be used.
    #[error("unsupported key: {reason}")]
    UnsupportedKey {
        /// What is unsupported, and what would be right.
        reason: String,
    },
    /// The private key cannot be read.
    #[error("unreadable private key: {reason}")]
    PrivateKey {
        /// What is wrong; never any part of the key.
        reason: &'static str,
    },
    /// What should be opened is encrypted, and no password was given.
    #[error("the {what} is encrypted: give its password")]
    PasswordNeeded {
        /// What is encrypted.
        what: &'static str,
    },
    /// The password does not open what it should.
    #[error("wrong password: it does not open the {what}; if you are sure of it, the {what} is damaged")]
    WrongPassword {
        /// What is encrypted.
        what: &'static str,
    },
    /// The password cannot encrypt.
    #[error("unusable password: {reason}")]
    UnusablePassword {
        /// What is wrong, and what would be right.
        reason: &'static str,
    },
    /// What should be opened is encrypted in a way that is not read.
    #[error("the {what} is encrypted in a way that is not read ({scheme}): {advice}")]
    UnsupportedEncryption {
        /// What is encrypted.
        what: &'static str,
        /// The name or object identifier of the scheme, with what is unusual about it.
        scheme: String,
        /// How to make it readable.
        advice: &'static str,
    },
    /// The private key and the certificate it is handed over with are of two pairs.
    #[error("the private key does not belong to the certificate")]
    KeyOfAnother,
    /// The private key does not belong to the certificate it should sign for.
    #[error("the private key does not belong to the issuer's certificate")]
    KeyMismatch,
    /// A distinguished name, or a part of one, is not acceptable.
    #[error("invalid distinguished name at {part:?}: {reason}")]
    Name {
        /// The offending part as written.
        part: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A subject alternative name is not acceptable.
    #[error("invalid subject alternative name {value:?}: {reason}")]
    San {
        /// The offending value as written.
        value: String,
        /// What is wrong, and what would be right.
        reason: &'static str,
    },
    /// The profile carries no subject alternative names of this kind.
    #[error("a {profile} certificate carries no {kind} subject alternative names")]
    SanNotAllowed {
        /// The kind that was asked for.
        kind: SanKind,
        /// The profile that refuses it.
        profile: Profile,
    },
    /// The common name makes no subject alternative name, and no other was given.
    #[error(
        "a {profile} certificate needs a subject alternative name, and the common name is neither a host name nor an IP address"
    )]
    SanRequired {
        /// The profile that requires one.
        profile: Profile,
    },
    /// There are more subject alternative names than a certificate may have.
    #[error("more than {limit} subject alternative names")]
    TooManySans {
        /// The most there may be.
        limit: usize,
    },
    /// The serial number is not a positive integer of at most twenty octets.
    #[error("invalid serial number: it must be a positive integer of at most 20 octets")]
    Serial,
    /// The validity is empty, or ends after what X.509 can express.
    #[error("invalid validity: {reason}")]
    Validity {
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The issuer's certificate has expired.
    #[error("the issuer's certificate expired at {not_after}")]
    IssuerExpired {
        /// When it did.
        not_after: Timestamp,
    },
    /// The issuer's certificate is not valid yet.
    #[error("the issuer's certificate is not valid before {not_before}")]
    IssuerNotYetValid {
        /// When it will be.
        not_before: Timestamp,
    },
    /// The issuer's certificate may not sign certificates, or revocation lists where one is made.
    #[error("the issuer is not a certificate authority that may sign this")]
    NotACa,
    /// The path length of a CA in the chain leaves no room for another CA below it.
    #[error("path length exceeded: a CA above allows at most {limit} CAs below it")]
    PathLenExceeded {
        /// The path length constraint that is exceeded.
        limit: u8,
    },
    /// A name constraint of a CA in the chain does not permit a name.
    #[error("the name {name:?} is not permitted by the name constraints of {authority:?}")]
    NameConstraint {
        /// The name asked for.
        name: String,
        /// The subject of the CA whose certificate holds the constraint.
        authority: String,
    },
    /// A CA in the chain constrains names in a way that cannot be honoured.
    #[error("the chain holds a name constraint that cannot be honoured: {reason}")]
    UnsupportedConstraint {
        /// What is unsupported.
        reason: &'static str,
    },
    /// The subject asked for is that of the issuer, or of a CA above a CA.
    #[error(
        "{subject:?} is the subject of the CA that is to sign, or of one above it: choose another subject"
    )]
    SubjectOfIssuer {
        /// The subject of the CA.
        subject: String,
    },
    /// A CA in the chain has a critical extension that is not understood, or one that cannot be read.
    #[error(
        "the certificate of {authority:?} has the extension {extension}, which is not understood here: programs refuse \
         what is issued below it"
    )]
    UnknownExtension {
        /// The subject of the CA.
        authority: String,
        /// The object identifier of the extension.
        extension: String,
    },
    /// The extended key usage of a CA in the chain does not have a purpose.
    #[error("the extended key usage of {authority:?} does not allow certificates for {purpose} below it")]
    PurposeNotAllowed {
        /// The subject of the CA.
        authority: String,
        /// What the certificate would be for.
        purpose: &'static str,
    },
    /// A CA in the chain asks for a certificate policy in everything below it.
    #[error("{authority:?} requires a certificate policy below it, and nothing is issued with one here")]
    PolicyRequired {
        /// The subject of the CA.
        authority: String,
    },
    /// The issuer name, or the authority key identifier, is not the issuer's.
    #[error("the certificate does not name this issuer: its {field} differs")]
    IssuerMismatch {
        /// The field that differs.
        field: &'static str,
    },
    /// The issuer name, or the authority key identifier, of a revocation list is not the issuer's.
    #[error("the revocation list does not name this issuer: its {field} differs")]
    ListIssuerMismatch {
        /// The field that differs.
        field: &'static str,
    },
    /// The signature does not verify.
    #[error("the signature of the {what} does not verify")]
    BadSignature {
        /// What was signed.
        what: &'static str,
    },
    /// The signature algorithm is not accepted.
    #[error("unsupported signature algorithm {algorithm}: {reason}")]
    UnsupportedSignature {
        /// Its object identifier or name.
        algorithm: String,
        /// Why it is not accepted, and what is.
        reason: &'static str,
    },
    /// What was just signed breaks the certificate profile; it was thrown away.
    #[error("the signed object breaks its profile: {0}")]
    Lint(&'static str),
    /// Cryptography failed in a way that inputs do not explain.
    #[error("internal failure: {0}")]
    Internal(&'static str),
}
