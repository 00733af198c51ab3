//! PEM, fast. Private keys that are to be loaded go through the constant-time decoder in `key.rs`.

use zeroize::Zeroizing;

use crate::Error;

/// The DER in the first block that carries one of the labels; text around it is ignored.
pub(crate) fn decode(pem: &str, labels: &[&'static str]) -> Result<Vec<u8>, Error> {
    let expected = labels.first().copied().unwrap_or_default();
    let broken = |reason| Error::Pem { expected, reason };

    let body = labels.iter().find_map(|label| body(pem, label)).ok_or_else(|| broken("there is none"))?;
    let body = body.ok_or_else(|| broken("its end line is missing"))?;
    decode_base64(body).ok_or_else(|| broken("it is not base64"))
}

/// The octets that stand between two lines of PEM.
pub(crate) fn decode_base64(body: &str) -> Option<Vec<u8>> {
    base64_simd::STANDARD.decode_to_vec(&*without_whitespace(body)).ok()
}

fn without_whitespace(body: &str) -> Zeroizing<Vec<u8>> {
    // Room for all of it: growing would leave copies behind, and it may be a private key.
    let mut compact = Zeroizing::new(Vec::with_capacity(body.len()));
    let mut rest = body.trim_ascii_start().as_bytes();
    // Whole lines, where they are as long as nearly everybody writes them: looking at each byte would take longer than
    // to decode them.
    while let Some((line, after)) = rest.split_at_checked(LINE)
        && let Some((b'\n', after)) = after.split_first()
        && line.iter().all(|byte| *byte > b' ')
    {
        compact.extend_from_slice(line);
        rest = after;
    }
    rest.split(u8::is_ascii_whitespace).for_each(|part| compact.extend_from_slice(part));
    compact
}

/// The text between the lines of a label: `None` without a begin line, `Some(None)` without an end line.
fn body<'a>(pem: &'a str, label: &str) -> Option<Option<&'a str>> {
    let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    Some(rest.split_once(&format!("-----END {label}-----")).map(|(body, _)| body))
}

/// The DER as PEM: lines of 64 characters and a trailing newline.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let base64 = base64_simd::STANDARD.encode_to_string(der);
    let mut pem = String::with_capacity(base64.len() + base64.len() / LINE + 2 * label.len() + FRAME);
    pem.push_str("-----BEGIN ");
    pem.push_str(label);
    pem.push_str("-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}

const LINE: usize = 64;
const FRAME: usize = 40;
