//! Texts of others, as they can be shown.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Whether a character cannot be seen, or turns the text around it: controls, format characters such as those of
/// bidirectional text, fillers, variation selectors, and what no standard has a sign for.
pub fn is_unseen(c: char) -> bool {
    let by_category = matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    );
    by_category || UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// A text in which every character that cannot be seen is written as its number.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// Whether a text is a host name as people write it: labels of letters, marks, digits and hyphens, of at most 63
/// characters as they are in DNS, in the form that all programs agree on. `xn--` labels must be good ones, too.
pub fn is_international_host(text: &str) -> bool {
    let uts46 = Uts46::new();
    if uts46.to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify).is_err() {
        return false;
    }
    let (unicode, _) = uts46.to_unicode(text.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
    let spelled = |c: char| {
        let group = c.general_category_group();
        let counts = matches!(group, GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark)
            || c.general_category() == GeneralCategory::DecimalNumber;
        (c.is_ascii() || counts) && !is_unseen(c)
    };
    let same = |(written, read): (&str, &str)| written.is_ascii() || written.to_lowercase() == read;
    unicode.chars().all(spelled)
        && text.split('.').count() == unicode.split('.').count()
        && text.split('.').zip(unicode.split('.')).all(same)
}

/// Letters, marks and signs that are drawn as nothing: what of Unicode's Default_Ignorable_Code_Point has another category,
/// and the braille pattern without dots.
const UNSEEN: [(char, char); 9] = [
    ('\u{34f}', '\u{34f}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{e0100}', '\u{e01ef}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        for (text, shown) in [
            ("root\u{200b}", "root\\u{200b}"),
            ("\u{202e}nimda", "\\u{202e}nimda"),
            ("a\u{1b}[2Jb\n", "a\\u{1b}[2Jb\\u{a}"),
            ("\u{3164}\u{2066}x\u{2028}", "\\u{3164}\\u{2066}x\\u{2028}"),
            ("Müller, 東京 – e\u{301} 🎉", "Müller, 東京 – e\u{301} 🎉"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn hosts_are_told_from_what_only_looks_like_one() {
        for good in
            ["example.com", "Größe.example", "xn--gre-6ka8i.example", "x.local", "ex-ample.com", "x.1"]
        {
            assert!(is_international_host(good), "{good}");
        }
        let long = format!("{}.com", "a".repeat(64));
        for bad in [
            "",
            "a..com",
            "-a.com",
            "a_b.com",
            "e\u{ad}xample.com",
            "x.lo\u{200b}cal",
            "a\u{202e}.com",
            "x.\u{ff4c}ocal",
            "x\u{3002}com",
            "x.\u{ff11}",
            "\u{2603}.net",
            "xn--n3h.net",
            "i\u{2764}.ws",
            "xn--a.com",
            "xn--999999999.com",
            "ab--cd.com",
            &long,
        ] {
            assert!(!is_international_host(bad), "{bad:?}");
        }
    }
}
