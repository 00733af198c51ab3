//! Names, numbers and switches.

use super::reader::Fault;

pub(super) fn name(text: &str) -> Result<String, Fault> {
    match text.trim() {
        "" => Err(Fault::new("blank", "write a name")),
        name => Ok(name.to_owned()),
    }
}

/// A number of days or minutes: at least 1.
pub(super) fn positive(text: &str) -> Result<u32, Fault> {
    let mend = format!("write a whole number from 1 to {}", u32::MAX);
    match whole(text) {
        Some(number @ 1..) => Ok(number),
        Some(0) => Err(Fault::new("less than 1", mend)),
        None => Err(Fault::new("not a whole number in range", mend)),
    }
}

/// Seconds to finish in: none to an hour.
pub(super) fn stop_seconds(text: &str) -> Result<u32, Fault> {
    match whole(text) {
        Some(seconds @ ..=3600) => Ok(seconds),
        _ => Err(Fault::new("not a number of seconds in range", "write a whole number from 0 to 3600")),
    }
}

/// Size of an RSA modulus.
pub(super) fn rsa_bits(text: &str) -> Result<u32, Fault> {
    match whole(text) {
        Some(bits @ (2048 | 3072 | 4096 | 8192)) => Ok(bits),
        _ => Err(Fault::new("not an RSA key size to be used", "write 2048, 3072, 4096 or 8192")),
    }
}

pub(super) fn switch(text: &str) -> Result<bool, Fault> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "y" | "on" => Ok(true),
        "false" | "f" | "0" | "no" | "n" | "off" => Ok(false),
        _ => Err(Fault::new("neither true nor false", "write true or false")),
    }
}

/// A decimal number as pydantic reads it: blanks around it, `+365`, `4_096` and `365.0` are fine.
fn whole(text: &str) -> Option<u32> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = match text.split_once('.') {
        Some((digits, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => digits,
        Some(_) => return None,
        None => text,
    };
    let groups_are_numbers =
        digits.split('_').all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
    groups_are_numbers.then(|| digits.replace('_', "").parse().ok())?
}
