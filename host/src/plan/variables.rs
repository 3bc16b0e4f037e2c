//! Environment variables in strings: `${VAR}`, `${VAR:-default}`, and `$${` for a `${` that is meant as it is.

use std::{borrow::Cow, ops::Range};

/// A `${...}` that cannot be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unresolved {
    pub(super) what: What,
    /// Which of the text's `${` it is, from 0, escaped ones included.
    pub(super) nth: usize,
    /// Bytes from the `$` to the end of it.
    pub(super) length: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A variable of this name is not set, and no default is given.
    Unset(String),
    /// No closing brace, or no name before it.
    Malformed,
}

/// The text with every variable replaced, or all that cannot be. As in a shell, the default of `${VAR:-default}` also
/// stands in for an empty variable; it ends at the first `}`. What a variable holds is not looked at again.
pub(super) fn expand<'a>(
    text: &'a str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Cow<'a, str>, Vec<Unresolved>> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::with_capacity(text.len());
    let mut unresolved = Vec::new();
    let mut rest = text;
    for nth in 0.. {
        let Some((before, after)) = rest.split_once("${") else { break };
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        expanded.push_str(before);
        let (inner, after) = after.split_once('}').unwrap_or((after, ""));
        let closed = inner.len() + after.len() + before.len() + 2 < rest.len();
        match if closed { value(inner, env) } else { Err(What::Malformed) } {
            Ok(value) => expanded.push_str(&value),
            Err(what) => {
                unresolved.push(Unresolved { what, nth, length: inner.len() + if closed { 3 } else { 2 } })
            }
        }
        rest = after;
    }
    expanded.push_str(rest);
    if unresolved.is_empty() { Ok(Cow::Owned(expanded)) } else { Err(unresolved) }
}

fn value(inner: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, What> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(What::Malformed);
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(What::Unset(name.to_owned())),
    }
}

/// Where the `nth` `${` of a string's value stands in its text within the file, if the text shows it as it is.
pub(super) fn find_in_source(text: &str, nth: usize, length: usize) -> Option<Range<usize>> {
    let (start, _) = text.match_indices("${").nth(nth)?;
    let end = start + length;
    text.get(start..end).map(|_| start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "USER" => Some("ada".into()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("${USER}".into()),
            _ => None,
        }
    }

    #[test]
    fn variables_defaults_and_escapes() {
        let cases = [
            ("plain $ and } and {", "plain $ and } and {"),
            ("${USER}", "ada"),
            ("a${USER}b${USER}c", "aadabadac"),
            ("${NO:-x}", "x"),
            ("${NO:-}", ""),
            ("${NO:-a:-b}", "a:-b"),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY}", ""),
            ("${USER:-x}", "ada"),
            ("$${USER}", "${USER}"),
            ("$$${USER}", "$${USER}"),
            ("${TRICKY}", "${USER}"),
            ("${USER}}", "ada}"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &env).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_named_with_its_place() {
        let unset = |nth, length| Unresolved { what: What::Unset("NO".into()), nth, length };
        let malformed = |nth, length| Unresolved { what: What::Malformed, nth, length };
        assert_eq!(expand("a ${NO} ${USER} ${NO}", &env).unwrap_err(), [unset(0, 5), unset(2, 5)]);
        assert_eq!(expand("$${NO} ${NO}", &env).unwrap_err(), [unset(1, 5)]);
        assert_eq!(expand("${}", &env).unwrap_err(), [malformed(0, 3)]);
        assert_eq!(expand("${1A}", &env).unwrap_err(), [malformed(0, 5)]);
        assert_eq!(expand("${A-B}", &env).unwrap_err(), [malformed(0, 6)]);
        assert_eq!(expand("${USER", &env).unwrap_err(), [malformed(0, 6)]);
        assert_eq!(expand("${", &env).unwrap_err(), [malformed(0, 2)]);
        assert_eq!(find_in_source("\"$${NO} ${NO}\"", 1, 5), Some(8..13));
        assert_eq!(find_in_source("\"\\u0024{NO}\"", 0, 5), None);
    }
}
