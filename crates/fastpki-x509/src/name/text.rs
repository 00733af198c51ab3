use std::fmt::{self, Write};

use super::{MAX_LEN, REPEATED, attribute::Attribute, refuse};
use crate::Error;

/// One `attribute=value` as written, unescaped.
pub(super) struct Assertion<'a> {
    part: &'a str,
    attribute: Attribute,
    value: String,
}

impl Assertion<'_> {
    /// The AttributeTypeAndValue.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Error> {
        self.attribute.encode(&self.value, self.part)
    }
}

/// The assertions of a name, RDN by RDN.
pub(super) fn split(text: &str) -> Result<Vec<Vec<Assertion<'_>>>, Error> {
    if text.len() > MAX_LEN {
        return Err(refuse(text, format!("a name has at most {MAX_LEN} bytes")));
    }
    let mut rdns = Vec::new();
    for rdn in split_unescaped(text, b',') {
        let parts = split_unescaped(rdn, b'+');
        let assertions = parts.into_iter().map(assertion).collect::<Result<Vec<_>, _>>()?;
        refuse_repeats(rdn, &assertions)?;
        rdns.push(assertions);
    }
    Ok(rdns)
}

fn assertion(part: &str) -> Result<Assertion<'_>, Error> {
    let part = part.trim_start_matches(' ');
    if part.trim_end_matches(' ').is_empty() {
        return Err(refuse(part, "an attribute is missing here"));
    }
    let Some((name, value)) = part.split_once('=') else {
        return Err(refuse(
            part,
            "an attribute is written name=value; a comma or plus sign in a value as \\, or \\+",
        ));
    };
    let name = name.trim_end_matches(' ');
    let attribute = Attribute::by_text(name).ok_or_else(|| {
        refuse(
            part,
            format!(
                "there is no attribute {name:?}; others than the usual are written as object identifiers"
            ),
        )
    })?;
    Ok(Assertion { part, attribute, value: unescape(value, part)? })
}

fn refuse_repeats(rdn: &str, assertions: &[Assertion<'_>]) -> Result<(), Error> {
    // X.501 §9.3: no attribute type occurs twice in one RDN.
    let mut oids: Vec<_> = assertions.iter().map(|it| it.attribute.oid()).collect();
    oids.sort();
    let all = oids.len();
    oids.dedup();
    if oids.len() < all {
        return Err(refuse(rdn, REPEATED));
    }
    Ok(())
}

fn split_unescaped(text: &str, separator: u8) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (place, byte) in text.bytes().enumerate() {
        if byte == separator && !escaped {
            parts.push(&text[start..place]);
            start = place + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

/// The value without blanks around it and with its escapes resolved,
/// [RFC 4514 §3](https://www.rfc-editor.org/rfc/rfc4514#section-3).
fn unescape(written: &str, part: &str) -> Result<String, Error> {
    let written = written.trim_start_matches(' ');
    if written.starts_with('#') {
        return Err(refuse(
            part,
            "values in hexadecimal are not taken; a number sign in front is written \\#",
        ));
    }
    let mut value = Vec::with_capacity(written.len());
    // How much of the value the blanks at its end must not take away.
    let mut fixed = 0;
    let mut rest = written.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => value.push(escape(&mut rest).ok_or_else(|| {
                refuse(part, "a backslash stands before a special character or two hexadecimal digits")
            })?),
            b'"' | b';' | b'<' | b'>' => {
                let character = char::from(byte);
                return Err(refuse(part, format!("the character {character} is written \\{character}")));
            }
            other => value.push(other),
        }
        if byte != b' ' {
            fixed = value.len();
        }
    }
    value.truncate(fixed);
    String::from_utf8(value).map_err(|_| refuse(part, "its escapes do not make valid UTF-8"))
}

fn escape(rest: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = rest.next()?;
    if SPECIAL.contains(&first) || matches!(first, b' ' | b'#' | b'=') {
        return Some(first);
    }
    let high = char::from(first).to_digit(16)?;
    let low = char::from(rest.next()?).to_digit(16)?;
    u8::try_from(16 * high + low).ok()
}

/// Writes a value so that [`split`] reads it back.
pub(super) fn write_escaped(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let last = value.char_indices().last().map_or(0, |(place, _)| place);
    for (place, character) in value.char_indices() {
        let at_an_end = place == 0 || place == last;
        match character {
            ' ' if at_an_end => f.write_str("\\ ")?,
            '#' if place == 0 => f.write_str("\\#")?,
            c if c.is_control() => write_bytes(f, c)?,
            c => {
                if u8::try_from(c).is_ok_and(|byte| SPECIAL.contains(&byte)) {
                    f.write_char('\\')?;
                }
                f.write_char(c)?;
            }
        }
    }
    Ok(())
}

fn write_bytes(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    character.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(f, "\\{byte:02X}"))
}

const SPECIAL: [u8; 7] = *b"\"+,;<>\\";
