//! Shell globs over whole names, as issuance policies write them.

/// A pattern: `*` is any text, `?` any character, `[seq]` one of these, `[!seq]` any other. There are no escapes and no
/// braces; a `[` that is never closed is itself. Case does not matter. A `*` in a name is a wildcard of DNS and
/// stands for other names, so only a pattern that lists it allows it: `[*].example.com`.
pub(crate) struct Glob(Vec<Token>);

enum Token {
    AnyText,
    AnyCharacter,
    Character(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        let characters = lower(pattern);
        let mut tokens = Vec::new();
        let mut rest = characters.as_slice();
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            match first {
                '*' if matches!(tokens.last(), Some(Token::AnyText)) => {}
                '*' => tokens.push(Token::AnyText),
                '?' => tokens.push(Token::AnyCharacter),
                '[' => match class(after) {
                    Some((class, after)) => {
                        tokens.push(class);
                        rest = after;
                    }
                    None => tokens.push(Token::Character('[')),
                },
                other => tokens.push(Token::Character(other)),
            }
        }
        Self(tokens)
    }

    /// Whether the whole name, in lower case, fits. The steps that this takes, at the most as many as the lengths of name
    /// and pattern multiplied, are taken from `steps`; false once there are none left.
    pub(crate) fn matches(&self, name: &[char], steps: &mut u64) -> bool {
        let mut take = |token: &Token| {
            *steps = steps.saturating_sub(token.steps());
            *steps > 0
        };
        let Some(last) = self.0.iter().rposition(|token| matches!(token, Token::AnyText)) else {
            let fits = |(token, character): (&Token, &char)| take(token) && token.takes(*character);
            return self.0.len() == name.len() && self.0.iter().zip(name).all(fits);
        };
        // What follows the last `*` is the name's end. Most names that do not fit are told by it.
        let (tokens, tail) = self.0.split_at(last + 1);
        let Some(length) = name.len().checked_sub(tail.len()) else { return false };
        let (name, end) = name.split_at(length);
        let mut ends = tail.iter().zip(end).rev();
        if !ends.all(|(token, character)| take(token) && token.takes(*character)) {
            return false;
        }
        let (mut token, mut at) = (0, 0);
        // Where the last `*` stands, and how far it has reached.
        let mut star: Option<(usize, usize)> = None;
        while at < name.len() {
            if !take(tokens.get(token).unwrap_or(&Token::AnyText)) {
                return false;
            }
            match tokens.get(token) {
                Some(Token::AnyText) => {
                    star = Some((token, at));
                    token += 1;
                }
                Some(one) if one.takes(name[at]) => {
                    token += 1;
                    at += 1;
                }
                _ => match star {
                    Some((place, reached)) if name[reached] != '*' => {
                        star = Some((place, reached + 1));
                        token = place + 1;
                        at = reached + 1;
                    }
                    _ => return false,
                },
            }
        }
        tokens[token..].iter().all(|token| matches!(token, Token::AnyText))
    }
}

/// The characters of a text in lower case. What is not ASCII does not become so: the Kelvin sign is no `k`.
pub(crate) fn lower(text: &str) -> Vec<char> {
    let mut characters = Vec::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() || character.to_lowercase().any(|lower| lower.is_ascii()) {
            characters.push(character.to_ascii_lowercase());
        } else {
            characters.extend(character.to_lowercase());
        }
    }
    characters
}

impl Token {
    /// How many comparisons it takes to compare a character with it.
    fn steps(&self) -> u64 {
        match self {
            Self::AnyText | Self::AnyCharacter | Self::Character(_) => 1,
            Self::Class { ranges, .. } => ranges.len() as u64,
        }
    }

    fn takes(&self, character: char) -> bool {
        match self {
            Self::AnyText => false,
            Self::AnyCharacter => character != '*',
            Self::Character(own) => *own == character,
            Self::Class { negated: false, ranges } if character == '*' => ranges.contains(&('*', '*')),
            Self::Class { negated, ranges } => {
                character != '*'
                    && ranges.iter().any(|(from, to)| (*from..=*to).contains(&character)) != *negated
            }
        }
    }
}

/// A class and what follows it, if it is closed. A `]` right at its beginning is one of its characters.
fn class(after: &[char]) -> Option<(Token, &[char])> {
    let negated = after.first() == Some(&'!');
    let begin = usize::from(negated);
    let end = begin + 1 + after.get(begin + 1..)?.iter().position(|character| *character == ']')?;
    let mut ranges = Vec::new();
    let mut rest = &after[begin..end];
    while let Some((&from, more)) = rest.split_first() {
        rest = match more {
            ['-', to, more @ ..] => {
                ranges.push((from, *to));
                more
            }
            more => {
                ranges.push((from, from));
                more
            }
        };
    }
    Some((Token::Class { negated, ranges }, &after[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::{Glob, lower};

    fn fits(pattern: &str, name: &str) -> bool {
        let mut steps = u64::MAX;
        Glob::new(pattern).matches(&lower(name), &mut steps)
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "www.example.com.evil.net", false),
            ("*.EXAMPLE.com", "WWW.example.COM", true),
            ("web-?.example.com", "web-1.example.com", true),
            ("web-?.example.com", "web-12.example.com", false),
            ("web-[0-9].example.com", "web-7.example.com", true),
            ("web-[!0-9].example.com", "web-7.example.com", false),
            ("web-[!0-9].example.com", "web-x.example.com", true),
            ("[]a]", "]", true),
            ("[!]a]", "]", false),
            ("[ab", "[ab", true),
            ("{a,b}", "a", false),
            ("a\\*", "a\\b", true),
            ("**a**", "xax", true),
            ("[z-a]", "b", false),
            ("*a", "a", true),
            ("a*a", "a", false),
            ("*ab*ab", "ab", false),
            ("*ab*ab", "abab", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acbc", true),
            ("a*b*c", "acb", false),
            ("", "", true),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn wildcard_names_need_a_literal_star() {
        for (pattern, expected) in [
            ("*.example.com", false),
            ("?.example.com", false),
            ("[!a].example.com", false),
            ("[!-~].example.com", false),
            ("*", false),
            ("[*].example.com", true),
            ("[a*].example.com", true),
            ("[*]*", true),
        ] {
            assert_eq!(fits(pattern, "*.example.com"), expected, "{pattern}");
        }
    }

    #[test]
    fn steps_are_at_most_those_of_name_and_pattern_multiplied() {
        for pattern in ["*a".repeat(200) + "b*", "*".to_owned() + &"a".repeat(200) + "b*", "*a".repeat(200)] {
            let mut steps = u64::MAX;
            Glob::new(&pattern).matches(&lower(&"a".repeat(255)), &mut steps);
            assert!(u64::MAX - steps <= 2 * 255 * 400, "{pattern}: {}", u64::MAX - steps);
        }
    }

    #[test]
    fn nothing_fits_once_the_steps_are_used_up() {
        let mut steps = 100;
        assert!(!Glob::new("*a*").matches(&lower(&("b".repeat(200) + "a")), &mut steps));
        assert_eq!(steps, 0);
    }
}
