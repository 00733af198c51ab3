//! How JWTs are signed.

pub use fastpki_engine::JwtAlgorithm;

use super::reader::Fault;

/// An HMAC algorithm of [RFC 7518 §3.2](https://www.rfc-editor.org/rfc/rfc7518#section-3.2).
pub(super) fn parse(text: &str) -> Result<JwtAlgorithm, Fault> {
    match text.trim() {
        "HS256" => Ok(JwtAlgorithm::Hs256),
        "HS384" => Ok(JwtAlgorithm::Hs384),
        "HS512" => Ok(JwtAlgorithm::Hs512),
        _ => Err(Fault::new("not an algorithm this server signs with", "write HS256, HS384 or HS512")),
    }
}
