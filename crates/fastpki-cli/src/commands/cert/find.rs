//! `fastpki cert find`: which certificate of the inventory something is.

use std::{fs, path::Path};

use fastpki_x509::Certificate;

use crate::{
    commands::Context,
    error::Error,
    listing::{self, Listing, Row},
    options::Page,
    pki,
};

pub(super) fn run(context: &Context, what: &str) -> Result<(), Error> {
    let wanted = Wanted::read(what)?;
    let filters = vec![("serial_number", wanted.serial.clone()), ("fingerprint", wanted.fingerprint.clone())];
    let matches = |row: &Row| wanted.is(row);
    let (page, path) = (Page::default(), "/certificates/");
    let listing = Listing { path, filters, matches: &matches, page, all: true, check: true, sort: None };
    let rows = listing.everything(&context.client, context.output, &super::LIST)?;
    listing::show(&rows, context.output, &super::LIST)?;
    if rows.is_empty() {
        return Err(Error::Failed("the server knows no such certificate, or you may not see it".into()));
    }
    Ok(())
}

/// What is looked for.
struct Wanted {
    serial: Option<String>,
    fingerprint: Option<String>,
    der: Option<Vec<u8>>,
}

impl Wanted {
    fn read(what: &str) -> Result<Self, Error> {
        let nothing = Self { serial: None, fingerprint: None, der: None };
        let path = Path::new(what);
        if path.is_file() {
            let certificate = read_certificate(path)?;
            let serial = Some(certificate.serial().to_hex());
            return Ok(Self { serial, der: Some(certificate.der().to_vec()), ..nothing });
        }
        match hex(what) {
            Some(digits) if digits.len() == FINGERPRINT_DIGITS => {
                Ok(Self { fingerprint: Some(digits), ..nothing })
            }
            Some(digits) if digits.len() <= MAX_SERIAL_DIGITS => {
                Ok(Self { serial: Some(without_leading_zeros(&digits)), ..nothing })
            }
            Some(_) => Err(Error::Usage(
                "a serial number has at most 40 hex digits, and a SHA-256 fingerprint 64".into(),
            )),
            None => Err(Error::Usage(format!(
                "'{what}' is no file, no serial number and no SHA-256 fingerprint in hex"
            ))),
        }
    }

    fn is(&self, row: &Row) -> bool {
        let der =
            || Certificate::from_pem(&row.certificate).ok().map(|certificate| certificate.der().to_vec());
        self.serial
            .as_ref()
            .is_none_or(|serial| without_leading_zeros(&row.serial_number.to_lowercase()) == *serial)
            && self.der.as_ref().is_none_or(|wanted| der().as_ref() == Some(wanted))
            && self
                .fingerprint
                .as_ref()
                .is_none_or(|wanted| der().is_some_and(|der| pki::fingerprint(&der) == *wanted))
    }
}

/// Reads a serial number in hex, with or without `0x` and colons, as the API writes it.
pub(super) fn serial(text: &str) -> Result<String, String> {
    match hex(text) {
        Some(digits) if digits.len() <= MAX_SERIAL_DIGITS => Ok(without_leading_zeros(&digits)),
        _ => Err("should be at most 40 hex digits".into()),
    }
}

fn read_certificate(path: &Path) -> Result<Certificate, Error> {
    let bytes = fs::read(path).map_err(|error| Error::file(path, error))?;
    let read = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains("-----BEGIN") => Certificate::from_pem(text),
        _ => Certificate::from_der(&bytes),
    };
    read.map_err(|cause| Error::Pki { what: path.display().to_string(), cause })
}

fn hex(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let digits: String =
        text.strip_prefix("0x").unwrap_or(&text).chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    (!digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit())).then_some(digits)
}

fn without_leading_zeros(digits: &str) -> String {
    match digits.trim_start_matches('0') {
        "" => "0".into(),
        digits => digits.into(),
    }
}

/// 20 bytes: RFC 5280's limit, and one for a sign.
const MAX_SERIAL_DIGITS: usize = 42;
const FINGERPRINT_DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_read_in_every_way_people_write_them() {
        for text in ["0a:B1:c2", "0x0ab1c2", "AB1C2", " 0A B1 C2 "] {
            assert_eq!(serial(text).as_deref(), Ok("ab1c2"), "{text}");
        }
        assert_eq!(serial("00").as_deref(), Ok("0"));
        for wrong in ["", "0x", "xyz", &"a".repeat(43)] {
            assert!(serial(wrong).is_err(), "{wrong}");
        }
    }
}
