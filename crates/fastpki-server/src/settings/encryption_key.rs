//! The keys that encrypt private keys at rest.

use zeroize::Zeroizing;

use super::reader::Fault;
use super::secret::Secret;

/// Comma-separated Fernet keys, each brought to padded URL-safe base64 of 32 bytes.
pub(super) fn parse(text: &str) -> Result<Vec<Secret>, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::new("set but empty", format!("{HINT} (empty does not mean \"off\")")));
    }
    let keys: Vec<&str> = text.split(',').collect();
    let count = keys.len();
    keys.into_iter()
        .enumerate()
        .map(|(at, key)| normalise(key).ok_or_else(|| fault(key, at + 1, count)))
        .collect()
}

/// Reads base64 as Python's `urlsafe_b64decode` does: in either alphabet, skipping what belongs to
/// neither; the padding may be missing.
pub(super) fn normalise(key: &str) -> Option<Secret> {
    let mut sextets = Zeroizing::new(Vec::with_capacity(key.len()));
    for byte in key.bytes() {
        // Like Python, read nothing behind the padding.
        if byte == b'=' && sextets.len() == SEXTETS {
            break;
        }
        sextets.extend(sextet(byte));
    }
    let (last, others) = sextets.split_last()?;
    if sextets.len() != SEXTETS {
        return None;
    }
    let mut text = String::with_capacity(SEXTETS + 1);
    text.extend(others.iter().map(|sextet| char::from(ALPHABET[usize::from(*sextet)])));
    // 43 sextets are 258 bits: the last two belong to no byte.
    text.push(char::from(ALPHABET[usize::from(last & !0b11)]));
    text.push('=');
    Some(Secret::new(text))
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' | b'+' => Some(62),
        b'_' | b'/' => Some(63),
        _ => None,
    }
}

fn fault(key: &str, position: usize, count: usize) -> Fault {
    let subject = if count == 1 { "the key".to_owned() } else { format!("key {position} of {count}") };
    let wrong = if key.trim().is_empty() { "is empty" } else { "is not the base64 of 32 bytes" };
    Fault::new(format!("{subject} {wrong}"), HINT)
}

pub(super) const HINT: &str = "write a key made with `fastpki keys generate`";

/// Base64 digits that 32 bytes take.
const SEXTETS: usize = 43;

/// The URL-safe alphabet of [RFC 4648 §5](https://www.rfc-editor.org/rfc/rfc4648#section-5).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
