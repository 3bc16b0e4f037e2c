//! Reading on after syntax errors.
//!
//! A bracket that is never closed makes nonsense of everything after it, and one slip of the pen would be reported as
//! fifty. So the first error of a text is reported, the statement that it stands in is blanked out, and the rest is
//! read again, until all of it can be read. Blanking keeps every other place where it was.

use std::ops::Range;

use toml::de::DeTable;

/// What of a text could not be used, so that what seems to be missing may merely be hidden.
#[derive(Debug, Default)]
pub struct Unread {
    hidden: Vec<Range<usize>>,
}

impl Unread {
    /// Whether the table at this place may have keys that were not understood.
    pub(crate) fn hides(&self, table: &Range<usize>) -> bool {
        self.hidden.iter().any(|hidden| hidden.contains(&table.start))
    }

    /// Notes that a key of the table at this place was not understood.
    pub(super) fn hide(&mut self, table: &Range<usize>) {
        self.hidden.push(table.start..table.end.max(table.start + 1));
    }
}

/// A syntax error in words of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) span: Range<usize>,
    pub(super) help: Option<&'static str>,
}

/// What toml calls a key or table that stands twice. It reads on well after these: they are left in.
pub(super) const DUPLICATE: &str = "duplicate key";

/// Where reading on ends.
const ERRORS_MAX: usize = 50;

/// The text with everything blanked out that cannot be read; all of it after too many errors.
pub(super) fn blank_unreadable(text: &str) -> (String, Vec<SyntaxError>, Unread) {
    let mut text = text.to_owned();
    let mut found = Vec::new();
    let mut unread = Unread::default();
    while found.len() < ERRORS_MAX {
        let (_, errors) = DeTable::parse_recoverable(&text);
        let spans = errors.iter().filter(|error| error.message() != DUPLICATE);
        let first = spans.min_by_key(|error| error.span().map_or(0, |span| span.start));
        let Some(first) = first else { return (text, found, unread) };
        let span = first.span().unwrap_or_default();
        let statement = statement_around(&text, span.start);
        found.push(in_our_words(&text, first.message(), span, &statement));
        unread.hidden.push(section_around(&text, &statement));
        match blanked(&text, &statement) {
            Some(mended) if mended != text => text = mended,
            // The error stands in no statement that can be told.
            _ => break,
        }
    }
    // What goes wrong so often is no manifest: nothing more is to be learnt from the rest.
    unread.hidden.push(0..text.len() + 1);
    (String::new(), found, unread)
}

/// What toml says in the terms of its grammar, in terms of what was probably meant.
fn in_our_words(text: &str, message: &str, span: Range<usize>, statement: &Range<usize>) -> SyntaxError {
    let open = Scanner::new(text, statement.start).open_at(statement.end);
    if let Some(open) = open.filter(|_| !is_header(text, statement)) {
        let is_array = text.get(open..).is_some_and(|rest| rest.starts_with('['));
        let (what, help) =
            if is_array { ("array", "close it with `]`") } else { ("inline table", "close it with `}`") };
        return SyntaxError {
            message: format!("this {what} is not closed"),
            span: open..open + 1,
            help: Some(help),
        };
    }
    let rest = text.get(span.start..).unwrap_or_default().trim_start_matches([' ', '\t']);
    let (message, help) = match message.split(", expected").next().unwrap_or_default() {
        NO_VALUE if rest.is_empty() || rest.starts_with(['\n', '\r', '#']) => {
            ("the key has no value", Some("write a value after the `=`"))
        }
        NO_VALUE | "invalid boolean" | "invalid float" => ("this is no value", Some(value_help(rest))),
        "key with no value" => {
            ("this is no `key = value`", Some("write `key = value`, or `[table]` alone on its line"))
        }
        "invalid basic string" => ("this string is not closed", Some("close it with `\"` on the same line")),
        "invalid literal string" => ("this string is not closed", Some("close it with `'` on the same line")),
        "unclosed table" => ("this header is not closed", Some("close it with `]`")),
        "unclosed array table" => ("this header is not closed", Some("close it with `]]`")),
        "unexpected key or value" => {
            ("there is something after the end of the value", Some("write it on a line of its own"))
        }
        _ => (message.strip_suffix(", expected nothing").unwrap_or(message), None),
    };
    SyntaxError { message: message.to_owned(), span, help }
}

/// What toml says of anything that begins like no value at all.
const NO_VALUE: &str = "string values must be quoted";

fn value_help(rest: &str) -> &'static str {
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    match rest.get(..end).unwrap_or_default().to_ascii_lowercase().as_str() {
        "true" | "false" | "yes" | "no" | "on" | "off" => "a boolean is `true` or `false`",
        _ => "a string stands in quotes: \"...\"",
    }
}

/// The statement that holds a place: a header, or a key and its value. What comes before it must be sound.
fn statement_around(text: &str, at: usize) -> Range<usize> {
    let start = Scanner::new(text, 0).statements().take_while(|start| *start <= at).last().unwrap_or(0);
    let line_end =
        |from: usize| text.get(from..).and_then(|rest| rest.find('\n')).map(|length| from + length + 1);
    if is_header(text, &(start..text.len())) {
        // The keys below a header that cannot be read would seem to be those of the table before.
        let mut lines = std::iter::successors(line_end(start), |from| line_end(*from));
        let end = lines.find(|from| is_header(text, &(*from..text.len()))).unwrap_or(text.len());
        return start..end;
    }
    // A statement goes on until a line that looks like another one.
    let mut lines = std::iter::successors(line_end(start), |from| line_end(*from));
    let end =
        lines.find(|from| looks_like_statement(text.get(*from..).unwrap_or_default())).unwrap_or(text.len());
    start..end
}

/// Where the keys of the same table stand: from the header before a statement to the next one.
fn section_around(text: &str, statement: &Range<usize>) -> Range<usize> {
    if is_header(text, statement) {
        return 0..text.len() + 1;
    }
    let headers =
        || Scanner::new(text, 0).statements().filter(|start| is_header(text, &(*start..text.len())));
    let start = headers().take_while(|start| *start <= statement.start).last().unwrap_or(0);
    let end = headers().find(|start| *start > statement.start).unwrap_or(text.len() + 1);
    start..end
}

fn is_header(text: &str, statement: &Range<usize>) -> bool {
    text.get(statement.clone()).is_some_and(|text| text.trim_start_matches([' ', '\t']).starts_with('['))
}

/// Whether a line looks like the begin of a statement: a header, or a key with its equals sign. An element of an inline
/// table over several lines has a comma behind it.
fn looks_like_statement(text: &str) -> bool {
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" #").next().unwrap_or_default().trim();
    let is_key = |key: &str| {
        let key = key.trim();
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.\"' \t/:".contains(c))
    };
    match (line.strip_prefix('['), line.split_once('=')) {
        (Some(header), _) => {
            header.strip_suffix(']').is_some_and(|header| is_key(header.trim_matches(['[', ']'])))
        }
        (None, Some((key, _))) => is_key(key) && !line.ends_with(','),
        (None, None) => false,
    }
}

/// The text with spaces in a range, lines kept. Nothing if the range is none of the text's.
fn blanked(text: &str, range: &Range<usize>) -> Option<String> {
    let (before, after) = (text.get(..range.start)?, text.get(range.end..)?);
    let blank: String =
        text.get(range.clone())?.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    Some([before, &blank, after].concat())
}

/// The first place of a key or header that stands twice, if it is spelled alike in both.
pub(super) fn first_of_duplicates(text: &str, duplicate: &Range<usize>) -> Option<Range<usize>> {
    let starts: Vec<usize> = Scanner::new(text, 0).statements().collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut section = "";
    let mut keys: Vec<(&str, &str, usize)> = Vec::new();
    for (start, end) in starts.iter().copied().zip(ends) {
        let statement = text.get(start..end)?;
        let header = is_header(text, &(start..end));
        let key = if header { statement.lines().next()? } else { statement.split('=').next()? };
        let key = key.split('#').next()?.trim();
        let start = start + (statement.len() - statement.trim_start().len());
        // A header counts as a key of the whole text.
        let within = if header { "" } else { section };
        if (start..start + key.len()).contains(&duplicate.start) {
            let first = keys.iter().find(|(other, other_key, _)| *other == within && *other_key == key)?.2;
            let offset = duplicate.start - start;
            return Some(first + offset..first + offset + duplicate.len());
        }
        keys.push((within, key, start));
        if header {
            section = key;
        }
    }
    None
}

/// Goes through a text as far as brackets, strings and comments matter.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Places of the brackets that are open.
    open: Vec<usize>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, at: usize) -> Self {
        Self { text, at, open: Vec::new() }
    }

    /// Where statements begin: lines outside of brackets that are not blank or a comment.
    fn statements(mut self) -> impl Iterator<Item = usize> {
        let mut at_line_start = true;
        std::iter::from_fn(move || {
            loop {
                let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
                let starts = at_line_start && self.open.is_empty();
                let start = self.at;
                let token = self.step(rest);
                if token == Token::LineEnd {
                    at_line_start = true;
                } else if token != Token::Blank {
                    at_line_start = false;
                    if starts && token != Token::Comment {
                        return Some(start);
                    }
                }
            }
        })
    }

    /// The innermost bracket that is open at a place.
    fn open_at(mut self, end: usize) -> Option<usize> {
        while self.at < end {
            let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
            self.step(rest);
        }
        self.open.last().copied()
    }

    fn step(&mut self, rest: &str) -> Token {
        let (token, length) = token(rest);
        match token {
            Token::Open => self.open.push(self.at),
            Token::Close => {
                self.open.pop();
            }
            _ => {}
        }
        self.at += length;
        token
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    LineEnd,
    Blank,
    Comment,
    Other,
}

/// The first token of a text that is not empty, and its length.
fn token(text: &str) -> (Token, usize) {
    let first = text.chars().next().unwrap_or_default();
    match first {
        '[' | '{' => (Token::Open, 1),
        ']' | '}' => (Token::Close, 1),
        '\n' => (Token::LineEnd, 1),
        ' ' | '\t' | '\r' => (Token::Blank, 1),
        '#' => (Token::Comment, text.find('\n').unwrap_or(text.len())),
        '"' | '\'' => (Token::Other, string_length(text, first)),
        other => (Token::Other, other.len_utf8()),
    }
}

/// The length of a string with its quotes. One that is not closed ends with its line, or with the text if it may have
/// several lines.
fn string_length(text: &str, quote: char) -> usize {
    let triple: String = [quote; 3].iter().collect();
    let several_lines = text.starts_with(&triple);
    let delimiter = if several_lines { triple } else { quote.to_string() };
    let mut at = delimiter.len();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(&delimiter) {
            // Up to two quotes may stand right before the closing three.
            let extra = if several_lines {
                rest.chars().skip(3).take(2).take_while(|c| *c == quote).count()
            } else {
                0
            };
            return at + delimiter.len() + extra;
        }
        if rest.starts_with('\n') && !several_lines {
            return at;
        }
        let escaped = usize::from(quote == '"' && rest.starts_with('\\'));
        at += rest.chars().take(1 + escaped).map(char::len_utf8).sum::<usize>();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_begin_outside_of_brackets_and_strings() {
        let text = "a = 1 # [\n\n  [t]\nb = [\n  1, # ]\n  '[', \"\\\"]\",\n]\nc = \"\"\"\nx = 1\n[y]\"\"\"\"\nd = '''\n'''\n{\n";
        let starts: Vec<&str> =
            Scanner::new(text, 0).statements().map(|at| text[at..].lines().next().unwrap()).collect();
        assert_eq!(starts, ["a = 1 # [", "[t]", "b = [", "c = \"\"\"", "d = '''", "{"]);
    }

    #[track_caller]
    fn assert_errors(text: &str, expected: &[(&str, &str)], kept: &[&str]) {
        let (mended, errors, _) = blank_unreadable(text);
        let shown: Vec<_> =
            errors.iter().map(|error| (error.message.as_str(), &text[error.span.clone()])).collect();
        assert_eq!(shown, expected);
        assert_eq!(mended.len(), text.len());
        let lines: Vec<&str> = mended.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, kept);
    }

    #[test]
    fn one_slip_is_one_error_and_the_rest_is_read() {
        assert_errors(
            "a = [1, 2\nb = 3\n[c]\nd = 4",
            &[("this array is not closed", "[")],
            &["b = 3", "[c]", "d = 4"],
        );
        assert_errors("a = { x = [1 \nb = 3", &[("this array is not closed", "[")], &["b = 3"]);
        assert_errors(
            "a = { x = 1\n[c]\nb = 3",
            &[("this inline table is not closed", "{")],
            &["[c]", "b = 3"],
        );
        assert_errors("a =\nb = 3", &[("the key has no value", "")], &["b = 3"]);
        assert_errors("a = \"x\nb = 3", &[("this string is not closed", "")], &["b = 3"]);
        assert_errors("a = abc\nb = 3", &[("this is no value", "abc")], &["b = 3"]);
    }

    #[test]
    fn what_is_no_toml_at_all_is_given_up() {
        let text = "x = = 1\n".repeat(1_000);
        let (mended, errors, unread) = blank_unreadable(&text);
        assert_eq!((mended.len(), errors.len()), (0, ERRORS_MAX));
        assert!(unread.hides(&(0..0)));
        let (mended, errors, _) =
            blank_unreadable("# a comment with \u{1} in it\na = 1 # \u{1}\nb = 2\rc = 3\nd = 4\n");
        assert_eq!(mended.trim(), "d = 4");
        assert_eq!(errors.len(), 3, "{errors:?}");
    }
}
