use der::{Tag, asn1::AnyRef};

/// The text of an attribute value of any string type; `None` where it is no string, or not a valid one.
pub(super) fn decode(value: AnyRef<'_>) -> Option<String> {
    let bytes = value.value();
    match value.header().tag() {
        Tag::Utf8String => str::from_utf8(bytes).ok().map(str::to_owned),
        Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::NumericString => {
            str::from_utf8(bytes).ok().filter(|text| text.is_ascii()).map(str::to_owned)
        }
        // T.61 in the standard, Latin-1 in every certificate that uses it.
        Tag::TeletexString => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let (units, []) = bytes.as_chunks::<2>() else { return None };
            let units = units.iter().copied().map(u16::from_be_bytes);
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

/// The text of a value of a string type that OpenSSL, GnuTLS and Python all read, or why it is not one.
pub(super) fn decode_strictly(value: AnyRef<'_>) -> Result<String, &'static str> {
    let Some(text) = decode(value) else { return Err("its value is not a valid string") };
    let is_numeric = |byte: u8| byte.is_ascii_digit() || byte == b' ';
    match value.header().tag() {
        Tag::Utf8String | Tag::BmpString | Tag::Ia5String => Ok(text),
        Tag::PrintableString if is_printable(&text) => Ok(text),
        Tag::PrintableString => Err("it has characters a PrintableString cannot hold"),
        Tag::NumericString if text.bytes().all(is_numeric) => Ok(text),
        Tag::NumericString => Err("it has characters a NumericString cannot hold"),
        Tag::TeletexString if text.is_ascii() => Ok(text),
        Tag::TeletexString => Err("a TeletexString may only hold ASCII characters"),
        _ => Err("its value is of a string type that is not used in names"),
    }
}

/// Whether every character is one of a PrintableString.
pub(super) fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte))
}
