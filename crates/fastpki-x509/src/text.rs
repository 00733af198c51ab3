//! Texts of others, as they can be shown.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

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
}
