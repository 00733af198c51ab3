//! `.env` files, read as [python-dotenv](https://github.com/theskumar/python-dotenv) reads them.
//!
//! A statement is `[export] NAME[=value] [# comment]`. A value is bare (up to ` #` or the end of the line),
//! `'single'` quoted (escapes `\\` and `\'`) or `"double"` quoted (also `\"` and `\a \b \f \n \r \t \v`); quoted
//! ones may span lines. In all three, `${NAME}` and `${NAME:-default}` stand for other variables, and `$NAME` for
//! itself.

use zeroize::Zeroizing;

use super::source::{Variable, find};

/// What a `.env` file says.
pub(super) struct Dotenv {
    /// Its variables, in order.
    pub(super) variables: Vec<Variable>,
    /// Numbers, from 1, of the lines on which an unreadable statement begins.
    pub(super) malformed_lines: Vec<usize>,
}

/// Reads the text of a file; names in `${…}` are looked up further up in the file first, then in the
/// environment, as the old system does it.
pub(super) fn read(text: &str, environment: &[Variable]) -> Dotenv {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = Zeroizing::new(Zeroizing::new(text.replace("\r\n", "\n")).replace('\r', "\n"));
    let mut scanner = Scanner { rest: &text, line: 1 };
    let mut dotenv = Dotenv { variables: Vec::new(), malformed_lines: Vec::new() };

    while scanner.skip_to_statement() {
        let line = scanner.line;
        match scanner.statement() {
            Ok(Some(Statement { name, value })) => {
                let value = value.map(|value| interpolate(&value, environment, &dotenv.variables));
                dotenv.variables.push(Variable { name: name.to_owned(), value });
            }
            Ok(None) => {}
            Err(Malformed) => {
                scanner.rest_of_line();
                dotenv.malformed_lines.push(line);
            }
        }
    }
    dotenv
}

/// A name and its value, without quotes and escapes but not yet interpolated.
struct Statement<'a> {
    name: &'a str,
    value: Option<Zeroizing<String>>,
}

/// A statement that does not follow the grammar.
struct Malformed;

/// The text not yet read, and the line it begins on.
struct Scanner<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Scanner<'a> {
    fn skip_to_statement(&mut self) -> bool {
        self.take_while(is_space);
        !self.rest.is_empty()
    }

    /// One statement up to the end of its line; `None` is a comment.
    fn statement(&mut self) -> Result<Option<Statement<'a>>, Malformed> {
        self.export();
        let name = self.name()?;
        self.take_while(is_blank);
        let value = if self.eat('=') { Some(self.value()?) } else { None };
        self.end_of_statement()?;
        Ok(name.map(|name| Statement { name, value }))
    }

    fn export(&mut self) {
        if self.rest.strip_prefix("export").is_some_and(|after| after.starts_with(is_blank)) {
            self.advance("export".len());
            self.take_while(is_blank);
        }
    }

    fn name(&mut self) -> Result<Option<&'a str>, Malformed> {
        if self.rest.starts_with('#') {
            return Ok(None);
        }
        if let Some(quoted) = self.rest.strip_prefix('\'') {
            let length = quoted.find('\'').filter(|length| *length > 0).ok_or(Malformed)?;
            self.advance(length + 2);
            return Ok(Some(&quoted[..length]));
        }
        match self.take_while(|c| c != '=' && c != '#' && !is_space(c)) {
            "" => Err(Malformed),
            name => Ok(Some(name)),
        }
    }

    fn value(&mut self) -> Result<Zeroizing<String>, Malformed> {
        let blanks = self.take_while(is_blank);
        match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote),
            Some('#') if !blanks.is_empty() => Ok(Zeroizing::default()),
            _ => Ok(Zeroizing::new(without_comment(self.take_while(|c| c != '\n')).to_owned())),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Zeroizing<String>, Malformed> {
        let mut value = Zeroizing::new(String::with_capacity(self.rest.len()));
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => {
                    let (_, escaped) = characters.next().ok_or(Malformed)?;
                    unescape(escaped, quote, &mut value);
                }
                _ if character == quote => {
                    self.advance(at + 1);
                    return Ok(value);
                }
                _ => value.push(character),
            }
        }
        Err(Malformed)
    }

    fn end_of_statement(&mut self) -> Result<(), Malformed> {
        self.take_while(is_blank);
        if self.rest.starts_with('#') {
            self.take_while(|c| c != '\n');
        }
        if self.rest.is_empty() || self.eat('\n') { Ok(()) } else { Err(Malformed) }
    }

    fn rest_of_line(&mut self) {
        self.take_while(|c| c != '\n');
        self.eat('\n');
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.rest.starts_with(wanted);
        if found {
            self.advance(wanted.len_utf8());
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let length = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let taken = &self.rest[..length];
        self.advance(length);
        taken
    }

    fn advance(&mut self, length: usize) {
        let (read, rest) = self.rest.split_at(length);
        self.line += read.matches('\n').count();
        self.rest = rest;
    }
}

fn unescape(escaped: char, quote: char, value: &mut String) {
    let meaning = match (escaped, quote) {
        ('\\' | '\'', _) => escaped,
        ('"', '"') => '"',
        ('a', '"') => '\x07',
        ('b', '"') => '\x08',
        ('f', '"') => '\x0c',
        ('n', '"') => '\n',
        ('r', '"') => '\r',
        ('t', '"') => '\t',
        ('v', '"') => '\x0b',
        _ => {
            value.push('\\');
            escaped
        }
    };
    value.push(meaning);
}

/// A bare value up to the first `#` that follows a blank.
fn without_comment(value: &str) -> &str {
    let comment = value.match_indices('#').map(|(at, _)| at).find(|at| value[..*at].ends_with(is_space));
    value[..comment.unwrap_or(value.len())].trim_end_matches(is_space)
}

fn interpolate(value: &str, environment: &[Variable], file: &[Variable]) -> Zeroizing<String> {
    let mut result = Zeroizing::new(String::with_capacity(value.len()));
    let mut rest = value;
    while let Some(dollar) = rest.find('$') {
        result.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        let Some(reference) = Reference::at_start(rest) else {
            result.push('$');
            rest = &rest[1..];
            continue;
        };
        let found = find(file, |name| name == reference.name)
            .or_else(|| find(environment, |name| name == reference.name));
        // A name without a value counts as empty, not as missing.
        result.push_str(found.map_or(reference.default, Option::unwrap_or_default));
        rest = &rest[reference.length..];
    }
    result.push_str(rest);
    result
}

/// A `${name}` or `${name:-default}`, and how long it is.
struct Reference<'a> {
    name: &'a str,
    default: &'a str,
    length: usize,
}

impl<'a> Reference<'a> {
    fn at_start(text: &'a str) -> Option<Self> {
        let inside = text.strip_prefix("${")?;
        let name = &inside[..inside.find(['}', ':'])?];
        let default = match inside[name.len()..].strip_prefix(":-") {
            Some(default) => &default[..default.find('}')?],
            None => "",
        };
        let separator = if inside[name.len()..].starts_with(":-") { ":-".len() } else { 0 };
        let length = "${".len() + name.len() + separator + default.len();
        text[length..].starts_with('}').then_some(Self { name, default, length: length + 1 })
    }
}

/// White space as Python's `\s` has it.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

fn is_blank(character: char) -> bool {
    is_space(character) && character != '\n'
}

#[cfg(test)]
mod tests;
