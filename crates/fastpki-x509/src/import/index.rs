use std::collections::HashMap;

use jiff::Timestamp;

use crate::{Error, Reason, Serial};

/// The database of `openssl ca` and Easy-RSA: one line for each certificate that was issued.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// The lines that could be read, in their order.
    pub entries: Vec<IndexEntry>,
    /// The lines that could not.
    pub problems: Vec<IndexProblem>,
}

/// A line of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The number of the line, from 1.
    pub line: usize,
    /// Whether the certificate was valid when the line was written.
    pub status: IndexStatus,
    /// When the certificate expires.
    pub expires: Timestamp,
    /// The serial number.
    pub serial: Serial,
    /// The name of the certificate's file, where it is stated.
    pub file: Option<String>,
    /// The subject as OpenSSL writes it in one line: `/C=SE/O=Example/CN=www.example.com`.
    pub subject: String,
}

/// What an index says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexStatus {
    /// `V`: issued.
    Valid,
    /// `E`: expired, and noticed by `openssl ca -updatedb`.
    Expired,
    /// `R`: revoked.
    Revoked {
        /// When it was.
        at: Timestamp,
        /// Why it was.
        reason: Reason,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexProblem {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Index {
    /// Reads an index of at most 256 MB. A line that cannot be read is a problem, and the others are read all the same.
    ///
    /// Each line has six fields between tabs: `V`, `R` or `E`; expiry; revocation, with a reason behind a comma; serial
    /// number in hexadecimal digits; file; subject.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_LEN {
            return Err(Error::TooLarge { what: "index.txt", limit: MAX_LEN });
        }
        let mut index = Self::default();
        let mut lines = HashMap::new();
        for (place, line) in text.lines().enumerate() {
            let number = place + 1;
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let read = parse_line(number, line).and_then(|entry| match lines.insert(entry.serial, number) {
                Some(first) => Err(format!(
                    "the serial number {} stands in line {first} already; it must be unique",
                    entry.serial.to_hex()
                )),
                None => Ok(entry),
            });
            match read {
                Ok(entry) => index.entries.push(entry),
                Err(reason) => index.problems.push(IndexProblem { line: number, reason }),
            }
        }
        Ok(index)
    }
}

fn parse_line(line: usize, text: &str) -> Result<IndexEntry, String> {
    let fields: Vec<_> = text.split('\t').collect();
    let [status, expires, revoked, serial, file, subject @ ..] = &fields[..] else {
        return Err(format!("it has {} fields between tabs, and not six", fields.len()));
    };
    if subject.is_empty() {
        return Err("it has five fields between tabs, and not six: the subject is missing".to_owned());
    }
    let expires = parse_time(expires).ok_or_else(|| not_a_time("expiry", expires))?;
    let status = match (*status, revoked.is_empty()) {
        ("V", true) => IndexStatus::Valid,
        ("E", true) => IndexStatus::Expired,
        ("R", false) => parse_revocation(revoked)?,
        ("R", true) => return Err("it is marked R, revoked, but has no date of that".to_owned()),
        ("V" | "E", false) => return Err("it has a date of revocation, but is not marked R".to_owned()),
        (other, _) => return Err(format!("it begins with {:?}, and not with V, R or E", shown(other))),
    };
    let serial = Serial::from_hex(serial).map_err(|_| {
        format!(
            "the serial number {:?} is not a positive one of at most 40 hexadecimal digits",
            shown(serial)
        )
    })?;
    let file = (!matches!(*file, "" | "unknown")).then(|| (*file).to_owned());
    // A tab within the subject is written behind a backslash.
    Ok(IndexEntry { line, status, expires, serial, file, subject: subject.join("\t") })
}

/// `260301100000Z`, `260301100000Z,keyCompromise`, `260301100000Z,keyTime,20260228000000Z`.
fn parse_revocation(text: &str) -> Result<IndexStatus, String> {
    let mut parts = text.split(',');
    let date = parts.next().unwrap_or_default();
    let at = parse_time(date).ok_or_else(|| not_a_time("revocation", date))?;
    let reason = match parts.next() {
        None | Some("" | "unspecified") => Reason::Unspecified,
        // What OpenSSL writes for -crl_hold, -crl_compromise and -crl_CA_compromise.
        Some("holdInstruction") => Reason::CertificateHold,
        Some("keyTime") => Reason::KeyCompromise,
        Some("CAkeyTime") => Reason::CaCompromise,
        Some(named) => match Reason::from_text(Some(named)) {
            Reason::Unspecified => {
                return Err(format!("the reason {:?} is none of those of RFC 5280", shown(named)));
            }
            reason => reason,
        },
    };
    Ok(IndexStatus::Revoked { at, reason })
}

/// UTCTime or GeneralizedTime, in UTC, with seconds or without.
fn parse_time(text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z')?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match digits.len() {
        10 | 12 => {
            let (year, rest) = digits.split_at(2);
            // RFC 5280 §4.1.2.5.1: from 50 on, the year is of the twentieth century.
            (format!("{}{year}", if year < "50" { "20" } else { "19" }), rest)
        }
        14 => (digits[..4].to_owned(), &digits[4..]),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2).unwrap_or("00");
    format!("{year}-{}-{}T{}:{}:{}Z", part(0), part(2), part(4), part(6), part(8)).parse().ok()
}

fn not_a_time(what: &str, text: &str) -> String {
    format!("the date of {what} {:?} is not written YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ", shown(text))
}

fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

/// Some two million certificates.
const MAX_LEN: usize = 256_000_000;
const MAX_SHOWN: usize = 60;
