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
        let characters: Vec<char> = pattern.to_lowercase().chars().collect();
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

    /// Whether the whole name fits. Takes time in proportion to the name's and the pattern's length multiplied.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.to_lowercase().chars().collect();
        let (mut token, mut at) = (0, 0);
        // Where the last `*` stands, and how far it has reached.
        let mut star: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.0.get(token) {
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
        self.0[token..].iter().all(|token| matches!(token, Token::AnyText))
    }
}

impl Token {
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
    use super::Glob;

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
            ("", "", true),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(name), expected, "{pattern} {name}");
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
            assert_eq!(Glob::new(pattern).matches("*.example.com"), expected, "{pattern}");
        }
    }

    #[test]
    fn long_patterns_end_soon() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!Glob::new(&pattern).matches(&"a".repeat(255)));
    }
}
