//! Names that people give to something new: what such a name looks like is what it is.
//!
//! Names that are there already, in an adopted database too, are taken as they are.

use fastpki_x509::is_unseen;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_security::{GeneralSecurityProfile, RestrictionLevel, RestrictionLevelDetection, skeleton};

/// The name of something new, trimmed and with its letters composed (NFC); or what is wrong with it.
///
/// # Errors
///
/// A text for whoever gave it.
pub fn new_name(text: &str) -> Result<String, String> {
    let name: String = text.trim().nfc().collect();
    if name.is_empty() {
        return Err("should not be blank".into());
    }
    if let Some(c) = name.chars().find(|c| is_unseen(*c) || (c.is_whitespace() && *c != ' ')) {
        return Err(format!("should be without characters that cannot be seen, such as {}", number(c)));
    }
    if let Some(c) = name.chars().find(|c| is_letter(*c) && !GeneralSecurityProfile::identifier_allowed(*c)) {
        return Err(format!(
            "should be without letters that stand for others, such as '{c}' ({})",
            number(c)
        ));
    }
    if let Some(word) = name.split(' ').find(|word| mixes_scripts(word)) {
        return Err(format!("should not mix letters of several scripts in one word: '{word}'"));
    }
    Ok(name)
}

/// The name of a new user or service account: it must not pass for this program, which the audit log names too.
///
/// # Errors
///
/// A text for whoever gave it.
pub fn new_principal_name(text: &str) -> Result<String, String> {
    let name = new_name(text)?;
    let plain: String = as_ascii(&name).chars().filter(|c| c.is_alphanumeric()).collect();
    if plain.to_lowercase().starts_with(RESERVED) {
        return Err(format!("should not begin with '{RESERVED}': that is this program in the audit log"));
    }
    Ok(name)
}

/// The name in ASCII that a name passes for, if it does.
pub(crate) fn lookalike(name: &str) -> Option<String> {
    let ascii = as_ascii(name);
    (ascii != name && ascii.is_ascii()).then_some(ascii)
}

/// With what looks like ASCII in the place of what is none.
fn as_ascii(name: &str) -> String {
    let mut ascii = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            ascii.extend(skeleton(c.encode_utf8(&mut [0; 4])));
        }
    }
    ascii
}

/// Latin goes with one other script, as in East Asia, but not with Cyrillic and Greek, which look like it.
fn mixes_scripts(word: &str) -> bool {
    let letters: String = word.chars().filter(|c| is_letter(*c)).collect();
    letters.detect_restriction_level() > RestrictionLevel::ModeratelyRestrictive
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c.general_category_group() == GeneralCategoryGroup::Mark
}

fn number(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// How the names of this program in the audit log begin: `fastpki admin`, `fastpki serve`, `fastpki keys`.
const RESERVED: &str = "fastpki";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_they_look_like() {
        for (given, taken) in [
            (" root ", "root"),
            ("Red Team (2030)", "Red Team (2030)"),
            ("o'brien@example.com", "o'brien@example.com"),
            ("Ju\u{308}rgen", "Jürgen"),
            ("Компания Root CA", "Компания Root CA"),
            ("東京CA", "東京CA"),
            ("Ελλάς", "Ελλάς"),
            ("محمد", "محمد"),
            ("हिन्दी", "हिन्दी"),
        ] {
            assert_eq!(new_name(given).as_deref(), Ok(taken), "{given}");
        }
        for deceiving in [
            " ",
            "root\u{200b}",
            "ro\u{ad}ot",
            "\u{202e}toor",
            "root\u{3164}",
            "root\u{a0}admin",
            "r\u{43e}\u{43e}t",
            "\u{ff52}\u{ff4f}\u{ff4f}\u{ff54}",
            "\u{1d42b}oot",
            "root\u{fe0f}",
            "ro\u{3bf}t",
            "\u{251}dmin",
        ] {
            assert!(new_name(deceiving).is_err(), "{}", deceiving.escape_unicode());
        }
    }

    #[test]
    fn nobody_passes_for_this_program() {
        for name in ["fastpki admin", "FastPKI-Serve", "fastpki", "fast pki keys", "fas\u{165}pki"] {
            assert!(new_principal_name(name).is_err(), "{name}");
        }
        assert!(new_principal_name("operator of fastpki").is_ok());
    }

    #[test]
    fn lookalikes_are_known_by_the_ascii_they_pass_for() {
        assert_eq!(lookalike("root"), None);
        // Cyrillic alone.
        assert_eq!(lookalike("\u{441}\u{43e}\u{441}\u{43e}").as_deref(), Some("coco"));
        // A Turkish i without its dot.
        assert_eq!(lookalike("adm\u{131}n").as_deref(), Some("admin"));
        assert_eq!(lookalike("Jürgen"), None);
    }
}
