use std::fmt::Write;

use crate::Error;

/// A positive certificate serial number of at most twenty octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Serial([u8; SERIAL_LEN]);

impl Serial {
    /// A serial number of 159 random bits.
    pub fn from_random(mut bytes: [u8; SERIAL_LEN]) -> Self {
        // Top bit cleared: DER would emit a 21st octet, and RFC 5280 allows 20.
        bytes[0] &= 0x7f;
        if bytes == [0; SERIAL_LEN] {
            bytes[SERIAL_LEN - 1] = 1;
        }
        Self(bytes)
    }

    /// Reads the hexadecimal text that [`Serial::to_hex`] writes, in either case.
    pub fn from_hex(text: &str) -> Result<Self, Error> {
        let digits = text.trim_start_matches('0').as_bytes();
        if digits.is_empty() || digits.len() > 2 * SERIAL_LEN {
            return Err(Error::Serial);
        }
        let mut bytes = [0; SERIAL_LEN];
        for (place, digit) in digits.iter().rev().enumerate() {
            let value = char::from(*digit).to_digit(16).ok_or(Error::Serial)?;
            let value = u8::try_from(value).map_err(|_| Error::Serial)?;
            bytes[SERIAL_LEN - 1 - place / 2] |= if place % 2 == 0 { value } else { value << 4 };
        }
        Ok(Self(bytes))
    }

    /// The positive number these big-endian octets spell.
    pub(crate) fn from_magnitude(magnitude: &[u8]) -> Result<Self, Error> {
        let start = SERIAL_LEN.checked_sub(magnitude.len()).ok_or(Error::Serial)?;
        let mut bytes = [0; SERIAL_LEN];
        bytes[start..].copy_from_slice(magnitude);
        if bytes == [0; SERIAL_LEN] { Err(Error::Serial) } else { Ok(Self(bytes)) }
    }

    /// The number in big-endian octets, without leading zeros.
    pub(crate) fn magnitude(&self) -> &[u8] {
        let start = self.0.iter().position(|byte| *byte != 0).unwrap_or(SERIAL_LEN - 1);
        &self.0[start..]
    }

    /// Lower-case hexadecimal digits without leading zeros or prefix.
    pub fn to_hex(&self) -> String {
        hex(self.magnitude()).trim_start_matches('0').to_owned()
    }
}

/// Two lower-case digits for each octet.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The content of any INTEGER as [`Serial::to_hex`] writes numbers; in two's complement, and saying so, where negative.
pub(crate) fn hex_of_integer(content: &[u8]) -> String {
    let digits = hex(content);
    match content {
        [first, ..] if first & 0x80 != 0 => format!("{digits} (negative)"),
        _ if content.iter().all(|byte| *byte == 0) => "0".to_owned(),
        _ => digits.trim_start_matches('0').to_owned(),
    }
}

/// The most octets a serial number may have, [RFC 5280 §4.1.2.2](https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.2).
pub(crate) const SERIAL_LEN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_serial_has_its_top_bit_cleared() {
        assert_eq!(Serial::from_random([0xff; 20]).to_hex(), format!("7f{}", "ff".repeat(19)));
    }

    #[test]
    fn zero_is_no_serial() {
        assert_eq!(Serial::from_random([0; 20]).to_hex(), "1");
        assert_eq!(
            Serial::from_random([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).to_hex(),
            "1"
        );
        assert_eq!(Serial::from_hex("0"), Err(Error::Serial));
        assert_eq!(Serial::from_hex(""), Err(Error::Serial));
    }

    #[test]
    fn hex_has_no_leading_zeros_and_reads_back() {
        for text in ["1", "a", "10", "abc", "7f00ff", &"f".repeat(40)] {
            assert_eq!(Serial::from_hex(text).unwrap().to_hex(), text);
        }
        assert_eq!(Serial::from_hex("00AbC").unwrap().to_hex(), "abc");
    }

    #[test]
    fn overlong_or_foreign_text_is_refused() {
        for text in ["g", "-1", "0x1", "1 ", "é", &"f".repeat(41)] {
            assert_eq!(Serial::from_hex(text), Err(Error::Serial), "{text}");
        }
    }

    #[test]
    fn octets_read_as_serials_when_positive_and_short() {
        assert_eq!(Serial::from_magnitude(&[0, 0x80]).unwrap().to_hex(), "80");
        assert_eq!(Serial::from_magnitude(&[0xff; 20]).unwrap().to_hex(), "ff".repeat(20));
        for octets in [&[][..], &[0], &[1; 21]] {
            assert_eq!(Serial::from_magnitude(octets), Err(Error::Serial));
        }
    }
}
