//! The names under which CAs are found in public addresses.

use fastpki_types::CaId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// A CA's name in public addresses: `issuing-ca-2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slug(String);

/// The slug of a CA: its name in lower case and stripped, without anything but letters, digits, `_`,
/// blanks and `-`, runs of the last three as one `-`, trimmed of `-`, then `-` and its id.
pub(crate) fn slug(name: &str, id: CaId) -> Slug {
    let mut text = String::with_capacity(name.len() + 8);
    for character in name.to_lowercase().chars() {
        if is_letter_or_digit(character) {
            text.push(character);
        } else if (character.is_whitespace() || matches!(character, '_' | '-')) && !text.ends_with('-') {
            text.push('-');
        }
    }
    Slug(format!("{}-{id}", text.trim_matches('-')))
}

/// Whether a text is the slug of this CA: of its name or, where it was renamed, of the one in its certificates.
pub(crate) fn leads_to(text: &str, id: CaId, name: &str, published_name: Option<&str>) -> bool {
    [Some(name), published_name].into_iter().flatten().any(|name| slug(name, id).as_str() == text)
}

impl Slug {
    /// The slug as people read it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The slug as it stands in a URL.
    pub(crate) fn in_url(&self) -> String {
        utf8_percent_encode(&self.0, SLUG).to_string()
    }

    /// The id at the end of a text that may be a slug.
    pub(crate) fn id_in(text: &str) -> Option<CaId> {
        let (_, id) = text.rsplit_once('-')?;
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        id.parse().ok().map(CaId)
    }
}

/// What Python's `\w` takes, but for `_`: letters and numbers, without marks.
fn is_letter_or_digit(character: char) -> bool {
    matches!(character.general_category_group(), GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number)
}

/// RFC 3986's unreserved characters stay as they are.
const SLUG: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slug_is_the_old_systems() {
        for (name, expected) in [
            ("Engineering Root CA", "engineering-root-ca-7"),
            ("Finance_CA (€)", "finance-ca-7"),
            ("  --A__b  c--  ", "a-b-c-7"),
            ("Größe 測試", "größe-測試-7"),
            ("???", "-7"),
            ("a.b/c", "abc-7"),
            ("x \u{0301}y", "x-y-7"),
        ] {
            assert_eq!(slug(name, CaId(7)).as_str(), expected, "{name}");
        }
    }

    #[test]
    fn slug_is_percent_encoded_in_urls() {
        assert_eq!(slug("Größe", CaId(3)).in_url(), "gr%C3%B6%C3%9Fe-3");
    }

    #[test]
    fn id_is_read_from_the_end() {
        assert_eq!(Slug::id_in("issuing-ca-2"), Some(CaId(2)));
        for text in ["issuing", "issuing-", "issuing-x", "issuing-+2", "issuing-99999999999"] {
            assert_eq!(Slug::id_in(text), None, "{text}");
        }
    }
}
