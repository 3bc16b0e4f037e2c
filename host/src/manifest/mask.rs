//! Hides what stands in place of a secret in the text that reports show.
//!
//! A secret never stands in a manifest; where one does all the same, the report that says so goes to terminals, logs and
//! answers, with the line. So the values in tables of secrets are masked there, but for names of variables, files and
//! credentials. The text may be no TOML at all, and places in it stay what they are.

use std::ops::Range;

/// The table of an app whose values are masked.
const TABLE: &str = "secrets";
/// Keys in it whose values are names.
const NAMES: [&str; 3] = ["env", "file", "credential"];

/// The text with each value that may be a secret masked, byte for byte.
pub(super) fn masked(text: &str) -> String {
    if !text.contains(TABLE) {
        return text.to_owned();
    }
    let mut scan = Scan::default();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        at += scan.step(rest, at);
    }
    let mut masked = String::with_capacity(text.len());
    let mut hidden = scan.hidden.into_iter().peekable();
    for (index, c) in text.char_indices() {
        while hidden.next_if(|range| range.end <= index).is_some() {}
        match hidden.peek().is_some_and(|range| range.contains(&index)) && !c.is_control() {
            true => masked.extend(std::iter::repeat_n('*', c.len_utf8())),
            false => masked.push(c),
        }
    }
    masked
}

#[derive(Default)]
struct Scan<'a> {
    /// Whether the header above leads into secrets.
    header: bool,
    /// How deep the brackets were where a key led into secrets.
    inline: Option<usize>,
    /// The brackets that are open.
    open: Vec<char>,
    /// The parts of the key at hand.
    key: Vec<&'a str>,
    /// Whether what comes is a value.
    value: bool,
    hidden: Vec<Range<usize>>,
}

impl<'a> Scan<'a> {
    /// Takes the next piece of the text, which stands at `at`; returns its length.
    fn step(&mut self, rest: &'a str, at: usize) -> usize {
        let line = || rest.find('\n').unwrap_or(rest.len());
        match rest.chars().next().unwrap_or_default() {
            '#' => return line(),
            '\n' if self.open.is_empty() => {
                self.inline = None;
                self.next_key();
            }
            '[' if self.open.is_empty() && !self.value => {
                let length = line();
                let header = rest.get(..length).unwrap_or_default();
                let parts = header.split(['.', '[', ']', ' ', '"', '\'']);
                self.header = parts.filter(|part| !part.is_empty()).skip(2).any(|part| part == TABLE);
                return length;
            }
            bracket @ ('[' | '{') => {
                self.open.push(bracket);
                if bracket == '{' {
                    self.next_key();
                }
            }
            ']' | '}' => {
                self.open.pop();
                self.inline = self.inline.filter(|depth| *depth < self.open.len());
            }
            ',' if self.open.last() == Some(&'{') => self.next_key(),
            '=' => {
                self.value = true;
                if self.key.contains(&TABLE) {
                    self.inline.get_or_insert(self.open.len());
                }
            }
            c if c.is_whitespace() || matches!(c, ',' | '.') => return c.len_utf8(),
            _ => return self.word(rest, at),
        }
        1
    }

    fn next_key(&mut self) {
        self.key.clear();
        self.value = false;
    }

    /// A part of a key, or a value.
    fn word(&mut self, rest: &'a str, at: usize) -> usize {
        let (inner, length) = word(rest, self.value);
        if !self.value {
            self.key.push(rest.get(inner).unwrap_or_default());
        } else if (self.header || self.inline.is_some())
            && !self.key.last().is_some_and(|key| NAMES.contains(key))
        {
            self.hidden.push(at + inner.start..at + inner.end);
        }
        length
    }
}

/// What is within the quotes of a string, or a bare word; and how long all of it is. A string that is not closed ends with
/// its line, or with the text where it may have several.
fn word(text: &str, value: bool) -> (Range<usize>, usize) {
    for (quote, several) in [("\"\"\"", true), ("'''", true), ("\"", false), ("'", false)] {
        let Some(rest) = text.strip_prefix(quote) else { continue };
        let mut escaped = false;
        let mut end = rest.len();
        for (index, c) in rest.char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' && quote.starts_with('"') {
                escaped = true;
            } else if (c == '\n' && !several) || rest.get(index..).is_some_and(|rest| rest.starts_with(quote))
            {
                end = index;
                break;
            }
        }
        let closed = rest.get(end..).is_some_and(|rest| rest.starts_with(quote));
        let inner = quote.len()..quote.len() + end;
        return (inner.clone(), inner.end + if closed { quote.len() } else { 0 });
    }
    let ends = if value { ",]}#" } else { ",]}#=.\"'" };
    let end = text.find(|c: char| c.is_whitespace() || ends.contains(c)).unwrap_or(text.len());
    let end = end.max(text.chars().next().map_or(1, char::len_utf8));
    (0..end, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_masked_and_nothing_else() {
        let cases = [
            ("[apps.a.secrets]\nK = \"planted\" # planted", "[apps.a.secrets]\nK = \"*******\" # planted"),
            (
                "[apps.a.secrets]\nK = 'pl\"anted'\n[apps.a]\nx = 'y'",
                "[apps.a.secrets]\nK = '********'\n[apps.a]\nx = 'y'",
            ),
            (
                "[apps.a.secrets]\nK = { env = \"E\", value = \"planted\" }",
                "[apps.a.secrets]\nK = { env = \"E\", value = \"*******\" }",
            ),
            ("[apps.a.secrets.K]\nvalue = 123\nfile = 'f'", "[apps.a.secrets.K]\nvalue = ***\nfile = 'f'"),
            (
                "[apps.a]\nsecrets = { K = 'planted', L = { file = 'f' } }\nsettings = { M = 'm' }",
                "[apps.a]\nsecrets = { K = '*******', L = { file = 'f' } }\nsettings = { M = 'm' }",
            ),
            (
                "[apps.a]\nsecrets.\"A.B\" = [1, 'x']\ny = 'z'",
                "[apps.a]\nsecrets.\"A.B\" = [*, '*']\ny = 'z'",
            ),
            ("[apps.a]\nsecrets.K = \"planted\ny = 'z'", "[apps.a]\nsecrets.K = \"*******\ny = 'z'"),
            ("[apps.a.secrets]\nK = \"\"\"a\\\"\nä\"\"\"", "[apps.a.secrets]\nK = \"\"\"***\n**\"\"\""),
            (
                "apps = { a = { secrets = { K = 'k' }, settings = { L = 'l' } } }",
                "apps = { a = { secrets = { K = '*' }, settings = { L = 'l' } } }",
            ),
            ("[apps.secrets-of]\nx = 'secrets'", "[apps.secrets-of]\nx = 'secrets'"),
            ("[apps.\"secrets\"]\nK = 'k'", "[apps.\"secrets\"]\nK = 'k'"),
            ("[apps.\"secrets\".secrets]\nK = k", "[apps.\"secrets\".secrets]\nK = *"),
        ];
        for (text, expected) in cases {
            assert_eq!(masked(text), expected);
        }
    }
}
