//! How JWTs are signed.

use super::reader::Fault;

/// An HMAC algorithm of [RFC 7518 §3.2](https://www.rfc-editor.org/rfc/rfc7518#section-3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

impl JwtAlgorithm {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        match text.trim() {
            "HS256" => Ok(Self::Hs256),
            "HS384" => Ok(Self::Hs384),
            "HS512" => Ok(Self::Hs512),
            _ => Err(Fault::new("not an algorithm this server signs with", "write HS256, HS384 or HS512")),
        }
    }
}
