//! Names that people give to something new: what such a name looks like is what it is.
//!
//! Names that are there already, in an adopted database too, are taken as they are.

use fastpki_store::Skeletons;
use fastpki_x509::is_unseen;
use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_security::{GeneralSecurityProfile, RestrictionLevel, RestrictionLevelDetection, skeleton};

/// The name of something new, trimmed and with its letters composed (NFC); or what is wrong with it.
///
/// # Errors
///
/// The reason, for the user who gave it.
pub fn new_name(text: &str) -> Result<String, String> {
    let name = composed(text)?;
    let beside_ascii = |word: &&str| word.contains(|c: char| c.is_ascii_alphabetic());
    if let Some(c) = words(&name).filter(beside_ascii).flat_map(str::chars).find(|c| is_like_ascii(*c)) {
        return Err(stands_for_another(c));
    }
    check_letters(&in_plain_letters(&name), |c| {
        GeneralSecurityProfile::identifier_allowed(c) || rare_script(c).is_some()
    })?;
    Ok(name)
}

/// The name of a new user or service account. It has the letters of identifiers alone, and must not pass for this
/// program, which the audit log names too.
///
/// # Errors
///
/// The reason, for the user who gave it.
pub fn new_principal_name(text: &str) -> Result<String, String> {
    let name = composed(text)?;
    check_letters(&name, GeneralSecurityProfile::identifier_allowed)?;
    let Skeletons { as_written, in_small_letters } = skeletons(&name);
    let reserved = look(RESERVED);
    let passes = |look: String| look.replace(|c: char| !c.is_alphanumeric(), "").starts_with(&reserved);
    if passes(as_written) || passes(in_small_letters) {
        return Err(format!(
            "should not look as if it began with '{RESERVED}': that is this program in the audit log"
        ));
    }
    Ok(name)
}

/// What a username looks like: two that have any of these in common pass for each other.
pub(crate) fn skeletons(name: &str) -> Skeletons {
    // Small letters look alike where capitals do not, and the other way round: Greek and Cyrillic "TET".
    Skeletons { as_written: look(name), in_small_letters: look(&name.to_lowercase()) }
}

/// The skeleton of UTS 39, in small letters, with single blanks, and with `i` for what passes for it as a capital.
fn look(text: &str) -> String {
    let blanks: Vec<_> = text.split_whitespace().collect();
    skeleton(&blanks.join(" ")).flat_map(char::to_lowercase).map(|c| if c == 'i' { 'l' } else { c }).collect()
}

fn composed(text: &str) -> Result<String, String> {
    let name: String = text.trim().nfc().collect();
    if name.is_empty() { Err("should not be blank".into()) } else { Ok(name) }
}

fn check_letters(name: &str, is_allowed: impl Fn(char) -> bool) -> Result<(), String> {
    if let Some(c) = name.chars().find(|c| is_unseen(*c) || (c.is_whitespace() && *c != ' ')) {
        return Err(format!("should be without characters that cannot be seen, such as {}", number(c)));
    }
    if let Some(c) = name.chars().find(|c| (c.is_alphanumeric() || is_letter(*c)) && !is_allowed(*c)) {
        return Err(stands_for_another(c));
    }
    if let Some(word) = words(name).find(|word| mixes_scripts(word)) {
        return Err(format!("should not mix letters of several scripts in one word: '{word}'"));
    }
    Ok(())
}

/// A name as its scripts are judged by: letters of full and half width as others are, and without what goes with any
/// script, such as a raised 2.
fn in_plain_letters(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for (at, c) in name.char_indices() {
        let (before, after) = (&name[..at], &name[at + c.len_utf8()..]);
        match c {
            WIDE_FIRST..=WIDE_LAST if !is_unseen(c) => plain.extend(c.nfkc()),
            c if goes_with_any_script(c) || shapes_letters(before, c, after) => {}
            c => plain.push(c),
        }
    }
    plain.nfc().collect()
}

/// Raised, lowered and circled numbers, fractions, Roman numerals, ordinals, the micro sign, and the signs of
/// transliterations.
fn goes_with_any_script(c: char) -> bool {
    matches!(c,
        'ª' | 'º' | 'µ' | '¹' | '²' | '³' | '\u{bc}'..='\u{be}' | '\u{2b9}'..='\u{2bf}' | '\u{2070}'..='\u{208e}'
        | '\u{2150}'..='\u{217f}' | '\u{2460}'..='\u{249b}')
}

/// Letters of full width and Roman numerals: between ASCII letters they would be taken for such.
fn is_like_ascii(c: char) -> bool {
    matches!(c, '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' | '\u{2160}'..='\u{217f}')
}

/// Whether this is an invisible joiner where it changes the shapes beside it: after a virama, and between Arabic letters
/// that would be joined without it (RFC 5892, A.1 and A.2).
fn shapes_letters(before: &str, c: char, after: &str) -> bool {
    let Some(next) = after.chars().next().filter(|c| is_letter(*c)) else { return false };
    let follows_virama = before.chars().next_back().is_some_and(|c| canonical_combining_class(c) == VIRAMA);
    let is_mark = |c: &char| c.general_category_group() == GeneralCategoryGroup::Mark;
    let letter = before.chars().rev().find(|c| !is_mark(c));
    match c {
        '\u{200c}' => follows_virama || (letter.is_some_and(joins_the_next) && is_arabic(next)),
        '\u{200d}' => follows_virama,
        _ => false,
    }
}

fn is_arabic(c: char) -> bool {
    matches!(c, '\u{620}' | '\u{622}'..='\u{64a}' | '\u{66e}'..='\u{673}' | '\u{675}'..='\u{6d3}' | '\u{6d5}'
        | '\u{6ee}'..='\u{6ef}' | '\u{6fa}'..='\u{6fc}' | '\u{6ff}')
}

/// Arabic letters but those that join only the letter before them.
fn joins_the_next(c: char) -> bool {
    is_arabic(c)
        && !matches!(c, '\u{622}'..='\u{625}' | '\u{627}' | '\u{629}' | '\u{62f}'..='\u{632}' | '\u{648}'
            | '\u{671}'..='\u{673}' | '\u{675}'..='\u{677}' | '\u{688}'..='\u{699}' | '\u{6c0}' | '\u{6c3}'..='\u{6cb}'
            | '\u{6cd}' | '\u{6cf}' | '\u{6d2}'..='\u{6d3}' | '\u{6d5}' | '\u{6ee}'..='\u{6ef}')
}

/// Scripts that people write, but few: UTS 39 leaves them out of identifiers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RareScript {
    Cherokee,
    CanadianSyllabics,
}

fn rare_script(c: char) -> Option<RareScript> {
    match c {
        '\u{13a0}'..='\u{13fd}' | '\u{ab70}'..='\u{abbf}' => Some(RareScript::Cherokee),
        '\u{1401}'..='\u{167f}' | '\u{18b0}'..='\u{18f5}' => Some(RareScript::CanadianSyllabics),
        _ => None,
    }
}

/// Latin goes with one other script, as in East Asia, but not with Cyrillic and Greek, which look like it, nor with rare ones.
fn mixes_scripts(word: &str) -> bool {
    if word.contains(|c| rare_script(c).is_some()) {
        let mut scripts = word.chars().map(rare_script);
        let first = scripts.next();
        return scripts.any(|script| Some(script) != first);
    }
    word.detect_restriction_level() > RestrictionLevel::ModeratelyRestrictive
}

/// Runs of letters: whatever else stands between two scripts shows where one ends.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c| !is_letter(c)).filter(|word| !word.is_empty())
}

/// Letters, with their marks, and numerals that are letters.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() || c.general_category_group() == GeneralCategoryGroup::Mark
}

fn stands_for_another(c: char) -> String {
    format!("should be without letters that stand for others, such as '{c}' ({})", number(c))
}

fn number(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// How the names of this program in the audit log begin: `fastpki admin`, `fastpki serve`, `fastpki keys`.
const RESERVED: &str = "fastpki";
/// Digits and letters of full and half width.
const WIDE_FIRST: char = '\u{ff10}';
const WIDE_LAST: char = '\u{ffdc}';
/// The combining class of the signs that take the vowel from an Indic letter.
const VIRAMA: u8 = 9;

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
            // Words end at every sign.
            ("Иван-CA", "Иван-CA"),
            ("ООО_Test", "ООО_Test"),
            ("α-Tester", "α-Tester"),
            ("db1.Москва/2", "db1.Москва/2"),
        ] {
            assert_eq!(new_name(given).as_deref(), Ok(taken), "{given}");
            assert_eq!(new_principal_name(given).as_deref(), Ok(taken), "{given}");
        }
        for deceiving in [
            " ",
            "root\u{200b}",
            "ro\u{ad}ot",
            "\u{202e}toor",
            "root\u{3164}",
            "root\u{a0}admin",
            "r\u{43e}\u{43e}t",
            "\u{1d42b}oot",
            "root\u{fe0f}",
            "ro\u{3bf}t",
            "\u{251}dmin",
            // Of full width, and Roman, among others.
            "\u{ff52}oot",
            "ro\u{217d}k",
            // Joiners that change nothing.
            "ro\u{200c}ot",
            "root\u{200d}",
            "\u{62f}\u{200c}\u{627}",
            "\u{639}\u{644}\u{6cc}\u{200c}",
            "\u{639}\u{644}\u{200d}\u{6cc}",
            "\u{13d2}oot",
            "\u{13a0}\u{1403}",
            "\u{ff32}\u{43e}",
        ] {
            assert!(new_name(deceiving).is_err(), "{}", deceiving.escape_unicode());
            assert!(new_principal_name(deceiving).is_err(), "{}", deceiving.escape_unicode());
        }
    }

    #[test]
    fn things_are_called_as_people_write() {
        for name in [
            "株式会社ＮＴＴ",
            "ＡＢＣ",
            "ﾃｽﾄ",
            "ﾃﾞﾓ CA",
            "علی\u{200c}رضا",
            "ක\u{dca}\u{200d}ෂ",
            "Saʿd",
            "50µm",
            "m²",
            "H₂O",
            "Server Ⅱ",
            "①番",
            "Nº 1",
            "ᏣᎳᎩ",
            "ᐃᓄᒃᑎᑐᑦ CA",
        ] {
            assert_eq!(new_name(name).as_deref(), Ok(name), "{name}");
        }
        // Users are told apart by their names alone.
        assert!(new_principal_name("ＡＢＣ").is_err());
    }

    #[test]
    fn nobody_passes_for_this_program() {
        for name in [
            "fastpki admin",
            "FastPKI-Serve",
            "fastpki",
            "fast pki keys",
            "fas\u{165}pki",
            "fastpkl admin",
            "fastpk1 admin",
            "FASTPKI",
            "f\u{251}stpki",
        ] {
            assert!(new_principal_name(name).is_err(), "{name}");
        }
        assert!(new_principal_name("operator of fastpki").is_ok());
    }

    #[test]
    fn names_that_pass_for_each_other_share_a_skeleton() {
        let alike = |one: &str, other: &str| {
            let (one, other) = (skeletons(one), skeletons(other));
            let has = |look: &String| *look == other.as_written || *look == other.in_small_letters;
            has(&one.as_written) || has(&one.in_small_letters)
        };
        for (one, other) in [
            // Cyrillic alone.
            ("\u{441}\u{43e}\u{441}\u{43e}", "coco"),
            // A Turkish i without its dot.
            ("adm\u{131}n", "admin"),
            ("admin", "ADMIN"),
            ("root  x", "root x"),
            ("\u{422}\u{415}\u{422}", "\u{3a4}\u{395}\u{3a4}"),
            ("bi11", "BILL"),
            ("\u{418}\u{432}\u{430}\u{43d}", "\u{438}\u{432}\u{430}\u{43d}"),
            ("rnodern", "modem"),
        ] {
            assert!(alike(one, other) && alike(other, one), "{one} {other}");
        }
        for (one, other) in
            [("Jürgen", "Jurgen"), ("root-x", "root x"), ("user1", "user2"), ("alice", "alicia")]
        {
            assert!(!alike(one, other), "{one} {other}");
        }
    }
}
