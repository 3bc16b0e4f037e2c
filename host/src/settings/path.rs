//! Dotted paths in the syntax of TOML's dotted keys (TOML 1.1, "Keys"): bare, basic and literal segments with optional
//! blanks around the dots. Only the syntax: what a segment means is the tree's business.

use std::borrow::Cow;

/// A path that is not well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The segments of a path. Ends after the first error.
#[derive(Debug)]
pub(super) struct Segments<'a> {
    /// What is left to read; `None` once the last segment has been given.
    rest: Option<&'a str>,
}

impl<'a> Segments<'a> {
    pub(super) fn new(path: &'a str) -> Self {
        Self { rest: Some(path) }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<Cow<'a, str>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let Some((segment, rest)) = segment(rest.trim_start_matches(BLANK)) else {
            return Some(Err(Malformed));
        };
        let rest = rest.trim_start_matches(BLANK);
        match rest.strip_prefix('.') {
            Some(rest) => self.rest = Some(rest),
            None if rest.is_empty() => {}
            None => return Some(Err(Malformed)),
        }
        Some(Ok(segment))
    }
}

const BLANK: [char; 2] = [' ', '\t'];

/// What a key may consist of without quotes.
pub(super) fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// One segment and what follows it.
fn segment(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if let Some(literal) = text.strip_prefix('\'') {
        let (segment, rest) = literal.split_once('\'')?;
        let sound = !segment.contains(is_control);
        return sound.then_some((Cow::Borrowed(segment), rest));
    }
    if let Some(basic) = text.strip_prefix('"') {
        return basic_string(basic);
    }
    let end = text.bytes().position(|byte| !is_bare(byte)).unwrap_or(text.len());
    let (segment, rest) = text.split_at_checked(end)?;
    (!segment.is_empty()).then_some((Cow::Borrowed(segment), rest))
}

/// A basic string after its opening quote.
fn basic_string(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    let (plain, rest) = text.split_at_checked(end)?;
    if plain.contains(is_control) {
        return None;
    }
    if let Some(rest) = rest.strip_prefix('"') {
        return Some((Cow::Borrowed(plain), rest));
    }
    let mut segment = plain.to_owned();
    let mut rest = rest;
    loop {
        let mut characters = rest.chars();
        match characters.next()? {
            '"' => return Some((Cow::Owned(segment), characters.as_str())),
            '\\' => {
                let (character, after) = escape(characters.as_str())?;
                segment.push(character);
                rest = after;
            }
            control if is_control(control) => return None,
            other => {
                segment.push(other);
                rest = characters.as_str();
            }
        }
    }
}

/// The character that an escape sequence stands for, from after its backslash.
fn escape(text: &str) -> Option<(char, &str)> {
    let mut characters = text.chars();
    let simple = match characters.next()? {
        'b' => '\u{8}',
        't' => '\t',
        'n' => '\n',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        '"' => '"',
        '\\' => '\\',
        'x' => return code_point(characters.as_str(), 2),
        'u' => return code_point(characters.as_str(), 4),
        'U' => return code_point(characters.as_str(), 8),
        _ => return None,
    };
    Some((simple, characters.as_str()))
}

fn code_point(text: &str, digits: usize) -> Option<(char, &str)> {
    let (code, rest) = text.split_at_checked(digits)?;
    // `from_str_radix` would also take a sign.
    if !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let character = char::from_u32(u32::from_str_radix(code, 16).ok()?)?;
    Some((character, rest))
}

/// The control characters that TOML refuses in strings: all but the tab.
fn is_control(character: char) -> bool {
    character.is_ascii_control() && character != '\t'
}
